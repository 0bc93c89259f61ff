#include "backend/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/accounts.h"
#include "backend/home.h"
#include "backend/page.h"
#include "base/buffer.h"

enum {
    BODY_BYTES_MAX = 64 * 1024,
    CONNECTIONS_PER_ADDRESS_MAX = 4096, /* a school can be one address */
    LOGIN_PAGE_BYTES_MAX = 1024 * 1024,
};

struct backend {
    struct backend_config config;
    struct wr_app *app;
    struct home home;
    struct accounts *accounts;
    char *index_path, *login_path; /* in www; NULL: there is none */
};

/* --- pages --- */

static bool is_file(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static int read_file(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return ERR_NOT_FOUND;
    ssize_t got = 1;
    while (got > 0 && !buffer_reserve(out, 16 * 1024)) {
        got = read(fd, out->ptr + out->len, out->cap - out->len);
        if (got > 0) out->len += (size_t)got;
    }
    close(fd);
    return got < 0 || out->failed ? ERR_IO : OK;
}

/* The login page of the folder, with a status that no file has by itself. */
static bool refuse_with_file(const struct backend *backend, struct wr_request *request)
{
    struct buffer page;
    buffer_init(&page, &allocator_libc, LOGIN_PAGE_BYTES_MAX);
    bool good = is_file(backend->login_path) && !read_file(backend->login_path, &page);
    if (good) {
        wr_response_header(request, "Cache-Control", "no-store");
        wr_respond_bytes(request, 401, "text/html; charset=utf-8", page.ptr, page.len);
    }
    buffer_reset(&page);
    return good;
}

static void login_page(struct wr_request *request, void *context)
{
    const struct backend *backend = context;
    if (is_file(backend->login_path))
        wr_respond_file(request, backend->login_path, NULL, NULL);
    else
        page_login(request, 200, NULL);
}

static void index_found(void *context, struct wr_request *request, int result, const struct session *session)
{
    struct backend *backend = context;
    wr_response_header(request, "Vary", "Cookie");
    if (result == ERR_NOT_FOUND) {
        if (wr_request_wants_json(request))
            wr_respond_error(request, 401, "You are not logged in.");
        else if (!refuse_with_file(backend, request))
            page_login(request, 401, NULL);
    } else if (result) {
        accounts_failed(backend->accounts, request, result);
    } else {
        session_renew(backend->accounts, request, session);
        if (is_file(backend->index_path))
            wr_respond_file(request, backend->index_path, NULL, NULL);
        else
            page_home(request, session->name, backend->config.www);
    }
}

static void index_page(struct wr_request *request, void *context)
{
    struct backend *backend = context;
    session_check(backend->accounts, request, index_found, backend);
}

/* The file that a path leads to, as one spelling: without empty and "." segments. */
static bool leads_to(slice path, slice name)
{
    slice segment, only = SLICE_EMPTY;
    while (slice_split(&path, '/', &segment)) {
        if (segment.len == 0 || slice_equal(segment, SLICE("."))) continue;
        if (only.len) return false;
        only = segment;
    }
    return slice_equal(only, name);
}

/* The index of the folder has two addresses. The files serve others too ("//index.html", a compressed form),
 * past the login: those lead to the front door. */
static bool guard_index(struct wr_request *request, void *context)
{
    (void)context;
    static const char *const names[] = {"", "index.html", "index.html.br", "index.html.gz"};
    const char *path = wr_request_path(request);
    if (strcmp(path, "/") == 0 || strcmp(path, "/index.html") == 0) return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!leads_to(slice_text(path), slice_text(names[i]))) continue;
        wr_respond_redirect(request, 308, "/");
        return false;
    }
    return true;
}

/* Programs get JSON, as from all else here. */
static void missing(struct wr_request *request, void *context)
{
    (void)context;
    const char *accept = wr_request_header(request, "Accept");
    wr_response_header(request, "Vary", "Accept");
    if (accept && strstr(accept, "text/html"))
        page_missing(request);
    else
        wr_respond_error(request, 404, "There is nothing at this address.");
}

/* --- what the accounts ask of the backend --- */

static void refused(void *context, struct wr_request *request, int status, const char *message)
{
    if (status != 401 || !refuse_with_file(context, request)) page_login(request, status, message);
}

static void trouble(void *context, int err)
{
    const struct backend *backend = context;
    char line[160];
    if (!backend->config.log) return;
    snprintf(line, sizeof line, "a request failed: %s", err_text(err));
    backend->config.log(backend->config.log_context, WR_LOG_WARNING, line);
}

static int open_accounts(struct backend *backend)
{
    const struct accounts_config config = {.app = backend->app,
                                           .store = backend->home.store,
                                           .loop = &backend->home.loop,
                                           .after_login = "/",
                                           .after_logout = "/login.html",
                                           .at_home = home_call,
                                           .now_ms = home_now_ms,
                                           .home = &backend->home,
                                           .page = refused,
                                           .trouble = trouble,
                                           .context = backend};
    return accounts_open(&config, &backend->accounts);
}

/* --- opening --- */

