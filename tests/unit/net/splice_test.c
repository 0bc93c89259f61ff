/* Bytes on their way from one connection to another: source -> from, to -> sink. */
#include "kit.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/send.h"

static struct tls_server *server;
static struct tls_client *client;
static struct world w;

/* What `from` receives goes to `to`, so the sink always gets the pattern that the source sends. */
struct relay {
    struct end source, from, to, sink;
    /* Of what comes there is a splice of `len` bytes, then `gap` bytes that are received, and so on. A part
     * that has been received when its splice could begin is not spliced. len 0: none. */
    size_t len, gap, next;
    size_t most; /* received at once */
    bool lends;  /* does not send by itself what it puts */
    bool holds;  /* stops reading while `to` has something queued, as a proxy does */
};

static struct relay *relay_of_from(struct stream *stream)
{
    return LIST_ENTRY(stream, struct relay, from.stream);
}

static void begin_when_due(struct relay *r)
{
    size_t at = r->from.received;
    if (r->from.stream.splice) return;
    while (r->len && at >= r->next + r->len)
        r->next += r->len + r->gap;
    if (!r->len || at < r->next) return;
    assert_true(stream_can_splice(&r->from.stream, &r->to.stream));
    assert_int_equal(stream_splice(&r->from.stream, &r->to.stream, r->next + r->len - at), OK);
    assert_false(stream_can_splice(&r->from.stream, &r->to.stream));
}

static void check(struct end *e, slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != kit_byte(e->received + i))
            fail_msg("byte %zu is not the right one", e->received + i);
    e->received += bytes.len;
}

static void on_received(struct stream *from, uint8_t *bytes, size_t len)
{
    struct relay *r = relay_of_from(from);
    if (len > r->most) r->most = len;
    slice all = slice_of(bytes, len);
    if (!r->to.failed)
        assert_int_equal(r->lends ? stream_lend(&r->to.stream, all) : stream_put_now(&r->to.stream, all), OK);
    check(&r->from, all);
    begin_when_due(r);
    if (r->holds && stream_queued(&r->to.stream) > 0) stream_read(from, false);
}

static void on_spliced(struct stream *from, size_t len)
{
    end_events.spliced(from, len);
    begin_when_due(relay_of_from(from));
}

static void on_flushed(struct stream *to)
{
    struct relay *r = LIST_ENTRY(to, struct relay, to.stream);
    if (r->holds && stream_queued(to) == 0) stream_read(&r->from.stream, true);
}

static struct stream_events from_events, to_events;

static void join_end(struct end *connecting, struct end *accepted, struct tls_client *secure)
{
    struct stream_target target = {.host = "127.0.0.1", .port = w.listener.port, .tls = secure};
    memset(connecting, 0, sizeof *connecting);
    connecting->world = &w;
    w.accept_into = accepted;
    int before = w.accepted;
    assert_int_equal(stream_connect(&connecting->stream, &w.loop, &target, &end_events), OK);
    WORLD_UNTIL(&w, connecting->opened && w.accepted > before);
    if (secure) WORLD_UNTIL(&w, accepted->opened);
}

static void relay_open(struct relay *r)
{
    memset(r, 0, sizeof *r);
    struct tls_client *secure = w.listener.secure ? client : NULL;
    join_end(&r->source, &r->from, secure);
    join_end(&r->sink, &r->to, secure);
    from_events = to_events = end_events;
    from_events.received = on_received;
    from_events.spliced = on_spliced;
    to_events.flushed = on_flushed;
    r->from.stream.events = &from_events;
    r->to.stream.events = &to_events;
}

static void relay_close(struct relay *r)
{
    struct end *ends[] = {&r->source, &r->from, &r->to, &r->sink};
    for (size_t i = 0; i < 4; i++)
        if (!ends[i]->closed) stream_close(&ends[i]->stream);
    WORLD_UNTIL(&w, r->source.closed && r->from.closed && r->to.closed && r->sink.closed);
}

