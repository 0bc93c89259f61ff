/* weaprous backup, weaprous restore: everything a server keeps, in one file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "store/backup.h"

struct options {
    const char *file, *data;
};

static enum args_result parse(struct options *options, const char *usage, const char *file_help, int argc,
                              char **argv)
{
    const struct arg args[] = {
        {"FILE", ARG_WORD, &options->file, NULL, file_help, 0, 0},
        {"data", ARG_TEXT, &options->data, "DIR", "folder of the server (default " DATA_DEFAULT ")", 0, 0},
    };
    return args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
}

static void print_summary(const struct store_summary *s)
{
    printf("accounts %" PRIu64 ", devices %" PRIu64 ", channels %" PRIu64 ", messages %" PRIu64 ", %.1f MB",
           s->accounts, s->devices, s->channels, s->entries, (double)s->bytes / 1e6);
}

int backup_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    static const char usage[] =
        "Usage: weaprous backup FILE [OPTIONS]\n\n"
        "Copies everything the server keeps into one new file, also while it is running. The file holds\n"
        "the server's secret key and everybody's messages: keep it where nobody else can read it.\n";
    struct options options = {.data = DATA_DEFAULT};
    enum args_result result = parse(&options, usage, "file to write; it must not be there yet", argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (data_find(options.data, false)) return EXIT_STOPPED;
    char why[STORE_WHY_BYTES];
    char *database = data_database(options.data);
    struct store_summary summary;
    int err = database ? store_copy(database, options.file, &summary, why) : ERR_MEMORY;
    free(database);
    if (err) {
        complain("%s", err == ERR_MEMORY && !database ? "There is not enough memory." : why);
        return EXIT_STOPPED;
    }
    printf("%s holds ", options.file);
    print_summary(&summary);
    printf("; it was read again and is whole.\nTo put it back: weaprous restore %s --data %s\n", options.file,
           options.data);
    return EXIT_OK;
}

/* The prepared file has its final name only when it is complete. */
static int prepare(const struct options *options, struct store_summary *out)
{
    char why[STORE_WHY_BYTES], *restored = data_restored(options->data), part[4096];
    if (!restored || snprintf(part, sizeof part, "%s.part", restored) >= (int)sizeof part) {
        complain("The name of the data folder is too long.");
        free(restored);
        return ERR_MEMORY;
    }
    unlink(part); /* of one that was interrupted */
    int err = store_prepare(options->file, part, out, why);
    if (err) {
        complain("%s", why);
    } else if (rename(part, restored)) {
        complain("%s cannot be written.", restored);
        err = ERR_IO;
    }
    free(restored);
    return err;
}

int restore_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    static const char usage[] =
        "Usage: weaprous restore FILE [OPTIONS]\n\n"
        "Puts back what `weaprous backup` wrote. A server that is running goes on with what it has and\n"
        "takes the restored data at its next start. What was there before is kept beside it, in\n"
        "before-restore.db. Messages that were written after the backup come back from the people who\n"
        "have them, as after any time that the server was away.\n";
    struct options options = {.data = DATA_DEFAULT};
    enum args_result result = parse(&options, usage, "what weaprous backup wrote", argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    struct store_summary summary;
    if (data_find(options.data, true) || prepare(&options, &summary)) return EXIT_STOPPED;
    int lock;
    bool running = !data_try(options.data, &lock), adopted = false;
    int err = running ? OK : data_adopt(options.data, &adopted);
    if (!running) data_close(lock);
    if (err) return EXIT_STOPPED;
    printf("%s was restored: ", options.data);
    print_summary(&summary);
    puts(".");
    if (running)
        puts("A server is using the folder: it goes on with the data of before until it is started again.");
    else if (adopted)
        puts("What was there before is in before-restore.db in that folder; remove it when all is well.");
    return EXIT_OK;
}
