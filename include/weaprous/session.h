/* session.h - who a request comes from: sessions kept by the server, named by a random cookie. */
#ifndef WEAPROUS_SESSION_H
#define WEAPROUS_SESSION_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The sessions of one app: in memory, shared by its workers, gone when the program ends. The cookie holds 256
 * random bits in hex; memory holds only their hash. */
struct wr_sessions;

struct wr_session_options {
    const char *cookie;       /* its name, default "session" */
    unsigned lifetime_s;      /* without a request, default 12 h */
    unsigned lifetime_max_s;  /* in all, default 30 days */
    size_t sessions_max;      /* default 100,000; one more ends the one unused for longest */
    size_t session_bytes_max; /* values of one session, default 4 KiB */
    bool strict;              /* SameSite=Strict instead of Lax */
};
WR_API void wr_session_options_init(struct wr_session_options *options);
/* options NULL: the defaults. Lives as long as the app. Before wr_run. NULL without memory, while the app
 * runs, or when the name of the cookie is none. */
WR_API struct wr_sessions *wr_sessions_new(struct wr_app *app,
                                           const struct wr_session_options *options) WR_CHECKED;

/* Begins a session: sets the cookie on the answer to come (HttpOnly, SameSite, Secure when the client speaks
 * https) and ends the one that the request had, so that nobody can plant one. 0 or WR_MEMORY. */
WR_API int wr_session_start(struct wr_sessions *sessions, struct wr_request *request) WR_CHECKED;
/* True when the request has a session. Renews it. */
WR_API bool wr_session_exists(struct wr_sessions *sessions, struct wr_request *request);
/* A value of the request's session; NULL when it has none. Lives until the request is released. */
WR_API const char *wr_session_get(struct wr_sessions *sessions, struct wr_request *request, const char *key);
/* value NULL removes. WR_INVALID: the request has no session; WR_FULL; WR_MEMORY. */
WR_API int wr_session_set(struct wr_sessions *sessions, struct wr_request *request, const char *key,
                          const char *value) WR_CHECKED;
/* Ends it and deletes the cookie. Nothing happens without one. */
WR_API void wr_session_end(struct wr_sessions *sessions, struct wr_request *request);
/* Ends every session whose value of key is this: log out everywhere. Returns how many. From any thread. */
WR_API size_t wr_session_end_all(struct wr_sessions *sessions, const char *key, const char *value);
WR_API size_t wr_session_count(struct wr_sessions *sessions);

#ifdef __cplusplus
}
#endif

#endif