static void splice_all(struct relay *r, uint64_t len)
{
    assert_int_equal(stream_splice(&r->from.stream, &r->to.stream, len), OK);
}

/* After it nothing more happens by itself. */
static void settle(void)
{
    for (int i = 0; i < 30; i++)
        uv_run(&w.loop.uv, UV_RUN_NOWAIT);
}

/* Small buffers in the kernel, so that a reader who does not read is noticed soon. */
static void shrink(struct end *e)
{
    uv_os_fd_t fd;
    assert_int_equal(uv_fileno((uv_handle_t *)&e->stream.tcp, &fd), 0);
    int bytes = 8192;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
}

static void reset(struct end *e)
{
    uv_os_fd_t fd;
    struct linger now = {.l_onoff = 1};
    assert_int_equal(uv_fileno((uv_handle_t *)&e->stream.tcp, &fd), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    stream_close(&e->stream);
}

static void all_bytes_arrive_in_their_order(void **state)
{
    (void)state;
    static struct relay r;
    static const size_t lengths[] = {1,     2,      100,    4095,    16383,           65536,
                                     65537, 100000, 262144, 1000001, 64 * 1024 * 1024};
    world_open(&w, NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        relay_open(&r);
        end_put(&r.source, 1000);
        WORLD_UNTIL(&w, r.sink.received == 1000);
        splice_all(&r, lengths[i]);
        while (r.source.sent < 1000 + lengths[i] + 500) { /* in odd pieces */
            size_t left = 1500 + lengths[i] - r.source.sent, piece = lengths[i] / 7 + 1;
            end_put(&r.source, left < piece ? left : piece);
            assert_true(world_turn(&w));
        }
        WORLD_UNTIL(&w, r.sink.received == r.source.sent);
        assert_int_equal(r.from.spliced, lengths[i]);
        assert_int_equal(stream_queued(&r.to.stream), 0);
        assert_int_equal(stream_sent(&r.to.stream), r.source.sent);
        relay_close(&r);
    }
    assert_int_equal(w.loop.pipes.used, 0);
    assert_in_range(w.loop.pipes.free_len, 1, 2);
    world_close(&w);
}

/* Heads that are received between bodies that are spliced. */
static void ranges_are_spliced_between_others(void **state)
{
    (void)state;
    static struct relay r;
    static const size_t lens[] = {1, 20000, 100000, 300000}, gaps[] = {0, 1, 200, 40000};
    world_open(&w, NULL);
    for (size_t i = 0; i < 16; i++) {
        relay_open(&r);
        r.len = lens[i % 4];
        r.gap = gaps[i / 4];
        r.next = r.gap;
        stream_read_limit(&r.from.stream, 16 * 1024);
        end_put(&r.source, r.len > 1 ? 3000000 : 30000);
        WORLD_UNTIL(&w, r.sink.received == r.source.sent);
        assert_in_range(r.most, 1, 16 * 1024);
        if (r.len > 16 * 1024) assert_true(r.from.spliced > (r.len < 100000 ? 0 : 1000000));
        relay_close(&r);
    }
    assert_int_equal(w.loop.pipes.used, 0);
    world_close(&w);
}

/* A sink that does not read holds up the source, whatever the length. */
static void nothing_grows_while_the_sink_does_not_read(void **state)
{
    (void)state;
    static struct relay r;
    enum { MANY = 30 * 1000 * 1000 };
    world_open(&w, NULL);
    relay_open(&r);
    stream_read(&r.sink.stream, false);
    splice_all(&r, UINT64_MAX);
    end_put(&r.source, MANY);
    WORLD_UNTIL(&w, stream_queued(&r.to.stream) > 0);
    settle();
    size_t moved = r.from.spliced;
    assert_int_equal(stream_sent(&r.to.stream) + stream_queued(&r.to.stream), moved);
    assert_true(stream_queued(&r.to.stream) <= PIPE_BYTES + STREAM_STALL_BYTES);
    assert_int_equal(w.loop.pipes.used, 1);
    settle();
    assert_int_equal(r.from.spliced, moved);
    for (size_t at = 0; r.sink.received < MANY; at += 777777) { /* it reads slowly */
        r.sink.pause_at = at;
        stream_read(&r.sink.stream, true);
        world_guard(&w);
        while (r.sink.received < at && r.sink.received < MANY)
            assert_true(world_turn(&w));
        assert_true(stream_queued(&r.to.stream) <= 2 * (PIPE_BYTES + STREAM_STALL_BYTES));
    }
    assert_int_equal(r.from.spliced, MANY);
    relay_close(&r);
    world_close(&w);
}

static void reading_can_be_paused(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, NULL);
    relay_open(&r);
    splice_all(&r, 2000000);
    stream_read(&r.from.stream, false);
    end_put(&r.source, 2000100);
    settle();
    assert_int_equal(r.from.spliced, 0);
    while (r.sink.received < r.source.sent) {
        stream_read(&r.from.stream, true);
        assert_true(world_turn(&w));
        stream_read(&r.from.stream, false);
        size_t moved = r.from.received;
        settle();
        assert_int_equal(r.from.received, moved);
        world_guard(&w);
    }
    assert_int_equal(r.from.spliced, 2000000);
    relay_close(&r);
    world_close(&w);
}

