/* Sealed channels: private ones whose members come and go, and direct conversations. Who opens what is
 * checked from outside: at each message it is noted whom its author took for members (node_member). In the
 * end
 *   - all devices of members agree on the members, who follow from the MEMBER entries by their rule;
 *   - they show the same entries, whoever was removed meanwhile;
 *   - who was a member for an author who knew of all that was ever changed about him opens it on all devices;
 *   - who was none for an author who knew of every time that he was added, does not, even when it is handed
 *     the record;
 *   - the tracker opens nothing, and no text stands on any disk in clear.
 * And at once: nobody hands a key to a device whose account it does not take for a member, nor one from
 * before the account was added; and nobody takes an entry of who was never let in. In some private channels
 * one of the members breaks the rules (insider.c). */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "core/entry.h"

enum { STREAM_SEALED = 120, ROOMS_MAX = 3, ACCOUNTS_MAX = 12, SAYINGS_MAX = 4000, TEXT_BYTES = 40 };

static const uint8_t sealed_mark[SIM_WINDOW_BYTES] = {0x9d, 's', 'e', 'a', 'l', 'e', 'd', 0xe2};

/* MEMBER entries that were delivered to a device, by account. */
struct hearsay {
    uint16_t all[ACCOUNTS_MAX], added[ACCOUNTS_MAX];
    uint64_t keyed; /* the last of its own KEY entries that was looked at */
};

struct room {
    uint32_t channel, opener;
    bool direct;
    uint32_t accounts_len;
    char accounts[ACCOUNTS_MAX][16]; /* of all who are, or may become, members; [0] is the founder's */
    uint32_t writer;                 /* who has issued MEMBER commands; 0: nobody yet */
    bool writers;                    /* more than one has */
    uint32_t issued[ACCOUNTS_MAX];   /* MEMBER commands about it that were taken */
    uint32_t added[ACCOUNTS_MAX];    /* of them: additions */
    uint64_t first[ACCOUNTS_MAX];    /* the least first_epoch of an addition; UINT64_MAX: none */
    uint32_t final;                  /* bits: the members in the end */
    struct hearsay *heard;           /* by device */
};

struct saying {
    uint32_t room, author;
    uint64_t seq;         /* 0: not durable (yet) */
    uint32_t mask;        /* bits: whom the author took for members */
    struct hearsay heard; /* by the author, before */
};

struct sealed {
    struct dice dice;
    struct room rooms[ROOMS_MAX];
    uint32_t rooms_len;
    struct saying *sayings;
    size_t sayings_len, sayings_cap;
    uint64_t opened;
};

static struct sealed *sealed_of(struct sim *sim)
{
    return *activity_state(sim, &activity_sealed);
}

static uint32_t account_of(const struct room *room, const char *account)
{
    uint32_t a = 0;
    while (a < room->accounts_len && strcmp(room->accounts[a], account) != 0)
        a++;
    return a < room->accounts_len ? a : UINT32_MAX;
}

static struct room *room_of(struct sealed *s, uint32_t channel)
{
    for (uint32_t i = 0; i < s->rooms_len; i++)
        if (s->rooms[i].channel == channel) return &s->rooms[i];
    return NULL;
}

/* --- what persons do --- */

static void open_event(struct sim *sim, uint32_t device, uint32_t room, uint64_t unused)
{
    struct sealed *s = sealed_of(sim);
    struct device *d = &sim->devices[device];
    (void)unused;
    if (!d->up) return; /* it opens it when it starts */
    struct command command = {.kind = COMMAND_OPEN, .spec = &sim->channels[s->rooms[room].channel].spec};
    int64_t rc = d->certificate_len > 0 ? device_command(sim, d, &command) : ERR_WRONG_STATE;
    if (rc >= 0 || sim->report.failed) return;
    if (rc != ERR_WRONG_STATE && rc != ERR_BUSY && rc != ERR_MEMORY)
        sim_fail(sim, "device %u: COMMAND_OPEN: %s", device, err_name((int)rc));
    schedule_at(sim, sim->now + SECONDS, open_event, device, room, 0);
}

