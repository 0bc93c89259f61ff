/* What hostile devices say about files costs them their link or nothing at all; memory stays within its
 * limits, also for the largest files, and any allocation may fail. The attacker is a real link, certified,
 * whose messages are written by hand. */
#include "swarm.h"

#include <stdio.h>

#include "base/cbor.h"
#include "core/identity.h"
#include "core/link.h"
#include "core/message.h"

#define LEAF ((uint64_t)NODE_LEAF_BYTES)

struct attacker {
    struct swarm *w;
    struct device *victim;
    struct link link;
    uint8_t seed[32], device[32], certificate[512];
    struct link_self self;
    uint32_t number;
    int error;
    bool closed;
    uint64_t kinds[32], kind_bytes[32]; /* what the victim said */
    uint8_t plain[LINK_MESSAGE_BYTES_MAX];
    struct writer w_out; /* of the message that is being written, in `plain` */
    uint32_t wanted[256], wanted_len;
};

static void give(struct attacker *a, slice bytes)
{
    size_t used = 0;
    a->error = node_receive(a->victim->node, a->number, bytes, a->w->now, &used);
}

static void hear(struct attacker *a, slice plain)
{
    struct cbor_reader r = cbor_reader_of(plain);
    (void)cbor_array(&r, 64);
    uint64_t kind = cbor_uint(&r, UINT64_MAX);
    if (r.failed || kind >= 32) return;
    a->kinds[kind]++;
    a->kind_bytes[kind] += plain.len;
    if (kind != MESSAGE_FILE_WANT) return;
    (void)cbor_fixed(&r, 32);
    (void)cbor_uint(&r, UINT64_MAX);
    for (uint64_t left = cbor_array(&r, 64); left > 0 && a->wanted_len < 256; left--)
        a->wanted[a->wanted_len++] = (uint32_t)cbor_uint(&r, UINT32_MAX);
}

/* Carries out what the victim wants, and listens. */
static void take(struct attacker *a)
{
    static uint8_t bytes[65536], scratch[LINK_FRAME_BYTES_MAX];
    struct action action;
    size_t len = 1;
    for (int rounds = 0; rounds < 100000 && len > 0; rounds++) {
        while (node_next(a->victim->node, &action)) {
            if (action.kind == ACTION_STORE)
                node_done(a->victim->node, action.token, OK, SLICE_EMPTY, a->w->now);
            if (action.kind == ACTION_WARNING) a->victim->warnings++;
            if (action.kind == ACTION_CLOSE && action.link == a->number) a->closed = true;
        }
        len = a->closed ? 0 : node_transmit(a->victim->node, a->number, bytes, sizeof bytes, a->w->now);
        slice rest = slice_of(bytes, len), message;
        while (len > 0 && link_next(&a->link, &rest, scratch, &message) == OK)
            hear(a, message);
    }
}

static void greet(struct attacker *a)
{
    uint8_t bytes[4096];
    struct writer w = writer_of(bytes, sizeof bytes);
    while (link_greets(&a->link))
        assert_int_equal(link_greet(&a->link, &a->self, &w), OK);
    if (w.len) give(a, writer_slice(&w));
    take(a);
}

static struct writer *begin(struct attacker *a, uint64_t elements, enum message_kind kind)
{
    a->w_out = writer_of(a->plain, sizeof a->plain);
    cbor_put_array(&a->w_out, elements);
    cbor_put_uint(&a->w_out, kind);
    return &a->w_out;
}

