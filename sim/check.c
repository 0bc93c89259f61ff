#include "sim.h"

#include <stdio.h>
#include <string.h>

const uint8_t check_mark[SIM_WINDOW_BYTES] = {0xc3, 'p', 'l', 'a', 'i', 'n', 0xb6, 0x01};

enum { AHEAD_MS = 5 * 60 * 1000 };

static bool honest(const struct device *d)
{
    return d->kind != DEVICE_HOSTILE;
}

static struct truth *truth_of(struct sim *sim, uint32_t channel, uint32_t author, uint64_t seq)
{
    struct chronicle *chronicle = &sim->chronicles[channel][author];
    while (chronicle->len < seq) {
        chronicle->truth =
            must_grow(chronicle->truth, chronicle->len, &chronicle->cap, sizeof *chronicle->truth);
        memset(&chronicle->truth[chronicle->len++], 0, sizeof *chronicle->truth);
    }
    return &chronicle->truth[seq - 1];
}

/* The first who shows an entry settles what it is; everybody after must agree. */
static struct truth *publish(struct sim *sim, struct device *d, uint32_t channel, uint32_t author,
                             const struct entry_view *entry)
{
    struct truth *truth = truth_of(sim, channel, author, entry->seq);
    uint64_t body_hash = bytes_hash(entry->body);
    if (!truth->known) {
        sim->report.entries++;
        memcpy(truth->id, entry->id, ID_BYTES);
        truth->time_ms = entry->time_ms;
        truth->body_hash = body_hash;
        truth->known = true;
    } else if (honest(&sim->devices[author]) &&
               (memcmp(truth->id, entry->id, ID_BYTES) != 0 || truth->body_hash != body_hash)) {
        sim_fail(sim, "device %u: seq %llu of honest author %u is another entry than elsewhere", d->index,
                 (unsigned long long)entry->seq, author);
    }
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
    if (action->token == 0 || action->record.len == 0 || action->record.len > NODE_RECORD_BYTES_MAX)
        sim_fail(sim, "device %u: STORE with a record of %zu bytes", d->index, action->record.len);
    if (!entry->author) return;
    uint32_t author = device_of_id(sim, entry->author);
    if (author == UINT32_MAX || entry->seq == 0) {
        sim_fail(sim, "device %u: STORE of an author whom nobody certified", d->index);
        return;
    }
    bool own = author == d->index;
    check_place(sim, d, entry, own);
    bool just_written = entry->arrived_ms == d->last_local / MILLISECONDS; /* not a second try */
    if (own && just_written && !sim_has(sim, FAULT_CLOCK) && entry->time_ms <= d->newest_seen_ms[channel])
        sim_fail(sim, "device %u: an own entry of %llu is not later than what it has seen, %llu", d->index,
                 (unsigned long long)entry->time_ms, (unsigned long long)d->newest_seen_ms[channel]);
    if (!own && honest(&sim->devices[author])) publish(sim, d, channel, author, entry);
}

static void check_sent(struct sim *sim, struct device *d, const struct action *action, uint32_t channel)
{
    for (size_t i = 0; i < d->sent_len; i++) {
        if (d->sent[i].token != action->token) continue;
        if (d->sent[i].channel != channel || d->sent[i].body_hash != bytes_hash(action->entry.body))
            sim_fail(sim, "device %u: DELIVER of another entry than was sent", d->index);
        d->sent[i] = d->sent[--d->sent_len];
        return;
    }
}

