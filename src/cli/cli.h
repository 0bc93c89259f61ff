/* cli.h - the program `weaprous`: one file for each subcommand, one row for each in the table of main.c.
 *
 * Rules: a subcommand returns the exit status: 0; 1 when something stopped it, after one sentence on stderr;
 * 2 when it was called wrongly. What a person asked for goes to stdout, all else to stderr. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/err.h"

enum { EXIT_OK = 0, EXIT_STOPPED = 1, EXIT_USAGE = 2 };

struct subcommand {
    const char *name;
    const char *summary;                                              /* one line */
    int (*run)(const struct subcommand *self, int argc, char **argv); /* argv[0] is the subcommand */
};

extern const struct subcommand subcommands[];
extern const int subcommand_count;

int up_main(const struct subcommand *self, int argc, char **argv);
int tracker_main(const struct subcommand *self, int argc, char **argv);
int backend_main(const struct subcommand *self, int argc, char **argv);
int proxy_main(const struct subcommand *self, int argc, char **argv);
int user_main(const struct subcommand *self, int argc, char **argv);
int backup_main(const struct subcommand *self, int argc, char **argv);
int restore_main(const struct subcommand *self, int argc, char **argv);
int doctor_main(const struct subcommand *self, int argc, char **argv);
int trace_main(const struct subcommand *self, int argc, char **argv);
int version_main(const struct subcommand *self, int argc, char **argv);
int help_main(const struct subcommand *self, int argc, char **argv);

/* One sentence on stderr, with a line feed. */
void complain(const char *form, ...) __attribute__((format(printf, 1, 2)));

#endif
