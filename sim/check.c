#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "core/entry.h"
#include "core/ledger.h"
#include "lanes.h"

const uint8_t check_mark[SIM_WINDOW_BYTES] = {0xc3, 'p', 'l', 'a', 'i', 'n', 0xb6, 0x01};

enum { AHEAD_MS = 5 * 60 * 1000 };

#define FRESH_LINK_US (5 * SECONDS)

/* The first who shows an entry settles what it is; everybody after must agree. */
static struct truth *publish(struct sim *sim, struct device *d, uint32_t channel, uint32_t author,
                             const struct entry_view *entry, bool opened)
{
    struct truth *truth = truth_of(sim, channel, author, entry->seq);
    if (!truth->known) {
        sim->report.entries++;
        memcpy(truth->id, entry->id, ID_BYTES);
        truth->time_ms = entry->time_ms;
        truth->known = true;
        struct chronicle *chronicle = chronicle_of(sim, channel, author);
        if (entry->seq > chronicle->known) chronicle->known = entry->seq;
    }
    uint64_t body_hash = opened ? bytes_hash(entry->body) : 0;
    if (opened && !truth->opened) {
        truth->opened = true;
        truth->body_hash = body_hash;
    }
    bool same = memcmp(truth->id, entry->id, ID_BYTES) == 0 && (!opened || truth->body_hash == body_hash);
    if (!same && honest(&sim->devices[author]))
        sim_fail(sim, "device %u: seq %llu of honest author %u is another entry than elsewhere", d->index,
                 (unsigned long long)entry->seq, author);
    return truth;
}

static void check_place(struct sim *sim, struct device *d, const struct entry_view *entry, bool own)
{
    bool ahead = !own && entry->time_ms > entry->arrived_ms + AHEAD_MS;
    if (entry->place_ms != (ahead ? entry->arrived_ms : entry->time_ms))
        sim_fail(sim, "device %u: an entry of time %llu that arrived at %llu is placed at %llu", d->index,
                 (unsigned long long)entry->time_ms, (unsigned long long)entry->arrived_ms,
                 (unsigned long long)entry->place_ms);
}

static void check_store(struct sim *sim, struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    uint32_t channel = entry->channel ? channel_of_id(sim, entry->channel) : UINT32_MAX;
    if (channel == UINT32_MAX) {
        sim_fail(sim, "device %u: STORE in an unknown channel", d->index);
        return;
    }
    struct membership *membership = membership_of(d, channel);
    if (!membership) {
        sim_fail(sim, "device %u: STORE in channel %u, which is not its own", d->index, channel);
        return;
    }
    if (action->token == 0 || action->record.len == 0 || action->record.len > NODE_RECORD_BYTES_MAX)
        sim_fail(sim, "device %u: STORE with a record of %zu bytes", d->index, action->record.len);
    if (sim->channels[channel].sealed && check_marked(action->record))
        sim_fail(sim, "device %u: STORE with the text of a sealed channel in clear", d->index);
    if (tap_has_key(sim, action->record))
        sim_fail(sim, "device %u: STORE with a key of a sealed channel in clear", d->index);
    if (!entry->author) return;
    uint32_t author = device_of_id(sim, entry->author);
    if (author == UINT32_MAX || entry->seq == 0) {
        sim_fail(sim, "device %u: STORE of an author whom nobody certified", d->index);
        return;
    }
    bool own = author == d->index;
    check_place(sim, d, entry, own);
    bool just_written = entry->arrived_ms == d->last_local / MILLISECONDS; /* not a second try */
    if (own && just_written && !sim_has(sim, FAULT_CLOCK) && entry->time_ms <= membership->newest_seen_ms)
        sim_fail(sim, "device %u: an own entry of %llu is not later than what it has seen, %llu", d->index,
                 (unsigned long long)entry->time_ms, (unsigned long long)membership->newest_seen_ms);
    if (!own && honest(&sim->devices[author])) publish(sim, d, channel, author, entry, false);
}

