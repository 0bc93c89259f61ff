/* routes.c - what an app is told before it runs: routes, fields for all answers. */
#include "web/app.h"

#include <stdlib.h>
#include <string.h>

#include "http/token.h"
#include "web/socket.h"

static int result_of(int err)
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

static int add(struct wr_app *app, slice method, const char *path, const struct target *target)
{
    struct target *copy = malloc(sizeof *copy);
    if (!copy) return ERR_MEMORY;
    *copy = *target;
    int rc = router_add(&app->router, method, slice_text(path), copy);
    if (rc < 0) free(copy);
    return rc;
}

int wr_route(struct wr_app *app, const char *methods, const char *path, wr_handler handler, void *context)
{
    struct target target = {.handler = handler, .context = context};
    slice rest = slice_text(methods), method;
    int rc = handler && path ? OK : ERR_INVALID;
    bool any = false;
    while (rc == OK && slice_split(&rest, ' ', &method)) {
        if (method.len == 0) continue;
        any = true;
        rc = add(app, method, path, &target);
    }
    return result_of(rc == OK && !any ? ERR_INVALID : rc);
}

int wr_websocket(struct wr_app *app, const char *path, const struct wr_socket_handlers *handlers,
                 void *context)
{
    struct target target;
    int rc = path ? socket_target_init(&target, handlers, context) : WR_INVALID;
    if (rc < 0) return rc;
    rc = add(app, SLICE("GET"), path, &target);
    if (rc < 0) socket_target_deinit(&target);
    return result_of(rc);
}

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
    if (!token_valid(slice_text(name)) || !field_value_valid(slice_text(value))) return WR_INVALID;
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
