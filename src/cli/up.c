/* weaprous up: the tracker and the page on one port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "cli/qr.h"
#include "cli/server.h"
#include "cli/trace_file.h"
#include "crypto/native.h"
#include "tracker/tracker.h"
#ifdef WEAPROUS_PAGE
#include "page/page.h"
#endif

struct up_options {
    const char *server_ip, *host, *data, *trace;
    const char *tls_cert, *tls_key, *trusted_proxies;
    uint64_t port, relay_rate;
    bool lan, classroom, verbose;
};

static const char usage[] =
    "Usage: weaprous up [OPTIONS]\n\n"
    "Starts the server: people open its address in a browser, choose a name and a password, and chat.\n"
    "It keeps everything in one folder and finds it again at the next start. Ctrl-C stops it.\n";

static enum args_result parse(struct up_options *options, int argc, char **argv)
{
    const struct arg args[] = {
        {"server-ip", ARG_IP, &options->server_ip, "IP",
         "address to listen on (default 127.0.0.1: this computer only)", 0, 0},
        {"server-port", ARG_NUMBER, &options->port, "PORT",
         "port to listen on (default 8080; 0: any free one)", 0, 65535},
        {"host", ARG_IP, &options->host, "IP",
         "listen on this address of this computer too, for others to reach", 0, 0},
        {"lan", ARG_FLAG, &options->lan, NULL, "listen on all addresses: everybody in the network can join",
         0, 0},
        {"data", ARG_TEXT, &options->data, "DIR", "folder for everything that is kept (default ./data)", 0,
         0},
        {"tls-cert", ARG_TEXT, &options->tls_cert, "FILE", "certificate and its chain (PEM): serves HTTPS", 0,
         0},
        {"tls-key", ARG_TEXT, &options->tls_key, "FILE", "its key (PEM)", 0, 0},
        {"trusted-proxies", ARG_TEXT, &options->trusted_proxies, "LIST",
         "reverse proxies whose X-Forwarded-For and -Proto are believed:\n"
         "addresses and networks (127.0.0.1,10.0.0.0/8)",
         0, 0},
        {"relay-rate", ARG_NUMBER, &options->relay_rate, "BYTES",
         "bytes per second that one account may send through the relay, when\n"
         "browsers cannot reach each other directly (default 4194304)",
         1, (uint64_t)1 << 40},
        {"classroom", ARG_FLAG, &options->classroom, NULL,
         "for courses only: adds the account admin with the password\n"
         "\"password\", and the five channels",
         0, 0},
        {"trace", ARG_TEXT, &options->trace, "FILE",
         "record everything that goes into the replica in a new file, for\n\"weaprous trace\"; it then holds "
         "the secret key of the server",
         0, 0},
        {"verbose", ARG_FLAG, &options->verbose, NULL, "log what goes well too", 0, 0},
    };
    char name[] = "up";
    argv[0] = name;
    enum args_result result = args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
    if (result != ARGS_OK) return result;
    return server_tls_complete(name, options->tls_cert, options->tls_key) ? ARGS_OK : ARGS_WRONG;
}

/* --- what is printed at the start --- */