static void check_deliver(struct sim *sim, struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    uint32_t channel = channel_of_id(sim, entry->channel), author = device_of_id(sim, entry->author);
    if (channel == UINT32_MAX || author == UINT32_MAX) {
        sim_fail(sim, "device %u: DELIVER of something unknown", d->index);
        return;
    }
    struct shelf *shelf = &d->shelves[channel][author];
    const struct held *held = entry->seq <= shelf->len ? &shelf->held[entry->seq - 1] : NULL;
    if (entry->seq != shelf->shown + 1)
        sim_fail(sim, "device %u: DELIVER of seq %llu of author %u after %llu", d->index,
                 (unsigned long long)entry->seq, author, (unsigned long long)shelf->shown);
    else if (!held || !held->durable || memcmp(held->id, entry->id, ID_BYTES) != 0)
        sim_fail(sim, "device %u: DELIVER of what is not durable", d->index);
    else if (held->place_ms != entry->place_ms)
        sim_fail(sim, "device %u: DELIVER at another place than was stored", d->index);
    if (sim->report.failed) return;
    shelf->shown = entry->seq;
    if (shelf->shown > shelf->deepest) shelf->deepest = shelf->shown;
    sim->report.deliveries++;

    bool own = author == d->index;
    if (own && entry->kind == ENTRY_LEAVE)
        d->left_at[channel] = sim->now; /* only now: a crash may have lost it */
    if (!own && d->left_at[channel] && sim->now > d->left_at[channel] + 10 * SECONDS)
        sim_fail(sim, "device %u: DELIVER in a channel that it has left", d->index);
    struct truth *truth = publish(sim, d, channel, author, entry);
    if (own) truth->acknowledged = true;
    if (own != (entry->path == PATH_NONE)) sim_fail(sim, "device %u: DELIVER with a false path", d->index);
    if (!own && action->token != 0) sim_fail(sim, "device %u: a token for somebody else's entry", d->index);
    bool nameless = sim->options.fail_at && entry->account.len == 0; /* there was no memory for the name */
    if (!nameless && !slice_equal(entry->account, slice_text(sim->devices[author].account)))
        sim_fail(sim, "device %u: DELIVER with another account than %s", d->index,
                 sim->devices[author].account);
    if (own && action->token != 0) check_sent(sim, d, action, channel);
    if (honest(&sim->devices[author]) && entry->time_ms > d->newest_seen_ms[channel])
        d->newest_seen_ms[channel] = entry->time_ms;
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
    struct shelf *mine = &d->shelves[channel][other];
    if (action->seq > d->shelves[channel][d->index].shown)
        sim_fail(sim, "device %u: DELIVERED of what was never written", d->index);
    if (action->seq > mine->promised) mine->promised = action->seq;
    if (!honest(holder)) return;
    if (holder->shelves[channel][d->index].ever < action->seq)
        sim_fail(sim, "device %u: DELIVERED says that %u holds %llu, but it holds %llu", d->index, other,
                 (unsigned long long)action->seq,
                 (unsigned long long)holder->shelves[channel][d->index].ever);
    if (action->role != (holder->kind == DEVICE_TRACKER ? ROLE_REPLICA : ROLE_PERSON))
        sim_fail(sim, "device %u: DELIVERED with a false role", d->index);
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
    d->shelves[0][other].path = action->path;
    d->shelves[0][other].rtt_us = action->rtt_us;
    if (action->path == PATH_NONE) return;
    for (size_t i = 0; i < d->ports_len; i++)
        if (d->ports[i].other == other && d->ports[i].path == action->path) return;
    sim_fail(sim, "device %u: PEER says that %u is linked over path %d", d->index, other, action->path);
}

static void digest_action(struct sim *sim, const struct device *d, const struct action *action)
{
    digest_number(sim, (uint64_t)action->kind << 32 | d->index);
    digest_number(sim, sim->now);
    digest_number(sim, (uint64_t)action->link << 32 | (uint32_t)action->result);
    digest_number(sim, action->token);
    digest_number(sim, action->seq ^ action->entry.seq);
    digest_number(sim, action->rtt_us ^ (uint64_t)action->path);
    digest_bytes(sim, action->record);
    if (action->entry.id) digest_bytes(sim, slice_of(action->entry.id, ID_BYTES));
    if (action->device) digest_bytes(sim, slice_of(action->device, ID_BYTES));
}

