#include "cli/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/data.h"
#include "cli/pool_secret.h"
#include "cli/server.h"
#include "cli/trace_file.h"
#include "crypto/native.h"
#include "tracker/tracker.h"
#ifdef WEAPROUS_PAGE
#include "page/page.h"
#endif

struct serving {
    const struct serve_options *options;
    const char *database;
    struct tracker *tracker;
    struct wr_tls *tls;
    char pool_secret[POOL_SECRET_BYTES_MAX + 1];
    enum registration registration;
    bool known;
};

static void end(void *context)
{
    struct serving *serving = context;
    tracker_stop(serving->tracker);
}

static void reload(void *context)
{
    struct serving *serving = context;
    server_tls_reload(serving->tls);
    tracker_reopen_logs(serving->tracker);
}

static size_t listen_addresses(const struct serve_options *options, const char *out_ips[3])
{
    size_t count = 0;
    if (options->lan || server_is_any(options->server_ip)) {
        out_ips[count++] = strcmp(options->server_ip, "::") == 0 ? "::" : "0.0.0.0";
        return count;
    }
    out_ips[count++] = options->server_ip;
    if (options->host && strcmp(options->host, options->server_ip) != 0) {
        if (server_is_any(options->host)) count = 0; /* all addresses include the other one */
        out_ips[count++] = options->host;
    }
    return count;
}

static int prepare(void *context)
{
    struct serving *serving = context;
    return server_classroom(serving->database, serving->options->classroom, &serving->known);
}

static int open_tracker(struct serving *serving, struct trace_file *trace)
{
    const struct serve_options *options = serving->options;
    const char *ips[3];
    char why[TRACKER_WHY_BYTES];
    struct tracker_config config = {.database = serving->database,
                                    .prepare = prepare,
                                    .prepare_context = serving,
                                    .shared_folder = options->shared ? options->data : NULL,
                                    .ips = ips,
                                    .ip_count = listen_addresses(options, ips),
                                    .port = (uint16_t)options->port,
                                    .tls = serving->tls,
                                    .trusted_proxies = options->trusted_proxies,
                                    .page_origins = options->page_origins,
                                    .registration = serving->registration,
                                    .classroom = options->classroom,
                                    .pool_secret = serving->pool_secret,
                                    .access_log = options->access_log,
                                    .log_file = options->log_file,
                                    .metrics_from = options->metrics_from,
                                    .relay_bytes_per_second = (double)options->relay_rate,
                                    .relay_total_per_second = (double)options->relay_total,
                                    .ice_servers = options->ice_servers,
                                    .turn_secret_file = options->turn_secret,
                                    .conversation_bytes = options->keep_mb * 1024 * 1024,
                                    .conversation_days = (uint32_t)options->keep_days,
                                    .trace = trace ? trace_file_write : NULL,
                                    .trace_context = trace,
                                    .log = server_log,
                                    .log_context = (void *)(uintptr_t)&options->verbose};
#ifdef WEAPROUS_PAGE
    config.page = page_assets;
    config.page_count = page_assets_count;
    config.page_policy = page_content_security_policy;
#endif
    int err = tracker_open(&config, &serving->tracker, why);
    if (err == ERR_EXISTS)
        complain("%s; choose another with --server-port or --server-ip.", why);
    else if (err && why[0])
        complain("%s", why);
    return err;
}

/* Who may make an account, and whose pages may use the server; complains about what is not right. */
static bool read_options(const struct serve_options *options, enum registration *out)
{
    static const char *const names[] = {"open", "invite", "closed"};
    struct origins origins;
    const char *problem = origins_read(&origins, options->page_origins);
    if (problem) {
        complain("In --page-origins %s", problem);
        return false;
    }
    *out = REGISTRATION_OPEN;
    if (!options->registration) return true;
    for (int i = REGISTRATION_OPEN; i <= REGISTRATION_CLOSED; i++) {
        *out = (enum registration)i;
        if (strcmp(options->registration, names[i]) == 0) return true;
    }
    complain("--registration is open, invite or closed, not \"%s\".", options->registration);
    return false;
}

static void print_admin_link(const struct serving *serving)
{
    const struct serve_options *options = serving->options;
    const char *ticket = tracker_admin_ticket(serving->tracker);
    const char *ip = options->lan || server_is_any(options->server_ip) ? "127.0.0.1" : options->server_ip;
    char url[SERVER_URL_BYTES];
    if (!ticket) return;
    server_url(url, options->tls_cert != NULL, ip, tracker_port(serving->tracker));
    printf("There is no administrator yet. To become it, open this, which works once and for a day:\n"
           "    %sadmin?ticket=%s\n",
           url, ticket);
    fflush(stdout);
}

static int run(const struct serve_options *options, enum registration registration, const char *database,
               void (*started)(const struct serve_options *options, uint16_t port, bool known))
{
    struct serving serving = {.options = options, .database = database, .registration = registration};
    struct trace_file *trace = NULL;
    int err = options->trace ? trace_file_open(options->trace, &trace) : OK;
    if (!err) err = server_tls(options->tls_cert, options->tls_key, &serving.tls);
    if (!err) err = pool_secret_open(options->data, serving.pool_secret);
    if (!err) err = open_tracker(&serving, trace);
    if (!err) {
        struct server_signals signals = {.end = end, .reload = reload, .context = &serving};
        server_signals_start(&signals, tracker_loop(serving.tracker));
        started(options, tracker_port(serving.tracker), serving.known);
        print_admin_link(&serving);
        tracker_run(serving.tracker);
        server_signals_stop(&signals);
        tracker_close(serving.tracker);
    }
    wr_tls_free(serving.tls);
    trace_file_close(trace);
    return err;
}

int serve(const struct serve_options *options,
          void (*started)(const struct serve_options *options, uint16_t port, bool known))
{
    int lock;
    enum registration registration;
    if (!read_options(options, &registration)) return EXIT_USAGE;
    server_raise_descriptors();
    if (data_open(options->data, options->shared ? DATA_SHARED : DATA_ALONE, &lock)) return EXIT_STOPPED;
    char *database = data_database(options->data);
    int err = database && !crypto_native_start() ? OK : ERR_MEMORY;
    if (err)
        complain("weaprous cannot start: no memory, or no randomness from the system.");
    else
        err = run(options, registration, database, started);
    free(database);
    data_close(lock);
    return err ? EXIT_STOPPED : EXIT_OK;
}
