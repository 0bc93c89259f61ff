/* Entries have one spelling, and certificates say only what their authority signed. */
#include "world.h"

#include "base/cbor.h"
#include "core/entry.h"
#include "core/identity.h"

static const uint8_t seed[32] = {7};
static uint8_t device[32], channel[32], zeros[32];

static size_t text_entry(uint8_t *out, size_t room, size_t body_len)
{
    static uint8_t body[NODE_BODY_BYTES_MAX];
    memset(body, 'x', sizeof body);
    struct entry e = {.kind = ENTRY_TEXT,
                      .channel = channel,
                      .author = device,
                      .prev = zeros,
                      .seq = 1,
                      .time_ms = 1760000000000,
                      .body = slice_of(body, body_len)};
    struct writer w = writer_of(out, room);
    assert_int_equal(entry_write(crypto_native(), &e, seed, &w), OK);
    return w.len;
}

static void an_entry_reads_back_as_written(void **state)
{
    (void)state;
    static uint8_t bytes[NODE_RECORD_BYTES_MAX];
    for (size_t body = 1; body <= NODE_BODY_BYTES_MAX; body = body * 2) {
        struct entry e;
        size_t len = text_entry(bytes, sizeof bytes, body);
        assert_int_equal(entry_parse(slice_of(bytes, len), &e), OK);
        assert_int_equal(e.body.len, body);
        assert_int_equal(e.seq, 1);
        uint8_t id[ID_BYTES];
        entry_id(crypto_native(), &e, id);
        assert_true(entry_signed(crypto_native(), &e, id));
    }
}

static void no_flipped_bit_and_no_cut_is_accepted(void **state)
{
    (void)state;
    uint8_t bytes[512];
    struct entry e;
    size_t len = text_entry(bytes, sizeof bytes, 20);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bool good = entry_parse(slice_of(bytes, len), &e) == OK;
        uint8_t id[ID_BYTES];
        if (good) entry_id(crypto_native(), &e, id);
        good = good && entry_signed(crypto_native(), &e, id);
        assert_false(good);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(entry_parse(slice_of(bytes, cut), &e), ERR_MALFORMED);
    bytes[len] = 0;
    assert_int_equal(entry_parse(slice_of(bytes, len + 1), &e), ERR_MALFORMED);
}

static void a_record_reads_back_and_a_damaged_one_does_not(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t len = text_entry(bytes, sizeof bytes, 20);
    struct arrival arrival = {.path = PATH_RELAY, .arrived_ms = 5, .place_ms = 6}, back;
    struct blob *b = blob_new(&allocator_libc, crypto_native(), slice_of(bytes, len), &arrival);
    assert_non_null(b);
    enum record_kind kind;
    slice wire;
    struct channel_record unused;
    assert_int_equal(record_parse(slice_of(b->data, b->len), &kind, &wire, &back, &unused), OK);
    assert_int_equal(kind, RECORD_ENTRY);
    assert_int_equal(back.path, PATH_RELAY);
    assert_int_equal(back.place_ms, 6);
    assert_true(slice_equal(wire, slice_of(bytes, len)));
    for (size_t cut = 0; cut < b->len; cut++) {
        assert_int_equal(record_parse(slice_of(b->data, cut), &kind, &wire, &back, &unused), ERR_CORRUPT);
    }
    blob_release(&allocator_libc, b);
}

static void a_certificate_holds_for_its_time_and_its_device(void **state)
{
    (void)state;
    uint8_t bytes[512], other[32] = {9};
    struct certificate fields = {.account = SLICE("an"),
                                 .device = device,
                                 .issued_s = 1000000,
                                 .expires_s = 2000000},
                       c;
    int len = certificate_write(crypto_native(), &fields, other, bytes, sizeof bytes);
    assert_true(len > 0);
    assert_int_equal(certificate_parse(crypto_native(), slice_of(bytes, (size_t)len), &c), OK);
    assert_true(slice_equal(c.account, SLICE("an")));
    assert_memory_equal(c.device, device, 32);
    assert_true(certificate_current(&c, 1500000 * SECONDS));
    assert_true(certificate_current(&c, 2000000 * SECONDS + 3600 * SECONDS));
    assert_false(certificate_current(&c, 2000000 * SECONDS + 90000 * SECONDS));
    assert_false(certificate_current(&c, 1000000 * SECONDS - 90000 * SECONDS));
    for (int bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(certificate_parse(crypto_native(), slice_of(bytes, (size_t)len), &c), OK);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(certificate_write(crypto_native(), &fields, other, bytes, 20), ERR_FULL);
    fields.account = SLICE_EMPTY;
    assert_int_equal(certificate_write(crypto_native(), &fields, other, bytes, sizeof bytes), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_reads_back_as_written),
        cmocka_unit_test(no_flipped_bit_and_no_cut_is_accepted),
        cmocka_unit_test(a_record_reads_back_and_a_damaged_one_does_not),
        cmocka_unit_test(a_certificate_holds_for_its_time_and_its_device),
    };
    if (crypto_native_start() < 0) return 1;
    crypto_native()->sign_public(NULL, device, seed);
    return cmocka_run_group_tests_name("core/entry", tests, NULL, NULL);
}