static void tell_action(struct sim *sim, struct device *d, const struct action *a)
{
    static const char *const names[] = {"?",       "STORE", "READ", "DELIVER",  "DELIVERED",
                                        "CONNECT", "CLOSE", "PEER", "WRITABLE", "WARNING"};
    if (a->kind == ACTION_WRITABLE) return;
    uint32_t other = a->device         ? device_of_id(sim, a->device)
                     : a->entry.author ? device_of_id(sim, a->entry.author)
                                       : UINT32_MAX;
    const uint8_t *channel = a->channel ? a->channel : a->entry.channel;
    sim_tell(sim, "device %u: %s of %d in %d seq %llu link %u path %d token %llu %s %.*s", d->index,
             names[a->kind], (int)other, channel ? (int)channel_of_id(sim, channel) : -1,
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
    case ACTION_DELIVERED: check_delivered(sim, d, action); break;
    case ACTION_CLOSE: check_close(sim, d, action); break;
    case ACTION_PEER: check_peer(sim, d, action); break;
    case ACTION_WRITABLE:
        if (!device_port(d, action->link))
            sim_fail(sim, "device %u: WRITABLE of link %u, which is not there", d->index, action->link);
        break;
    case ACTION_CONNECT:
        if (device_of_id(sim, action->device) == UINT32_MAX || memcmp(action->device, d->id, ID_BYTES) == 0)
            sim_fail(sim, "device %u: CONNECT to somebody unknown", d->index);
        break;
    case ACTION_READ: break;
    case ACTION_WARNING: sim->report.warnings++; break;
    default: sim_fail(sim, "device %u: unknown action %d", d->index, action->kind);
    }
}

void check_link_bytes(struct sim *sim, struct pipe *pipe, uint32_t side, slice bytes)
{
    struct flow *flow = &pipe->flow[side];
    const size_t keep = sizeof flow->last;
    digest_number(sim, (uint64_t)pipe->id << 1 | side);
    digest_bytes(sim, bytes);
    if (!honest(&sim->devices[pipe->end[side].device])) return;
    uint8_t seam[2 * (SIM_WINDOW_BYTES - 1)];
    size_t head = bytes.len < keep ? bytes.len : keep;
    memcpy(seam, flow->last, keep);
    memcpy(seam + keep, bytes.ptr, head);
    bool found = false;
    for (size_t i = 0; i + SIM_WINDOW_BYTES <= keep + head; i++)
        found |= memcmp(seam + i, check_mark, SIM_WINDOW_BYTES) == 0;
    for (const uint8_t *p = bytes.ptr, *end = bytes.ptr + bytes.len; !found; p++) {
        p = memchr(p, check_mark[0], (size_t)(end - p));
        if (!p || (size_t)(end - p) < SIM_WINDOW_BYTES) break;
        found = memcmp(p, check_mark, SIM_WINDOW_BYTES) == 0;
    }
    if (found) sim_fail(sim, "plaintext on the link from %u", pipe->end[side].device);
    if (bytes.len >= keep)
        memcpy(flow->last, bytes.ptr + bytes.len - keep, keep);
    else
        memmove(flow->last, seam + head, keep);
}

/* After a start: what was shown and acknowledged has come back (check: nothing of a feed is missing). */
void check_restored(struct sim *sim, struct device *d)
{
    for (uint32_t c = 0; c < sim->channels_len; c++) {
        struct chronicle *chronicle = &sim->chronicles[c][d->index];
        for (size_t i = 0; i < chronicle->len; i++)
            if (chronicle->truth[i].acknowledged && d->shelves[c][d->index].shown < i + 1)
                sim_fail(sim, "device %u came back without its own acknowledged entry %zu", d->index, i + 1);
    }
}

