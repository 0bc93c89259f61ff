/* Sessions: persons ask each other for direct conversations, at bad moments and from several devices, answer
 * or not, write, end them and log out; some are friends, some are blocked.
 *
 * What must hold: nobody is asked by whom he has blocked or befriended; who is blocked never hears more than
 * silence; a text may be written exactly while a session is open (or to friends) and is shown only to who
 * agreed; nobody stays in a session with who has not been there for long; and in the end every request has
 * come to an end, and all devices of both sides say the same. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"

enum { STREAM_SESSION = 140, STREAM_TUNNEL = 141, TALKS_MAX = 6, TALK_DEVICES_MAX = 16 };

#define SILENCE_US (15 * SECONDS)
#define LONELY_US (SILENCE_US + 35 * SECONDS) /* later news are waited for */
#define ABSENCE_US (LONELY_US + 15 * SECONDS)
#define TUNNEL_US (SILENCE_US + 5 * SECONDS) /* at least; at most LONELY_US more */

/* What a device was told of a conversation. */
struct ear {
    uint32_t device;
    bool related; /* in this life it was told who is a friend and who is blocked */
    enum session_state state;
    enum session_reason reason;
    uint8_t id[NODE_SESSION_BYTES];
    usec alone_since; /* in this open session without the other side; 0: not so */
    bool storing;     /* what it has said of the session is not durable yet */
};

struct talk {
    uint32_t channel;
    char account[2][16];
    enum relation relation[2]; /* what the first thinks of the other, and the other of the first */
    uint8_t line[40];
    struct ear ears[TALK_DEVICES_MAX];
    uint32_t ears_len;
    bool opened;      /* somebody was told so */
    bool asked[2];    /* from this side */
    bool wrote[2];    /* a text, from this side */
    usec waits_until; /* the other side is away, and nobody does anything */
    bool tunnel;      /* one device was cut off */
    struct dice dice, tunnel_dice;
};

struct talks {
    struct talk talks[TALKS_MAX];
    uint32_t len;
    uint64_t asked, opened, ended;
};

static struct talks *talks_of(struct sim *sim)
{
    return *activity_state(sim, &activity_session);
}

static uint32_t side_of(const struct talk *t, const struct device *d)
{
    return strcmp(d->account, t->account[0]) == 0 ? 0 : 1;
}

static struct ear *ear_of(struct talk *t, const struct device *d)
{
    for (uint32_t i = 0; i < t->ears_len; i++)
        if (t->ears[i].device == d->index) return &t->ears[i];
    return NULL;
}

/* --- what persons do --- */

static bool acceptable(int64_t rc)
{
    return rc >= 0 || rc == ERR_BUSY || rc == ERR_NOT_FOUND || rc == ERR_WRONG_STATE || rc == ERR_EXISTS ||
           rc == ERR_MEMORY;
}

static void ask(struct sim *sim, struct talk *t, struct device *d)
{
    bool online = dice_chance(&t->dice, 700);
    uint32_t side = side_of(t, d);
    struct command command = {.kind = COMMAND_REQUEST,
                              .channel = sim->channels[t->channel].id,
                              .bytes = slice_of(t->line, sizeof t->line),
                              .online = online};
    int64_t rc = device_command(sim, d, &command);
    if (rc == ERR_DENIED && t->relation[side] == RELATION_BLOCKED) return;
    if (rc > 0) talks_of(sim)->asked++, t->asked[side] = true;
    if (!acceptable(rc)) sim_fail(sim, "device %u: COMMAND_REQUEST: %s", d->index, err_name((int)rc));
    if (rc > 0 && t->relation[side] == RELATION_BLOCKED)
        sim_fail(sim, "device %u: asks whom it has blocked", d->index);
}

static void answer(struct sim *sim, struct talk *t, struct device *d, struct ear *ear)
{
    struct command command = {.kind = COMMAND_ANSWER,
                              .channel = sim->channels[t->channel].id,
                              .session = ear->id,
                              .online = dice_chance(&t->dice, 700)};
    int64_t rc = device_command(sim, d, &command);
    if (!acceptable(rc)) sim_fail(sim, "device %u: COMMAND_ANSWER: %s", d->index, err_name((int)rc));
}

