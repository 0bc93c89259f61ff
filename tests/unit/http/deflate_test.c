/* Agreeing on permessage-deflate, and the parameters of header fields that it is written in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/param.h"
#include "http/ws_deflate.h"

/* "name=value|name|..." with quotes around what was quoted; "malformed". */
static const char *params_of(const char *text)
{
    static char out[512];
    uint8_t *copy = malloc(strlen(text) + 1); /* so that the sanitizer sees reads past the end */
    memcpy(copy, text, strlen(text));
    slice rest = slice_of(copy, strlen(text));
    struct param p;
    size_t n = 0;
    int rc;
    out[0] = 0;
    while ((rc = param_next(&rest, &p)) == OK)
        n += (size_t)snprintf(out + n, sizeof out - n, p.quoted ? "%.*s%s\"%.*s\"|" : "%.*s%s%.*s|",
                              (int)p.name.len, (const char *)p.name.ptr, p.has_value ? "=" : "",
                              (int)p.value.len, p.value.len ? (const char *)p.value.ptr : "");
    free(copy);
    return rc == ERR_CLOSED ? out : "malformed";
}

static void parameters_are_tokens_or_quoted(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {" ; ;\t", ""},
        {"a=b", "a=b|"},
        {"; a=b ;c", "a=b|c|"},
        {"a=\"b;c=\\\"d\\\\\"; e=f", "a=\"b;c=\\\"d\\\\\"|e=f|"},
        {"a=\"\"", "a=\"\"|"},
        {"a=\"caf\xc3\xa9\"", "a=\"caf\xc3\xa9\"|"},
        {"=b", "malformed"},
        {"a=", "malformed"},
        {"a= b", "malformed"},
        {"a =b", "malformed"},
        {"a=b c", "malformed"},
        {"a=b=c", "malformed"},
        {"a=\"b", "malformed"},
        {"a=\"b\\", "malformed"},
        {"a=\"b\\\"", "malformed"},
        {"a=\"b\"c", "malformed"},
        {"a=\"b\x01\"", "malformed"},
        {"a=\"b\\\n\"", "malformed"},
        {"a=b;\"c\"", "malformed"},
        {"a=b,c", "malformed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(params_of(rows[i][0]), rows[i][1]) != 0)
            fail_msg("%s: %s", rows[i][0], params_of(rows[i][0]));
    }
}

static void a_parameter_is_found_once(void **state)
{
    (void)state;
    struct param p;
    slice rest = SLICE(" Text/Plain ; Charset=\"UTF\\-8\"; b");
    assert_true(slice_equal(param_value(&rest), SLICE("Text/Plain")));
    assert_int_equal(param_find(rest, SLICE("charset"), &p), OK);
    uint8_t out[8];
    assert_int_equal(param_unquote(p.value, out), 5);
    assert_memory_equal(out, "UTF-8", 5);
    assert_int_equal(param_find(rest, SLICE("c"), &p), ERR_NOT_FOUND);
    assert_int_equal(param_find(SLICE("a=1;A=2"), SLICE("a"), &p), ERR_MALFORMED);
    assert_int_equal(param_find(SLICE("a=1;b="), SLICE("a"), &p), ERR_MALFORMED);
}

/* "s<bits>[f] c<bits>[f]" */
static const char *told(const struct ws_deflate *d)
{
    static char text[32];
    snprintf(text, sizeof text, "s%u%s c%u%s", d->server_bits, d->server_fresh ? "f" : "", d->client_bits,
             d->client_fresh ? "f" : "");
    return text;
}

static const struct ws_deflate no_wish = {0};
static const struct ws_deflate small_wish = {
    .server_bits = 12, .client_bits = 10, .server_fresh = true, .client_fresh = true};

static const char *accepted(const char *field, const struct ws_deflate *wish)
{
    struct ws_deflate d;
    return ws_deflate_accept(slice_text(field), wish, &d) ? told(&d) : "no";
}