static void a_splice_can_be_ended_in_the_middle(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, NULL);
    relay_open(&r);
    stream_unsplice(&r.from.stream); /* there is none */
    splice_all(&r, 1000000);
    end_put(&r.source, 300000);
    WORLD_UNTIL(&w, r.sink.received == 300000);
    stream_unsplice(&r.from.stream);
    end_put(&r.source, 300000);
    WORLD_UNTIL(&w, r.sink.received == 600000);
    assert_int_equal(r.from.spliced, 300000);
    /* While it waits for the sink. */
    stream_read(&r.sink.stream, false);
    splice_all(&r, UINT64_MAX);
    end_put(&r.source, 20000000);
    WORLD_UNTIL(&w, stream_queued(&r.to.stream) > 0);
    settle();
    stream_unsplice(&r.from.stream);
    r.holds = true;
    stream_read(&r.sink.stream, true);
    WORLD_UNTIL(&w, r.sink.received == r.source.sent);
    assert_true(r.from.spliced < 20300000);
    relay_close(&r);
    world_close(&w);
}

/* Both directions of a connection at the same time. */
static void a_splice_goes_both_ways(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, NULL);
    relay_open(&r);
    splice_all(&r, UINT64_MAX);
    assert_int_equal(stream_splice(&r.to.stream, &r.from.stream, UINT64_MAX), OK);
    end_put(&r.source, 5000000);
    end_put(&r.sink, 5000000);
    WORLD_UNTIL(&w, r.sink.received == 5000000 && r.source.received == 5000000);
    stream_close(&r.to.stream);
    WORLD_UNTIL(&w, r.to.closed);
    assert_null(r.from.stream.source);
    relay_close(&r);
    world_close(&w);
}

/* --- ends --- */

static void an_end_before_the_last_byte_is_told(void **state)
{
    (void)state;
    static struct relay r;
    static const size_t lengths[] = {0, 1, 70000, 3000000};
    world_open(&w, NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        relay_open(&r);
        splice_all(&r, 10000000);
        end_put(&r.source, lengths[i]);
        stream_finish(&r.source.stream);
        WORLD_UNTIL(&w, r.from.ended);
        assert_true(stream_can_splice(&r.from.stream, &r.to.stream)); /* it is over */
        assert_int_equal(r.from.spliced, lengths[i]);
        stream_finish(&r.to.stream);
        WORLD_UNTIL(&w, r.sink.ended);
        assert_int_equal(r.sink.received, lengths[i]);
        settle();
        assert_int_equal(r.from.ended, 1);
        assert_int_equal(r.from.failed, 0);
        relay_close(&r);
    }
    world_close(&w);
}

