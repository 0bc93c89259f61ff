/* What the operator is told: access log, error log, metrics. */
#include <unistd.h>

#include "world.h"

static char path[] = "/tmp/weaprous-log-XXXXXX";

static void hello(struct wr_request *r, void *context)
{
    (void)context;
    wr_respond_text(r, 200, "hello");
}

static void bad(struct wr_request *r, void *context)
{
    (void)context;
    wr_response_header(r, "X-Bad", "a\nb");
    wr_respond_text(r, 200, "never");
}

static void echo(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    (void)context;
    wr_socket_send(socket, kind, bytes, len);
}

static void begin(struct world *w, unsigned workers)
{
    static const struct wr_socket_handlers handlers = {.message = echo};
    struct wr_config config;
    wr_config_init(&config);
    config.workers = workers;
    world_init(w, &config);
    assert_int_equal(wr_route(w->app, "GET POST", "/hello", hello, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/bad", bad, NULL), WR_OK);
    assert_int_equal(wr_websocket(w->app, "/ws", &handlers, NULL), WR_OK);
    snprintf(path, sizeof path, "/tmp/weaprous-log-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static int lines_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static const char hostile[] =
    "GET /hello?a=\"b\\ HTTP/1.1\r\nUser-Agent: x\"\\ \x1b[2J\xc3\x28 \xe2\x82\xac\r\n"
    "Referer: http://somewhere/\r\n";

static void access_lines_are_combined(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2);
    assert_int_equal(wr_access_log(w.app, WR_LOG_COMBINED, path), WR_OK);
    assert_int_equal(wr_access_log(w.app, WR_LOG_COMBINED, path), WR_EXISTS);
    world_run(&w);
    assert_has(ask(&w, "GET /hello?q=1 HTTP/1.1\r\nUser-Agent: tester\r\n"), "hello");
    ask(&w, "HEAD /hello HTTP/1.1\r\n");
    ask(&w, "GET /nowhere HTTP/1.1\r\n");
    ask(&w, "POST /hello HTTP/1.1\r\nContent-Length: 99999999\r\n");
    int fd = client_connect(&w);
    client_send(fd, "nonsense\r\n\r\n");
    client_read(fd, 5000, NULL, NULL);
    close(fd);
    world_end(&w); /* what waits is written */
    const char *text = file_text(path);
    assert_int_equal(lines_of(text), 5);
    assert_starts(text, "127.0.0.1 - - [");
    assert_has(text, "] \"GET /hello?q=1 HTTP/1.1\" 200 5 \"-\" \"tester\"\n");
    assert_has(text, "\"HEAD /hello HTTP/1.1\" 200 0 \"-\" \"-\"\n");
    assert_has(text, "\"GET /nowhere HTTP/1.1\" 404 ");
    assert_has(text, "\"POST /hello HTTP/1.1\" 413 "); /* refused, but what it was is known */
    assert_has(text, "\"-\" 400 ");
    unlink(path);
}

static void what_clients_send_cannot_forge_a_line(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    assert_int_equal(wr_access_log(w.app, WR_LOG_COMBINED, path), WR_OK);
    world_run(&w);
    ask(&w, "GET /hello HTTP/1.1\r\nUser-Agent: a\"b\\c\td\xc3\x28\r\n");
    world_end(&w);
    assert_has(file_text(path), "\"a\\x22b\\x5cc\\x09d\\xc3(\"\n");
    unlink(path);
}

static void json_lines_are_json(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    assert_int_equal(wr_access_log(w.app, WR_LOG_JSON, path), WR_OK);
    world_run(&w);
    ask(&w, hostile);
    char *agent = malloc(9000);
    memset(agent, 'x', 9000);
    memcpy(agent, "GET /hello HTTP/1.1\r\nUser-Agent: ", 33);
    memcpy(agent + 8990, "\r\n", 3);
    assert_has(ask(&w, agent), "hello");
    free(agent);
    ask(&w, "GET /hello HTTP/1.1\r\nUser-Agent: a\"b\\c\td\xc3\x28\r\n");
    world_end(&w);
    char *rest = (char *)(uintptr_t)file_text(path), *line;
    int n = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        json_error_t error;
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (!json) fail_msg("%s: %s", error.text, line);
        assert_non_null(json_object_get(json, "time"));
        assert_string_equal(json_string_value(json_object_get(json, "remote")), "127.0.0.1");
        n++;
        const char *text = json_string_value(json_object_get(json, "agent"));
        if (n == 2) assert_true(strlen(text) > 900 && strlen(text) < 1100); /* cut */
        if (n == 3) assert_string_equal(text, "a\"b\\c\td\xef\xbf\xbd(");
        if (n >= 2) assert_true(json_is_number(json_object_get(json, "duration_ms")));
        json_decref(json);
    }
    assert_int_equal(n, 3);
    unlink(path);
}

static void trouble_goes_to_its_file(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    assert_int_equal(wr_error_log(w.app, WR_LOG_COMBINED, path), WR_OK);
    wr_log(w.app, WR_LOG_INFO, "before it runs: %d", 42);
    world_run(&w);
    assert_starts(ask(&w, "GET /bad HTTP/1.1\r\n"), "HTTP/1.1 500");
    wr_log(w.app, WR_LOG_WARNING, "two\nlines\x1b[2J");
    world_end(&w);
    const char *text = file_text(path);
    assert_int_equal(lines_of(text), 3);
    assert_has(text, "Z info before it runs: 42\n");
    assert_has(text, "Z error the answer to /bad has a field or status that is not valid\n");
    assert_has(text, "Z warning two?lines?[2J\n");
    unlink(path);
}

static void a_log_that_was_moved_is_opened_again(void **state)
{
    (void)state;
    struct world w;
    char moved[64];
    begin(&w, 1);
    snprintf(moved, sizeof moved, "%s.1", path);
    assert_int_equal(wr_access_log(w.app, WR_LOG_COMBINED, path), WR_OK);
    world_run(&w);
    ask(&w, "GET /hello?first HTTP/1.1\r\n");
    for (int i = 0; i < 5000 && lines_of(file_text(path)) == 0; i++)
        usleep(1000);
    assert_int_equal(rename(path, moved), 0);
    wr_log_reopen(w.app);
    for (int i = 0; i < 5000 && access(path, F_OK) != 0; i++)
        usleep(1000);
    ask(&w, "GET /hello?second HTTP/1.1\r\n");
    world_end(&w);
    assert_has(file_text(moved), "first");
    assert_has_not(file_text(moved), "second");
    assert_has(file_text(path), "second");
    unlink(path);
    unlink(moved);
}

static void a_file_that_cannot_be_written_is_said(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    assert_int_equal(wr_access_log(w.app, WR_LOG_COMBINED, "/nowhere/at/all.log"), WR_SYSTEM);
    assert_has(wr_app_error(w.app), "cannot write the log file /nowhere/at/all.log: No such file");
    world_run(&w);
    world_end(&w);
    unlink(path);
}

static void a_full_disk_is_said_and_nothing_waits_for_it(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2);
    assert_int_equal(wr_access_log(w.app, WR_LOG_COMBINED, "/dev/full"), WR_OK);
    assert_int_equal(wr_error_log(w.app, WR_LOG_COMBINED, path), WR_OK);
    world_run(&w);
    for (int i = 0; i < 20; i++)
        assert_has(ask(&w, "GET /hello HTTP/1.1\r\n"), "hello");
    for (int i = 0; i < 5000 && lines_of(file_text(path)) == 0; i++)
        usleep(1000);
    world_end(&w);
    const char *text = file_text(path);
    assert_int_equal(lines_of(text), 1); /* once, not for each line */
    assert_has(text, "the log file /dev/full cannot be written: No space left on device");
    assert_has(w.logged, "/dev/full");
    unlink(path);
}

static void lines_that_do_not_fit_are_counted(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1);
    assert_int_equal(wr_error_log(w.app, WR_LOG_COMBINED, path), WR_OK);
    char text[400];
    memset(text, 'x', sizeof text);
    text[399] = 0;
    for (int i = 0; i < 5000; i++) /* two rings' worth, while nobody writes */
        wr_log(w.app, WR_LOG_INFO, "%d %s", i, text);
    world_run(&w);
    world_end(&w);
    const char *written = file_text(path);
    unsigned long lines = (unsigned long)lines_of(written), dropped = 0;
    const char *told = strstr(written, "# ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "# %lu lines were dropped", &dropped), 1);
    assert_int_equal(lines - 1 + dropped, 5000);
    unlink(path);
}

/* --- metrics --- */

static void assert_line(const char *text, const char *line)
{
    char whole[200];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    assert_has(text, whole);
}

static void metrics_add_up(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 3);
    struct wr_metric *apples = wr_metric(w.app, WR_COUNTER, "fruit_total", "kind=\"apple\"", "Fruit.");
    struct wr_metric *rooms = wr_metric(w.app, WR_GAUGE, "rooms", NULL, "Rooms.");
    struct wr_metric *pears = wr_metric(w.app, WR_COUNTER, "fruit_total", "kind=\"pear\"", "Fruit.");
    assert_null(wr_metric(w.app, WR_GAUGE, "1bad", NULL, ""));
    assert_null(wr_metric(w.app, WR_GAUGE, "bad", "a\nb", ""));
    assert_null(wr_metric(w.app, WR_GAUGE, "fruit_total", "kind=\"plum\"", "")); /* has another kind */
    assert_null(wr_metric(w.app, WR_GAUGE, "rooms", "", "Rooms."));              /* is there already */
    wr_metric_add(apples, 3);
    wr_metric_add(apples, 4);
    wr_metric_add(pears, 1);
    wr_metric_set(rooms, -2);
    assert_int_equal(wr_metrics(w.app, "/metrics"), WR_OK);
    world_run(&w);
    for (int i = 0; i < 20; i++)
        ask(&w, "GET /hello HTTP/1.1\r\n");
    ask(&w, "POST /hello HTTP/1.1\r\nContent-Length: 0\r\n");
    ask(&w, "GET /nowhere HTTP/1.1\r\n");
    ask(&w, "BREW /hello HTTP/1.1\r\n");
    int fd = client_connect(&w);
    client_send(fd, "nonsense\r\n\r\n");
    client_read(fd, 5000, NULL, NULL);
    close(fd);
    const char *text = ask(&w, "GET /metrics HTTP/1.1\r\n");
    assert_has(text, "Content-Type: text/plain; version=0.0.4");
    assert_line(text, "weaprous_http_requests_total{method=\"GET\",code=\"2xx\"} 20");
    assert_line(text, "weaprous_http_requests_total{method=\"GET\",code=\"4xx\"} 1");
    assert_line(text, "weaprous_http_requests_total{method=\"POST\",code=\"2xx\"} 1");
    assert_line(text, "weaprous_http_requests_total{method=\"other\",code=\"5xx\"} 1");
    assert_line(text, "weaprous_http_requests_total{method=\"invalid\",code=\"4xx\"} 1");
    assert_line(text, "weaprous_http_request_duration_seconds_bucket{le=\"+Inf\"} 23");
    assert_line(text, "weaprous_http_request_duration_seconds_count 23");
    assert_line(text, "weaprous_http_connections_total 25");
    assert_line(text, "weaprous_workers 3");
    assert_line(text, "fruit_total{kind=\"apple\"} 7\nfruit_total{kind=\"pear\"} 1");
    assert_line(text, "# TYPE fruit_total counter");
    assert_line(text, "rooms -2");
    assert_has(text, "\nprocess_resident_memory_bytes ");
    assert_has_not(text, "process_open_fds 0\n");
    world_end(&w);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_lines_are_combined),
        cmocka_unit_test(what_clients_send_cannot_forge_a_line),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(trouble_goes_to_its_file),
        cmocka_unit_test(a_log_that_was_moved_is_opened_again),
        cmocka_unit_test(a_file_that_cannot_be_written_is_said),
        cmocka_unit_test(a_full_disk_is_said_and_nothing_waits_for_it),
        cmocka_unit_test(lines_that_do_not_fit_are_counted),
        cmocka_unit_test(metrics_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