static void check_sent(struct sim *sim, struct device *d, const struct action *action, uint32_t channel)
{
    for (size_t i = 0; i < d->sent_len; i++) {
        if (d->sent[i].token != action->token) continue;
        bool same = action->entry.withdrawn || d->sent[i].body_hash == bytes_hash(action->entry.body);
        if (d->sent[i].channel != channel || !same)
            sim_fail(sim, "device %u: DELIVER of another entry than was sent", d->index);
        d->sent[i] = d->sent[--d->sent_len];
        return;
    }
}

/* What is shown of a feed is a first part and at most one more that stands above a gap. */
static void check_runs(struct sim *sim, const struct device *d, const struct shelf *shelf, uint64_t seq)
{
    const struct held *below = held_find(shelf, seq - 1), *above = held_find(shelf, seq + 1);
    bool joined = (below && below->shown) || (above && above->shown);
    if (seq == 1 || joined || shelf->shown_count == shelf->shown + 1) return;
    sim_fail(sim, "device %u: DELIVER of seq %llu of author %u, which begins a third part", d->index,
             (unsigned long long)seq, shelf->author);
}

/* The entry as this device holds it, parsed from its record in sim->record. */
static bool parse_held(struct sim *sim, const struct shelf *shelf, uint64_t seq, struct entry *out,
                       struct arrival *out_arrival)
{
    enum record_kind kind;
    slice wire;
    struct channel_record unused;
    return record_parse(held_record(sim, shelf, seq), &kind, &wire, out_arrival, &unused) == OK &&
           entry_parse(wire, out) == OK;
}

static void note_warning(const struct sim *sim, struct device *d, uint32_t other)
{
    if (other == UINT32_MAX) return;
    if (!d->warned) d->warned = must_alloc(sim->devices_len * sizeof *d->warned);
    d->warned[other] = true;
}

/* A gap has closed between seq and the one behind it: when they are of two branches, a person was told. */
static void check_seam(struct sim *sim, const struct device *d, const struct shelf *shelf, uint64_t seq)
{
    const struct held *lower = held_find(shelf, seq), *upper = held_find(shelf, seq + 1);
    struct entry e;
    struct arrival arrival;
    if (!lower || !upper || !lower->shown || !upper->shown) return;
    if (!parse_held(sim, shelf, seq, &e, &arrival) || arrival.run != RUN_UP) return;
    if (!parse_held(sim, shelf, seq + 1, &e, &arrival) || arrival.run == RUN_UP) return;
    if (memcmp(e.prev, &lower->id8, sizeof lower->id8) == 0) return;
    if (!d->warned || !d->warned[shelf->author])
        sim_fail(sim,
                 "device %u: nobody is told that seq %llu of author %u is of another branch than the next",
                 d->index, (unsigned long long)seq, shelf->author);
}

/* What was put behind an entry, or before one, fits there, whoever has written the two; honest feeds are one
 * chain anyhow. Where a gap has closed the two sides may be of two branches: both stay, and a person is told.
 */
void check_chain(struct sim *sim, const struct device *d, const struct shelf *shelf, uint64_t seq)
{
    struct entry e;
    struct arrival arrival;
    if (honest(&sim->devices[shelf->author])) return;
    if (!parse_held(sim, shelf, seq, &e, &arrival)) {
        sim_fail(sim, "device %u: the record of seq %llu of author %u cannot be read", d->index,
                 (unsigned long long)seq, shelf->author);
        return;
    }
    uint64_t upper = arrival.run == RUN_DOWN ? seq + 1 : seq;
    const struct held *neighbour = held_find(shelf, arrival.run == RUN_DOWN ? seq + 1 : seq - 1);
    if (arrival.run == RUN_FIRST || !neighbour || !neighbour->shown) return;
    bool fits = parse_held(sim, shelf, upper, &e, &arrival) &&
                memcmp(e.prev, &shelf->held[upper - 2].id8, sizeof shelf->held->id8) == 0;
    uint64_t time_ms = e.time_ms;
    fits = fits && parse_held(sim, shelf, upper - 1, &e, &arrival) && e.time_ms < time_ms;
    if (!fits)
        sim_fail(sim, "device %u: seq %llu of author %u is shown behind an entry that it does not follow",
                 d->index, (unsigned long long)upper, shelf->author);
}