/* The end comes while the sink does not read: what came before it is not lost. */
static void an_end_waits_for_the_bytes_before_it(void **state)
{
    (void)state;
    static struct relay r;
    enum { MANY = 12 * 1000 * 1000 };
    world_open(&w, NULL);
    relay_open(&r);
    stream_read(&r.sink.stream, false);
    splice_all(&r, UINT64_MAX);
    end_put(&r.source, MANY);
    stream_finish(&r.source.stream);
    stream_finish(&r.from.stream); /* both ways: the kernel says that it hung up */
    WORLD_UNTIL(&w, stream_queued(&r.to.stream) > 0);
    settle();
    assert_int_equal(r.from.ended, 0);
    stream_read(&r.sink.stream, true);
    WORLD_UNTIL(&w, r.from.ended);
    stream_finish(&r.to.stream);
    WORLD_UNTIL(&w, r.sink.ended);
    assert_int_equal(r.sink.received, MANY);
    relay_close(&r);
    world_close(&w);
}

static void a_reset_is_told(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, NULL);
    for (int waits = 0; waits < 2; waits++) {
        relay_open(&r);
        if (waits) stream_read(&r.sink.stream, false);
        splice_all(&r, UINT64_MAX);
        end_put(&r.source, waits ? 20000000 : 100000);
        if (waits)
            WORLD_UNTIL(&w, stream_queued(&r.to.stream) > 0);
        else
            WORLD_UNTIL(&w, r.sink.received == 100000);
        reset(&r.source);
        stream_read(&r.sink.stream, true);
        WORLD_UNTIL(&w, r.from.closed);
        assert_int_equal(r.from.error, UV_ECONNRESET);
        WORLD_UNTIL(&w, r.sink.received == r.from.spliced);
        relay_close(&r);
    }
    world_close(&w);
}

/* When `to` goes first, `from` is not read until its owner has decided. */
static void from_waits_when_the_other_side_has_gone(void **state)
{
    (void)state;
    static struct relay r;
    enum { CLOSED, RESET, FINISHED, WAYS };
    world_open(&w, NULL);
    for (int way = 0; way < 2 * WAYS; way++) {
        bool stuck = way >= WAYS;
        relay_open(&r);
        if (stuck) stream_read(&r.sink.stream, false);
        splice_all(&r, UINT64_MAX);
        end_put(&r.source, stuck ? 20000000 : 100000);
        if (stuck)
            WORLD_UNTIL(&w, w.loop.pipes.used == 1);
        else
            WORLD_UNTIL(&w, r.sink.received == 100000);
        if (way % WAYS == CLOSED) stream_close(&r.to.stream);
        if (way % WAYS == RESET) reset(&r.sink);
        if (way % WAYS == FINISHED) stream_finish(&r.to.stream);
        end_put(&r.source, 100000);
        if (way % WAYS == FINISHED && stuck) {
            stream_read(&r.sink.stream, true);
            WORLD_UNTIL(&w, r.sink.ended);
        } else if (way % WAYS != FINISHED) {
            WORLD_UNTIL(&w, r.to.closed);
        }
        settle();
        size_t moved = r.from.received;
        settle();
        assert_int_equal(r.from.received, moved);
        assert_true(moved < r.source.sent);
        assert_int_equal(r.from.ended + r.from.failed, 0);
        assert_int_equal(w.loop.pipes.used, 0);
        r.to.failed = 1; /* nothing is put any more */
        stream_unsplice(&r.from.stream);
        WORLD_UNTIL(&w, r.from.received == r.source.sent);
        relay_close(&r);
    }
    world_close(&w);
}

