#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_SECONDS_MAX = 300, QUIET_SECONDS = 35, QUIET_BYTES_MAX = 6000 };

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
    sim->options.tell(sim->options.tell_context, line);
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
    uint64_t hash = bytes.len;
    for (size_t i = 0; i < bytes.len; i += 8) {
        uint64_t word = 0;
        for (size_t j = i; j < bytes.len && j < i + 8; j++)
            word = word << 8 | bytes.ptr[j];
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 31;
    }
    return hash;
}

void digest_bytes(struct sim *sim, slice bytes)
{
    digest_number(sim, bytes_hash(bytes));
}

uint32_t device_of_id(const struct sim *sim, const uint8_t *id)
{
    for (uint32_t i = 0; i < sim->devices_len; i++)
        if (memcmp(sim->devices[i].id, id, ID_BYTES) == 0) return i;
    return UINT32_MAX;
}

uint32_t channel_of_id(const struct sim *sim, const uint8_t *id)
{
    for (uint32_t i = 0; i < sim->channels_len; i++)
        if (memcmp(sim->channels[i], id, ID_BYTES) == 0) return i;
    return UINT32_MAX;
}

static uint32_t choose_nodes(struct sim *sim)
{
    uint64_t kind = dice_below(&sim->dice, 100);
    if (kind < 65) return (uint32_t)dice_between(&sim->dice, 2, 6);
    if (kind < 92) return (uint32_t)dice_between(&sim->dice, 7, 15);
    return (uint32_t)dice_between(&sim->dice, 16, 50);
}

static uint32_t choose_faults(struct sim *sim)
{
    uint32_t chosen = 0;
    uint64_t share = dice_between(&sim->dice, 100, 700);
    for (uint32_t bit = 1; bit < FAULT_ALL; bit <<= 1)
        if (dice_chance(&sim->dice, share)) chosen |= bit;
    return sim->options.force ? sim->options.faults : chosen & sim->options.faults;
}

static void new_device(struct sim *sim, enum device_kind kind)
{
    struct device *d = &sim->devices[sim->devices_len];
    d->index = sim->devices_len++;
    d->kind = kind;
    d->next_number = 1;
    memory_init(&d->memory);
    if (sim->options.fail_at && sim->options.fail_device == d->index)
        d->memory.fail_at = sim->options.fail_at;
    dice_bytes(&sim->dice, d->seed, KEY_BYTES);
    sim->crypto->sign_public(sim->crypto->context, d->id, d->seed);
    snprintf(d->account, sizeof d->account, "%s-%u", kind == DEVICE_HOSTILE ? "mallory" : "person", d->index);
    d->channels = 1;
    for (uint32_t c = 1; c < sim->channels_len; c++)
        if (kind == DEVICE_TRACKER || dice_chance(&sim->dice, 600)) d->channels |= 1u << c;
    if (kind == DEVICE_HOSTILE) hostile_new(sim, d);
}

static void build(struct sim *sim)
{
    static const char *const names[SIM_CHANNELS_MAX] = {"general", "random", "quiet"};
    sim->dice.state = dice_mix(sim->options.seed + 0x5eed);
    sim->now = UINT64_C(1800000000) * SECONDS;
    sim->faults = choose_faults(sim);
    uint32_t nodes = sim->options.nodes ? sim->options.nodes : choose_nodes(sim);
    uint64_t seconds = dice_between(&sim->dice, 20, 120);
    if (sim->options.seconds) seconds = sim->options.seconds;
    sim->faults_end = sim->now + seconds * SECONDS;
    sim->channels_len = sim_has(sim, FAULT_CHANNELS) ? SIM_CHANNELS_MAX : 1;
    sim->messages_left = dice_between(&sim->dice, 10, 300);
    new_device(sim, DEVICE_TRACKER);
    uint32_t hostile =
        sim_has(sim, FAULT_HOSTILE) && nodes >= 3 ? 1 + (uint32_t)dice_below(&sim->dice, nodes / 3) : 0;
    for (uint32_t i = 0; i < nodes; i++)
        new_device(sim, i < nodes - hostile ? DEVICE_PERSON : DEVICE_HOSTILE);
    for (uint32_t c = 0; c < sim->channels_len; c++)
        channel_id(sim->crypto, sim->devices[0].id, slice_text(names[c]), sim->channels[c]);
    sim->report.nodes = nodes;
    sim->report.channels = sim->channels_len;
    sim->report.faults = sim->faults;
}

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
    uint64_t *before = must_alloc(sim->pipes_len * 2 * sizeof *before + 1);
    size_t count = sim->pipes_len;
    for (size_t i = 0; i < count; i++)
        for (int side = 0; side < 2; side++)
            before[2 * i + (size_t)side] = sim->pipes[i]->flow[side].bytes;
    run_until(sim, sim->now + QUIET_SECONDS * SECONDS);
    for (size_t i = 0; i < count; i++) {
        for (int side = 0; side < 2; side++) {
            const struct pipe *pipe = sim->pipes[i];
            uint64_t bytes = pipe->flow[side].bytes - before[2 * i + (size_t)side];
            if (bytes > QUIET_BYTES_MAX && sim->devices[pipe->end[side].device].kind != DEVICE_HOSTILE &&
                sim->devices[pipe->end[1 - side].device].kind != DEVICE_HOSTILE)
                sim_fail(sim, "device %u still writes to %u when all is said: %llu bytes",
                         pipe->end[side].device, pipe->end[1 - side].device, (unsigned long long)bytes);
        }
    }
    free(before);
}

static void settle(struct sim *sim)
{
    char why[SIM_MESSAGE_BYTES_MAX];
    usec began = sim->now, limit = began + SETTLE_SECONDS_MAX * SECONDS;
    while (!sim->report.failed && !check_converged(sim, why, sizeof why)) {
        if (sim->now >= limit)
            sim_fail(sim, "not the same everywhere after %d s: %s", SETTLE_SECONDS_MAX, why);
        else
            run_until(sim, sim->now + SECONDS);
    }
    sim->report.converged_us = sim->now - began;
    /* Time for links that died without a word to be missed, and for what follows from that. */
    if (!sim->report.failed) run_until(sim, sim->now + 120 * SECONDS);
    if (!sim->report.failed) check_quiet(sim);
    if (!sim->report.failed && !check_converged(sim, why, sizeof why))
        sim_fail(sim, "came apart again: %s", why);
    if (!sim->report.failed) check_end(sim);
}

static void tear_down(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (sim->options.fail_device == i) sim->report.allocations = d->memory.calls;
        device_stop(sim, d, false);
        disk_wipe(sim, d);
        hostile_free(d);
        free(d->ports), free(d->ops), free(d->sent);
        for (uint32_t c = 0; c < SIM_CHANNELS_MAX; c++)
            for (uint32_t a = 0; a < SIM_DEVICES_MAX; a++)
                free(d->shelves[c][a].held);
    }
    for (uint32_t c = 0; c < SIM_CHANNELS_MAX; c++)
        for (uint32_t a = 0; a < SIM_DEVICES_MAX; a++)
            free(sim->chronicles[c][a].truth);
    pipe_free_all(sim);
    free(sim->heap);
    free(sim->scratch);
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
    sim->scratch = must_alloc(64 * 1024);
    build(sim);
    fault_plan(sim);
    run_until(sim, sim->faults_end);
    if (!sim->report.failed) fault_stop(sim);
    if (!sim->report.failed) settle(sim);
    tear_down(sim);
    *out_report = sim->report;
    free(sim);
    return out_report->failed ? ERR_CORRUPT : OK;
}