static void relate_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t unused)
{
    struct sealed *s = sealed_of(sim);
    struct device *d = &sim->devices[device];
    (void)unused;
    if (!d->up || d->life != life) return;
    for (uint32_t i = 0; i < s->rooms_len; i++) {
        const struct room *room = &s->rooms[i];
        uint32_t a = account_of(room, d->account);
        if (!room->direct || a == UINT32_MAX) continue;
        struct command command = {.kind = COMMAND_RELATION,
                                  .bytes = slice_text(room->accounts[1 - a]),
                                  .relation = RELATION_FRIEND};
        int64_t rc = device_command(sim, d, &command);
        if (rc == ERR_MEMORY)
            schedule_at(sim, sim->now + SECONDS, relate_event, device, life, 0);
        else if (rc < 0)
            sim_fail(sim, "device %u: COMMAND_RELATION: %s", device, err_name((int)rc));
    }
}

/* The tracker tells a device of another one of somebody in its room. */
static void name_event(struct sim *sim, uint32_t device, uint32_t other, uint64_t unused)
{
    struct device *d = &sim->devices[device], *named = &sim->devices[other];
    (void)unused;
    if (!d->up || named->certificate_len == 0 || sim->now >= sim->faults_end) return;
    struct command command = {.kind = COMMAND_DEVICE,
                              .bytes = slice_of(named->certificate, named->certificate_len)};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0 && rc != ERR_MEMORY) sim_fail(sim, "device %u: COMMAND_DEVICE: %s", device, err_name((int)rc));
}

static void member_event(struct sim *sim, uint32_t device, uint32_t room_index, uint64_t unused)
{
    struct sealed *s = sealed_of(sim);
    struct room *room = &s->rooms[room_index];
    struct device *d = &sim->devices[device];
    (void)unused;
    if (sim->now >= sim->faults_end || room->accounts_len < 2) return;
    usec pause = dice_between(&s->dice, SECONDS, 20 * SECONDS);
    schedule_at(sim, sim->now + pause, member_event, device, room_index, 0);
    uint32_t a = 1 + (uint32_t)dice_below(&s->dice, room->accounts_len - 1);
    bool on = dice_chance(&s->dice, 650);
    if (!d->up) return;
    struct command command = {.kind = COMMAND_MEMBER,
                              .channel = sim->channels[room->channel].id,
                              .bytes = slice_text(room->accounts[a]),
                              .online = on};
    /* Before: with the answer may come the actions of others. */
    room->issued[a]++;
    room->added[a] += on;
    int64_t rc = device_command(sim, d, &command);
    if (rc > 0) {
        room->writers = room->writers || (room->writer > 0 && room->writer != device);
        room->writer = device;
        return;
    }
    room->issued[a]--;
    room->added[a] -= on;
    if (rc < 0 && rc != ERR_NOT_FOUND && rc != ERR_WRONG_STATE && rc != ERR_BUSY && rc != ERR_MEMORY &&
        rc != ERR_DENIED)
        sim_fail(sim, "device %u: COMMAND_MEMBER: %s", device, err_name((int)rc));
}

/* Whom this device takes for members. */
static uint32_t members_at(const struct sim *sim, const struct device *d, const struct room *room)
{
    uint32_t mask = 0;
    slice account;
    for (uint32_t row = 0; node_member(d->node, sim->channels[room->channel].id, row, &account); row++)
        for (uint32_t a = 0; a < room->accounts_len; a++)
            if (slice_equal(account, slice_text(room->accounts[a]))) mask |= 1u << a;
    return mask;
}

static void say(struct sim *sim, struct sealed *s, struct device *d, uint32_t room_index)
{
    const struct room *room = &s->rooms[room_index];
    uint8_t text[TEXT_BYTES], body[TEXT_BYTES + 8];
    if (s->sayings_len >= SAYINGS_MAX) return;
    dice_bytes(&s->dice, text, sizeof text);
    memcpy(text, sealed_mark, SIM_WINDOW_BYTES);
    for (uint32_t i = 0; i < 4; i++)
        text[SIM_WINDOW_BYTES + i] = (uint8_t)(s->sayings_len >> 8 * i);
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(text, sizeof text));
    s->sayings = must_grow(s->sayings, s->sayings_len, &s->sayings_cap, sizeof *s->sayings);
    struct saying *saying = &s->sayings[s->sayings_len++];
    *saying = (struct saying){.room = room_index, .author = d->index, .mask = members_at(sim, d, room)};
    saying->heard = room->heard[d->index];
    (void)device_send(sim, d, room->channel, ENTRY_TEXT, writer_slice(&w));
}

