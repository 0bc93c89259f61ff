/* server.c - the site of the conformance table as a program: `conformance-server [default|small|greedy
 * [PORT]]`. Prints its address; SIGTERM drains and ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "site.h"

static struct wr_app *running;

static void on_signal(int number)
{
    (void)number;
    wr_stop(running);
}

int main(int argc, char **argv)
{
    unsigned long port = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    running = site_new(argc > 1 ? argv[1] : "default");
    if (!running || port > 65535 || wr_listen(running, "127.0.0.1", (uint16_t)port, NULL) != 0) {
        fprintf(stderr, "%s\n", running ? wr_app_error(running) : "cannot start");
        wr_app_free(running);
        return 1;
    }
    signal(SIGTERM, on_signal);
    printf("http://127.0.0.1:%u/\n", wr_port(running));
    fflush(stdout);
    wr_run(running);
    wr_app_free(running);
    return 0;
}
