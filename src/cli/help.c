#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "weaprous/weaprous.h"

static void print_all(void)
{
    printf("weaprous %s: chat that goes straight from person to person, on your own server\n\n"
           "Usage: weaprous SUBCOMMAND [OPTIONS]\n\n",
           wr_version());
    for (int i = 0; i < subcommand_count; i++)
        printf("  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
    printf("\n`weaprous up` is all it takes to start. `weaprous SUBCOMMAND --help` says more.\n");
}

int help_main(const struct subcommand *self, int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-') {
        print_all();
        return EXIT_OK;
    }
    char help[] = "--help";
    char *words[] = {argv[1], help, NULL};
    for (int i = 0; i < subcommand_count; i++) {
        if (strcmp(subcommands[i].name, argv[1]) != 0) continue;
        if (&subcommands[i] == self)
            print_all();
        else
            return subcommands[i].run(&subcommands[i], 2, words);
        return EXIT_OK;
    }
    complain("weaprous: there is no subcommand \"%s\"; `weaprous help` lists what there is.", argv[1]);
    return EXIT_USAGE;
}