static void send(struct attacker *a)
{
    static uint8_t bytes[LINK_FRAME_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    assert_false(a->w_out.failed);
    assert_int_equal(link_seal(&a->link, writer_slice(&a->w_out), &w), OK);
    give(a, writer_slice(&w));
}

static struct attacker *attack(struct swarm *w, int victim, uint32_t serial)
{
    struct attacker *a = calloc(1, sizeof *a);
    const struct crypto *c = crypto_native();
    uint8_t secret[32], ephemeral[32];
    a->w = w;
    a->victim = &w->devices[victim];
    a->number = 5000 + serial;
    memset(a->seed, 0x66, 32);
    memcpy(a->seed, &serial, 4);
    memset(ephemeral, 0x55, 32);
    c->sign_public(NULL, a->device, a->seed);
    identity_noise_secret(c, a->seed, secret);
    struct certificate names = {.account = SLICE("mallory"),
                                .device = a->device,
                                .issued_s = w->now / SECONDS - 10,
                                .expires_s = w->now / SECONDS + 86400};
    int len = certificate_write(c, &names, w->authority_seed, a->certificate, sizeof a->certificate);
    assert_true(len > 0);
    a->self = (struct link_self){a->device, a->seed, ROLE_PERSON, slice_of(a->certificate, (size_t)len)};
    assert_int_equal(link_init(&a->link, &allocator_libc, c, true, SLICE_EMPTY, secret, ephemeral), OK);
    struct node_link info = {.path = PATH_DIRECT};
    assert_int_equal(node_link_up(a->victim->node, a->number, &info, w->now), OK);
    for (int i = 0; i < 3; i++)
        greet(a);
    struct writer *m = begin(a, 3, MESSAGE_CARRY);
    cbor_put_bytes(m, slice_of(w->channel, 32));
    cbor_put_uint(m, 1);
    send(a);
    take(a);
    assert_int_equal(a->error, OK);
    return a;
}

static void end(struct attacker *a)
{
    node_link_down(a->victim->node, a->number, a->w->now);
    link_deinit(&a->link);
    free(a);
}

/* The head of a HAVE; runs follow. */
static struct writer *have(struct attacker *a, uint64_t elements, const uint8_t *root, uint64_t size)
{
    struct writer *m = begin(a, elements, MESSAGE_FILE_HAVE);
    cbor_put_bytes(m, slice_of(a->w->channel, 32));
    cbor_put_bytes(m, slice_of(root, 32));
    cbor_put_uint(m, size);
    cbor_put_uint(m, 0);
    return m;
}

static void have_all(struct attacker *a, int file)
{
    struct writer *m = have(a, 6, a->w->originals[file].root, a->w->originals[file].size);
    cbor_put_array(m, 2);
    cbor_put_uint(m, 0);
    cbor_put_uint(m, a->w->originals[file].leaves);
    send(a);
    take(a);
}

static void data(struct attacker *a, int file, uint32_t leaf, uint64_t offset, size_t len, size_t proof)
{
    static const uint8_t zeros[NODE_LEAF_BYTES];
    struct writer *m = begin(a, 6, MESSAGE_FILE_DATA);
    cbor_put_bytes(m, slice_of(a->w->originals[file].root, 32));
    cbor_put_uint(m, leaf);
    cbor_put_uint(m, offset);
    cbor_put_bytes(m, slice_of(zeros, len));
    cbor_put_bytes(m, slice_of(zeros, proof));
    send(a);
}

/* A device that fetches a file of 1,000 leaves (nobody has it), and one who attacks it. */
static struct attacker *fetching(struct swarm **out_w, int *out_file)
{
    struct swarm *w = swarm_new(1);
    *out_w = w;
    *out_file = w->originals_len++;
    struct original *o = &w->originals[*out_file];
    memset(o->root, 0xEE, 32);
    o->size = 500 * LEAF - 5;
    o->leaves = 500;
    assert_int_equal(swarm_fetch(w, 0, *out_file), 0);
    return attack(w, 0, 1);
}

static void sets_that_cannot_be_close_the_link(void **state)
{
    (void)state;
    static const uint64_t runs[][4] = {
        {0, 501, 0, 0}, {500, 1, 0, 0}, {499, 2, 0, 0},   {7, 0, 0, 0},
        {10, 5, 14, 2}, {20, 1, 5, 1},  {0, 500, 0, 500}, {UINT32_MAX, UINT32_MAX, 0, 0},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs + 5; i++) {
        struct swarm *w;
        int file;
        struct attacker *a = fetching(&w, &file);
        const uint8_t *root = w->originals[file].root;
        uint64_t size = w->originals[file].size;
        uint8_t bits[63] = {0};
        if (i < sizeof runs / sizeof *runs) {
            struct writer *m = have(a, 6, root, size);
            cbor_put_array(m, runs[i][3] ? 4 : 2);
            for (int k = 0; k < (runs[i][3] ? 4 : 2); k++)
                cbor_put_uint(m, runs[i][k]);
        } else {
            size_t kind = i - sizeof runs / sizeof *runs;
            struct writer *m = have(a, kind == 0 ? 6 : 8, root, size);
            cbor_put_array(m, kind == 0 ? 1 : 0);
            if (kind == 0) cbor_put_uint(m, 3); /* half a run */
            bits[62] = kind == 1 ? 0x10 : 0x08; /* leaf 500 is none; 499 is the last */
            if (kind > 0) cbor_put_uint(m, kind == 2 ? 8 : kind == 3 ? 512 : 0);
            if (kind > 0) cbor_put_bytes(m, slice_of(bits, kind == 3 ? 1 : 63));
            if (kind == 4) { /* the right one: no reason to close */
                send(a);
                assert_int_equal(a->error, OK);
                take(a);
                assert_int_equal(a->wanted_len, 1);
                assert_int_equal(a->wanted[0], 499);
                end(a);
                swarm_free(w);
                continue;
            }
        }
        send(a);
        assert_int_equal(a->error, ERR_MALFORMED);
        end(a);
        swarm_free(w);
    }
}

/* Truncated, out of order, too long, a wrong proof: the same as a lie. */
static void pieces_that_do_not_fit_end_the_trust(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        struct swarm *w;
        int file;
        struct attacker *a = fetching(&w, &file);
        have_all(a, file);
        assert_true(a->wanted_len >= 2);
        uint32_t leaf = a->wanted[0];
        size_t proof = tree_proof_bytes(w->originals[file].size, leaf);
        size_t bytes = a->victim->bytes_used;
        switch (kind) {
        case 0: data(a, file, leaf, 0, 16383, proof); break;
        case 1: data(a, file, leaf, 16384, 16384, 0); break;
        case 2: data(a, file, leaf, 0, 16384, proof - 32); break;
        case 3: data(a, file, leaf, 0, 0, proof); break;
        case 4:
            data(a, file, leaf, 0, 16384, proof);
            data(a, file, leaf, 0, 16384, proof); /* again */
            break;
        default:
            for (uint64_t at = 0; at < LEAF; at += 16384)
                data(a, file, leaf, at, 16384, at ? 0 : proof); /* whole, and false */
        }
        take(a);
        assert_int_equal(a->error, OK); /* one glitch closes nothing */
        assert_int_equal(a->victim->warnings, 1);
        assert_true(a->victim->bytes_used <= bytes); /* nothing of it is kept */
        a->wanted_len = 0;
        have_all(a, file);
        w->now += 60 * SECONDS;
        node_tick(a->victim->node, w->now);
        take(a);
        assert_int_equal(a->wanted_len, 0); /* and nothing is asked for */
        end(a);
        swarm_free(w);
    }
}

