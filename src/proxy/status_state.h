/* status_state.h - what the files of the status page share: status.c (its app), status_json.c,
 * status_metrics.c. */
#ifndef PROXY_STATUS_STATE_H
#define PROXY_STATUS_STATE_H

#include "proxy/proxy_state.h"
#include "proxy/status.h"
#include "proxy/status_sample.h"

struct status {
    struct proxy *proxy;
    struct wr_app *app;
    struct sampler sampler;
    int64_t began_s; /* since 1970 */
    uint64_t began_ms;
    uv_thread_t thread;
    bool started;
};

/* Compiled in from src/proxy/status_page. */
extern const struct wr_asset status_assets[];
extern const size_t status_assets_count;

/* The state of a server in a word: "up", "slow-start", "trial", "down". */
const char *status_word(const struct group *group, const struct upstream *upstream, uint64_t now_ms);
/* When the site at work came to work, when a newer one was refused since then (0: never), in seconds since
 * 1970, and how many ever were. */
struct status_reloads {
    int64_t loaded_s, refused_s;
    uint64_t refused;
};
struct status_reloads status_reloads(struct proxy *proxy);

/* /status.json: everything; with ?since=N also the samples from the number N on. */
void status_json(struct wr_request *request, void *status);
/* /metrics */
void status_metrics(struct wr_request *request, void *status);

#endif
