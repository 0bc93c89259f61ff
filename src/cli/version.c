#include <stdio.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "weaprous/weaprous.h"

int version_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    char name[] = "version";
    argv[0] = name;
    switch (args_parse("Usage: weaprous version\n\nPrints the version.\n", NULL, 0, argc, argv)) {
    case ARGS_WRONG: return EXIT_USAGE;
    case ARGS_HELP: return EXIT_OK;
    default: printf("weaprous %s\n", wr_version()); return EXIT_OK;
    }
}
