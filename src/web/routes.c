/* routes.c - what an app is told before it runs: routes, fields for all answers. */
#include "web/app.h"

#include <stdlib.h>
#include <string.h>

#include "http/token.h"
#include "web/answer.h"
#include "web/socket.h"

int app_result(int err)
{
    switch (err) {
    case OK: return WR_OK;
    case ERR_EXISTS: return WR_EXISTS;
    case ERR_MEMORY: return WR_MEMORY;
    case ERR_FULL: return WR_FULL;
    default: return WR_INVALID;
    }
}

void target_free(void *target)
{
    socket_target_deinit(target);
    free(target);
}

/* With case, other than list_has. */
static bool has_method(slice list, slice method)
{
    slice known;
    while (list_next(&list, &known)) {
        if (slice_equal(known, method)) return true;
    }
    return false;
}

bool app_knows_method(const struct wr_app *app, slice method)
{
    return has_method(SLICE("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"), method) ||
           has_method(buffer_slice(&app->methods), method);
}

void app_note_method(struct wr_app *app, slice method)
{
    struct buffer *known = &app->methods;
    if (slice_equal(method, SLICE("OPTIONS")) || has_method(buffer_slice(known), method)) return;
    size_t before = known->len;
    if (before > 0) buffer_text(known, ", ");
    buffer_put(known, method);
    if (slice_equal(method, SLICE("GET")) && !has_method(buffer_slice(known), SLICE("HEAD")))
        buffer_text(known, ", HEAD");
    if (!known->failed) return;
    known->failed = false; /* it is a courtesy: one more does not matter */
    known->len = before;
}

/* --- routes --- */

static int add(struct wr_group *group, slice method, slice path, const struct target *target)
{
    struct target *copy = malloc(sizeof *copy);
    if (!copy) return ERR_MEMORY;
    *copy = *target;
    copy->group = group;
    int rc = router_add(&group->app->router, method, path, copy);
    if (rc < 0)
        free(copy);
    else
        app_note_method(group->app, method);
    return rc;
}

static int group_add(struct wr_group *group, const char *methods, const char *path,
                     const struct target *target)
{
    if (!methods || !path || group->app->running) return WR_INVALID;
    char *whole = group_path(group, path);
    if (!whole) return WR_MEMORY;
    slice rest = slice_text(methods), method;
    bool any = false;
    int rc = OK;
    while (rc == OK && slice_split(&rest, ' ', &method)) {
        if (method.len == 0) continue;
        any = true;
        rc = add(group, method, slice_text(whole), target);
    }
    free(whole);
    return app_result(rc == OK && !any ? ERR_INVALID : rc);
}

int wr_group_route(struct wr_group *group, const char *methods, const char *path, wr_handler handler,
                   void *context)
{
    if (!handler) return WR_INVALID;
    return group_add(group, methods, path, &(struct target){.handler = handler, .context = context});
}

int wr_route_body(struct wr_group *group, const char *methods, const char *path,
                  const struct wr_body_handlers *handlers, void *context)
{
    if (!handlers->data || !handlers->end) return WR_INVALID;
    struct target target = {.context = context, .body = *handlers, .is_body = true};
    if (target.body.body_bytes_max == 0) target.body.body_bytes_max = group->app->config.body_bytes_max;
    return group_add(group, methods, path, &target);
}

int wr_group_websocket(struct wr_group *group, const char *path, const struct wr_socket_handlers *handlers,
                       void *context)
{
    struct target target;
    int rc = socket_target_init(&target, handlers, context);
    if (rc < 0) return rc;
    rc = group_add(group, "GET", path, &target);
    if (rc < 0) socket_target_deinit(&target);
    return rc;
}

int wr_route(struct wr_app *app, const char *methods, const char *path, wr_handler handler, void *context)
{
    return wr_group_route(&app->root, methods, path, handler, context);
}

int wr_not_found(struct wr_app *app, wr_handler handler, void *context)
{
    if (app->running || !handler) return WR_INVALID;
    app->missing = handler;
    app->missing_context = context;
    return WR_OK;
}

int wr_websocket(struct wr_app *app, const char *path, const struct wr_socket_handlers *handlers,
                 void *context)
{
    return wr_group_websocket(&app->root, path, handlers, context);
}

/* --- fields for all answers --- */

static char *line_of(const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    char *line = malloc(name_len + value_len + 5);
    if (!line) return NULL;
    memcpy(line, name, name_len);
    memcpy(line + name_len, ": ", 2);
    memcpy(line + name_len + 2, value, value_len);
    memcpy(line + name_len + 2 + value_len, "\r\n", 3);
    return line;
}

size_t app_header_index(const struct wr_app *app, slice name)
{
    size_t i = 0;
    while (i < app->header_count && !slice_equal_nocase(slice_text(app->header_names[i]), name))
        i++;
    return i;
}

static int join_headers(struct wr_app *app)
{
    buffer_reset(&app->headers);
    for (size_t i = 0; i < app->header_count; i++)
        buffer_text(&app->headers, app->header_lines[i]);
    return app->headers.failed ? WR_FULL : WR_OK;
}

int wr_header_for_all(struct wr_app *app, const char *name, const char *value)
{
    if (app->running || !token_valid(slice_text(name)) || !field_value_valid(slice_text(value)))
        return WR_INVALID;
    if (answer_owns_field(slice_text(name)) || slice_equal_nocase(slice_text(name), SLICE("Content-Type")))
        return WR_INVALID;
    size_t i = app_header_index(app, slice_text(name));
    if (i == APP_HEADERS_MAX) return WR_FULL;
    char *line = line_of(name, value), *name_copy = i == app->header_count ? strdup(name) : NULL;
    if (!line || (i == app->header_count && !name_copy)) {
        free(line);
        free(name_copy);
        return WR_MEMORY;
    }
    if (i == app->header_count) {
        app->header_names[i] = name_copy;
        app->header_count++;
    } else {
        free(app->header_lines[i]);
    }
    app->header_lines[i] = line;
    return join_headers(app);
}

int wr_security_headers(struct wr_app *app, const char *csp)
{
    static const char *const usual[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    int rc = WR_OK;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0] && rc == WR_OK; i++)
        rc = wr_header_for_all(app, usual[i][0], usual[i][1]);
    if (rc == WR_OK && csp) rc = wr_header_for_all(app, "Content-Security-Policy", csp);
    return rc;
}
