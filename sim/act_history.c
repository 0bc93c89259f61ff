/* History on demand: some persons open a channel so that old entries come only when they ask for them, and
 * now and then they do.
 *
 * What must hold: each question gets an answer within a minute, which counts no more entries than came; when
 * everybody else has everything, who has not asked shows at least the newest screenful; and by asking on,
 * he gets everything. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_HISTORY = 160, SCREEN = 60, ANSWER_SECONDS = 60, CALM_SECONDS = 45, WALK_PAUSE_SECONDS = 1 };

struct reader { /* one device in one channel */
    uint32_t device, channel;
    struct dice dice;
    bool asking;
    usec asked_at, asked_local; /* asked_local: by the device's clock */
    uint64_t token, came;       /* token 0: the command has not returned yet */
    bool answered;              /* before it did */
    uint64_t answer_token;
};

struct history {
    struct reader *readers;
    size_t len, cap;
    usec level_at; /* everybody else had everything; 0: not yet */
    bool walking;  /* all ask on until they have everything */
    uint64_t asked, answered, found;
};

static struct history *history_of(struct sim *sim)
{
    return *activity_state(sim, &activity_history);
}

static struct reader *reader_of(struct history *h, uint32_t device, uint32_t channel)
{
    for (size_t i = 0; i < h->len; i++)
        if (h->readers[i].device == device && h->readers[i].channel == channel) return &h->readers[i];
    return NULL;
}

/* --- asking --- */

static void overdue_event(struct sim *sim, uint32_t reader, uint32_t life, uint64_t asked_at)
{
    const struct reader *r = &history_of(sim)->readers[reader];
    struct device *d = &sim->devices[r->device];
    if (!d->up || d->life != life || !r->asking || r->asked_at != asked_at) return;
    usec patience = ANSWER_SECONDS * SECONDS, passed = device_clock(sim, d) - r->asked_local;
    if (passed < patience) /* his clock was set back: it stands still until the time has come */
        schedule_at(sim, sim->now + patience - passed, overdue_event, reader, life, asked_at);
    else
        sim_fail(sim, "device %u asked for history of channel %u and got no answer in %d s", r->device,
                 r->channel, ANSWER_SECONDS);
}

static void ask(struct sim *sim, struct reader *r, uint32_t count, uint64_t before_ms)
{
    struct history *h = history_of(sim);
    struct device *d = &sim->devices[r->device];
    if (!d->up || r->asking) return;
    struct command command = {.kind = COMMAND_HISTORY,
                              .channel = sim->channels[r->channel].id,
                              .count = count,
                              .before_ms = before_ms};
    r->asking = true;
    r->answered = false;
    r->asked_at = sim->now;
    r->asked_local = device_clock(sim, d);
    r->token = r->came = 0;
    int64_t rc = device_command(sim, d, &command);
    if (rc > 0) {
        h->asked++;
        r->token = (uint64_t)rc;
        if (r->answered && r->answer_token != r->token)
            sim_fail(sim, "device %u: HISTORY with another token than that of the question", r->device);
        if (r->answered) return;
        schedule_at(sim, sim->now + ANSWER_SECONDS * SECONDS, overdue_event, (uint32_t)(r - h->readers),
                    d->life, r->asked_at);
        return;
    }
    r->asking = false;
    if (rc == 0) sim_fail(sim, "device %u: COMMAND_HISTORY gave no token", r->device);
    if (rc < 0 && rc != ERR_NOT_FOUND && rc != ERR_BUSY && rc != ERR_MEMORY)
        sim_fail(sim, "device %u: COMMAND_HISTORY: %s", r->device, err_name((int)rc));
}

static void ask_event(struct sim *sim, uint32_t reader, uint32_t unused, uint64_t pause_us)
{
    struct history *h = history_of(sim);
    struct reader *r = &h->readers[reader];
    (void)unused;
    if (sim->calm) return;
    uint32_t count = (uint32_t)dice_between(&r->dice, 1, 100);
    uint64_t back_ms = dice_below(&r->dice, 60000);
    uint64_t before_ms = dice_chance(&r->dice, 500) ? 0 : sim->now / MILLISECONDS - back_ms;
    ask(sim, r, count, before_ms);
    usec pause = 1 + dice_below(&r->dice, 2 * pause_us);
    schedule_at(sim, sim->now + pause, ask_event, reader, 0, pause_us);
}

static void walk_event(struct sim *sim, uint32_t reader, uint32_t unused, uint64_t unused2)
{
    struct reader *r = &history_of(sim)->readers[reader];
    (void)unused, (void)unused2;
    if (check_holds_all(sim, &sim->devices[r->device], r->channel, NULL, 0)) return;
    ask(sim, r, 200, 0);
    schedule_at(sim, sim->now + WALK_PAUSE_SECONDS * SECONDS, walk_event, reader, 0, 0);
}

/* --- the activity --- */

static void history_plan(struct sim *sim)
{
    struct history *h = must_alloc(sizeof *h);
    *activity_state(sim, &activity_history) = h;
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        struct dice dice = dice_stream(sim->options.seed, STREAM_HISTORY, i);
        if (d->kind != DEVICE_PERSON) continue;
        for (uint32_t c = 0; c < sim->setup.channels; c++) {
            struct membership *m = membership_of(d, c);
            bool on_demand = dice_chance(&dice, 300);
            usec pause = dice_between(&dice, SECONDS, 20 * SECONDS);
            if (!m || !on_demand) continue;
            m->on_demand = true;
            h->readers = must_grow(h->readers, h->len, &h->cap, sizeof *h->readers);
            h->readers[h->len] = (struct reader){.device = i, .channel = c, .dice = dice};
            schedule_at(sim, sim->now + pause, ask_event, (uint32_t)h->len++, 0, pause);
        }
    }
}

