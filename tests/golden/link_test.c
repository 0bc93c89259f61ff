/* link_test.c - the preface, the handshake, the frames and the messages, byte for byte as in the vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "core/identity.h"
#include "core/link.h"
#include "core/message.h"
#include "crypto/native.h"
#include "vectors.h"

static const struct crypto *crypto;

struct side {
    struct link link;
    slice seed, device, certificate;
    enum node_role role;
};

static void side_init(struct side *side, const json_t *document, const char *name)
{
    const json_t *who = vector_get(document, name);
    uint8_t secret[KEY_BYTES];
    *side = (struct side){.seed = vector_bytes(who, "seed"),
                          .device = vector_bytes(who, "device"),
                          .certificate = vector_bytes(who, "certificate"),
                          .role = (enum node_role)vector_number(who, "role")};
    identity_noise_secret(crypto, side->seed.ptr, secret);
    assert_int_equal(link_init(&side->link, &allocator_libc, crypto, strcmp(name, "initiator") == 0,
                               vector_bytes(document, "binding"), secret, vector_bytes(who, "ephemeral").ptr),
                     OK);
}

static slice greeting(struct side *side, uint8_t *out, size_t room)
{
    struct link_self self = {side->device.ptr, side->seed.ptr, side->role, side->certificate};
    struct writer w = writer_of(out, room);
    assert_int_equal(link_greet(&side->link, &self, &w), OK);
    return writer_slice(&w);
}

/* Hands bytes over one at a time; the last message that was whole, if any. */
static slice hand_over(struct link *link, slice bytes, uint8_t *scratch)
{
    slice message = SLICE_EMPTY, whole = SLICE_EMPTY;
    for (size_t i = 0; i < bytes.len; i++) {
        slice rest = slice_sub(bytes, i, 1);
        int rc = link_next(link, &rest, scratch, &message);
        assert_true(rc == OK || rc == ERR_AGAIN);
        if (rc == OK) whole = message;
    }
    return whole;
}

static void a_link_speaks_as_written(void **state)
{
    (void)state;
    static uint8_t out[LINK_FRAME_BYTES_MAX], scratch[LINK_FRAME_BYTES_MAX];
    json_t *document = vectors_open("link.json"), *frame, *frames = vector_get(document, "frames");
    slice preface = vector_bytes(document, "preface");
    struct side sides[2];
    size_t i;
    bool greeted[2] = {false, false};
    side_init(&sides[0], document, "initiator");
    side_init(&sides[1], document, "responder");
    json_array_foreach(frames, i, frame)
    {
        struct side *from = &sides[i % 2], *to = &sides[1 - i % 2];
        slice want = vector_bytes(frame, "hex"), plain = vector_bytes(frame, "plain"), got;
        assert_string_equal(vector_text(frame, "from"), i % 2 ? "responder" : "initiator");
        if (i < 3) {
            got = greeting(from, out, sizeof out);
            if (!greeted[i % 2]) { /* the five bytes come first */
                assert_true(slice_starts(got, preface));
                (void)hand_over(&to->link, slice_sub(got, 0, preface.len), scratch);
                got = slice_sub(got, preface.len, got.len);
                greeted[i % 2] = true;
            }
        } else {
            struct writer w = writer_of(out, sizeof out);
            assert_int_equal(from->link.state, LINK_OPEN);
            assert_int_equal(link_seal(&from->link, plain, &w), OK);
            got = writer_slice(&w);
        }
        assert_true(slice_equal(got, want));
        slice message = hand_over(&to->link, want, scratch);
        if (i >= 3) assert_true(slice_equal(message, plain));
    }
    for (i = 0; i < 2; i++) {
        const struct link *link = &sides[i].link;
        const struct side *other = &sides[1 - i];
        assert_memory_equal(link->device, other->device.ptr, ID_BYTES);
        assert_int_equal(link->role, other->role);
        assert_true(slice_equal(slice_of(link->certificate, link->certificate_len), other->certificate));
        link_deinit(&sides[i].link);
    }
}

static void other_prefaces_are_refused(void **state)
{
    (void)state;
    uint8_t scratch[LINK_FRAME_BYTES_MAX];
    json_t *document = vectors_open("link.json"), *item, *bad = vector_get(document, "bad_prefaces");
    size_t i;
    json_array_foreach(bad, i, item)
    {
        struct side side;
        slice message, rest = vector_bytes(item, "hex");
        side_init(&side, document, "responder");
        assert_string_equal(err_name(link_next(&side.link, &rest, scratch, &message)),
                            vector_text(item, "error"));
        link_deinit(&side.link);
    }
}

