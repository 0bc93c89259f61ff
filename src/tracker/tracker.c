#include "tracker/tracker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "crypto/native.h"
#include "store/accounts_sql.h"
#include "tracker/audit.h"
#include "tracker/call.h"
#include "tracker/classic.h"
#include "tracker/measures.h"
#include "tracker/channels.h"
#include "tracker/events.h"
#include "tracker/holder.h"
#include "tracker/ice.h"
#include "tracker/person.h"
#include "tracker/remote.h"
#include "tracker/pool.h"
#include "tracker/job.h"
#include "tracker/socket.h"
#include "tracker/state.h"
#include "tracker/webdevice.h"

#define HOUSEKEEPING_MS 5000
#define HOUSES_PER_PURGE 12
#define ADMIN_TICKET_MS ((int64_t)24 * 3600 * 1000)
#define LOG_PAUSE_MS 60000
#define QUOTA_ACCOUNTS 4096
/* An account may relay this many seconds' worth at once. */
#define QUOTA_BURST_S 4

/* --- time and log --- */

static uint64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The wall clock, except that it never goes back: when that was set back, this goes on at the pace of the
 * monotonic clock. */
uint64_t tracker_now_us(struct tracker *tracker)
{
    uint64_t ns = uv_hrtime(), wall = wall_us();
    uint64_t steady = tracker->clock_us + (ns - tracker->clock_ns) / 1000;
    tracker->clock_us = wall > steady ? wall : steady;
    tracker->clock_ns = ns;
    return tracker->clock_us;
}

static void log_line(struct tracker *tracker, enum wr_log_level level, const char *form, va_list arguments)
{
    char line[512];
    if (!tracker->config.log && !tracker->config.log_file) return;
    vsnprintf(line, sizeof line, form, arguments);
    if (tracker->config.log_file) {
        wr_log(tracker->app, (int)level, "%s", line);
        return;
    }
    tracker->config.log(tracker->config.log_context, level, line);
}

void tracker_log(struct tracker *tracker, enum wr_log_level level, const char *form, ...)
{
    va_list arguments;
    va_start(arguments, form);
    log_line(tracker, level, form, arguments);
    va_end(arguments);
}

void tracker_log_some(struct tracker *tracker, enum log_kind kind, const char *form, ...)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    if (tracker->logged_ms[kind] && now_ms < tracker->logged_ms[kind] + LOG_PAUSE_MS) {
        tracker->not_logged[kind]++;
        return;
    }
    if (tracker->not_logged[kind])
        tracker_log(tracker, WR_LOG_WARNING, "%u more like the next line", tracker->not_logged[kind]);
    tracker->logged_ms[kind] = now_ms;
    tracker->not_logged[kind] = 0;
    va_list arguments;
    va_start(arguments, form);
    log_line(tracker, WR_LOG_WARNING, form, arguments);
    va_end(arguments);
}

/* --- opening --- */

static void wake(void *context)
{
    struct tracker *tracker = context;
    uv_async_send(&tracker->store_wake);
}

static void store_woke(uv_async_t *async)
{
    struct tracker *tracker = async->data;
    store_complete(tracker->store);
    replica_pump(tracker);
}

static void keep_house(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    signals_forget_old(tracker);
    sockets_check_sessions(tracker);
    measures_take(tracker);
    classic_housekeeping(tracker);
    if (tracker->houses++ % HOUSES_PER_PURGE) return;
    audit_keep_house(tracker);
    struct store_row row = {.time_ms = tracker_now_ms(tracker)};
    if (store_submit(tracker->store, STORE_SESSION_PURGE, &row, NULL, NULL))
        tracker_log_some(tracker, LOG_STORE, "old sessions were not removed: the store is busy");
}

