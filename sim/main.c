/* sim - runs worlds by seed and says what they came to. See sim.h and docs/testing.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/native.h"
#include "sham.h"
#include "shrink.h"
#include "sim.h"
#include "trace_file.h"
#include "worker.h"

static const char usage[] =
    "usage: sim [--seed N | --seeds A..B] [--nodes N] [--seconds N] [--messages N]\n"
    "           [--world NAME] [--shrink SECONDS] [--crypto real|sham] [--faults all|none|HEX] [--activities "
    "HEX] [--skip LIST]\n"
    "           [--fail D:N[+M]] [--trace D:FILE] [--figures] [--json] [--coverage] [--verbose]\n"
    "       sim --list | --replay FILE [--crypto real]\n"
    "Runs simulated worlds of devices and a tracker. A world that breaks a promise prints the command\n"
    "that shows it again. The last line is \"N passed, N failed\".\n"
    "  --world NAME   one of --list (default: mixed)\n"
    "  --seed N       one world (default: the seeds 1 to 200)\n"
    "  --nodes N      devices beside the tracker; by default the seed says\n"
    "  --seconds N    virtual time with faults; by default the seed says\n"
    "  --messages N   of the chat, at most; by default the seed says\n"
    "  --shrink N     makes the first world that fails smaller, for at most N seconds\n"
    "  --crypto KIND  sham (default): fast, no cryptography; real: libsodium and OpenSSL\n"
    "  --faults SET   which kinds of faults there may be, bits of enum fault in sim.h; with --seed: all of "
    "them at once\n"
    "  --activities HEX  what persons do, bits by the order of --list; these and no others\n"
    "  --skip LIST    faults that are left out, by their numbers in --verbose: 3,17,20-40\n"
    "  --fail D:N+M   the Nth allocation of device D fails, and M more (0 is the tracker)\n"
    "  --trace D:FILE what goes into the node of device D, for --replay; later lives in FILE.2 ...\n"
    "  --replay FILE  gives a trace to a node again: the same must come out\n"
    "  --jobs N       so many worlds at a time (default: 1)\n"
    "  --figures      a line of figures for each world; --json: as an object in a line\n"
    "  --coverage     how often each rare branch of the core was taken, and in how many worlds\n"
    "  --verbose      the whole story\n";

struct arguments {
    uint64_t first, last;
    struct sim_options options;
    bool real, verbose, figures, json, coverage;
    uint32_t jobs;
    uint32_t *skip;
    size_t skip_cap;
    const char *replay;
    uint32_t shrink_s;
    bool shrunk;
    struct trace_file trace;
};

static void tell(void *context, const char *line)
{
    fputs(line, context);
    fputc('\n', context);
}

static void put_trace(void *context, uint32_t life, slice piece)
{
    trace_file_put(context, life, piece);
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    return slice_to_u64(slice_text(text), max, out);
}

static bool parse_range(const char *text, struct arguments *a)
{
    slice rest = slice_text(text), first;
    if (!slice_split(&rest, '.', &first) || !slice_starts(rest, SLICE("."))) return false;
    rest = slice_sub(rest, 1, rest.len);
    return slice_to_u64(first, UINT64_MAX - 1, &a->first) && slice_to_u64(rest, UINT64_MAX - 1, &a->last) &&
           a->first <= a->last;
}

/* Numbers and ranges between commas. */
static bool parse_skip(const char *value, struct arguments *a)
{
    slice rest = slice_text(value), part;
    for (bool more = true; more; more = rest.len > 0) {
        uint64_t first, last;
        slice from, to;
        if (!slice_split(&rest, ',', &part) || !slice_split(&part, '-', &from)) return false;
        if (!slice_split(&part, '-', &to)) to = from;
        if (!slice_to_u64(from, 1000000, &first) || !slice_to_u64(to, 1000000, &last)) return false;
        for (uint64_t i = first; i <= last; i++) {
            a->skip = must_grow(a->skip, a->options.skip_len, &a->skip_cap, sizeof *a->skip);
            a->skip[a->options.skip_len++] = (uint32_t)i;
        }
    }
    a->options.skip = a->skip;
    return true;
}

