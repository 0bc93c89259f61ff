/* weaprous up: the tracker and the page on one port, for whoever wants to chat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/data.h"
#include "cli/qr.h"
#include "cli/serve.h"
#include "cli/server.h"

static const char usage[] =
    "Usage: weaprous up [OPTIONS]\n\n"
    "Starts the server: people open its address in a browser, choose a name and a password, and chat.\n"
    "It keeps everything in one folder and finds it again at the next start. Ctrl-C stops it.\n";

static enum args_result parse(struct serve_options *options, int argc, char **argv)
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
        SERVE_ARGS(options),
    };
    char name[] = "up";
    argv[0] = name;
    enum args_result result = args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
    if (result != ARGS_OK) return result;
    return server_tls_complete(name, options->tls_cert, options->tls_key) ? ARGS_OK : ARGS_WRONG;
}

/* --- what is printed at the start --- */

static void print_welcome(const struct serve_options *options, uint16_t port, bool known)
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

int up_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    struct serve_options options = {
        .server_ip = "127.0.0.1", .data = DATA_DEFAULT, .port = 8080, .relay_rate = SERVE_RELAY_RATE};
    enum args_result result = parse(&options, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    return serve(&options, print_welcome);
}