static void bytes_that_nobody_asked_for_close_the_link(void **state)
{
    (void)state;
    struct swarm *w;
    int file;
    struct attacker *a = fetching(&w, &file);
    have_all(a, file);
    uint32_t leaf = 0;
    for (uint32_t i = 0; i < a->wanted_len; i++) /* one that it did not ask for */
        if (a->wanted[i] == leaf) leaf++, i = UINT32_MAX;
    for (int i = 0; i < 300 && a->error == OK; i++)
        data(a, file, leaf, 0, 100, 0);
    assert_int_equal(a->error, ERR_PROTOCOL);
    end(a);
    swarm_free(w);
}

static void wants_beyond_the_end_close_the_link(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct swarm *w = swarm_new(1);
        int file = swarm_file(w, 70 * LEAF);
        swarm_hold(w, 0, file);
        struct attacker *a = attack(w, 0, 1);
        struct writer *m = begin(a, 4, MESSAGE_FILE_ASK);
        cbor_put_bytes(m, slice_of(w->channel, 32));
        cbor_put_bytes(m, slice_of(w->originals[file].root, 32));
        cbor_put_uint(m, 70 * LEAF);
        send(a);
        take(a);
        assert_int_equal(a->kinds[MESSAGE_FILE_HAVE], 1);
        m = begin(a, 4, MESSAGE_FILE_WANT);
        cbor_put_bytes(m, slice_of(w->originals[file].root, 32));
        cbor_put_uint(m, 0);
        cbor_put_array(m, kind == 0 ? 1 : 65);
        for (uint32_t i = 0; i < (kind == 0 ? 1 : 65); i++)
            cbor_put_uint(m, kind == 0 ? 70 : i);
        send(a);
        assert_int_equal(a->error, ERR_MALFORMED);
        end(a);
        swarm_free(w);
    }
}