static int open_loop(struct tracker *tracker)
{
    struct wr_config config;
    wr_config_init(&config);
    config.body_bytes_max = 64 * 1024;
    config.connections_per_address_max = 4096; /* a school or an office can be one address */
    config.log = tracker->config.log;
    config.log_context = tracker->config.log_context;
    tracker->app = wr_app_new(&config);
    if (!tracker->app) return ERR_MEMORY;
    tracker->loop = wr_loop(tracker->app);
    if (uv_async_init(tracker->loop, &tracker->store_wake, store_woke)) return ERR_MEMORY;
    uv_timer_init(tracker->loop, &tracker->node_timer);
    uv_timer_init(tracker->loop, &tracker->quota_timer);
    uv_timer_init(tracker->loop, &tracker->housekeeping_timer);
    tracker->store_wake.data = tracker;
    tracker->node_timer.data = tracker;
    tracker->quota_timer.data = tracker;
    tracker->housekeeping_timer.data = tracker;
    tracker->handles_open = true;
    return OK;
}

static int open_tables(struct tracker *tracker)
{
    uint8_t secret[16];
    crypto_native_random(secret, sizeof secret);
    double rate = tracker->config.relay_bytes_per_second;
    struct rate quota = {rate, rate * QUOTA_BURST_S};
    handles_init(&tracker->clients, &allocator_libc);
    handles_init(&tracker->relays, &allocator_libc);
    handles_init(&tracker->ports, &allocator_libc);
    handles_init(&tracker->bridges, &allocator_libc);
    handles_init(&tracker->jobs, &allocator_libc);
    map_init(&tracker->online, &allocator_libc, HANDLES_MAX, secret);
    int err = rates_init(&tracker->relay_quota, &allocator_libc, QUOTA_ACCOUNTS, quota, secret);
    if (!err) err = audit_open(tracker, secret);
    if (!err) err = remotes_init(tracker, secret);
    if (!err) err = people_open(tracker);
    if (!err) err = holder_prepare(tracker);
    return err;
}

static int host(void *context, slice name)
{
    struct tracker *tracker = context;
    if (tracker->channel_count == HOSTED_MAX) return ERR_FULL;
    struct hosted *hosted = &tracker->channels[tracker->channel_count];
    if (name.len > sizeof hosted->name_room) return ERR_TOO_LARGE;
    memcpy(hosted->name_room, name.ptr, name.len);
    hosted->name = slice_of(hosted->name_room, name.len);
    channel_id(crypto_native(), tracker->device, name, hosted->id);
    hex_encode(slice_of(hosted->id, ID_BYTES), hosted->id_text);
    /* The same name twice is one channel. */
    for (size_t i = 0; i < tracker->channel_count; i++) {
        if (memcmp(tracker->channels[i].id, hosted->id, ID_BYTES) == 0) return OK;
    }
    tracker->channel_count++;
    return OK;
}

static int open_identity(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    const struct crypto *crypto = crypto_native();
    crypto_native_random(tracker->seed, sizeof tracker->seed);
    int err = store_secret(tracker->store, "identity", tracker->seed);
    if (err) {
        snprintf(why, TRACKER_WHY_BYTES, "The server's identity cannot be kept in %s: %s.",
                 tracker->config.database, err_text(err));
        return err;
    }
    crypto->sign_public(crypto->context, tracker->device, tracker->seed);
    hex_encode(slice_of(tracker->device, ID_BYTES), tracker->device_text);
    err = host(tracker, SLICE(CHANNEL_NAME));
    if (!err) err = store_each_hosted(tracker->store, host, tracker);
    if (err)
        snprintf(why, TRACKER_WHY_BYTES, "The channels in %s cannot be read: %s.", tracker->config.database,
                 err_text(err));
    return err;
}

/* --- what the accounts ask of the tracker --- */

static uint64_t accounts_now(void *context)
{
    return tracker_now_ms(context);
}

static void accounts_page(void *context, struct wr_request *request, int status, const char *message)
{
    if (status == 401)
        pages_respond(context, request, 401);
    else
        wr_respond_error(request, status, message);
}

static void accounts_logged_out(void *context, const uint8_t session[SESSION_HASH_BYTES])
{
    sockets_log_out(context, session);
}

static void accounts_trouble(void *context, int err)
{
    tracker_log_some(context, LOG_STORE, "a request failed: %s", err_text(err));
}

static void accounts_changed(void *context, int64_t account)
{
    sockets_account_changed(context, account);
}

static void admin_found(void *context, int result, const struct store_rows *rows)
{
    bool *there = context;
    *there = !result && rows->count > 0;
}

