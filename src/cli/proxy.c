/* weaprous proxy: a reverse proxy, by a file. */
#include "proxy/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "cli/server.h"
#include "http/ip.h"

#define FILE_DEFAULT "config/proxy.conf"

enum {
    PORT_DEFAULT = 8080,
    PORT_NOT_GIVEN = UINT16_MAX + 1,
    FILE_MIB_MAX = CONFIG_BYTES_MAX / (1024 * 1024),
    HOSTS_SHOWN_MAX = 12,
    NAMES_WIDTH = 30,
    NAMES_BYTES = 320,
    HOST_BYTES = IP_TEXT_BYTES_MAX + sizeof "[]",
    DUMP_BYTES_MAX = 16 * 1024 * 1024,
};

struct proxy_command {
    const char *server_ip, *host, *file;
    uint64_t port, workers;
    struct arg_address status;
    bool check, dump, verbose;
};

static const char usage[] =
    "Usage: weaprous proxy [OPTIONS]\n\n"
    "Passes requests on to servers, as a file says for each host (docs/proxy.md):\n\n"
    "    host \"chat.example:8080\" {\n"
    "        proxy_pass http://127.0.0.1:9000;\n"
    "        proxy_pass http://127.0.0.1:9001 weight=2;\n"
    "    }\n\n"
    "Ctrl-C stops it. SIGHUP reads the file again, without losing a request or a connection; a file with\n"
    "errors changes nothing. It also opens the log again and reads the certificates again.\n";

/* --- options --- */

static enum args_result parse(struct proxy_command *options, int argc, char **argv)
{
    const struct arg args[] = {
        {"config", ARG_TEXT, &options->file, "FILE", "the configuration (default " FILE_DEFAULT ")", 0, 0},
        {"server-ip", ARG_IP, &options->server_ip, "IP",
         "address to listen on (default 127.0.0.1). When the file says where\n"
         "to listen, this and --server-port are needed only to listen there too",
         0, 0},
        {"server-port", ARG_NUMBER, &options->port, "PORT",
         "port to listen on (default 8080; 0: any free one)", 0, UINT16_MAX},
        {"host", ARG_TEXT, &options->host, "NAME",
         "what $HOST means in the file (default: that of --server-ip)", 0, 0},
        {"check", ARG_FLAG, &options->check, NULL, "say whether the file is good, and end", 0, 0},
        {"dump", ARG_FLAG, &options->dump, NULL, "print the file as it was understood, and end", 0, 0},
        {"status", ARG_ADDRESS, &options->status, "IP:PORT",
         "a page on the state of the servers, /status.json and /metrics;\n"
         "nobody is asked for a password there: 127.0.0.1:8081",
         0, 0},
        {"workers", ARG_NUMBER, &options->workers, "N", "event loops (default: one for each core)", 1, 256},
        {"verbose", ARG_FLAG, &options->verbose, NULL, "log what goes well too", 0, 0},
    };
    char name[] = "proxy";
    argv[0] = name;
    enum args_result result = args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
    if (result != ARGS_OK) return result;
    if (options->check && options->dump) {
        complain("weaprous proxy: --check and --dump are not of use together.");
        return ARGS_WRONG;
    }
    if (options->file && strcmp(options->file, "-") == 0 && !options->check && !options->dump) {
        complain("weaprous proxy: --config - is of use with --check and --dump only: SIGHUP reads the file "
                 "again.");
        return ARGS_WRONG;
    }
    return ARGS_OK;
}

/* --- the file --- */

static void explain_missing_file(const char *file)
{
    complain("There is no configuration %s. To begin, write these lines into it:\n\n"
             "    host \"$HOST:8080\" {\n"
             "        proxy_pass http://$HOST:9000;\n"
             "    }\n\n"
             "or name another file with --config FILE.",
             file);
}

static void print_problems(const struct config_options *how, slice text,
                           const struct config_problem *problems, size_t count)
{
    struct buffer out;
    buffer_init(&out, &allocator_libc, DUMP_BYTES_MAX);
    size_t told = count < CONFIG_PROBLEMS_MAX ? count : CONFIG_PROBLEMS_MAX;
    for (size_t i = 0; i < told; i++)
        config_problem_write(&out, how, text, &problems[i]);
    fwrite(out.ptr, 1, out.len, stderr);
    buffer_reset(&out);
    if (count > told) complain("%s: and %zu more", how->name, count - told);
}

