/* settings.h - what of an app can change while it runs, as one set. Each worker has one and looks nowhere
 * else, so that it never sees a mixture; a change (change.h) puts another set in its place.
 *
 * Rules: constant once a worker runs with it; before wr_run the app's, which all workers hold, is filled in.
 * Held and released on any thread. */
#ifndef WEB_SETTINGS_H
#define WEB_SETTINGS_H

#include "http/forwarded.h"
#include "http/head.h"
#include "weaprous/weaprous.h"

struct log_sink;
struct app_settings;

struct settings {
    unsigned owners; /* atomic */
    bool timed;      /* how long answers take is of interest */
    unsigned header_timeout_ms, body_timeout_ms, idle_timeout_ms, answer_timeout_ms, write_timeout_ms;
    unsigned connections_max, connections_per_address_max;
    struct http_limits limits;  /* of heads */
    struct ip_network *trusted; /* proxies */
    size_t trusted_count;
    enum forwarded_kind trusted_kind;
    char *trusted_text;      /* as it was given; NULL: none */
    struct log_sink *access; /* held; NULL: no access log */
};

/* Those that the configuration of the app tells. NULL without memory. */
struct settings *settings_new(const struct wr_config *config);
struct settings *settings_hold(struct settings *settings);
/* NULL is allowed. */
void settings_release(struct settings *settings);
/* networks as wr_trust_proxies takes it; NULL: none are. WR_INVALID with wr_app_error, WR_MEMORY: as before.
 */
int settings_trust(struct settings *settings, struct wr_app *app, const char *networks,
                   enum wr_proxy_fields fields) BASE_CHECKED;
/* True when this is the address of a trusted proxy. */
static inline bool settings_trusts(const struct settings *s, const uint8_t address[IP_BYTES])
{
    return s->trusted_count > 0 && ip_networks_have(s->trusted, s->trusted_count, address);
}
/* True when both trust the same proxies. */
bool settings_trust_same(const struct settings *a, const struct settings *b);

#endif
