/* What a device has made durable, what it is still writing, what a crash loses.
 *
 * A record is whole or not there: the shells write each in a transaction (SQLite, IndexedDB), so there are no
 * torn ones. A crash loses what was under way, or a first part of it, in order.
 * Thousands of devices hold the same entries, so a disk keeps of a record only what differs from the same
 * one in the archive (truth.record): how it arrived. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *copy(slice bytes)
{
    uint8_t *out = must_alloc(bytes.len ? bytes.len : 1);
    if (bytes.len) memcpy(out, bytes.ptr, bytes.len);
    return out;
}

/* --- shelves --- */

static uint64_t pair_key(uint32_t channel, uint32_t author)
{
    return (uint64_t)channel << 32 | author;
}

struct shelf *shelf_find(const struct device *d, uint32_t channel, uint32_t author)
{
    uint32_t i = table_get(&d->shelf_of, pair_key(channel, author));
    return i == UINT32_MAX ? NULL : &d->shelves[i];
}

struct shelf *shelf_of(struct device *d, uint32_t channel, uint32_t author)
{
    struct shelf *shelf = shelf_find(d, channel, author);
    if (shelf) return shelf;
    d->shelves = must_grow(d->shelves, d->shelves_len, &d->shelves_cap, sizeof *d->shelves);
    table_put(&d->shelf_of, pair_key(channel, author), (uint32_t)d->shelves_len);
    shelf = &d->shelves[d->shelves_len++];
    *shelf = (struct shelf){.channel = channel, .author = author, .gap_from = 1};
    return shelf;
}

struct held *held_find(const struct shelf *shelf, uint64_t seq)
{
    return shelf && seq > 0 && seq <= shelf->len ? &shelf->held[seq - 1] : NULL;
}

static struct held *held_make(struct shelf *shelf, uint64_t seq)
{
    if (shelf->len < seq) {
        if (shelf->cap < seq) {
            uint32_t cap = (uint32_t)(seq <= 4 ? 4 : seq + seq / 2);
            shelf->held = must_resize(shelf->held, cap * sizeof *shelf->held);
            memset(shelf->held + shelf->cap, 0, (cap - shelf->cap) * sizeof *shelf->held);
            shelf->cap = cap;
        }
        shelf->len = (uint32_t)seq;
    }
    return &shelf->held[seq - 1];
}

static void held_drop(struct held *held)
{
    free(held->middle);
    held->middle = NULL;
    held->durable = held->owed = false;
}

void held_show(struct shelf *shelf, uint64_t seq)
{
    struct held *held = held_find(shelf, seq);
    if (!held->shown) shelf->shown_count++;
    held->shown = true;
    while (shelf->shown < shelf->len && shelf->held[shelf->shown].shown)
        shelf->shown++;
}

void held_hide(struct shelf *shelf, uint64_t seq)
{
    struct held *held = held_find(shelf, seq);
    if (!held || !held->shown) return;
    held->shown = false;
    shelf->shown_count--;
    if (shelf->shown >= seq) shelf->shown = seq - 1;
}

/* --- records --- */

static void squeeze(const struct truth *truth, slice record, struct held *held)
{
    size_t most = truth->record_len < record.len ? truth->record_len : record.len;
    const uint8_t *theirs = truth->record + truth->record_len, *ours = record.ptr + record.len;
    size_t prefix = 0, suffix = 0;
    while (prefix + 8 <= most && word_of(truth->record + prefix) == word_of(record.ptr + prefix))
        prefix += 8;
    while (prefix < most && truth->record[prefix] == record.ptr[prefix])
        prefix++;
    while (suffix + 8 <= most - prefix && word_of(theirs - suffix - 8) == word_of(ours - suffix - 8))
        suffix += 8;
    while (suffix < most - prefix && theirs[-1 - (ptrdiff_t)suffix] == ours[-1 - (ptrdiff_t)suffix])
        suffix++;
    held->prefix = (uint16_t)prefix;
    held->suffix = (uint16_t)suffix;
    held->middle_len = (uint16_t)(record.len - prefix - suffix);
    held->middle = copy(slice_of(record.ptr + prefix, held->middle_len));
}

