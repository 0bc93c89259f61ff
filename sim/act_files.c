/* Files: persons offer some to a channel, all others fetch them, pause, cancel and begin again; disks are
 * slow, full or rotten, devices stop in the middle. What must hold: what is written is what was offered,
 * nothing that is on the disk is written again, DONE is true, and in the end everybody has everything. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/offer.h"
#include "core/tree.h"

enum { STREAM_FILES = 300, STREAM_CONTENT = 301, FILES_MOST = 8 };

struct shared_file {
    uint32_t owner, channel, leaves;
    uint64_t size;
    uint8_t root[ID_BYTES], *side;
    uint64_t seq; /* of the owner's entry that offers it; 0: not offered yet */
    usec offer_at;
    uint64_t given; /* bytes that the owner was asked to read */
};

/* What one device has of one file; survives its stops. */
struct local_file {
    bool wanted, paused, dropped, full;
    bool told; /* in this life, to the core */
    uint8_t *bitmap, *rotten, *side;
    uint32_t count;
    enum file_state state;
};

struct files {
    struct shared_file files[FILES_MOST];
    uint32_t len;
    uint64_t leaves_written;
    struct file_op {
        uint64_t token;
        uint32_t device, life, file, leaf;
        bool used, write, dropped;
        int result;
        uint8_t proof[TREE_PROOF_BYTES_MAX];
    } *ops;
    size_t ops_len, ops_cap;
    uint8_t leaf[NODE_LEAF_BYTES + TREE_PROOF_BYTES_MAX];
};

static struct files *files_of(struct sim *sim)
{
    return *activity_state(sim, &activity_files);
}

struct person {
    struct dice dice;
    struct local_file files[FILES_MOST];
};

static struct person *person_of(struct device *d)
{
    return *activity_state_of(d, &activity_files);
}

static bool bit(const uint8_t *bits, uint32_t leaf)
{
    return bits[leaf / 8] >> leaf % 8 & 1;
}

/* --- content --- */

static slice content(struct sim *sim, uint32_t file, uint32_t leaf)
{
    struct files *all = files_of(sim);
    struct dice dice = dice_stream(sim->options.seed, STREAM_CONTENT + file, leaf);
    size_t len = tree_leaf_bytes(all->files[file].size, leaf);
    for (size_t i = 0; i < len; i += 8) /* there is room behind a leaf */
        word_put(all->leaf + i, dice_next(&dice));
    return slice_of(all->leaf, len);
}

static void put_proof(uint8_t *side, const struct shared_file *f, uint32_t leaf, const uint8_t *proof)
{
    uint64_t positions[TREE_LEVELS_MAX];
    unsigned count = tree_siblings(f->size, leaf, positions);
    for (unsigned k = 0; k < count; k++)
        memcpy(side + positions[k] * TREE_HASH_BYTES, proof + (size_t)k * TREE_HASH_BYTES, TREE_HASH_BYTES);
}

static void get_proof(const uint8_t *side, const struct shared_file *f, uint32_t leaf, uint8_t *proof)
{
    uint64_t positions[TREE_LEVELS_MAX];
    unsigned count = tree_siblings(f->size, leaf, positions);
    for (unsigned k = 0; k < count; k++)
        memcpy(proof + (size_t)k * TREE_HASH_BYTES, side + positions[k] * TREE_HASH_BYTES, TREE_HASH_BYTES);
}

static bool is_proof(const struct shared_file *f, uint32_t leaf, slice proof)
{
    uint8_t expected[TREE_PROOF_BYTES_MAX];
    get_proof(f->side, f, leaf, expected);
    return slice_equal(proof, slice_of(expected, tree_proof_bytes(f->size, leaf)));
}

static void file_make(struct sim *sim, uint32_t file, uint64_t size)
{
    struct shared_file *f = &files_of(sim)->files[file];
    struct tree_builder b;
    struct tree_node nodes[TREE_NODES_MAX];
    unsigned count;
    f->size = size;
    f->leaves = tree_leaves(size);
    f->side = must_alloc((size_t)tree_positions(size) * TREE_HASH_BYTES + 1);
    tree_begin(&b, size);
    for (uint32_t leaf = 0; leaf < f->leaves; leaf++) {
        if (tree_add(&b, sim->crypto, content(sim, file, leaf), nodes, &count) != OK) sim_fail(sim, "a tree");
        for (unsigned k = 0; k < count; k++)
            memcpy(f->side + nodes[k].position * TREE_HASH_BYTES, nodes[k].hash, TREE_HASH_BYTES);
    }
    if (tree_root(&b, sim->crypto, f->root) != OK) sim_fail(sim, "a root");
}

