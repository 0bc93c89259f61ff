/* The client behind trusted proxies; https only. */
#include <unistd.h>

#include "world.h"

static void who(struct wr_request *request, void *context)
{
    (void)context;
    char text[300];
    snprintf(text, sizeof text, "%s %s %s %s %d", wr_request_address(request),
             wr_request_port(request) ? "port" : "-", wr_request_scheme(request), wr_request_host(request),
             wr_request_same_origin(request));
    wr_respond_text(request, 200, text);
}

static void begin(struct world *w, struct wr_config *config, const char *proxies, enum wr_proxy_fields fields)
{
    world_init(w, config);
    if (proxies) assert_int_equal(wr_trust_proxies(w->app, proxies, fields), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/", who, NULL), WR_OK);
}

static void nobody_is_believed_unless_told(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL, NULL, WR_X_FORWARDED);
    world_run(&w);
    assert_has(ask(&w, "GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
                       "X-Forwarded-Host: b\r\nForwarded: for=203.0.113.9\r\n"),
               "\r\n\r\n127.0.0.1 port http a 1");
    world_end(&w);
}

static void a_trusted_proxy_tells_who_the_client_is(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL, "10.0.0.0/8 ::1, 127.0.0.1", WR_X_FORWARDED);
    world_run(&w);
    assert_has(ask(&w, "GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.1.1.1\r\n"
                       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b:8443\r\nOrigin: https://b:8443\r\n"),
               "\r\n\r\n203.0.113.9 - https b:8443 1");
    assert_has(ask(&w, "GET / HTTP/1.1\r\nX-Forwarded-For: 2001:db8::7\r\n"),
               "\r\n\r\n2001:db8::7 - http a 1");
    /* The other kind was passed on as the client sent it. */
    assert_has(ask(&w, "GET / HTTP/1.1\r\nForwarded: for=203.0.113.9;proto=https\r\n"),
               "\r\n\r\n127.0.0.1 port http a 1");
    assert_has(ask(&w, "GET / HTTP/1.1\r\nX-Forwarded-For: nonsense\r\n"), "\r\n\r\n127.0.0.1 ");
    assert_has(ask(&w, "GET / HTTP/1.1\r\n"), "\r\n\r\n127.0.0.1 port http a 1");
    world_end(&w);
    begin(&w, NULL, "127.0.0.1", WR_FORWARDED);
    world_run(&w);
    assert_has(ask(&w, "GET / HTTP/1.1\r\nForwarded: for=\"203.0.113.9:4711\";proto=https;host=b\r\n"
                       "X-Forwarded-For: 9.9.9.9\r\n"),
               "\r\n\r\n203.0.113.9 port https b 1");
    world_end(&w);
}

/* A proxy that speaks https for us may name the whole address in the request line. */
static void an_https_address_is_for_who_came_by_https(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL, "127.0.0.1", WR_X_FORWARDED);
    world_run(&w);
    assert_starts(ask(&w, "GET https://a/ HTTP/1.1\r\n"), "HTTP/1.1 421 ");
    assert_starts(
        ask(&w, "GET https://a/ HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"),
        "HTTP/1.1 200 ");
    world_end(&w);
}

static void proxies_have_no_limit_per_address(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct world w;
        struct wr_config config;
        wr_config_init(&config);
        config.connections_per_address_max = 3;
        begin(&w, &config, trusted ? "127.0.0.0/8" : NULL, WR_X_FORWARDED);
        world_run(&w);
        int fds[5], served = 0;
        for (int i = 0; i < 5; i++) {
            fds[i] = client_connect(&w);
            client_send(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        for (int i = 0; i < 5; i++) {
            char got[5] = {0};
            served += read(fds[i], got, 4) == 4 && strcmp(got, "HTTP") == 0;
        }
        assert_int_equal(served, trusted ? 5 : 3);
        for (int i = 0; i < 5; i++)
            close(fds[i]);
        world_end(&w);
    }
}

static void a_list_of_proxies_must_be_one(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL, NULL, WR_X_FORWARDED);
    static const char *const bad[] = {"", " , ", "proxy.example", "10.0.0.0/33", "127.0.0.1 10.0.0.1/8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(wr_trust_proxies(w.app, bad[i], WR_X_FORWARDED), WR_INVALID);
    assert_has(wr_app_error(w.app), "\"10.0.0.1/8\" is not");
    world_run(&w);
    world_end(&w);
}

static void what_comes_without_tls_is_sent_to_https(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL, "127.0.0.1", WR_X_FORWARDED);
    assert_int_equal(wr_redirect_to_https(w.app, 0), WR_INVALID);
    assert_int_equal(wr_redirect_to_https(w.app, 443), WR_OK);
    assert_int_equal(wr_strict_transport(w.app, 31536000, true), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/.well-known/acme-challenge/:token", who, NULL), WR_OK);
    world_run(&w);
    const char *text = ask(&w, "GET /some%20path?x=1&y=%41 HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 308 ");
    assert_has(text, "Location: https://a/some%20path?x=1&y=%41\r\n");
    assert_has_not(text, "Strict-Transport"); /* RFC 6797 7.2: not over http */
    static const char *const hosts[][2] = {{"b:8080", "b"}, {"[::1]:8080", "[::1]"}, {"[::1]", "[::1]"}};
    for (size_t i = 0; i < 3; i++) {
        char head[200], location[100];
        int fd = client_connect(&w);
        snprintf(head, sizeof head, "GET http://%s/x HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                 hosts[i][0], hosts[i][0]);
        snprintf(location, sizeof location, "Location: https://%s/x\r\n", hosts[i][1]);
        client_send(fd, head);
        assert_has(client_read(fd, 10000, NULL, NULL), location);
        close(fd);
    }
    assert_starts(ask(&w, "POST /nowhere HTTP/1.1\r\nContent-Length: 1000000000\r\n"), "HTTP/1.1 308 ");
    assert_starts(ask(&w, "GET /.well-known/acme-challenge/t HTTP/1.1\r\n"), "HTTP/1.1 200 ");
    text = ask(&w, "GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n");
    assert_starts(text, "HTTP/1.1 200 ");
    assert_has(text, "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n");
    int fd = client_connect(&w);
    client_send(fd, "GET / HTTP/1.0\r\n\r\n"); /* where to? */
    assert_starts(client_read(fd, 10000, NULL, NULL), "HTTP/1.1 400 ");
    close(fd);
    world_end(&w);
    begin(&w, NULL, NULL, WR_X_FORWARDED);
    assert_int_equal(wr_redirect_to_https(w.app, 8443), WR_OK);
    world_run(&w);
    assert_has(ask(&w, "GET / HTTP/1.1\r\n"), "Location: https://a:8443/\r\n");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_believed_unless_told),
        cmocka_unit_test(a_trusted_proxy_tells_who_the_client_is),
        cmocka_unit_test(an_https_address_is_for_who_came_by_https),
        cmocka_unit_test(proxies_have_no_limit_per_address),
        cmocka_unit_test(a_list_of_proxies_must_be_one),
        cmocka_unit_test(what_comes_without_tls_is_sent_to_https),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