/* Whoever closes whatever at whatever moment: nothing is used afterwards, nothing is kept. */
static void ends_are_closed_at_every_moment(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, NULL);
    for (int round = 0; round < 400; round++) {
        relay_open(&r);
        struct end *ends[] = {&r.source, &r.from, &r.to, &r.sink};
        if (round & 1) stream_read(&r.sink.stream, false);
        splice_all(&r, (round & 2) ? UINT64_MAX : 150000);
        if (round & 4) assert_int_equal(stream_splice(&r.to.stream, &r.from.stream, UINT64_MAX), OK);
        end_put(&r.source, (round & 8) ? 8000000 : 200000);
        for (int turn = 0; turn < round / 64; turn++)
            uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        for (unsigned i = 0; i < 4; i++) {
            struct end *e = ends[(i * ((round & 16) ? 3 : 1) + (unsigned)round / 16) % 4];
            if (!e->closed && !e->stream.closing) {
                if ((round & 32) && i == 0)
                    reset(e);
                else
                    stream_close(&e->stream);
            }
            if (i & 1) uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        }
        relay_close(&r);
        assert_int_equal(w.loop.pipes.used, 0);
    }
    world_close(&w);
}

static int what_to_close;
static struct relay *closing;

static void close_in_spliced(struct stream *from, size_t len)
{
    on_spliced(from, len);
    if (what_to_close & 1) stream_close(&closing->to.stream);
    if (what_to_close & 2) stream_close(&closing->from.stream);
    if (what_to_close & 4) stream_unsplice(&closing->from.stream);
    if (what_to_close & 8) stream_read(&closing->from.stream, false);
}

static void owners_may_close_and_end_while_they_are_told(void **state)
{
    (void)state;
    static struct relay r;
    struct stream_events events;
    world_open(&w, NULL);
    for (what_to_close = 1; what_to_close < 16; what_to_close++) {
        relay_open(&r);
        closing = &r;
        r.to.failed = 1;
        events = from_events;
        events.spliced = close_in_spliced;
        r.from.stream.events = &events;
        splice_all(&r, UINT64_MAX);
        end_put(&r.source, 3000000);
        WORLD_UNTIL(&w, r.from.spliced > 0);
        settle();
        relay_close(&r);
        assert_int_equal(w.loop.pipes.used, 0);
    }
    world_close(&w);
}

/* --- many, and too few of something --- */

enum { MANY_RELAYS = PIPE_USED_MAX + 20 };

static void many_at_once_share_the_pipes(void **state)
{
    (void)state;
    static struct relay many[MANY_RELAYS];
    enum { EACH = 400000 };
    world_open(&w, NULL);
    for (size_t i = 0; i < MANY_RELAYS; i++) {
        relay_open(&many[i]);
        shrink(&many[i].to);
        shrink(&many[i].sink);
        stream_read(&many[i].sink.stream, false);
        splice_all(&many[i], EACH);
        end_put(&many[i].source, EACH + i);
    }
    for (size_t i = 0; i < MANY_RELAYS; i++)
        WORLD_UNTIL(&w, stream_queued(&many[i].to.stream) > 0);
    settle();
    assert_int_equal(w.loop.pipes.used, PIPE_USED_MAX);
    for (size_t i = 0; i < MANY_RELAYS; i++)
        stream_read(&many[i].sink.stream, true);
    for (size_t i = 0; i < MANY_RELAYS; i++) {
        WORLD_UNTIL(&w, many[i].sink.received == EACH + i);
        assert_int_equal(many[i].from.spliced, EACH);
        relay_close(&many[i]);
    }
    assert_int_equal(w.loop.pipes.used, 0);
    assert_int_equal(w.loop.pipes.free_len, PIPE_POOL_MAX);
    world_close(&w);
}

static rlim_t descriptors_in_use(void)
{
    rlim_t highest = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));)
        if (strtoul(e->d_name, NULL, 10) > highest) highest = strtoul(e->d_name, NULL, 10);
    closedir(folder);
    return highest;
}