/* D:N or D:N+M */
static bool parse_fail(slice value, struct sim_options *options)
{
    slice device, first;
    uint64_t index;
    if (!slice_split(&value, ':', &device) || !slice_split(&value, '+', &first)) return false;
    if (!slice_to_u64(device, SIM_NODES_MAX, &index)) return false;
    options->fail_device = (uint32_t)index;
    options->fail_more = 0;
    if (value.len > 0 && !slice_to_u64(value, 1000000, &options->fail_more)) return false;
    return slice_to_u64(first, UINT64_MAX - 1, &options->fail_at);
}

static bool parse_option(const char *name, const char *value, struct arguments *a)
{
    uint64_t n;
    if (strcmp(name, "--seed") == 0) {
        if (!number(value, UINT64_MAX - 1, &n)) return false;
        a->first = a->last = n;
    } else if (strcmp(name, "--seeds") == 0) {
        return parse_range(value, a);
    } else if (strcmp(name, "--nodes") == 0) {
        if (!number(value, SIM_NODES_MAX, &n) || n < 2) return false;
        a->options.nodes = (uint32_t)n;
    } else if (strcmp(name, "--seconds") == 0) {
        if (!number(value, 100000, &n) || n < 1) return false;
        a->options.seconds = (uint32_t)n;
    } else if (strcmp(name, "--messages") == 0) {
        if (!number(value, 1000000, &n) || n < 1) return false;
        a->options.messages = (uint32_t)n;
    } else if (strcmp(name, "--shrink") == 0) {
        if (!number(value, 100000, &n)) return false;
        a->shrink_s = (uint32_t)n;
    } else if (strcmp(name, "--fail") == 0) {
        return parse_fail(slice_text(value), &a->options);
    } else if (strcmp(name, "--world") == 0) {
        a->options.world = world_of_name(value);
        return a->options.world != NULL;
    } else if (strcmp(name, "--trace") == 0) {
        slice path = slice_text(value), device;
        uint64_t index;
        if (!slice_split(&path, ':', &device) || !slice_to_u64(device, SIM_NODES_MAX, &index)) return false;
        a->trace.path = (const char *)path.ptr;
        a->options.trace = put_trace;
        a->options.trace_device = (uint32_t)index;
        return path.len > 0;
    } else if (strcmp(name, "--replay") == 0) {
        a->replay = value;
    } else if (strcmp(name, "--jobs") == 0) {
        if (!number(value, JOBS_MAX, &n) || n < 1) return false;
        a->jobs = (uint32_t)n;
    } else if (strcmp(name, "--skip") == 0) {
        return parse_skip(value, a);
    } else if (strcmp(name, "--activities") == 0) {
        char *end;
        a->options.activities = (uint32_t)strtoul(value, &end, 16) & ((1u << sim_activities_len) - 1);
        a->options.force_activities = true;
    } else if (strcmp(name, "--crypto") == 0) {
        a->real = strcmp(value, "real") == 0;
        return a->real || strcmp(value, "sham") == 0;
    } else if (strcmp(name, "--faults") == 0) {
        char *end;
        if (strcmp(value, "all") == 0) {
            a->options.faults = FAULT_ALL;
        } else {
            a->options.faults =
                strcmp(value, "none") == 0 ? 0 : (uint32_t)strtoul(value, &end, 16) & FAULT_ALL;
            a->options.force = true;
        }
    } else {
        return false;
    }
    return true;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            a->verbose = true;
        } else if (strcmp(argv[i], "--figures") == 0) {
            a->figures = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            a->json = true;
        } else if (strcmp(argv[i], "--coverage") == 0) {
            a->coverage = true;
        } else if (i + 1 < argc && parse_option(argv[i], argv[i + 1], a)) {
            i++;
        } else {
            return false;
        }
    }
    return true;
}