static void end(struct sim *sim, struct talk *t, struct device *d, struct ear *ear)
{
    struct command command = {.kind = dice_chance(&t->dice, 200) ? COMMAND_LOGOUT : COMMAND_END,
                              .channel = sim->channels[t->channel].id,
                              .session = ear->id};
    int64_t rc = device_command(sim, d, &command);
    if (!acceptable(rc)) sim_fail(sim, "device %u: ending a session: %s", d->index, err_name((int)rc));
}

static void write_text(struct sim *sim, struct talk *t, struct device *d, struct ear *ear)
{
    uint8_t body[64];
    struct writer w = writer_of(body, sizeof body);
    uint32_t side = side_of(t, d);
    bool may = t->relation[side] == RELATION_FRIEND ||
               (t->relation[side] == RELATION_NONE && ear->state == SESSION_OPEN);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(t->line, sizeof t->line));
    struct command command = {.kind = COMMAND_SEND,
                              .channel = sim->channels[t->channel].id,
                              .entry_kind = ENTRY_TEXT,
                              .bytes = writer_slice(&w)};
    int64_t rc =
        may ? device_send(sim, d, t->channel, ENTRY_TEXT, writer_slice(&w)) /* it must not be denied */
            : device_command(sim, d, &command);
    if (rc > 0) t->wrote[side] = true;
    if (rc > 0 && !may) sim_fail(sim, "device %u: writes without a session", d->index);
    if (rc != ERR_DENIED && !acceptable(rc))
        sim_fail(sim, "device %u: writing in a session: %s", d->index, err_name((int)rc));
}

static void act_event(struct sim *sim, uint32_t number, uint32_t unused, uint64_t pause_us)
{
    struct talk *t = &talks_of(sim)->talks[number];
    (void)unused;
    if (sim->now >= sim->faults_end || sim->report.failed) return;
    struct ear *ear = &t->ears[dice_below(&t->dice, t->ears_len)];
    struct device *d = &sim->devices[ear->device];
    uint64_t choice = dice_below(&t->dice, 1000);
    if (d->up && ear->related && membership_of(d, t->channel) && sim->now >= t->waits_until) {
        if (choice < 250)
            write_text(sim, t, d, ear);
        else if (ear->state == SESSION_ASKING && choice < 850)
            answer(sim, t, d, ear);
        else if (ear->state == SESSION_OPEN || ear->state == SESSION_ASKED)
            choice < 600 ? (void)0 : end(sim, t, d, ear);
        else
            ask(sim, t, d);
    }
    schedule_at(sim, sim->now + 1 + dice_below(&t->dice, 2 * pause_us), act_event, number, 0, pause_us);
}

/* One side is away for long, with all its devices, and does not say so; the other one waits. */
static void absence_event(struct sim *sim, uint32_t number, uint32_t side, uint64_t unused)
{
    struct talk *t = &talks_of(sim)->talks[number];
    (void)unused;
    t->waits_until = sim->now + ABSENCE_US;
    for (uint32_t i = 0; i < t->ears_len; i++) {
        struct device *d = &sim->devices[t->ears[i].device];
        if (side_of(t, d) == side) stop_for_a_while(sim, d, ABSENCE_US);
    }
}

static void word_event(struct sim *sim, uint32_t number, uint32_t ear, uint64_t unused)
{
    struct talk *t = &talks_of(sim)->talks[number];
    struct device *d = &sim->devices[t->ears[ear].device];
    (void)unused;
    if (d->up && t->ears[ear].related && sim->now < sim->faults_end) write_text(sim, t, d, &t->ears[ear]);
}

/* One device of somebody who has two of them in an open session is cut off from everybody, and the others may
 * go on: for it the session ends after a while, and is open again when it hears of that. */
static void consider_tunnel(struct sim *sim, uint32_t number, const struct ear *ear)
{
    struct talk *t = &talks_of(sim)->talks[number];
    struct device *d = &sim->devices[ear->device];
    usec duration = dice_between(&t->tunnel_dice, TUNNEL_US, TUNNEL_US + LONELY_US);
    usec word =
        duration - dice_below(&t->tunnel_dice, 5 * SECONDS) + dice_below(&t->tunnel_dice, 10 * SECONDS);
    bool comes = dice_chance(&t->tunnel_dice, 200);
    uint32_t goes_on = t->ears_len;
    if (!comes || t->tunnel || !d->up || ear->state != SESSION_OPEN) return;
    for (uint32_t i = 0; i < t->ears_len; i++) {
        const struct device *other = &sim->devices[t->ears[i].device];
        bool open = other->up && t->ears[i].state == SESSION_OPEN;
        if (other != d && side_of(t, other) == side_of(t, d) && open) goes_on = i;
    }
    if (goes_on == t->ears_len || sim->now + duration >= sim->faults_end) return;
    t->tunnel = true;
    cut_off_for_a_while(sim, d, duration);
    schedule_at(sim, sim->now + word, word_event, number, goes_on, 0);
}

