/* multipart/form-data, cut everywhere; Content-Disposition; names of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "http/disposition.h"
#include "http/multipart.h"

enum { LOG_BYTES = 8192, PARTS_MAX = 4, HEAD_MAX = 400 };

/* What came out as text, with data joined, so that two runs can be compared. */
struct log {
    char text[LOG_BYTES];
    size_t len;
    size_t data_max; /* the longest run of data */
};

static void note(struct log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(log->text + log->len, LOG_BYTES - log->len, format, arguments);
    va_end(arguments);
    assert_true(n >= 0 && (size_t)n < LOG_BYTES - log->len);
    log->len += (size_t)n;
}

static const char *text_of(slice s)
{
    return s.len ? (const char *)s.ptr : "";
}

static void note_event(struct log *log, const struct multipart_event *e)
{
    switch (e->kind) {
    case MULTIPART_PART:
        note(log, "[%.*s", (int)e->name.len, text_of(e->name));
        if (e->has_filename) note(log, " f=%.*s", (int)e->filename.len, text_of(e->filename));
        if (e->content_type.len) note(log, " t=%.*s", (int)e->content_type.len, text_of(e->content_type));
        note(log, ":");
        break;
    case MULTIPART_DATA:
        assert_true(e->data.len > 0);
        if (e->data.len > log->data_max) log->data_max = e->data.len;
        note(log, "%.*s", (int)e->data.len, text_of(e->data));
        break;
    case MULTIPART_PART_END: note(log, "]"); break;
    case MULTIPART_END: note(log, "."); break;
    }
}

static int feed(struct multipart *m, slice bytes, struct log *log)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    memcpy(copy, bytes.ptr, bytes.len);
    slice input = slice_of(copy, bytes.len);
    struct multipart_event e;
    int rc;
    while ((rc = multipart_next(m, &input, &e)) == OK)
        note_event(log, &e);
    if (rc != ERR_AGAIN) note(log, "!%s", err_name(rc));
    if (rc == ERR_AGAIN) assert_int_equal(input.len, 0);
    free(copy);
    return rc;
}

static void begin(struct multipart *m, struct log *log)
{
    static const struct multipart_limits limits = {PARTS_MAX, HEAD_MAX};
    assert_int_equal(multipart_init(m, &allocator_libc, SLICE("multipart/form-data; boundary=B--b"), &limits),
                     OK);
    log->len = log->data_max = 0;
    log->text[0] = 0;
}

static void finish(struct multipart *m, struct log *log, int rc)
{
    if (rc == ERR_AGAIN && !multipart_ended(m)) note(log, "~"); /* cut */
    multipart_deinit(m);
}

/* The same for the whole, in steps of every size, and in two parts cut anywhere. */
static const char *parse_everyhow(slice text)
{
    static struct log whole, other;
    struct multipart m;
    begin(&m, &whole);
    finish(&m, &whole, feed(&m, text, &whole));
    for (size_t step = 1; step < text.len; step++) {
        int rc = ERR_AGAIN;
        begin(&m, &other);
        for (size_t at = 0; at < text.len && rc == ERR_AGAIN; at += step)
            rc = feed(&m, slice_sub(text, at, step), &other);
        finish(&m, &other, rc);
        assert_string_equal(other.text, whole.text);
    }
    for (size_t cut = 0; cut <= text.len; cut++) {
        begin(&m, &other);
        int rc = feed(&m, slice_sub(text, 0, cut), &other);
        if (rc == ERR_AGAIN) rc = feed(&m, slice_sub(text, cut, text.len), &other);
        finish(&m, &other, rc);
        assert_string_equal(other.text, whole.text);
    }
    return whole.text;
}

#define D "Content-Disposition: form-data; name="
#define B "--B--b\r\n"
#define E "\r\n--B--b--"

static void a_form_is_taken_apart(void **state)
{
    (void)state;
    const char *form = B D
        "\"text\"\r\n\r\nhello"
        "\r\n" B D
        "\"file\"; filename=\"a b.txt\"\r\nContent-Type: text/plain; charset=x\r\nX-Other: y\r\n\r\n"
        "one\r\n--B--\r\ntwo\r\n\r\n"
        "\r\n" B D "empty\r\n\r\n"
        "\r\n" B "content-disposition: FORM-DATA; name=\"no file\"; filename=\"\"\r\n\r\n" E "\r\nepilogue" E;
    assert_string_equal(parse_everyhow(slice_text(form)),
                        "[text:hello][file f=a b.txt t=text/plain; charset=x:one\r\n--B--\r\ntwo\r\n\r\n]"
                        "[empty:][no file f=:].");
}

