/* weaprous backend: folders of files behind a login. */
#include "backend/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "cli/server.h"
#include "crypto/native.h"

struct backend_options {
    const char *server_ip, *www, *static_folder, *data;
    const char *tls_cert, *tls_key, *access_log, *log_format, *trusted_proxies;
    uint64_t port, workers;
    bool classroom, verbose;
};

static const char usage[] =
    "Usage: weaprous backend [OPTIONS]\n\n"
    "Serves folders of files. The first page (/, index.html) is for who has logged in at /login; accounts "
    "are\n"
    "made with `weaprous user`. Ctrl-C stops it; SIGHUP reads certificates again and reopens the log.\n";

static enum args_result parse(struct backend_options *options, int argc, char **argv)
{
    const struct arg args[] = {
        {"server-ip", ARG_IP, &options->server_ip, "IP", "address to listen on (default 0.0.0.0: all)", 0, 0},
        {"server-port", ARG_NUMBER, &options->port, "PORT",
         "port to listen on (default 9000; 0: any free one)", 0, 65535},
        {"www", ARG_TEXT, &options->www, "DIR", "folder of the pages (default ./www when it is there)", 0, 0},
        {"static", ARG_TEXT, &options->static_folder, "DIR",
         "folder of the files under /static/ (default ./static when it is there)", 0, 0},
        {"data", ARG_TEXT, &options->data, "DIR",
         "folder of the accounts (default " DATA_DEFAULT "); may be that of `weaprous up`", 0, 0},
        {"workers", ARG_NUMBER, &options->workers, "N", "event loops (default: one for each core)", 1, 256},
        {"tls-cert", ARG_TEXT, &options->tls_cert, "FILE", "certificate and its chain (PEM): serves HTTPS", 0,
         0},
        {"tls-key", ARG_TEXT, &options->tls_key, "FILE", "its key (PEM)", 0, 0},
        {"access-log", ARG_TEXT, &options->access_log, "FILE", "one line for each answer; - for stdout", 0,
         0},
        {"log-format", ARG_TEXT, &options->log_format, "NAME", "combined (default) or json", 0, 0},
        {"trusted-proxies", ARG_TEXT, &options->trusted_proxies, "LIST",
         "reverse proxies whose X-Forwarded-For and -Proto are believed:\n"
         "addresses and networks (127.0.0.1,10.0.0.0/8)",
         0, 0},
        {"classroom", ARG_FLAG, &options->classroom, NULL,
         "for courses only: adds the account admin with the password\n"
         "\"password\", and the five channels",
         0, 0},
        {"verbose", ARG_FLAG, &options->verbose, NULL, "log what goes well too", 0, 0},
    };
    char name[] = "backend";
    argv[0] = name;
    enum args_result result = args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
    if (result != ARGS_OK) return result;
    if (!server_tls_complete(name, options->tls_cert, options->tls_key)) return ARGS_WRONG;
    if (options->log_format && !options->access_log) {
        complain("weaprous backend: --log-format is only of use with --access-log.");
        return ARGS_WRONG;
    }
    if (!options->log_format) options->log_format = "combined";
    if (strcmp(options->log_format, "combined") != 0 && strcmp(options->log_format, "json") != 0) {
        complain("weaprous backend: --log-format needs combined or json, not \"%s\".", options->log_format);
        return ARGS_WRONG;
    }
    return ARGS_OK;
}

/* --- folders --- */

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* A folder that was named must be there; the usual one is taken when it is. */
static bool choose_folder(const char **folder, const char *usual, const char *option)
{
    if (!*folder) {
        if (is_folder(usual)) *folder = usual;
        return true;
    }
    if (is_folder(*folder)) return true;
    complain("There is no folder %s: name another one with --%s.", *folder, option);
    return false;
}

/* --- what is printed at the start --- */

static void print_welcome(const struct backend_options *options, struct backend *backend, bool known)
{
    unsigned workers = wr_workers(backend_app(backend));
    printf("weaprous %s backend is running (%u worker%s).\n\n", wr_version(), workers,
           workers == 1 ? "" : "s");
    server_print_addresses(options->server_ip, backend_port(backend), options->tls_cert != NULL);
    printf("\n  /          %s\n", options->www ? options->www : "(no folder: --www DIR)");
    if (options->static_folder) printf("  /static/   %s\n", options->static_folder);
    printf("\nThe first page is behind a login; accounts: weaprous user add NAME --data %s\n"
           "Ctrl-C stops the server.\n",
           options->data);
    fflush(stdout);
    if (options->classroom || known) server_print_classroom(options->classroom, known, options->data);
}

/* --- running --- */

struct serving {
    struct backend *backend;
    struct wr_tls *tls;
    const struct backend_options *options;
    bool known; /* the account with the known password is there */
};

static void end(void *context)
{
    struct serving *serving = context;
    backend_stop(serving->backend);
}

static void reload(void *context)
{
    struct serving *serving = context;
    wr_log_reopen(backend_app(serving->backend));
    server_tls_reload(serving->tls);
}

static void serve(struct serving *serving)
{
    struct server_signals signals = {.end = end, .reload = reload, .context = serving};
    server_signals_start(&signals, wr_loop(backend_app(serving->backend)));
    print_welcome(serving->options, serving->backend, serving->known);
    backend_run(serving->backend);
    server_signals_stop(&signals);
    backend_close(serving->backend);
}

static int open_and_serve(struct backend_options *options, const char *database, bool known)
{
    char why[BACKEND_WHY_BYTES];
    struct serving serving = {.options = options, .known = known};
    int err = server_tls(options->tls_cert, options->tls_key, &serving.tls);
    if (err) return err;
    const struct backend_config config = {
        .database = database,
        .ip = options->server_ip,
        .port = (uint16_t)options->port,
        .www = options->www,
        .static_folder = options->static_folder,
        .workers = (unsigned)options->workers,
        .tls = serving.tls,
        .access_log = options->access_log,
        .log_format = strcmp(options->log_format, "json") == 0 ? WR_LOG_JSON : WR_LOG_COMBINED,
        .trusted_proxies = options->trusted_proxies,
        .log = server_log,
        .log_context = &options->verbose,
    };
    err = backend_open(&config, &serving.backend, why);
    if (err == ERR_EXISTS) {
        complain("%s; choose another with --server-port or --server-ip.", why);
    } else if (err) {
        complain("%s", why);
    } else {
        serve(&serving);
    }
    wr_tls_free(serving.tls);
    return err;
}

int backend_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    struct backend_options options = {.server_ip = "0.0.0.0", .data = DATA_DEFAULT, .port = 9000};
    enum args_result result = parse(&options, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (!choose_folder(&options.www, "./www", "www") ||
        !choose_folder(&options.static_folder, "./static", "static"))
        return EXIT_STOPPED;
    server_raise_descriptors();
    if (data_find(options.data, true)) return EXIT_STOPPED;
    char *database = data_database(options.data);
    bool known;
    int err = database && !crypto_native_start() ? OK : ERR_MEMORY;
    if (err) complain("weaprous cannot start: no memory, or no randomness from the system.");
    if (!err) err = server_classroom(database, options.classroom, &known);
    if (!err) err = open_and_serve(&options, database, known);
    free(database);
    return err ? EXIT_STOPPED : EXIT_OK;
}
