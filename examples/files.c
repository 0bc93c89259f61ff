/* files.c - a server for a folder. `files [FOLDER [IP [PORT]]]`: the folder "." on 127.0.0.1 port 8080;
 * port 0 lets the system choose. Folders are listed; Ctrl-C drains and ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <weaprous/weaprous.h>

static struct wr_app *app;

static void on_signal(int number)
{
    (void)number;
    wr_stop(app);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".", *ip = argc > 2 ? argv[2] : "127.0.0.1";
    unsigned long port = argc > 3 ? strtoul(argv[3], NULL, 10) : 8080;
    struct wr_static_options options;
    wr_static_options_init(&options);
    options.listing = true;
    app = wr_app_new(NULL);
    if (!app || port > 65535) {
        fputs("usage: files [FOLDER [IP [PORT]]]\n", stderr);
        return 1;
    }
    if (wr_static(app, "/", folder, &options) != 0 || wr_listen(app, ip, (uint16_t)port, NULL) != 0) {
        fprintf(stderr, "%s\n", wr_app_error(app));
        wr_app_free(app);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("%s on http://%s:%u/\n", folder, ip, wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    return 0;
}