static const struct {
    const char *body, *outcome;
} bodies[] = {
    {"--B--b--", "."},
    {"--B--b--\r\n", "."},
    {"preamble\r\n\r\n--B--b--", "."},
    {"--B--bx\r\n--B--b--", "!MALFORMED"},
    {" --B--b--", "~"},
    {"", "~"},
    {"--B--b", "~"},
    {B, "~"},
    {B D "a\r\n\r\n", "[a:~"},
    {B D "a\r\n\r\nx\r\n--B--b", "[a:x]~"},
    {B D "a\r\n\r\nx\r\n--B--b-", "[a:x]~"},
    {B D "a\r\n\r\nx\r\n--B--b-\r\n", "[a:x]!MALFORMED"},
    {B D "a\r\n\r\nx\r\n--B--bc\r\n", "[a:x]!MALFORMED"},
    {B D "a\r\n\r\nx" E, "[a:x]."},
    {B D "a\r\n\r\nx\r\n--B--b \t \r\n" D "b\r\n\r\ny" E, "[a:x][b:y]."},
    {B D "a\r\n\r\nx\r\n--B--b x\r\n", "[a:x]!MALFORMED"},
    {B D "a\r\n\r\nx\r\n--B--b\n", "[a:x]!MALFORMED"},
    {B D "a\r\n\r\nx\r\n--B--b\r\r\n", "[a:x]!MALFORMED"},
    /* nearly a boundary: data */
    {B D "a\r\n\r\n\r" E, "[a:\r]."},
    {B D "a\r\n\r\n\r\n" E, "[a:\r\n]."},
    {B D "a\r\n\r\n\r\n\r\n-\r\n--\r\n--B\r\r\n--B--" E, "[a:\r\n\r\n-\r\n--\r\n--B\r\r\n--B--]."},
    {B D "a\r\n\r\nx\n--B--b--" E, "[a:x\n--B--b--]."},
    {B D "a\r\n\r\nx--B--b" E, "[a:x--B--b]."},
    {B D "a\r\n\r\n--B--c" E, "[a:--B--c]."},
    {B D "a\r\n\r\n-" E, "[a:-]."},
    /* a boundary where the data should begin: two readers could differ */
    {B D "a\r\n\r\n--B--b--", "[a:!MALFORMED"},
    {B D "a\r\n\r\n--B--b\r\n" D "b\r\n\r\ny" E, "[a:!MALFORMED"},
    /* heads */
    {B "\r\nx" E, "!MALFORMED"},
    {B "\rx", "~"},
    {B "\rx\r\n\r\nx" E, "!MALFORMED"},
    {B "Content-Type: a/b\r\n\r\nx" E, "!MALFORMED"},
    {B "Content-Disposition: form-data\r\n\r\nx" E, "!MALFORMED"},
    {B "Content-Disposition: form-data; filename=a\r\n\r\nx" E, "!MALFORMED"},
    {B "Content-Disposition: attachment; name=a\r\n\r\nx" E, "!MALFORMED"},
    {B "Content-Disposition: \r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\n" D "b\r\n\r\nx" E, "!MALFORMED"},
    {B D "a; name=b\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\n folded\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\nX : y\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\nno colon\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\nX: y\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\rX: y\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\nX: \x01\r\n\r\nx" E, "!MALFORMED"},
    {B D "\"a\r\n\r\nx" E, "!MALFORMED"},
    {B D "\"\xff\"\r\n\r\nx" E, "!MALFORMED"},
    {B D "\"caf\xc3\xa9\"\r\n\r\nx" E, "[caf\xc3\xa9:x]."},
    {B D "\"\"\r\n\r\nx" E, "[:x]."},
    {B D "a\r\nContent-Transfer-Encoding: base64\r\n\r\nx" E, "!MALFORMED"},
    {B D "a\r\nContent-Transfer-Encoding: Binary\r\n\r\nx" E, "[a:x]."},
    {B D "a\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx" E, "[a:x]."},
    {B D "a\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx" E, "[a:x]."},
    /* limits */
    {B D "a\r\n\r\n\r\n" B D "a\r\n\r\n\r\n" B D "a\r\n\r\n\r\n" B D "a\r\n\r\n\r\n" B D "a\r\n\r\n" E,
     "[a:][a:][a:][a:]!TOO_LARGE"},
    {B "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\ni:\r\nj:\r\nk:\r\nl:\r\nm:\r\nn:\r\no:\r\np:\r\n" D
       "a\r\n\r\n" E,
     "!TOO_LARGE"},
    {B "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\ni:\r\nj:\r\nk:\r\nl:\r\nm:\r\nn:\r\no:\r\n" D
       "a\r\n\r\n" E,
     "[a:]."},
};

