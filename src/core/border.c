/* border.c - the calls of shells: each is told to the trace, then done. Without a trace they only pass on. */
#include "core/recorder.h"
#include "core/state.h"

#include "base/cbor.h"

/* What every call leaves behind. */
static void after(struct node *n)
{
    recorder_number(n, node_deadline(n));
}

int node_restore(struct node *n, slice record, usec now)
{
    if (!n->config.trace) return input_restore(n, record, now);
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_RESTORE, now, 1);
    recorder_give(n, &head, record);
    int rc = input_restore(n, record, now);
    recorder_number(n, (uint64_t)-rc);
    after(n);
    return rc;
}

int node_link_up(struct node *n, uint32_t link, const struct node_link *info, usec now)
{
    if (!n->config.trace) return input_link_up(n, link, info, now);
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_LINK_UP, now, 5);
    cbor_put_uint(&head.w, link);
    cbor_put_uint(&head.w, (uint32_t)info->path);
    cbor_put_uint(&head.w, info->initiator);
    cbor_put_bytes(&head.w, info->expected ? slice_of(info->expected, ID_BYTES) : SLICE_EMPTY);
    recorder_give(n, &head, info->binding);
    int rc = input_link_up(n, link, info, now);
    recorder_number(n, (uint64_t)-rc);
    after(n);
    return rc;
}

void node_link_down(struct node *n, uint32_t link, usec now)
{
    if (!n->config.trace) {
        input_link_down(n, link, now);
        return;
    }
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_LINK_DOWN, now, 1);
    cbor_put_uint(&head.w, link);
    recorder_end(n, &head);
    input_link_down(n, link, now);
    after(n);
}

int node_receive(struct node *n, uint32_t link, slice bytes, usec now, size_t *out_used)
{
    if (!n->config.trace) return input_receive(n, link, bytes, now, out_used);
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_RECEIVE, now, 2);
    cbor_put_uint(&head.w, link);
    recorder_give(n, &head, bytes);
    int rc = input_receive(n, link, bytes, now, out_used);
    recorder_number(n, (uint64_t)-rc);
    recorder_number(n, *out_used);
    after(n);
    return rc;
}

size_t node_transmit(struct node *n, uint32_t link, uint8_t *buffer, size_t room, usec now)
{
    if (!n->config.trace) return input_transmit(n, link, buffer, room, now);
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_TRANSMIT, now, 2);
    cbor_put_uint(&head.w, link);
    cbor_put_uint(&head.w, room);
    recorder_end(n, &head);
    size_t len = input_transmit(n, link, buffer, room, now);
    recorder_slice(n, slice_of(buffer, len));
    after(n);
    return len;
}

void node_done(struct node *n, uint64_t token, int result, slice bytes, usec now)
{
    if (!n->config.trace) {
        input_done(n, token, result, bytes, now);
        return;
    }
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_DONE, now, 3);
    cbor_put_uint(&head.w, token);
    cbor_put_uint(&head.w, result < 0 ? (uint64_t)-(int64_t)result : 0);
    recorder_give(n, &head, bytes);
    input_done(n, token, result, bytes, now);
    after(n);
}

void node_tick(struct node *n, usec now)
{
    if (!n->config.trace) {
        input_tick(n, now);
        return;
    }
    struct recorder_head head;
    recorder_begin(n, &head, TRACE_TICK, now, 0);
    recorder_end(n, &head);
    input_tick(n, now);
    after(n);
}

int64_t node_command(struct node *n, const struct command *command, usec now)
{
    if (!n->config.trace) return input_command(n, command, now);
    recorder_command(n, command, now);
    int64_t result = input_command(n, command, now);
    recorder_number(n, (uint64_t)result);
    after(n);
    return result;
}

bool node_next(struct node *n, struct action *out_action)
{
    bool any = output_next(n, out_action);
    if (n->config.trace) recorder_next(n, any, out_action);
    return any;
}

void node_destroy(struct node *n)
{
    if (!n) return;
    if (n->config.trace) {
        struct recorder_head head;
        recorder_begin(n, &head, TRACE_END, n->now, 0);
        recorder_end(n, &head);
    }
    recorder_unwatch(n);
    node_free(n);
}
