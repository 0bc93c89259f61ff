/* What one link may ask for is limited, generously, and for a while only; and a later version of the protocol
 * is understood as far as it is this one. */
#include "attacker.h"

#include "core/message.h"

static const uint8_t zeros[32];

static bool still_linked(struct attacker *a)
{
    attacker_send(a, SLICE("\x82\x01\x07")); /* PING */
    return a->error == OK;
}

static void ping_often(struct attacker *a, int times)
{
    for (int i = 0; i < times && a->error == OK; i++) {
        attacker_send(a, SLICE("\x82\x02\x00")); /* PONG to nothing: odd, too */
        if (i % 64 == 0) attacker_take(a);
    }
}

static void a_flood_of_small_messages_closes_the_link(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    int sent = 0;
    for (; a->error == OK && sent < 60000; sent++) {
        attacker_send(a, SLICE("\x82\x18\x63\x00")); /* of a kind that nobody knows */
    }
    assert_in_range(sent, 49000, 51000);
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(a->w->places[1].last_close, ERR_FULL);
    assert_true(strlen(a->w->places[1].last_text) > 20);
    still_works(a->w);
    attacker_free(a);
}

static void what_looks_at_all_authors_is_not_asked_for_often(void **state)
{
    (void)state;
    static const int most[] = {20000, 5000};
    for (int what = 0; what < 2; what++) {
        struct attacker *a = attack(victim(), true);
        uint8_t plain[64];
        int sent = 0;
        for (; a->error == OK && sent < 30000; sent++) {
            struct writer w = writer_of(plain, sizeof plain);
            if (what == 0)
                message_write_carry(&w, a->w->channel, sent % 2 == 1, 0);
            else
                message_write_recent(&w, a->w->channel, 0, 1);
            attacker_send(a, writer_slice(&w));
            a->said_len = 0;
            attacker_take(a);
        }
        assert_in_range(sent, most[what] - 100, most[what] + 100);
        world_run(a->w, 2 * SECONDS);
        assert_int_equal(a->w->places[1].last_close, ERR_FULL);
        still_works(a->w);
        attacker_free(a);
    }
}

static void strangers_have_nobody_carry_their_signals(void **state)
{
    (void)state;
    for (int certified = 0; certified < 2; certified++) {
        struct attacker *a = attack(victim(), certified);
        uint8_t plain[256];
        struct writer w = writer_of(plain, sizeof plain);
        message_write_signal(&w, world_device(a->w, 2), a->device, 3, SLICE("come"), 1);
        attacker_send(a, writer_slice(&w));
        w = writer_of(plain, sizeof plain);
        message_write_signal(&w, world_device(a->w, 1), a->device, 3, SLICE("come"), 2);
        attacker_send(a, writer_slice(&w));
        world_run(a->w, SECONDS);
        assert_int_equal(a->error, OK);
        assert_int_equal(a->w->places[1].signals, certified);
        assert_int_equal(a->w->places[2].signals, certified);
        attacker_free(a);
    }
}

static void a_steady_stream_within_the_rate_is_let_through(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    for (int i = 0; i < 200000; i++) {
        a->w->now += 210;
        attacker_send(a, SLICE("\x82\x18\x63\x00"));
        assert_int_equal(a->error, OK);
    }
    still_works(a->w);
    attacker_free(a);
}

static void a_flood_of_duplicates_closes_the_link(void **state)
{
    (void)state;
    static uint8_t text[200];
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    struct attacker *a = attack(victim(), true);
    attacker_send_entry(
        a, slice_of(entry, attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), entry, join)));
    size_t len = attacker_entry(a, ENTRY_TEXT, 2, join, slice_of(text, sizeof text), entry, NULL);
    int sent = 0;
    for (; a->error == OK && sent < 60000; sent++) {
        attacker_send_entry(a, slice_of(entry, len));
        if (sent == 0) world_settle(a->w);
    }
    assert_in_range(sent, 46000, 50000); /* large ones count more */
    world_run(a->w, 2 * SECONDS);
    assert_int_equal(a->w->places[1].last_close, ERR_FULL);
    still_works(a->w);
    attacker_free(a);
}

static void who_sent_too_much_is_left_outside_for_a_while_and_longer_each_time(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    usec pause = 10 * SECONDS;
    for (int round = 0; round < 4; round++, pause *= 2) {
        ping_often(a, 200);
        assert_int_not_equal(a->error, OK);
        world_run(a->w, 2 * SECONDS);
        assert_int_equal(a->w->places[1].last_close, ERR_PROTOCOL);
        attacker_connect(a);
        assert_false(still_linked(a));
        world_run(a->w, 2 * SECONDS);
        assert_int_equal(a->w->places[1].last_close, ERR_DENIED);
        world_run(a->w, pause - 4 * SECONDS);
        attacker_connect(a);
        assert_true(still_linked(a));
    }
    still_works(a->w);
    attacker_free(a);
}

