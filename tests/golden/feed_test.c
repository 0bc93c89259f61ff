/* feed_test.c - entries: a real node writes the vectors' feed byte for byte, takes what they say is good, and
 * neither stores nor shows what they say is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/entry.h"
#include "crypto/native.h"
#include "peer.h"
#include "vectors.h"

static const struct crypto *crypto;

struct world {
    json_t *entries, *identity;
    slice channel, authority, certificate, seed;
    usec now;
};

static slice named_seed(const struct world *w, const char *name)
{
    size_t i;
    json_t *item, *devices = vector_get(w->identity, "devices");
    json_array_foreach(devices, i, item)
    {
        if (strcmp(vector_text(item, "name"), name) == 0) return vector_bytes(item, "seed");
    }
    fail_msg("no device %s", name);
    return SLICE_EMPTY;
}

static struct world world_open(void)
{
    struct world w = {.entries = vectors_open("entry.json"), .identity = vectors_open("identity.json")};
    w.channel = vector_bytes(w.entries, "channel");
    w.authority = vector_bytes(w.entries, "authority");
    w.certificate = vector_bytes(w.entries, "certificate");
    w.seed = vector_bytes(w.entries, "author_seed");
    json_t *last = json_array_get(vector_get(w.entries, "feed"), 6);
    w.now = vector_number(last, "time_ms") * MILLISECONDS; /* nothing in the vectors is ahead of the clock */
    return w;
}

static struct node *new_node(slice seed, enum node_role role, usec now)
{
    struct node *node;
    struct node_config config = {.role = role};
    memcpy(config.identity_seed, seed.ptr, KEY_BYTES);
    assert_int_equal(node_create(&config, &allocator_libc, crypto, now, &node), OK);
    return node;
}

/* A replica of the channel, at the tracker. */
static struct node *new_replica(const struct world *w)
{
    struct node *node = new_node(named_seed(w, "tracker"), ROLE_REPLICA, w->now);
    struct command join = {.kind = COMMAND_JOIN,
                           .channel = w->channel.ptr,
                           .device = w->authority.ptr,
                           .bytes = slice_text(vector_text(w->entries, "channel_name"))};
    assert_true(node_command(node, &join, w->now) >= 0);
    return node;
}

static slice feed_entry(const struct world *w, size_t index)
{
    return vector_bytes(json_array_get(vector_get(w->entries, "feed"), index), "hex");
}

static void open_and_hold(struct peer *p, struct node *node, const struct world *w, uint64_t holds)
{
    peer_open(p, node, crypto, 7, w->seed.ptr, w->certificate, w->now);
    assert_true(peer_carry(p, w->channel.ptr));
    for (uint64_t i = 0; i < holds; i++)
        assert_true(peer_entry(p, feed_entry(w, i)));
    assert_int_equal(p->stores, holds);
    assert_int_equal(p->delivers, holds);
}

static void the_core_writes_the_feed(void **state)
{
    (void)state;
    struct world w = world_open();
    size_t i;
    json_t *item, *feed = vector_get(w.entries, "feed");
    struct node *node = new_node(w.seed, ROLE_PERSON, 0);
    struct peer shell = {.node = node}; /* no link, only the actions */
    struct command certificate = {.kind = COMMAND_CERTIFICATE, .bytes = w.certificate};
    assert_int_equal(node_command(node, &certificate, 0), 0);
    json_array_foreach(feed, i, item)
    {
        uint64_t kind = vector_number(item, "kind");
        struct command c = {.kind = kind == ENTRY_JOIN ? COMMAND_JOIN : COMMAND_SEND,
                            .channel = w.channel.ptr,
                            .device = w.authority.ptr,
                            .entry_kind = (uint32_t)kind,
                            .bytes = kind == ENTRY_JOIN ? slice_text(vector_text(w.entries, "channel_name"))
                                                        : vector_bytes(item, "body")};
        shell.now = vector_number(item, "time_ms") * MILLISECONDS;
        assert_true(node_command(node, &c, shell.now) > 0);
        peer_pump(&shell);
        assert_int_equal(shell.stores, i + 1);
        assert_memory_equal(shell.stored_id, vector_bytes(item, "id").ptr, ID_BYTES);
    }
    assert_int_equal(shell.delivers, json_array_size(feed));
    node_destroy(node);
}

