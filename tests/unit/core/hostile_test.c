/* What a hostile device says closes its own link, with a reason, and hurts nobody else. The attacker is a
 * real link with honest cryptography and a certificate of its own, whose messages are written by hand. */
#include "world.h"

#include "core/entry.h"
#include "core/identity.h"
#include "core/link.h"
#include "core/message.h"
#include "core/state.h"

#define LINK 77u

struct attacker {
    struct world *w;
    struct link link;
    uint8_t seed[32], device[32], certificate[512];
    size_t certificate_len;
    struct link_self self;
    int error;        /* what the victim's node_receive said last */
    uint64_t step_ms; /* between one entry and the next */
    uint8_t said[200000];
    size_t said_len;
};

static void give(struct attacker *a, slice bytes)
{
    size_t used = 0;
    a->error = node_receive(a->w->places[1].node, LINK, bytes, a->w->now, &used);
}

/* Takes what the victim sends; keeps the plaintexts one after the other. */
static void take(struct attacker *a)
{
    static uint8_t bytes[65536], scratch[LINK_FRAME_BYTES_MAX];
    world_settle(a->w);
    size_t n;
    while ((n = node_transmit(a->w->places[1].node, LINK, bytes, sizeof bytes, a->w->now)) > 0) {
        slice rest = slice_of(bytes, n), message;
        while (link_next(&a->link, &rest, scratch, &message) == OK) {
            if (a->said_len + message.len > sizeof a->said) a->said_len = 0;
            if (message.len) memcpy(a->said + a->said_len, message.ptr, message.len);
            a->said_len += message.len;
        }
    }
}

static void greet(struct attacker *a)
{
    uint8_t bytes[4096];
    struct writer w = writer_of(bytes, sizeof bytes);
    while (link_greets(&a->link))
        assert_int_equal(link_greet(&a->link, &a->self, &w), OK);
    if (w.len) give(a, writer_slice(&w));
}

static void send(struct attacker *a, slice plain)
{
    static uint8_t bytes[LINK_FRAME_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    assert_int_equal(link_seal(&a->link, plain, &w), OK);
    give(a, writer_slice(&w));
}

static void send_entry(struct attacker *a, slice wire)
{
    static uint8_t plain[LINK_MESSAGE_BYTES_MAX];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_entry(&w, wire);
    send(a, writer_slice(&w));
}

static void send_have(struct attacker *a, const uint8_t *author, uint32_t seq)
{
    uint8_t plain[128];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_have(&w, a->w->channel, 0, 1);
    message_write_pair(&w, author, seq);
    send(a, writer_slice(&w));
}

/* authority: the seed that signs the attacker's certificate, NULL for none. */
static struct attacker *attack_as(struct world *w, const uint8_t *authority, const char *account)
{
    struct attacker *a = calloc(1, sizeof *a);
    const struct crypto *c = crypto_native();
    uint8_t secret[32], ephemeral[32], plain[64];
    a->w = w;
    a->step_ms = 1;
    memset(a->seed, 0x66, 32);
    memset(ephemeral, 0x55, 32);
    c->sign_public(NULL, a->device, a->seed);
    identity_noise_secret(c, a->seed, secret);
    struct certificate names = {.account = slice_text(account),
                                .device = a->device,
                                .issued_s = w->now / SECONDS - 10,
                                .expires_s = w->now / SECONDS + 86400};
    int len = authority ? certificate_write(c, &names, authority, a->certificate, sizeof a->certificate) : 0;
    assert_true(len >= 0);
    a->certificate_len = (size_t)len;
    a->self =
        (struct link_self){a->device, a->seed, ROLE_PERSON, slice_of(a->certificate, a->certificate_len)};
    assert_int_equal(link_init(&a->link, &allocator_libc, c, true, SLICE_EMPTY, secret, ephemeral), OK);
    struct node_link info = {.path = PATH_DIRECT};
    assert_int_equal(node_link_up(w->places[1].node, LINK, &info, w->now), OK);
    for (int i = 0; i < 3; i++)
        greet(a), take(a);
    assert_int_equal(a->link.state, LINK_OPEN);
    struct writer carry = writer_of(plain, sizeof plain);
    message_write_carry(&carry, w->channel, true, 0);
    send(a, writer_slice(&carry));
    take(a);
    return a;
}

static struct attacker *attack(struct world *w, bool certified)
{
    return attack_as(w, certified ? w->authority_seed : NULL, "mallory");
}

static void end(struct attacker *a)
{
    link_deinit(&a->link);
    world_free(a->w);
    free(a);
}

static struct world *victim(void)
{
    struct world *w = world_new();
    world_add(w, 1, ROLE_PERSON, "an");
    world_add(w, 2, ROLE_PERSON, "binh");
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    return w;
}

/* The honest people still talk. */
static void still_works(struct world *w)
{
    int before = world_heard(w, 1, "all is well");
    assert_true(world_say(w, 2, "all is well") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 1, "all is well"), before + 1);
}