static uint32_t file_of(struct sim *sim, const uint8_t *root)
{
    const struct files *all = files_of(sim);
    for (uint32_t i = 0; i < all->len; i++) {
        if (memcmp(all->files[i].root, root, ID_BYTES) == 0) return i;
    }
    return UINT32_MAX;
}

/* --- what persons do --- */

static int64_t say(struct sim *sim, struct device *d, uint32_t file, enum command_kind kind, bool online)
{
    const struct shared_file *f = &files_of(sim)->files[file];
    const struct local_file *l = &person_of(d)->files[file];
    struct command command = {.kind = kind,
                              .channel = sim->channels[f->channel].id,
                              .root = f->root,
                              .size = f->size,
                              .online = online};
    if (kind == COMMAND_FILE_FETCH && l->count > 0) command.bytes = slice_of(l->bitmap, (f->leaves + 7) / 8);
    sim_tell(sim, "device %u: file %u, command %d%s", d->index, file, kind, online ? " on" : "");
    int64_t rc = device_command(sim, d, &command);
    bool expected = rc == 0 || rc == ERR_NOT_FOUND || rc == ERR_MEMORY || rc == ERR_FULL;
    if (!expected)
        sim_fail(sim, "device %u: command %d of file %u: %s", d->index, kind, file, err_name((int)rc));
    return rc;
}

/* The owner has begun to offer it. */
static bool sharing(const struct sim *sim, const struct shared_file *f)
{
    return sim->now >= f->offer_at;
}

/* Tells the core of what is here or wanted; again, until it takes it. */
static void tell_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t file)
{
    struct device *d = &sim->devices[device];
    struct local_file *l = &person_of(d)->files[file];
    const struct shared_file *f = &files_of(sim)->files[file];
    bool owner = f->owner == device;
    if (!d->up || d->life != life || l->told || (l->dropped && !sim->calm)) return;
    if (!is_member(d, f->channel) || (owner ? !sharing(sim, f) : !l->wanted)) return;
    if (say(sim, d, (uint32_t)file, owner ? COMMAND_FILE_HOLD : COMMAND_FILE_FETCH, true) == 0) {
        l->told = true;
        l->paused = l->dropped = false;
    } else {
        schedule_at(sim, sim->now + SECONDS, tell_event, device, life, file);
    }
}

static void offer_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t file)
{
    struct device *d = &sim->devices[device];
    struct shared_file *f = &files_of(sim)->files[file];
    uint8_t body[512];
    (void)unused;
    if (sim->now >= sim->faults_end || (membership_of(d, f->channel) && !is_member(d, f->channel))) return;
    if (d->up) tell_event(sim, device, d->life, file);
    if (d->up && person_of(d)->files[file].told) {
        struct writer w = writer_of(body, sizeof body);
        struct offer_file one = {SLICE("folder/some file"), f->size, SLICE("text/plain"), f->root};
        if (offer_write(&w, &one, 1) != OK) sim_fail(sim, "an offer that cannot be written");
        if (f->seq == 0) (void)device_send(sim, d, f->channel, ENTRY_FILE, writer_slice(&w));
    }
    /* It counts once it is durable. */
    if (f->seq == 0) schedule_at(sim, sim->now + 2 * SECONDS, offer_event, device, 0, file);
}

/* Who cancels a file lets go of what is being written of it. */
static void drop_ops(struct sim *sim, const struct device *d, uint32_t file)
{
    struct files *all = files_of(sim);
    for (size_t i = 0; i < all->ops_len; i++) {
        struct file_op *op = &all->ops[i];
        op->dropped = op->dropped || (op->device == d->index && op->file == file);
    }
}