static void ask_and_want(struct attacker *a, int file, uint32_t leaves)
{
    const struct original *o = &a->w->originals[file];
    struct writer *m = begin(a, 4, MESSAGE_FILE_ASK);
    cbor_put_bytes(m, slice_of(a->w->channel, 32));
    cbor_put_bytes(m, slice_of(o->root, 32));
    cbor_put_uint(m, o->size);
    send(a);
    m = begin(a, 4, MESSAGE_FILE_WANT);
    cbor_put_bytes(m, slice_of(o->root, 32));
    cbor_put_uint(m, 0);
    cbor_put_array(m, leaves);
    for (uint32_t i = leaves; i-- > 0;)
        cbor_put_uint(m, i);
    send(a);
    take(a);
    assert_int_equal(a->error, OK);
}

/* Of what somebody else is being given the sender says so, and offers something else; when he is gone it is
 * given. (Neither reads: everything stays under way.) */
static void what_one_is_given_another_one_gets_from_there(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(1);
    int file = swarm_file(w, 70 * LEAF);
    swarm_hold(w, 0, file);
    struct attacker *first = attack(w, 0, 1), *second = attack(w, 0, 2), *third = attack(w, 0, 3);
    ask_and_want(first, file, 40);
    assert_int_equal(first->kinds[MESSAGE_FILE_STOP], 0);
    ask_and_want(second, file, 64);
    assert_int_equal(second->kinds[MESSAGE_FILE_STOP], 40);
    end(first);
    ask_and_want(third, file, 64);
    assert_int_equal(third->kinds[MESSAGE_FILE_STOP], 24);
    end(second);
    end(third);
    swarm_free(w);
}

/* A thousand asks for what is not here, and a hundred thousand odd words: the memory stays as it is. */
static void floods_take_no_memory(void **state)
{
    (void)state;
    struct swarm *w;
    int file;
    struct attacker *a = fetching(&w, &file);
    const uint8_t *root = w->originals[file].root;
    uint8_t unknown[32] = {0};
    have_all(a, file);
    size_t before = a->victim->bytes_used;
    for (uint32_t i = 0; i < 100000 && a->error == OK; i++) {
        struct writer *m;
        memcpy(unknown, &i, sizeof i);
        switch (i % 4) {
        case 0:
            m = begin(a, 4, MESSAGE_FILE_ASK);
            cbor_put_bytes(m, slice_of(w->channel, 32));
            cbor_put_bytes(m, slice_of(i % 8 ? unknown : root, 32));
            cbor_put_uint(m, i);
            break;
        case 1:
            m = have(a, 6, i % 8 == 1 ? unknown : root, w->originals[file].size);
            cbor_put_array(m, 2);
            cbor_put_uint(m, i % 400);
            cbor_put_uint(m, 7);
            break;
        case 2:
            m = begin(a, 4, MESSAGE_FILE_WANT);
            cbor_put_bytes(m, slice_of(root, 32));
            cbor_put_uint(m, i % 3);
            cbor_put_array(m, 1);
            cbor_put_uint(m, i % 500);
            break;
        default:
            m = begin(a, 5, MESSAGE_FILE_STOP);
            cbor_put_bytes(m, slice_of(root, 32));
            cbor_put_uint(m, i % 500);
            cbor_put_uint(m, i % 5 == 3 ? 4 : i % 5);
            cbor_put_uint(m, i % 499);
        }
        send(a);
        if (i % 64 == 0) take(a);
        assert_true(a->victim->bytes_used < before + 128 * 1024);
    }
    take(a);
    assert_true(a->victim->bytes_used < before + 128 * 1024);
    end(a);
    swarm_free(w);
}

