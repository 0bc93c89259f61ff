#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"

enum { STREAM_WORLD = 10, STREAM_DEVICE = 11, STREAM_ACTIVITIES = 12 };
/* A link that a view has made meanwhile tells first what it has of each channel. */
enum { QUIET_SECONDS = 35, QUIET_BYTES_MAX = 6000, GREETING_BYTES_MAX = 12000 };

void sim_tell(struct sim *sim, const char *format, ...)
{
    char line[512];
    va_list arguments;
    if (!sim->options.tell) return;
    usec since = sim->now - UINT64_C(1800000000) * SECONDS;
    int len = snprintf(line, sizeof line, "%4llu.%06llu ", (unsigned long long)(since / SECONDS),
                       (unsigned long long)(since % SECONDS));
    va_start(arguments, format);
    vsnprintf(line + len, sizeof line - (size_t)len, format, arguments);
    va_end(arguments);
    sim->options.tell(sim->options.context, line);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (sim->report.failed) return;
    sim->report.failed = true;
    va_start(arguments, format);
    vsnprintf(sim->report.message, sizeof sim->report.message, format, arguments);
    va_end(arguments);
    sim_tell(sim, "VIOLATION: %s", sim->report.message);
}

void digest_number(struct sim *sim, uint64_t value)
{
    sim->report.digest = dice_mix(sim->report.digest ^ value) + 0x9e3779b97f4a7c15u;
}

uint64_t bytes_hash(slice bytes)
{
    struct lanes l = lanes_of(0);
    lanes_add(&l, bytes);
    return lanes_end(&l, 0);
}

uint32_t device_of_id(const struct sim *sim, const uint8_t *id)
{
    uint32_t i = table_get(&sim->device_by_id, word_of(id));
    return i != UINT32_MAX && memcmp(sim->devices[i].id, id, ID_BYTES) == 0 ? i : UINT32_MAX;
}

/* --- the set-up --- */

static uint32_t choose(struct sim *sim, uint32_t possible, uint32_t allowed, bool force)
{
    uint32_t chosen = 0;
    uint64_t share = dice_between(&sim->dice, 100, 700);
    for (uint32_t bit = 1; bit && bit <= possible; bit <<= 1)
        if (dice_chance(&sim->dice, share)) chosen |= bit;
    return force ? allowed : chosen & possible & allowed;
}

static uint32_t choose_activities(struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    uint32_t chosen = 0;
    for (size_t i = 0; i < sim_activities_len; i++) {
        struct dice dice = dice_stream(options->seed, STREAM_ACTIVITIES, i);
        if (dice_chance(&dice, sim_activities[i]->chance)) chosen |= 1u << i;
    }
    return options->force_activities ? options->activities : chosen & options->activities;
}

static void new_device(struct sim *sim, enum device_kind kind)
{
    struct device *d = &sim->devices[sim->devices_len];
    d->index = sim->devices_len++;
    d->kind = kind;
    d->dice = dice_stream(sim->options.seed, STREAM_DEVICE, d->index);
    memory_init(&d->memory);
    if (sim->options.fail_at && sim->options.fail_device == d->index)
        d->memory.fail_at = sim->options.fail_at, d->memory.fail_more = sim->options.fail_more;
    dice_bytes(&d->dice, d->seed, KEY_BYTES);
    sim->crypto->sign_public(sim->crypto->context, d->id, d->seed);
    table_put(&sim->device_by_id, word_of(d->id), d->index);
    d->region = sim->setup.regions ? d->index % sim->setup.regions : 0;
    const struct device *before = d - 1;
    if (kind == DEVICE_PERSON && d->index > 1 && sim->setup.same_account && dice_chance(&d->dice, 300))
        memcpy(d->account, before->account, sizeof d->account);
    else
        snprintf(d->account, sizeof d->account, "%s-%u", kind == DEVICE_HOSTILE ? "mallory" : "person",
                 d->index);
    d->expired = kind == DEVICE_HOSTILE && dice_chance(&d->dice, 300);
    if (kind == DEVICE_HOSTILE) hostile_new(sim, d);
}