/* Through how many hands an entry came, and how long it took. */
static void measure(struct sim *sim, struct device *d, struct held *held, const struct truth *truth,
                    const struct entry_view *entry, uint32_t channel, uint32_t author)
{
    uint32_t from = device_of_id(sim, entry->from);
    if (from == UINT32_MAX) return;
    const struct held *theirs = held_find(shelf_find(&sim->devices[from], channel, author), entry->seq);
    uint32_t hops = 1u + (theirs ? theirs->depth : 0);
    held->depth = hops < 255 ? (uint8_t)hops : 255;
    if (d->kind != DEVICE_PERSON || sim->calm) return;
    struct sim_report *report = &sim->report;
    report->fresh++;
    if (!truth->acknowledged_at || d->started_at + 10 * SECONDS > truth->acknowledged_at) return;
    report->hops_count++;
    report->hops_sum += hops;
    if (hops > report->hops_max) report->hops_max = hops;
    usec delay = sim->now > truth->acknowledged_at ? sim->now - truth->acknowledged_at : 0;
    report->delay_sum_us += delay;
    if (delay > report->delay_max_us) report->delay_max_us = delay;
}

static void check_deliver(struct sim *sim, struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    uint32_t channel = channel_of_id(sim, entry->channel), author = device_of_id(sim, entry->author);
    if (channel == UINT32_MAX || author == UINT32_MAX) {
        sim_fail(sim, "device %u: DELIVER of something unknown", d->index);
        return;
    }
    struct membership *membership = membership_of(d, channel);
    struct shelf *shelf = shelf_of(d, channel, author);
    struct held *held = held_find(shelf, entry->seq);
    if (!membership || !held || !held->durable || memcmp(&held->id8, entry->id, sizeof held->id8) != 0)
        sim_fail(sim, "device %u: DELIVER of what is not durable", d->index);
    else if (entry->seq >= shelf->gap_from && entry->seq <= shelf->gap_upto)
        sim_fail(sim, "device %u: DELIVER of seq %llu of author %u, which is said to be missing", d->index,
                 (unsigned long long)entry->seq, author);
    else if (held->shown)
        sim_fail(sim, "device %u: DELIVER of seq %llu of author %u a second time", d->index,
                 (unsigned long long)entry->seq, author);
    else if (held->place_ms != entry->place_ms)
        sim_fail(sim, "device %u: DELIVER at another place than was stored", d->index);
    if (sim->report.failed) return;
    held_show(shelf, entry->seq);
    held->owed = true;
    sim->report.deliveries++;
    check_runs(sim, d, shelf, entry->seq);
    check_chain(sim, d, shelf, entry->seq);
    for (uint64_t seq = entry->seq - 1; seq <= entry->seq && !honest(&sim->devices[author]); seq++)
        check_seam(sim, d, shelf, seq);

    bool own = author == d->index;
    if (own && entry->kind == ENTRY_LEAVE)
        membership->left_at = sim->now; /* only now: a crash may have lost it */
    if (!own && membership->left_at && sim->now > membership->left_at + 10 * SECONDS)
        sim_fail(sim, "device %u: DELIVER in a channel that it has left", d->index);
    struct truth *truth = publish(sim, d, channel, author, entry, !entry->locked && !entry->withdrawn);
    if (own && !truth->acknowledged) {
        truth->acknowledged = true;
        truth->acknowledged_at = sim->now;
    }
    if (own != (entry->path == PATH_NONE)) sim_fail(sim, "device %u: DELIVER with a false path", d->index);
    if (!own && action->token != 0) sim_fail(sim, "device %u: a token for somebody else's entry", d->index);
    bool nameless = sim->options.fail_at && entry->account.len == 0; /* there was no memory for the name */
    if (!nameless && !slice_equal(entry->account, slice_text(sim->devices[author].account)))
        sim_fail(sim, "device %u: DELIVER with another account than %s", d->index,
                 sim->devices[author].account);
    if (own && action->token != 0) check_sent(sim, d, action, channel);
    if (honest(&sim->devices[author]) && entry->time_ms > membership->newest_seen_ms)
        membership->newest_seen_ms = entry->time_ms;
    if (!own) measure(sim, d, held, truth, entry, channel, author);
}