static void say_event(struct sim *sim, uint32_t device, uint32_t room, uint64_t pause_us)
{
    struct sealed *s = sealed_of(sim);
    struct device *d = &sim->devices[device];
    if (sim->now >= sim->faults_end) return;
    if (d->up) say(sim, s, d, room);
    schedule_at(sim, sim->now + 1 + dice_below(&s->dice, 2 * pause_us), say_event, device, room, pause_us);
}

/* --- the plan --- */

static uint32_t some_person(struct sim *sim, struct sealed *s)
{
    for (int i = 0; i < 100; i++) {
        uint32_t device = 1 + (uint32_t)dice_below(&s->dice, sim->devices_len - 1);
        if (sim->devices[device].kind == DEVICE_PERSON) return device;
    }
    return 0;
}

static void invite(struct room *room, const char *account)
{
    if (account_of(room, account) != UINT32_MAX || room->accounts_len == ACCOUNTS_MAX) return;
    snprintf(room->accounts[room->accounts_len++], sizeof room->accounts[0], "%s", account);
}

static void plan_person(struct sim *sim, struct sealed *s, uint32_t room_index, struct device *d)
{
    struct room *room = &s->rooms[room_index];
    uint32_t a = account_of(room, d->account);
    if (d->kind != DEVICE_PERSON || a == UINT32_MAX) return;
    struct membership *m = membership_add(sim, room->channel, d, false);
    m->member = room->direct || a == 0;
    usec pause = dice_between(&s->dice, SECONDS, 15 * SECONDS);
    if (dice_chance(&s->dice, 800))
        schedule_at(sim, sim->now + dice_below(&s->dice, 2 * pause), say_event, d->index, room_index, pause);
    if (a == 0 && !room->direct && (d->index == room->opener || dice_chance(&s->dice, 500)))
        schedule_at(sim, sim->now + dice_between(&s->dice, SECONDS, 20 * SECONDS), member_event, d->index,
                    room_index, 0);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t other = some_person(sim, s);
        usec at = sim->now + dice_below(&s->dice, sim->faults_end - sim->now);
        if (other > 0) schedule_at(sim, at, name_event, d->index, other, 0);
    }
}

/* One of those who break the rules may be let in. */
static void plan_insider(struct sim *sim, struct sealed *s, struct room *room)
{
    bool wanted = dice_chance(&s->dice, 800);
    if (!wanted || room->direct || sim->setup.hostile == 0) return;
    struct device *d = &sim->devices[1 + sim->setup.persons + dice_below(&s->dice, sim->setup.hostile)];
    if (d->expired) return; /* nobody would take it for the account */
    invite(room, d->account);
    if (account_of(room, d->account) != UINT32_MAX) (void)membership_add(sim, room->channel, d, false);
}

static void plan_room(struct sim *sim, struct sealed *s, bool direct)
{
    struct room *room = &s->rooms[s->rooms_len];
    uint8_t id[ID_BYTES], nonce[NODE_NONCE_BYTES];
    uint32_t opener = some_person(sim, s), wanted = (uint32_t)dice_between(&s->dice, 2, ACCOUNTS_MAX);
    if (opener == 0) return;
    *room = (struct room){.opener = opener, .direct = direct};
    for (uint32_t a = 0; a < ACCOUNTS_MAX; a++)
        room->first[a] = UINT64_MAX;
    invite(room, sim->devices[opener].account);
    for (uint32_t i = 0; i < 40 && room->accounts_len < (direct ? 2 : wanted); i++) {
        uint32_t guest = some_person(sim, s);
        if (guest > 0) invite(room, sim->devices[guest].account);
    }
    if (direct && room->accounts_len < 2) return;
    dice_bytes(&s->dice, nonce, sizeof nonce);
    struct channel_spec spec = {.type = direct ? CHANNEL_DIRECT : CHANNEL_PRIVATE,
                                .authority = sim->devices[0].id,
                                .founder = sim->devices[opener].id,
                                .nonce = nonce};
    if (direct) {
        spec.account = slice_text(room->accounts[0]);
        spec.other = slice_text(room->accounts[1]);
    }
    int rc = channel_spec_id(sim->crypto, &spec, id);
    if (rc != OK) sim_fail(sim, "channel_spec_id: %s", err_name(rc));
    if (channel_of_id(sim, id) != UINT32_MAX) return; /* another room of the same two */
    if (direct) spec.founder = spec.nonce = NULL;
    room->heard = must_alloc(sim->devices_len * sizeof *room->heard);
    room->channel = sim_channel_add(sim, &spec, id);
    (void)membership_add(sim, room->channel, &sim->devices[0], false);
    s->rooms_len++;
    for (uint32_t i = 1; i < sim->devices_len; i++)
        plan_person(sim, s, s->rooms_len - 1, &sim->devices[i]);
    plan_insider(sim, s, room);
}

