#include "sim.h"

#include <string.h>

#include "base/cbor.h"

static struct device *some_device(struct sim *sim, bool with_tracker)
{
    uint32_t least = with_tracker ? 0 : 1;
    return &sim->devices[least + dice_below(&sim->dice, sim->devices_len - least)];
}

static struct pipe *some_pipe(struct sim *sim)
{
    struct device *d = some_device(sim, true);
    if (!d->up || d->ports_len == 0) return NULL;
    return sim->pipes[d->ports[dice_below(&sim->dice, d->ports_len)].pipe];
}

/* --- what goes wrong --- */

static void start_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2)
{
    (void)unused, (void)unused2;
    device_start(sim, &sim->devices[device]);
}

static void heal_event(struct sim *sim, uint32_t unused, uint32_t unused2, uint64_t unused3)
{
    (void)unused, (void)unused2, (void)unused3;
    sim->partitioned = false;
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (!d->up || d->kind == DEVICE_HOSTILE || dice_chance(&sim->dice, 500)) continue;
        struct command command = {.kind = COMMAND_NETWORK};
        (void)device_command(sim, d, &command);
    }
}

static void stop_for_a_while(struct sim *sim, struct device *d, usec least, usec most)
{
    if (!d->up) return;
    device_stop(sim, d, true);
    schedule_at(sim, sim->now + dice_between(&sim->dice, least, most), start_event, d->index, 0, 0);
}

static void partition(struct sim *sim)
{
    if (sim->partitioned) return;
    sim->partitioned = true;
    sim_tell(sim, "the network falls apart");
    for (uint32_t i = 0; i < sim->devices_len; i++)
        sim->devices[i].group = (uint32_t)dice_below(&sim->dice, 2);
    bool stalls = dice_chance(&sim->dice, 500); /* silence instead of an error */
    for (size_t i = 0; i < sim->pipes_len; i++) {
        struct pipe *pipe = sim->pipes[i];
        struct device *a = &sim->devices[pipe->end[0].device], *b = &sim->devices[pipe->end[1].device];
        if (!pipe->end[0].attached && !pipe->end[1].attached) continue;
        bool apart = !network_allows(sim, a, b);
        if (pipe->relayed) { /* both must reach the tracker */
            apart = !network_allows(sim, a, &sim->devices[0]) || !network_allows(sim, b, &sim->devices[0]);
        }
        if (apart && stalls) {
            pipe_stall(sim, pipe, 0, 45 * SECONDS);
            pipe_stall(sim, pipe, 1, 45 * SECONDS);
        } else if (apart) {
            pipe_cut(sim, pipe, false);
        }
    }
    schedule_at(sim, sim->now + dice_between(&sim->dice, SECONDS, 50 * SECONDS), heal_event, 0, 0, 0);
}

static void clock_jumps(struct sim *sim, struct device *d)
{
    int64_t jump = (int64_t)dice_below(&sim->dice, 60 * SECONDS) - 30 * (int64_t)SECONDS;
    if (dice_chance(&sim->dice, 200)) jump = 600 * (int64_t)SECONDS; /* woke up from sleep */
    if (!d->up || d->kind == DEVICE_HOSTILE) return;
    sim_tell(sim, "device %u: the clock jumps by %lld us", d->index, (long long)jump);
    d->base_local = (usec)((int64_t)d->base_local + jump);
    d->tick_deadline = 0;
    device_drain(sim, d);
}

static void happen(struct sim *sim, enum fault fault)
{
    struct pipe *pipe;
    struct device *d;
    switch (fault) {
    case FAULT_CUT:
        pipe = some_pipe(sim);
        if (pipe) pipe_cut(sim, pipe, dice_chance(&sim->dice, 300));
        break;
    case FAULT_STALL:
        pipe = some_pipe(sim);
        if (pipe) {
            uint32_t side = (uint32_t)dice_below(&sim->dice, 2);
            pipe_stall(sim, pipe, side, dice_between(&sim->dice, SECONDS, 60 * SECONDS));
        }
        break;
    case FAULT_PARTITION:
        if (dice_chance(&sim->dice, 300)) partition(sim);
        break;
    case FAULT_CRASH: stop_for_a_while(sim, some_device(sim, false), 100 * MILLISECONDS, 15 * SECONDS); break;
    case FAULT_OUTAGE:
        if (dice_chance(&sim->dice, 300)) stop_for_a_while(sim, &sim->devices[0], SECONDS, 60 * SECONDS);
        break;
    case FAULT_AMNESIA:
        if (!sim->devices[0].up || !dice_chance(&sim->dice, 100)) break;
        stop_for_a_while(sim, &sim->devices[0], SECONDS, 10 * SECONDS);
        disk_wipe(sim, &sim->devices[0]);
        break;
    case FAULT_DISK_FAILS:
        d = some_device(sim, true);
        d->disk_full_until = sim->now + dice_between(&sim->dice, SECONDS, 20 * SECONDS);
        break;
    case FAULT_CLOCK: clock_jumps(sim, some_device(sim, true)); break;
    default: break;
    }
}

static void fault_event(struct sim *sim, uint32_t unused, uint32_t unused2, uint64_t unused3)
{
    (void)unused, (void)unused2, (void)unused3;
    if (sim->calm) return;
    enum fault fault = (enum fault)(1u << dice_below(&sim->dice, 15));
    if (sim_has(sim, fault)) happen(sim, fault);
    schedule_at(sim, sim->now + dice_between(&sim->dice, 20 * MILLISECONDS, 600 * MILLISECONDS), fault_event,
                0, 0, 0);
}

/* --- who says what when --- */

