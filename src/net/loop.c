#include "net/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "net/stream.h"

/* Streams that get dirty again while this runs wait for the next round: the loop goes on at once (idle), but
 * others have their turn in between. */
static void flush(struct list *streams)
{
    struct list now;
    list_take(streams, &now);
    while (!list_empty(&now)) {
        struct list *node = now.next;
        list_remove(node);
        stream_turn(LIST_ENTRY(node, struct stream, dirty_node));
    }
}

static void flush_settled(struct net_loop *loop)
{
    loop->settled_len = 0;
    flush(&loop->settled);
}

void net_loop_settled(struct net_loop *loop)
{
    if (++loop->settled_len == LOOP_SETTLED_MAX) flush_settled(loop);
}

static void flush_all(struct net_loop *loop)
{
    flush_settled(loop);
    flush(&loop->dirty);
}

static void on_nothing(uv_idle_t *idle)
{
    (void)idle;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct net_loop *loop = prepare->data;
    flush_all(loop);
    if (list_empty(&loop->dirty))
        uv_idle_stop(&loop->idle);
    else
        uv_idle_start(&loop->idle, on_nothing);
}

static void on_check(uv_check_t *check)
{
    flush_all(check->data);
}

static void on_tick(uv_timer_t *tick)
{
    struct net_loop *loop = tick->data;
    struct wheel_entry *entry;
    while ((entry = wheel_next(&loop->wheel, net_loop_now(loop))))
        loop->expired(entry);
    if (loop->wheel.len == 0) uv_timer_stop(tick);
}

int net_loop_init(struct net_loop *loop, void (*expired)(struct wheel_entry *entry))
{
    int rc = uv_loop_init(&loop->uv);
    if (rc < 0) return rc;
    loop->expired = expired;
    loop->chunks = (struct chunk_pool){0};
    loop->pipes = (struct pipe_pool){0};
    loop->reading = false;
    loop->borrower = NULL;
    loop->written_calls = 0;
    loop->handshakes = (struct loop_handshakes){0};
    loop->scratch = NULL;
    list_init(&loop->dirty);
    list_init(&loop->settled);
    loop->settled_len = 0;
    wheel_init(&loop->wheel, uv_now(&loop->uv));
    /* These cannot fail. */
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->tick);
    loop->prepare.data = loop->check.data = loop->idle.data = loop->tick.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->tick);
    return 0;
}

void net_loop_deinit(struct net_loop *loop)
{
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    /* A uv_stop that found no run to stop ends the first one early. */
    if (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) uv_run(&loop->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0 && "a handle on the loop was not closed");
    (void)rc;
    chunk_pool_deinit(&loop->chunks);
    pipe_pool_deinit(&loop->pipes);
    free(loop->scratch);
}

void net_loop_deadline(struct net_loop *loop, struct wheel_entry *entry, uint64_t deadline_ms)
{
    if (loop->wheel.len == 0) {
        /* The wheel slept: its time is long past. */
        wheel_init(&loop->wheel, net_loop_now(loop));
        wheel_entry_init(entry);
        uv_timer_start(&loop->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    }
    wheel_set(&loop->wheel, entry, deadline_ms);
}
