/* weaprous tracker: the tracker for operators, one of several processes when they share a data folder. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/data.h"
#include "cli/serve.h"
#include "cli/server.h"

static const char usage[] =
    "Usage: weaprous tracker [OPTIONS]\n\n"
    "Starts the tracker, with the page, as one of several processes: those that share a data folder share\n"
    "accounts, sessions, messages and who is online, so a proxy may send anybody to any of them.\n"
    "Ctrl-C stops it.\n";

static enum args_result parse(struct serve_options *options, int argc, char **argv)
{
    const struct arg args[] = {
        {"server-ip", ARG_IP, &options->server_ip, "IP",
         "address to listen on (default 127.0.0.1: this computer only)", 0, 0},
        {"server-port", ARG_NUMBER, &options->port, "PORT",
         "port to listen on (default 9000; 0: any free one)", 0, 65535},
        {"tracker-port", ARG_NUMBER, &options->port, "PORT", "another name of --server-port", 0, 65535},
        {"host", ARG_IP, &options->host, "IP",
         "listen on this address of this computer too, for others to reach", 0, 0},
        SERVE_ARGS(options),
    };
    char name[] = "tracker";
    argv[0] = name;
    enum args_result result = args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
    if (result != ARGS_OK) return result;
    return server_tls_complete(name, options->tls_cert, options->tls_key) ? ARGS_OK : ARGS_WRONG;
}

static void print_start(const struct serve_options *options, uint16_t port, bool known)
{
    bool tls = options->tls_cert != NULL;
    printf("weaprous %s tracker is running.\n", wr_version());
    server_print_addresses(options->server_ip, port, tls);
    if (options->host && strcmp(options->host, options->server_ip) != 0)
        server_print_addresses(options->host, port, tls);
    printf("Everything is kept in %s. Ctrl-C stops the tracker.\n", options->data);
    fflush(stdout);
    if (options->classroom || known) server_print_classroom(options->classroom, known, options->data);
}

int tracker_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    struct serve_options options = {.server_ip = "127.0.0.1",
                                    .data = DATA_DEFAULT,
                                    .port = 9000,
                                    .relay_rate = SERVE_RELAY_RATE,
                                    .shared = true};
    enum args_result result = parse(&options, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    return serve(&options, print_start);
}