/* A pause or a cancellation, and some time later the contrary. */
static void whim_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t what)
{
    struct device *d = &sim->devices[device];
    struct person *person = person_of(d);
    uint32_t file = (uint32_t)(what >> 1);
    struct local_file *l = &person->files[file];
    if (!d->up || sim->calm) return;
    usec later = sim->now + dice_between(&person->dice, SECONDS, 8 * SECONDS);
    if (l->dropped) {
        l->dropped = false;
        tell_event(sim, device, d->life, file);
    } else if (!l->told) {
        return;
    } else if (l->paused) {
        l->paused = false;
        (void)say(sim, d, file, COMMAND_FILE_PAUSE, false);
    } else if (what & 1) {
        l->told = false;
        l->dropped = true;
        drop_ops(sim, d, file);
        (void)say(sim, d, file, COMMAND_FILE_DROP, true);
        schedule_at(sim, later, whim_event, device, life, what);
    } else {
        l->paused = true;
        (void)say(sim, d, file, COMMAND_FILE_PAUSE, true);
        schedule_at(sim, later, whim_event, device, life, what);
    }
}

/* There is room on the disk again, the person thinks. */
static void room_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t file)
{
    struct device *d = &sim->devices[device];
    struct local_file *l = &person_of(d)->files[file];
    l->full = false;
    if (!d->up || d->life != life || !l->told || l->paused) return;
    (void)say(sim, d, (uint32_t)file, COMMAND_FILE_PAUSE, false);
}

/* --- disks --- */

static void op_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t index);

static struct file_op *op_new(struct sim *sim, struct device *d, const struct action *action, uint32_t file)
{
    struct files *all = files_of(sim);
    struct person *person = person_of(d);
    size_t at = 0;
    while (at < all->ops_len && all->ops[at].used)
        at++;
    if (at == all->ops_len) {
        all->ops = must_grow(all->ops, all->ops_len, &all->ops_cap, sizeof *all->ops);
        all->ops_len++;
    }
    struct file_op *op = &all->ops[at];
    *op = (struct file_op){.used = true,
                           .token = action->token,
                           .device = d->index,
                           .life = d->life,
                           .file = file,
                           .leaf = (uint32_t)action->leaf};
    usec delay = dice_between(&person->dice, 100, 5 * MILLISECONDS);
    if (sim_has(sim, FAULT_DISK_SLOW) && !sim->calm && dice_chance(&person->dice, 50))
        delay += dice_below(&person->dice, SECONDS);
    if (!sim->calm && sim_has(sim, FAULT_DISK_FAILS)) {
        if (d->disk_full_until > sim->now && action->kind == ACTION_FILE_WRITE) op->result = ERR_DISK_FULL;
        if (dice_chance(&person->dice, 20)) op->result = ERR_IO;
    }
    schedule_at(sim, sim->now + delay, op_event, d->index, d->life, at);
    return op;
}

static void on_write(struct sim *sim, struct device *d, const struct action *action, uint32_t file)
{
    const struct shared_file *f = &files_of(sim)->files[file];
    const struct local_file *l = &person_of(d)->files[file];
    uint32_t leaf = (uint32_t)action->leaf;
    if (leaf >= f->leaves || !slice_equal(action->record, content(sim, file, leaf)) ||
        !is_proof(f, leaf, action->proof)) {
        sim_fail(sim, "device %u: leaf %u of file %u is not what was offered", d->index, leaf, file);
        return;
    }
    if (!l->told || !l->wanted) {
        sim_fail(sim, "device %u: leaf %u of file %u, which it does not fetch", d->index, leaf, file);
        return;
    }
    if (bit(l->bitmap, leaf) && !bit(l->rotten, leaf))
        sim_fail(sim, "device %u: leaf %u of file %u is written again", d->index, leaf, file);
    struct file_op *op = op_new(sim, d, action, file);
    op->write = true;
    memcpy(op->proof, action->proof.ptr ? action->proof.ptr : op->proof, action->proof.len);
}

static void finish_write(struct sim *sim, struct device *d, const struct file_op *op)
{
    struct files *all = files_of(sim);
    const struct shared_file *f = &all->files[op->file];
    struct local_file *l = &person_of(d)->files[op->file];
    if (op->result == OK) {
        put_proof(l->side, f, op->leaf, op->proof);
        l->count += !bit(l->bitmap, op->leaf);
        l->bitmap[op->leaf / 8] |= (uint8_t)(1u << op->leaf % 8);
        l->rotten[op->leaf / 8] &= (uint8_t)~(1u << op->leaf % 8);
        all->leaves_written++;
    }
    device_done(sim, d, op->token, op->result, SLICE_EMPTY);
}