static void print_skip(const struct sim_options *o)
{
    for (size_t i = 0, end; i < o->skip_len; i = end) {
        for (end = i + 1; end < o->skip_len && o->skip[end] == o->skip[end - 1] + 1;)
            end++;
        printf(i == 0 ? " --skip %u" : ",%u", o->skip[i]);
        if (end > i + 1) printf("-%u", o->skip[end - 1]);
    }
}

static void print_command(const char *program, const struct arguments *a, const struct sim_options *o)
{
    printf("  again: %s --seed %llu", program, (unsigned long long)o->seed);
    if (o->world) printf(" --world %s", o->world->name);
    if (o->force_activities) printf(" --activities %x", o->activities);
    if (o->nodes) printf(" --nodes %u", o->nodes);
    if (o->seconds) printf(" --seconds %u", o->seconds);
    if (o->messages) printf(" --messages %u", o->messages);
    print_skip(o);
    if (o->force) printf(" --faults %x", o->faults);
    if (o->fail_at) printf(" --fail %u:%llu", o->fail_device, (unsigned long long)o->fail_at);
    if (o->fail_more) printf("+%llu", (unsigned long long)o->fail_more);
    printf("%s --verbose\n", a->real ? " --crypto real" : "");
}

static void print_failure(const char *program, struct arguments *a, const struct sim_report *r)
{
    printf("FAILED: seed %llu: %s\n", (unsigned long long)a->options.seed, r->message);
    print_command(program, a, &a->options);
    fflush(stdout);
    if (a->shrink_s == 0 || a->shrunk) return;
    if (r->events == 0) return; /* it died: so would this process with a smaller one */
    struct sim_options smaller = a->options;
    struct sim_report report = *r;
    uint32_t tried = shrink(&smaller, &report, a->shrink_s);
    a->shrunk = true;
    printf("  after %u smaller worlds: %u devices, %u s, %u messages, %zu of %u faults: %s\n", tried,
           report.nodes, report.seconds, report.written, report.planned - smaller.skip_len, report.planned,
           report.message);
    print_command(program, a, &smaller);
}

static void print_list(void)
{
    for (size_t i = 0; i < sim_worlds_len; i++)
        printf("world %-14s %s\n", sim_worlds[i].name, sim_worlds[i].brief);
    for (size_t i = 0; i < sim_activities_len; i++)
        printf("activity %-11s %s (bit %x)\n", sim_activities[i]->name, sim_activities[i]->brief, 1u << i);
}

struct totals {
    uint64_t passed, failed, digest, entries, deliveries, events, peak;
    uint64_t probes[PROBES], worlds[PROBES]; /* how often each was reached, and in how many worlds */
};

/* What is to be said of one world. */
static void tell_outcome(const char *program, struct arguments *a, uint64_t seed, const struct outcome *out,
                         struct totals *totals)
{
    char line[2048];
    const struct sim_report *report = &out->report;
    a->options.seed = seed;
    if (report->failed) print_failure(program, a, report);
    if ((a->first == a->last || a->verbose) && !a->json) {
        sim_print(&a->options, report, line, sizeof line);
        printf("%s\n", line);
    }
    if (a->figures || a->json) {
        sim_figures(&a->options, report, out->cpu_us, a->json, line, sizeof line);
        printf("%s\n", line);
    }
    fflush(stdout);
    totals->passed += !report->failed;
    totals->failed += report->failed;
    totals->digest = dice_mix(totals->digest ^ report->digest);
    if (report->memory_peak > totals->peak) totals->peak = report->memory_peak;
    totals->entries += report->entries;
    totals->deliveries += report->deliveries;
    totals->events += report->events;
    for (int i = 0; i < PROBES; i++) {
        totals->probes[i] += report->probes[i];
        totals->worlds[i] += report->probes[i] > 0;
    }
}