/* The same bytes and events, through memory. */
static void without_descriptors_the_bytes_are_copied(void **state)
{
    (void)state;
    static struct relay r;
    struct rlimit before, now;
    enum { MANY = 20 * 1000 * 1000 };
    world_open(&w, NULL);
    relay_open(&r);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = descriptors_in_use() + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    int taken[256], taken_len = 0; /* all that are left */
    while ((taken[taken_len] = dup(0)) >= 0)
        taken_len++;
    stream_read(&r.sink.stream, false);
    splice_all(&r, MANY);
    end_put(&r.source, MANY + 1000);
    WORLD_UNTIL(&w, stream_queued(&r.to.stream) > 0);
    settle();
    assert_int_equal(w.loop.pipes.used, 0);
    size_t moved = r.from.spliced;
    assert_true(stream_queued(&r.to.stream) <= 2 * LOOP_READ_BYTES);
    settle();
    assert_int_equal(r.from.spliced, moved);
    stream_read(&r.sink.stream, true);
    WORLD_UNTIL(&w, r.sink.received == MANY + 1000);
    assert_int_equal(r.from.spliced, MANY);
    assert_int_equal(w.loop.pipes.free_len, 0);
    while (taken_len > 0)
        close(taken[--taken_len]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    relay_close(&r);
    world_close(&w);
}

/* With TLS on one side or both the bytes are copied, too. */
static void with_tls_the_bytes_are_copied(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, server);
    for (int way = 0; way < 3; way++) {
        memset(&r, 0, sizeof r);
        relay_open(&r);
        stream_close(&r.source.stream);
        stream_close(&r.sink.stream);
        stream_close(&r.from.stream);
        stream_close(&r.to.stream);
        WORLD_UNTIL(&w, r.source.closed && r.sink.closed && r.from.closed && r.to.closed);
        memset(&r, 0, sizeof r);
        w.listener.secure = way != 0 ? server : NULL;
        join_end(&r.source, &r.from, way != 0 ? client : NULL);
        w.listener.secure = way != 1 ? server : NULL;
        join_end(&r.sink, &r.to, way != 1 ? client : NULL);
        r.from.stream.events = &from_events;
        r.to.stream.events = &to_events;
        assert_false(stream_can_splice(&r.from.stream, &r.to.stream));
        splice_all(&r, 3000000);
        end_put(&r.source, 3000100);
        WORLD_UNTIL(&w, r.sink.received == 3000100);
        assert_int_equal(r.from.spliced, 3000000);
        assert_int_equal(w.loop.pipes.free_len, 0);
        splice_all(&r, UINT64_MAX);
        stream_finish(&r.source.stream);
        WORLD_UNTIL(&w, r.from.ended);
        w.listener.secure = server;
        relay_close(&r);
    }
    world_close(&w);
}

/* --- at once --- */

/* Bytes of the pattern where received ones lie. */
static slice in_read_buffer(size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        w.loop.read_buffer[i] = kit_byte(from + i);
    return slice_of(w.loop.read_buffer, len);
}

static void much_leaves_at_once_and_little_behind_other_bytes_waits(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        world_open(&w, secure ? server : NULL);
        world_connect(&w, secure ? client : NULL, "127.0.0.1");
        struct stream *s = &w.server.stream;
        uint64_t before = w.loop.written_calls;
        assert_int_equal(stream_put(s, in_read_buffer(0, 500)), OK);
        assert_int_equal(stream_put_now(s, in_read_buffer(500, 500)), OK);
        assert_int_equal(stream_queued(s), 1000);
        assert_int_equal(stream_put_now(s, in_read_buffer(1000, 30000)), OK);
        assert_int_equal(stream_queued(s), 0);
        assert_int_equal(stream_sent(s), 31000);
        assert_int_equal(w.loop.written_calls, before + 1);
        WORLD_UNTIL(&w, w.client.received == 31000);
        assert_int_equal(w.loop.written_calls, before + 1);
        world_close(&w);
    }
}

