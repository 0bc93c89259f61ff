/* exchange_test.c - files between devices as the vectors have it: a real node asks, tells, gives and takes
 * byte for byte, and ends the link of who says what may not be said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cbor.h"
#include "base/hex.h"
#include "core/message.h"
#include "crypto/native.h"
#include "peer.h"
#include "vectors.h"

enum { SPEAKERS = 2, SAID_MAX = 8 };

static const struct crypto *crypto;
static const char *const names[SPEAKERS] = {"alice", "carol"};

struct world;
struct speaker {
    struct world *w;
    struct peer peer;
    bool linked;
    size_t said_len; /* messages of files that the node said to it */
    uint8_t said[SAID_MAX][LINK_MESSAGE_BYTES_MAX];
    size_t said_bytes[SAID_MAX];
};

struct world {
    json_t *document;
    struct node *node;
    usec now;
    slice channel, root, proof;
    uint8_t *leaf;
    uint64_t leaf_number;
    size_t leaf_len;
    unsigned writes;
    struct speaker speakers[SPEAKERS];
};

static void hear(void *context, slice message)
{
    struct speaker *s = context;
    struct cbor_reader r = cbor_reader_of(message);
    (void)cbor_array(&r, 64);
    uint64_t kind = cbor_uint(&r, UINT64_MAX);
    if (r.failed || kind < MESSAGE_FILE_ASK || kind > MESSAGE_FILE_STOP) return;
    assert_true(s->said_len < SAID_MAX);
    memcpy(s->said[s->said_len], message.ptr, message.len);
    s->said_bytes[s->said_len++] = message.len;
}

/* The shell's disk: reads and writes the one leaf of the vectors. */
static void watch(void *context, const struct action *a)
{
    struct world *w = ((struct speaker *)context)->w;
    if (a->kind == ACTION_FILE_READ) {
        uint8_t *both = malloc(w->leaf_len + w->proof.len);
        assert_non_null(both);
        assert_int_equal(a->leaf, w->leaf_number);
        memcpy(both, w->leaf, w->leaf_len);
        memcpy(both + w->leaf_len, w->proof.ptr, w->proof.len);
        node_done(w->node, a->token, OK, slice_of(both, w->leaf_len + w->proof.len), w->now);
        free(both);
    }
    if (a->kind == ACTION_FILE_WRITE) {
        assert_int_equal(a->leaf, w->leaf_number);
        assert_true(slice_equal(a->record, slice_of(w->leaf, w->leaf_len)));
        assert_true(slice_equal(a->proof, w->proof));
        w->writes++;
        node_done(w->node, a->token, OK, SLICE_EMPTY, w->now);
    }
}

static struct world *world_open(json_t *d, enum command_kind kind)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    json_t *reader = vector_get(d, "reader");
    w->document = d;
    struct node_config config = {.role = ROLE_PERSON};
    memcpy(config.identity_seed, vector_bytes(reader, "seed").ptr, KEY_BYTES);
    w->now = vector_number(d, "time_ms") * MILLISECONDS;
    w->channel = vector_bytes(d, "channel");
    w->root = vector_bytes(d, "root");
    w->proof = vector_bytes(d, "proof");
    w->leaf_number = vector_number(d, "leaf");
    w->leaf_len = (size_t)(vector_number(d, "size") - w->leaf_number * NODE_LEAF_BYTES);
    w->leaf = malloc(w->leaf_len);
    assert_non_null(w->leaf);
    for (size_t i = 0; i < w->leaf_len; i++) { /* the rule of file.json */
        size_t at = (size_t)w->leaf_number * NODE_LEAF_BYTES + i;
        w->leaf[i] = (uint8_t)(at ^ (at >> 8) ^ (at >> 16));
    }
    assert_int_equal(node_create(&config, &allocator_libc, crypto, w->now, &w->node), OK);
    struct command certified = {.kind = COMMAND_CERTIFICATE, .bytes = vector_bytes(reader, "certificate")};
    struct command join = {.kind = COMMAND_JOIN,
                           .channel = w->channel.ptr,
                           .device = vector_bytes(d, "authority").ptr,
                           .bytes = slice_text(vector_text(d, "channel_name"))};
    struct command file = {
        .kind = kind, .channel = w->channel.ptr, .root = w->root.ptr, .size = vector_number(d, "size")};
    assert_true(node_command(w->node, &certified, w->now) >= 0);
    assert_true(node_command(w->node, &join, w->now) >= 0);
    assert_true(node_command(w->node, &file, w->now) >= 0);
    return w;
}

static void world_close(struct world *w)
{
    for (int i = 0; i < SPEAKERS; i++)
        if (w->speakers[i].linked) peer_close(&w->speakers[i].peer);
    node_destroy(w->node);
    free(w->leaf);
    free(w);
}

