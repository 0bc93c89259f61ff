/* Lists of accounts: what is read, what is told, and that no input does more than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "account/import.h"
#include "base/buffer.h"

/* What was read, as text: "line name=password;" and "line!reason;". */
struct outcome {
    char text[4096];
    size_t records, problems;
    int stop_with; /* what the handler answers */
};

static void add(struct outcome *outcome, const char *form, ...) __attribute__((format(printf, 2, 3)));
static void add(struct outcome *outcome, const char *form, ...)
{
    size_t len = strlen(outcome->text);
    va_list arguments;
    va_start(arguments, form);
    vsnprintf(outcome->text + len, sizeof outcome->text - len, form, arguments);
    va_end(arguments);
}

static int record(void *context, const struct import_record *r)
{
    struct outcome *outcome = context;
    outcome->records++;
    assert_true(r->name.len > 0 && r->password.len > 0 && r->key_len > 0);
    add(outcome, "%zu %.*s=%.*s%s%s;", r->line, (int)r->name.len, (const char *)r->name.ptr,
        (int)r->password.len, (const char *)r->password.ptr, r->nickname ? "+nickname" : "",
        r->friends ? "+friends" : "");
    return outcome->stop_with;
}

static void problem(void *context, size_t line, const char *reason)
{
    struct outcome *outcome = context;
    outcome->problems++;
    add(outcome, "%zu!%s;", line, reason);
}

static int friend(void *context, slice key)
{
    add(context, "~%.*s;", (int)key.len, (const char *)key.ptr);
    return OK;
}

static const struct import_handlers handlers = {record, problem, friend};

/* From memory of exactly this size, so that the sanitizer sees a byte too far. */
static int read_bytes(const void *bytes, size_t len, struct outcome *outcome)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len) memcpy(copy, bytes, len);
    *outcome = (struct outcome){.stop_with = OK};
    int err = import_read(slice_of(copy, len), &handlers, outcome);
    free(copy);
    return err;
}

static void reads(const char *file, const char *expected)
{
    struct outcome outcome;
    assert_int_equal(read_bytes(file, strlen(file), &outcome), OK);
    assert_string_equal(outcome.text, expected);
}

static void refuses(const char *file, const char *expected)
{
    struct outcome outcome;
    assert_int_equal(read_bytes(file, strlen(file), &outcome), ERR_MALFORMED);
    assert_non_null(strstr(outcome.text, expected));
    assert_int_equal(outcome.records, 0);
}

#define FIELDS                                                                                               \
    "The number of fields is not that of the columns (a comma in a password needs quotes around the "        \
    "password)."
#define NAME "A name is made of letters and digits of any script and of _ . - only, without spaces."

static void csv_is_read_with_any_line_end_mark_or_header(void **state)
{
    (void)state;
    reads("an,secret\nbinh,other", "1 an=secret;2 binh=other;");
    reads("an,secret\r\nbinh,other\r\n\r\n", "1 an=secret;2 binh=other;");
    reads("\xEF\xBB\xBFusername,password\r\nan,secret\r\n", "2 an=secret;");
    reads("\n\nusername,password\nan,secret", "4 an=secret;");
    reads("Password, UserName ,mail\nsecret,an,an@example.org\n", "2 an=secret;");
    reads("nickname,username,password,friends\nAn Nguyen,an,secret,binh chi\nbinh,binh,secret,\n",
          "2 an=secret+nickname+friends;~binh;~chi;3 binh=secret;");
    reads("", "");
    reads("\n\r\n\n", "");
    reads("username,password", "");
}

static void csv_quotes_hold_commas_quotes_and_line_ends(void **state)
{
    (void)state;
    reads("\"an\",\"se,cr\"\"et\"\nbinh,x", "1 an=se,cr\"et;2 binh=x;");
    reads("an,\"one\ntwo\r\nthree\"\r\nbinh,x", "1 an=one\ntwo\r\nthree;4 binh=x;");
    reads("an,pa\"ss\nbinh, x ", "1 an=pa\"ss;2 binh= x ;");
    reads("an,\"\"\"\"", "1 an=\";");
}

