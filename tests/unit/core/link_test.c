/* A link proves who is at the other end, however the bytes are cut, and refuses everything else. */
#include "world.h"

#include "core/identity.h"
#include "core/link.h"

struct end {
    struct link link;
    uint8_t seed[32], device[32], secret[32];
    struct link_self self;
    uint8_t altered; /* what the last byte of its preface becomes on the way; 0: stays */
};

static void end_init(struct end *e, int fill, bool initiator, slice binding)
{
    const struct crypto *c = crypto_native();
    uint8_t ephemeral[32];
    memset(e->seed, fill, 32);
    memset(ephemeral, fill + 100, 32);
    c->sign_public(NULL, e->device, e->seed);
    identity_noise_secret(c, e->seed, e->secret);
    e->altered = 0;
    e->self = (struct link_self){e->device, e->seed, ROLE_PERSON, SLICE("certificate")};
    assert_int_equal(link_init(&e->link, &allocator_libc, c, initiator, binding, e->secret, ephemeral), OK);
}

/* Moves what `from` has to greet with to `to`, `step` bytes at a time; the first error of `to`. */
static int greet(struct end *from, struct end *to, size_t step)
{
    uint8_t bytes[4096], scratch[LINK_FRAME_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    bool begins = !from->link.preface_sent;
    while (link_greets(&from->link))
        assert_int_equal(link_greet(&from->link, &from->self, &w), OK);
    if (begins && from->altered) bytes[4] = from->altered;
    for (size_t at = 0; at < w.len; at += step) {
        slice rest = slice_sub(writer_slice(&w), at, step), message;
        for (;;) {
            int rc = link_next(&to->link, &rest, scratch, &message);
            if (rc == ERR_AGAIN) break;
            if (rc < 0) return rc;
        }
    }
    return OK;
}

static int shake(struct end *a, struct end *b, size_t step)
{
    for (int i = 0; i < 3; i++) {
        int rc = greet(a, b, step);
        if (rc == OK) rc = greet(b, a, step);
        if (rc < 0) return rc;
    }
    return OK;
}

static void handshake_works_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < 300; step += 7) {
        struct end a, b;
        end_init(&a, 1, true, SLICE("pipe"));
        end_init(&b, 2, false, SLICE("pipe"));
        assert_int_equal(shake(&a, &b, step), OK);
        assert_int_equal(a.link.state, LINK_OPEN);
        assert_int_equal(b.link.state, LINK_OPEN);
        assert_memory_equal(a.link.device, b.device, 32);
        assert_memory_equal(b.link.device, a.device, 32);
        assert_int_equal(a.link.certificate_len, strlen("certificate"));
        assert_null(a.link.noise);
        assert_null(a.link.inbox);
        link_deinit(&a.link);
        link_deinit(&b.link);
    }
}

static void messages_cross_whole_and_in_order(void **state)
{
    (void)state;
    struct end a, b;
    static uint8_t bytes[200000], scratch[LINK_FRAME_BYTES_MAX], big[LINK_MESSAGE_BYTES_MAX];
    end_init(&a, 1, true, SLICE_EMPTY);
    end_init(&b, 2, false, SLICE_EMPTY);
    assert_int_equal(shake(&a, &b, 1000), OK);
    struct writer w = writer_of(bytes, sizeof bytes);
    size_t sizes[] = {1, 17, 1000, LINK_MESSAGE_BYTES_MAX};
    for (size_t i = 0; i < 4; i++) {
        memset(big, (int)i + 1, sizeof big);
        assert_int_equal(link_seal(&a.link, slice_of(big, sizes[i]), &w), OK);
    }
    assert_int_equal(link_seal(&a.link, slice_of(big, LINK_MESSAGE_BYTES_MAX + 1), &w), ERR_INVALID);
    size_t seen = 0;
    for (size_t at = 0; at < w.len; at += 999) {
        slice rest = slice_sub(writer_slice(&w), at, 999), message;
        int rc;
        while ((rc = link_next(&b.link, &rest, scratch, &message)) == OK) {
            assert_int_equal(message.len, sizes[seen]);
            assert_int_equal(message.ptr[message.len - 1], ++seen);
        }
        assert_int_equal(rc, ERR_AGAIN);
    }
    assert_int_equal(seen, 4);
    link_deinit(&a.link);
    link_deinit(&b.link);
}

static void another_binding_is_refused(void **state)
{
    (void)state;
    struct end a, b;
    end_init(&a, 1, true, SLICE("this pipe"));
    end_init(&b, 2, false, SLICE("that pipe"));
    assert_int_equal(shake(&a, &b, 4096), ERR_AUTH);
    link_deinit(&a.link);
    link_deinit(&b.link);
}