static void bodies_are_read_or_refused_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const char *got = parse_everyhow(slice_text(bodies[i].body));
        if (strcmp(got, bodies[i].outcome) != 0) fail_msg("%s: %s", bodies[i].body, got);
    }
}

static void a_head_that_is_too_long_is_refused_before_it_ends(void **state)
{
    (void)state;
    char body[HEAD_MAX + 100] = B D "a\r\nX: ";
    size_t len = strlen(body);
    memset(body + len, 'x', sizeof body - len);
    assert_string_equal(parse_everyhow(slice_of(body, sizeof body)), "!TOO_LARGE");
    /* exactly as long as allowed */
    size_t fits = sizeof B - 1 + HEAD_MAX;
    memcpy(body + fits - 4, "\r\n\r\n", 4);
    memcpy(body + fits, E, sizeof E - 1);
    assert_string_equal(parse_everyhow(slice_of(body, fits + sizeof E - 1)), "[a:].");
}

static void data_is_handed_on_without_being_gathered(void **state)
{
    (void)state;
    static uint8_t much[100000];
    static struct log log;
    struct multipart m;
    struct multipart_event e;
    begin(&m, &log);
    assert_int_equal(feed(&m, SLICE(B D "a\r\n\r\n"), &log), ERR_AGAIN);
    memset(much, 'x', sizeof much);
    memcpy(much + sizeof much - 5, "\r\n--B", 5); /* held back */
    slice input = slice_of(much, sizeof much);
    assert_int_equal(multipart_next(&m, &input, &e), OK);
    assert_true(e.kind == MULTIPART_DATA && e.data.ptr == much && e.data.len == sizeof much - 5);
    assert_int_equal(multipart_next(&m, &input, &e), ERR_AGAIN);
    assert_true(m.head.cap <= 128);
    multipart_deinit(&m);
}

static int init(const char *content_type)
{
    struct multipart m;
    int rc = multipart_init(&m, &allocator_libc, slice_text(content_type), NULL);
    if (rc == OK) multipart_deinit(&m);
    return rc;
}

static void the_boundary_comes_from_the_content_type(void **state)
{
    (void)state;
    assert_int_equal(init("multipart/form-data; boundary=----WebKitFormBoundaryAZaz09"), OK);
    assert_int_equal(init("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b'()+_,-./:=?\""), OK);
    assert_int_equal(init("multipart/form-data; boundary="
                          "0123456789012345678901234567890123456789012345678901234567890123456789"),
                     OK);
    assert_int_equal(init("multipart/form-data; boundary="
                          "01234567890123456789012345678901234567890123456789012345678901234567890"),
                     ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data"), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary"), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary="), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary=\"\""), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary=\"a \""), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary=\"a\\b\""), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary=\"a\xc3\xa9\""), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary=a; boundary=b"), ERR_MALFORMED);
    assert_int_equal(init("multipart/form-data; boundary=a b"), ERR_MALFORMED);
    assert_int_equal(init("multipart/mixed; boundary=a"), ERR_INVALID);
    assert_int_equal(init("application/x-www-form-urlencoded"), ERR_INVALID);
    assert_int_equal(init(""), ERR_INVALID);
}

static void *no_memory(void *context, void *ptr, size_t old_size, size_t size)
{
    (void)context;
    (void)ptr;
    (void)old_size;
    (void)size;
    return NULL;
}

static void without_memory_a_head_is_an_error(void **state)
{
    (void)state;
    static const struct allocator none = {.resize = no_memory};
    struct multipart m;
    struct multipart_event e;
    slice input = SLICE(B D "a\r\n\r\nx");
    assert_int_equal(multipart_init(&m, &none, SLICE("multipart/form-data; boundary=B--b"), NULL), OK);
    assert_int_equal(multipart_next(&m, &input, &e), ERR_MEMORY);
    multipart_deinit(&m);
}