/* Entries from..seq of this device were durable there at some time. */
static bool ever_held(const struct shelf *shelf, uint64_t from, uint64_t seq)
{
    for (uint64_t i = from; i <= seq; i++) {
        const struct held *held = held_find(shelf, i);
        if (!held || !held->ever) return false;
    }
    return true;
}

static void check_delivered(struct sim *sim, struct device *d, const struct action *action)
{
    uint32_t channel = channel_of_id(sim, action->channel), other = device_of_id(sim, action->device);
    if (channel == UINT32_MAX || other == UINT32_MAX || other == d->index) {
        sim_fail(sim, "device %u: DELIVERED by somebody unknown", d->index);
        return;
    }
    sim->report.acknowledgements++;
    struct device *holder = &sim->devices[other];
    struct shelf *promised = shelf_of(d, channel, other);
    const struct shelf *own = shelf_find(d, channel, d->index);
    if (action->seq > (own ? own->shown : 0))
        sim_fail(sim, "device %u: DELIVERED of what was never written", d->index);
    uint64_t before = promised->promised;
    if (action->seq > before) promised->promised = action->seq;
    if (!honest(holder)) return;
    uint64_t from = action->from > before + 1 ? action->from : before + 1;
    if (!ever_held(shelf_find(holder, channel, d->index), from, action->seq))
        sim_fail(sim, "device %u: DELIVERED says that %u holds %llu, but it does not", d->index, other,
                 (unsigned long long)action->seq);
    if (action->role != (holder->kind == DEVICE_TRACKER ? ROLE_REPLICA : ROLE_PERSON))
        sim_fail(sim, "device %u: DELIVERED with a false role", d->index);
}

/* What is said to be missing does not count any more, and was never shown. */
static void check_gap(struct sim *sim, struct device *d, const struct action *action)
{
    uint32_t channel = channel_of_id(sim, action->channel), author = device_of_id(sim, action->device);
    if (channel == UINT32_MAX || author == UINT32_MAX || author == d->index) {
        sim_fail(sim, "device %u: GAP of somebody unknown", d->index);
        return;
    }
    struct shelf *shelf = shelf_of(d, channel, author);
    shelf->gap_from = action->from;
    shelf->gap_upto = action->seq;
    if (action->from == 1) sim_fail(sim, "device %u: a GAP before the JOIN of %u", d->index, author);
    for (uint64_t seq = action->from; seq <= action->seq && seq <= shelf->len; seq++) {
        const struct held *held = held_find(shelf, seq);
        if (held && held->shown && held->owed)
            sim_fail(sim, "device %u: seq %llu of author %u was shown and is said to be missing", d->index,
                     (unsigned long long)seq, author);
        held_hide(shelf, seq);
    }
}

static void check_close(struct sim *sim, struct device *d, const struct action *action)
{
    struct port *port = device_port(d, action->link);
    sim->report.closes++;
    if (!port) {
        sim_fail(sim, "device %u: CLOSE of link %u, which is not there", d->index, action->link);
        return;
    }
    const struct pipe *pipe = sim->pipes[port->pipe];
    bool blames =
        action->result != ERR_TIMEOUT && action->result != OK &&
        (err_class_of(action->result) == ERR_CLASS_PEER || err_class_of(action->result) == ERR_CLASS_LIMIT);
    if (action->result == ERR_FULL && sim->options.fail_at) blames = false; /* no memory for a queue */
    if (blames && !pipe->tampered && honest(&sim->devices[port->other]))
        sim_fail(sim, "device %u closes an honest link to %u: %s, %.*s", d->index, port->other,
                 err_name(action->result), (int)action->text.len, (const char *)action->text.ptr);
    if (err_class_of(action->result) == ERR_CLASS_CALLER && action->result != OK && action->text.len == 0)
        sim_fail(sim, "device %u closes a link without a word", d->index);
}