static void sealed_plan(struct sim *sim)
{
    struct sealed *s = must_alloc(sizeof *s);
    *activity_state(sim, &activity_sealed) = s;
    s->dice = dice_stream(sim->options.seed, STREAM_SEALED, 0);
    bool both = dice_chance(&s->dice, 500), direct = dice_chance(&s->dice, 500);
    if (both || !direct) plan_room(sim, s, false);
    if (both || direct) plan_room(sim, s, true);
    if (both && dice_chance(&s->dice, 500)) plan_room(sim, s, true);
}

static void sealed_started(struct sim *sim, struct device *d)
{
    struct sealed *s = sealed_of(sim);
    if (d->kind != DEVICE_PERSON) return;
    schedule_at(sim, sim->now, relate_event, d->index, d->life, 0);
    for (uint32_t i = 0; i < s->rooms_len; i++)
        if (s->rooms[i].opener == d->index) schedule_at(sim, sim->now + 1, open_event, d->index, i, 0);
}

/* --- the checks --- */

static bool marked(slice bytes)
{
    for (size_t i = 0; i + SIM_WINDOW_BYTES <= bytes.len; i++)
        if (memcmp(bytes.ptr + i, sealed_mark, SIM_WINDOW_BYTES) == 0) return true;
    return false;
}

/* The saying in a body that was opened; NULL for none of ours. */
static struct saying *saying_of(struct sealed *s, slice body)
{
    struct cbor_reader r = {body, false};
    (void)cbor_array(&r, 1);
    const uint8_t *text = cbor_fixed(&r, TEXT_BYTES);
    uint32_t index = 0;
    if (!text || memcmp(text, sealed_mark, SIM_WINDOW_BYTES) != 0) return NULL;
    for (uint32_t i = 4; i-- > 0;)
        index = index << 8 | text[SIM_WINDOW_BYTES + i];
    return index < s->sayings_len ? &s->sayings[index] : NULL;
}

/* One MEMBER entry, by the rule of docs/protocol/wire.md. */
struct word {
    bool known, on;
    uint64_t number, time_ms, seq;
    uint8_t author[ID_BYTES];
};

static bool is_later(const struct word *a, const struct word *b)
{
    if (!b->known || a->number != b->number) return !b->known || a->number > b->number;
    if (a->time_ms != b->time_ms) return a->time_ms > b->time_ms;
    int order = memcmp(a->author, b->author, ID_BYTES);
    return order != 0 ? order > 0 : a->seq > b->seq;
}

static void read_word(const struct room *room, slice record, struct word *words)
{
    enum record_kind kind;
    slice wire;
    struct arrival arrival;
    struct channel_record unused;
    struct entry e;
    if (record_parse(record, &kind, &wire, &arrival, &unused) < 0 || entry_parse(wire, &e) < 0) return;
    if (e.kind != ENTRY_MEMBER) return;
    struct cbor_reader r = {e.body, false};
    (void)cbor_array(&r, 16);
    slice account = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    struct word word = {.known = true, .on = cbor_uint(&r, 1) == 1, .time_ms = e.time_ms, .seq = e.seq};
    word.number = cbor_uint(&r, UINT32_MAX);
    memcpy(word.author, e.author, ID_BYTES);
    for (uint32_t a = 1; a < room->accounts_len; a++)
        if (slice_equal(account, slice_text(room->accounts[a])) && is_later(&word, &words[a]))
            words[a] = word;
}