static bool member_holds_all(struct sim *sim, const struct device *d, uint32_t channel, char *why,
                             size_t room)
{
    for (uint32_t a = 1; a < sim->devices_len; a++) {
        const struct device *author = &sim->devices[a];
        const struct chronicle *chronicle = &sim->chronicles[channel][a];
        const struct shelf *shelf = &d->shelves[channel][a];
        /* Who has left still owes what was written, until somebody else says to hold it; where that somebody
         * may lie or lose it again, it cannot be owed any more. */
        bool member = author->channels >> channel & 1;
        bool owes = chronicle->len > 0 && !sim_has(sim, FAULT_AMNESIA) && !sim_has(sim, FAULT_HOSTILE);
        if (!honest(author) || (!member && !owes)) continue;
        if (chronicle->len == 0 || shelf->shown < chronicle->len) {
            if (why)
                snprintf(why, room, "device %u shows %llu of %zu entries of author %u in channel %u",
                         d->index, (unsigned long long)shelf->shown, chronicle->len, a, channel);
            return false;
        }
    }
    return true;
}

bool check_converged(struct sim *sim, char *why, size_t room)
{
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (!honest(d)) continue;
        if (!d->up || d->sent_len > 0) {
            if (why) snprintf(why, room, "device %u: %zu sends without an answer", i, d->sent_len);
            return false;
        }
        for (uint32_t c = 0; c < sim->channels_len; c++)
            if ((d->channels >> c & 1) && !member_holds_all(sim, d, c, why, room)) return false;
    }
    return true;
}

static void check_same_places(struct sim *sim, const struct device *d, uint32_t channel)
{
    for (uint32_t a = 1; a < sim->devices_len; a++) {
        const struct chronicle *chronicle = &sim->chronicles[channel][a];
        const struct shelf *shelf = &d->shelves[channel][a];
        if (!honest(&sim->devices[a])) continue;
        for (size_t i = 0; i < chronicle->len && i < shelf->shown; i++) {
            if (memcmp(shelf->held[i].id, chronicle->truth[i].id, ID_BYTES) != 0)
                sim_fail(sim, "device %u holds another entry %zu of author %u", d->index, i + 1, a);
            if (!sim_has(sim, FAULT_CLOCK) && shelf->held[i].place_ms != chronicle->truth[i].time_ms)
                sim_fail(sim, "device %u orders entry %zu of author %u elsewhere", d->index, i + 1, a);
        }
    }
}

/* Whoever is linked to another member has its word for everything that it wrote. */
static void check_promises(struct sim *sim, const struct device *d, uint32_t channel)
{
    uint64_t written = d->shelves[channel][d->index].shown;
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        const struct device *other = &sim->devices[i];
        if (i == d->index || !honest(other) || !(other->channels >> channel & 1)) continue;
        if (d->shelves[0][i].path == PATH_NONE) continue;
        if (d->shelves[0][i].rtt_us == 0)
            sim_fail(sim, "device %u: no round trip to %u was measured", d->index, i);
        if (d->shelves[channel][i].promised != written)
            sim_fail(sim, "device %u is linked to %u but was promised %llu of %llu entries in channel %u",
                     d->index, i, (unsigned long long)d->shelves[channel][i].promised,
                     (unsigned long long)written, channel);
    }
}

void check_end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (!honest(d)) continue;
        uint64_t budget = 512 * 1024 + sim->report.entries * 200 + d->ports_len * 32 * 1024;
        if (sim_has(sim, FAULT_HOSTILE)) budget += 8 * 1024 * 1024; /* what strangers claim, within limits */
        if (d->memory.used > budget)
            sim_fail(sim, "device %u uses %zu bytes of memory, more than %llu", i, d->memory.used,
                     (unsigned long long)budget);
        for (uint32_t c = 0; c < sim->channels_len; c++) {
            if (!(d->channels >> c & 1)) continue;
            check_same_places(sim, d, c);
            if (d->kind == DEVICE_PERSON) check_promises(sim, d, c);
        }
    }
}