static void csv_lines_with_something_wrong_are_told_and_the_others_read(void **state)
{
    (void)state;
    reads(
        "an,secret\nbinh;secret\nchi,secret",
        "1 an=secret;2!There must be two fields with a comma between them: username,password.;3 chi=secret;");
    reads("an,a,b\nbinh,secret", "1!" FIELDS ";2 binh=secret;");
    reads("username,password\nan\nbinh,secret", "2!There must be two fields with a comma between them: "
                                                "username,password.;3 binh=secret;");
    reads("an,\"secret\nbinh,other\nchi,x", "1!A quote that is opened here is never closed.;"
                                            "2 binh=other;3 chi=x;");
    reads("an,\"sec\nret\"x\nbinh,other", "1!After a closing quote there must be a comma or the end of the "
                                          "line.;3 binh=other;");
    reads("an,sec\rret\nbinh,x", "1!There is a carriage return in the middle of the line.;2 binh=x;");
    reads("an,\nan,secret", "1!The password is empty.;2 an=secret;");
    reads(",secret\na b,secret\n<b>,secret\n\xff,secret",
          "1!The name is empty.;2!" NAME ";3!" NAME ";4!The name is not valid text (UTF-8).;");
    reads("an,caf\xe9", "1!The password is not valid text (UTF-8).;");
    reads("An,secret\nan,other\nbinh,x",
          "1 An=secret;2!The name, or one that counts as the same, stands further up in the file "
          "already.;3 binh=x;");
}

static void csv_that_is_none_is_refused_whole(void **state)
{
    (void)state;
    refuses("username,hash\nan,secret\n", "1!The header names no column \"password\".");
    refuses("\xFF\xFE"
            "a",
            "UTF-16");
    struct outcome outcome;
    char *lines = malloc(3 * 5000);
    assert_non_null(lines);
    for (size_t i = 0; i < 5000; i++)
        memcpy(lines + 3 * i, "\"x\n", 3);
    assert_int_equal(read_bytes(lines, 3 * 5000, &outcome), ERR_MALFORMED);
    assert_int_equal(outcome.problems, IMPORT_PROBLEMS_MAX + 1);
    free(lines);
}

static void json_is_read_as_a_list_or_as_an_object_with_the_line_of_each_record(void **state)
{
    (void)state;
    reads("[\n {\"nickname\":\"An\", \"username\":\"an\",\n  \"password\":\"secret\", "
          "\"friends\":[\"binh\"]},\n"
          " {\"username\":\"binh\",\"password\":\"x\",\"nickname\":\"binh\",\"friends\":[]}\n]",
          "2 an=secret+nickname+friends;~binh;4 binh=x;");
    reads("{\n\"an\": {\"password\":\"a\"},\n\n\"x\": {\"username\":\"binh\",\"password\":\"b\"}}",
          "2 an=a;4 binh=b;");
    reads("{\"users\":\n[{\"username\":\"an\",\"password\":\"a\"},\n{\"username\":\"binh\",\"password\":"
          "\"b\"}]}",
          "2 an=a;3 binh=b;");
    reads("\xEF\xBB\xBF \n{\"username\":\"an\",\"password\":\"a\"}", "2 an=a;");
    reads("[{\"username\":\"an\",\"password\":1234}]", "1 an=1234;");
    reads("{\"password\":{\"password\":\"a\"}}", "1 password=a;");
    reads("[]", "");
    reads("{}", "");
    reads(
        "[{\"username\":\"a\\\"n:[{\",\"password\":\"]}\\\\\"},\n{\"username\":\"binh\",\"password\":\"b\"}]",
        "1!" NAME ";2 binh=b;");
}

static void json_records_with_something_wrong_are_told_and_the_others_read(void **state)
{
    (void)state;
    reads("[1,\n\"an\",\nnull,\n[],\n{\"username\":\"an\",\"password\":\"a\"}]",
          "1!This is not an object with username and password.;2!This is not an object with username and "
          "password.;3!This is not an object with username and password.;4!This is not an object with "
          "username and password.;5 an=a;");
    reads("[{\"password\":\"a\"},\n{\"username\":7,\"password\":\"a\"},\n{\"username\":\"an\"},\n"
          "{\"username\":\"an\",\"password\":null}]",
          "1!There is no username.;2!The username is not text.;3!There is no password.;4!The password is not "
          "text.;");
    reads("[{\"username\":\"an\",\"password\":\"a\\u0000b\"}]", "1!The password contains a zero byte.;");
    reads("[{\"username\":\"an\\u0000\",\"password\":\"ab\"}]", "1!" NAME ";");
}

