/* backend.h - the classic backend server: folders of files, and a login before the first page.
 *
 *   GET /, /index.html       the index of `www`, for who has a session; else 401 with the login page
 *   GET /login, /login.html  the login page: that of `www`, or a built-in one
 *   POST /login, /logout, GET /session, /healthz, /readyz   src/account
 *   GET /static/...          files of `static_folder`; all else: files of `www`
 *
 * Workers answer requests; accounts are kept on a thread of their own (home.h).
 * Rules
 *   Thread: all functions on the thread that runs backend_run, except backend_stop (any).
 *   Memory: copies its configuration; what that points to is borrowed for its life.
 *   Errors: what stops it at the start is one sentence for a person, in `why`. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "base/err.h"
#include "weaprous/weaprous.h"

enum { BACKEND_WHY_BYTES = 1024 };

struct backend_config {
    const char *database; /* path of the SQLite file */
    const char *ip;
    uint16_t port;             /* 0: the system chooses */
    const char *www;           /* NULL: none */
    const char *static_folder; /* NULL: none */
    unsigned workers;          /* 0: one for each core */
    const struct wr_tls *tls;  /* NULL: plain HTTP */
    const char *access_log;    /* file, "-" or NULL */
    enum wr_log_format log_format;
    const char *trusted_proxies;                                           /* or NULL */
    void (*log)(void *context, enum wr_log_level level, const char *text); /* any thread */
    void *log_context;
};

struct backend;

/* Opens the database and the folders, and listens. Blocks. ERR_EXISTS: it cannot listen there; `why` then has
 * no full stop, so that the caller can add what to do. */
int backend_open(const struct backend_config *config, struct backend **out_backend,
                 char why[BACKEND_WHY_BYTES]) BASE_CHECKED;
uint16_t backend_port(const struct backend *backend);
struct wr_app *backend_app(struct backend *backend);
/* Serves until backend_stop has drained. */
void backend_run(struct backend *backend);
void backend_stop(struct backend *backend);
/* Not while backend_run is running. NULL is allowed. */
void backend_close(struct backend *backend);

#endif