static int explain(struct backend *backend, char why[BACKEND_WHY_BYTES])
{
    snprintf(why, BACKEND_WHY_BYTES, "weaprous %s.", wr_app_error(backend->app));
    return ERR_INVALID;
}

static char *path_in(const char *folder, const char *name)
{
    size_t room = strlen(folder) + 1 + strlen(name) + 1;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%s/%s", folder, name);
    return path;
}

static int open_app(struct backend *backend, char why[BACKEND_WHY_BYTES])
{
    struct wr_config config;
    wr_config_init(&config);
    config.body_bytes_max = BODY_BYTES_MAX;
    config.connections_per_address_max = CONNECTIONS_PER_ADDRESS_MAX;
    config.workers = backend->config.workers;
    config.log = backend->config.log;
    config.log_context = backend->config.log_context;
    backend->app = wr_app_new(&config);
    if (!backend->app) return ERR_MEMORY;
    const char *proxies = backend->config.trusted_proxies;
    if (proxies && wr_trust_proxies(backend->app, proxies, WR_X_FORWARDED)) {
        snprintf(why, BACKEND_WHY_BYTES, "In --trusted-proxies %s.", wr_app_error(backend->app));
        return ERR_INVALID;
    }
    if (backend->config.access_log &&
        wr_access_log(backend->app, backend->config.log_format, backend->config.access_log))
        return explain(backend, why);
    /* No more than this: the pages of the folder may be anybody's, with scripts of their own. */
    if (wr_header_for_all(backend->app, "X-Content-Type-Options", "nosniff") ||
        wr_header_for_all(backend->app, "X-Frame-Options", "SAMEORIGIN") ||
        wr_header_for_all(backend->app, "Referrer-Policy", "same-origin"))
        return ERR_MEMORY;
    return OK;
}

static int open_folders(struct backend *backend, char why[BACKEND_WHY_BYTES])
{
    const struct backend_config *config = &backend->config;
    if (config->static_folder && wr_static(backend->app, "/static", config->static_folder, NULL))
        return explain(backend, why);
    if (!config->www) return OK;
    backend->index_path = path_in(config->www, "index.html");
    backend->login_path = path_in(config->www, "login.html");
    if (!backend->index_path || !backend->login_path) return ERR_MEMORY;
    return wr_static(backend->app, "/", config->www, NULL) ? explain(backend, why) : OK;
}

static int open_pages(struct backend *backend)
{
    static const struct {
        const char *path;
        wr_handler handler;
    } routes[] = {
        {"/", index_page}, {"/index.html", index_page}, {"/login", login_page}, {"/login.html", login_page}};
    page_init();
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (wr_route(backend->app, "GET", routes[i].path, routes[i].handler, backend)) return ERR_MEMORY;
    }
    if (wr_not_found(backend->app, missing, NULL)) return ERR_INVALID;
    return wr_before(wr_root(backend->app), guard_index, backend) ? ERR_MEMORY : OK;
}

int backend_open(const struct backend_config *config, struct backend **out_backend,
                 char why[BACKEND_WHY_BYTES])
{
    char store_why[STORE_WHY_BYTES] = "";
    struct backend *backend = calloc(1, sizeof *backend);
    snprintf(why, BACKEND_WHY_BYTES, "There is not enough memory.");
    if (!backend) return ERR_MEMORY;
    backend->config = *config;
    int err = open_app(backend, why);
    if (!err) {
        err = home_open(&backend->home, config->database, store_why);
        if (err) snprintf(why, BACKEND_WHY_BYTES, "%s", store_why);
    }
    if (!err) err = open_accounts(backend);
    if (!err) err = open_pages(backend);
    if (!err) err = open_folders(backend, why);
    if (!err && wr_listen(backend->app, config->ip, config->port, config->tls)) {
        /* The library's sentence begins with "cannot listen on". */
        snprintf(why, BACKEND_WHY_BYTES, "weaprous %s", wr_app_error(backend->app));
        err = ERR_EXISTS;
    }
    if (!err) {
        backend->home.accounts = backend->accounts;
        err = home_start(&backend->home);
        if (err) snprintf(why, BACKEND_WHY_BYTES, "A thread could not be started.");
    }
    if (err)
        backend_close(backend);
    else
        *out_backend = backend;
    return err;
}

/* --- serving and stopping --- */

uint16_t backend_port(const struct backend *backend)
{
    return wr_port(backend->app);
}

struct wr_app *backend_app(struct backend *backend)
{
    return backend->app;
}

void backend_run(struct backend *backend)
{
    if (wr_run(backend->app) && backend->config.log)
        backend->config.log(backend->config.log_context, WR_LOG_ERROR, wr_app_error(backend->app));
}

void backend_stop(struct backend *backend)
{
    wr_stop(backend->app);
}

/* Home first: what it still has to say to requests is heard while the app is freed. */
void backend_close(struct backend *backend)
{
    if (!backend) return;
    home_stop(&backend->home);
    wr_app_free(backend->app);
    home_close(&backend->home);
    accounts_free(backend->accounts);
    free(backend->index_path);
    free(backend->login_path);
    free(backend);
}