/* What $HOST means: an IPv6 address has brackets, as it needs them before a port. */
static const char *host_meant(const struct proxy_command *options, char room[HOST_BYTES])
{
    const char *host = options->host ? options->host : options->server_ip ? options->server_ip : "127.0.0.1";
    uint8_t address[IP_BYTES];
    if (!strchr(host, ':') || ip_parse(slice_text(host), address) < 0) return host;
    snprintf(room, HOST_BYTES, "[%s]", host);
    return room;
}

/* Any error, and what the reader had to say, has been printed. */
static int read_config(const struct proxy_command *options, struct config **out, size_t *out_problems)
{
    char host[HOST_BYTES];
    const struct config_options how = {.name = options->file, .host = host_meant(options, host)};
    struct config_problem problems[CONFIG_PROBLEMS_MAX];
    struct buffer file;
    size_t count = 0;
    int err = file_read(options->file, FILE_MIB_MAX, &file);
    if (!err) {
        err = config_read(buffer_slice(&file), &how, out, problems, &count);
        if (err == ERR_MEMORY) /* what was not found for lack of it is no mistake */
            complain("There is not enough memory to read %s.", options->file);
        else
            print_problems(&how, buffer_slice(&file), problems, count);
    }
    buffer_reset(&file);
    *out_problems = count;
    return err;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static int check(const struct proxy_command *options)
{
    char why[PROXY_WHY_BYTES];
    struct config *config;
    size_t warnings;
    int err = read_config(options, &config, &warnings);
    if (err) return err;
    err = proxy_check(config, why);
    if (err) {
        complain("%s", why);
    } else {
        size_t servers = proxy_servers(config);
        printf("%s: %zu host%s, %zu server%s: the configuration is good", options->file, config->host_count,
               plural(config->host_count), servers, plural(servers));
        if (warnings) printf(", with %zu warning%s", warnings, plural(warnings));
        printf("\n");
    }
    config_free(config);
    return err;
}

static int dump(const struct proxy_command *options)
{
    struct config *config;
    struct buffer out;
    size_t warnings;
    int err = read_config(options, &config, &warnings);
    if (err) return err;
    buffer_init(&out, &allocator_libc, DUMP_BYTES_MAX);
    config_dump(config, &out);
    config_free(config);
    if (out.failed) {
        err = ERR_MEMORY;
        complain("There is not enough memory to print the configuration.");
    } else if (fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout)) {
        err = ERR_IO;
        complain("The configuration could not be printed.");
    }
    buffer_reset(&out);
    return err;
}

/* --- serving --- */

struct serving {
    struct proxy *proxy;
    const struct proxy_command *options;
};

/* As many of its names as fit. */
static void print_names(const struct config_host *host)
{
    char text[NAMES_BYTES];
    size_t len = 0, shown = 0;
    for (; shown < host->name_count; shown++) {
        const char *name = host->names[shown];
        if (shown > 0 && len + strlen(name) + 2 > NAMES_WIDTH) break;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", shown ? ", " : "", name);
        if (len >= sizeof text) len = sizeof text - 1;
    }
    if (shown < host->name_count) snprintf(text + len, sizeof text - len, ", ...");
    printf("  %-*s", NAMES_WIDTH, text);
}

static void print_hosts(const struct config *config)
{
    size_t shown = config->host_count <= HOSTS_SHOWN_MAX ? config->host_count : HOSTS_SHOWN_MAX - 1;
    for (size_t i = 0; i < shown; i++) {
        const struct config_host *host = &config->hosts[i];
        const struct config_group *group = host->locations[host->location_count - 1].group;
        print_names(host);
        if (group->server_count == 1)
            printf("  %s%s:%u", group->servers[0].tls ? "https://" : "", group->servers[0].host,
                   (unsigned)group->servers[0].port);
        else
            printf("  %zu servers, %s", group->server_count, policy_name(group->policy));
        if (host->location_count > 1) printf("; %zu paths", host->location_count);
        printf("\n");
    }
    if (shown < config->host_count) printf("  and %zu more hosts\n", config->host_count - shown);
}