/* Sets that others claim of the largest file: 2 MiB each, and at most 64 MiB. */
static void sets_of_the_largest_file_are_bounded(void **state)
{
    (void)state;
    enum { ATTACKERS = 40 };
    struct swarm *w = swarm_new(1);
    struct attacker *attackers[ATTACKERS];
    struct original *o = &w->originals[w->originals_len++];
    memset(o->root, 0xEE, 32);
    o->size = TREE_SIZE_MAX;
    o->leaves = 1 << 24;
    struct command fetch = {
        .kind = COMMAND_FILE_FETCH, .channel = w->channel, .root = o->root, .size = o->size};
    assert_int_equal(node_command(w->devices[0].node, &fetch, w->now), 0);
    assert_true(w->devices[0].bytes_used < 5 << 20); /* its own two sets */
    for (uint32_t i = 0; i < ATTACKERS; i++) {
        attackers[i] = attack(w, 0, i);
        struct writer *m = have(attackers[i], 6, o->root, o->size);
        cbor_put_array(m, 2);
        cbor_put_uint(m, i * 1000);
        cbor_put_uint(m, 1000);
        send(attackers[i]);
        take(attackers[i]);
        assert_int_equal(attackers[i]->error, OK);
        if (i < 20) assert_true(attackers[i]->wanted_len > 0);
    }
    assert_true(w->devices[0].bytes_used < 72 << 20);
    for (int i = 0; i < ATTACKERS; i++)
        end(attackers[i]);
    assert_true(w->devices[0].bytes_used < 6 << 20); /* all given back */
    swarm_free(w);
}

/* What a device with part of a file of 2^40 bytes says of it: as runs where that is shorter, as bits else. */
static void the_largest_set_is_told_in_2_mib_or_less(void **state)
{
    (void)state;
    uint8_t *bitmap = malloc(2 << 20);
    for (int kind = 0; kind < 3; kind++) {
        struct swarm *w = swarm_new(1);
        uint8_t root[32];
        memset(root, 0xEE, 32);
        memset(bitmap, kind == 0 ? 0xFF : 0x55, 2 << 20); /* all but one; every second one */
        if (kind == 0) bitmap[1 << 20] = 0xFE;
        if (kind == 2) memset(bitmap + (1 << 20), 0, 1 << 20);
        struct command fetch = {.kind = COMMAND_FILE_FETCH,
                                .channel = w->channel,
                                .root = root,
                                .size = TREE_SIZE_MAX,
                                .bytes = slice_of(bitmap, 2 << 20)};
        assert_int_equal(node_command(w->devices[0].node, &fetch, w->now), 0);
        struct attacker *a = attack(w, 0, 1);
        struct writer *m = begin(a, 4, MESSAGE_FILE_ASK);
        cbor_put_bytes(m, slice_of(w->channel, 32));
        cbor_put_bytes(m, slice_of(root, 32));
        cbor_put_uint(m, TREE_SIZE_MAX);
        send(a);
        take(a);
        static const uint64_t messages[] = {1, 512, 257}, bytes[] = {100, 2200000, 1100000};
        assert_in_range(a->kinds[MESSAGE_FILE_HAVE], 1, messages[kind]);
        assert_in_range(a->kind_bytes[MESSAGE_FILE_HAVE], bytes[kind] / 2, bytes[kind]);
        end(a);
        swarm_free(w);
    }
    free(bitmap);
}