static void print_welcome(const struct up_options *options, uint16_t port, bool known)
{
    char addresses[SERVER_ADDRESSES_MAX][INET6_ADDRSTRLEN], url[SERVER_URL_BYTES], best[SERVER_URL_BYTES];
    bool all =
        options->lan || server_is_any(options->server_ip) || (options->host && server_is_any(options->host));
    bool with_v6 =
        strcmp(options->server_ip, "::") == 0 || (options->host && strcmp(options->host, "::") == 0);
    size_t count = all ? server_addresses(with_v6, addresses) : 0;
    const char *own = server_is_any(options->server_ip) || options->lan ? "127.0.0.1" : options->server_ip;
    bool others =
        count > 0 || (options->host && !server_is_any(options->host)) || strncmp(own, "127.", 4) != 0;

    printf("weaprous %s is running.\n\n", wr_version());
    server_url(url, options->tls_cert != NULL, own, port);
    printf("    %s\n", url);
    memcpy(best, url, sizeof best);
    for (size_t i = 0; i < count; i++) {
        server_url(url, options->tls_cert != NULL, addresses[i], port);
        printf("    %s   for others in this network\n", url);
        if (i == 0) memcpy(best, url, sizeof best);
    }
    if (options->host && !server_is_any(options->host)) {
        server_url(url, options->tls_cert != NULL, options->host, port);
        printf("    %s   for others\n", url);
        memcpy(best, url, sizeof best);
    }
    printf("\n");
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    qr_print(stdout, best, colour);
    printf("\nOpen the address in a browser, or scan the code with a phone%s; choose a name and a\n"
           "password, and write in #general.%s\n"
           "Everything is kept in %s. Ctrl-C stops the server.\n",
           others ? "" : " (after a start with --lan)",
           others ? "" : " To let others in this network join, start with --lan.", options->data);
    fflush(stdout);
    if (options->classroom || known) server_print_classroom(options->classroom, known, options->data);
}

/* --- running --- */

struct serving {
    struct tracker *tracker;
    struct wr_tls *tls;
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
}

static void serve(struct serving *serving, const struct up_options *options, bool known)
{
    struct server_signals signals = {.end = end, .reload = reload, .context = serving};
    server_signals_start(&signals, tracker_loop(serving->tracker));
    print_welcome(options, tracker_port(serving->tracker), known);
    tracker_run(serving->tracker);
    server_signals_stop(&signals);
    tracker_close(serving->tracker);
}

static size_t listen_addresses(const struct up_options *options, const char *out_ips[3])
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

static int open_and_serve(struct up_options *options, const char *database, bool known,
                          struct trace_file *trace)
{
    const char *ips[3];
    char why[TRACKER_WHY_BYTES];
    struct serving serving = {0};
    int err = server_tls(options->tls_cert, options->tls_key, &serving.tls);
    if (err) return err;
    struct tracker_config config = {.database = database,
                                    .ips = ips,
                                    .ip_count = listen_addresses(options, ips),
                                    .port = (uint16_t)options->port,
                                    .tls = serving.tls,
                                    .trusted_proxies = options->trusted_proxies,
                                    .relay_bytes_per_second = (double)options->relay_rate,
                                    .trace = trace ? trace_file_write : NULL,
                                    .trace_context = trace,
                                    .log = server_log,
                                    .log_context = &options->verbose};
#ifdef WEAPROUS_PAGE
    config.page = page_assets;
    config.page_count = page_assets_count;
    config.page_policy = page_content_security_policy;
#endif
    err = tracker_open(&config, &serving.tracker, why);
    if (err == ERR_EXISTS) {
        complain("%s; choose another with --server-port or --server-ip.", why);
    } else if (err) {
        complain("%s", why);
    } else {
        serve(&serving, options, known);
    }
    wr_tls_free(serving.tls);
    return err;
}

int up_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    struct up_options options = {.server_ip = "127.0.0.1",
                                 .data = DATA_DEFAULT,
                                 .port = 8080,
                                 .relay_rate = (uint64_t)TRACKER_RELAY_BYTES_PER_SECOND};
    enum args_result result = parse(&options, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    server_raise_descriptors();
    int lock;
    if (data_open(options.data, &lock)) return EXIT_STOPPED;
    char *database = data_database(options.data);
    bool known;
    int err = database && !crypto_native_start() ? OK : ERR_MEMORY;
    if (err) complain("weaprous cannot start: no memory, or no randomness from the system.");
    if (!err) err = server_classroom(database, options.classroom, &known);
    struct trace_file *trace = NULL;
    if (!err && options.trace) err = trace_file_open(options.trace, &trace);
    if (!err) err = open_and_serve(&options, database, known, trace);
    trace_file_close(trace);
    free(database);
    data_close(lock);
    return err ? EXIT_STOPPED : EXIT_OK;
}