static void what_has_nothing_to_wait_for_passes_the_queue(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_connect(&w, NULL, "127.0.0.1");
    struct stream *s = &w.server.stream;
    uint64_t before = w.loop.written_calls;
    for (size_t put = 0; put < 300; put += 100) {
        assert_int_equal(stream_put_now(s, in_read_buffer(put, 100)), OK);
        assert_int_equal(stream_queued(s), 0);
        assert_int_equal(stream_sent(s), put + 100);
    }
    assert_int_equal(w.loop.written_calls, before + 3);
    WORLD_UNTIL(&w, w.client.received == 300);
    stream_finish(s);
    assert_int_equal(stream_put_now(s, in_read_buffer(300, 100)), OK);
    WORLD_UNTIL(&w, w.client.ended);
    assert_int_equal(w.client.received, 300);
    world_close(&w);
}

/* Several pieces, each with something before and behind it. */
static void what_is_lent_leaves_with_what_is_around_it(void **state)
{
    (void)state;
    uint8_t small[100];
    for (int way = 0; way < 4; way++) {
        bool secure = way & 1, says = way & 2;
        world_open(&w, secure ? server : NULL);
        world_connect(&w, secure ? client : NULL, "127.0.0.1");
        struct stream *s = &w.server.stream;
        uint64_t before = w.loop.written_calls;
        slice all = in_read_buffer(0, 60000);
        for (size_t at = 0; at < 60000; at += 20000) {
            memcpy(small, all.ptr + at, sizeof small);
            assert_int_equal(stream_put(s, slice_of(small, sizeof small)), OK);
            assert_int_equal(stream_lend(s, slice_sub(all, at + 100, 19850)), OK);
            assert_int_equal(stream_put(s, slice_sub(all, at + 19950, 50)), OK);
        }
        assert_int_equal(w.loop.written_calls, before);
        if (says) stream_repay(s); /* else at the end of the turn */
        assert_int_equal(stream_queued(s), says ? 0 : 60000);
        WORLD_UNTIL(&w, w.client.received == 60000);
        assert_int_equal(w.loop.written_calls, before + 1);
        assert_null(w.loop.borrower);
        world_close(&w);
    }
}

/* Whatever is read next must not change what was lent before. */
static void what_is_lent_is_sent_before_the_buffer_is_used_again(void **state)
{
    (void)state;
    static struct relay r;
    for (int secure = 0; secure < 2; secure++) {
        world_open(&w, secure ? server : NULL);
        relay_open(&r);
        size_t put = 0;
        for (int i = 0; i < 100; i++) {
            assert_int_equal(stream_lend(&r.source.stream, in_read_buffer(put, 50000)), OK);
            put += 50000;
            if (i == 50) stream_read(&r.sink.stream, false); /* from now on not all can be sent */
            if (i % 20 == 19)
                for (int turn = 0; turn < 5; turn++)
                    uv_run(&w.loop.uv, UV_RUN_NOWAIT);
            stream_repay(&r.source.stream);
        }
        slice first = in_read_buffer(put, 40000);
        assert_int_equal(stream_lend(&r.source.stream, first), OK);
        put += first.len;
        uint8_t *behind = w.loop.read_buffer + first.len;
        for (size_t i = 0; i < 20000; i++)
            behind[i] = kit_byte(i);
        assert_int_equal(stream_lend(&r.sink.stream, slice_of(behind, 20000)), OK); /* ends the first loan */
        memset(w.loop.read_buffer, 0, first.len);
        stream_read(&r.sink.stream, true);
        WORLD_UNTIL(&w, r.sink.received == put && r.to.received == 20000);
        relay_close(&r);
        assert_null(w.loop.borrower);
        /* A loan that nobody pays back. */
        relay_open(&r);
        assert_int_equal(stream_lend(&r.source.stream, in_read_buffer(0, 50000)), OK);
        stream_close(&r.source.stream);
        assert_null(w.loop.borrower);
        relay_close(&r);
        world_close(&w);
    }
}