static void history_stopped(struct sim *sim, struct device *d)
{
    struct history *h = history_of(sim);
    for (size_t i = 0; i < h->len; i++)
        if (h->readers[i].device == d->index) h->readers[i].asking = false;
}

static void on_answer(struct sim *sim, struct history *h, struct reader *r, const struct action *action)
{
    if (!r->asking || (r->token && r->token != action->token)) {
        sim_fail(sim, "device %u: HISTORY that nobody has asked for", r->device);
        return;
    }
    if (action->result != OK && action->result != ERR_NOT_FOUND && action->result != ERR_TIMEOUT)
        sim_fail(sim, "device %u: HISTORY ends with %s", r->device, err_name(action->result));
    if (action->seq > r->came)
        sim_fail(sim, "device %u: HISTORY says that %llu entries came, but it were %llu", r->device,
                 (unsigned long long)action->seq, (unsigned long long)r->came);
    r->asking = false;
    r->answered = true;
    r->answer_token = action->token;
    h->answered++;
    h->found += action->seq;
}

static void history_action(struct sim *sim, struct device *d, const struct action *action)
{
    const uint8_t *id = action->kind == ACTION_DELIVER ? action->entry.channel : action->channel;
    if (action->kind != ACTION_DELIVER && action->kind != ACTION_HISTORY) return;
    struct history *h = history_of(sim);
    uint32_t channel = id ? channel_of_id(sim, id) : UINT32_MAX;
    struct reader *r = reader_of(h, d->index, channel);
    if (action->kind == ACTION_DELIVER) {
        if (r) r->came++;
    } else if (r) {
        on_answer(sim, h, r, action);
    } else {
        sim_fail(sim, "device %u: HISTORY of a channel that it has not asked about", d->index);
    }
}

/* --- the end --- */

static int by_time(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? 1 : *x > *y ? -1 : 0;
}

/* The time of the SCREEN-th newest entry of the channel; 0 when there are fewer. */
static uint64_t screen_begins(const struct sim *sim, uint32_t channel)
{
    const struct sim_channel *c = &sim->channels[channel];
    uint64_t *times = NULL, begins = 0;
    size_t len = 0, cap = 0;
    for (size_t i = 0; i < c->chronicles_len; i++) {
        const struct chronicle *chronicle = &sim->chronicles[c->chronicles[i]];
        for (uint64_t k = 0; k < chronicle->known; k++) {
            times = must_grow(times, len, &cap, sizeof *times);
            times[len++] = chronicle->truth[k].time_ms;
        }
    }
    if (len >= SCREEN) {
        qsort(times, len, sizeof *times, by_time);
        begins = times[SCREEN - 1];
    }
    free(times);
    return begins;
}

static void check_screen(struct sim *sim, const struct reader *r)
{
    const struct sim_channel *c = &sim->channels[r->channel];
    const struct device *d = &sim->devices[r->device];
    uint64_t begins = screen_begins(sim, r->channel);
    for (size_t i = 0; i < c->chronicles_len; i++) {
        const struct chronicle *chronicle = &sim->chronicles[c->chronicles[i]];
        const struct shelf *shelf = shelf_find(d, r->channel, chronicle->author);
        if (!is_member(&sim->devices[chronicle->author], r->channel)) continue;
        for (uint64_t seq = 1; seq <= chronicle->known; seq++) {
            const struct held *held = held_find(shelf, seq);
            if (chronicle->truth[seq - 1].time_ms < begins || (held && held->shown)) continue;
            sim_fail(sim,
                     "device %u does not show entry %llu of author %u in channel %u, one of the newest %d",
                     r->device, (unsigned long long)seq, chronicle->author, r->channel, SCREEN);
        }
    }
}

/* The others have everything; a while later who has not asked shows a screenful, and all begin to ask. */
static bool history_converged(struct sim *sim, char *why, size_t room)
{
    struct history *h = history_of(sim);
    bool sure = !sim_has(sim, FAULT_CLOCK) && !sim_has(sim, FAULT_HOSTILE);
    if (h->level_at == 0) h->level_at = sim->now;
    if (why) snprintf(why, room, "history on demand is not yet asked for");
    if (h->len > 0 && sim->now < h->level_at + CALM_SECONDS * SECONDS) return false;
    for (size_t i = 0; i < h->len && !h->walking; i++) {
        if (sure && is_member(&sim->devices[h->readers[i].device], h->readers[i].channel))
            check_screen(sim, &h->readers[i]);
        schedule_at(sim, sim->now, walk_event, (uint32_t)i, 0, 0);
    }
    h->walking = true;
    for (size_t i = 0; i < h->len; i++) {
        const struct device *d = &sim->devices[h->readers[i].device];
        bool member = is_member(d, h->readers[i].channel);
        if (member && !check_holds_all(sim, d, h->readers[i].channel, why, room)) return false;
        if (h->readers[i].asking) return false;
    }
    return true;
}

static void history_end(struct sim *sim)
{
    struct history *h = history_of(sim);
    free(h->readers);
    free(h);
}

const struct activity activity_history = {
    .name = "history",
    .brief = "persons open channels on demand and ask for older entries",
    .chance = 300,
    .plan = history_plan,
    .stopped = history_stopped,
    .action = history_action,
    .converged = history_converged,
    .end = history_end,
};