#define PMD "permessage-deflate"

static void a_server_takes_the_first_offer_that_it_can_grant(void **state)
{
    (void)state;
    static const struct {
        const char *field, *plain, *small; /* what is agreed with no_wish and with small_wish */
    } rows[] = {
        {PMD, "s15 c15", "s12f c15f"}, /* a smaller client window only when the client can do it */
        {PMD "; client_max_window_bits", "s15 c15", "s12f c10f"},
        {PMD ";client_max_window_bits=9", "s15 c9", "s12f c9f"},
        {PMD "; client_max_window_bits=\"8\"", "s15 c8", "s12f c8f"},
        {PMD "; server_max_window_bits=10", "s10 c15", "s10f c15f"},
        {PMD "; server_no_context_takeover; client_no_context_takeover", "s15f c15f", "s12f c15f"},
        {"x-webkit-deflate-frame, Permessage-Deflate", "s15 c15", "s12f c15f"},
        /* RFC 7692 7.1.3: the second offer is there for servers that decline the first */
        {PMD "; server_max_window_bits=8, " PMD "; client_no_context_takeover", "s15 c15f", "s12f c15f"},
        {PMD "; server_max_window_bits=10; client_max_window_bits, " PMD, "s10 c15", "s10f c10f"},
        {PMD "; unknown, " PMD "; server_max_window_bits=11", "s11 c15", "s11f c15f"},
        {"", "no", "no"},
        {"permessage-bzip2", "no", "no"},
        {PMD "; server_max_window_bits", "no", "no"},
        {PMD "; server_max_window_bits=8", "no", "no"},
        {PMD "; server_max_window_bits=7", "no", "no"},
        {PMD "; server_max_window_bits=16", "no", "no"},
        {PMD "; server_max_window_bits=010", "no", "no"},
        {PMD "; server_max_window_bits=10; server_max_window_bits=10", "no", "no"},
        {PMD "; client_max_window_bits; client_max_window_bits=10", "no", "no"},
        {PMD "; client_max_window_bits=", "no", "no"},
        {PMD "; client_max_window_bits=x", "no", "no"},
        {PMD "; client_max_window_bits=0", "no", "no"},
        {PMD "; server_no_context_takeover=1", "no", "no"},
        {PMD "; server_no_context_takeover; server_no_context_takeover", "no", "no"},
        {PMD "; client_no_context_takeover=\"\"", "no", "no"},
        {PMD " server_no_context_takeover", "no", "no"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(accepted(rows[i].field, &no_wish), rows[i].plain) != 0)
            fail_msg("%s: %s", rows[i].field, accepted(rows[i].field, &no_wish));
        if (strcmp(accepted(rows[i].field, &small_wish), rows[i].small) != 0)
            fail_msg("%s: %s", rows[i].field, accepted(rows[i].field, &small_wish));
    }
}

static void only_so_many_offers_are_looked_at(void **state)
{
    (void)state;
    char field[400] = "";
    for (int i = 0; i < WS_DEFLATE_OFFERS_MAX; i++)
        snprintf(field + strlen(field), sizeof field - strlen(field), "x%d, ", i);
    snprintf(field + strlen(field), sizeof field - strlen(field), PMD);
    assert_string_equal(accepted(field, &no_wish), "no");
    assert_string_equal(accepted(field + sizeof "x0," - 1, &no_wish), "s15 c15");
}

static const char *written(void (*write)(struct writer *, const struct ws_deflate *),
                           const struct ws_deflate *d)
{
    static char text[WS_DEFLATE_FIELD_BYTES_MAX + 1];
    struct writer w = writer_of(text, WS_DEFLATE_FIELD_BYTES_MAX);
    write(&w, d);
    assert_false(w.failed);
    text[w.len] = 0;
    return text;
}

