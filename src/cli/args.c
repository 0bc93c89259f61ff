#include "cli/args.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "cli/cli.h"

static void print_help(const char *usage, const struct arg *args, int count)
{
    printf("%s\nOptions:\n", usage);
    for (int i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s", args[i].kind == ARG_WORD ? "" : "--", args[i].name,
                 args[i].value ? " " : "", args[i].value ? args[i].value : "");
        slice rest = slice_text(args[i].help), line;
        if (strlen(left) > 20) { /* on a line of its own */
            printf("  %s\n", left);
            left[0] = '\0';
        }
        while (slice_split(&rest, '\n', &line)) {
            printf("  %-20s %.*s\n", left, (int)line.len, (const char *)line.ptr);
            left[0] = '\0';
        }
    }
    printf("  %-20s %s\n", "--help", "print this");
}

static bool is_ip(const char *text)
{
    unsigned char room[16];
    return inet_pton(AF_INET, text, room) == 1 || inet_pton(AF_INET6, text, room) == 1;
}

/* IP:PORT, an IPv6 address in brackets. */
static bool read_address(const char *value, struct arg_address *out)
{
    const char *colon = strrchr(value, ':');
    slice ip = colon ? slice_of(value, (size_t)(colon - value)) : SLICE_EMPTY;
    uint64_t port;
    bool v6 = ip.len > 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']';
    if (v6) ip = slice_sub(ip, 1, ip.len - 2);
    if (!ip.len || ip.len >= sizeof out->ip || (slice_find(ip, ':') < ip.len) != v6) return false;
    char text[sizeof out->ip];
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    if (!is_ip(text) || !slice_to_u64(slice_text(colon + 1), UINT16_MAX, &port)) return false;
    memcpy(out->ip, text, ip.len + 1);
    out->port = (uint16_t)port;
    return true;
}

static bool take_value(const struct arg *arg, const char *command, const char *value)
{
    uint64_t number;
    switch (arg->kind) {
    case ARG_NUMBER:
        if (!slice_to_u64(slice_text(value), arg->max, &number) || number < arg->min) {
            complain("weaprous %s: --%s needs a number from %llu to %llu, not \"%s\".", command, arg->name,
                     (unsigned long long)arg->min, (unsigned long long)arg->max, value);
            return false;
        }
        *(uint64_t *)arg->out = number;
        return true;
    case ARG_IP:
        if (!is_ip(value)) {
            complain("weaprous %s: --%s needs an IP address like 192.168.1.5, not \"%s\".", command,
                     arg->name, value);
            return false;
        }
        break;
    case ARG_ADDRESS:
        if (read_address(value, arg->out)) return true;
        complain("weaprous %s: --%s needs an IP address and a port like 127.0.0.1:8081, not \"%s\".", command,
                 arg->name, value);
        return false;
    default:
        if (!value[0]) {
            complain("weaprous %s: --%s needs a value that is not empty.", command, arg->name);
            return false;
        }
    }
    *(const char **)arg->out = value;
    return true;
}

static const struct arg *find(const struct arg *args, int count, slice name)
{
    for (int i = 0; i < count; i++) {
        if (args[i].kind != ARG_WORD && slice_equal(slice_text(args[i].name), name)) return &args[i];
    }
    return NULL;
}

/* One option of argv, which may take the next word too. */
static bool take_option(const struct arg *args, int count, int argc, char **argv, int *i)
{
    const char *command = argv[0], *word = argv[*i];
    slice text = slice_text(word);
    size_t equals = slice_find(text, '=');
    const struct arg *arg =
        slice_starts(text, SLICE("--")) ? find(args, count, slice_sub(text, 2, equals - 2)) : NULL;
    if (!arg) {
        complain("weaprous %s: unknown option \"%s\"; `weaprous %s --help` lists what there is.", command,
                 word, command);
        return false;
    }
    bool joined = equals < text.len;
    if (arg->kind == ARG_FLAG) {
        if (joined) {
            complain("weaprous %s: --%s takes no value.", command, arg->name);
            return false;
        }
        *(bool *)arg->out = true;
        return true;
    }
    if (!joined && *i + 1 == argc) {
        complain("weaprous %s: --%s needs a value: --%s %s.", command, arg->name, arg->name, arg->value);
        return false;
    }
    return take_value(arg, command, joined ? word + equals + 1 : argv[++*i]);
}

/* The word after the first `taken` words of the table; NULL when there is none. */
static const struct arg *word_at(const struct arg *args, int count, int taken)
{
    for (int i = 0; i < count; i++) {
        if (args[i].kind == ARG_WORD && taken-- == 0) return &args[i];
    }
    return NULL;
}

enum args_result args_parse(const char *usage, const struct arg *args, int count, int argc, char **argv)
{
    const char *command = argv[0];
    bool options = true;
    int words = 0;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (options && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            print_help(usage, args, count);
            return ARGS_HELP;
        }
        const struct arg *word = word_at(args, count, words);
        bool is_word = !options || text[0] != '-' || !text[1]; /* "-" is standard input */
        if (options && strcmp(text, "--") == 0) {
            options = false;
        } else if (is_word && word) {
            *(const char **)word->out = text;
            words++;
        } else if (is_word && words) {
            /* Not told which: it may be a password. */
            complain("weaprous %s: there is a word too many after %s; `weaprous %s --help` says more.",
                     command, word_at(args, count, words - 1)->name, command);
            return ARGS_WRONG;
        } else if (!take_option(args, count, argc, argv, &i)) {
            return ARGS_WRONG;
        }
    }
    const struct arg *missing = word_at(args, count, words);
    if (!missing) return ARGS_OK;
    complain("weaprous %s: %s is missing; `weaprous %s --help` says more.", command, missing->name, command);
    return ARGS_WRONG;
}