static void check_peer(struct sim *sim, struct device *d, const struct action *action)
{
    uint32_t other = device_of_id(sim, action->device);
    if (other == UINT32_MAX || other == d->index) {
        sim_fail(sim, "device %u: PEER about somebody unknown", d->index);
        return;
    }
    struct acquaintance *known = acquaintance_of(d, other);
    if (known->path == PATH_NONE) known->linked_at = sim->now;
    known->path = action->path;
    known->rtt_us = action->rtt_us;
    const struct device *named = &sim->devices[other];
    if (action->account.len > 0 &&
        (named->expired || !slice_equal(action->account, slice_text(named->account))))
        sim_fail(sim, "device %u: PEER gives device %u the name %.*s, for which it has no good certificate",
                 d->index, other, (int)action->account.len, (const char *)action->account.ptr);
    if (action->path == PATH_NONE) return;
    for (size_t i = 0; i < d->ports_len; i++) {
        const struct port *port = &d->ports[i];
        if (!port->number || port->other != other || port->path != action->path) continue;
        if (port->side == 1 || sim->pipes[port->pipe]->called == other)
            return; /* not one that called another */
    }
    sim_fail(sim, "device %u: PEER says that %u is linked over path %d", d->index, other, action->path);
}

static void digest_action(struct sim *sim, const struct device *d, const struct action *a)
{
    struct lanes l = lanes_of(sim->report.digest);
    lanes_words(&l, (uint64_t)a->kind << 32 | d->index, sim->now,
                (uint64_t)a->link << 32 | (uint32_t)a->result, a->token);
    lanes_words(&l, a->seq, a->entry.seq, a->rtt_us, (uint64_t)a->path);
    lanes_add(&l, a->record);
    if (a->entry.id) lanes_block(&l, a->entry.id);
    if (a->device) lanes_block(&l, a->device);
    sim->report.digest = lanes_end(&l, 0);
}

static void tell_action(struct sim *sim, struct device *d, const struct action *a)
{
    static const char *const names[] = {"?",       "STORE",     "READ",       "DELIVER",  "DELIVERED",
                                        "CONNECT", "CLOSE",     "PEER",       "WRITABLE", "WARNING",
                                        "GAP",     "HISTORY",   "CHANNEL",    "UNLOCKED", "SESSION",
                                        "SIGNAL",  "FILE_READ", "FILE_WRITE", "FILE"};
    size_t kind = (size_t)a->kind < sizeof names / sizeof names[0] ? (size_t)a->kind : 0;
    if (a->kind == ACTION_WRITABLE) return;
    uint32_t other = a->device         ? device_of_id(sim, a->device)
                     : a->entry.author ? device_of_id(sim, a->entry.author)
                                       : UINT32_MAX;
    const uint8_t *channel = a->channel ? a->channel : a->entry.channel;
    sim_tell(sim, "device %u: %s of %d in %d seq %llu link %u path %d token %llu %s %.*s", d->index,
             names[kind], (int)other, channel ? (int)channel_of_id(sim, channel) : -1,
             (unsigned long long)(a->seq ^ a->entry.seq), a->link, a->path, (unsigned long long)a->token,
             a->result ? err_name(a->result) : "", (int)a->text.len,
             a->text.len ? (const char *)a->text.ptr : "");
}

void check_action(struct sim *sim, struct device *d, const struct action *action)
{
    digest_action(sim, d, action);
    if (sim->options.tell) tell_action(sim, d, action);
    switch (action->kind) {
    case ACTION_STORE: check_store(sim, d, action); break;
    case ACTION_DELIVER: check_deliver(sim, d, action); break;
    case ACTION_GAP: check_gap(sim, d, action); break;
    case ACTION_DELIVERED: check_delivered(sim, d, action); break;
    case ACTION_CLOSE: check_close(sim, d, action); break;
    case ACTION_PEER: check_peer(sim, d, action); break;
    case ACTION_WRITABLE:
        if (!device_port(d, action->link))
            sim_fail(sim, "device %u: WRITABLE of link %u, which is not there", d->index, action->link);
        break;
    case ACTION_CONNECT:
        if (memcmp(action->device, d->id, ID_BYTES) == 0)
            sim_fail(sim, "device %u: CONNECT to itself", d->index);
        if (device_of_id(sim, action->device) == UINT32_MAX && !sim_has(sim, FAULT_HOSTILE))
            sim_fail(sim, "device %u: CONNECT to somebody whom nobody has named", d->index);
        break;
    case ACTION_READ: break;
    case ACTION_WARNING:
        sim->report.warnings++;
        if (action->device) note_warning(sim, d, device_of_id(sim, action->device));
        break;
    default:
        if (action->kind < ACTION_STORE || action->kind > ACTION_FILE)
            sim_fail(sim, "device %u: unknown action %d", d->index, action->kind);
    }
}