/* The members, by the MEMBER entries that the founder's device holds. */
static uint32_t members_by_rule(struct sim *sim, const struct room *room)
{
    struct word words[ACCOUNTS_MAX] = {{0}};
    const struct device *founder = &sim->devices[room->opener];
    uint32_t mask = 1;
    if (room->direct) return 3;
    for (size_t i = 0; i < founder->shelves_len; i++) {
        const struct shelf *shelf = &founder->shelves[i];
        if (shelf->channel != room->channel ||
            strcmp(sim->devices[shelf->author].account, room->accounts[0]) != 0)
            continue;
        for (uint64_t seq = 1; seq <= shelf->len; seq++)
            if (shelf->held[seq - 1].shown) read_word(room, held_record(sim, shelf, seq), words);
    }
    for (uint32_t a = 1; a < room->accounts_len; a++)
        if (words[a].on) mask |= 1u << a;
    return mask;
}

/* Whoever is a member in the end is to hold everything. False when that has changed. */
static bool set_members(struct sim *sim, struct room *room)
{
    const struct sim_channel *c = &sim->channels[room->channel];
    bool same = true;
    room->final = members_by_rule(sim, room);
    for (size_t i = 0; i < c->members_len; i++) {
        struct device *d = &sim->devices[c->members[i]];
        uint32_t a = account_of(room, d->account);
        if (d->kind != DEVICE_PERSON || a == UINT32_MAX) continue;
        struct membership *m = membership_of(d, room->channel);
        bool member = room->final >> a & 1;
        same = same && m->member == member;
        m->member = member;
    }
    return same;
}

/* A MEMBER entry on its way to its author's disk, before anybody else can have it: [account, on, number,
 * certificate, first_epoch, ...]. */
static void note_first(struct room *room, slice body)
{
    struct cbor_reader r = {body, false};
    (void)cbor_array(&r, 16);
    slice account = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    bool on = cbor_uint(&r, 1) == 1;
    cbor_skip(&r, 2);
    uint64_t first = cbor_uint(&r, UINT32_MAX);
    for (uint32_t a = 0; a < room->accounts_len && on && !r.failed; a++)
        if (slice_equal(account, slice_text(room->accounts[a])) && first < room->first[a])
            room->first[a] = first;
}

/* Somebody was added or removed, as this device hears. */
static void hear(struct room *room, const struct device *d, slice body)
{
    struct cbor_reader r = {body, false};
    (void)cbor_array(&r, 16);
    slice account = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    bool on = cbor_uint(&r, 1) == 1;
    for (uint32_t a = 0; a < room->accounts_len; a++) {
        if (!slice_equal(account, slice_text(room->accounts[a]))) continue;
        room->heard[d->index].all[a]++;
        room->heard[d->index].added[a] += on;
    }
}

/* A KEY entry of its own on its way to the disk: [id, number, roster, created, salt, ephemeral, [device, box
 * ...]]. One that is written again, after the disk has failed, was right when it was made. */
static void check_keys(struct sim *sim, const struct room *room, struct device *d, const struct entry_view *e)
{
    struct hearsay *heard = &room->heard[d->index];
    struct cbor_reader r = {e->body, false};
    uint32_t members = members_at(sim, d, room);
    if (e->seq <= heard->keyed || e->withdrawn) return; /* of a device whose account was removed meanwhile */
    heard->keyed = e->seq;
    (void)cbor_array(&r, 32);
    cbor_skip(&r, 1);
    uint64_t number = cbor_uint(&r, UINT32_MAX);
    cbor_skip(&r, 4);
    uint64_t items = cbor_array(&r, 2048);
    for (uint64_t i = 0; i < items && !r.failed; i += 2) {
        const uint8_t *device = cbor_fixed(&r, ID_BYTES);
        uint32_t other = r.failed ? UINT32_MAX : device_of_id(sim, device);
        cbor_skip(&r, 1);
        uint32_t a = other == UINT32_MAX ? UINT32_MAX : account_of(room, sim->devices[other].account);
        if (a == UINT32_MAX || !(members >> a & 1))
            sim_fail(sim, "device %u hands a key of channel %u to device %u, which it takes for nobody's",
                     d->index, room->channel, other);
        else if (a > 0 && !room->direct && number < room->first[a] &&
                 strcmp(room->accounts[a], d->account) != 0)
            sim_fail(
                sim,
                "device %u hands device %u the key of epoch %llu, from before it was added to channel %u",
                d->index, other, (unsigned long long)number, room->channel);
    }
    if (r.failed) sim_fail(sim, "device %u: a KEY entry that cannot be read", d->index);
}