/* The head of an answer, what came with it, and what is spliced behind it: two calls. */
static void what_is_lent_leaves_with_what_is_spliced(void **state)
{
    (void)state;
    static struct relay r;
    world_open(&w, NULL);
    relay_open(&r);
    r.len = 100000;
    r.lends = true;
    stream_read_limit(&r.from.stream, 16 * 1024);
    end_put(&r.source, 100000);
    for (int i = 0; i < 3; i++) /* all of it is there before it is read */
        stream_send(&r.source.stream);
    uint64_t before = w.loop.written_calls;
    WORLD_UNTIL(&w, r.sink.received == 100000);
    assert_int_equal(r.from.spliced, 100000 - 16 * 1024);
    assert_int_equal(w.loop.written_calls, before + 2);
    relay_close(&r);
    world_close(&w);
}

/* The bytes may be overwritten after the call, however slow the other side is. */
static void what_the_kernel_does_not_take_is_kept(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        world_open(&w, secure ? server : NULL);
        world_connect(&w, secure ? client : NULL, "127.0.0.1");
        stream_read(&w.client.stream, false);
        size_t put = 0;
        for (int i = 0; i < 400; i++) {
            size_t len = 1 + (size_t)i * 7919 % LOOP_READ_BYTES;
            assert_int_equal(stream_put_now(&w.server.stream, in_read_buffer(put, len)), OK);
            memset(w.loop.read_buffer, 0, len);
            put += len;
            if (i % 50 == 0) uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        }
        assert_true(stream_queued(&w.server.stream) > 1000000);
        stream_read(&w.client.stream, true);
        WORLD_UNTIL(&w, w.client.received == put);
        assert_int_equal(stream_sent(&w.server.stream), put);
        world_close(&w);
    }
}

static int make_certificates(void **state)
{
    (void)state;
    kit_certificate("good", "ec", "DNS:good.test,IP:127.0.0.1");
    server = kit_server("good", NULL);
    client = kit_client("good");
    return 0;
}

static int clean(void **state)
{
    (void)state;
    tls_server_release(server);
    tls_client_release(client);
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_bytes_arrive_in_their_order),
        cmocka_unit_test(ranges_are_spliced_between_others),
        cmocka_unit_test(nothing_grows_while_the_sink_does_not_read),
        cmocka_unit_test(reading_can_be_paused),
        cmocka_unit_test(a_splice_can_be_ended_in_the_middle),
        cmocka_unit_test(a_splice_goes_both_ways),
        cmocka_unit_test(an_end_before_the_last_byte_is_told),
        cmocka_unit_test(an_end_waits_for_the_bytes_before_it),
        cmocka_unit_test(a_reset_is_told),
        cmocka_unit_test(from_waits_when_the_other_side_has_gone),
        cmocka_unit_test(ends_are_closed_at_every_moment),
        cmocka_unit_test(owners_may_close_and_end_while_they_are_told),
        cmocka_unit_test(many_at_once_share_the_pipes),
        cmocka_unit_test(without_descriptors_the_bytes_are_copied),
        cmocka_unit_test(with_tls_the_bytes_are_copied),
        cmocka_unit_test(much_leaves_at_once_and_little_behind_other_bytes_waits),
        cmocka_unit_test(what_has_nothing_to_wait_for_passes_the_queue),
        cmocka_unit_test(what_is_lent_leaves_with_what_is_around_it),
        cmocka_unit_test(what_is_lent_is_sent_before_the_buffer_is_used_again),
        cmocka_unit_test(what_is_lent_leaves_with_what_is_spliced),
        cmocka_unit_test(what_the_kernel_does_not_take_is_kept),
    };
    return cmocka_run_group_tests(tests, make_certificates, clean);
}