static void finish_read(struct sim *sim, struct device *d, const struct file_op *op)
{
    struct files *all = files_of(sim);
    struct shared_file *f = &all->files[op->file];
    struct person *person = person_of(d);
    struct local_file *l = &person->files[op->file];
    bool owner = f->owner == d->index;
    if (op->result != OK) {
        device_done(sim, d, op->token, op->result, SLICE_EMPTY);
        return;
    }
    size_t len = content(sim, op->file, op->leaf).len, proof = tree_proof_bytes(f->size, op->leaf);
    get_proof(owner ? f->side : l->side, f, op->leaf, all->leaf + len);
    if (owner) f->given += len;
    bool rots = !sim->calm && sim_has(sim, FAULT_DISK_FAILS) && dice_chance(&person->dice, 5);
    if (rots) {
        dice_flip(&person->dice, all->leaf, len);
        if (!owner) l->rotten[op->leaf / 8] |= (uint8_t)(1u << op->leaf % 8);
    }
    device_done(sim, d, op->token, OK, slice_of(all->leaf, len + proof));
}

static void op_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t index)
{
    struct device *d = &sim->devices[device];
    struct file_op op = files_of(sim)->ops[index];
    files_of(sim)->ops[index].used = false;
    if (!d->up || d->life != life || op.dropped) return; /* it was cut off in the middle: nothing is there */
    if (op.write)
        finish_write(sim, d, &op);
    else
        finish_read(sim, d, &op);
}

/* --- what the core says --- */

static void on_read(struct sim *sim, struct device *d, const struct action *action, uint32_t file)
{
    const struct shared_file *f = &files_of(sim)->files[file];
    const struct local_file *l = &person_of(d)->files[file];
    uint32_t leaf = (uint32_t)action->leaf;
    if (leaf >= f->leaves || (f->owner != d->index && (!l->wanted || !bit(l->bitmap, leaf)))) {
        sim_fail(sim, "device %u serves leaf %u of file %u, which it does not have", d->index, leaf, file);
        return;
    }
    (void)op_new(sim, d, action, file);
}

static void on_report(struct sim *sim, struct device *d, const struct action *action, uint32_t file)
{
    const struct shared_file *f = &files_of(sim)->files[file];
    struct person *person = person_of(d);
    struct local_file *l = &person->files[file];
    uint32_t have = f->owner == d->index ? f->leaves : l->count;
    l->state = action->file_state;
    sim_tell(sim, "device %u: file %u, state %d, %llu of %llu, %u sources, %s", d->index, file, l->state,
             (unsigned long long)action->leaves, (unsigned long long)action->leaves_total, action->sources,
             err_name(action->result));
    if (action->leaves_total != f->leaves || action->leaves > have)
        sim_fail(sim, "device %u: file %u is told to have %llu of %llu leaves", d->index, file,
                 (unsigned long long)action->leaves, (unsigned long long)action->leaves_total);
    if (action->file_state == FILE_DONE && have < f->leaves)
        sim_fail(sim, "device %u: file %u is not done", d->index, file);
    if (action->file_state == FILE_PAUSED && action->result != OK && !l->full) {
        l->full = true;
        if (action->text.len == 0) sim_fail(sim, "device %u: file %u stops without a word", d->index, file);
        schedule_at(sim, sim->now + dice_between(&person->dice, SECONDS, 9 * SECONDS), room_event, d->index,
                    d->life, file);
    }
}

static void want(struct sim *sim, struct device *d, uint32_t file)
{
    const struct shared_file *f = &files_of(sim)->files[file];
    struct person *person = person_of(d);
    struct local_file *l = &person->files[file];
    if (l->wanted || f->owner == d->index) return;
    l->wanted = true;
    l->bitmap = must_alloc(f->leaves / 8 + 1);
    l->rotten = must_alloc(f->leaves / 8 + 1);
    l->side = must_alloc((size_t)tree_positions(f->size) * TREE_HASH_BYTES + 1);
    schedule_at(sim, sim->now + dice_below(&person->dice, SECONDS / 2), tell_event, d->index, d->life, file);
}