static void sealed_action(struct sim *sim, struct device *d, const struct action *action)
{
    struct sealed *s = sealed_of(sim);
    const struct entry_view *e = &action->entry;
    if (action->kind == ACTION_STORE && marked(action->record))
        sim_fail(sim, "device %u: what was said in a sealed channel is stored in clear", d->index);
    if (action->kind != ACTION_DELIVER && action->kind != ACTION_STORE) return;
    uint32_t channel = channel_of_id(sim, e->channel);
    struct room *room = room_of(s, channel);
    if (action->kind == ACTION_STORE) {
        if (!room || !e->author) return;
        uint32_t author = device_of_id(sim, e->author);
        if (author == UINT32_MAX || account_of(room, sim->devices[author].account) == UINT32_MAX)
            sim_fail(sim, "device %u takes an entry of device %u, which is not in channel %u", d->index,
                     author, channel);
        /* A removal may have come since it was written: then nothing of it is shown. */
        if (author == d->index && e->kind == ENTRY_KEY && !e->withdrawn) check_keys(sim, room, d, e);
        if (author == d->index && e->kind == ENTRY_MEMBER) note_first(room, e->body);
        return;
    }
    if (room && e->kind == ENTRY_MEMBER) hear(room, d, e->body);
    if (room && e->kind == ENTRY_MEMBER && d->index == room->opener && sim->calm)
        (void)set_members(sim, room);
    if (!room || e->kind != ENTRY_TEXT || e->locked) return;
    if (d->kind == DEVICE_TRACKER)
        sim_fail(sim, "the tracker reads seq %llu in channel %u", (unsigned long long)e->seq, channel);
    struct saying *saying = saying_of(s, e->body);
    if (!saying) {
        if (!e->withdrawn) sim_fail(sim, "device %u: a text that nobody has said", d->index);
        return;
    }
    s->opened++;
    if (saying->author == device_of_id(sim, e->author)) saying->seq = e->seq;
}

/* How the device shows an entry that it holds; false when it holds none, or it does not count. */
static bool shows(struct sim *sim, struct device *d, const struct room *room, uint32_t author, uint64_t seq,
                  bool *out_locked)
{
    struct entry_view view;
    const struct shelf *shelf = shelf_find(d, room->channel, author);
    const struct held *held = held_find(shelf, seq);
    if (!held || !held->shown) return false;
    if (node_view(d->node, held_record(sim, shelf, seq), &view) < 0) return false;
    *out_locked = view.locked;
    return !view.withdrawn;
}

/* By chronicle and number: what the founder shows of the channel. To be freed. */
static bool *founder_shows(struct sim *sim, const struct room *room)
{
    const struct sim_channel *c = &sim->channels[room->channel];
    struct device *founder = &sim->devices[room->opener];
    size_t len = 0, at = 0;
    for (size_t i = 0; i < c->chronicles_len; i++)
        len += sim->chronicles[c->chronicles[i]].len;
    bool *shown = must_alloc(len + 1), unused;
    for (size_t i = 0; i < c->chronicles_len; i++) {
        const struct chronicle *chronicle = &sim->chronicles[c->chronicles[i]];
        for (uint64_t seq = 1; seq <= chronicle->len; seq++)
            shown[at++] = shows(sim, founder, room, chronicle->author, seq, &unused);
    }
    return shown;
}

static bool device_agrees(struct sim *sim, struct device *d, const struct room *room, const bool *shown,
                          char *why, size_t room_len)
{
    const struct sim_channel *c = &sim->channels[room->channel];
    if (members_at(sim, d, room) != room->final) {
        if (why)
            snprintf(why, room_len, "device %u takes %x for members of channel %u, not %x", d->index,
                     members_at(sim, d, room), room->channel, room->final);
        return false;
    }
    for (size_t i = 0; i < c->chronicles_len && d->index != room->opener; i++) {
        const struct chronicle *chronicle = &sim->chronicles[c->chronicles[i]];
        for (uint64_t seq = 1; seq <= chronicle->len; seq++) {
            bool unused, ours = shows(sim, d, room, chronicle->author, seq, &unused);
            if (ours == *shown++) continue;
            if (why)
                snprintf(why, room_len,
                         "device %u %s entry %llu of author %u in channel %u, device %u does not agree",
                         d->index, ours ? "shows" : "does not show", (unsigned long long)seq,
                         chronicle->author, room->channel, room->opener);
            return false;
        }
    }
    return true;
}

