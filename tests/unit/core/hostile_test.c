/* What a hostile device says closes its own link, with a reason, and hurts nobody else. The attacker is a
 * real link with honest cryptography and a certificate of its own, whose messages are written by hand. */
#include "attacker.h"

#include "core/entry.h"
#include "core/identity.h"
#include "core/link.h"
#include "core/message.h"
#include "core/spec.h"
#include "core/state.h"

static const uint8_t zeros[32];

static void garbage_closes_the_link(void **state)
{
    (void)state;
    static const char *garbage[] = {"\x18\x01", "\x9f\xff", "hello", "\xf6", "\x82\x01", "\x80", "\x81\x40"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct attacker *a = attack(victim(), true);
        attacker_send(a, slice_text(garbage[i]));
        assert_int_equal(a->error, ERR_MALFORMED);
        world_run(a->w, 2 * SECONDS); /* the reason has a second to leave */
        assert_int_equal(a->w->places[1].last_close, ERR_MALFORMED);
        still_works(a->w);
        attacker_free(a);
    }
}

static void unknown_kinds_and_longer_messages_are_skipped(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    attacker_send(a, SLICE("\x82\x18\x63\x43"
                           "new"));
    assert_int_equal(a->error, OK);
    attacker_send(a, SLICE("\x83\x01\x07\x81\x00")); /* a PING with one more element */
    assert_int_equal(a->error, OK);
    still_works(a->w);
    attacker_free(a);
}

static void a_false_signature_closes_the_link(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600];
    struct attacker *a = attack(victim(), true);
    size_t len = attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), entry, NULL);
    entry[len - 1] ^= 1;
    attacker_send_entry(a, slice_of(entry, len));
    assert_int_equal(a->error, ERR_SIGNATURE);
    still_works(a->w);
    attacker_free(a);
}

static void nobody_writes_in_anothers_name(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], other[512];
    struct attacker *a = attack(victim(), true);
    /* A JOIN with the certificate of somebody else's device. */
    int len = world_certificate(a->w, world_device(a->w, 2), "binh", other);
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(other, (size_t)len));
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_JOIN, 1, zeros, writer_slice(&w), entry, NULL)));
    assert_int_equal(a->error, ERR_PROTOCOL);
    still_works(a->w);
    attacker_free(a);
    /* A feed that does not begin with a JOIN. */
    a = attack(victim(), true);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_TEXT, 1, zeros, SLICE("\x81\x41x"), entry, NULL)));
    assert_int_equal(a->error, ERR_PROTOCOL);
    still_works(a->w);
    attacker_free(a);
}

static void a_fork_is_seen_kept_out_and_told(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), entry, join)));
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43one"), entry, NULL)));
    world_settle(a->w);
    assert_int_equal(world_heard(a->w, 1, "one"), 1);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43two"), entry, NULL)));
    assert_int_equal(a->error, OK);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_TEXT, 3, join, SLICE("\x81\x43six"), entry, NULL)));
    world_run(a->w, SECONDS);
    assert_int_equal(world_heard(a->w, 1, "two") + world_heard(a->w, 1, "six"), 0);
    assert_int_equal(a->w->places[1].warnings, 1);
    assert_int_equal(world_heard(a->w, 2, "one"), 1);
    still_works(a->w);
    attacker_free(a);
}

static void nobody_writes_into_his_own_past(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    a->step_ms = 0;
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), entry, join)));
    assert_int_equal(a->error, OK);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43old"), entry, NULL)));
    assert_int_equal(a->error, ERR_PROTOCOL);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(world_heard(a->w, 1, "old"), 0);
    still_works(a->w);
    attacker_free(a);
}

static void a_replay_is_taken_once(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), entry, join)));
    size_t len = attacker_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43one"), entry, NULL);
    for (int i = 0; i < 1000; i++)
        attacker_send_entry(a, slice_of(entry, len));
    world_run(a->w, SECONDS);
    assert_int_equal(world_heard(a->w, 1, "one"), 1);
    attacker_free(a);
}