static void on_offer(struct sim *sim, struct device *d, const struct entry_view *entry)
{
    struct offer offer;
    struct offer_file one;
    if (!person_of(d) || entry->locked || offer_read(entry->body, &offer) != OK || !offer_next(&offer, &one))
        return;
    uint32_t file = file_of(sim, one.root);
    if (file == UINT32_MAX) return;
    struct shared_file *f = &files_of(sim)->files[file];
    if (f->owner == d->index && f->seq == 0) f->seq = entry->seq;
    want(sim, d, file);
}

static void files_action(struct sim *sim, struct device *d, const struct action *action)
{
    if (action->kind == ACTION_DELIVER && action->entry.kind == ENTRY_FILE) on_offer(sim, d, &action->entry);
    if (action->kind < ACTION_FILE_READ || action->kind > ACTION_FILE) return;
    uint32_t file = file_of(sim, action->root);
    digest_number(sim, action->kind << 8 | file);
    digest_number(sim, action->leaf << 32 | action->leaves);
    if (file == UINT32_MAX || d->kind != DEVICE_PERSON) {
        sim_fail(sim, "device %u: an action of a file that nobody offered", d->index);
        return;
    }
    if (action->kind == ACTION_FILE_READ) on_read(sim, d, action, file);
    if (action->kind == ACTION_FILE_WRITE) on_write(sim, d, action, file);
    if (action->kind == ACTION_FILE) on_report(sim, d, action, file);
}

/* --- course --- */

static uint64_t some_size(struct sim *sim, struct dice *dice)
{
    uint64_t most = sim_has(sim, FAULT_SLOW_PIPE) ? 2 : 12, leaf = NODE_LEAF_BYTES;
    uint64_t leaves = dice_between(dice, 1, most);
    if (sim->setup.file_bytes) return sim->setup.file_bytes;
    switch (dice_below(dice, 6)) {
    case 0: return 0;
    case 1: return dice_between(dice, 1, 16 * 1024);
    case 2: return leaf * leaves + dice_below(dice, 3) - 1; /* around a border */
    default: return dice_between(dice, 1, most * leaf);
    }
}

static void plan_whims(struct sim *sim, struct device *d, uint32_t files)
{
    struct dice *dice = &person_of(d)->dice;
    for (uint32_t i = 0; i < files; i++) {
        bool has = dice_chance(dice, 250);
        usec at = sim->now + dice_below(dice, sim->faults_end - sim->now);
        uint64_t what = (uint64_t)i << 1 | (uint64_t)dice_chance(dice, 500);
        if (has && sim->setup.file_bytes == 0) schedule_at(sim, at, whim_event, d->index, 0, what);
    }
}

static void files_plan(struct sim *sim)
{
    struct files *all = must_alloc(sizeof *all);
    struct dice dice = dice_stream(sim->options.seed, STREAM_FILES, 0);
    *activity_state(sim, &activity_files) = all;
    all->len = sim->setup.file_bytes ? 1 : (uint32_t)dice_between(&dice, 1, FILES_MOST);
    for (uint32_t i = 0; i < all->len; i++) {
        struct shared_file *f = &all->files[i];
        f->owner = (uint32_t)dice_between(&dice, 1, sim->setup.persons);
        usec at = sim->now + 5 * SECONDS + dice_below(&dice, (sim->faults_end - sim->now) * 3 / 4);
        if (sim->setup.file_bytes) at = sim->now + sim->setup.start_spread + 10 * SECONDS;
        uint32_t channel = (uint32_t)dice_below(&dice, sim->setup.channels);
        f->channel = membership_of(&sim->devices[f->owner], channel) ? channel : 0;
        f->offer_at = at;
        file_make(sim, i, some_size(sim, &dice));
        for (uint32_t k = 0; k < i; k++) /* two empty ones are the same file */
            if (memcmp(all->files[k].root, f->root, ID_BYTES) == 0) f->channel = UINT32_MAX;
        if (f->channel == UINT32_MAX)
            free(f->side), all->len = i;
        else
            schedule_at(sim, at, offer_event, f->owner, 0, i);
    }
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        if (d->kind != DEVICE_PERSON) continue;
        struct person *person = must_alloc(sizeof *person);
        person->dice = dice_stream(sim->options.seed, STREAM_FILES, i);
        *activity_state_of(d, &activity_files) = person;
        plan_whims(sim, d, all->len);
    }
}