/* Whoever opens a link with it becomes the administrator, as long as there is none. */
static int make_admin_ticket(struct tracker *tracker)
{
    bool there = false;
    uint8_t hash[TICKET_HASH_BYTES];
    int64_t now_ms = (int64_t)tracker_now_ms(tracker);
    int err = store_ask_now(tracker->store, &STORE_ADMIN_LOOK, NULL, 0, admin_found, &there);
    if (err || there) return err;
    ticket_new(tracker->admin_ticket, hash);
    const struct store_value values[] = {store_id(hash), store_number(STORE_TICKET_ADMIN), store_id(NULL),
                                         store_number(now_ms), store_number(now_ms + ADMIN_TICKET_MS)};
    return store_ask_now(tracker->store, &STORE_TICKET_ADD, values, 5, NULL, NULL);
}

const char *tracker_admin_ticket(const struct tracker *tracker)
{
    return tracker->admin_ticket[0] ? tracker->admin_ticket : NULL;
}

static int open_accounts(struct tracker *tracker)
{
    const struct accounts_config config = {.app = tracker->app,
                                           .store = tracker->store,
                                           .loop = tracker->loop,
                                           .registers = true,
                                           .registration = tracker->config.registration,
                                           .page_origins = tracker->config.page_origins,
                                           .event = audit_event,
                                           .account_changed = accounts_changed,
                                           .after_login = "/",
                                           .after_logout = "/login",
                                           .now_ms = accounts_now,
                                           .home = tracker,
                                           .page = accounts_page,
                                           .greet = people_greet,
                                           .logged_out = accounts_logged_out,
                                           .landing = pool_landing,
                                           .trouble = accounts_trouble,
                                           .context = tracker};
    return accounts_open(&config, &tracker->accounts);
}

static int open_logs(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    const struct tracker_config *config = &tracker->config;
    if ((config->access_log && wr_access_log(tracker->app, WR_LOG_COMBINED, config->access_log)) ||
        (config->log_file && wr_error_log(tracker->app, WR_LOG_COMBINED, config->log_file))) {
        snprintf(why, TRACKER_WHY_BYTES, "weaprous %s.", wr_app_error(tracker->app));
        return ERR_INVALID;
    }
    return OK;
}

static int open_routes(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    if (wr_security_headers(tracker->app, tracker->config.page_policy)) return ERR_MEMORY;
    int err = measures_open(tracker, why);
    if (!err) err = ice_open(tracker, why);
    if (!err) err = pages_open(tracker);
    if (!err) err = open_accounts(tracker);
    if (!err) err = calls_open(tracker);
    if (!err) err = channel_export_open(tracker);
    if (!err) err = classic_open(tracker);
    if (!err) err = sockets_open(tracker);
    if (!err) err = outlets_open(tracker);
    return err;
}

static int open_listeners(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    uint16_t port = tracker->config.port;
    const char *proxies = tracker->config.trusted_proxies;
    if (proxies && wr_trust_proxies(tracker->app, proxies, WR_X_FORWARDED)) {
        snprintf(why, TRACKER_WHY_BYTES, "In --trusted-proxies %s.", wr_app_error(tracker->app));
        return ERR_INVALID;
    }
    for (size_t i = 0; i < tracker->config.ip_count; i++) {
        if (wr_listen(tracker->app, tracker->config.ips[i], port, tracker->config.tls)) {
            /* The library's sentence begins with "cannot listen on". */
            snprintf(why, TRACKER_WHY_BYTES, "weaprous %s", wr_app_error(tracker->app));
            return ERR_EXISTS;
        }
        if (!port) port = wr_port(tracker->app);
    }
    return OK;
}