static void lies_about_what_is_held_stall_nobody(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint8_t nobody[32] = {0xEE};
    attacker_send_have(a, world_device(a->w, 2), 4000000000u);
    attacker_send_have(a, nobody, 3);
    attacker_send_have(a, world_device(a->w, 1), 999);
    world_run(a->w, 2 * SECONDS);
    still_works(a->w);
    for (int i = 0; i < 20; i++) { /* silent about it, but alive */
        world_run(a->w, 3 * SECONDS);
        attacker_send(a, SLICE("\x82\x01\x07"));
    }
    still_works(a->w);
    assert_int_equal(world_heard(a->w, 1, "all is well"), 2);
    assert_true(a->w->places[1].acknowledged[2] <= 2);
    attacker_free(a);
}

/* A certificate that the attacker has signed itself says nothing about who it is. */
/* One who names authors without end takes nobody's place. */
static void claims_about_authors_who_are_none_keep_nobody_out(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    static uint8_t plain[LINK_MESSAGE_BYTES_MAX];
    uint8_t author[32] = {0};
    uint32_t index, i = 0;
    const struct channel *c = channel_find(a->w->places[1].node, a->w->channel, &index);
    for (int round = 0; round < 100 && c->by_device.len < NODE_AUTHORS_MAX; round++) {
        size_t left = NODE_AUTHORS_MAX - c->by_device.len;
        uint32_t pairs = left < MESSAGE_HAVE_PAIRS_MAX ? (uint32_t)left : MESSAGE_HAVE_PAIRS_MAX;
        struct writer w = writer_of(plain, sizeof plain);
        message_write_have(&w, a->w->channel, HAVE_FIRST, pairs);
        for (uint32_t upto = i + pairs; i < upto; i++) {
            memcpy(author, &i, sizeof i);
            message_write_pair(&w, author, 1);
        }
        attacker_send(a, writer_slice(&w));
    }
    world_add(a->w, 3, ROLE_PERSON, "chi");
    world_link(a->w, 3, 2, PATH_DIRECT);
    world_run(a->w, SECONDS);
    assert_true(world_say(a->w, 3, "I am new") > 0);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(world_heard(a->w, 1, "I am new"), 1);
    still_works(a->w);
    attacker_free(a);
}

/* Several of them fill the table; who has written is taken all the same, and honest links stay. */
static void an_entry_outranks_a_table_full_of_claims(void **state)
{
    (void)state;
    struct world *w = victim();
    world_add(w, 3, ROLE_PERSON, "chi");
    struct node *node = w->places[1].node;
    uint32_t channel, author;
    struct channel *c = channel_find(node, w->channel, &channel);
    uint8_t device[32] = {0};
    for (uint32_t i = 1; c->by_device.len < NODE_AUTHORS_MAX; i++) {
        memcpy(device, &i, sizeof i);
        assert_int_equal(author_add(node, c, device, &author), OK);
    }
    world_link(w, 3, 2, PATH_DIRECT);
    world_link(w, 3, 1, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(world_say(w, 3, "I am new") > 0);
    world_run(w, 2 * SECONDS);
    assert_int_equal(world_heard(w, 1, "I am new"), 1);
    assert_int_equal(w->places[1].closes, 0);
    still_works(w);
    world_free(w);
}

static void nobody_is_shown_under_a_name_it_gave_itself(void **state)
{
    (void)state;
    static const uint8_t own_authority[32] = {0x13};
    struct attacker *a = attack_as(victim(), own_authority, "binh");
    assert_string_equal(a->w->places[1].stranger, "");
    still_works(a->w);
    attacker_free(a);
    a = attack(victim(), true);
    assert_string_equal(a->w->places[1].stranger, "mallory");
    attacker_free(a);
}

static void an_uncertified_device_gets_nothing(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), false);
    still_works(a->w);
    attacker_take(a);
    for (size_t i = 0; i + 11 < a->said_len; i++)
        assert_memory_not_equal(a->said + i, "all is well", 11);
    assert_int_equal(a->w->places[1].closes, 0);
    attacker_free(a);
}

static void a_flood_of_oddities_closes_the_link(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint8_t plain[128], nobody[32] = {0xEE};
    struct writer w = writer_of(plain, sizeof plain);
    message_write_want(&w, a->w->channel, nobody, 1, 10);
    for (int i = 0; i < 150 && a->error == OK; i++)
        attacker_send(a, writer_slice(&w));
    assert_int_not_equal(a->error, OK);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(a->w->places[1].last_close, ERR_PROTOCOL);
    still_works(a->w);
    attacker_free(a);
}