static void offers_and_answers_say_only_what_differs(void **state)
{
    (void)state;
    assert_string_equal(written(ws_deflate_write, &(struct ws_deflate){15, 15, false, false}), PMD);
    assert_string_equal(written(ws_deflate_write, &(struct ws_deflate){10, 9, true, true}),
                        PMD "; server_no_context_takeover; client_no_context_takeover; "
                            "server_max_window_bits=10; client_max_window_bits=9");
    assert_string_equal(written(ws_deflate_offer_write, &no_wish), PMD "; client_max_window_bits");
    assert_string_equal(written(ws_deflate_offer_write, &(struct ws_deflate){9, 12, false, true}), PMD
                        "; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=12");
}

static const char *answered(const char *field, const struct ws_deflate *wish)
{
    struct ws_deflate d;
    switch (ws_deflate_answer_read(slice_text(field), wish, &d)) {
    case OK: return told(&d);
    case ERR_NOT_FOUND: return "none";
    default: return "fail";
    }
}

static void a_client_takes_only_an_answer_to_its_offer(void **state)
{
    (void)state;
    static const struct {
        const char *field, *plain, *small;
    } rows[] = {
        {"", "none", "none"},
        {PMD, "s15 c15", "fail"}, /* it did not grant the server's part of the wish */
        {PMD "; server_no_context_takeover; server_max_window_bits=12", "s12f c15", "s12f c10f"},
        {PMD "; server_no_context_takeover; server_max_window_bits=13", "s13f c15", "fail"},
        {PMD "; server_max_window_bits=12", "s12 c15", "fail"},
        {PMD "; server_max_window_bits=8; server_no_context_takeover", "s8f c15", "s8f c10f"},
        {PMD "; client_max_window_bits=9", "s15 c9", "fail"},
        {PMD "; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=11", "s12f c11",
         "fail"},
        {PMD "; client_no_context_takeover", "s15 c15f", "fail"},
        {PMD "; client_max_window_bits", "fail", "fail"},
        {PMD "; unknown", "fail", "fail"},
        {"permessage-bzip2", "fail", "fail"},
        {PMD ", " PMD, "fail", "fail"},
        {PMD ", x", "fail", "fail"},
        {"x, " PMD, "fail", "fail"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(answered(rows[i].field, &no_wish), rows[i].plain) != 0)
            fail_msg("%s: %s", rows[i].field, answered(rows[i].field, &no_wish));
        if (strcmp(answered(rows[i].field, &small_wish), rows[i].small) != 0)
            fail_msg("%s: %s", rows[i].field, answered(rows[i].field, &small_wish));
    }
}

static void our_client_and_our_server_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1u << 8; i++) {
        struct ws_deflate client = {(uint8_t)(9 + (i & 1) * 6), (uint8_t)(i & 2 ? 11 : 0), i & 4, i & 8},
                          server = {(uint8_t)(i & 16 ? 10 : 15), (uint8_t)(i & 32 ? 9 : 15), i & 64, i & 128},
                          a, b;
        char offer[WS_DEFLATE_FIELD_BYTES_MAX + 1];
        snprintf(offer, sizeof offer, "%s", written(ws_deflate_offer_write, &client));
        assert_true(ws_deflate_accept(slice_text(offer), &server, &a));
        assert_int_equal(ws_deflate_answer_read(slice_text(written(ws_deflate_write, &a)), &client, &b), OK);
        char text[32];
        snprintf(text, sizeof text, "%s", told(&a));
        assert_string_equal(told(&b), text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_tokens_or_quoted),
        cmocka_unit_test(a_parameter_is_found_once),
        cmocka_unit_test(a_server_takes_the_first_offer_that_it_can_grant),
        cmocka_unit_test(only_so_many_offers_are_looked_at),
        cmocka_unit_test(offers_and_answers_say_only_what_differs),
        cmocka_unit_test(a_client_takes_only_an_answer_to_its_offer),
        cmocka_unit_test(our_client_and_our_server_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