static struct speaker *speaker(struct world *w, const char *name)
{
    int i = 0;
    while (i < SPEAKERS && strcmp(names[i], name) != 0)
        i++;
    assert_true(i < SPEAKERS);
    struct speaker *s = &w->speakers[i];
    if (s->linked) return s;
    json_t *who = vector_get(vector_get(w->document, "speakers"), name);
    s->w = w;
    s->linked = true;
    peer_open(&s->peer, w->node, crypto, (uint32_t)(7 + i), vector_bytes(who, "seed").ptr,
              vector_bytes(who, "certificate"), w->now);
    s->peer.context = s;
    s->peer.watch = watch;
    s->peer.hear = hear;
    return s;
}

/* Says it; what the node answers is in `said`, of everybody. */
static void say(struct world *w, struct speaker *s, slice message)
{
    for (int i = 0; i < SPEAKERS; i++)
        w->speakers[i].said_len = 0;
    (void)peer_say(&s->peer, message);
    for (int round = 0; round < 3; round++) {
        node_tick(w->node, w->now);
        for (int i = 0; i < SPEAKERS; i++)
            if (w->speakers[i].linked) peer_pump(&w->speakers[i].peer);
    }
}

static void converse(enum command_kind kind, const char *steps)
{
    struct world *w = world_open(vectors_open("exchange.json"), kind);
    json_t *item, *list = vector_get(w->document, steps);
    size_t i, k;
    json_array_foreach(list, i, item)
    {
        const char *title = vector_text(item, "name");
        struct speaker *s = speaker(w, vector_text(item, "from"));
        json_t *answers = vector_get(item, "answers"), *writes = json_object_get(item, "writes");
        unsigned before = w->writes;
        say(w, s, vector_bytes(item, "say"));
        if (s->peer.closed) fail_msg("%s: closed", title);
        if (w->writes != before + (writes ? json_integer_value(writes) : 0)) fail_msg("%s: writes", title);
        for (k = 0; k < SPEAKERS; k++) {
            size_t due = &w->speakers[k] == s ? json_array_size(answers) : 0;
            if (w->speakers[k].said_len != due)
                fail_msg("%s: %zu answers to %s", title, w->speakers[k].said_len, names[k]);
        }
        for (k = 0; k < s->said_len; k++) {
            slice text = slice_text(json_string_value(json_array_get(answers, k)));
            static uint8_t want[LINK_MESSAGE_BYTES_MAX];
            assert_int_equal(hex_decode(text, want, text.len / 2), 0);
            if (!slice_equal(slice_of(want, text.len / 2), slice_of(s->said[k], s->said_bytes[k])))
                fail_msg("%s: another answer %zu", title, k);
        }
    }
    assert_true(i > 0);
    world_close(w);
}

static void a_file_is_served_as_written(void **state)
{
    (void)state;
    converse(COMMAND_FILE_HOLD, "serving");
}

static void a_file_is_fetched_as_written(void **state)
{
    (void)state;
    converse(COMMAND_FILE_FETCH, "fetching");
}

/* Each on a link of its own, of a device that has asked for the file. */
static void say_alone(const char *list_name, bool malformed)
{
    json_t *document = vectors_open("exchange.json"), *item, *list = vector_get(document, list_name);
    size_t i;
    assert_true(json_array_size(list) > 0);
    json_array_foreach(list, i, item)
    {
        struct world *w = world_open(document, COMMAND_FILE_HOLD);
        struct speaker *alice = speaker(w, "alice");
        json_t *first = vector_get(w->document, "serving");
        say(w, alice, vector_bytes(json_array_get(first, 0), "say"));
        say(w, alice, vector_bytes(json_array_get(first, 2), "say"));
        assert_int_equal(alice->said_len, 1);
        say(w, alice, vector_bytes(item, "hex"));
        bool refused = alice->peer.closed && alice->peer.close_result == ERR_MALFORMED;
        if (alice->peer.closed != malformed || refused != malformed)
            fail_msg("%s: %s", vector_text(item, "name"), alice->peer.closed ? "closed" : "taken");
        world_close(w);
    }
}

static void malformed_messages_end_the_link(void **state)
{
    (void)state;
    say_alone("malformed", true);
}

static void odd_ones_do_not(void **state)
{
    (void)state;
    say_alone("harmless", false);
}

int main(void)
{
    if (crypto_native_start() != OK) return 1;
    crypto = crypto_native();
    const struct CMUnitTest tests[] = {
        GOLDEN(a_file_is_served_as_written),
        GOLDEN(a_file_is_fetched_as_written),
        GOLDEN(malformed_messages_end_the_link),
        GOLDEN(odd_ones_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