static void make_channels(struct sim *sim)
{
    static const char *const names[] = {"general", "random", "quiet"};
    for (uint32_t c = 0; c < sim->setup.channels; c++) {
        struct channel_spec spec = {
            .type = CHANNEL_PUBLIC, .authority = sim->devices[0].id, .name = slice_text(names[c % 3])};
        uint8_t id[ID_BYTES];
        channel_id(sim->crypto, spec.authority, spec.name, id);
        sim_channel_add(sim, &spec, id);
        for (uint32_t i = 0; i < sim->devices_len; i++) {
            struct device *d = &sim->devices[i];
            bool in = c == 0 || d->kind == DEVICE_TRACKER || dice_chance(&sim->dice, 600);
            if (in) membership_add(sim, c, d, true);
        }
    }
}

static void overrule(struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    struct setup *setup = &sim->setup;
    if (options->nodes) {
        uint32_t hostile = setup->hostile ? options->nodes / 5 + 1 : 0;
        setup->hostile = hostile < options->nodes ? hostile : 0;
        setup->persons = options->nodes - setup->hostile;
    }
    if (options->seconds) setup->duration = options->seconds * SECONDS;
    if (options->messages && options->messages < setup->messages) setup->messages = options->messages;
}

static void build(struct sim *sim)
{
    struct setup *setup = &sim->setup;
    sim->dice = dice_stream(sim->options.seed, STREAM_WORLD, 0);
    sim->reader = UINT32_MAX;
    sim->began = sim->now = UINT64_C(1800000000) * SECONDS;
    sim->world = sim->options.world ? sim->options.world : &sim_worlds[0];
    *setup = (struct setup){
        .channels = 1,
        .messages = 100,
        .pause_least = 200 * MILLISECONDS,
        .pause_most = 20 * SECONDS,
        .fault_pause = 310 * MILLISECONDS,
        .start_spread = 2 * SECONDS,
        .settle_max = 300 * SECONDS,
        .faults = choose(sim, FAULT_ALL, sim->options.faults, sim->options.force),
        .activities = choose_activities(sim),
        .duration = 60 * SECONDS,
    };
    sim->world->configure(sim, setup);
    overrule(sim);
    sim->faults = setup->faults;
    sim->faults_end = sim->now + setup->duration;
    sim->devices = must_alloc((1 + setup->persons + setup->hostile) * sizeof *sim->devices);
    new_device(sim, DEVICE_TRACKER);
    for (uint32_t i = 0; i < setup->persons + setup->hostile; i++)
        new_device(sim, i < setup->persons ? DEVICE_PERSON : DEVICE_HOSTILE);
    make_channels(sim);
    sim->report.nodes = setup->persons + setup->hostile;
    sim->report.faults = sim->faults;
    sim->report.activities = setup->activities;
    sim->report.seconds = (uint32_t)(setup->duration / SECONDS);
    sim->report.written = (uint32_t)setup->messages;
}

/* --- the run --- */

static void run_until(struct sim *sim, usec until)
{
    struct event event;
    while (!sim->report.failed && schedule_next(sim, until, &event))
        event.run(sim, event.a, event.b, event.c);
    if (!sim->report.failed) sim->now = until;
}

/* When all is said, links only show that they are alive. */
static void check_quiet(struct sim *sim)
{
    for (size_t i = 0; i < sim->pipes_len; i++)
        for (int side = 0; side < 2; side++)
            sim->pipes[i]->flow[side].bytes = 0;
    uint64_t before = sim->report.link_bytes;
    run_until(sim, sim->now + QUIET_SECONDS * SECONDS);
    sim->report.quiet_us = QUIET_SECONDS * SECONDS;
    sim->report.quiet_bytes = sim->report.link_bytes - before;
    for (size_t i = 0; i < sim->pipes_len; i++) {
        for (int side = 0; side < 2; side++) {
            const struct pipe *pipe = sim->pipes[i];
            const struct device *writer = &sim->devices[pipe->end[side].device];
            const struct device *reader = &sim->devices[pipe->end[1 - side].device];
            bool fresh = pipe->since > sim->now - QUIET_SECONDS * SECONDS;
            uint64_t most = fresh ? GREETING_BYTES_MAX : QUIET_BYTES_MAX;
            if (pipe->flow[side].bytes > most && honest(writer) && honest(reader))
                sim_fail(sim, "device %u still writes to %u when all is said: %llu bytes", writer->index,
                         reader->index, (unsigned long long)pipe->flow[side].bytes);
        }
    }
}