/* Whoever is not in the channel gets nothing. */
static void strangers_get_nothing(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(1);
    int file = swarm_file(w, 3 * LEAF);
    uint8_t other[32] = {1};
    swarm_hold(w, 0, file);
    struct attacker *a = attack(w, 0, 1);
    struct writer *m = begin(a, 3, MESSAGE_CARRY); /* it goes */
    cbor_put_bytes(m, slice_of(w->channel, 32));
    cbor_put_uint(m, 0);
    send(a);
    for (int i = 0; i < 2; i++) {
        m = begin(a, 4, MESSAGE_FILE_ASK);
        cbor_put_bytes(m, i ? slice_of(w->channel, 32) : slice_of(other, 32));
        cbor_put_bytes(m, slice_of(w->originals[file].root, 32));
        cbor_put_uint(m, 3 * LEAF);
        send(a);
        m = begin(a, 4, MESSAGE_FILE_WANT);
        cbor_put_bytes(m, slice_of(w->originals[file].root, 32));
        cbor_put_uint(m, 1);
        cbor_put_array(m, 1);
        cbor_put_uint(m, 0);
        send(a);
        take(a);
    }
    assert_int_equal(a->kinds[MESSAGE_FILE_HAVE], 0);
    assert_int_equal(a->kinds[MESSAGE_FILE_DATA], 0);
    end(a);
    swarm_free(w);
}

/* Each allocation fails once, on each side: the file comes all the same. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        long most = 1;
        for (long fail = 1; fail <= most; fail++) {
            struct swarm *w = swarm_new(2);
            int file = swarm_file(w, 6 * LEAF + 1);
            swarm_link(w, 0, 1);
            swarm_run(w, SECONDS / 5);
            struct device *d = &w->devices[who];
            d->allocations = 0;
            d->fail_at = fail;
            struct copy *c = &w->devices[0].copies[file];
            for (int tries = 0; tries < 3 && !c->used; tries++) {
                (void)swarm_fetch(w, 0, file); /* makes the copy of the shell */
                (void)swarm_command(w, 0, COMMAND_FILE_DROP, file, true);
            }
            memcpy(c->bytes, w->originals[file].bytes, 6 * LEAF + 1);
            memcpy(c->side, w->originals[file].side, tree_positions(6 * LEAF + 1) * 32);
            for (int tries = 0; tries < 2; tries++)
                if (swarm_command(w, 0, COMMAND_FILE_HOLD, file, true) == 0) break;
            int64_t rc = swarm_fetch(w, 1, file);
            assert_true(rc == 0 || rc == ERR_MEMORY);
            if (rc < 0) assert_int_equal(swarm_fetch(w, 1, file), 0);
            swarm_run(w, SECONDS);
            bool up = false;
            for (int i = 0; i < w->links_len; i++)
                up = up || w->links[i].up;
            if (!up) swarm_link(w, 0, 1); /* a link may be lost to it */
            if (!swarm_until_done(w, 1, file, 150 * SECONDS)) fail_msg("allocation %ld of %d", fail, who);
            most = d->allocations;
            assert_true(most < 400);
            swarm_free(w);
        }
        assert_true(most > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_that_cannot_be_close_the_link),
        cmocka_unit_test(pieces_that_do_not_fit_end_the_trust),
        cmocka_unit_test(bytes_that_nobody_asked_for_close_the_link),
        cmocka_unit_test(wants_beyond_the_end_close_the_link),
        cmocka_unit_test(what_one_is_given_another_one_gets_from_there),
        cmocka_unit_test(floods_take_no_memory),
        cmocka_unit_test(sets_of_the_largest_file_are_bounded),
        cmocka_unit_test(the_largest_set_is_told_in_2_mib_or_less),
        cmocka_unit_test(strangers_get_nothing),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
