/* What the proxy itself answers. */
#include "../web/world.h"

#include "base/slice.h"
#include "proxy/pages.h"

static struct {
    int status;
    const char *what, *id;
    unsigned retry_after_s;
} page;

static void respond(struct wr_request *request, void *context)
{
    (void)context;
    page_respond(request, page.status, page.what, slice_text(page.id), page.retry_after_s);
}

static const char *answer(struct world *w, const char *fields, int status, const char *what, const char *id,
                          unsigned retry_after_s)
{
    char head[300];
    page.status = status;
    page.what = what;
    page.id = id;
    page.retry_after_s = retry_after_s;
    snprintf(head, sizeof head, "GET / HTTP/1.1\r\n%s", fields);
    return ask(w, head);
}

static void begin(struct world *w)
{
    struct wr_config config;
    wr_config_init(&config);
    world_init(w, &config);
    assert_int_equal(wr_route(w->app, "GET", "/", respond, NULL), WR_OK);
    world_run(w);
}

static void a_page_says_what_happened_and_what_to_do(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    const char *text = answer(&w, "", 502, "The server behind \"a<b>&'c\" sent no answer.", "id-<7>", 0);
    assert_starts(text, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_has(text, "\r\nContent-Type: text/html; charset=utf-8\r\n");
    assert_has(text, "\r\nCache-Control: no-store\r\n");
    assert_has(text, "\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline';");
    assert_has(text, "\r\nX-Request-Id: id-<7>\r\n");
    assert_has(text, "502 Bad Gateway</p>");
    assert_has(text, "<p>The server behind &quot;a&lt;b&gt;&amp;&#39;c&quot; sent no answer.</p>");
    assert_has(text, "Try again in a moment.");
    assert_has(text, "<code>id-&lt;7&gt;</code>");
    assert_has_not(text, "<script");
    assert_has_not(text, "Retry-After");
    world_end(&w);
}

static void a_page_says_when_to_come_back(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    const char *text = answer(&w, "", 503, "No server is up.", "", 12);
    assert_has(text, "\r\nRetry-After: 12\r\n");
    assert_has(text, "in 12 seconds.");
    assert_has_not(text, "X-Request-Id");
    assert_has_not(text, "<footer>");
    assert_has(answer(&w, "", 503, "No server is up.", "", 1), "in 1 second.");
    world_end(&w);
}

static void who_wants_json_gets_json(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    const char *text = answer(&w, "Accept: application/json\r\n", 504, "It took \"too\" long.", "id", 0);
    assert_starts(text, "HTTP/1.1 504 Gateway Timeout\r\n");
    assert_has(text, "\r\nContent-Type: application/json\r\n");
    assert_has(text, "\r\nCache-Control: no-store\r\n");
    assert_has(
        text,
        "\r\n\r\n{\"status\":\"error\",\"message\":\"It took \\\"too\\\" long.\",\"request_id\":\"id\"}");
    text = answer(&w, "Accept: application/json\r\n", 504, "Too long.", "", 3);
    assert_has(text, "\r\nRetry-After: 3\r\n");
    assert_has(text, "\r\n\r\n{\"status\":\"error\",\"message\":\"Too long.\"}");
    world_end(&w);
}

static void each_status_has_its_words(void **state)
{
    (void)state;
    static const int statuses[] = {400, 403, 404, 405, 408, 413, 429, 500, 502, 503, 504, 508};
    struct world w;
    begin(&w);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char line[40];
        snprintf(line, sizeof line, "HTTP/1.1 %d ", statuses[i]);
        const char *text = answer(&w, "", statuses[i], "This happened.", "", 0);
        assert_starts(text, line);
        assert_has(text, "<h1>");
        assert_has(text, "<p>This happened.</p>");
        assert_has_not(text, "Unknown");
    }
    world_end(&w);
}

static void what_is_no_text_is_left_out(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    assert_has(answer(&w, "", 502, "\xFF", "\xFF", 0), "<p>Bad Gateway</p>");
    assert_has(answer(&w, "Accept: application/json\r\n", 502, NULL, "", 0), "\"message\":\"Bad Gateway\"}");
    static char longer[20000];
    memset(longer, '<', sizeof longer - 1);
    const char *text = answer(&w, "", 502, longer, "", 0);
    assert_has(text, "&lt;&lt;");
    assert_has(text, "</html>");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_says_what_happened_and_what_to_do),
        cmocka_unit_test(a_page_says_when_to_come_back),
        cmocka_unit_test(who_wants_json_gets_json),
        cmocka_unit_test(each_status_has_its_words),
        cmocka_unit_test(what_is_no_text_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