static size_t write_entry(struct attacker *a, uint32_t kind, uint32_t seq, const uint8_t *prev, slice body,
                          uint8_t *out, uint8_t *out_id)
{
    struct entry e = {.kind = kind,
                      .channel = a->w->channel,
                      .author = a->device,
                      .prev = prev,
                      .seq = seq,
                      .time_ms = a->w->now / 1000 + seq * a->step_ms,
                      .body = body},
                 back;
    struct writer w = writer_of(out, NODE_RECORD_BYTES_MAX);
    assert_int_equal(entry_write(crypto_native(), &e, a->seed, &w), OK);
    assert_int_equal(entry_parse(writer_slice(&w), &back), OK);
    if (out_id) entry_id(crypto_native(), &back, out_id);
    return w.len;
}

static slice join_body(const struct attacker *a, uint8_t *room)
{
    struct writer w = writer_of(room, 600);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(a->certificate, a->certificate_len));
    return writer_slice(&w);
}

static const uint8_t zeros[32];

static void garbage_closes_the_link(void **state)
{
    (void)state;
    static const char *garbage[] = {"\x18\x01", "\x9f\xff", "hello", "\xf6", "\x82\x01", "\x80", "\x81\x40"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct attacker *a = attack(victim(), true);
        send(a, slice_text(garbage[i]));
        assert_int_equal(a->error, ERR_MALFORMED);
        world_run(a->w, 2 * SECONDS); /* the reason has a second to leave */
        assert_int_equal(a->w->places[1].last_close, ERR_MALFORMED);
        still_works(a->w);
        end(a);
    }
}

static void unknown_kinds_and_longer_messages_are_skipped(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    send(a, SLICE("\x82\x18\x63\x43"
                  "new"));
    assert_int_equal(a->error, OK);
    send(a, SLICE("\x83\x01\x07\x81\x00")); /* a PING with one more element */
    assert_int_equal(a->error, OK);
    still_works(a->w);
    end(a);
}

static void a_false_signature_closes_the_link(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600];
    struct attacker *a = attack(victim(), true);
    size_t len = write_entry(a, ENTRY_JOIN, 1, zeros, join_body(a, body), entry, NULL);
    entry[len - 1] ^= 1;
    send_entry(a, slice_of(entry, len));
    assert_int_equal(a->error, ERR_SIGNATURE);
    still_works(a->w);
    end(a);
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
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_JOIN, 1, zeros, writer_slice(&w), entry, NULL)));
    assert_int_equal(a->error, ERR_PROTOCOL);
    still_works(a->w);
    end(a);
    /* A feed that does not begin with a JOIN. */
    a = attack(victim(), true);
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_TEXT, 1, zeros, SLICE("\x81\x41x"), entry, NULL)));
    assert_int_equal(a->error, ERR_PROTOCOL);
    still_works(a->w);
    end(a);
}

static void a_fork_is_seen_kept_out_and_told(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_JOIN, 1, zeros, join_body(a, body), entry, join)));
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43one"), entry, NULL)));
    world_settle(a->w);
    assert_int_equal(world_heard(a->w, 1, "one"), 1);
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43two"), entry, NULL)));
    assert_int_equal(a->error, OK);
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_TEXT, 3, join, SLICE("\x81\x43six"), entry, NULL)));
    world_run(a->w, SECONDS);
    assert_int_equal(world_heard(a->w, 1, "two") + world_heard(a->w, 1, "six"), 0);
    assert_int_equal(a->w->places[1].warnings, 1);
    assert_int_equal(world_heard(a->w, 2, "one"), 1);
    still_works(a->w);
    end(a);
}