bool check_marked(slice bytes)
{
    const uint8_t *end = bytes.ptr + bytes.len;
    for (const uint8_t *p = bytes.ptr; bytes.len > 0; p++) {
        p = memchr(p, check_mark[0], (size_t)(end - p));
        if (!p || (size_t)(end - p) < SIM_WINDOW_BYTES) return false;
        if (memcmp(p, check_mark, SIM_WINDOW_BYTES) == 0) return true;
    }
    return false;
}

void check_link_bytes(struct sim *sim, struct pipe *pipe, uint32_t side, slice bytes)
{
    struct flow *flow = &pipe->flow[side];
    const size_t keep = sizeof flow->last;
    struct lanes l = lanes_of(sim->report.digest);
    l.len = (uint64_t)pipe->id << 1 | side;
    lanes_add(&l, bytes);
    sim->report.digest = lanes_end(&l, 0);
    if (!honest(&sim->devices[pipe->end[side].device])) return;
    uint8_t seam[2 * (SIM_WINDOW_BYTES - 1)];
    size_t head = bytes.len < keep ? bytes.len : keep;
    memcpy(seam, flow->last, keep);
    memcpy(seam + keep, bytes.ptr, head);
    bool found = check_marked(slice_of(seam, keep + head)) || check_marked(bytes);
    if (found) sim_fail(sim, "plaintext on the link from %u", pipe->end[side].device);
    if (bytes.len >= keep)
        memcpy(flow->last, bytes.ptr + bytes.len - keep, keep);
    else
        memmove(flow->last, seam + head, keep);
}

/* After a start: what was shown and acknowledged has come back (check: nothing of a feed is missing). */
void check_restored(struct sim *sim, struct device *d)
{
    for (size_t i = 0; i < d->shelves_len; i++) {
        const struct shelf *shelf = &d->shelves[i];
        for (uint64_t seq = 1; seq <= shelf->len; seq++)
            if (shelf->held[seq - 1].owed && !shelf->held[seq - 1].shown)
                sim_fail(sim, "device %u came back without entry %llu of author %u", d->index,
                         (unsigned long long)seq, shelf->author);
        if (shelf->author != d->index) continue;
        const struct chronicle *chronicle = chronicle_of(sim, shelf->channel, d->index);
        for (size_t k = 0; chronicle && k < chronicle->len; k++)
            if (chronicle->truth[k].acknowledged && shelf->shown < k + 1)
                sim_fail(sim, "device %u came back without its own acknowledged entry %zu", d->index, k + 1);
    }
}

/* --- the end --- */

/* How much of a feed is to be with everybody. Who has left still owes what was written, until somebody else
 * says to hold it; where that somebody may lie or lose it again, it cannot be owed any more. */
static uint64_t owed_of(const struct sim *sim, const struct chronicle *chronicle)
{
    const struct device *author = &sim->devices[chronicle->author];
    bool sure = !sim_has(sim, FAULT_AMNESIA) && !sim_has(sim, FAULT_HOSTILE);
    if (sim->channels[chronicle->channel].sealed)
        sure = false; /* who was removed: the activity looks at it */
    if (!honest(author) || (!is_member(author, chronicle->channel) && !sure)) return 0;
    return chronicle->known;
}