static void oddities_are_forgotten_in_time(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    for (int round = 0; round < 5; round++) {
        ping_often(a, 99);
        assert_true(still_linked(a));
        for (int i = 0; i < 1000 / 30; i++) {
            world_run(a->w, 30 * SECONDS);
            assert_true(still_linked(a));
            attacker_take(a);
        }
    }
    ping_often(a, 150);
    assert_int_not_equal(a->error, OK);
    attacker_free(a);
}

/* A clock that is far ahead moves neither the order of others nor their clocks. */
static void an_entry_from_the_future_stands_where_it_arrived(void **state)
{
    (void)state;
    static const uint64_t ahead_ms[] = {6 * 60 * 1000, 86400000, UINT64_C(3650) * 86400000};
    uint8_t entry[NODE_RECORD_BYTES_MAX], body[600], join[32];
    for (size_t i = 0; i < sizeof ahead_ms / sizeof ahead_ms[0]; i++) {
        struct attacker *a = attack(victim(), true);
        a->step_ms = ahead_ms[i];
        attacker_send_entry(
            a, slice_of(entry, attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), entry, join)));
        attacker_send_entry(
            a, slice_of(entry, attacker_entry(a, ENTRY_TEXT, 2, join, SLICE("\x81\x45later"), entry, NULL)));
        assert_int_equal(a->error, OK);
        world_run(a->w, SECONDS);
        assert_int_equal(world_heard(a->w, 1, "later"), 1);
        assert_int_equal(world_heard(a->w, 2, "later"), 1);
        for (size_t k = 0; k < a->w->places[1].records; k++) {
            struct entry_view view;
            struct stored *s = &a->w->places[1].disk[k];
            if (s->seq == 0) continue;
            assert_int_equal(node_view(a->w->places[1].node, slice_of(s->bytes, s->len), &view), OK);
            assert_true(view.place_ms <= a->w->now / MILLISECONDS);
        }
        still_works(a->w);
        attacker_free(a);
    }
}

static void what_is_larger_than_the_limits_closes_the_link(void **state)
{
    (void)state;
    static uint8_t plain[LINK_MESSAGE_BYTES_MAX], body[NODE_BODY_BYTES_MAX + 1];
    struct attacker *a = attack(victim(), true);
    /* Written by hand, because entry_write refuses. */
    struct writer w = writer_of(plain, sizeof plain);
    static uint8_t fields[18000], wire[18500], signature[64];
    struct writer f = writer_of(fields, sizeof fields), e = writer_of(wire, sizeof wire);
    cbor_put_array(&f, 8);
    cbor_put_uint(&f, 1);
    cbor_put_uint(&f, ENTRY_TEXT);
    cbor_put_bytes(&f, slice_of(a->w->channel, 32));
    cbor_put_bytes(&f, slice_of(a->device, 32));
    cbor_put_uint(&f, 1);
    cbor_put_bytes(&f, slice_of(zeros, 32));
    cbor_put_uint(&f, a->w->now / 1000);
    cbor_put_bytes(&f, slice_of(body, sizeof body));
    cbor_put_array(&e, 2);
    cbor_put_bytes(&e, writer_slice(&f));
    cbor_put_bytes(&e, slice_of(signature, sizeof signature));
    message_write_entry(&w, writer_slice(&e));
    assert_false(w.failed);
    attacker_send(a, writer_slice(&w));
    assert_int_equal(a->error, ERR_TOO_LARGE);
    still_works(a->w);
    attacker_free(a);
}

/* --- a later version --- */

/* The message with more elements than this version knows. */
static slice longer(slice plain, uint8_t *room)
{
    assert_true(plain.ptr[0] > 0x80 && plain.ptr[0] < 0x95);
    memcpy(room, plain.ptr, plain.len);
    room[0] += 2; /* of a short array */
    memcpy(room + plain.len, "\x82\x01\x41x\x19\x12\x34", 7);
    return slice_of(room, plain.len + 7);
}

static void send_longer(struct attacker *a, slice plain)
{
    static uint8_t room[LINK_MESSAGE_BYTES_MAX];
    attacker_send(a, longer(plain, room));
    assert_int_equal(a->error, OK);
}

