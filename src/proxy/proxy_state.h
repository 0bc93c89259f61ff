/* proxy_state.h - what the files of the proxy as a whole share: proxy.c (life), proxy_reload.c (another
 * configuration), site.c (configurations at work), status.c (what is told about it).
 *
 * The thread that calls proxy_run is that of the first worker: it reloads, checks the servers, and frees what
 * other threads have let go. */
#ifndef PROXY_PROXY_STATE_H
#define PROXY_PROXY_STATE_H

#include "proxy/forward.h"
#include "proxy/health.h"
#include "proxy/proxy.h"
#include "proxy/site.h"
#include "web/change.h"

struct status;

/* The settings of listeners, made anew by each reload: one for each listener, NULL without TLS. */
struct tls_set {
    struct wr_tls **at;
    size_t count;
};

struct proxy {
    struct wr_app *app;
    struct proxy_options options; /* its texts are copies */
    struct registry registry;
    struct forward_shared shared;
    struct health *health; /* while the first worker runs */
    struct site *checked;  /* whose groups it checks; held */
    struct tls_set tls;
    struct status *status; /* NULL: no status page */
    uint64_t numbers;      /* sites that came to work so far */
    uint16_t port;         /* of the listener of the options, once it is known */
    int failure;           /* why it cannot serve; atomic */
    uv_mutex_t lock;
    struct site *site;     /* at work, held; guarded by it */
    int64_t loaded_s;      /* since when, in seconds since 1970; guarded */
    int64_t refused_s;     /* when a newer configuration was refused last; 0: none since then; guarded */
    uint64_t refused;      /* how many ever were; guarded */
    struct site *released; /* nobody holds them; guarded */
    bool collecting;       /* the first worker will look at them; guarded */
};

/* --- site.c --- */

/* A site that nobody works by yet, held by the caller. Takes the configuration, also on error. As proxy_new.
 */
int site_new(struct proxy *proxy, struct config *config, struct site **out,
             char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* What to say when group_new failed; without memory nothing is said. */
void group_explain(const struct config_group *group, int err, const char *trouble, char why[PROXY_WHY_BYTES]);
/* The one at work, held for the caller. Any thread. */
struct site *site_at_work(struct proxy *proxy);
/* Frees those that were released. */
void sites_collect(struct proxy *proxy);

/* --- proxy_reload.c --- */

/* The settings of all listeners of a configuration, in their order. As proxy_new. */
int tls_set_read(const struct config *config, struct tls_set *out, char why[PROXY_WHY_BYTES]) BASE_CHECKED;
void tls_set_free(struct tls_set *set);
/* Where the configuration says to listen, and the settings of the app: everything that can fail. As
 * proxy_new.
 */
int proxy_prepare(struct proxy *proxy, const struct config *config, const struct tls_set *tls,
                  struct app_change **out, char why[PROXY_WHY_BYTES]) BASE_CHECKED;
void proxy_commit(struct proxy *proxy, const struct config *config, struct app_change *change);
/* The checks go on with this site. */
int proxy_check_servers(struct proxy *proxy, struct site *site) BASE_CHECKED;

/* The clock of upstream.h. */
uint64_t proxy_now_ms(void);
void proxy_log(const struct proxy *proxy, enum wr_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