slice held_record(struct sim *sim, const struct shelf *shelf, uint64_t seq)
{
    const struct held *held = &shelf->held[seq - 1];
    const struct truth *truth = truth_of(sim, shelf->channel, shelf->author, seq);
    struct writer w = writer_of(sim->record, NODE_RECORD_BYTES_MAX);
    writer_put(&w, slice_of(truth->record, held->prefix));
    writer_put(&w, slice_of(held->middle, held->middle_len));
    writer_put(&w, slice_of(truth->record + truth->record_len - held->suffix, held->suffix));
    return writer_slice(&w);
}

/* --- what is under way --- */

static void make_durable(struct device *d, struct disk_op *op)
{
    if (op->kind == DISK_STORE_CHANNEL) {
        struct membership *m = membership_of(d, op->channel);
        free(m->record);
        m->record = op->record;
        m->record_len = op->record_len;
        op->record = NULL;
        return;
    }
    struct held *slot = held_make(shelf_of(d, op->channel, op->author), op->seq);
    bool shown = slot->shown, owed = slot->owed;
    held_drop(slot);
    *slot = op->held;
    slot->durable = slot->ever = true;
    slot->shown = shown;
    slot->owed = owed;
    op->held.middle = NULL;
}

static struct disk_op *op_of_token(struct device *d, uint64_t token)
{
    for (size_t i = 0; i < d->ops_len; i++)
        if (d->ops[i].token == token) return &d->ops[i];
    return NULL;
}

static void op_remove(struct device *d, struct disk_op *op)
{
    free(op->held.middle);
    free(op->record);
    size_t at = (size_t)(op - d->ops);
    memmove(op, op + 1, (d->ops_len - at - 1) * sizeof *op);
    d->ops_len--;
}

/* Something is durable, or has failed, but the core does not know yet. */
static void settle_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t token)
{
    struct device *d = &sim->devices[device];
    struct disk_op *op = d->life == life ? op_of_token(d, token) : NULL;
    if (!op) return;
    op->settled = true;
    if (op->kind != DISK_READ && op->result == OK) make_durable(d, op);
}

static void done_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t token)
{
    struct device *d = &sim->devices[device];
    struct disk_op *op = d->life == life && d->up ? op_of_token(d, token) : NULL;
    if (!op) return;
    struct disk_op done = *op;
    op_remove(d, op);
    slice record = SLICE_EMPTY;
    if (done.kind == DISK_READ && done.result == OK) {
        const struct shelf *shelf = shelf_find(d, done.channel, done.author);
        const struct held *held = held_find(shelf, done.seq);
        if (!held || !held->durable) {
            sim_fail(sim, "device %u asked to read what it never stored: author %u seq %llu", device,
                     done.author, (unsigned long long)done.seq);
            return;
        }
        record = held_record(sim, shelf, done.seq);
    }
    device_done(sim, d, token, done.result, record);
}

usec disk_delay(struct sim *sim, struct device *d)
{
    if (sim_has(sim, FAULT_DISK_SLOW) && dice_chance(&d->dice, 100))
        return dice_between(&d->dice, 200 * MILLISECONDS, 3 * SECONDS);
    return dice_between(&d->dice, 100, 8 * MILLISECONDS);
}

static void submit(struct sim *sim, struct device *d, struct disk_op op)
{
    if (op_of_token(d, op.token)) sim_fail(sim, "device %u used a token twice", d->index);
    usec due = sim->now + disk_delay(sim, d);
    if (op.kind != DISK_READ) { /* writes become durable in their order */
        if (due <= d->disk_due) due = d->disk_due + 1;
        d->disk_due = due;
    }
    if (!sim->calm && sim_has(sim, FAULT_DISK_FAILS)) {
        if (op.kind != DISK_READ && d->disk_full_until > sim->now) op.result = ERR_DISK_FULL;
        if (dice_chance(&d->dice, d->disk_dying ? 500 : 5)) op.result = ERR_IO;
    }
    d->ops = must_grow(d->ops, d->ops_len, &d->ops_cap, sizeof *d->ops);
    d->ops[d->ops_len++] = op;
    schedule_at(sim, due, settle_event, d->index, d->life, op.token);
    /* The answer may overtake that of an earlier write. */
    schedule_at(sim, due + 1 + dice_below(&d->dice, 4 * MILLISECONDS), done_event, d->index, d->life,
                op.token);
}

