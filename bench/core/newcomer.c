#include "newcomer.h"

#include <stdlib.h>
#include <string.h>

enum { LINK = 9, PIECE_BYTES = 64 * 1024, PIECES_MAX = 4096, PIPE_BYTES = 256 * 1024 };
#define STEP_US (1 * MILLISECONDS)
#define QUIET_US (5 * SECONDS)
#define LONGEST_US (3600 * SECONDS)

struct piece {
    uint8_t *ptr;
    size_t len, done;
    usec due;
};

/* One direction: pieces on their way; what is sent leaves after what was sent before it. */
struct way {
    struct piece *pieces;
    uint32_t head, len;
    size_t bytes_waiting; /* not yet out of this end */
    usec free_at;
    uint64_t total;
};

struct run {
    struct device *ends[2];
    struct way ways[2]; /* 0: from ends[0] to ends[1] */
    struct line line;
    usec now, began, busy_at;
    uint64_t cpu_ns[2];
};

static void send_from(struct run *r, int from)
{
    static uint8_t bytes[PIECE_BYTES];
    struct way *w = &r->ways[from];
    struct device *d = r->ends[from];
    uint64_t before = cpu_now();
    while (w->len < PIECES_MAX) {
        /* As much as a socket would take: what is more than that waits in the node, where it may change. */
        uint64_t ahead = w->free_at > r->now ? w->free_at - r->now : 0;
        if (ahead * r->line.bytes_a_second / SECONDS + PIECE_BYTES > PIPE_BYTES) break;
        size_t n = node_transmit(d->node, LINK, bytes, sizeof bytes, r->now);
        if (n == 0) break;
        struct piece *p = &w->pieces[(w->head + w->len++) % PIECES_MAX];
        *p = (struct piece){.ptr = bench_alloc(n, 1), .len = n};
        memcpy(p->ptr, bytes, n);
        if (w->free_at < r->now) w->free_at = r->now;
        w->free_at += n * SECONDS / r->line.bytes_a_second;
        p->due = w->free_at + r->line.delay_us;
        w->total += n;
        r->busy_at = r->now;
    }
    device_pump(d, r->now);
    r->cpu_ns[from] += cpu_now() - before;
}

static void arrive_at(struct run *r, int to)
{
    struct way *w = &r->ways[1 - to];
    struct device *d = r->ends[to];
    uint64_t before = cpu_now();
    while (w->len > 0 && w->pieces[w->head].due <= r->now) {
        struct piece *p = &w->pieces[w->head];
        size_t used;
        int rc = node_receive(d->node, LINK, slice_of(p->ptr + p->done, p->len - p->done), r->now, &used);
        if (rc < 0 && rc != ERR_BUSY) bench_die(err_text(rc));
        p->done += used;
        device_pump(d, r->now);
        if (p->done < p->len) continue;
        free(p->ptr);
        w->head = (w->head + 1) % PIECES_MAX;
        w->len--;
        r->busy_at = r->now;
    }
    if (node_deadline(d->node) <= r->now) node_tick(d->node, r->now);
    device_pump(d, r->now);
    r->cpu_ns[to] += cpu_now() - before;
}

static void note(const struct run *r, struct came *out, usec at)
{
    if (out->done) return;
    out->done = true;
    out->seconds = (double)(at - r->began) / 1e6;
    for (int i = 0; i < 2; i++) {
        out->bytes[i] = r->ways[i].total;
        out->cpu_ns[i] = r->cpu_ns[i];
    }
}

static void link_up(struct run *r)
{
    for (int i = 0; i < 2; i++) {
        struct node_link info = {.path = PATH_DIRECT,
                                 .initiator = i == 1,
                                 .expected = node_device(r->ends[1 - i]->node),
                                 .binding = SLICE("bench")};
        if (node_link_up(r->ends[i]->node, LINK, &info, r->now) < 0) bench_die("no link");
        r->ways[i].pieces = bench_alloc(PIECES_MAX, sizeof *r->ways[i].pieces);
    }
}

usec line_run(struct device *a, struct device *b, struct line line, uint64_t want, struct came out[3],
              usec now)
{
    struct run *r = bench_alloc(1, sizeof *r);
    *r = (struct run){.ends = {a, b}, .line = line, .now = now, .began = now, .busy_at = now};
    memset(out, 0, 3 * sizeof *out);
    link_up(r);
    while (r->now < r->busy_at + QUIET_US && r->now < r->began + LONGEST_US) {
        for (int i = 0; i < 2; i++) {
            arrive_at(r, i);
            send_from(r, i);
        }
        if (b->delivered_late >= b->late) note(r, &out[0], r->now);
        if (b->delivered >= want) note(r, &out[1], r->now);
        r->now += STEP_US;
    }
    note(r, &out[2], r->busy_at);
    now = r->now;
    for (int i = 0; i < 2; i++) {
        node_link_down(r->ends[i]->node, LINK, now);
        device_pump(r->ends[i], now);
        for (; r->ways[i].len > 0; r->ways[i].len--)
            free(r->ways[i].pieces[(r->ways[i].head + r->ways[i].len - 1) % PIECES_MAX].ptr);
        free(r->ways[i].pieces);
        if (r->ends[i]->closed) bench_die("a node closed the link");
    }
    free(r);
    return now;
}
