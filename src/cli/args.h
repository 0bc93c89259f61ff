/* args.h - the options of a subcommand as a table: parsing, --help and the complaints come from it. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum arg_kind {
    ARG_FLAG,    /* bool */
    ARG_TEXT,    /* const char *, not empty */
    ARG_IP,      /* const char *, an IPv4 or IPv6 address */
    ARG_ADDRESS, /* struct arg_address: "127.0.0.1:8081", "[::1]:8081" */
    ARG_NUMBER,  /* uint64_t from min to max */
    ARG_WORD,    /* const char *: a word that must be given, without a name before it */
};

struct arg_address {
    char ip[46]; /* without brackets; empty: not given */
    uint16_t port;
};

struct arg {
    const char *name; /* "server-port", written --server-port; of a word: "NAME" */
    enum arg_kind kind;
    void *out;         /* of the type above; keeps its value, the default, when the option is not given */
    const char *value; /* what the help calls the value: "PORT"; NULL for a flag */
    const char *help;  /* may have several lines */
    uint64_t min, max;
};

enum args_result { ARGS_OK, ARGS_HELP, ARGS_WRONG };

/* Reads --name value, --name=value, flags, and words in the order of the table; after "--" all are words.
 * --help prints `usage` and the table to stdout. ARGS_WRONG after one sentence on stderr. Values borrow argv.
 */
enum args_result args_parse(const char *usage, const struct arg *args, int count, int argc, char **argv);

#endif