static void the_reason_is_told_in_words(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    a->said_len = 0;
    attacker_send(a, SLICE("hello"));
    static uint8_t bytes[65536], scratch[LINK_FRAME_BYTES_MAX];
    size_t n = node_transmit(a->w->places[1].node, ATTACKER_LINK, bytes, sizeof bytes, a->w->now);
    slice rest = slice_of(bytes, n), message;
    struct message m = {.kind = 99};
    while (m.kind != MESSAGE_CLOSE && link_next(&a->link, &rest, scratch, &message) == OK) {
        assert_int_equal(message_parse(message, &m), OK);
    }
    assert_int_equal(m.kind, MESSAGE_CLOSE);
    assert_true(m.text.len > 20);
    attacker_free(a);
}

static void this_very_device_is_not_a_peer(void **state)
{
    (void)state;
    struct world *w = victim();
    memcpy(w->places[3].seed, w->places[1].seed, 32);
    struct node_config config = {.role = ROLE_PERSON};
    memcpy(config.identity_seed, w->places[1].seed, 32);
    assert_int_equal(node_create(&config, &allocator_libc, crypto_native(), w->now, &w->places[3].node), OK);
    world_link(w, 3, 1, PATH_DIRECT);
    world_run(w, 2 * SECONDS);
    assert_int_equal(w->places[3].last_close, ERR_DENIED);
    assert_int_equal(w->places[1].peer_path[3], PATH_NONE);
    still_works(w);
    world_free(w);
}

/* A device that asks who else is there gets one answer from each; nobody fills its view unasked. */
static void hearsay_comes_when_it_was_asked_for(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint32_t index, before;
    const struct channel *c = channel_find(a->w->places[1].node, a->w->channel, &index);
    before = c->view.len;
    for (uint8_t round = 0; round < 3; round++) {
        uint8_t ids[4][ID_BYTES], plain[256];
        const uint8_t *devices[4];
        struct writer w = writer_of(plain, sizeof plain);
        for (uint8_t i = 0; i < 4; i++) {
            memset(ids[i], 1 + 4 * round + i, ID_BYTES);
            devices[i] = ids[i];
        }
        message_write_shuffle(&w, a->w->channel, devices, 4, false);
        attacker_send(a, writer_slice(&w));
        assert_int_equal(a->error, OK);
    }
    assert_int_equal(c->view.len, before + 4);
    attacker_free(a);
}

/* The id of a sealed channel follows from its spec, on the disk too: two records cannot be one channel. */
static void a_channel_record_is_of_its_own_channel(void **state)
{
    (void)state;
    struct node_config config = {.identity_seed = {1}, .random_seed = {2}};
    struct node *n;
    uint8_t authority[ID_BYTES] = {3}, founder[ID_BYTES] = {4}, nonce[NODE_NONCE_BYTES] = {5}, id[ID_BYTES];
    uint8_t record[1024];
    struct channel_spec spec = {
        .type = CHANNEL_PRIVATE, .authority = authority, .founder = founder, .nonce = nonce};
    struct channel_record c = {.channel = id, .authority = authority, .spec = spec};
    assert_int_equal(node_create(&config, &allocator_libc, crypto_native(), SECONDS, &n), OK);
    assert_int_equal(channel_spec_id(crypto_native(), &spec, id), OK);
    for (int times = 0; times < 3; times++) {
        struct writer w = writer_of(record, sizeof record);
        if (times == 1) id[7] ^= 1;
        if (times == 2) id[7] ^= 1;
        assert_int_equal(record_write_channel(&c, &w), OK);
        assert_int_equal(node_restore(n, writer_slice(&w), SECONDS), times == 1 ? ERR_CORRUPT : OK);
    }
    assert_int_equal(n->channels_len, 1);
    node_destroy(n);
}