static void a_key_that_is_not_held_is_refused(void **state)
{
    (void)state;
    struct end a, b;
    end_init(&a, 1, true, SLICE_EMPTY);
    end_init(&b, 2, false, SLICE_EMPTY);
    b.self.device = a.device; /* says to be another device than the one that signs */
    assert_int_equal(shake(&a, &b, 4096), ERR_SIGNATURE);
    link_deinit(&a.link);
    link_deinit(&b.link);
}

static void every_flipped_bit_of_a_frame_is_seen(void **state)
{
    (void)state;
    uint8_t scratch[LINK_FRAME_BYTES_MAX], bytes[64];
    for (size_t bit = 0; bit < 8 * (2 + 5 + TAG_BYTES); bit++) {
        struct end a, b;
        end_init(&a, 1, true, SLICE_EMPTY);
        end_init(&b, 2, false, SLICE_EMPTY);
        assert_int_equal(shake(&a, &b, 4096), OK);
        struct writer w = writer_of(bytes, sizeof bytes);
        assert_int_equal(link_seal(&a.link, SLICE("hello"), &w), OK);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        slice rest = writer_slice(&w), message;
        assert_int_not_equal(link_next(&b.link, &rest, scratch, &message), OK);
        link_deinit(&a.link);
        link_deinit(&b.link);
    }
}

static int first_bytes(slice bytes)
{
    struct end a;
    uint8_t scratch[LINK_FRAME_BYTES_MAX];
    slice message;
    end_init(&a, 1, false, SLICE_EMPTY);
    int rc;
    while ((rc = link_next(&a.link, &bytes, scratch, &message)) == OK) {
    }
    link_deinit(&a.link);
    return rc;
}

static void odd_first_bytes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(first_bytes(SLICE("GET / HTTP/1.1\r\n")), ERR_MALFORMED);
    assert_int_equal(first_bytes(SLICE("wprs\x02")), ERR_VERSION);
    assert_int_equal(first_bytes(SLICE("wprs\x01\xff\xff")), ERR_TOO_LARGE);
    assert_int_equal(first_bytes(SLICE("wprs\x01\x00\x00")), ERR_MALFORMED);
    assert_int_equal(first_bytes(SLICE("wprs\x01\x00\x03"
                                       "abc")),
                     ERR_MALFORMED);
    assert_int_equal(first_bytes(SLICE("wprs\x01\x00")), ERR_AGAIN);
}

static int shake_versions(uint8_t versions_a, uint8_t altered_a, uint8_t versions_b, uint8_t altered_b)
{
    struct end a, b;
    end_init(&a, 1, true, SLICE("pipe"));
    end_init(&b, 2, false, SLICE("pipe"));
    a.link.versions = versions_a;
    b.link.versions = versions_b;
    a.altered = altered_a;
    b.altered = altered_b;
    int rc = shake(&a, &b, 4096);
    if (rc == OK) assert_true(a.link.state == LINK_OPEN && b.link.state == LINK_OPEN);
    link_deinit(&a.link);
    link_deinit(&b.link);
    return rc;
}

static void versions_are_agreed_upon(void **state)
{
    (void)state;
    static const struct {
        uint8_t byte;
        int result;
    } cases[] = {{0x01, OK},          {0x11, OK},          {0xF1, OK},          {0x00, ERR_VERSION},
                 {0x02, ERR_VERSION}, {0x12, ERR_VERSION}, {0x10, ERR_VERSION}, {0xFF, ERR_VERSION}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(shake_versions(cases[i].byte, 0, LINK_VERSION, 0), cases[i].result);
        assert_int_equal(shake_versions(LINK_VERSION, 0, cases[i].byte, 0), cases[i].result);
    }
}

/* Two later sides are not made to speak the oldest version that both know, nor one of them. */
static void nobody_in_between_chooses_the_version(void **state)
{
    (void)state;
    assert_int_equal(shake_versions(0x11, 0x01, 0x11, 0x01), ERR_VERSION);
    assert_int_equal(shake_versions(0x11, 0x01, LINK_VERSION, 0), ERR_VERSION);
    assert_int_equal(shake_versions(LINK_VERSION, 0x11, LINK_VERSION, 0), ERR_VERSION);
    assert_int_equal(shake_versions(LINK_VERSION, 0x11, LINK_VERSION, 0x11), ERR_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_works_however_it_is_cut),
        cmocka_unit_test(messages_cross_whole_and_in_order),
        cmocka_unit_test(another_binding_is_refused),
        cmocka_unit_test(a_key_that_is_not_held_is_refused),
        cmocka_unit_test(every_flipped_bit_of_a_frame_is_seen),
        cmocka_unit_test(odd_first_bytes_are_refused),
        cmocka_unit_test(versions_are_agreed_upon),
        cmocka_unit_test(nobody_in_between_chooses_the_version),
    };
    if (crypto_native_start() < 0) return 1;
    return cmocka_run_group_tests_name("core/link", tests, NULL, NULL);
}