/* "type name filename", absent ones as "-"; "malformed". */
static const char *disposition(const char *value)
{
    static char text[256];
    size_t len = strlen(value);
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, value, len);
    struct disposition d;
    if (disposition_parse(copy, len, &d) < 0)
        snprintf(text, sizeof text, "malformed");
    else
        snprintf(text, sizeof text, "%.*s|%.*s|%.*s", (int)d.type.len, text_of(d.type),
                 d.has_name ? (int)d.name.len : 1, d.has_name ? text_of(d.name) : "-",
                 d.has_filename ? (int)d.filename.len : 1, d.has_filename ? text_of(d.filename) : "-");
    free(copy);
    return text;
}

static void dispositions_are_decoded(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"attachment", "attachment|-|-"},
        {"form-data; name=a; filename=b.txt; other=c", "form-data|a|b.txt"},
        {"form-data; name=\"a\\\"b\\\\c\"; filename=\"C:\\dir\\f.txt\"", "form-data|a\"b\\c|C:\\dir\\f.txt"},
        {"form-data; name=\"a\\\"\"", "form-data|a\"|-"},
        {"form-data; name=\"%22\"; filename=\"\"", "form-data|%22|"},
        {"form-data; name=a; filename=\"plain\"; filename*=UTF-8''na%C3%AFve%20%e2%82%ac.txt",
         "form-data|a|na\u00efve \u20ac.txt"},
        {"form-data; filename*=utf-8'en'x; filename=plain; name=a", "form-data|a|x"},
        {"attachment; filename*=ISO-8859-1''%e9%C9t", "attachment|-|\u00e9\u00c9t"},
        {"attachment; filename*=UTF-8''", "attachment|-|"},
        {"", "malformed"},
        {"; name=a", "malformed"},
        {"form-data; name", "malformed"},
        {"form-data; name=a; NAME=b", "malformed"},
        {"form-data; name=a; filename=b; filename=c", "malformed"},
        {"form-data name=a", "form-data name=a|-|-"},
        {"form-data; name=\"a", "malformed"},
        {"form-data; name=\"a\tb\"", "malformed"},
        {"form-data; name=\"\xc3\x28\"", "malformed"},
        {"form-data; filename*=UTF-8''%FF", "malformed"},
        {"form-data; filename*=UTF-8''%00", "malformed"},
        {"form-data; filename*=UTF-8''%0a", "malformed"},
        {"form-data; filename*=UTF-8''%2", "malformed"},
        {"form-data; filename*=UTF-8''%zz", "malformed"},
        {"form-data; filename*=UTF-8'a", "malformed"},
        {"form-data; filename*=a", "malformed"},
        {"form-data; filename*=UTF-8''a*", "malformed"},
        {"form-data; filename*=UTF-8''a'b", "malformed"},
        {"form-data; filename*=KOI8-R''a", "malformed"},
        {"form-data; filename*=\"UTF-8''a\"", "malformed"},
        {"form-data; filename*=UTF-8''a; filename*=UTF-8''b", "malformed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(disposition(rows[i][0]), rows[i][1]) != 0)
            fail_msg("%s: %s", rows[i][0], disposition(rows[i][0]));
    }
}

static const char *written(bool attachment, const char *filename)
{
    static char text[256];
    struct buffer b;
    buffer_init(&b, &allocator_libc, 200);
    disposition_write(&b, attachment, slice_text(filename));
    assert_false(b.failed);
    memcpy(text, b.ptr, b.len);
    text[b.len] = 0;
    buffer_reset(&b);
    return text;
}

static void a_disposition_is_written_for_old_and_new_readers(void **state)
{
    (void)state;
    assert_string_equal(written(false, ""), "inline");
    assert_string_equal(written(true, "a b.txt"), "attachment; filename=\"a b.txt\"");
    assert_string_equal(written(true, "/tmp/x/../a.txt"), "attachment; filename=\"a.txt\"");
    assert_string_equal(written(false, "\u20ac 5%\".txt"),
                        "inline; filename=\"_ 5__.txt\"; filename*=UTF-8''%E2%82%AC%205%25%22.txt");
    assert_string_equal(written(true, "a\r\nSet-Cookie: b"), "attachment; filename=\"a__Set-Cookie: b\"");
    assert_string_equal(written(true, "\xff.bin"), "attachment; filename=\"_.bin\"");
    assert_string_equal(written(true, "\u20acAZaz09!#$&+-.^_`|~/.'()*@"), "attachment; filename=\".'()*@\"");
    assert_string_equal(written(true, "\u20acAZaz09!#$&+-.^_`|~'(@"),
                        "attachment; filename=\"_AZaz09!#$&+-.^_`|~'(@\"; "
                        "filename*=UTF-8''%E2%82%ACAZaz09!#$&+-.^_`|~%27%28%40");
    assert_string_equal(disposition(written(true, "na\u00efve '*.txt")), "attachment|-|na\u00efve '*.txt");
}

