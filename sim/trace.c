/* trace.c - nodes that keep a trace (core/trace.h). In every fourth world one device does, by the seed: what
 * it did in each of its lives must come out of a replay again. The device that the options name gives its
 * trace away. */
#include "sim.h"

#include <stdlib.h>

enum { TRACE_BYTES_KEPT_MAX = 16 * 1024 * 1024, WORLDS_BETWEEN = 4, DEVICES_MAX = 64, STREAM_TRACE = 30 };

static void keep(void *context, slice piece)
{
    buffer_put(context, piece); /* without room there will be no replay */
}

static void give_away(void *context, slice piece)
{
    const struct sim *sim = context;
    const struct sim_options *o = &sim->options;
    o->trace(o->trace_context, sim->devices[o->trace_device].life, piece);
}

static bool is_checked(const struct sim *sim, const struct device *d)
{
    struct dice dice = dice_stream(sim->options.seed, STREAM_TRACE, 0);
    if (!dice_chance(&dice, 1000 / WORLDS_BETWEEN) || sim->devices_len > DEVICES_MAX) return false;
    return dice_below(&dice, sim->devices_len) == d->index;
}

void trace_configure(struct sim *sim, struct device *d, struct node_config *config)
{
    buffer_init(&d->trace, &allocator_libc, TRACE_BYTES_KEPT_MAX);
    if (sim->options.trace && sim->options.trace_device == d->index) {
        config->trace = give_away;
        config->trace_context = sim;
    } else if (is_checked(sim, d)) {
        config->trace = keep;
        config->trace_context = &d->trace;
    }
}

void trace_check(struct sim *sim, struct device *d)
{
    struct replay_options options = {.allocator = &allocator_libc, .crypto = sim->crypto};
    struct replay_report report;
    struct replay *replay;
    if (d->trace.len > 0 && !d->trace.failed && !sim->report.failed) {
        if (replay_new(&options, &replay) < 0) abort();
        int rc = replay_feed(replay, buffer_slice(&d->trace));
        replay_end(replay, &report);
        bool starved = rc == ERR_FULL && sim->options.fail_at; /* it says itself that it ends early */
        if (rc < 0 && !starved)
            sim_fail(sim, "device %u: a replay of life %u differs at call %llu: %s", d->index, d->life,
                     (unsigned long long)report.differs, report.text);
        else if (!starved && !report.complete)
            sim_fail(sim, "device %u: the trace of life %u has no end", d->index, d->life);
    }
    buffer_reset(&d->trace);
}