/* Links to replicas are not counted: nobody gets around the limit of links by calling himself one. */
static void nobody_is_a_replica_but_the_authority(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    struct node *n = a->w->places[1].node;
    uint32_t persons = n->persons;
    node_link_down(n, ATTACKER_LINK, a->w->now);
    assert_int_equal(n->persons, persons - 1);
    a->self.role = ROLE_REPLICA;
    attacker_connect(a);
    assert_int_equal(n->persons, persons);
    assert_int_equal(peer_find(n, a->device)->role, ROLE_PERSON);
    still_works(a->w);
    attacker_free(a);
}

/* A private channel of the attacker's, and the proof that An is a member of it. */
static void invite(struct attacker *a, uint32_t number)
{
    uint8_t nonce[NODE_NONCE_BYTES] = {(uint8_t)number, (uint8_t)(number >> 8)}, spec_bytes[512], body[1024];
    static uint8_t wire[NODE_RECORD_BYTES_MAX], plain[LINK_MESSAGE_BYTES_MAX];
    struct channel_spec spec = {
        .type = CHANNEL_PRIVATE, .authority = a->w->authority, .founder = a->device, .nonce = nonce};
    struct writer s = writer_of(spec_bytes, sizeof spec_bytes), b = writer_of(body, sizeof body),
                  w = writer_of(plain, sizeof plain);
    slice certificate = slice_of(a->certificate, a->certificate_len);
    spec_write(&s, &spec);
    assert_int_equal(channel_spec_id(crypto_native(), &spec, a->w->channel), OK);
    cbor_put_array(&b, 6);
    cbor_put_bytes(&b, SLICE("an"));
    cbor_put_uint(&b, 1);
    cbor_put_uint(&b, 1);
    cbor_put_bytes(&b, certificate);
    cbor_put_uint(&b, 0);
    cbor_put_array(&b, 0);
    size_t len = attacker_entry(a, ENTRY_MEMBER, 2, zeros, writer_slice(&b), wire, NULL);
    message_write_introduce(&w, writer_slice(&s), certificate, slice_of(wire, len));
    attacker_send(a, writer_slice(&w));
    assert_int_equal(a->error, OK);
}

/* However often he comes back. */
static void nobody_fills_the_table_of_channels(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    struct node *n = a->w->places[1].node;
    uint8_t channel[ID_BYTES];
    uint32_t before = n->channels_len;
    memcpy(channel, a->w->channel, ID_BYTES);
    for (uint32_t i = 0; i < INTRODUCED_ACCOUNT_MAX + 2 * INTRODUCED_LINK_MAX; i++) {
        if (i > 0 && i % INTRODUCED_LINK_MAX == 0) {
            node_link_down(n, ATTACKER_LINK, a->w->now);
            attacker_connect(a);
        }
        invite(a, i);
        if (i % 16 == 0) attacker_take(a);
    }
    assert_int_equal(n->channels_len, before + INTRODUCED_ACCOUNT_MAX);
    memcpy(a->w->channel, channel, ID_BYTES);
    still_works(a->w);
    attacker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_closes_the_link),
        cmocka_unit_test(unknown_kinds_and_longer_messages_are_skipped),
        cmocka_unit_test(a_false_signature_closes_the_link),
        cmocka_unit_test(nobody_writes_in_anothers_name),
        cmocka_unit_test(a_fork_is_seen_kept_out_and_told),
        cmocka_unit_test(nobody_writes_into_his_own_past),
        cmocka_unit_test(a_replay_is_taken_once),
        cmocka_unit_test(lies_about_what_is_held_stall_nobody),
        cmocka_unit_test(claims_about_authors_who_are_none_keep_nobody_out),
        cmocka_unit_test(an_entry_outranks_a_table_full_of_claims),
        cmocka_unit_test(nobody_is_shown_under_a_name_it_gave_itself),
        cmocka_unit_test(an_uncertified_device_gets_nothing),
        cmocka_unit_test(a_flood_of_oddities_closes_the_link),
        cmocka_unit_test(the_reason_is_told_in_words),
        cmocka_unit_test(this_very_device_is_not_a_peer),
        cmocka_unit_test(hearsay_comes_when_it_was_asked_for),
        cmocka_unit_test(a_channel_record_is_of_its_own_channel),
        cmocka_unit_test(nobody_is_a_replica_but_the_authority),
        cmocka_unit_test(nobody_fills_the_table_of_channels),
    };
    return cmocka_run_group_tests_name("core/hostile", tests, NULL, NULL);
}