static void json_that_is_none_is_refused_with_its_line_and_without_its_text(void **state)
{
    (void)state;
    refuses("[\n{\"username\":\"an\",\"password\":\"hunter2\",}]", "2!From here on this is not JSON");
    refuses("[{\"username\":\"an\",\"password\":\"hunter2\"}] more", "not JSON");
    refuses("{\"an\":{},\n\"an\":{}}", "2!A name stands twice");
    refuses("[\"\xff\"]", "not JSON");
    struct outcome outcome;
    const char *bad = "[{\"username\":\"an\",\"password\":hunter2}]";
    assert_int_equal(read_bytes(bad, strlen(bad), &outcome), ERR_MALFORMED);
    assert_null(strstr(outcome.text, "hunter2"));
    char deep[100000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(read_bytes(deep, sizeof deep, &outcome), ERR_MALFORMED);
}

static void limits_hold(void **state)
{
    (void)state;
    struct outcome outcome;
    char *big = malloc((size_t)IMPORT_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, 'a', (size_t)IMPORT_BYTES_MAX + 1);
    assert_int_equal(read_bytes(big, (size_t)IMPORT_BYTES_MAX + 1, &outcome), ERR_TOO_LARGE);
    assert_int_equal(read_bytes(big, IMPORT_BYTES_MAX, &outcome), OK);
    assert_string_equal(outcome.text,
                        "1!The line is longer than 64 KiB, or a quote that is opened here is never closed.;");
    memset(big, '"', IMPORT_BYTES_MAX);
    assert_int_equal(read_bytes(big, IMPORT_BYTES_MAX, &outcome), OK);
    assert_int_equal(outcome.problems, 1);
    memset(big, ',', IMPORT_BYTES_MAX);
    assert_int_equal(read_bytes(big, IMPORT_BYTES_MAX, &outcome), OK);
    assert_string_equal(outcome.text, "1!There are too many fields on this line.;");
    size_t len = 0;
    for (int i = 0; i <= IMPORT_RECORDS_MAX; i++)
        len += (size_t)sprintf(big + len, "u%d,x\n", i);
    assert_int_equal(read_bytes(big, len, &outcome), ERR_TOO_LARGE);
    assert_int_equal(outcome.records, IMPORT_RECORDS_MAX);
    free(big);

    char password[PASSWORD_BYTES_MAX + 8];
    memset(password, 'x', sizeof password);
    memcpy(password, "an,", 3);
    assert_int_equal(read_bytes(password, PASSWORD_BYTES_MAX + 3, &outcome), OK);
    assert_int_equal(outcome.records, 1);
    assert_int_equal(read_bytes(password, PASSWORD_BYTES_MAX + 4, &outcome), OK);
    assert_string_equal(outcome.text, "1!The password is too long: at most 1024 bytes.;");
}

static void what_the_handler_answers_ends_the_reading(void **state)
{
    (void)state;
    struct outcome outcome = {.stop_with = ERR_DISK_FULL};
    assert_int_equal(import_read(SLICE("an,a\nbinh,b\n"), &handlers, &outcome), ERR_DISK_FULL);
    assert_int_equal(outcome.records, 1);
    outcome = (struct outcome){.stop_with = ERR_DISK_FULL};
    assert_int_equal(
        import_read(SLICE("{\"an\":{\"password\":\"a\"},\"b\":{\"password\":\"b\"}}"), &handlers, &outcome),
        ERR_DISK_FULL);
    assert_int_equal(outcome.records, 1);
}

/* Every beginning of good files, and each with one byte changed: no crash, and never a record from nowhere.
 */
static void no_input_breaks_it(void **state)
{
    (void)state;
    static const char *const files[] = {
        "username,password\r\nan,\"se,\"\"cret\"\r\nbinh,x\r\n",
        "[{\"username\":\"an\",\"password\":\"a\\u00e9\",\"friends\":[{}]},\n{\"username\":1}]",
        "{\"an\":{\"password\":\"a\"},\"users\":[]}",
    };
    static const char changes[] = "\",\r\n{}[]:\\\0x\xff";
    struct outcome outcome;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        size_t len = strlen(files[f]);
        char copy[256];
        for (size_t i = 0; i <= len; i++) {
            (void)!read_bytes(files[f], i, &outcome);
            assert_true(outcome.records <= 3);
            for (size_t c = 0; i < len && c < sizeof changes; c++) {
                memcpy(copy, files[f], len);
                copy[i] = changes[c];
                (void)!read_bytes(copy, len, &outcome);
                assert_true(outcome.records <= 4);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_is_read_with_any_line_end_mark_or_header),
        cmocka_unit_test(csv_quotes_hold_commas_quotes_and_line_ends),
        cmocka_unit_test(csv_lines_with_something_wrong_are_told_and_the_others_read),
        cmocka_unit_test(csv_that_is_none_is_refused_whole),
        cmocka_unit_test(json_is_read_as_a_list_or_as_an_object_with_the_line_of_each_record),
        cmocka_unit_test(json_records_with_something_wrong_are_told_and_the_others_read),
        cmocka_unit_test(json_that_is_none_is_refused_with_its_line_and_without_its_text),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(what_the_handler_answers_ends_the_reading),
        cmocka_unit_test(no_input_breaks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