/* Nobody who joins stays without a JOIN. */
static bool all_joined(const struct sim *sim, uint32_t channel, char *why, size_t room)
{
    const struct sim_channel *c = &sim->channels[channel];
    for (size_t i = 0; i < c->members_len; i++) {
        const struct device *d = &sim->devices[c->members[i]];
        const struct membership *m = membership_of(d, channel);
        if (d->kind != DEVICE_PERSON || !m->member || !m->joins || m->quiet) continue;
        const struct chronicle *own = chronicle_of(sim, channel, d->index);
        if (own && own->known > 0) continue;
        if (why) snprintf(why, room, "device %u has not joined channel %u", d->index, channel);
        return false;
    }
    return true;
}

bool check_holds_all(const struct sim *sim, const struct device *d, uint32_t channel, char *why, size_t room)
{
    const struct sim_channel *c = &sim->channels[channel];
    for (size_t i = 0; i < c->chronicles_len; i++) {
        const struct chronicle *chronicle = &sim->chronicles[c->chronicles[i]];
        const struct shelf *shelf = shelf_find(d, channel, chronicle->author);
        uint64_t shown = shelf ? shelf->shown : 0, owed = owed_of(sim, chronicle);
        if (shown >= owed) continue;
        if (why)
            snprintf(why, room, "device %u shows %llu of %llu entries of author %u in channel %u", d->index,
                     (unsigned long long)shown, (unsigned long long)owed, chronicle->author, channel);
        return false;
    }
    return true;
}

static bool device_converged(const struct sim *sim, const struct device *d, char *why, size_t room)
{
    if (!honest(d)) return true;
    if (!d->up || d->sent_len > 0) {
        if (why) snprintf(why, room, "device %u: %zu sends without an answer", d->index, d->sent_len);
        return false;
    }
    for (size_t i = 0; i < d->memberships_len; i++)
        if (d->memberships[i].member && !d->memberships[i].on_demand &&
            !check_holds_all(sim, d, d->memberships[i].channel, why, room))
            return false;
    return true;
}

bool check_converged(struct sim *sim, char *why, size_t room)
{
    for (uint32_t c = 0; c < sim->channels_len; c++)
        if (!all_joined(sim, c, why, room)) return false;
    for (uint32_t k = 0; k < sim->devices_len; k++) { /* first who was not ready the last time */
        uint32_t i = (sim->unsettled + k) % sim->devices_len;
        if (device_converged(sim, &sim->devices[i], why, room)) continue;
        sim->unsettled = i;
        return false;
    }
    return activities_converged(sim, why, room);
}

static void check_same_places(struct sim *sim, const struct device *d, uint32_t channel)
{
    const struct sim_channel *c = &sim->channels[channel];
    for (size_t k = 0; k < c->chronicles_len; k++) {
        const struct chronicle *chronicle = &sim->chronicles[c->chronicles[k]];
        const struct shelf *shelf = shelf_find(d, channel, chronicle->author);
        if (!honest(&sim->devices[chronicle->author]) || !shelf) continue;
        /* On demand, who reads asks on until he shows what is owed to him; not for what is not. */
        bool asked = !membership_of(d, channel)->on_demand || owed_of(sim, chronicle) > 0;
        if (asked && shelf->gap_from <= shelf->gap_upto)
            sim_fail(sim, "device %u still says that entries of author %u are missing", d->index,
                     chronicle->author);
        for (size_t i = 0; i < chronicle->known && i < shelf->shown; i++) {
            if (memcmp(&shelf->held[i].id8, chronicle->truth[i].id, 8) != 0)
                sim_fail(sim, "device %u holds another entry %zu of author %u", d->index, i + 1,
                         chronicle->author);
            if (!sim_has(sim, FAULT_CLOCK) && shelf->held[i].place_ms != chronicle->truth[i].time_ms)
                sim_fail(sim, "device %u orders entry %zu of author %u elsewhere", d->index, i + 1,
                         chronicle->author);
        }
    }
}

/* Whoever is linked to another member, for some seconds at least, has its word for everything that it wrote.
 */
