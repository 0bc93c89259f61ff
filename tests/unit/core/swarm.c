#include "swarm.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/cbor.h"

#define STEP_US (10 * MILLISECONDS)

/* --- memory and lies --- */

static void *counted(void *context, void *ptr, size_t old_size, size_t size)
{
    struct device *d = context;
    if (size > old_size && ++d->allocations == d->fail_at) return NULL;
    void *block = allocator_libc.resize(NULL, ptr, old_size, size);
    if (!block && size > 0) return NULL;
    d->bytes_used += size - old_size;
    if (d->bytes_used > d->bytes_most) d->bytes_most = d->bytes_used;
    return block;
}

/* A liar's hash of a leaf is that of the true one, so that it serves what is false. */
static void false_hash(void *context, uint8_t *out, size_t out_len, slice input)
{
    static uint8_t copy[NODE_LEAF_BYTES];
    (void)context;
    if (input.len > 20 * 1024 && input.len <= sizeof copy) {
        memcpy(copy, input.ptr, input.len);
        copy[0] ^= 0x80;
        input = slice_of(copy, input.len);
    }
    crypto_native()->hash(NULL, out, out_len, input);
}

/* --- life --- */

static void enter(struct swarm *w, struct device *d)
{
    uint8_t bytes[512];
    struct certificate c = {.account = SLICE("somebody"),
                            .device = node_device(d->node),
                            .issued_s = w->now / SECONDS - 10,
                            .expires_s = w->now / SECONDS + 86400};
    int len = certificate_write(crypto_native(), &c, w->authority_seed, bytes, sizeof bytes);
    assert_true(len > 0);
    struct command certificate = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(bytes, (size_t)len)};
    struct command join = {
        .kind = COMMAND_JOIN, .channel = w->channel, .device = w->authority, .bytes = SLICE("files")};
    assert_true(node_command(d->node, &certificate, w->now) >= 0);
    assert_true(node_command(d->node, &join, w->now) >= 0);
}

static void start(struct swarm *w, int device)
{
    struct device *d = &w->devices[device];
    struct node_config config = {.role = ROLE_PERSON, .channel_links_max = 60, .links_max = 60};
    memcpy(config.identity_seed, d->seed, 32);
    memset(config.random_seed, 0x10 + device, 32);
    memcpy(config.random_seed, &w->now, sizeof w->now);
    d->crypto = *crypto_native();
    if (d->lies) d->crypto.hash = false_hash;
    d->allocator = (struct allocator){d, counted};
    assert_int_equal(node_create(&config, &d->allocator, &d->crypto, w->now, &d->node), OK);
    enter(w, d);
}

struct swarm *swarm_new(int devices)
{
    struct swarm *w = calloc(1, sizeof *w);
    assert_int_equal(crypto_native_start(), OK);
    w->now = 1760000000 * SECONDS;
    memset(w->authority_seed, 0xA0, 32);
    crypto_native()->sign_public(NULL, w->authority, w->authority_seed);
    channel_id(crypto_native(), w->authority, SLICE("files"), w->channel);
    w->devices_len = devices;
    for (int i = 0; i < devices; i++) {
        memset(w->devices[i].seed, i + 1, 32);
        start(w, i);
    }
    return w;
}

static void link_free(struct swarm *w, int link)
{
    for (int side = 0; side < 2; side++) {
        free(w->links[link].flight[side]);
        w->links[link].flight[side] = NULL;
        w->links[link].flight_len[side] = w->links[link].flight_cap[side] = 0;
    }
}

void swarm_free(struct swarm *w)
{
    for (int i = 0; i < w->devices_len; i++) {
        struct device *d = &w->devices[i];
        node_destroy(d->node);
        assert_int_equal(d->bytes_used, 0);
        for (int f = 0; f < SWARM_FILES; f++) {
            free(d->copies[f].bytes);
            free(d->copies[f].side);
            free(d->copies[f].writes);
        }
    }
    for (int i = 0; i < w->links_len; i++)
        link_free(w, i);
    for (int f = 0; f < w->originals_len; f++) {
        free(w->originals[f].bytes);
        free(w->originals[f].side);
    }
    free(w);
}

void swarm_restart(struct swarm *w, int device)
{
    struct device *d = &w->devices[device];
    for (int i = 0; i < w->links_len; i++) {
        if (w->links[i].a == device || w->links[i].b == device) swarm_cut(w, i);
    }
    node_destroy(d->node);
    d->held_len = 0;
    start(w, device);
}

