/* What a world came to, in figures: for docs/performance.md, and to see what a change has done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* --- how long it takes after a partition --- */

static bool level(const struct sim *sim, const struct device *d)
{
    if (!honest(d) || !d->up) return true;
    for (size_t i = 0; i < sim->recovery.len; i++) {
        const struct chronicle *chronicle = &sim->chronicles[i];
        if (!honest(&sim->devices[chronicle->author]) || !is_member(d, chronicle->channel)) continue;
        const struct shelf *shelf = shelf_find(d, chronicle->channel, chronicle->author);
        if ((shelf ? shelf->shown : 0) < sim->recovery.targets[i]) return false;
    }
    return true;
}

static void recovery_event(struct sim *sim, uint32_t unused, uint32_t unused2, uint64_t since)
{
    struct recovery *recovery = &sim->recovery;
    (void)unused, (void)unused2;
    if (recovery->since != since || sim->partitioned) return;
    for (uint32_t k = 0; k < sim->devices_len; k++) { /* first who was not ready the last time */
        uint32_t i = (recovery->unsettled + k) % sim->devices_len;
        if (level(sim, &sim->devices[i])) continue;
        recovery->unsettled = i;
        schedule_at(sim, sim->now + 100 * MILLISECONDS, recovery_event, 0, 0, since);
        return;
    }
    usec time = sim->now - since;
    recovery->since = 0;
    sim->report.recoveries++;
    sim->report.recovery_sum_us += time;
    if (time > sim->report.recovery_max_us) sim->report.recovery_max_us = time;
}

void recovery_begin(struct sim *sim)
{
    struct recovery *recovery = &sim->recovery;
    free(recovery->targets);
    recovery->since = sim->now;
    recovery->len = sim->chronicles_len;
    recovery->targets = must_alloc(recovery->len * sizeof *recovery->targets + 1);
    for (size_t i = 0; i < recovery->len; i++)
        recovery->targets[i] = sim->chronicles[i].known;
    schedule_at(sim, sim->now + 100 * MILLISECONDS, recovery_event, 0, 0, sim->now);
}

/* --- the line --- */

void sim_figure(struct sim *sim, const char *name, uint64_t thousandths)
{
    struct sim_report *report = &sim->report;
    if (report->figures_len == SIM_FIGURES_MAX) return;
    report->figures[report->figures_len++] = (struct sim_figure){name, thousandths};
}

/* a / b in thousandths. */
static uint64_t ratio(uint64_t a, uint64_t b)
{
    return b ? (a * 1000 + b / 2) / b : 0;
}

static size_t collect(const struct sim_report *r, uint64_t cpu_us, struct sim_figure *out)
{
    uint64_t nodes = r->nodes ? r->nodes : 1;
    const struct sim_figure rows[] = {
        {"nodes", r->nodes * UINT64_C(1000)},
        {"entries", r->entries * 1000},
        {"deliveries", r->deliveries * 1000},
        {"events", r->events * 1000},
        {"events_per_s", ratio(r->events * 1000, cpu_us) * 1000},
        {"cpu_s", cpu_us / 1000},
        {"virtual_s", r->virtual_us / 1000},
        {"hops_mean", ratio(r->hops_sum, r->hops_count)},
        {"hops_max", r->hops_max * 1000},
        {"delay_mean_ms", ratio(r->delay_sum_us, r->hops_count * 1000)},
        {"delay_max_ms", r->delay_max_us},
        {"copies_per_entry", ratio(r->copies, r->fresh)},
        {"bytes_per_entry", ratio(r->copy_bytes, r->fresh)},
        {"bytes_per_node_s", ratio(r->busy_bytes * 1000 / nodes, r->busy_us / 1000)},
        {"idle_bytes_per_node_s", ratio(r->quiet_bytes * 1000 / nodes, r->quiet_us / 1000)},
        {"recovery_mean_s", r->recoveries ? r->recovery_sum_us / r->recoveries / 1000 : 0},
        {"recovery_max_s", r->recovery_max_us / 1000},
        {"converged_s", r->converged_us / 1000},
        {"memory_median_kb", r->memory_median},
        {"memory_peak_kb", r->memory_peak},
    };
    size_t len = sizeof rows / sizeof rows[0];
    memcpy(out, rows, sizeof rows);
    memcpy(out + len, r->figures, r->figures_len * sizeof *r->figures);
    return len + r->figures_len;
}

/* How many messages of each kind crossed links, by the numbers of docs/protocol/wire.md. */
static int print_messages(const struct sim_report *r, char *out, size_t room)
{
    int at = snprintf(out, room, ",\"messages\":{");
    const char *comma = "";
    for (int kind = 0; kind < SIM_KINDS && (size_t)at < room; kind++) {
        if (r->messages[kind] == 0) continue;
        at += snprintf(out + at, room - (size_t)at, "%s\"%d\":%llu", comma, kind,
                       (unsigned long long)r->messages[kind]);
        comma = ",";
    }
    if ((size_t)at < room) at += snprintf(out + at, room - (size_t)at, "}}");
    return at;
}

int sim_figures(const struct sim_options *options, const struct sim_report *report, uint64_t cpu_us,
                bool json, char *out, size_t room)
{
    struct sim_figure rows[SIM_FIGURES_MAX + 32];
    size_t len = collect(report, cpu_us, rows);
    const char *world = options->world ? options->world->name : sim_worlds[0].name;
    unsigned long long seed = options->seed;
    int at = json ? snprintf(out, room, "{\"world\":\"%s\",\"seed\":%llu,\"passed\":%s", world, seed,
                             report->failed ? "false" : "true")
                  : snprintf(out, room, "%s, seed %llu%s", world, seed, report->failed ? " FAILED" : "");
    for (size_t i = 0; i < len && (size_t)at < room; i++) {
        unsigned long long whole = rows[i].thousandths / 1000, rest = rows[i].thousandths % 1000;
        const char *head = json ? ",\"" : ", ", *middle = json ? "\":" : " ";
        at += snprintf(out + at, room - (size_t)at, "%s%s%s%llu", head, rows[i].name, middle, whole);
        if (rest && (size_t)at < room) at += snprintf(out + at, room - (size_t)at, ".%03llu", rest);
    }
    if (json && (size_t)at < room) at += print_messages(report, out + at, room - (size_t)at);
    return at;
}