static void entries_are_written_to_the_byte(void **state)
{
    (void)state;
    struct world w = world_open();
    size_t i;
    json_t *item, *feed = vector_get(w.entries, "feed");
    json_array_foreach(feed, i, item)
    {
        uint8_t wire[NODE_RECORD_BYTES_MAX], id[ID_BYTES];
        slice want = vector_bytes(item, "hex"), fields = vector_bytes(item, "fields");
        struct entry e = {.kind = (uint32_t)vector_number(item, "kind"),
                          .channel = w.channel.ptr,
                          .author = vector_bytes(w.entries, "author").ptr,
                          .seq = (uint32_t)vector_number(item, "seq"),
                          .prev = vector_bytes(item, "prev").ptr,
                          .time_ms = vector_number(item, "time_ms"),
                          .body = vector_bytes(item, "body")},
                     read;
        struct writer out = writer_of(wire, sizeof wire);
        assert_int_equal(entry_write(crypto, &e, w.seed.ptr, &out), OK);
        assert_int_equal(out.len, want.len);
        assert_memory_equal(wire, want.ptr, want.len);
        assert_int_equal(entry_parse(want, &read), OK);
        assert_true(slice_equal(read.fields, fields));
        entry_id(crypto, &read, id);
        assert_true(entry_signed(crypto, &read, id));
        assert_memory_equal(id, vector_bytes(item, "id").ptr, ID_BYTES);
    }
}

static void a_replica_takes_the_feed(void **state)
{
    (void)state;
    struct world w = world_open();
    struct node *node = new_replica(&w);
    struct peer p;
    open_and_hold(&p, node, &w, json_array_size(vector_get(w.entries, "feed")));
    assert_int_equal(p.warnings, 0);
    peer_close(&p);
    node_destroy(node);
}

static void entries_of_later_versions_are_taken(void **state)
{
    (void)state;
    struct world w = world_open();
    size_t i;
    json_t *item, *accepted = vector_get(w.entries, "accepted");
    json_array_foreach(accepted, i, item)
    {
        struct node *node = new_replica(&w);
        struct peer p;
        uint64_t holds = vector_number(item, "holds");
        open_and_hold(&p, node, &w, holds);
        assert_true(peer_entry(&p, vector_bytes(item, "hex")));
        assert_int_equal(p.stores, holds + 1);
        assert_memory_equal(p.stored_id, vector_bytes(item, "id").ptr, ID_BYTES);
        peer_close(&p);
        node_destroy(node);
    }
}

static void bad_entries_change_nothing(void **state)
{
    (void)state;
    struct world w = world_open();
    size_t i;
    json_t *item, *refused = vector_get(w.entries, "refused");
    json_array_foreach(refused, i, item)
    {
        struct node *node = new_replica(&w);
        struct peer p, again;
        uint64_t holds = vector_number(item, "holds");
        open_and_hold(&p, node, &w, holds);
        (void)peer_entry(&p, vector_bytes(item, "hex"));
        if (p.stores != holds || p.delivers != holds) fail_msg("taken: %s", vector_text(item, "name"));
        peer_close(&p);
        /* And the good one still fits. */
        peer_open(&again, node, crypto, 8, w.seed.ptr, w.certificate, w.now);
        assert_true(peer_carry(&again, w.channel.ptr));
        assert_true(peer_entry(&again, feed_entry(&w, holds)));
        if (again.stores != 1 || again.delivers != 1)
            fail_msg("no way on after: %s", vector_text(item, "name"));
        peer_close(&again);
        node_destroy(node);
    }
}

static void a_fork_is_told(void **state)
{
    (void)state;
    struct world w = world_open();
    size_t i;
    json_t *item, *refused = vector_get(w.entries, "refused");
    unsigned forks = 0;
    json_array_foreach(refused, i, item)
    {
        if (strncmp(vector_text(item, "name"), "a fork", 6) != 0) continue;
        struct node *node = new_replica(&w);
        struct peer p;
        open_and_hold(&p, node, &w, vector_number(item, "holds"));
        assert_true(peer_entry(&p, vector_bytes(item, "hex")));
        assert_int_equal(p.warnings, 1);
        forks++;
        peer_close(&p);
        node_destroy(node);
    }
    assert_int_equal(forks, 1);
}

int main(void)
{
    if (crypto_native_start() != OK) return 1;
    crypto = crypto_native();
    const struct CMUnitTest tests[] = {
        GOLDEN(the_core_writes_the_feed),   GOLDEN(entries_are_written_to_the_byte),
        GOLDEN(a_replica_takes_the_feed),   GOLDEN(entries_of_later_versions_are_taken),
        GOLDEN(bad_entries_change_nothing), GOLDEN(a_fork_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