static void files_started(struct sim *sim, struct device *d)
{
    struct person *person = person_of(d);
    for (uint32_t i = 0; person && i < files_of(sim)->len; i++) {
        const struct shared_file *f = &files_of(sim)->files[i];
        person->files[i].told = person->files[i].full = false;
        /* An offer that was on the disk and not yet shown is seen now. */
        const struct shelf *shelf = f->seq > 0 ? shelf_find(d, f->channel, f->owner) : NULL;
        const struct held *held = shelf ? held_find(shelf, f->seq) : NULL;
        if (held && held->durable) want(sim, d, i);
        schedule_at(sim, sim->now + dice_below(&person->dice, 100 * MILLISECONDS), tell_event, d->index,
                    d->life, i);
    }
}

static void files_calm(struct sim *sim)
{
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *d = &sim->devices[i];
        struct person *person = d->kind == DEVICE_PERSON ? person_of(d) : NULL;
        for (uint32_t k = 0; person && d->up && k < files_of(sim)->len; k++) {
            struct local_file *l = &person->files[k];
            l->dropped = false;
            if (!l->told) {
                tell_event(sim, i, d->life, k);
            } else if (l->paused) {
                l->paused = false;
                (void)say(sim, d, k, COMMAND_FILE_PAUSE, false);
            }
        }
    }
}

/* Somebody who can hand it on holds the entry that offers it. */
static bool offer_there(const struct sim *sim, const struct shared_file *f)
{
    for (uint32_t i = 0; i <= sim->setup.persons; i++) {
        const struct device *d = &sim->devices[i];
        const struct shelf *shelf = is_member(d, f->channel) ? shelf_find(d, f->channel, f->owner) : NULL;
        const struct held *held = shelf ? held_find(shelf, f->seq) : NULL;
        if (held && held->durable) return true;
    }
    return false;
}

/* Whether the members of its channel have the offer, and each leaf of it. An owner who left has told
 * somebody, but the tracker may lose its memory. */
static bool all_there(struct sim *sim, uint32_t file)
{
    const struct shared_file *f = &files_of(sim)->files[file];
    if (is_member(&sim->devices[f->owner], f->channel)) return true;
    if (!offer_there(sim, f)) return false;
    for (uint32_t leaf = 0; leaf < f->leaves; leaf++) {
        bool there = false;
        for (uint32_t i = 1; i <= sim->setup.persons && !there; i++) {
            struct device *d = &sim->devices[i];
            if (d->kind != DEVICE_PERSON || !is_member(d, f->channel)) continue;
            const struct local_file *l = &person_of(d)->files[file];
            there = l->bitmap && bit(l->bitmap, leaf) && !bit(l->rotten, leaf);
        }
        if (!there) return false;
    }
    return true;
}

static bool files_converged(struct sim *sim, char *why, size_t room)
{
    const struct files *all = files_of(sim);
    for (uint32_t k = 0; k < all->len; k++) {
        const struct shared_file *f = &all->files[k];
        if (f->seq == 0 || !all_there(sim, k)) continue;
        for (uint32_t i = 1; i < sim->devices_len; i++) {
            struct device *d = &sim->devices[i];
            if (d->kind != DEVICE_PERSON || i == f->owner || !is_member(d, f->channel)) continue;
            const struct local_file *l = &person_of(d)->files[k];
            if (l->wanted && l->count == f->leaves && l->state == FILE_DONE) continue;
            /* Whoever has not asked for the history does not know of it; when he has, the rest is checked. */
            if (!l->wanted && membership_of(d, f->channel)->on_demand) continue;
            if (why)
                snprintf(why, room, "device %u has %u of %u leaves of file %u (state %d)", i, l->count,
                         f->leaves, k, l->state);
            return false;
        }
    }
    return true;
}