static const char *safe(const char *filename)
{
    static char name[FILENAME_BYTES_MAX + 1];
    size_t len = filename_safe(slice_text(filename), name);
    assert_int_equal(strlen(name), len);
    return name;
}

static void a_name_becomes_safe(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a.txt", "a.txt"},
        {"\u1ea3nh \u0111\u1eb9p.jpeg", "\u1ea3nh \u0111\u1eb9p.jpeg"},
        {"../../etc/passwd", "passwd"},
        {"C:\\Users\\x\\a.txt", "a.txt"},
        {"/", "file"},
        {"", "file"},
        {"..", "file"},
        {". . .", "file"},
        {".bashrc", "bashrc"},
        {"a.", "a"},
        {"a.txt .. ", "a.txt"},
        {"a\nb\x7f.txt", "a_b_.txt"},
        {"a<b>:\"|?*.txt", "a_b______.txt"},
        {"a\xff\xfe.txt", "a__.txt"},
        {"CON", "_CON"},
        {"nul.txt", "_nul.txt"},
        {"Com1.tar.gz", "_Com1.tar.gz"},
        {"com10.txt", "com10.txt"},
        {"console", "console"},
        {"a\u202Egpj.exe", "a_gpj.exe"},
        {"\u200B", "_"},
        {"a\x7F"
         "b\xC2\x80"
         "c\xC2\x9F"
         "d\u00A0e",
         "a_b_c_d\u00A0e"},
        {"a\u200Ab\u200Fc\u2010d", "a\u200Ab_c\u2010d"},
        {"a\u2027b\u2028c\u202Ed\u202Fe", "a\u2027b_c_d\u202Fe"},
        {"a\u205Fb\u2060c\u206Fd\u2070e", "a\u205Fb_c_d\u2070e"},
        {"a\uFEFFb", "a_b"},
        {"-rf", "_rf"},
        {"--help.txt", "_-help.txt"},
        {"$(id)`x`.sh", "_(id)_x_.sh"},
        {"photo (1)'s.jpg", "photo (1)'s.jpg"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(safe(rows[i][0]), rows[i][1]) != 0) fail_msg("%s: %s", rows[i][0], safe(rows[i][0]));
    }
}

static void a_long_name_keeps_its_extension_and_its_characters_whole(void **state)
{
    (void)state;
    char text[700] = "";
    for (int i = 0; i < 200; i++)
        memcpy(text + 3 * i, "\u20ac", 4);
    memcpy(text + 600, ".tar.gz", 8);
    const char *name = safe(text);
    size_t len = strlen(name);
    assert_true(len <= FILENAME_BYTES_MAX && len > FILENAME_BYTES_MAX - 3);
    assert_string_equal(name + len - 3, ".gz");
    assert_true(utf8_valid(slice_text(name)));
    static const char *const kept[] = {".azAZ09", ".0123456789abcde"}, *const lost[] = {".a_b",
                                                                                        ".0123456789abcdef",
                                                                                        ".\u00e9"};
    for (size_t i = 0; i < 2; i++) {
        memcpy(text + 600, kept[i], strlen(kept[i]) + 1);
        assert_non_null(strstr(safe(text), kept[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        memcpy(text + 600, lost[i], strlen(lost[i]) + 1);
        assert_null(strstr(safe(text), lost[i]));
    }
    memset(text, 'x', sizeof text - 1);
    text[FILENAME_BYTES_MAX - 1] = ' ';
    assert_int_equal(strlen(safe(text)), FILENAME_BYTES_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_taken_apart),
        cmocka_unit_test(bodies_are_read_or_refused_however_cut),
        cmocka_unit_test(a_head_that_is_too_long_is_refused_before_it_ends),
        cmocka_unit_test(data_is_handed_on_without_being_gathered),
        cmocka_unit_test(the_boundary_comes_from_the_content_type),
        cmocka_unit_test(without_memory_a_head_is_an_error),
        cmocka_unit_test(dispositions_are_decoded),
        cmocka_unit_test(a_disposition_is_written_for_old_and_new_readers),
        cmocka_unit_test(a_name_becomes_safe),
        cmocka_unit_test(a_long_name_keeps_its_extension_and_its_characters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