static void prefaces_with_this_version_among_them_are_taken(void **state)
{
    (void)state;
    uint8_t scratch[LINK_FRAME_BYTES_MAX];
    json_t *document = vectors_open("link.json"), *good = vector_get(document, "prefaces");
    assert_true(json_array_size(good) > 0);
    for (size_t i = 0; i < json_array_size(good); i++) {
        struct side side;
        uint8_t bytes[LINK_PREFACE_BYTES];
        slice message, rest = slice_of(bytes, sizeof bytes);
        assert_int_equal(
            hex_decode(slice_text(json_string_value(json_array_get(good, i))), bytes, sizeof bytes), 0);
        side_init(&side, document, "responder");
        assert_int_equal(link_next(&side.link, &rest, scratch, &message), OK);
        assert_int_equal(side.link.state, LINK_HANDSHAKE);
        link_deinit(&side.link);
    }
}

/* Hands over all of it; what the link said last. */
static int hand_over_all(struct link *link, slice bytes)
{
    static uint8_t scratch[LINK_FRAME_BYTES_MAX];
    slice message, rest = bytes;
    int rc = OK;
    while (rest.len > 0 && rc == OK)
        rc = link_next(link, &rest, scratch, &message);
    return rc;
}

/* What a responder says to an initiator of other versions, and its verdict on what such a one says. */
static void introductions_are_judged_as_written(void **state)
{
    (void)state;
    static uint8_t out[4096];
    json_t *document = vectors_open("link.json"), *item, *list = vector_get(document, "introductions");
    size_t i, opened = 0;
    json_array_foreach(list, i, item)
    {
        struct side side;
        uint8_t frames[3][4096];
        slice frame[3];
        json_t *texts = vector_get(item, "frames"), *error = vector_get(item, "error");
        for (size_t k = 0; k < 3; k++) {
            slice text = slice_text(json_string_value(json_array_get(texts, k)));
            frame[k] = slice_of(frames[k], text.len / 2);
            assert_true(frame[k].len <= sizeof frames[k]);
            assert_int_equal(hex_decode(text, frames[k], frame[k].len), 0);
        }
        side_init(&side, document, "responder");
        assert_int_equal(hand_over_all(&side.link, vector_bytes(item, "preface")), OK);
        assert_int_equal(hand_over_all(&side.link, frame[0]), OK);
        slice answer = greeting(&side, out, sizeof out);
        if (!slice_equal(slice_sub(answer, LINK_PREFACE_BYTES, answer.len), frame[1]))
            fail_msg("another answer: %s", vector_text(item, "name"));
        int rc = hand_over_all(&side.link, frame[2]);
        const char *want = json_is_null(error) ? "OK" : json_string_value(error);
        if (strcmp(rc == OK ? "OK" : err_name(rc), want) != 0)
            fail_msg("%s: %s", vector_text(item, "name"), err_name(rc));
        assert_true((side.link.state == LINK_OPEN) == (rc == OK));
        opened += rc == OK;
        link_deinit(&side.link);
    }
    assert_true(opened > 0 && opened < i);
}

/* Every single flipped bit of the responder's and the initiator's handshake message ends the handshake. */
static void a_handshake_with_a_flipped_bit_fails(void **state)
{
    (void)state;
    static uint8_t out[4096], scratch[LINK_FRAME_BYTES_MAX], flipped[4096];
    json_t *document = vectors_open("link.json"), *frames = vector_get(document, "frames");
    slice preface = vector_bytes(document, "preface");
    slice first = vector_bytes(json_array_get(frames, 0), "hex"),
          second = vector_bytes(json_array_get(frames, 1), "hex"),
          third = vector_bytes(json_array_get(frames, 2), "hex");
    for (int who = 0; who < 2; who++) {
        slice attacked = who == 0 ? second : third;
        for (size_t bit = 16; bit < attacked.len * 8; bit += 5) { /* after the two bytes of length */
            struct side side;
            slice message, rest;
            int rc = OK;
            memcpy(flipped, attacked.ptr, attacked.len);
            flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
            side_init(&side, document, who == 0 ? "initiator" : "responder");
            (void)greeting(&side, out, sizeof out);
            (void)hand_over(&side.link, preface, scratch);
            if (who == 1) {
                (void)hand_over(&side.link, first, scratch);
                (void)greeting(&side, out, sizeof out);
            }
            rest = slice_of(flipped, attacked.len);
            while (rc == OK && rest.len > 0)
                rc = link_next(&side.link, &rest, scratch, &message);
            assert_true(rc == ERR_AUTH || rc == ERR_SIGNATURE || rc == ERR_MALFORMED);
            assert_true(side.link.state != LINK_OPEN);
            link_deinit(&side.link);
        }
    }
}

