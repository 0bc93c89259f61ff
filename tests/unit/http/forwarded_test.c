/* Addresses and networks as text, and who the client is behind proxies that are trusted. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/forwarded.h"

static const char *address_text(const uint8_t address[IP_BYTES])
{
    static char text[INET6_ADDRSTRLEN];
    if (ip_is_v4(address))
        inet_ntop(AF_INET, address + 12, text, sizeof text);
    else
        inet_ntop(AF_INET6, address, text, sizeof text);
    return text;
}

static const char *parsed(const char *text)
{
    uint8_t address[IP_BYTES];
    return ip_parse(slice_text(text), address) == OK ? address_text(address) : "malformed";
}

static void addresses_are_those_of_the_c_library(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "192.0.2.1",
        "255.255.255.255",
        "256.0.0.1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4 ",
        "1.2.3.-4",
        "1.2.3.0x4",
        "01.2.3.4",
        "::",
        "::1",
        "1::",
        "1::8",
        "2001:db8::ff00:42:8329",
        "2001:DB8:0:0:0:0:0:1",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1::2:3:4:5:6:7",
        "1::2::3",
        ":::",
        "::1::",
        "1:::2",
        ":",
        "1:",
        "12345::",
        "g::",
        "::1.2.3.4",
        "64:ff9b::192.0.2.33",
        "1:2:3:4:5:6:1.2.3.4",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5::1.2.3.4",
        "::1.2.3.4:5",
        "::1.2.3",
        "1.2.3.4::",
        "::ffff:0:0",
        "fe80::1%eth0",
        "[::1]",
        "",
        " ::1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t wanted[IP_BYTES] = {[10] = 0xFF, [11] = 0xFF}, got[IP_BYTES];
        bool v6 = strchr(texts[i], ':') != NULL;
        bool valid = inet_pton(v6 ? AF_INET6 : AF_INET, texts[i], v6 ? wanted : wanted + 12) == 1;
        bool ours = ip_parse(slice_text(texts[i]), got) == OK;
        if (valid != ours || (valid && memcmp(got, wanted, IP_BYTES) != 0)) fail_msg("%s", texts[i]);
    }
    assert_string_equal(parsed("::ffff:1.2.3.4"), "1.2.3.4");
}

static bool has(const char *network, const char *address)
{
    struct ip_network n;
    uint8_t bytes[IP_BYTES];
    assert_int_equal(ip_network_parse(slice_text(network), &n), OK);
    assert_int_equal(ip_parse(slice_text(address), bytes), OK);
    return ip_network_has(&n, bytes);
}

static void a_network_has_the_addresses_below_its_prefix(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_true(has("192.168.4.0/22", "192.168.7.255"));
    assert_false(has("192.168.4.0/22", "192.168.8.0"));
    assert_true(has("0.0.0.0/0", "255.1.2.3"));
    assert_false(has("0.0.0.0/0", "::1"));
    assert_true(has("1.2.3.4", "1.2.3.4"));
    assert_true(has("1.2.3.4/32", "::ffff:1.2.3.4"));
    assert_false(has("1.2.3.4", "1.2.3.5"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("::1/128", "::1"));
    static const char *const bad[] = {
        "",        "/8",     "10.0.0.0/",    "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.1/8",
        "::1/127", "::/129", "10.0.0.0/8/8", "10/8",        "a/8",         "10.0.0.0 /8", "::ffff:0:0/33"};
    struct ip_network n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (ip_network_parse(slice_text(bad[i]), &n) != ERR_MALFORMED) fail_msg("%s", bad[i]);
    }
}

/* "address:port scheme host", "-" for what was not said, "!" when nobody was believed. */
static const char *resolved(const struct forwarded_fields *fields, const char *peer)
{
    static char out[256];
    static const char *const networks[] = {"10.0.0.0/8", "fd00::/8", "127.0.0.1"};
    struct ip_network trusted[3];
    uint8_t address[IP_BYTES];
    struct forwarded f;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ip_network_parse(slice_text(networks[i]), &trusted[i]), OK);
    assert_int_equal(ip_parse(slice_text(peer), address), OK);
    forwarded_resolve(fields, address, trusted, 3, &f);
    snprintf(out, sizeof out, "%s %u %.*s %.*s%s", address_text(f.address), f.port,
             f.scheme.len ? (int)f.scheme.len : 1, f.scheme.len ? (const char *)f.scheme.ptr : "-",
             f.host.len ? (int)f.host.len : 1, f.host.len ? (const char *)f.host.ptr : "-",
             f.believed ? "" : "!");
    return out;
}