static void nobody_writes_into_his_own_past(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    a->step_ms = 0;
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_JOIN, 1, zeros, join_body(a, body), entry, join)));
    assert_int_equal(a->error, OK);
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43old"), entry, NULL)));
    assert_int_equal(a->error, ERR_PROTOCOL);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(world_heard(a->w, 1, "old"), 0);
    still_works(a->w);
    end(a);
}

static void a_replay_is_taken_once(void **state)
{
    (void)state;
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    send_entry(a, slice_of(entry, write_entry(a, ENTRY_JOIN, 1, zeros, join_body(a, body), entry, join)));
    size_t len = write_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x43one"), entry, NULL);
    for (int i = 0; i < 1000; i++)
        send_entry(a, slice_of(entry, len));
    world_run(a->w, SECONDS);
    assert_int_equal(world_heard(a->w, 1, "one"), 1);
    end(a);
}

static void lies_about_what_is_held_stall_nobody(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint8_t nobody[32] = {0xEE};
    send_have(a, world_device(a->w, 2), 4000000000u);
    send_have(a, nobody, 3);
    send_have(a, world_device(a->w, 1), 999);
    world_run(a->w, 2 * SECONDS);
    still_works(a->w);
    for (int i = 0; i < 20; i++) { /* silent about it, but alive */
        world_run(a->w, 3 * SECONDS);
        send(a, SLICE("\x82\x01\x07"));
    }
    still_works(a->w);
    assert_int_equal(world_heard(a->w, 1, "all is well"), 2);
    assert_true(a->w->places[1].acknowledged[2] <= 2);
    end(a);
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
        send(a, writer_slice(&w));
    }
    world_add(a->w, 3, ROLE_PERSON, "chi");
    world_link(a->w, 3, 2, PATH_DIRECT);
    world_run(a->w, SECONDS);
    assert_true(world_say(a->w, 3, "I am new") > 0);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(world_heard(a->w, 1, "I am new"), 1);
    still_works(a->w);
    end(a);
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
    end(a);
    a = attack(victim(), true);
    assert_string_equal(a->w->places[1].stranger, "mallory");
    end(a);
}

static void an_uncertified_device_gets_nothing(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), false);
    still_works(a->w);
    take(a);
    for (size_t i = 0; i + 11 < a->said_len; i++)
        assert_memory_not_equal(a->said + i, "all is well", 11);
    assert_int_equal(a->w->places[1].closes, 0);
    end(a);
}

static void a_flood_of_oddities_closes_the_link(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint8_t plain[128], nobody[32] = {0xEE};
    struct writer w = writer_of(plain, sizeof plain);
    message_write_want(&w, a->w->channel, nobody, 1, 10);
    for (int i = 0; i < 150 && a->error == OK; i++)
        send(a, writer_slice(&w));
    assert_int_not_equal(a->error, OK);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(a->w->places[1].last_close, ERR_PROTOCOL);
    still_works(a->w);
    end(a);
}

static void the_reason_is_told_in_words(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    a->said_len = 0;
    send(a, SLICE("hello"));
    static uint8_t bytes[65536], scratch[LINK_FRAME_BYTES_MAX];
    size_t n = node_transmit(a->w->places[1].node, LINK, bytes, sizeof bytes, a->w->now);
    slice rest = slice_of(bytes, n), message;
    struct message m = {.kind = 99};
    while (m.kind != MESSAGE_CLOSE && link_next(&a->link, &rest, scratch, &message) == OK) {
        assert_int_equal(message_parse(message, &m), OK);
    }
    assert_int_equal(m.kind, MESSAGE_CLOSE);
    assert_true(m.text.len > 20);
    end(a);
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
    };
    return cmocka_run_group_tests_name("core/hostile", tests, NULL, NULL);
}