void disk_store(struct sim *sim, struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    struct disk_op op = {
        .kind = entry->author ? DISK_STORE : DISK_STORE_CHANNEL,
        .token = action->token,
        .channel = channel_of_id(sim, entry->channel),
    };
    sim->report.stores++;
    if (op.kind == DISK_STORE_CHANNEL) {
        op.record = copy(action->record);
        op.record_len = (uint32_t)action->record.len;
        submit(sim, d, op);
        return;
    }
    op.author = device_of_id(sim, entry->author);
    op.seq = entry->seq;
    struct truth *truth = truth_of(sim, op.channel, op.author, op.seq);
    if (!truth->record) {
        truth->record = copy(action->record);
        truth->record_len = (uint32_t)action->record.len;
    }
    squeeze(truth, action->record, &op.held);
    memcpy(&op.held.id8, entry->id, sizeof op.held.id8);
    op.held.place_ms = entry->place_ms;
    submit(sim, d, op);
}

void disk_read(struct sim *sim, struct device *d, const struct action *action)
{
    sim->report.reads++;
    submit(sim, d,
           (struct disk_op){
               .kind = DISK_READ,
               .token = action->token,
               .channel = channel_of_id(sim, action->entry.channel),
               .author = device_of_id(sim, action->entry.author),
               .seq = action->entry.seq,
           });
}

/* --- life --- */

void disk_crash(struct sim *sim, struct device *d)
{
    (void)sim;
    bool more = true; /* a first part of what was under way may have become durable */
    for (size_t i = 0; i < d->ops_len; i++) {
        struct disk_op *op = &d->ops[i];
        if (op->kind == DISK_READ || op->settled || op->result != OK) continue;
        more = more && dice_chance(&d->dice, 300);
        if (more) make_durable(d, op);
    }
    while (d->ops_len > 0)
        op_remove(d, &d->ops[d->ops_len - 1]);
    d->disk_due = 0;
    d->disk_dying = false;
    for (size_t i = 0; i < d->shelves_len; i++) {
        struct shelf *shelf = &d->shelves[i];
        for (uint32_t k = 0; k < shelf->len; k++)
            shelf->held[k].shown = false;
        shelf->shown = shelf->shown_count = shelf->promised = 0;
        shelf->gap_from = 1, shelf->gap_upto = 0;
    }
}

void disk_wipe(struct sim *sim, struct device *d)
{
    disk_crash(sim, d);
    for (size_t i = 0; i < d->memberships_len; i++) {
        free(d->memberships[i].record);
        d->memberships[i].record = NULL;
    }
    for (size_t i = 0; i < d->shelves_len; i++)
        for (uint32_t k = 0; k < d->shelves[i].len; k++)
            held_drop(&d->shelves[i].held[k]);
}

void disk_free(struct device *d)
{
    for (size_t i = 0; i < d->memberships_len; i++)
        free(d->memberships[i].record);
    for (size_t i = 0; i < d->shelves_len; i++) {
        for (uint32_t k = 0; k < d->shelves[i].len; k++)
            free(d->shelves[i].held[k].middle);
        free(d->shelves[i].held);
    }
    free(d->shelves), free(d->ops), free(d->memberships);
    table_free(&d->shelf_of);
}

/* False when there was no memory. */
static bool restore_entry(struct sim *sim, struct device *d, struct shelf *shelf, uint64_t seq)
{
    struct held *held = held_find(shelf, seq);
    if (!held->durable) return true;
    int rc = node_restore(d->node, held_record(sim, shelf, seq), device_clock(sim, d));
    if (rc == ERR_MEMORY) return false;
    if (rc == OK) {
        held_show(shelf, seq);
        check_chain(sim, d, shelf, seq);
    } else if (rc == ERR_CORRUPT && !held->owed) {
        held_drop(held); /* left over from a failed store */
    } else {
        sim_fail(sim, "device %u: restoring seq %llu of author %u: %s", d->index, (unsigned long long)seq,
                 shelf->author, err_name(rc));
    }
    return true;
}

bool disk_restore(struct sim *sim, struct device *d)
{
    for (size_t i = 0; i < d->memberships_len; i++) {
        const struct membership *m = &d->memberships[i];
        if (!m->record) continue;
        int rc = node_restore(d->node, slice_of(m->record, m->record_len), device_clock(sim, d));
        if (rc == ERR_MEMORY) return false;
        if (rc != OK) sim_fail(sim, "device %u: restoring a channel: %s", d->index, err_name(rc));
    }
    for (size_t i = 0; i < d->shelves_len; i++)
        for (uint64_t seq = 1; seq <= d->shelves[i].len; seq++)
            if (!restore_entry(sim, d, &d->shelves[i], seq)) return false;
    return true;
}
