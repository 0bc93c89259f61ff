#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void flow_drop(struct flow *flow)
{
    while (flow->head) {
        struct segment *next = flow->head->next;
        free(flow->head);
        flow->head = next;
    }
    flow->tail = NULL;
    flow->queued = 0;
}

static void flow_init(struct sim *sim, struct pipe *pipe, struct flow *flow, bool far)
{
    struct dice *dice = &pipe->dice;
    usec base = pipe->path == PATH_RELAY ? 20 * MILLISECONDS : 2 * MILLISECONDS;
    if (far) base += 120 * MILLISECONDS; /* between two regions */
    *flow = (struct flow){
        .latency = base + dice_below(dice, 60 * MILLISECONDS),
        .jitter = 1,
        .bytes_per_s = 2000000,
        .room = 256 * 1024,
    };
    flow->jitter += dice_below(dice, 10 * MILLISECONDS);
    if (sim_has(sim, FAULT_SLOW_PIPE) && dice_chance(dice, 500)) {
        flow->bytes_per_s = dice_between(dice, 4000, 60000);
        flow->room = NODE_TRANSMIT_ROOM + (size_t)dice_below(dice, 40 * 1024);
    }
}

static void hang_up_event(struct sim *sim, uint32_t id, uint32_t side, uint64_t unused);

static void schedule_on(struct sim *sim, struct pipe *pipe, usec at, event_run *run, uint32_t side)
{
    pipe->pending++;
    schedule_at(sim, at, run, pipe->id, side, 0);
}

/* When nobody holds an end any more and nothing will look at it, its place is for the next one. */
static void pipe_release(struct sim *sim, struct pipe *pipe)
{
    if (pipe->pending > 0 || pipe->end[0].attached || pipe->end[1].attached) return;
    flow_drop(&pipe->flow[0]);
    flow_drop(&pipe->flow[1]);
    sim->pipes_free =
        must_grow(sim->pipes_free, sim->pipes_free_len, &sim->pipes_free_cap, sizeof *sim->pipes_free);
    sim->pipes_free[sim->pipes_free_len++] = pipe->id;
}

struct pipe *pipe_new(struct sim *sim, enum path path, uint32_t initiator, uint32_t acceptor)
{
    struct pipe *pipe;
    if (sim->pipes_free_len > 0) {
        pipe = sim->pipes[sim->pipes_free[--sim->pipes_free_len]];
        *pipe = (struct pipe){.id = pipe->id};
    } else {
        pipe = must_alloc(sizeof *pipe);
        sim->pipes = must_grow(sim->pipes, sim->pipes_len, &sim->pipes_cap, sizeof *sim->pipes);
        pipe->id = (uint32_t)sim->pipes_len;
        sim->pipes[sim->pipes_len++] = pipe;
    }
    bool far = sim->devices[initiator].region != sim->devices[acceptor].region;
    pipe->dice = dice_stream(dice_next(&sim->devices[initiator].dice), initiator, acceptor);
    pipe->path = path;
    pipe->since = sim->now;
    pipe->relayed = path == PATH_RELAY;
    pipe->called = acceptor;
    pipe->end[0].device = initiator;
    pipe->end[1].device = acceptor;
    flow_init(sim, pipe, &pipe->flow[0], far);
    flow_init(sim, pipe, &pipe->flow[1], far);
    if (sim_has(sim, FAULT_TAMPER) && !sim->calm && dice_chance(&pipe->dice, 100)) pipe->tampered = true;
    sim->report.links++;
    return pipe;
}

static void pump_event(struct sim *sim, uint32_t id, uint32_t side, uint64_t unused)
{
    (void)unused;
    pipe_pump(sim, id, side);
    sim->pipes[id]->pending--;
    pipe_release(sim, sim->pipes[id]);
}

size_t pipe_room(const struct pipe *pipe, uint32_t side)
{
    const struct flow *flow = &pipe->flow[side];
    return flow->queued < flow->room ? flow->room - flow->queued : 0;
}

void pipe_write(struct sim *sim, struct pipe *pipe, uint32_t side, slice bytes)
{
    struct flow *flow = &pipe->flow[side];
    check_link_bytes(sim, pipe, side, bytes);
    sim->report.link_bytes += bytes.len;
    flow->bytes += bytes.len;
    if (pipe->cut || !pipe->end[1 - side].attached) return; /* nobody is there to hear it */
    struct segment *segment = must_resize(NULL, sizeof *segment + bytes.len);
    *segment = (struct segment){.len = bytes.len};
    memcpy(segment->bytes, bytes.ptr, bytes.len);
    if (pipe->tampered && !sim->calm && dice_chance(&pipe->dice, 20)) {
        dice_flip(&pipe->dice, segment->bytes, bytes.len);
    }
    usec sent = (flow->ready > sim->now ? flow->ready : sim->now) + bytes.len * SECONDS / flow->bytes_per_s;
    flow->ready = sent + dice_below(&pipe->dice, flow->jitter);
    segment->ready = flow->ready + flow->latency;
    if (flow->tail)
        flow->tail->next = segment;
    else
        flow->head = segment;
    flow->tail = segment;
    flow->queued += bytes.len;
    schedule_on(sim, pipe, segment->ready, pump_event, side);
}

