/* weaprous trace: what went into a node, from a file that --trace wrote. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/trace_text.h"
#include "core/trace.h"
#include "crypto/native.h"

enum { PIECE_BYTES = 256 * 1024 };

struct reading {
    const char *path;
    bool show;
    struct trace_text text;
};

static void show_call(void *context, const struct trace_call *call)
{
    struct reading *reading = context;
    if (reading->show) trace_text_call(&reading->text, call);
}

static void show_action(void *context, const struct action *action)
{
    trace_text_action(&((struct reading *)context)->text, action);
}

static void show_sent(void *context, uint32_t link, slice bytes)
{
    trace_text_sent(&((struct reading *)context)->text, link, bytes);
}

/* Gives the file to the replay; ERR_IO has been complained about. */
static int read_file(struct replay *replay, const char *path)
{
    static uint8_t piece[PIECE_BYTES];
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    int rc = OK;
    while (fd >= 0 && rc == OK && (got = read(fd, piece, sizeof piece)) > 0)
        rc = replay_feed(replay, slice_of(piece, (size_t)got));
    int system = errno;
    if (fd > STDIN_FILENO) close(fd);
    if (fd >= 0 && (rc < 0 || got == 0)) return rc;
    complain("The trace %s cannot be read: %s.", path, strerror(system));
    return ERR_IO;
}

static int complain_result(const char *path, int rc, const struct replay_report *report)
{
    if (report->differs)
        complain("The trace %s, at call %" PRIu64 ": %s.", path, report->differs, report->text);
    else
        complain("The trace %s, after %" PRIu64 " calls: %s.", path, report->calls, report->text);
    return rc;
}

static int read_trace(struct reading *reading, bool replays, struct replay_report *out_report)
{
    struct replay_options options = {.allocator = &allocator_libc,
                                     .crypto = replays ? crypto_native() : NULL,
                                     .call = show_call,
                                     .action = reading->show ? show_action : NULL,
                                     .sent = reading->show ? show_sent : NULL,
                                     .context = reading};
    struct replay *replay;
    if (crypto_native_start() || replay_new(&options, &replay)) {
        complain("weaprous cannot start: no memory, or no randomness from the system.");
        return ERR_MEMORY;
    }
    int rc = read_file(replay, reading->path);
    replay_end(replay, out_report);
    if (rc == OK && out_report->calls == 0) {
        complain("The file %s is no trace: it is empty, or shorter than its first record.", reading->path);
        return ERR_CORRUPT;
    }
    if (rc == OK || rc == ERR_IO) return rc;
    return complain_result(reading->path, rc, out_report);
}

static void print_report(const struct replay_report *report)
{
    printf("In:  %" PRIu64 " calls in %.3f s, %" PRIu64 " bytes.\n"
           "Out: %" PRIu64 " actions, %" PRIu64 " bytes, the same as then.\n",
           report->calls, (double)(report->ended - report->began) / 1e6, report->bytes_in, report->actions,
           report->bytes_out);
    if (!report->complete)
        printf("The trace ends before the node did: the program was stopped%s.\n",
               report->cut ? " while it was writing" : "");
}

static int replay_main(int argc, char **argv)
{
    struct reading reading = {0};
    struct replay_report report;
    const struct arg args[] = {
        {"FILE", ARG_WORD, &reading.path, NULL, "the trace; - reads standard input", 0, 0}};
    switch (
        args_parse("Usage: weaprous trace replay FILE\n\n"
                   "Makes the node of a trace anew, gives it everything that went into it then, and looks\n"
                   "whether the same comes out, byte for byte. Exit status 1, and the first call of which\n"
                   "something else came out, when not.\n",
                   args, 1, argc, argv)) {
    case ARGS_HELP: return EXIT_OK;
    case ARGS_WRONG: return EXIT_USAGE;
    default: break;
    }
    if (read_trace(&reading, true, &report)) return EXIT_STOPPED;
    print_report(&report);
    return EXIT_OK;
}

static int show_main(int argc, char **argv)
{
    struct reading reading = {.show = true, .text = {.out = stdout}};
    struct replay_report report;
    bool actions = false;
    const struct arg args[] = {
        {"FILE", ARG_WORD, &reading.path, NULL, "the trace; - reads standard input", 0, 0},
        {"actions", ARG_FLAG, &actions, NULL, "replays it, and prints what came out of each call too", 0, 0}};
    switch (
        args_parse("Usage: weaprous trace show FILE [OPTIONS]\n\n"
                   "Prints what went into a node, a line for each call. Keys and seeds are left out; what\n"
                   "people wrote in open channels is not.\n",
                   args, 2, argc, argv)) {
    case ARGS_HELP: return EXIT_OK;
    case ARGS_WRONG: return EXIT_USAGE;
    default: break;
    }
    int rc = read_trace(&reading, actions, &report);
    if (fflush(stdout) || rc) return EXIT_STOPPED;
    return EXIT_OK;
}

static const char usage[] =
    "Usage: weaprous trace replay FILE | weaprous trace show FILE [--actions]\n\n"
    "Reads what `weaprous up --trace FILE`, the simulator or the page wrote: everything that went into\n"
    "a node, so that a fault can be looked at again. Such a file holds the secret key of its device and\n"
    "everything that was written there: give it to nobody whom you would not give those.\n\n"
    "  replay     does it all again, and says whether the same comes out\n"
    "  show       prints it\n\n"
    "`weaprous trace replay --help` says more.\n";

int trace_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    static char replay_name[] = "trace replay", show_name[] = "trace show";
    if (argc < 2) {
        complain("weaprous trace: say what to do: replay or show.");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return EXIT_OK;
    }
    bool replays = strcmp(argv[1], "replay") == 0;
    if (!replays && strcmp(argv[1], "show") != 0) {
        complain("weaprous trace: there is no action \"%s\"; `weaprous trace --help` lists what there is.",
                 argv[1]);
        return EXIT_USAGE;
    }
    argv[1] = replays ? replay_name : show_name;
    return replays ? replay_main(argc - 1, argv + 1) : show_main(argc - 1, argv + 1);
}