static void write_later_again(const struct message *m, struct writer *w)
{
    struct message copy = *m;
    const uint8_t *devices[MESSAGE_DEVICES_MAX], *author;
    uint32_t low, high, count = 0;
    switch (m->kind) {
    case MESSAGE_HOLD:
        message_write_hold(w, m->channel, m->pairs_left);
        while (message_next_span(&copy, &author, &low, &high))
            message_write_span(w, author, low, high);
        break;
    case MESSAGE_DIGEST: message_write_digest(w, m->channel, m->digest); break;
    case MESSAGE_RECENT: message_write_recent(w, m->channel, m->before_ms, m->count); break;
    case MESSAGE_RECENT_END: message_write_recent_end(w, m->channel, m->before_ms, m->more); break;
    case MESSAGE_RECEIPT: message_write_receipt(w, m); break;
    case MESSAGE_INTRODUCE: message_write_introduce(w, m->spec, m->certificate, m->wire); break;
    case MESSAGE_PRUNE:
    case MESSAGE_GRAFT: message_write_push(w, (enum message_kind)m->kind, m->channel); break;
    case MESSAGE_SHUFFLE:
        while (message_next_device(&copy, &devices[count]))
            count++;
        message_write_shuffle(w, m->channel, devices, count, m->on);
        break;
    case MESSAGE_SIGNAL: message_write_signal(w, m->to, m->device, m->ttl, m->wire, m->stamp); break;
    default: fail_msg("kind %u", (unsigned)m->kind);
    }
}

static void write_again(const struct message *m, struct writer *w)
{
    struct message copy = *m;
    const uint8_t *author;
    uint32_t seq;
    switch (m->kind) {
    case MESSAGE_CLOSE: message_write_close(w, m->code, m->text); break;
    case MESSAGE_PING:
    case MESSAGE_PONG: message_write_stamp(w, (enum message_kind)m->kind, m->stamp); break;
    case MESSAGE_CARRY: message_write_carry(w, m->channel, m->on, m->links); break;
    case MESSAGE_HAVE:
        message_write_have(w, m->channel, m->flags, m->pairs_left);
        while (message_next_pair(&copy, &author, &seq))
            message_write_pair(w, author, seq);
        break;
    case MESSAGE_WANT:
        if (m->down)
            message_write_want_down(w, m->channel, m->author, m->from, m->count);
        else
            message_write_want(w, m->channel, m->author, m->from, m->count);
        break;
    case MESSAGE_ENTRY: message_write_entry(w, m->wire); break;
    default: write_later_again(m, w);
    }
}

static void messages_are_read_and_written_alike(void **state)
{
    (void)state;
    static uint8_t again[LINK_MESSAGE_BYTES_MAX];
    json_t *document = vectors_open("message.json"), *item, *list = vector_get(document, "valid");
    size_t i;
    json_array_foreach(list, i, item)
    {
        slice bytes = vector_bytes(item, "hex");
        struct message m;
        struct writer w = writer_of(again, sizeof again);
        assert_int_equal(message_parse(bytes, &m), OK);
        assert_int_equal(m.kind, vector_number(item, "kind"));
        write_again(&m, &w);
        bool longer = strstr(vector_text(item, "name"), "later version") != NULL;
        if (slice_equal(writer_slice(&w), bytes) == longer) fail_msg("%s", vector_text(item, "name"));
    }
    list = vector_get(document, "skipped");
    json_array_foreach(list, i, item)
    {
        struct message m;
        assert_int_equal(message_parse(vector_bytes(item, "hex"), &m), OK);
        assert_int_equal(m.kind, vector_number(item, "kind"));
    }
    list = vector_get(document, "invalid");
    json_array_foreach(list, i, item)
    {
        struct message m;
        int rc = message_parse(vector_bytes(item, "hex"), &m);
        if (rc != ERR_MALFORMED) fail_msg("%s: %s", vector_text(item, "name"), err_name(rc));
    }
}

int main(void)
{
    if (crypto_native_start() != OK) return 1;
    crypto = crypto_native();
    const struct CMUnitTest tests[] = {
        GOLDEN(a_link_speaks_as_written),
        GOLDEN(other_prefaces_are_refused),
        GOLDEN(prefaces_with_this_version_among_them_are_taken),
        GOLDEN(introductions_are_judged_as_written),
        GOLDEN(a_handshake_with_a_flipped_bit_fails),
        GOLDEN(messages_are_read_and_written_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