/* --- files --- */

int swarm_file(struct swarm *w, uint64_t size)
{
    int file = w->originals_len++;
    struct original *o = &w->originals[file];
    struct tree_builder b;
    struct tree_node nodes[TREE_NODES_MAX];
    uint32_t dice = (uint32_t)file * 7919 + 1;
    assert_true(file < SWARM_FILES);
    o->size = size;
    o->leaves = tree_leaves(size);
    o->bytes = malloc(size + 1);
    o->side = calloc(tree_positions(size) + 1, 32);
    for (uint64_t i = 0; i < size; i++) {
        dice = dice * 1664525 + 1013904223;
        o->bytes[i] = (uint8_t)(dice >> 20);
    }
    tree_begin(&b, size);
    for (uint32_t i = 0; i < o->leaves; i++) {
        unsigned count;
        slice leaf = slice_of(o->bytes + (size_t)i * NODE_LEAF_BYTES, tree_leaf_bytes(size, i));
        assert_int_equal(tree_add(&b, crypto_native(), leaf, nodes, &count), OK);
        for (unsigned k = 0; k < count; k++)
            memcpy(o->side + nodes[k].position * 32, nodes[k].hash, 32);
    }
    assert_int_equal(tree_root(&b, crypto_native(), o->root), OK);
    return file;
}

static struct copy *copy_of(struct swarm *w, int device, int file)
{
    struct copy *c = &w->devices[device].copies[file];
    const struct original *o = &w->originals[file];
    if (c->used) return c;
    c->used = true;
    c->bytes = calloc(1, o->size + 1);
    c->side = calloc(tree_positions(o->size) + 1, 32);
    c->writes = calloc(o->leaves + 1, 1);
    return c;
}

int64_t swarm_command(struct swarm *w, int device, enum command_kind kind, int file, bool online)
{
    const struct original *o = &w->originals[file];
    struct copy *c = &w->devices[device].copies[file];
    struct command command = {
        .kind = kind, .channel = w->channel, .root = o->root, .size = o->size, .online = online};
    if (kind == COMMAND_FILE_FETCH && c->used) command.bytes = slice_of(c->bitmap, (o->leaves + 7) / 8);
    return node_command(w->devices[device].node, &command, w->now);
}

void swarm_hold(struct swarm *w, int device, int file)
{
    struct copy *c = copy_of(w, device, file);
    const struct original *o = &w->originals[file];
    memcpy(c->bytes, o->bytes, o->size);
    memcpy(c->side, o->side, tree_positions(o->size) * 32);
    assert_int_equal(swarm_command(w, device, COMMAND_FILE_HOLD, file, true), 0);
}

int64_t swarm_fetch(struct swarm *w, int device, int file)
{
    (void)copy_of(w, device, file);
    return swarm_command(w, device, COMMAND_FILE_FETCH, file, true);
}

bool swarm_same(const struct swarm *w, int device, int file)
{
    const struct copy *c = &w->devices[device].copies[file];
    const struct original *o = &w->originals[file];
    return c->used && memcmp(c->bytes, o->bytes, o->size) == 0;
}

static int file_of(const struct swarm *w, const uint8_t *root)
{
    for (int f = 0; f < w->originals_len; f++) {
        if (memcmp(w->originals[f].root, root, 32) == 0) return f;
    }
    fail_msg("a root that nobody gave");
    return -1;
}

/* --- actions --- */

static void on_read(struct swarm *w, struct device *d, const struct action *a)
{
    static uint8_t bytes[NODE_LEAF_BYTES + TREE_PROOF_BYTES_MAX];
    int file = file_of(w, a->root);
    const struct original *o = &w->originals[file];
    const struct copy *c = &d->copies[file];
    uint64_t positions[TREE_LEVELS_MAX];
    size_t len = tree_leaf_bytes(o->size, (uint32_t)a->leaf);
    d->data_sent += len;
    memcpy(bytes, c->bytes + a->leaf * NODE_LEAF_BYTES, len);
    if (d->lies) bytes[0] ^= 0x80;
    unsigned count = tree_siblings(o->size, (uint32_t)a->leaf, positions);
    for (unsigned k = 0; k < count; k++, len += 32)
        memcpy(bytes + len, c->side + positions[k] * 32, 32);
    node_done(d->node, a->token, d->read_result, slice_of(bytes, d->read_result == OK ? len : 0), w->now);
}