static void settle(struct sim *sim)
{
    char why[SIM_MESSAGE_BYTES_MAX];
    usec began = sim->now, limit = began + sim->setup.settle_max;
    while (!sim->report.failed && !check_converged(sim, why, sizeof why)) {
        if (sim->now >= limit)
            sim_fail(sim, "not the same everywhere after %llu s: %s",
                     (unsigned long long)(sim->setup.settle_max / SECONDS), why);
        else
            run_until(sim, sim->now + SECONDS);
    }
    sim->report.converged_us = sim->now - began;
    sim->report.busy_us = sim->now - sim->began;
    sim->report.busy_bytes = sim->report.link_bytes;
    /* From here on nobody is short of memory: who is closes links, and makes new ones for as long as that
     * lasts. */
    for (uint32_t i = 0; i < sim->devices_len; i++)
        sim->devices[i].memory.fail_at = 0;
    /* Time for links that died without a word to be missed, and for what follows from that. */
    if (!sim->report.failed) run_until(sim, sim->now + 120 * SECONDS);
    if (!sim->report.failed) check_quiet(sim);
    if (!sim->report.failed && !check_converged(sim, why, sizeof why))
        sim_fail(sim, "came apart again: %s", why);
    if (!sim->report.failed) check_end(sim);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure_memory(struct sim *sim)
{
    uint64_t *used = must_alloc(sim->devices_len * sizeof *used);
    size_t len = 0;
    for (uint32_t i = 0; i < sim->devices_len; i++)
        if (sim->devices[i].kind == DEVICE_PERSON) used[len++] = sim->devices[i].memory.used;
    if (len > 0) qsort(used, len, sizeof *used, by_size);
    sim->report.memory_median = len > 0 ? used[len / 2] : 0;
    free(used);
}

static void tear_down(struct sim *sim)
{
    sim->report.channels = sim->channels_len;
    sim->report.virtual_us = sim->now - sim->began;
    sim->report.events -= sim->idle;
    activities_end(sim);
    measure_memory(sim);
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (sim->options.fail_device == i) sim->report.allocations = d->memory.calls;
        device_stop(sim, d, false);
    }
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        disk_free(d);
        hostile_free(d);
        free(d->ports), free(d->sent), free(d->writable), free(d->blocked);
        free(d->known), free(d->told), free(d->warned);
        table_free(&d->known_of);
    }
    sim_channels_free(sim);
    tap_free(sim);
    pipe_free_all(sim);
    table_free(&sim->device_by_id);
    free(sim->devices), free(sim->heap), free(sim->plan);
    free(sim->scratch), free(sim->record), free(sim->recovery.targets), free(sim->nobodies);
}

int sim_print(const struct sim_options *options, const struct sim_report *r, char *out, size_t room)
{
    typedef unsigned long long wide;
    if (r->failed) return snprintf(out, room, "seed %llu: FAILED: %s", (wide)options->seed, r->message);
    return snprintf(
        out, room,
        "seed %llu: %u nodes, %u channels, faults %04x, %llu events, %llu links, %llu entries, "
        "%llu deliveries, %llu acks, %llu stores, %llu reads, %llu closes, %llu stops, %llu warnings, "
        "%llu KB on links, calm after %llu ms, digest %016llx",
        (wide)options->seed, r->nodes, r->channels, r->faults, (wide)r->events, (wide)r->links,
        (wide)r->entries, (wide)r->deliveries, (wide)r->acknowledgements, (wide)r->stores, (wide)r->reads,
        (wide)r->closes, (wide)r->crashes, (wide)r->warnings, (wide)(r->link_bytes / 1024),
        (wide)(r->converged_us / MILLISECONDS), (wide)r->digest);
}

int sim_run(const struct sim_options *options, struct sim_report *out_report)
{
    struct sim *sim = must_alloc(sizeof *sim);
    sim->options = *options;
    sim->crypto = options->crypto;
    tap_init(sim, options->crypto);
    sim->scratch = must_alloc(64 * 1024);
    sim->record = must_alloc(NODE_RECORD_BYTES_MAX);
    build(sim);
    activities_plan(sim);
    fault_plan(sim);
    if (sim->world->plan) sim->world->plan(sim);
    run_until(sim, sim->faults_end);
    if (!sim->report.failed) fault_stop(sim);
    if (!sim->report.failed) settle(sim);
    tear_down(sim);
    *out_report = sim->report;
    free(sim);
    return out_report->failed ? ERR_CORRUPT : OK;
}