void send_something(struct sim *sim, struct device *d)
{
    static uint8_t body[NODE_BODY_BYTES_MAX];
    static uint8_t text[NODE_BODY_BYTES_MAX];
    uint32_t channel = (uint32_t)dice_below(&sim->dice, sim->channels_len);
    if (!(d->channels >> channel & 1)) channel = 0;
    uint32_t most = dice_chance(&sim->dice, 30) ? NODE_BODY_BYTES_MAX - 4 : 200;
    uint32_t len = (uint32_t)dice_between(&sim->dice, SIM_WINDOW_BYTES + 8, most);
    for (uint32_t at = 0; at < len; at += SIM_WINDOW_BYTES) /* marked all over */
        memcpy(text + at, check_mark, len - at < SIM_WINDOW_BYTES ? len - at : SIM_WINDOW_BYTES);
    dice_bytes(&sim->dice, text + SIM_WINDOW_BYTES, 8);
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(text, len));
    struct command command = {.kind = COMMAND_SEND,
                              .channel = sim->channels[channel],
                              .entry_kind = ENTRY_TEXT,
                              .bytes = writer_slice(&w)};
    /* The answer may come before the command returns its token. */
    int64_t rc = node_command(d->node, &command, device_clock(sim, d));
    digest_number(sim, (uint64_t)rc);
    if (rc > 0) {
        d->sent = must_grow(d->sent, d->sent_len, &d->sent_cap, sizeof *d->sent);
        d->sent[d->sent_len++] = (struct sent){(uint64_t)rc, bytes_hash(writer_slice(&w)), channel};
        sim->messages_left--;
    } else if (rc == 0) {
        sim_fail(sim, "device %u: SEND gave no token", d->index);
    } else if (rc != ERR_WRONG_STATE && rc != ERR_NOT_FOUND && rc != ERR_BUSY && rc != ERR_FULL &&
               rc != ERR_MEMORY) {
        sim_fail(sim, "device %u: SEND: %s", d->index, err_name((int)rc));
    }
    device_drain(sim, d);
}

static void send_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t pause_us)
{
    struct device *d = &sim->devices[device];
    (void)unused;
    if (sim->now >= sim->faults_end || sim->messages_left == 0) return;
    uint64_t burst = dice_chance(&sim->dice, 50) ? dice_between(&sim->dice, 2, 40) : 1;
    for (uint64_t i = 0; i < burst && d->up && sim->messages_left > 0 && !sim->report.failed; i++)
        send_something(sim, d);
    schedule_at(sim, sim->now + 1 + dice_below(&sim->dice, 2 * pause_us), send_event, device, 0, pause_us);
}

/* For good; what it wrote there before, LEAVE included, is still owed to the others. */
static void leave_event(struct sim *sim, uint32_t device, uint32_t channel, uint64_t unused)
{
    struct device *d = &sim->devices[device];
    (void)unused;
    if (!d->up) return;
    struct command command = {.kind = COMMAND_LEAVE, .channel = sim->channels[channel]};
    int64_t rc = device_command(sim, d, &command);
    if (rc > 0) {
        sim_tell(sim, "device %u leaves channel %u", device, channel);
        d->channels &= ~(1u << channel);
    } else if (rc != ERR_NOT_FOUND && rc != ERR_WRONG_STATE && rc != ERR_BUSY && rc != ERR_MEMORY) {
        sim_fail(sim, "device %u: COMMAND_LEAVE: %s", device, err_name((int)rc));
    }
}

void fault_plan(struct sim *sim)
{
    usec fault_time = sim->faults_end - sim->now;
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        usec start = i == 0 ? 0 : dice_below(&sim->dice, 2 * SECONDS);
        if (i > 0 && sim_has(sim, FAULT_LATE) && dice_chance(&sim->dice, 300))
            start = dice_below(&sim->dice, fault_time);
        schedule_at(sim, sim->now + start, start_event, i, 0, 0);
        if (d->kind == DEVICE_PERSON && dice_chance(&sim->dice, 800)) {
            usec pause = dice_between(&sim->dice, 200 * MILLISECONDS, 20 * SECONDS);
            schedule_at(sim, sim->now + start + dice_below(&sim->dice, pause), send_event, i, 0, pause);
        }
        for (uint32_t c = 1; c < sim->channels_len && d->kind == DEVICE_PERSON; c++) {
            usec leaves_at = sim->now + dice_below(&sim->dice, fault_time);
            if (dice_chance(&sim->dice, 150)) schedule_at(sim, leaves_at, leave_event, i, c, 0);
            if (!dice_chance(&sim->dice, 500)) continue;
            d->joins_at[c] = sim->now + dice_below(&sim->dice, fault_time);
            schedule_at(sim, d->joins_at[c], join_event, i, 0, 0);
        }
        if (d->kind == DEVICE_HOSTILE) schedule_at(sim, sim->now + start + SECONDS, hostile_act, i, 0, 0);
        for (uint32_t other = 0; other < i; other++) {
            if (sim_has(sim, FAULT_NO_DIRECT) && dice_chance(&sim->dice, 400)) continue;
            d->reach |= UINT64_C(1) << other;
            sim->devices[other].reach |= UINT64_C(1) << i;
        }
    }
    schedule_at(sim, sim->now + SECONDS, fault_event, 0, 0, 0);
}

void fault_stop(struct sim *sim)
{
    sim->calm = true;
    sim_tell(sim, "the faults are over");
    heal_event(sim, 0, 0, 0);
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        d->disk_full_until = 0;
        if (d->kind == DEVICE_HOSTILE && sim->options.seed % 2 == 0) {
            device_stop(sim, d, false);
        } else if (!d->up) {
            schedule_at(sim, sim->now + dice_below(&sim->dice, SECONDS), start_event, i, 0, 0);
        }
    }
}