/* Whether a device of the other side is linked to this one, or was named as one that can be reached: by the
 * tracker, whose word is old when nobody at all is linked. */
static bool other_is_there(struct sim *sim, const struct talk *t, const struct device *d)
{
    bool linked = false;
    for (size_t i = 0; i < d->known_len; i++)
        linked = linked || d->known[i].path != PATH_NONE;
    for (uint32_t i = 0; i < t->ears_len; i++) {
        const struct device *other = &sim->devices[t->ears[i].device];
        const struct acquaintance *known = acquaintance_find(d, other->index);
        if (side_of(t, other) == side_of(t, d) || !known) continue;
        if ((known->online && linked) || known->path != PATH_NONE) return true;
    }
    return false;
}

/* Every second: who is in a session with nobody? */
static void lonely_event(struct sim *sim, uint32_t number, uint32_t unused, uint64_t unused2)
{
    struct talk *t = &talks_of(sim)->talks[number];
    (void)unused, (void)unused2;
    if (sim->now >= sim->faults_end || sim->report.failed) return;
    for (uint32_t i = 0; i < t->ears_len; i++) {
        struct ear *ear = &t->ears[i];
        const struct device *d = &sim->devices[ear->device];
        consider_tunnel(sim, number, ear);
        /* An end that a failing disk does not take is tried again with growing pauses, up to a minute. */
        if (!d->up || ear->state != SESSION_OPEN || ear->storing || other_is_there(sim, t, d))
            ear->alone_since = 0;
        else if (ear->alone_since == 0)
            ear->alone_since = sim->now;
        else if (sim->now - ear->alone_since > LONELY_US)
            sim_fail(sim, "device %u: a session is still open %llu s after the other side was there",
                     d->index, (unsigned long long)((sim->now - ear->alone_since) / SECONDS));
    }
    schedule_at(sim, sim->now + SECONDS, lonely_event, number, 0, 0);
}

/* --- the set-up --- */

static void add_ears(struct sim *sim, struct talk *t)
{
    membership_add(sim, t->channel, &sim->devices[0], true);
    for (uint32_t i = 1; i < sim->devices_len && t->ears_len < TALK_DEVICES_MAX; i++) {
        struct device *d = &sim->devices[i];
        if (d->kind != DEVICE_PERSON) continue;
        if (strcmp(d->account, t->account[0]) != 0 && strcmp(d->account, t->account[1]) != 0) continue;
        membership_add(sim, t->channel, d, true);
        t->ears[t->ears_len++].device = i;
    }
}