int tracker_open(const struct tracker_config *config, struct tracker **out_tracker,
                 char why[TRACKER_WHY_BYTES])
{
    struct tracker *tracker = calloc(1, sizeof *tracker);
    snprintf(why, TRACKER_WHY_BYTES, "There is not enough memory.");
    if (!tracker) return ERR_MEMORY;
    tracker->config = *config;
    tracker->clock_us = wall_us();
    tracker->clock_ns = uv_hrtime();

    int err = open_loop(tracker);
    if (!err) err = open_tables(tracker);
    if (!err) err = peers_open(tracker, why);
    if (!err && config->prepare) {
        err = config->prepare(config->prepare_context);
        if (err) why[0] = '\0';
    }
    if (!err) {
        char store_why[STORE_WHY_BYTES] = "";
        struct store_options options = {.path = config->database,
                                        .wake = wake,
                                        .wake_context = tracker,
                                        .pages_max = config->database_pages_max};
        err = store_open(&options, &tracker->store, store_why);
        if (err) snprintf(why, TRACKER_WHY_BYTES, "%s", store_why);
    }
    if (!err) err = open_identity(tracker, why);
    if (!err) err = make_admin_ticket(tracker);
    if (!err) err = channels_open(tracker);
    if (!err) err = holder_open(tracker, why);
    if (!err) err = open_logs(tracker, why);
    if (!err) err = open_routes(tracker, why);
    if (!err) err = open_listeners(tracker, why);
    if (err) {
        tracker_close(tracker);
        return err;
    }
    uv_timer_start(&tracker->housekeeping_timer, keep_house, 0, HOUSEKEEPING_MS);
    *out_tracker = tracker;
    return OK;
}

/* --- serving and stopping --- */

uint16_t tracker_port(const struct tracker *tracker)
{
    return wr_port(tracker->app);
}

struct uv_loop_s *tracker_loop(struct tracker *tracker)
{
    return tracker->loop;
}

void tracker_run(struct tracker *tracker)
{
    if (wr_run(tracker->app)) tracker_log(tracker, WR_LOG_ERROR, "%s", wr_app_error(tracker->app));
}

void tracker_reopen_logs(struct tracker *tracker)
{
    wr_log_reopen(tracker->app);
}

void tracker_stop(struct tracker *tracker)
{
    if (tracker->stopping) return;
    tracker->stopping = true;
    holder_retire(tracker);
    sockets_goodbye(tracker);
    outlets_stop(tracker);
    wr_stop(tracker->app);
}

/* Requests that still wait are answered on the way: passwords first, because their next step is the store. */
void tracker_close(struct tracker *tracker)
{
    if (!tracker) return;
    tracker->stopping = true;
    if (tracker->accounts) {
        accounts_stop(tracker->accounts);
        while (accounts_running(tracker->accounts))
            uv_run(tracker->loop, UV_RUN_ONCE);
    }
    channels_stop(tracker);
    while (holder_is_busy(tracker))
        uv_run(tracker->loop, UV_RUN_ONCE);
    outlets_stop(tracker);
    people_stop(tracker);
    store_close(tracker->store);
    web_close(tracker);
    jobs_close(tracker);
    channels_close(tracker);
    holder_close(tracker);
    peers_close(tracker);
    if (tracker->handles_open) {
        uv_close((uv_handle_t *)&tracker->store_wake, NULL);
        uv_close((uv_handle_t *)&tracker->node_timer, NULL);
        uv_close((uv_handle_t *)&tracker->quota_timer, NULL);
        uv_close((uv_handle_t *)&tracker->housekeeping_timer, NULL);
        outlets_close(tracker);
    }
    wr_app_free(tracker->app);
    classic_close(tracker);
    if (tracker->relay_quota.slots) rates_deinit(&tracker->relay_quota);
    audit_close(tracker);
    accounts_free(tracker->accounts);
    measures_free(tracker);
    ice_close(tracker);
    if (tracker->online.allocator) map_deinit(&tracker->online);
    if (tracker->clients.allocator) handles_deinit(&tracker->clients);
    if (tracker->relays.allocator) handles_deinit(&tracker->relays);
    if (tracker->ports.allocator) handles_deinit(&tracker->ports);
    if (tracker->bridges.allocator) handles_deinit(&tracker->bridges);
    if (tracker->jobs.allocator) handles_deinit(&tracker->jobs);
    remotes_deinit(tracker);
    people_close(tracker);
    free(tracker->outlets);
    free(tracker->bus_folder);
    volatile uint8_t *seed = tracker->seed;
    for (size_t i = 0; i < sizeof tracker->seed; i++)
        seed[i] = 0;
    free(tracker);
}
