/* change.h - what of an app can be changed while it runs: where it listens, and its settings.
 *
 * A change is prepared, which does everything that can fail and changes nothing, and then committed, which
 * cannot fail; or abandoned. So what belongs together changes together, or not at all.
 *
 * Rules: before wr_run, or on the first worker's thread while it runs. One change at a time: the next is
 * prepared when the one before is committed or abandoned. The workers follow soon, by a post
 * (wr_worker_post): what was posted to a worker before the commit it does before. */
#ifndef WEB_CHANGE_H
#define WEB_CHANGE_H

#include "base/err.h"
#include "weaprous/weaprous.h"

struct app_listen {
    const char *ip; /* as wr_listen */
    uint16_t port;
    const struct wr_tls *tls; /* NULL: without TLS */
    uint16_t
        redirect_https; /* requests are sent to https on this port, as wr_redirect_to_https does; 0: not */
};

struct app_settings {
    /* As in struct wr_config; 0: no limit. */
    unsigned header_timeout_ms, body_timeout_ms, idle_timeout_ms, answer_timeout_ms, write_timeout_ms;
    size_t header_bytes_max;
    unsigned connections_max;             /* 0: what the descriptor limit allows less 64 */
    unsigned connections_per_address_max; /* 0: no limit; connections that are open already are not counted
                                             when there was none */
    const char
        *trusted_proxies; /* as wr_trust_proxies; NULL: nobody is. Also for connections that are open */
    enum wr_proxy_fields proxy_fields;
    const char *access_log; /* a file, "-": standard output; NULL: none */
    enum wr_log_format access_format;
    bool timed; /* how long answers take is counted (metrics) also without an access log */
};

struct app_change;

/* settings NULL: they stay as they are. wanted NULL: so do the listeners; else the app will listen exactly
 * there.
 *
 * An address where it listens already keeps its sockets and what waits there; TLS and redirect are those of
 * the change for connections that are accepted from then on. At a new one connections may wait from now on,
 * and are accepted after the commit. One that is not wanted any more accepts what waits, then closes; open
 * connections stay.
 *
 * WR_INVALID, WR_SYSTEM, WR_MEMORY, WR_CLOSED (the server is stopping), with wr_app_error: nothing has
 * changed. Keeps nothing of the arguments. */
int app_prepare(struct wr_app *app, const struct app_settings *settings, const struct app_listen *wanted,
                size_t count, struct app_change **out) BASE_CHECKED;
void app_commit(struct app_change *change);
/* NULL is allowed. */
void app_abandon(struct app_change *change);

/* Both at once. */
int app_set_listeners(struct wr_app *app, const struct app_listen *wanted, size_t count) BASE_CHECKED;
int app_set_settings(struct wr_app *app, const struct app_settings *settings) BASE_CHECKED;

/* The settings of now; at first those of wr_config. Texts are borrowed until the next commit. */
void app_settings_of(const struct wr_app *app, struct app_settings *out);

#endif