static void on_write(struct swarm *w, struct device *d, const struct action *a)
{
    int file = file_of(w, a->root);
    const struct original *o = &w->originals[file];
    struct copy *c = &d->copies[file];
    uint64_t positions[TREE_LEVELS_MAX];
    uint32_t leaf = (uint32_t)a->leaf;
    if (d->write_result != OK && d->writes_left-- <= 0) {
        node_done(d->node, a->token, d->write_result, SLICE_EMPTY, w->now);
        return;
    }
    assert_int_equal(a->record.len, tree_leaf_bytes(o->size, leaf));
    assert_memory_equal(a->record.ptr, o->bytes + (size_t)leaf * NODE_LEAF_BYTES, a->record.len);
    memcpy(c->bytes + (size_t)leaf * NODE_LEAF_BYTES, a->record.ptr, a->record.len);
    unsigned count = tree_siblings(o->size, leaf, positions);
    assert_int_equal(a->proof.len, (size_t)count * 32);
    for (unsigned k = 0; k < count; k++)
        memcpy(c->side + positions[k] * 32, a->proof.ptr + (size_t)k * 32, 32);
    if (d->hold_writes) {
        assert_true(d->held_len < 256);
        d->held[d->held_len++] = a->token;
        return;
    }
    c->writes[leaf]++;
    c->bitmap[leaf / 8] |= (uint8_t)(1 << leaf % 8);
    node_done(d->node, a->token, OK, SLICE_EMPTY, w->now);
}

void swarm_write_held(struct swarm *w, int device, int result)
{
    struct device *d = &w->devices[device];
    for (size_t i = 0; i < d->held_len; i++)
        node_done(d->node, d->held[i], result, SLICE_EMPTY, w->now);
    d->held_len = 0;
}

static void on_report(struct swarm *w, struct device *d, const struct action *a)
{
    struct copy *c = &d->copies[file_of(w, a->root)];
    c->state = a->file_state;
    c->leaves = a->leaves;
    c->sources = a->sources;
    c->result = a->result;
    c->reports++;
    snprintf(c->text, sizeof c->text, "%.*s", (int)a->text.len, (const char *)a->text.ptr);
}

static void act(struct swarm *w, int device)
{
    struct device *d = &w->devices[device];
    struct action a;
    for (int rounds = 0; node_next(d->node, &a); rounds++) {
        assert_true(rounds < 100000);
        switch (a.kind) {
        case ACTION_STORE: node_done(d->node, a.token, OK, SLICE_EMPTY, w->now); break;
        case ACTION_READ: node_done(d->node, a.token, ERR_NOT_FOUND, SLICE_EMPTY, w->now); break;
        case ACTION_DELIVER: d->talks += a.entry.kind == ENTRY_TEXT; break;
        case ACTION_WRITABLE:
            if ((int)a.link < w->links_len)
                w->links[a.link].writable[w->links[a.link].a == device ? 0 : 1] = true;
            break;
        case ACTION_CLOSE: swarm_cut(w, (int)a.link); break;
        case ACTION_WARNING: d->warnings++; break;
        case ACTION_FILE_READ: on_read(w, d, &a); break;
        case ACTION_FILE_WRITE: on_write(w, d, &a); break;
        case ACTION_FILE: on_report(w, d, &a); break;
        default: break;
        }
    }
}

/* --- links and time --- */

int swarm_link(struct swarm *w, int a, int b)
{
    int link = w->links_len++;
    assert_true(link < SWARM_LINKS);
    w->links[link].a = a;
    w->links[link].b = b;
    w->links[link].up = true;
    struct node_link info = {.path = PATH_DIRECT, .initiator = true};
    assert_int_equal(node_link_up(w->devices[a].node, (uint32_t)link, &info, w->now), OK);
    info.initiator = false;
    assert_int_equal(node_link_up(w->devices[b].node, (uint32_t)link, &info, w->now), OK);
    return link;
}

void swarm_cut(struct swarm *w, int link)
{
    if (!w->links[link].up) return;
    w->links[link].up = false;
    node_link_down(w->devices[w->links[link].a].node, (uint32_t)link, w->now);
    node_link_down(w->devices[w->links[link].b].node, (uint32_t)link, w->now);
    link_free(w, link);
}