static bool talk_new(struct sim *sim, struct talks *all, struct dice *dice)
{
    const struct device *a = &sim->devices[1 + dice_below(dice, sim->devices_len - 1)];
    const struct device *b = &sim->devices[1 + dice_below(dice, sim->devices_len - 1)];
    int order = strcmp(a->account, b->account);
    if (order == 0 || a->kind != DEVICE_PERSON || b->kind != DEVICE_PERSON) return false;
    if (order > 0) {
        const struct device *swap = a;
        a = b, b = swap;
    }
    struct channel_spec spec = {.type = CHANNEL_DIRECT,
                                .authority = sim->devices[0].id,
                                .account = slice_text(a->account),
                                .other = slice_text(b->account)};
    uint8_t id[ID_BYTES];
    if (channel_spec_id(sim->crypto, &spec, id) < 0 || channel_of_id(sim, id) != UINT32_MAX) return false;
    struct talk *t = &all->talks[all->len];
    snprintf(t->account[0], sizeof t->account[0], "%s", a->account);
    snprintf(t->account[1], sizeof t->account[1], "%s", b->account);
    for (int i = 0; i < 2; i++)
        t->relation[i] = dice_chance(dice, 200)   ? RELATION_FRIEND
                         : dice_chance(dice, 200) ? RELATION_BLOCKED
                                                  : RELATION_NONE;
    t->dice = dice_stream(sim->options.seed, STREAM_SESSION, 1 + all->len);
    t->tunnel_dice = dice_stream(sim->options.seed, STREAM_TUNNEL, all->len);
    for (size_t at = 0; at < sizeof t->line; at += SIM_WINDOW_BYTES)
        memcpy(t->line + at, check_mark, SIM_WINDOW_BYTES);
    dice_bytes(&t->dice, t->line + SIM_WINDOW_BYTES, 8);
    t->channel = sim_channel_add(sim, &spec, id);
    add_ears(sim, t);
    uint64_t pause = dice_between(&t->dice, 300 * MILLISECONDS, 8 * SECONDS);
    schedule_at(sim, sim->now + 3 * SECONDS + dice_below(&t->dice, pause), act_event, all->len, 0, pause);
    bool absence = dice_chance(&t->dice, 700);
    uint32_t side = (uint32_t)dice_below(&t->dice, 2);
    usec least = sim->now + 10 * SECONDS, most = sim->faults_end - ABSENCE_US;
    if (absence && least < most)
        schedule_at(sim, dice_between(&t->dice, least, most), absence_event, all->len, side, 0);
    if (!sim_has(sim, FAULT_CLOCK)) /* a clock that jumps back stands still for a while */
        schedule_at(sim, sim->now + SECONDS, lonely_event, all->len, 0, 0);
    all->len++;
    return true;
}

static void session_plan(struct sim *sim)
{
    struct talks *all = must_alloc(sizeof *all);
    struct dice dice = dice_stream(sim->options.seed, STREAM_SESSION, 0);
    *activity_state(sim, &activity_session) = all;
    uint64_t wanted = dice_between(&dice, 1, TALKS_MAX);
    for (int tries = 0; tries < 50 && all->len < wanted; tries++)
        (void)talk_new(sim, all, &dice);
}

static void session_configure(struct sim *sim, struct device *d, struct node_config *config)
{
    (void)sim, (void)d;
    config->session_answer_us = 10 * SECONDS;
    config->session_away_us = 40 * SECONDS;
    config->session_silence_us = SILENCE_US;
}

static void session_started(struct sim *sim, struct device *d)
{
    struct talks *all = talks_of(sim);
    for (uint32_t i = 0; i < all->len; i++) {
        struct talk *t = &all->talks[i];
        struct ear *ear = ear_of(t, d);
        if (!ear) continue;
        uint32_t side = side_of(t, d);
        struct command command = {.kind = COMMAND_RELATION,
                                  .bytes = slice_text(t->account[1 - side]),
                                  .relation = t->relation[side]};
        int64_t rc = device_command(sim, d, &command);
        ear->related = rc == 0;
        if (rc < 0 && rc != ERR_MEMORY)
            sim_fail(sim, "device %u: COMMAND_RELATION: %s", d->index, err_name((int)rc));
    }
}

static void session_stopped(struct sim *sim, struct device *d)
{
    struct talks *all = talks_of(sim);
    for (uint32_t i = 0; all && i < all->len; i++) { /* none: the world is over */
        struct ear *ear = ear_of(&all->talks[i], d);
        if (ear) *ear = (struct ear){.device = d->index};
    }
}

/* --- what must hold --- */

static struct talk *talk_of(struct sim *sim, const uint8_t *channel)
{
    struct talks *all = talks_of(sim);
    for (uint32_t i = 0; i < all->len; i++)
        if (memcmp(sim->channels[all->talks[i].channel].id, channel, ID_BYTES) == 0) return &all->talks[i];
    return NULL;
}

