/* What goes wrong: a list of faults that is made before the world begins. Each has a number and dice of its
 * own, so that some of them can be left out (options.skip) while the others stay what they are. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_PLAN = 1, STREAM_FAULT = 2, STREAM_START = 3 };

static struct device *some_device(struct sim *sim, struct dice *dice, bool with_tracker)
{
    uint32_t least = with_tracker ? 0 : 1;
    return &sim->devices[least + dice_below(dice, sim->devices_len - least)];
}

static struct pipe *some_pipe(struct sim *sim, struct dice *dice)
{
    struct device *d = some_device(sim, dice, true);
    if (!d->up || d->ports_len == 0) return NULL;
    const struct port *port = &d->ports[dice_below(dice, d->ports_len)];
    return port->number ? sim->pipes[port->pipe] : NULL;
}

/* --- what goes wrong --- */

void start_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2)
{
    (void)unused, (void)unused2;
    device_start(sim, &sim->devices[device]);
}

static void heal_event(struct sim *sim, uint32_t unused, uint32_t unused2, uint64_t unused3)
{
    (void)unused, (void)unused2, (void)unused3;
    if (!sim->partitioned) return;
    sim->partitioned = false;
    sim_tell(sim, "the network is whole again");
    recovery_begin(sim);
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (!d->up || !honest(d) || dice_chance(&d->dice, 500)) continue;
        struct command command = {.kind = COMMAND_NETWORK};
        (void)device_command(sim, d, &command);
    }
}

void stop_for_a_while(struct sim *sim, struct device *d, usec duration)
{
    if (!d->up) return;
    device_stop(sim, d, true);
    schedule_at(sim, sim->now + duration, start_event, d->index, 0, 0);
}

static void die_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t duration)
{
    struct device *d = &sim->devices[device];
    if (d->up && d->life == life) stop_for_a_while(sim, d, duration);
}

/* At once; or, where disks fail, sometimes after a while in which only some of the writes succeed. */
static void crash(struct sim *sim, struct dice *dice, struct device *d)
{
    usec duration = dice_between(dice, 100 * MILLISECONDS, 15 * SECONDS);
    usec agony = dice_between(dice, 20 * MILLISECONDS, 3 * SECONDS);
    bool dies = dice_chance(dice, 500);
    if (!dies || !sim_has(sim, FAULT_DISK_FAILS) || !d->up) {
        stop_for_a_while(sim, d, duration);
        return;
    }
    d->disk_dying = true;
    schedule_at(sim, sim->now + agony, die_event, d->index, d->life, duration);
}

static void part(struct sim *sim, struct pipe *pipe, bool stalls)
{
    const struct device *a = &sim->devices[pipe->end[0].device], *b = &sim->devices[pipe->end[1].device];
    const struct device *tracker = &sim->devices[0];
    bool ways[2] = {network_carries(sim, a, b), network_carries(sim, b, a)};
    if (!pipe->end[0].attached && !pipe->end[1].attached) return;
    if (pipe->relayed) { /* both must reach the tracker */
        ways[0] = network_carries(sim, a, tracker) && network_carries(sim, tracker, b);
        ways[1] = network_carries(sim, b, tracker) && network_carries(sim, tracker, a);
    }
    if (ways[0] && ways[1]) return;
    if (!stalls) {
        pipe_cut(sim, pipe, false);
        return;
    }
    for (uint32_t side = 0; side < 2; side++)
        if (!ways[side]) pipe_stall(sim, pipe, side, 45 * SECONDS);
}

static void reach_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2)
{
    struct device *d = &sim->devices[device];
    struct command command = {.kind = COMMAND_NETWORK};
    (void)unused, (void)unused2;
    if (!d->cut_off) return;
    d->cut_off = false;
    sim_tell(sim, "device %u reaches others again", device);
    if (d->up && honest(d)) (void)device_command(sim, d, &command);
}

void cut_off_for_a_while(struct sim *sim, struct device *d, usec duration)
{
    if (d->cut_off) return;
    d->cut_off = true;
    sim_tell(sim, "device %u reaches nobody", d->index);
    for (size_t i = 0; i < sim->pipes_len; i++)
        part(sim, sim->pipes[i], false);
    schedule_at(sim, sim->now + duration, reach_event, d->index, 0, 0);
}

/* Two groups by the dice; or, by the argument, everybody but the regions whose bits are set there. */
static void partition(struct sim *sim, struct dice *dice, uint64_t argument)
{
    usec duration = argument ? (argument >> 8) * SECONDS : dice_between(dice, SECONDS, 50 * SECONDS);
    bool stalls = dice_chance(dice, 500); /* silence instead of an error */
    bool one_way = stalls && !argument && dice_chance(dice, 300);
    if (sim->partitioned) return;
    sim->partitioned = true;
    sim->one_way = one_way;
    sim_tell(sim, "the network falls apart%s", one_way ? ", one way" : "");
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        d->group = argument ? (uint32_t)(argument >> d->region & 1) : (uint32_t)dice_below(dice, 2);
    }
    for (size_t i = 0; i < sim->pipes_len; i++)
        part(sim, sim->pipes[i], stalls);
    schedule_at(sim, sim->now + duration, heal_event, 0, 0, 0);
}

static void clock_jumps(struct sim *sim, struct dice *dice, struct device *d)
{
    int64_t jump = (int64_t)dice_below(dice, 60 * SECONDS) - 30 * (int64_t)SECONDS;
    if (dice_chance(dice, 200)) jump = 600 * (int64_t)SECONDS; /* woke up from sleep */
    if (!d->up || !honest(d)) return;
    sim_tell(sim, "device %u: the clock jumps by %lld us", d->index, (long long)jump);
    d->base_local = (usec)((int64_t)d->base_local + jump);
    d->tick_deadline = UINT64_MAX;
    device_drain(sim, d);
}

