#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void held_free(struct held *held)
{
    free(held->record);
    memset(held, 0, sizeof *held);
}

static uint8_t *copy(slice bytes)
{
    uint8_t *out = must_alloc(bytes.len ? bytes.len : 1);
    if (bytes.len) memcpy(out, bytes.ptr, bytes.len);
    return out;
}

static struct held *shelf_slot(struct shelf *shelf, uint64_t seq)
{
    if (shelf->len < seq) {
        if (shelf->cap < seq) {
            size_t cap = (size_t)seq * 2 + 8;
            shelf->held = must_resize(shelf->held, cap * sizeof *shelf->held);
            memset(shelf->held + shelf->cap, 0, (cap - shelf->cap) * sizeof *shelf->held);
            shelf->cap = cap;
        }
        shelf->len = (size_t)seq;
    }
    return &shelf->held[seq - 1];
}

static void make_durable(struct device *d, struct disk_op *op)
{
    if (op->kind == DISK_STORE_CHANNEL) {
        free(d->channel_records[op->channel]);
        d->channel_records[op->channel] = op->held.record;
        d->channel_record_len[op->channel] = op->held.record_len;
        op->held.record = NULL;
        return;
    }
    struct shelf *shelf = &d->shelves[op->channel][op->author];
    struct held *slot = shelf_slot(shelf, op->seq);
    held_free(slot);
    *slot = op->held;
    slot->durable = true;
    op->held.record = NULL;
    uint64_t run = 0;
    while (run < shelf->len && shelf->held[run].durable)
        run++;
    if (run > shelf->ever) shelf->ever = run;
}

static struct disk_op *op_of_token(struct device *d, uint64_t token)
{
    for (size_t i = 0; i < d->ops_len; i++)
        if (d->ops[i].token == token) return &d->ops[i];
    return NULL;
}

static void op_remove(struct device *d, struct disk_op *op)
{
    held_free(&op->held);
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
        struct shelf *shelf = &d->shelves[done.channel][done.author];
        struct held *held = done.seq <= shelf->len ? &shelf->held[done.seq - 1] : NULL;
        if (!held || !held->durable) {
            sim_fail(sim, "device %u asked to read what it never stored: author %u seq %llu", device,
                     done.author, (unsigned long long)done.seq);
            return;
        }
        record = slice_of(held->record, held->record_len);
    }
    node_done(d->node, token, done.result, record, device_clock(sim, d));
    device_drain(sim, d);
    /* Links that had to wait may go on. */
    for (size_t i = 0; i < d->ports_len; i++) {
        struct pipe *pipe = sim->pipes[d->ports[i].pipe];
        uint32_t writer = 1u - d->ports[i].side;
        if (!pipe->flow[writer].blocked) continue;
        pipe->flow[writer].blocked = false;
        pipe_pump(sim, pipe->id, writer);
        if (!d->up || d->life != life) return;
        i = (size_t)-1; /* the list may have changed */
    }
}

static usec disk_delay(struct sim *sim)
{
    if (sim_has(sim, FAULT_DISK_SLOW) && dice_chance(&sim->dice, 100))
        return dice_between(&sim->dice, 200 * MILLISECONDS, 3 * SECONDS);
    return dice_between(&sim->dice, 100, 8 * MILLISECONDS);
}

static void submit(struct sim *sim, struct device *d, struct disk_op op)
{
    if (op_of_token(d, op.token)) sim_fail(sim, "device %u used a token twice", d->index);
    usec due = sim->now + disk_delay(sim);
    if (op.kind != DISK_READ) { /* writes become durable in their order */
        if (due <= d->disk_due) due = d->disk_due + 1;
        d->disk_due = due;
    }
    op.due = due;
    if (!sim->calm && sim_has(sim, FAULT_DISK_FAILS)) {
        if (op.kind != DISK_READ && d->disk_full_until > sim->now) op.result = ERR_DISK_FULL;
        if (dice_chance(&sim->dice, 5)) op.result = ERR_IO;
    }
    d->ops = must_grow(d->ops, d->ops_len, &d->ops_cap, sizeof *d->ops);
    d->ops[d->ops_len++] = op;
    schedule_at(sim, due, settle_event, d->index, d->life, op.token);
    /* The answer may overtake that of an earlier write. */
    schedule_at(sim, due + 1 + dice_below(&sim->dice, 4 * MILLISECONDS), done_event, d->index, d->life,
                op.token);
}

