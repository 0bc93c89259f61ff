#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct subcommand subcommands[] = {
    {"up", "start the server: tracker and page on one port", up_main},
    {"tracker", "start one of several tracker processes that share their data", tracker_main},
    {"backend", "serve folders of files behind a login", backend_main},
    {"proxy", "pass requests on to servers and balance the load", proxy_main},
    {"user", "add, change, list, remove or import accounts", user_main},
    {"backup", "copy everything a server keeps into one file", backup_main},
    {"restore", "put back what backup wrote", restore_main},
    {"doctor", "check what a server needs, and say what to do", doctor_main},
    {"trace", "look again at what went into a node: a file that --trace wrote", trace_main},
    {"version", "print the version", version_main},
    {"help", "print this, or the help of a subcommand", help_main},
};
const int subcommand_count = sizeof subcommands / sizeof subcommands[0];

void complain(const char *form, ...)
{
    va_list arguments;
    va_start(arguments, form);
    vfprintf(stderr, form, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int main(int argc, char **argv)
{
    /* A write to a closed pipe, or past a file-size limit, is an error like any other. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    for (int i = 0; i < subcommand_count; i++) {
        if (strcmp(subcommands[i].name, name) == 0)
            return subcommands[i].run(&subcommands[i], argc > 1 ? argc - 1 : argc,
                                      argc > 1 ? argv + 1 : argv);
    }
    complain("weaprous: there is no subcommand \"%s\"; `weaprous help` lists what there is.", name);
    return EXIT_USAGE;
}