/* An entry whose parts all have more elements: around the fields, in them, and in the body. */
static slice later_entry(struct attacker *a, uint32_t kind, uint32_t seq, const uint8_t *prev, slice body,
                         uint8_t *room, uint8_t *id)
{
    static uint8_t fields[2000];
    uint8_t signature[64];
    struct writer f = writer_of(fields, sizeof fields), w = writer_of(room, 2600);
    struct entry e;
    cbor_put_array(&f, 10);
    cbor_put_uint(&f, 1);
    cbor_put_uint(&f, kind);
    cbor_put_bytes(&f, slice_of(a->w->channel, 32));
    cbor_put_bytes(&f, slice_of(a->device, 32));
    cbor_put_uint(&f, seq);
    cbor_put_bytes(&f, slice_of(prev, 32));
    cbor_put_uint(&f, a->w->now / 1000 + seq);
    cbor_put_bytes(&f, body);
    cbor_put_array(&f, 1);
    cbor_put_uint(&f, 5);
    cbor_put_bytes(&f, SLICE("new"));
    identity_sign(crypto_native(), a->seed, SLICE("weaprous.entry.1"), writer_slice(&f), signature);
    cbor_put_array(&w, 3);
    cbor_put_bytes(&w, writer_slice(&f));
    cbor_put_bytes(&w, slice_of(signature, 64));
    cbor_put_uint(&w, 9);
    assert_false(f.failed || w.failed);
    assert_int_equal(entry_parse(writer_slice(&w), &e), OK);
    entry_id(crypto_native(), &e, id);
    return writer_slice(&w);
}

static void send_later_entry(struct attacker *a, uint32_t kind, uint32_t seq, uint8_t *id, slice body)
{
    uint8_t entry[2600], prev[32], plain[3000];
    struct writer w = writer_of(plain, sizeof plain);
    memcpy(prev, id, 32);
    message_write_entry(&w, later_entry(a, kind, seq, prev, body, entry, id));
    send_longer(a, writer_slice(&w));
}

static void a_later_version_is_understood_as_far_as_it_is_this_one(void **state)
{
    (void)state;
    uint8_t plain[600], body[700], room[700], id[32] = {0};
    struct attacker *a = attack_later(victim(), 0x11);
    for (uint8_t kind = 25; kind < 255; kind++) /* messages that nobody knows yet */
        send_longer(a, kind < 24 ? SLICE_EMPTY : slice_of((uint8_t[]){0x82, 0x18, kind, 0x00}, 4));
    struct writer w = writer_of(plain, sizeof plain);
    message_write_stamp(&w, MESSAGE_PING, 7);
    send_longer(a, writer_slice(&w));
    w.len = 0;
    message_write_carry(&w, a->w->channel, true, 1);
    send_longer(a, writer_slice(&w));
    w.len = 0;
    message_write_have(&w, a->w->channel, HAVE_FIRST | HAVE_LAST, 0);
    send_longer(a, writer_slice(&w));
    w.len = 0;
    cbor_put_array(&w, 6); /* with all that may be left out */
    cbor_put_uint(&w, MESSAGE_WANT);
    cbor_put_bytes(&w, slice_of(a->w->channel, 32));
    cbor_put_bytes(&w, slice_of(world_device(a->w, 1), 32));
    cbor_put_uint(&w, 1);
    cbor_put_uint(&w, 1);
    cbor_put_uint(&w, 0);
    send_longer(a, writer_slice(&w));
    send_later_entry(a, ENTRY_JOIN, 1, id, longer(attacker_join(a, body), room));
    send_later_entry(a, ENTRY_TEXT, 2, id, SLICE("\x83\x45later\x81\x01\x02")); /* with a reply-to, say */
    send_later_entry(a, 4711, 3, id, SLICE("\x81\x01"));
    send_later_entry(a, ENTRY_TEXT, 4, id, SLICE("\x81\x43old"));
    world_run(a->w, 2 * SECONDS);
    for (int i = 1; i <= 2; i++) { /* both, the second by way of the first */
        assert_int_equal(world_heard(a->w, i, "later"), 1);
        assert_int_equal(world_heard(a->w, i, "old"), 1);
        int unknown = 0;
        for (size_t k = 0; k < a->w->places[i].deliveries; k++)
            unknown += a->w->places[i].delivered[k].kind == 4711;
        assert_int_equal(unknown, 1);
    }
    assert_int_equal(a->w->places[1].closes, 0);
    assert_int_equal(a->w->places[1].warnings, 0);
    assert_true(still_linked(a));
    world_restart(a->w, 2); /* what it does not know is there again */
    assert_int_equal(world_shows(a->w, 2, "later"), 1);
    attacker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_small_messages_closes_the_link),
        cmocka_unit_test(what_looks_at_all_authors_is_not_asked_for_often),
        cmocka_unit_test(strangers_have_nobody_carry_their_signals),
        cmocka_unit_test(a_steady_stream_within_the_rate_is_let_through),
        cmocka_unit_test(a_flood_of_duplicates_closes_the_link),
        cmocka_unit_test(who_sent_too_much_is_left_outside_for_a_while_and_longer_each_time),
        cmocka_unit_test(oddities_are_forgotten_in_time),
        cmocka_unit_test(an_entry_from_the_future_stands_where_it_arrived),
        cmocka_unit_test(what_is_larger_than_the_limits_closes_the_link),
        cmocka_unit_test(a_later_version_is_understood_as_far_as_it_is_this_one),
    };
    return cmocka_run_group_tests_name("core/limits", tests, NULL, NULL);
}
