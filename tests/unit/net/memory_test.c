/* Memory that runs out: each allocation fails in turn while bytes are lent, kept and spliced. The bytes
 * arrive as they were sent, or a stream fails; nothing is lost within what arrives, nothing stays behind. */
#include "../starve.h"
#include "kit.h"

static long countdown = -1; /* allocations until the one that fails; negative: none does */
static bool failed;

bool starve_now(void)
{
    if (countdown < 0 || countdown-- > 0) return false;
    failed = true;
    return true;
}

static struct world w;
static struct end source, from, to, sink;
static struct stream_events from_events;
static bool gave_up;

static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    size_t before = from.received;
    int rc = stream_put_now(&to.stream, slice_of(bytes, len));
    if (rc == OK && before < 100000 && before + len >= 100000)
        rc = stream_splice(&from.stream, &to.stream, 12000000);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], kit_byte(before + i));
    from.received += len;
    if (rc == OK) return;
    gave_up = true;
    stream_close(stream);
}

static void join_end(struct end *connecting, struct end *accepted)
{
    struct stream_target target = {.host = "127.0.0.1", .port = w.listener.port};
    memset(connecting, 0, sizeof *connecting);
    connecting->world = &w;
    w.accept_into = accepted;
    int before = w.accepted;
    assert_int_equal(stream_connect(&connecting->stream, &w.loop, &target, &end_events), OK);
    WORLD_UNTIL(&w, connecting->opened && w.accepted > before);
}

static void close_end(struct end *e)
{
    if (!e->closed) stream_close(&e->stream);
    WORLD_UNTIL(&w, e->closed);
}

/* Returns whether there was an allocation to fail. */
static bool round_trip(long fails_at)
{
    failed = gave_up = false;
    world_open(&w, NULL);
    join_end(&source, &from);
    join_end(&sink, &to);
    from_events = end_events;
    from_events.received = on_received;
    from.stream.events = &from_events;
    stream_read(&sink.stream, false);
    end_put(&source, 16000000);
    countdown = fails_at;
    for (int i = 0; i < 60; i++)
        uv_run(&w.loop.uv, UV_RUN_NOWAIT);
    stream_read(&sink.stream, true);
    WORLD_UNTIL(&w, sink.received == source.sent || source.failed || from.failed || to.failed || gave_up);
    countdown = -1;
    if (!failed) assert_int_equal(sink.received, source.sent);
    struct end *ends[] = {&source, &from, &to, &sink};
    for (size_t i = 0; i < 4; i++)
        close_end(ends[i]);
    assert_int_equal(w.loop.pipes.used, 0);
    world_close(&w);
    return failed;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    long at = 0;
    while (round_trip(at) && at < 5000)
        at += at < 100 ? 1 : at / 10;
    assert_in_range(at, 6, 4999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