static void check_promises(struct sim *sim, const struct device *d, uint32_t channel)
{
    const struct shelf *own = shelf_find(d, channel, d->index);
    uint64_t written = own ? own->shown : 0;
    for (size_t i = 0; i < d->known_len; i++) {
        const struct acquaintance *known = &d->known[i];
        const struct device *other = &sim->devices[known->other];
        if (known->path == PATH_NONE || !honest(other) || !is_member(other, channel)) continue;
        if (sim->now < known->linked_at + FRESH_LINK_US) continue;
        if (known->rtt_us == 0)
            sim_fail(sim, "device %u: no round trip to %u was measured", d->index, known->other);
        const struct shelf *promised = shelf_find(d, channel, known->other);
        uint64_t said = promised ? promised->promised : 0;
        if (said != written)
            sim_fail(sim, "device %u is linked to %u but was promised %llu of %llu entries in channel %u",
                     d->index, known->other, (unsigned long long)said, (unsigned long long)written, channel);
    }
}

/* Of two links to one device one has been closed by now. */
static void check_single(struct sim *sim, const struct device *d)
{
    for (size_t i = 0; i < d->ports_len; i++)
        for (size_t k = i + 1; k < d->ports_len && d->ports[i].number; k++)
            if (d->ports[k].number && d->ports[k].other == d->ports[i].other &&
                honest(&sim->devices[d->ports[i].other]))
                sim_fail(sim, "device %u has two links to %u when all is said", d->index, d->ports[i].other);
}

/* Receipts of each member about each other one, in channels that are not too large for them (ledger.h), with
 * what the tables have to spare. */
static uint64_t receipts_budget(const struct sim *sim, const struct device *d)
{
    uint64_t rows = 0;
    for (uint32_t c = 0; c < sim->channels_len; c++) {
        uint64_t len = sim->channels[c].members_len, pairs = len * len;
        if (!membership_of(d, c) || len > LEDGER_DEVICES_MAX) continue;
        rows += pairs < LEDGER_ROWS_MAX ? pairs : LEDGER_ROWS_MAX;
    }
    return rows * 240;
}

/* An author takes some 400 bytes, names and tables included, in each channel. */
static uint64_t authors_budget(const struct sim *sim, const struct device *d)
{
    uint64_t authors = 0;
    for (uint32_t c = 0; c < sim->channels_len; c++)
        if (membership_of(d, c)) authors += sim->channels[c].members_len;
    return authors * 400;
}

/* What is said in a large channel spreads along a tree: at once, and hardly ever twice to one device. */
static void check_spread(struct sim *sim)
{
    const struct sim_report *r = &sim->report;
    const struct setup *setup = &sim->setup;
    if (sim->faults) return;
    if (setup->delay_mean_max && r->delay_sum_us > r->hops_count * setup->delay_mean_max)
        sim_fail(sim, "an entry takes %llu ms on average",
                 (unsigned long long)(r->delay_sum_us / r->hops_count / MILLISECONDS));
    if (setup->copies_thousandths_max && r->copies * 1000 > r->fresh * setup->copies_thousandths_max)
        sim_fail(sim, "an entry comes to a device %llu times for each 1,000 that it should",
                 (unsigned long long)(r->copies * 1000 / r->fresh));
}

void check_end(struct sim *sim)
{
    check_spread(sim);
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (!honest(d)) continue;
        check_single(sim, d);
        uint64_t budget = 512 * 1024 + sim->report.entries * 200 + d->ports_live * 32 * 1024;
        budget += receipts_budget(sim, d) + authors_budget(sim, d);
        /* What strangers claim, within limits: 20,000 authors of some 400 bytes, and a number on each link.
         */
        if (sim_has(sim, FAULT_HOSTILE)) budget += 16 * 1024 * 1024;
        if (d->memory.used > budget)
            sim_fail(sim, "device %u uses %zu bytes of memory, more than %llu", i, d->memory.used,
                     (unsigned long long)budget);
        for (size_t k = 0; k < d->memberships_len; k++) {
            uint32_t channel = d->memberships[k].channel;
            if (!d->memberships[k].member) continue;
            check_same_places(sim, d, channel);
            if (d->kind == DEVICE_PERSON) check_promises(sim, d, channel);
        }
    }
}