void swarm_mesh(struct swarm *w, int degree)
{
    for (int i = 0; i < w->devices_len; i++) {
        for (int k = 1; k <= degree / 2; k++) { /* near ones and far ones */
            int other = (i + (k % 2 ? k : k * 7)) % w->devices_len;
            bool there = other == i;
            for (int l = 0; l < w->links_len; l++) {
                there = there || (w->links[l].a == i && w->links[l].b == other) ||
                        (w->links[l].b == i && w->links[l].a == other);
            }
            if (!there) (void)swarm_link(w, i, other);
        }
    }
}

static void flight_add(struct swarm *w, int link, int side, const uint8_t *bytes, size_t len)
{
    size_t need = w->links[link].flight_len[side] + len;
    if (need > w->links[link].flight_cap[side]) {
        w->links[link].flight_cap[side] = need * 2;
        w->links[link].flight[side] = realloc(w->links[link].flight[side], need * 2);
        assert_non_null(w->links[link].flight[side]);
    }
    memcpy(w->links[link].flight[side] + w->links[link].flight_len[side], bytes, len);
    w->links[link].flight_len[side] = need;
}

/* One frame of one of the device's links. False when nothing has anything to say. */
static bool transmit(struct swarm *w, int device)
{
    static uint8_t bytes[NODE_TRANSMIT_ROOM + 1024];
    struct device *d = &w->devices[device];
    for (int i = 0; i < w->links_len; i++) {
        int link = (d->turn + i) % w->links_len, side = w->links[link].a == device ? 0 : 1;
        if (!w->links[link].up || !w->links[link].writable[side]) continue;
        if (side == 1 && w->links[link].b != device) continue;
        if (w->links[link].flight_len[side] > 64 * 1024) continue; /* the pipe is full */
        size_t len = node_transmit(d->node, (uint32_t)link, bytes, sizeof bytes, w->now);
        if (len == 0) {
            w->links[link].writable[side] = false;
            continue;
        }
        flight_add(w, link, side, bytes, len);
        d->budget -= (int64_t)len;
        d->turn = link + 1;
        return true;
    }
    return false;
}

static void deliver(struct swarm *w, int link, int side)
{
    static uint8_t bytes[1 << 20];
    size_t len = w->links[link].flight_len[side], at = 0, used;
    int to = side == 0 ? w->links[link].b : w->links[link].a;
    if (!w->links[link].up || len == 0) return;
    assert_true(len <= sizeof bytes);
    memcpy(bytes, w->links[link].flight[side], len);
    w->links[link].flight_len[side] = 0;
    for (int tries = 0; at < len && tries < 100; tries++) {
        int rc =
            node_receive(w->devices[to].node, (uint32_t)link, slice_of(bytes + at, len - at), w->now, &used);
        at += used;
        act(w, to);
        if (rc != OK && rc != ERR_BUSY) return;
    }
}

void swarm_step(struct swarm *w)
{
    w->now += STEP_US;
    for (int i = 0; i < w->links_len; i++) {
        deliver(w, i, 0);
        deliver(w, i, 1);
    }
    for (int i = 0; i < w->devices_len; i++) {
        struct device *d = &w->devices[i];
        if (node_deadline(d->node) <= w->now) node_tick(d->node, w->now);
        act(w, i);
        if (d->rate > 0) {
            int64_t more = (int64_t)(d->rate * STEP_US / SECONDS);
            d->budget = d->budget + more > more * 2 ? more * 2 : d->budget + more;
        }
        for (int frames = 0; frames < 2000 && (d->rate == 0 || d->budget > 0) && transmit(w, i); frames++)
            act(w, i);
    }
}

void swarm_run(struct swarm *w, usec time)
{
    for (usec end = w->now + time; w->now < end;)
        swarm_step(w);
}

bool swarm_until_done(struct swarm *w, int device, int file, usec time)
{
    const struct copy *c = &w->devices[device].copies[file];
    for (usec end = w->now + time; w->now < end && c->state != FILE_DONE;)
        swarm_step(w);
    if (c->state != FILE_DONE) return false;
    assert_true(swarm_same(w, device, file));
    return true;
}

void swarm_say(struct swarm *w, int device)
{
    static const uint8_t body[] = {0x81, 0x42, 'h', 'i'};
    struct command c = {.kind = COMMAND_SEND,
                        .channel = w->channel,
                        .entry_kind = ENTRY_TEXT,
                        .bytes = slice_of(body, sizeof body)};
    assert_true(node_command(w->devices[device].node, &c, w->now) > 0);
}