static void check_x(const char *peer, const char *who, const char *proto, const char *host,
                    const char *wanted)
{
    struct forwarded_fields fields = {.kind = FORWARDED_X,
                                      .forwarded = SLICE("for=6.6.6.6;proto=http"), /* as a client sent it */
                                      .x_forwarded_for = slice_text(who),
                                      .x_forwarded_proto = slice_text(proto),
                                      .x_forwarded_host = slice_text(host)};
    if (strcmp(resolved(&fields, peer), wanted) != 0) fail_msg("%s: %s", who, resolved(&fields, peer));
}

static void x_forwarded_is_walked_from_the_right_through_trusted_proxies(void **state)
{
    (void)state;
    check_x("10.0.0.1", "1.2.3.4", "https", "a.example", "1.2.3.4 0 https a.example");
    check_x("127.0.0.1", "1.2.3.4", "", "", "1.2.3.4 0 - -");
    check_x("fd00::1", "2001:db8::1", "wss", "a:1", "2001:db8::1 0 https a:1");
    check_x("10.0.0.1", "[2001:db8::1]:99", "HTTP", "", "2001:db8::1 99 http -");
    check_x("10.0.0.1", "1.2.3.4:567", "", "", "1.2.3.4 567 - -");
    /* several proxies; what the client wrote itself is not reached */
    check_x("10.0.0.1", "6.6.6.6, 1.2.3.4 , 10.0.0.2", "http, https, http", "evil, a, b",
            "1.2.3.4 0 https a");
    check_x("10.0.0.1", "1.2.3.4, 10.0.0.3, 10.0.0.2", "https", "a", "1.2.3.4 0 https a");
    check_x("10.0.0.1", "6.6.6.6,1.2.3.4", "http,https", "", "1.2.3.4 0 https -");
    check_x("10.0.0.1", "6.6.6.6\", 1.2.3.4", "", "", "1.2.3.4 0 - -"); /* an open quote swallows nothing */
    check_x("10.0.0.1", "\"6.6.6.6, 1.2.3.4", "", "", "1.2.3.4 0 - -");
    /* all are trusted: the first is the client */
    check_x("10.0.0.1", "10.0.0.3, 10.0.0.2", "https", "", "10.0.0.3 0 https -");
    /* a peer that is not trusted is not believed */
    check_x("1.1.1.1", "1.2.3.4", "https", "a", "1.1.1.1 0 - -!");
    check_x("10.0.0.1", "", "", "", "10.0.0.1 0 - -!");
    check_x("10.0.0.1", "", "https", "a", "10.0.0.1 0 https a");
    /* what cannot be read ends the walk at the last proxy */
    check_x("10.0.0.1", "1.2.3.4, unknown", "https", "", "10.0.0.1 0 https -");
    check_x("10.0.0.1", "1.2.3.4, ", "https", "", "10.0.0.1 0 https -");
    check_x("10.0.0.1", "1.2.3.4, 01.2.3.4", "https", "", "10.0.0.1 0 https -");
    check_x("10.0.0.1", "1.2.3.4, 1.2.3.4:99999", "https", "", "10.0.0.1 0 https -");
    check_x("10.0.0.1", "1.2.3.4, [::1", "https", "", "10.0.0.1 0 https -");
    check_x("10.0.0.1", "1.2.3.4, 10.0.0.2x, 10.0.0.2", "https", "", "10.0.0.2 0 https -");
    check_x("10.0.0.1", "1.2.3.4", "ftp", "a b", "1.2.3.4 0 - -");
    check_x("10.0.0.1", "1.2.3.4", "https", "u@a", "1.2.3.4 0 https -");
}

static void check_standard(const char *peer, const char *field, const char *wanted)
{
    struct forwarded_fields fields = {.kind = FORWARDED_STANDARD,
                                      .forwarded = slice_text(field),
                                      .x_forwarded_for = SLICE("6.6.6.6"), /* as a client sent it */
                                      .x_forwarded_proto = SLICE("http")};
    if (strcmp(resolved(&fields, peer), wanted) != 0) fail_msg("%s: %s", field, resolved(&fields, peer));
}