static void cut_or_stall(struct sim *sim, struct dice *dice, bool stalls)
{
    struct pipe *pipe = some_pipe(sim, dice);
    if (!pipe) return;
    if (stalls) {
        uint32_t side = (uint32_t)dice_below(dice, 2);
        pipe_stall(sim, pipe, side, dice_between(dice, SECONDS, 60 * SECONDS));
    } else {
        pipe_cut(sim, pipe, dice_chance(dice, 300));
    }
}

/* argument: CRASH: the device; DISK_SLOW: the device whose disk hangs; OUTAGE: seconds; PARTITION: regions
 * and, above 8 bits, seconds. */
static void happen(struct sim *sim, enum fault fault, struct dice *dice, uint64_t argument)
{
    struct device *d, *tracker = &sim->devices[0];
    switch (fault) {
    case FAULT_CUT: cut_or_stall(sim, dice, false); break;
    case FAULT_STALL: cut_or_stall(sim, dice, true); break;
    case FAULT_PARTITION: partition(sim, dice, argument); break;
    case FAULT_CRASH:
        d = argument ? &sim->devices[argument] : some_device(sim, dice, false);
        crash(sim, dice, d);
        break;
    case FAULT_OUTAGE:
        stop_for_a_while(sim, tracker,
                         argument ? argument * SECONDS : dice_between(dice, SECONDS, 60 * SECONDS));
        break;
    case FAULT_AMNESIA:
        if (!tracker->up) break;
        stop_for_a_while(sim, tracker, dice_between(dice, SECONDS, 10 * SECONDS));
        disk_wipe(sim, tracker);
        break;
    case FAULT_DISK_FAILS:
        d = some_device(sim, dice, true);
        d->disk_full_until = sim->now + dice_between(dice, SECONDS, 20 * SECONDS);
        break;
    case FAULT_DISK_SLOW: /* writes become durable in their order: later ones wait, too */
        d = &sim->devices[argument];
        d->disk_due = sim->now + 20 * SECONDS;
        break;
    case FAULT_CLOCK: clock_jumps(sim, dice, some_device(sim, dice, true)); break;
    default: break;
    }
}

static void fault_event(struct sim *sim, uint32_t number, uint32_t unused, uint64_t unused2)
{
    const struct planned *p = &sim->plan[number];
    struct dice dice = dice_stream(sim->options.seed, STREAM_FAULT, number);
    (void)unused, (void)unused2;
    if (sim->calm || sim->report.failed) return;
    sim_tell(sim, "fault %u: %04x", number, (unsigned)p->fault);
    digest_number(sim, number);
    happen(sim, p->fault, &dice, p->argument);
}

void fault_add(struct sim *sim, usec at, enum fault fault, uint64_t argument)
{
    uint32_t number = (uint32_t)sim->plan_len;
    sim->plan = must_grow(sim->plan, sim->plan_len, &sim->plan_cap, sizeof *sim->plan);
    sim->plan[sim->plan_len++] = (struct planned){at, fault, argument};
    sim->report.planned = (uint32_t)sim->plan_len;
    for (size_t i = 0; i < sim->options.skip_len; i++)
        if (sim->options.skip[i] == number) return;
    schedule_at(sim, at, fault_event, number, 0, 0);
}

/* --- the plan --- */

/* How often a fault that comes up in the dice happens, of 1000. */
static uint64_t share_of(enum fault fault)
{
    switch (fault) {
    case FAULT_PARTITION:
    case FAULT_OUTAGE: return 300;
    case FAULT_AMNESIA: return 100;
    case FAULT_CUT:
    case FAULT_STALL:
    case FAULT_CRASH:
    case FAULT_DISK_FAILS:
    case FAULT_CLOCK: return 1000;
    default: return 0; /* is there all the time, or not at all */
    }
}

static void plan_faults(struct sim *sim)
{
    struct dice dice = dice_stream(sim->options.seed, STREAM_PLAN, 0);
    usec pause = sim->setup.fault_pause;
    for (usec at = sim->now + SECONDS; at < sim->faults_end;
         at += pause / 16 + dice_below(&dice, 2 * pause)) {
        enum fault fault = (enum fault)(1u << dice_below(&dice, 15));
        bool happens = dice_chance(&dice, share_of(fault));
        if (happens && sim_has(sim, fault)) fault_add(sim, at, fault, 0);
    }
}

void fault_plan(struct sim *sim)
{
    struct dice dice = dice_stream(sim->options.seed, STREAM_START, 0);
    usec duration = sim->faults_end - sim->now;
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        usec start = i == 0 ? 0 : dice_below(&dice, sim->setup.start_spread);
        bool late = dice_chance(&dice, 300);
        usec late_start = dice_below(&dice, duration);
        if (i > 0 && late && sim_has(sim, FAULT_LATE)) start = late_start;
        schedule_at(sim, sim->now + start, start_event, i, 0, 0);
        if (!honest(&sim->devices[i])) schedule_at(sim, sim->now + start + SECONDS, hostile_act, i, 0, 0);
    }
    plan_faults(sim);
}

void fault_stop(struct sim *sim)
{
    sim->calm = true;
    sim_tell(sim, "the faults are over");
    heal_event(sim, 0, 0, 0);
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        d->disk_full_until = 0;
        d->disk_dying = false;
        reach_event(sim, i, 0, 0);
        if (!honest(d) && sim->options.seed % 2 == 0) {
            device_stop(sim, d, false);
        } else if (!d->up) {
            schedule_at(sim, sim->now + dice_below(&d->dice, SECONDS), start_event, i, 0, 0);
        }
    }
    activities_calm(sim);
}