/* Everybody for whom it was said, and about whom nothing else was said by then or since, opens it. */
static bool opens(struct sim *sim, struct sealed *s, struct device *d, const struct room *room, char *why,
                  size_t room_len)
{
    uint32_t a = account_of(room, d->account);
    for (size_t i = 0; i < s->sayings_len; i++) {
        const struct saying *saying = &s->sayings[i];
        uint32_t theirs = account_of(room, sim->devices[saying->author].account);
        bool locked = false;
        if (&s->rooms[saying->room] != room || saying->seq == 0) continue;
        if (!(saying->mask >> a & 1) || saying->heard.all[a] != room->issued[a]) continue;
        if (!(room->final >> theirs & 1)) continue;
        if (!shows(sim, d, room, saying->author, saying->seq, &locked) || !locked) continue;
        if (why)
            snprintf(why, room_len, "device %u cannot open entry %llu of author %u in channel %u", d->index,
                     (unsigned long long)saying->seq, saying->author, room->channel);
        return false;
    }
    return true;
}

static bool room_converged(struct sim *sim, struct sealed *s, struct room *room, char *why, size_t room_len)
{
    const struct sim_channel *c = &sim->channels[room->channel];
    if (!set_members(sim, room)) {
        if (why) snprintf(why, room_len, "the members of channel %u changed", room->channel);
        return false;
    }
    if (c->chronicles_len == 0) return true; /* nobody ever came */
    bool *shown = founder_shows(sim, room), same = true;
    for (size_t i = 0; i < c->members_len && same; i++) {
        struct device *d = &sim->devices[c->members[i]];
        if (d->kind != DEVICE_PERSON || !is_member(d, room->channel)) continue;
        same = device_agrees(sim, d, room, shown, why, room_len) && opens(sim, s, d, room, why, room_len);
    }
    free(shown);
    return same;
}

static bool sealed_converged(struct sim *sim, char *why, size_t room)
{
    struct sealed *s = sealed_of(sim);
    for (uint32_t i = 0; i < s->rooms_len; i++)
        if (!room_converged(sim, s, &s->rooms[i], why, room)) return false;
    return true;
}

/* Who is not to read it is handed the record, and cannot. */
static void check_shut(struct sim *sim, const struct room *room, const struct saying *saying, slice record)
{
    struct entry_view view;
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        uint32_t a = account_of(room, d->account);
        if (!honest(d) || !d->up) continue;
        /* Of changes that two devices make at one time one may be known without the other. */
        bool out = d->kind == DEVICE_TRACKER || a == UINT32_MAX ||
                   (!room->writers && !(saying->mask >> a & 1) && !(room->final >> a & 1) &&
                    saying->heard.added[a] == room->added[a]);
        if (!out || node_view(d->node, record, &view) < 0) continue;
        if (!view.locked && !view.withdrawn)
            sim_fail(sim, "device %u opens entry %llu of author %u in channel %u, which is not for it", i,
                     (unsigned long long)saying->seq, saying->author, room->channel);
    }
}

static void sealed_end(struct sim *sim)
{
    struct sealed *s = sealed_of(sim);
    for (size_t i = 0; i < s->sayings_len && !sim->report.failed; i++) {
        const struct saying *saying = &s->sayings[i];
        const struct room *room = &s->rooms[saying->room];
        const struct shelf *shelf = shelf_find(&sim->devices[saying->author], room->channel, saying->author);
        const struct held *held = held_find(shelf, saying->seq);
        if (held && held->shown) check_shut(sim, room, saying, held_record(sim, shelf, saying->seq));
    }
    digest_number(sim, s->opened);
    for (uint32_t i = 0; i < s->rooms_len; i++)
        free(s->rooms[i].heard);
    free(s->sayings);
    free(s);
}

const struct activity activity_sealed = {
    .name = "sealed",
    .brief = "private channels whose members come and go, and direct conversations",
    .chance = 400,
    .plan = sealed_plan,
    .started = sealed_started,
    .action = sealed_action,
    .converged = sealed_converged,
    .end = sealed_end,
};
