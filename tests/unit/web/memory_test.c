/* Memory that runs out: each allocation of the library fails in turn, while all kinds of requests are made.
 * The connection may end or say 503 or 500; the server goes on, forgets nothing, and serves as before
 * afterwards. */
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../starve.h"
#include "world.h"

static _Thread_local bool exempt; /* the thread of the test */
static atomic_long countdown; /* allocations of the server until the one that fails; negative: none does */
static atomic_bool failed;

bool starve_now(void)
{
    if (exempt || atomic_load(&countdown) < 0 || atomic_fetch_sub(&countdown, 1) > 0) return false;
    if (atomic_exchange(&failed, true)) return false;
    return true;
}

/* --- what the server does --- */

static atomic_int open_answers; /* begun and not ended: none may be left */

static bool note(struct wr_request *request, void *context)
{
    (void)context;
    void *memory = wr_request_alloc(request, 5000);
    if (memory) return true;
    wr_respond_error(request, 503, NULL);
    return false;
}

static bool later(struct wr_request *request, void *context)
{
    (void)context;
    wr_request_continue(request);
    return false;
}

static void stamp(struct wr_request *request, int status, void *context)
{
    (void)status, (void)context;
    wr_response_header(request, "X-After", "a field that needs room");
}

static void body(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_bytes bytes = wr_request_body(request);
    wr_respond_bytes(request, 200, "text/plain", bytes.ptr, bytes.len);
}

static void form(struct wr_request *request, void *context)
{
    (void)context;
    const struct wr_part *parts;
    size_t count;
    int rc = wr_request_parts(request, &parts, &count);
    const char *field = wr_request_field(request, "a");
    wr_response_header(request, "X-Field", field ? field : "-");
    wr_respond_empty(request, rc == 0 ? 204 : rc == WR_MEMORY ? 503 : 400);
}

static void gone(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_end(request);
    atomic_fetch_sub(&open_answers, 1);
}

static void pieces(struct wr_request *request, void *context)
{
    (void)context;
    static const char much[20000];
    atomic_fetch_add(&open_answers, 1);
    wr_request_on_gone(request, gone, NULL);
    if (wr_respond_begin(request, 200, "text/plain", -1) == 0) {
        for (int i = 0; i < 10; i++) {
            if (wr_respond_write(request, much, sizeof much) == WR_MEMORY) return; /* gone is called */
        }
        wr_response_trailer(request, "X-Sum", "1");
    }
    wr_respond_end(request);
    atomic_fetch_sub(&open_answers, 1);
}

static void events(struct wr_request *request, void *context)
{
    (void)context;
    atomic_fetch_add(&open_answers, 1);
    wr_request_on_gone(request, gone, NULL);
    if (wr_respond_events(request) == 0 &&
        wr_event_send(request, "name", wr_request_last_event(request), "some\ndata") == WR_MEMORY)
        return;
    wr_respond_end(request);
    atomic_fetch_sub(&open_answers, 1);
}

static int no_matter(const void *bytes, size_t len, void *context)
{
    (void)bytes, (void)len, (void)context;
    return 0;
}

static void upload_begin(struct wr_request *request, void *context)
{
    static const struct wr_multipart_handlers handlers = {.data = no_matter};
    (void)context;
    struct wr_multipart *multipart = wr_multipart_new(request, &handlers, NULL);
    wr_request_set_user(request, multipart);
    if (!multipart) wr_respond_error(request, 503, NULL);
}

static void upload_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)context;
    if (wr_multipart_feed(wr_request_user(request), bytes, len) == 0) return;
    wr_multipart_free(wr_request_user(request));
    wr_respond_error(request, 503, NULL);
}

static void upload_end(struct wr_request *request, void *context)
{
    (void)context;
    wr_multipart_free(wr_request_user(request));
    wr_respond_empty(request, 204);
}

static void upload_failed(struct wr_request *request, void *context)
{
    (void)context;
    wr_multipart_free(wr_request_user(request));
}

static void add_routes(struct wr_app *app)
{
    static const struct wr_body_handlers upload = {
        .begin = upload_begin, .data = upload_data, .end = upload_end, .failed = upload_failed};
    struct wr_group *group = wr_group(app, NULL, "/group/:name");
    assert_int_equal(wr_before(wr_root(app), note, NULL), WR_OK);
    assert_int_equal(wr_after(wr_root(app), stamp, NULL), WR_OK);
    assert_int_equal(wr_before(group, later, NULL), WR_OK);
    assert_int_equal(wr_group_route(group, "POST", "/body", body, NULL), WR_OK);
    assert_int_equal(wr_route(app, "POST", "/form", form, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/pieces", pieces, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/events", events, NULL), WR_OK);
    assert_int_equal(wr_route_body(wr_root(app), "POST", "/upload", &upload, NULL), WR_OK);
    assert_int_equal(wr_trust_proxies(app, "127.0.0.1", WR_X_FORWARDED), WR_OK);
}

/* --- what the clients ask --- */

#define FORM "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--\r\n"
#define FORM_HEAD "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 57\r\n\r\n"

static const char *const requests[] = {
    "POST /group/%41/body HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: b\r\nX-Forwarded-For: 1.2.3.4\r\n"
    "Content-Length: 5\r\n\r\nhello",
    "POST /group/a/body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: "
    "1\r\n\r\n",
    "POST /form HTTP/1.1\r\nHost: a\r\n" FORM_HEAD FORM,
    "POST /upload HTTP/1.1\r\nHost: a\r\n" FORM_HEAD FORM,
    "GET /pieces HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
    "GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 7\r\n\r\n",
    "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS /form HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n",
};

/* Sends it in two halves and reads all that comes. */
static const char *talk(const struct world *w, const char *text)
{
    int fd = client_connect(w);
    size_t half = strlen(text) / 2;
    client_send_bytes(fd, text, half);
    (void)!send(fd, text + half, strlen(text) - half, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    bool closed;
    const char *answer = client_read(fd, 20000, NULL, &closed);
    assert_true(closed);
    close(fd);
    return answer;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    exempt = true;
    atomic_store(&countdown, -1);
    assert_int_equal(strlen(FORM), 57);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        long at = 0;
        bool hit = true;
        for (; hit && at < 200; at++) {
            struct world w;
            world_init(&w, NULL); /* anew: nothing is pooled */
            add_routes(w.app);
            world_run(&w);
            atomic_store(&failed, false);
            atomic_store(&countdown, at);
            if (getenv("MEMORY_TEST")) print_message("request %zu allocation %ld\n", i, at);
            talk(&w, requests[i]);
            hit = atomic_load(&failed);
            atomic_store(&countdown, -1);
            const char *status = i == 6 ? "HTTP/1.1 404 " : "HTTP/1.1 20";
            assert_starts(talk(&w, requests[i]), status);
            world_end(&w);
            assert_int_equal(atomic_load(&open_answers), 0);
        }
        assert_true(at > 3 && at < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