/* Hands the segment over, cut at any place. True when all of it was taken. */
static bool hand_over(struct sim *sim, struct pipe *pipe, uint32_t side, struct segment *segment)
{
    struct flow *flow = &pipe->flow[side];
    struct device *reader = &sim->devices[pipe->end[1 - side].device];
    while (segment->at < segment->len) {
        size_t part = segment->len - segment->at;
        if (dice_chance(&pipe->dice, 200)) part = 1 + (size_t)dice_below(&pipe->dice, part);
        slice bytes = slice_of(segment->bytes + segment->at, part);
        size_t used = device_receive(sim, reader, pipe, 1 - side, bytes);
        if (!pipe->end[1 - side].attached) return false; /* closed: the flow is gone with it */
        segment->at += used;
        flow->queued -= used;
        flow->blocked = used < part;
        if (flow->blocked) return false;
    }
    return true;
}

void pipe_pump(struct sim *sim, uint32_t id, uint32_t side)
{
    struct pipe *pipe = sim->pipes[id];
    struct flow *flow = &pipe->flow[side];
    if (pipe->cut || !pipe->end[1 - side].attached) return;
    if (flow->stalled_until > sim->now) {
        schedule_on(sim, pipe, flow->stalled_until, pump_event, side);
        return;
    }
    while (flow->head && flow->head->ready <= sim->now && !sim->report.failed) {
        struct segment *segment = flow->head;
        if (!hand_over(sim, pipe, side, segment)) break;
        flow->head = segment->next;
        if (!flow->head) flow->tail = NULL;
        free(segment);
    }
    if (flow->starved && pipe->end[side].attached && pipe_room(pipe, side) >= NODE_TRANSMIT_ROOM) {
        flow->starved = false;
        struct device *writer = &sim->devices[pipe->end[side].device];
        struct port *port = device_port(writer, pipe->end[side].number);
        if (port) device_writable(writer, port);
        device_drain(sim, writer);
    }
}

/* The other end lets go. */
static void hang_up(struct sim *sim, struct pipe *pipe, uint32_t side)
{
    struct flow *incoming = &pipe->flow[1 - side];
    if (!pipe->end[side].attached) return;
    if (incoming->head && !pipe->cut) { /* what was written before is read first */
        usec later =
            incoming->stalled_until > sim->now ? incoming->stalled_until : sim->now + 20 * MILLISECONDS;
        schedule_on(sim, pipe, later, hang_up_event, side);
        return;
    }
    pipe->end[side].attached = false;
    flow_drop(incoming);
    device_hung_up(sim, &sim->devices[pipe->end[side].device], pipe, side);
}

static void hang_up_event(struct sim *sim, uint32_t id, uint32_t side, uint64_t unused)
{
    (void)unused;
    hang_up(sim, sim->pipes[id], side);
    sim->pipes[id]->pending--;
    pipe_release(sim, sim->pipes[id]);
}

void pipe_leave(struct sim *sim, struct pipe *pipe, uint32_t side, bool silent)
{
    if (!pipe->end[side].attached) return;
    pipe->end[side].attached = false;
    flow_drop(&pipe->flow[1 - side]);
    struct flow *outgoing = &pipe->flow[side];
    usec after = (outgoing->ready > sim->now ? outgoing->ready : sim->now) + outgoing->latency;
    after += dice_below(&pipe->dice, 50 * MILLISECONDS);
    if (pipe->end[1 - side].attached && !silent)
        schedule_on(sim, pipe, after, hang_up_event, 1 - side);
    else if (!pipe->end[1 - side].attached) /* the caller still looks at it: later */
        schedule_on(sim, pipe, after, hang_up_event, side);
}

void pipe_cut(struct sim *sim, struct pipe *pipe, bool silent)
{
    uint32_t deaf = silent ? (uint32_t)dice_below(&pipe->dice, 2) : 2;
    if (pipe->cut) return;
    pipe->cut = true;
    for (uint32_t side = 0; side < 2; side++) {
        flow_drop(&pipe->flow[side]);
        usec after = dice_below(&pipe->dice, 2 * SECONDS);
        if (side != deaf) schedule_on(sim, pipe, sim->now + after, hang_up_event, side);
    }
}

void pipe_stall(struct sim *sim, struct pipe *pipe, uint32_t side, usec duration)
{
    struct flow *flow = &pipe->flow[side];
    if (flow->stalled_until < sim->now + duration) flow->stalled_until = sim->now + duration;
    schedule_on(sim, pipe, flow->stalled_until, pump_event, side);
}

void pipe_free_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->pipes_len; i++) {
        flow_drop(&sim->pipes[i]->flow[0]);
        flow_drop(&sim->pipes[i]->flow[1]);
        free(sim->pipes[i]);
    }
    free(sim->pipes);
    free(sim->pipes_free);
}