static void print_welcome(const struct serving *serving)
{
    const struct proxy_command *options = serving->options;
    const struct config *config = proxy_config(serving->proxy);
    unsigned workers = wr_workers(proxy_app(serving->proxy));
    size_t servers = proxy_servers(config);
    printf("weaprous %s proxy is running (%u worker%s).\n\n", wr_version(), workers, plural(workers));
    for (size_t i = 0; i < config->listen_count; i++)
        server_print_addresses(config->listens[i].ip, config->listens[i].port,
                               config->listens[i].certificate_count > 0);
    if (proxy_port(serving->proxy))
        server_print_addresses(options->server_ip ? options->server_ip : "127.0.0.1",
                               proxy_port(serving->proxy), false);
    printf("\n");
    print_hosts(config);
    printf("\n%zu host%s, %zu server%s, of %s; kill -HUP %ld reads it again.\n", config->host_count,
           plural(config->host_count), servers, plural(servers), options->file, (long)getpid());
    if (options->status.ip[0]) {
        char url[SERVER_URL_BYTES];
        server_url(url, false, server_is_any(options->status.ip) ? "127.0.0.1" : options->status.ip,
                   proxy_status_port(serving->proxy));
        printf("Status: %s\n", url);
    }
    printf("Ctrl-C stops the proxy.\n");
    fflush(stdout);
}

static void end(void *context)
{
    struct serving *serving = context;
    unsigned open = wr_connections(proxy_app(serving->proxy));
    proxy_stop(serving->proxy);
    if (open > 0)
        fprintf(stderr, "Waiting for requests under way, %d s at most; Ctrl-C again ends it at once.\n",
                PROXY_DRAIN_MS / 1000);
}

/* A line that is seen with and without --verbose. */
static void say(const char *text)
{
    bool always = true;
    server_log(&always, WR_LOG_INFO, text);
}

static void stays(struct serving *serving, const char *why)
{
    char text[PROXY_WHY_BYTES + 100];
    snprintf(text, sizeof text, "the configuration stays as it was: %s", why);
    bool always = true;
    server_log(&always, WR_LOG_ERROR, text);
    proxy_refused(serving->proxy);
    proxy_reopen(serving->proxy);
}

static void reload(void *context)
{
    struct serving *serving = context;
    const char *file = serving->options->file;
    char why[PROXY_WHY_BYTES], text[PROXY_WHY_BYTES + 100];
    struct proxy_change change;
    struct config *config;
    size_t problems;
    if (wr_stopping(proxy_app(serving->proxy))) return;
    if (read_config(serving->options, &config, &problems)) {
        snprintf(why, sizeof why, "%s cannot be used", file);
        stays(serving, why);
    } else if (proxy_reload(serving->proxy, config, &change, why)) {
        stays(serving, why);
    } else {
        int len = snprintf(text, sizeof text, "configuration %" PRIu64 " at work: %zu host%s, %zu server%s",
                           change.number, change.hosts, plural(change.hosts), change.servers,
                           plural(change.servers));
        if (change.added || change.removed)
            snprintf(text + len, sizeof text - (size_t)len, " (%zu new, %zu gone)", change.added,
                     change.removed);
        say(text);
    }
}

static int serve(const struct proxy_command *options)
{
    char why[PROXY_WHY_BYTES];
    struct serving serving = {.options = options};
    struct config *config;
    size_t problems;
    int err = read_config(options, &config, &problems);
    if (err) return err;
    const struct proxy_options how = {
        .ip = options->server_ip ? options->server_ip : "127.0.0.1",
        .port = options->port == PORT_NOT_GIVEN ? PORT_DEFAULT : (uint16_t)options->port,
        .fallback = !options->server_ip && options->port == PORT_NOT_GIVEN,
        .workers = (unsigned)options->workers,
        .status_ip = options->status.ip[0] ? options->status.ip : NULL,
        .status_port = options->status.port,
        .log = server_log,
        .log_context = (void *)(uintptr_t)&options->verbose,
    };
    err = proxy_new(&how, config, &serving.proxy, why);
    if (err) {
        complain("%s", why);
        return err;
    }
    struct server_signals signals = {.end = end, .reload = reload, .context = &serving};
    server_signals_start(&signals, wr_loop(proxy_app(serving.proxy)));
    print_welcome(&serving);
    err = proxy_run(serving.proxy);
    server_signals_stop(&signals);
    proxy_free(serving.proxy);
    return err;
}

int proxy_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    struct proxy_command options = {.port = PORT_NOT_GIVEN};
    enum args_result result = parse(&options, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (!options.file) {
        options.file = FILE_DEFAULT;
        if (access(options.file, F_OK)) {
            explain_missing_file(options.file);
            return EXIT_STOPPED;
        }
    }
    server_raise_descriptors();
    int err = options.check ? check(&options) : options.dump ? dump(&options) : serve(&options);
    return err ? EXIT_STOPPED : EXIT_OK;
}