static void files_end(struct sim *sim)
{
    struct files *all = files_of(sim);
    for (uint32_t k = 0; k < all->len; k++) {
        const struct shared_file *f = &all->files[k];
        if (sim->setup.file_bytes && f->size > 0 && !sim->report.failed) {
            uint64_t ratio = f->given * 1000 / f->size;
            sim_figure(sim, "file-sender-uploads", ratio);
            if (sim->faults == 0 && ratio > 1300)
                sim_fail(sim, "the sender uploaded file %u %llu.%03llu times", k,
                         (unsigned long long)(ratio / 1000), (unsigned long long)(ratio % 1000));
        }
        free(f->side);
    }
    sim_tell(sim, "files: %u, %llu leaves written", all->len, (unsigned long long)all->leaves_written);
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct person *person = sim->devices[i].kind == DEVICE_PERSON ? person_of(&sim->devices[i]) : NULL;
        for (uint32_t k = 0; person && k < FILES_MOST; k++) {
            free(person->files[k].bitmap);
            free(person->files[k].rotten);
            free(person->files[k].side);
        }
        free(person);
    }
    free(all->ops);
    free(all);
}

/* --- what a hostile device answers --- */

bool files_lie(struct sim *sim, struct dice *dice, slice plain, struct writer *w)
{
    struct cbor_reader r = cbor_reader_of(plain);
    uint8_t junk[16 * 1024];
    uint64_t elements = cbor_array(&r, 64), kind = cbor_uint(&r, UINT64_MAX);
    if (r.failed || elements < 4 || !files_of(sim)) return false;
    if (kind == MESSAGE_FILE_ASK) { /* "I have everything", or something that cannot be */
        const uint8_t *channel = cbor_fixed(&r, ID_BYTES), *root = cbor_fixed(&r, ID_BYTES);
        uint64_t size = cbor_uint(&r, TREE_SIZE_MAX);
        if (r.failed) return false;
        cbor_put_array(w, 6);
        cbor_put_uint(w, MESSAGE_FILE_HAVE);
        cbor_put_bytes(w, slice_of(channel, ID_BYTES));
        cbor_put_bytes(w, slice_of(root, ID_BYTES));
        cbor_put_uint(w, dice_chance(dice, 900) ? size : dice_next(dice) >> 20);
        cbor_put_uint(w, dice_below(dice, 2));
        cbor_put_array(w, 2);
        cbor_put_uint(w, dice_chance(dice, 900) ? 0 : dice_below(dice, 100));
        cbor_put_uint(w, dice_chance(dice, 900) ? tree_leaves(size) : dice_below(dice, 100));
        return true;
    }
    if (kind != MESSAGE_FILE_WANT) return false;
    const uint8_t *root = cbor_fixed(&r, ID_BYTES);
    (void)cbor_uint(&r, UINT64_MAX);
    (void)cbor_array(&r, 64);
    uint64_t leaf = cbor_uint(&r, UINT32_MAX);
    uint32_t file = r.failed ? UINT32_MAX : file_of(sim, root);
    if (file == UINT32_MAX || leaf >= files_of(sim)->files[file].leaves) return false;
    uint64_t size = files_of(sim)->files[file].size;
    bool stop = dice_chance(dice, 300);
    cbor_put_array(w, stop ? 5 : 6);
    cbor_put_uint(w, stop ? MESSAGE_FILE_STOP : MESSAGE_FILE_DATA);
    cbor_put_bytes(w, slice_of(root, ID_BYTES));
    cbor_put_uint(w, leaf);
    if (stop) {
        cbor_put_uint(w, dice_below(dice, 5));
        cbor_put_uint(w, dice_below(dice, tree_leaves(size) + 1));
        return true;
    }
    dice_bytes(dice, junk, sizeof junk);
    size_t len = tree_leaf_bytes(size, (uint32_t)leaf), proof = tree_proof_bytes(size, (uint32_t)leaf);
    if (len > sizeof junk) len = sizeof junk;
    if (dice_chance(dice, 200)) len = (size_t)dice_below(dice, len + 1); /* cut off */
    cbor_put_uint(w, dice_chance(dice, 100) ? dice_below(dice, 70000) : 0);
    cbor_put_bytes(w, slice_of(junk, len));
    cbor_put_bytes(w, slice_of(junk, proof));
    return true;
}

const struct activity activity_files = {
    .name = "files",
    .brief = "persons offer files, fetch them from each other, pause and cancel",
    .chance = 350,
    .plan = files_plan,
    .started = files_started,
    .action = files_action,
    .calm = files_calm,
    .converged = files_converged,
    .end = files_end,
};