/* scripts/sim --nightly adds these lines up. */
static void print_coverage(const struct totals *t)
{
    for (int i = 0; i < PROBES; i++)
        printf("probe %-22s %12llu times in %llu worlds\n", probe_name((enum probe)i),
               (unsigned long long)t->probes[i], (unsigned long long)t->worlds[i]);
}

/* One after the other in this process: to be looked at, or with a trace. */
static bool run_here(const char *program, struct arguments *a, struct totals *totals)
{
    struct outcome *outcome = must_alloc(sizeof *outcome);
    for (uint64_t seed = a->first; seed <= a->last; seed++) {
        a->options.seed = seed;
        outcome_of(&a->options, outcome);
        tell_outcome(program, a, seed, outcome, totals);
    }
    free(outcome);
    return true;
}

/* Worlds that are over and wait for one before them, so that they are told in the order of the seeds. */
enum { AHEAD_MAX = 256 };

struct ahead {
    bool here[AHEAD_MAX];
    struct outcome outcomes[AHEAD_MAX];
};

/* Some at a time, in processes beside this one. */
static bool run_apart(const char *program, struct arguments *a, struct totals *totals)
{
    struct sim_options options = a->options; /* a's own gets the seed that is being told */
    struct ahead *ahead = must_alloc(sizeof *ahead);
    struct crew crew;
    bool good = crew_init(&crew, &options, a->jobs);
    uint64_t given = 0, told = 0, count = a->last - a->first + 1;
    while (good && told < count) {
        while (given < count && given < told + AHEAD_MAX && crew_start(&crew, a->first + given))
            given++;
        const struct worker *w = crew_wait(&crew);
        good = w != NULL;
        if (!good) break;
        uint64_t at = w->seed - a->first;
        ahead->outcomes[at % AHEAD_MAX] = *w->outcome;
        ahead->here[at % AHEAD_MAX] = true;
        for (; ahead->here[told % AHEAD_MAX]; told++) {
            ahead->here[told % AHEAD_MAX] = false;
            tell_outcome(program, a, a->first + told, &ahead->outcomes[told % AHEAD_MAX], totals);
        }
    }
    crew_deinit(&crew);
    free(ahead);
    if (!good) fputs("sim: the system gives no more processes\n", stderr);
    return good;
}

static bool run_all(const char *program, struct arguments *a)
{
    typedef unsigned long long wide;
    struct totals t = {0};
    bool here = a->first == a->last || a->verbose || a->options.trace;
    bool good = here ? run_here(program, a, &t) : run_apart(program, a, &t);
    if (a->coverage) print_coverage(&t);
    printf("%llu entries, %llu deliveries, %llu events, at most %llu KB in one core, digest %016llx\n",
           (wide)t.entries, (wide)t.deliveries, (wide)t.events, (wide)t.peak / 1024, (wide)t.digest);
    printf("%llu passed, %llu failed\n", (wide)t.passed, (wide)t.failed);
    return good && t.failed == 0;
}

int main(int argc, char **argv)
{
    struct arguments a = {
        .first = 1, .last = 200, .jobs = 1, .options = {.faults = FAULT_ALL, .activities = UINT32_MAX}};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        print_list();
        return 0;
    }
    if (!parse(argc, argv, &a)) {
        fputs(usage, stderr);
        return 2;
    }
    if (a.real && crypto_native_start() != OK) {
        fputs("sim: libsodium does not start\n", stderr);
        return 1;
    }
    a.options.crypto = a.real ? crypto_native() : &crypto_sham;
    if (a.replay) return trace_file_replay(a.replay, a.options.crypto) ? 0 : 1;
    a.options.trace_context = &a.trace;
    if (a.verbose) a.options.tell = tell, a.options.context = stdout;
    bool good = run_all(argv[0], &a);
    trace_file_end(&a.trace);
    free(a.skip);
    return good ? 0 : 1;
}
