/* Bytes on their way from one connection to another: source -> from, to -> sink. */
#include "kit.h"

#include <sys/resource.h>
#include <unistd.h>

#include "net/send.h"

static struct world w;

/* What `from` receives goes to `to`, so the sink always gets the pattern that the source sends. */
struct relay {
    struct end source, from, to, sink;
    size_t next;       /* a splice begins after so many bytes; 0: not again */
    size_t splice_len; /* so long */
    size_t splice_gap; /* and the next one after so many bytes more; 0: no further one */
};

static struct relay *relay_of(struct stream *from)
{
    return LIST_ENTRY(from, struct relay, from.stream);
}

static void begin_when_due(struct relay *r)
{
    if (!r->next || r->from.received < r->next) return;
    assert_int_equal(r->from.received, r->next);
    assert_true(stream_can_splice(&r->from.stream, &r->to.stream));
    assert_int_equal(stream_splice(&r->from.stream, &r->to.stream, r->splice_len), OK);
    assert_false(stream_can_splice(&r->from.stream, &r->to.stream));
    r->next = r->splice_gap ? r->next + r->splice_len + r->splice_gap : 0;
}

static void on_received(struct stream *from, uint8_t *bytes, size_t len)
{
    struct relay *r = relay_of(from);
    assert_int_equal(stream_put_now(&r->to.stream, slice_of(bytes, len)), OK);
    end_events.received(from, bytes, len);
    begin_when_due(r);
}

static struct stream_events relay_events;

static void join(struct end *connecting, struct end *accepted)
{
    struct stream_target target = {.host = "127.0.0.1", .port = w.listener.port};
    memset(connecting, 0, sizeof *connecting);
    connecting->world = &w;
    w.accept_into = accepted;
    int before = w.accepted;
    assert_int_equal(stream_connect(&connecting->stream, &w.loop, &target, &end_events), OK);
    WORLD_UNTIL(&w, connecting->opened && w.accepted > before);
}

static void relay_open(struct relay *r)
{
    memset(r, 0, sizeof *r);
    join(&r->source, &r->from);
    join(&r->sink, &r->to);
    relay_events = end_events;
    relay_events.received = on_received;
    r->from.stream.events = &relay_events;
}

static void relay_close(struct relay *r)
{
    struct end *ends[] = {&r->source, &r->from, &r->to, &r->sink};
    for (size_t i = 0; i < 4; i++)
        if (!ends[i]->closed) stream_close(&ends[i]->stream);
    WORLD_UNTIL(&w, r->source.closed && r->from.closed && r->to.closed && r->sink.closed);
}

static void all_bytes_arrive_in_their_order(void **state)
{
    (void)state;
    static struct relay r;
    static const size_t lengths[] = {1,     2,      100,    4095,    16383,          65536,
                                     65537, 100000, 262144, 1000001, 5 * 1024 * 1024};
    world_open(&w, NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        relay_open(&r);
        end_put(&r.source, 1000);
        WORLD_UNTIL(&w, r.sink.received == 1000);
        assert_int_equal(stream_splice(&r.from.stream, &r.to.stream, lengths[i]), OK);
        end_put(&r.source, lengths[i] + 500);
        WORLD_UNTIL(&w, r.sink.received == r.source.sent);
        assert_int_equal(r.from.spliced, lengths[i]);
        assert_int_equal(stream_queued(&r.to.stream), 0);
        assert_int_equal(stream_sent(&r.to.stream), r.source.sent);
        relay_close(&r);
    }
    assert_int_equal(w.loop.pipes.used, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_bytes_arrive_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