static void forwarded_is_walked_from_the_right_through_trusted_proxies(void **state)
{
    (void)state;
    check_standard("10.0.0.1", "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60 0 http -");
    check_standard("10.0.0.1", "For=\"[2001:db8:cafe::17]:4711\"; Host=\"a:8080\";PROTO=https",
                   "2001:db8:cafe::17 4711 https a:8080");
    check_standard("10.0.0.1", "for=192.0.2.43, for=198.51.100.17", "198.51.100.17 0 - -");
    check_standard("10.0.0.1", "for=6.6.6.6, for=1.2.3.4;proto=https, for=10.0.0.2;proto=http;host=inner",
                   "1.2.3.4 0 https inner");
    check_standard("10.0.0.1", "for=\"1.2.3.4:5\",for=\"10.0.0.2:_x\"", "1.2.3.4 5 - -");
    check_standard("10.0.0.1", "for=\"1.2.3.4:_x\",for=\"10.0.0.2:5\"", "1.2.3.4 0 - -");
    check_standard("10.0.0.1", "for=1.2.3.4;extra=\"a,b;for=6.6.6.6\"", "1.2.3.4 0 - -");
    check_standard("10.0.0.1", "for=1.2.3.4;extra=\"a,for=6.6.6.6;b=\\\"\"", "1.2.3.4 0 - -");
    check_standard("10.0.0.1", ",, for=1.2.3.4 ,", "1.2.3.4 0 - -");
    /* an open quote of the client swallows nothing */
    check_standard("10.0.0.1", "for=\"6.6.6.6, for=1.2.3.4", "1.2.3.4 0 - -");
    check_standard("10.0.0.1", "for=1.2.3.4\", for=10.0.0.2;proto=https", "10.0.0.2 0 https -");
    /* hidden and unknown clients; what was said beside them counts */
    check_standard("10.0.0.1", "for=unknown;proto=https", "10.0.0.1 0 https -");
    check_standard("10.0.0.1", "for=6.6.6.6, for=_hidden, for=10.0.0.2", "10.0.0.2 0 - -");
    check_standard("10.0.0.1", "proto=https;host=a", "10.0.0.1 0 https a");
    /* not believed */
    check_standard("1.1.1.1", "for=1.2.3.4", "1.1.1.1 0 - -!");
    check_standard("10.0.0.1", "", "10.0.0.1 0 - -!");
    check_standard("10.0.0.1", "1.2.3.4", "10.0.0.1 0 - -!");
    check_standard("10.0.0.1", "for=1.2.3.4;for=1.2.3.5", "10.0.0.1 0 - -!");
    check_standard("10.0.0.1", "for=2001:db8::1", "10.0.0.1 0 - -!"); /* colons need quotes */
    check_standard("10.0.0.1", "for=\"1.2.3\\.4\"", "10.0.0.1 0 - -!");
    check_standard("10.0.0.1", "for =1.2.3.4", "10.0.0.1 0 - -!");
}

static void the_walk_is_bounded(void **state)
{
    (void)state;
    char list[400] = "1.2.3.4";
    for (int i = 0; i < 30; i++)
        strcat(list, ",10.0.0.2");
    check_x("10.0.0.1", list, "", "", "10.0.0.2 0 - -");
    size_t one = sizeof ",10.0.0.2" - 1, client = sizeof "1.2.3.4" - 1;
    list[client + one * (FORWARDED_HOPS_MAX - 1)] = 0;
    check_x("10.0.0.1", list, "", "", "1.2.3.4 0 - -");
    strcat(list, ",10.0.0.2");
    check_x("10.0.0.1", list, "", "", "10.0.0.2 0 - -");
    /* elements that are longer than anybody needs are not read */
    char element[600] = "for=1.2.3.4;x=";
    size_t len = strlen(element);
    memset(element + len, 'y', 512 - len);
    check_standard("10.0.0.1", element, "1.2.3.4 0 - -");
    element[512] = 'y';
    check_standard("10.0.0.1", element, "10.0.0.1 0 - -!");
    static char commas[60000];
    memset(commas, ',', sizeof commas - 1);
    check_standard("10.0.0.1", commas, "10.0.0.1 0 - -!");
    memset(commas, '"', sizeof commas - 1);
    check_standard("10.0.0.1", commas, "10.0.0.1 0 - -!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_those_of_the_c_library),
        cmocka_unit_test(a_network_has_the_addresses_below_its_prefix),
        cmocka_unit_test(x_forwarded_is_walked_from_the_right_through_trusted_proxies),
        cmocka_unit_test(forwarded_is_walked_from_the_right_through_trusted_proxies),
        cmocka_unit_test(the_walk_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