static void check_told(struct sim *sim, struct talk *t, struct device *d, const struct action *a)
{
    uint32_t side = side_of(t, d);
    bool live = a->state != SESSION_ENDED;
    if (!slice_equal(a->account, slice_text(t->account[1 - side])))
        sim_fail(sim, "device %u: SESSION with another account", d->index);
    if (a->state < SESSION_ASKED || a->state > SESSION_ENDED || live != (a->reason == REASON_NONE))
        sim_fail(sim, "device %u: SESSION in state %d for reason %d", d->index, a->state, a->reason);
    if (a->text.len && !slice_equal(a->text, slice_of(t->line, sizeof t->line)))
        sim_fail(sim, "device %u: SESSION with another line than was sent", d->index);
    struct ear *ear = ear_of(t, d);
    if (a->state == SESSION_ASKING && ear->related && t->relation[side] != RELATION_NONE)
        sim_fail(sim, "device %u: is asked by %s", d->index,
                 t->relation[side] == RELATION_BLOCKED ? "whom it has blocked" : "a friend");
    bool shunned = t->relation[1 - side] == RELATION_BLOCKED;
    if (shunned && (a->state == SESSION_OPEN || a->reason == REASON_DECLINED))
        sim_fail(sim, "device %u: hears from who has blocked it", d->index);
}

static void session_action(struct sim *sim, struct device *d, const struct action *a)
{
    if (a->kind == ACTION_SESSION) {
        struct talk *t = talk_of(sim, a->channel);
        struct ear *ear = t ? ear_of(t, d) : NULL;
        if (!ear) {
            sim_fail(sim, "device %u: SESSION where it has no conversation", d->index);
            return;
        }
        check_told(sim, t, d, a);
        ear->state = a->state;
        ear->reason = a->reason;
        ear->alone_since = 0;
        memcpy(ear->id, a->session, sizeof ear->id);
        if (a->state == SESSION_OPEN) t->opened = true, talks_of(sim)->opened++;
        if (a->state == SESSION_ENDED) talks_of(sim)->ended++;
        sim_tell(sim, "device %u: session %02x%02x in channel %u: state %d, reason %d", d->index,
                 a->session[0], a->session[1], t->channel, a->state, a->reason);
    }
    if (a->entry.kind == ENTRY_SESSION && (a->kind == ACTION_STORE || a->kind == ACTION_DELIVER)) {
        struct talk *t = talk_of(sim, a->entry.channel);
        struct ear *ear = t ? ear_of(t, d) : NULL;
        if (ear && device_of_id(sim, a->entry.author) == d->index) ear->storing = a->kind == ACTION_STORE;
    }
    if (a->kind != ACTION_DELIVER || a->entry.kind != ENTRY_TEXT) return;
    struct talk *t = talk_of(sim, a->entry.channel);
    struct ear *ear = t ? ear_of(t, d) : NULL;
    if (!ear || a->entry.locked || !ear->related) return;
    uint32_t side = side_of(t, d);
    if (slice_equal(a->entry.account, slice_text(d->account))) return;
    bool agreed =
        t->opened || (t->asked[0] && t->asked[1]) || t->wrote[side] || t->relation[side] == RELATION_FRIEND;
    if (t->relation[side] == RELATION_BLOCKED || !agreed)
        sim_fail(sim, "device %u: is shown a text that it has not agreed to", d->index);
}

/* Over, or never begun. */
static bool at_rest(const struct ear *ear)
{
    return ear->state == 0 || ear->state == SESSION_ENDED;
}

static bool session_converged(struct sim *sim, char *why, size_t room)
{
    struct talks *all = talks_of(sim);
    for (uint32_t i = 0; i < all->len; i++) {
        const struct talk *t = &all->talks[i];
        for (uint32_t k = 0; k < t->ears_len; k++) {
            const struct ear *first = &t->ears[0], *ear = &t->ears[k];
            bool waits = !at_rest(ear) && ear->state != SESSION_OPEN;
            bool same = at_rest(first) == at_rest(ear) &&
                        (at_rest(ear) || memcmp(first->id, ear->id, sizeof ear->id) == 0);
            if (!waits && same) continue;
            if (why)
                snprintf(why, room, "in channel %u device %u is told %d and device %u %d", t->channel,
                         first->device, first->state, ear->device, ear->state);
            return false;
        }
    }
    return true;
}

static void session_end(struct sim *sim)
{
    free(talks_of(sim));
    *activity_state(sim, &activity_session) = NULL;
}

const struct activity activity_session = {
    .name = "session",
    .brief = "persons ask each other for direct conversations, answer, end them, are friends or blocked",
    .chance = 250,
    .plan = session_plan,
    .configure = session_configure,
    .started = session_started,
    .stopped = session_stopped,
    .action = session_action,
    .converged = session_converged,
    .end = session_end,
};