void disk_store(struct sim *sim, struct device *d, const struct action *action)
{
    struct disk_op op = {
        .kind = action->entry.author ? DISK_STORE : DISK_STORE_CHANNEL,
        .token = action->token,
        .channel = channel_of_id(sim, action->entry.channel),
    };
    sim->report.stores++;
    op.held.record = copy(action->record);
    op.held.record_len = (uint32_t)action->record.len;
    if (op.kind == DISK_STORE) {
        op.author = device_of_id(sim, action->entry.author);
        op.seq = action->entry.seq;
        memcpy(op.held.id, action->entry.id, ID_BYTES);
        op.held.time_ms = action->entry.time_ms;
        op.held.place_ms = action->entry.place_ms;
    }
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

void disk_crash(struct sim *sim, struct device *d)
{
    (void)sim;
    while (d->ops_len > 0)
        op_remove(d, &d->ops[d->ops_len - 1]);
    d->disk_due = 0;
    for (uint32_t c = 0; c < SIM_CHANNELS_MAX; c++)
        for (uint32_t a = 0; a < SIM_DEVICES_MAX; a++)
            d->shelves[c][a].shown = d->shelves[c][a].promised = 0, d->shelves[c][a].path = PATH_NONE;
}

void disk_wipe(struct sim *sim, struct device *d)
{
    disk_crash(sim, d);
    for (uint32_t c = 0; c < SIM_CHANNELS_MAX; c++) {
        free(d->channel_records[c]);
        d->channel_records[c] = NULL;
        for (uint32_t a = 0; a < SIM_DEVICES_MAX; a++) {
            struct shelf *shelf = &d->shelves[c][a];
            for (size_t i = 0; i < shelf->len; i++)
                held_free(&shelf->held[i]);
            shelf->len = 0;
            shelf->deepest = 0;
        }
    }
}

bool disk_restore(struct sim *sim, struct device *d)
{
    for (uint32_t c = 0; c < sim->channels_len; c++) {
        if (!d->channel_records[c]) continue;
        slice record = slice_of(d->channel_records[c], d->channel_record_len[c]);
        int rc = node_restore(d->node, record, device_clock(sim, d));
        if (rc == ERR_MEMORY) return false;
        if (rc != OK) sim_fail(sim, "device %u: restoring a channel: %s", d->index, err_name(rc));
    }
    for (uint32_t c = 0; c < sim->channels_len; c++) {
        for (uint32_t a = 0; a < sim->devices_len; a++) {
            struct shelf *shelf = &d->shelves[c][a];
            for (size_t i = 0; i < shelf->len; i++) {
                struct held *held = &shelf->held[i];
                if (!held->durable) continue;
                int rc =
                    node_restore(d->node, slice_of(held->record, held->record_len), device_clock(sim, d));
                if (rc == ERR_MEMORY) return false;
                if (rc == OK && shelf->shown == i) {
                    shelf->shown = i + 1;
                } else if (rc == OK) {
                    sim_fail(sim, "device %u: restored seq %zu of author %u after a gap", d->index, i + 1, a);
                } else if (rc == ERR_CORRUPT && i >= shelf->deepest) {
                    held_free(held); /* left over from a failed store */
                } else {
                    sim_fail(sim, "device %u: restoring seq %zu of author %u: %s", d->index, i + 1, a,
                             err_name(rc));
                }
            }
        }
    }
    return true;
}
