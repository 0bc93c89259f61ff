/* Options of a subcommand: what is taken, what is complained about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.h"
#include "cli/cli.h"

static char complaint[512];
static int complaints;

void complain(const char *form, ...)
{
    va_list arguments;
    va_start(arguments, form);
    vsnprintf(complaint, sizeof complaint, form, arguments);
    va_end(arguments);
    complaints++;
}

static const char *ip, *file, *first, *second;
static uint64_t port;
static bool loud;
static struct arg_address address;

/* words: separated by spaces; one that is "''" is empty. */
static enum args_result parse(const char *words, bool takes_words)
{
    static char text[256], *argv[16];
    static char empty[] = "";
    const struct arg args[] = {
        {"ip", ARG_IP, &ip, "IP", "an address", 0, 0},
        {"port", ARG_NUMBER, &port, "PORT", "a port", 1, 65535},
        {"file", ARG_TEXT, &file, "FILE", "a file\nof two lines", 0, 0},
        {"loud", ARG_FLAG, &loud, NULL, "say more", 0, 0},
        {"address", ARG_ADDRESS, &address, "IP:PORT", "where", 0, 0},
        {"FIRST", ARG_WORD, &first, NULL, "a word", 0, 0},
        {"SECOND", ARG_WORD, &second, NULL, "another", 0, 0},
    };
    ip = "127.0.0.1";
    file = first = second = NULL;
    port = 80;
    loud = false;
    address = (struct arg_address){0};
    complaints = 0;
    complaint[0] = 0;
    int argc = 0;
    static char command[] = "test";
    argv[argc++] = command;
    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "''") == 0 ? empty : word;
    return args_parse("usage", args, takes_words ? 7 : 5, argc, argv);
}

static void values_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("", false), ARGS_OK);
    assert_string_equal(ip, "127.0.0.1"); /* the defaults stay */
    assert_int_equal(port, 80);
    assert_int_equal(parse("--ip ::1 --port=65535 --loud --file --loud", false), ARGS_OK);
    assert_string_equal(ip, "::1");
    assert_int_equal(port, 65535);
    assert_true(loud);
    assert_string_equal(file, "--loud"); /* a value is whatever follows */
    assert_int_equal(parse("--port 1 --port 2 --file=a=b", false), ARGS_OK);
    assert_int_equal(port, 2); /* the last one counts */
    assert_string_equal(file, "a=b");
    assert_int_equal(complaints, 0);
}

static void addresses_have_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *words, *ip;
        unsigned port;
    } good[] = {{"--address 127.0.0.1:8081", "127.0.0.1", 8081},
                {"--address=[::1]:0", "::1", 0},
                {"--address [2001:db8::ffff:192.0.2.1]:65535", "2001:db8::ffff:192.0.2.1", 65535}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(parse(good[i].words, false), ARGS_OK);
        assert_string_equal(address.ip, good[i].ip);
        assert_int_equal(address.port, good[i].port);
    }
    static const char *const bad[] = {
        "",       ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "localhost:80",
        "::1:80", "[]:", "[::1]",     "[::1]80",    "[127.0.0.1]:80",  "[::1:80",     "127.0.0.1:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char words[64];
        snprintf(words, sizeof words, "--address=%s", bad[i]);
        assert_int_equal(parse(words, false), ARGS_WRONG);
        assert_string_equal(address.ip, "");
        assert_non_null(strstr(complaint, "--address needs an IP address and a port"));
    }
}

static void words_are_taken_in_order(void **state)
{
    (void)state;
    assert_int_equal(parse("one --loud -", true), ARGS_OK);
    assert_string_equal(first, "one");
    assert_string_equal(second, "-"); /* standard input */
    assert_true(loud);
    assert_int_equal(parse("-- --port -h", true), ARGS_OK);
    assert_string_equal(first, "--port");
    assert_string_equal(second, "-h");
    assert_int_equal(parse("one", true), ARGS_WRONG);
    assert_string_equal(complaint, "weaprous test: SECOND is missing; `weaprous test --help` says more.");
    /* A word too many may be a password: it is not repeated. */
    assert_int_equal(parse("one two s3cret", true), ARGS_WRONG);
    assert_null(strstr(complaint, "s3cret"));
    assert_non_null(strstr(complaint, "after SECOND"));
}

static void what_is_wrong_is_said_once_and_by_name(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"--port 0", "--port needs a number from 1 to 65535, not \"0\""},
        {"--port 65536", "--port needs a number"},
        {"--port 18446744073709551617", "--port needs a number"}, /* 2^64 + 1 */
        {"--port -1", "--port needs a number"},
        {"--port 1x", "--port needs a number"},
        {"--port=", "--port needs a number"},
        {"--port", "--port needs a value: --port PORT"},
        {"--ip localhost", "--ip needs an IP address"},
        {"--ip 1.2.3", "--ip needs an IP address"},
        {"--file ''", "--file needs a value that is not empty"},
        {"--file=", "--file needs a value that is not empty"},
        {"--loud=yes", "--loud takes no value"},
        {"--nothing", "unknown option \"--nothing\""},
        {"--por 1", "unknown option \"--por\""},
        {"--ports 1", "unknown option \"--ports\""},
        {"--=1", "unknown option \"--=1\""},
        {"-x", "unknown option \"-x\""},
        {"word", "unknown option \"word\""},
        {"''", "unknown option \"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i][0], false), ARGS_WRONG);
        assert_int_equal(complaints, 1);
        if (!strstr(complaint, cases[i][1])) fail_msg("%s: %s", cases[i][0], complaint);
    }
}

static void help_comes_first(void **state)
{
    (void)state;
    assert_int_equal(parse("--help --nothing", false), ARGS_HELP);
    assert_int_equal(parse("--loud -h", true), ARGS_HELP); /* though words are missing */
    assert_int_equal(complaints, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken),         cmocka_unit_test(addresses_have_a_port),
        cmocka_unit_test(words_are_taken_in_order), cmocka_unit_test(what_is_wrong_is_said_once_and_by_name),
        cmocka_unit_test(help_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
