/* An offer of files reads back as it was written, and no path in it leads out of the folder it is put into.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/offer.h"
#include "core/tree.h"

static const uint8_t root[32] = {9};

static void an_offer_reads_back_as_written(void **state)
{
    (void)state;
    static uint8_t body[NODE_BODY_BYTES_MAX];
    struct offer_file files[] = {
        {SLICE("photos/\xc4\x90\xc3\xa0 L\xe1\xba\xa1t/1.jpg"), 4711, SLICE("image/jpeg"), root},
        {SLICE("photos/2.jpg"), 0, SLICE_EMPTY, root},
        {SLICE("photos/.hidden"), TREE_SIZE_MAX, SLICE("text/plain; charset=utf-8"), root},
    };
    struct writer w = writer_of(body, sizeof body);
    assert_int_equal(offer_write(&w, files, 3), OK);
    struct offer offer;
    struct offer_file file;
    assert_int_equal(offer_read(writer_slice(&w), &offer), OK);
    for (int i = 0; i < 3; i++) {
        assert_true(offer_next(&offer, &file));
        assert_true(slice_equal(file.path, files[i].path) && slice_equal(file.type, files[i].type));
        assert_int_equal(file.size, files[i].size);
        assert_memory_equal(file.root, root, 32);
    }
    assert_false(offer_next(&offer, &file));
    for (size_t cut = 0; cut < w.len; cut++)
        assert_int_not_equal(offer_read(slice_of(body, cut), &offer), OK);
    body[w.len] = 0;
    assert_int_equal(offer_read(slice_of(body, w.len + 1), &offer), ERR_MALFORMED);
}

static void no_path_leads_out_of_its_folder(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "/etc/passwd",
        "..",
        "../a",
        "a/../b",
        "a/..",
        ".",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "C:a",
        "c:/a",
        "a:b",
        "a\nb",
        "a\x01",
        "a\x7f",
        "a ",
        " a",
        "a.",
        ".. /a",
        "...",
        "a\xc2\x85",
        "a\xe2\x80\xae"
        "gpj.exe",
        "a\xe2\x80\x8b",
        "\xff",
        "a\xed\xa0\x80",
        "a\xe2\x81\xa6",
        "a\xf3\xa0\x81\x81",
        "\xef\xbb\xbf"
        "a",
    };
    static const char *const good[] = {
        "a", "a/b", ".a", "..a", "a..b", "a b", "\xe4\xb8\xad/\xf0\x9f\x98\x80.txt", "con?*\"<>|"};
    char deep[2 * OFFER_DEPTH_MAX + 2], name[OFFER_NAME_BYTES_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(offer_check_path(slice_text(bad[i])) < 0);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(offer_check_path(slice_text(good[i])), OK);
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 ? '/' : 'a';
    assert_int_equal(offer_check_path(slice_of(deep, 2 * OFFER_DEPTH_MAX - 1)), OK);
    assert_int_equal(offer_check_path(slice_of(deep, 2 * OFFER_DEPTH_MAX + 1)), ERR_TOO_LARGE);
    memset(name, 'a', sizeof name);
    assert_int_equal(offer_check_path(slice_of(name, OFFER_NAME_BYTES_MAX)), OK);
    assert_int_equal(offer_check_path(slice_of(name, OFFER_NAME_BYTES_MAX + 1)), ERR_TOO_LARGE);
    assert_int_equal(offer_check_path(slice_of("a\0b", 3)), ERR_INVALID);
}

static int write_two(const char *a, const char *b)
{
    static uint8_t body[NODE_BODY_BYTES_MAX];
    struct offer_file files[] = {{slice_text(a), 1, SLICE_EMPTY, root},
                                 {slice_text(b), 1, SLICE_EMPTY, root}};
    struct writer w = writer_of(body, sizeof body);
    return offer_write(&w, files, 2);
}

static void each_file_has_a_place_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(write_two("a", "b"), OK);
    assert_int_equal(write_two("a", "ab"), OK);
    assert_int_equal(write_two("a/b", "a/c"), OK);
    assert_int_equal(write_two("a", "a"), ERR_INVALID);
    assert_int_equal(write_two("a", "a/b"), ERR_INVALID);
    assert_int_equal(write_two("a/b/c", "a/b"), ERR_INVALID);
}

static void limits_hold_on_both_sides(void **state)
{
    (void)state;
    static uint8_t body[2 * NODE_BODY_BYTES_MAX];
    static char names[OFFER_FILES_MAX + 1][8];
    static struct offer_file files[OFFER_FILES_MAX + 1];
    struct offer offer;
    for (int i = 0; i <= OFFER_FILES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        files[i] = (struct offer_file){slice_text(names[i]), 5, SLICE_EMPTY, root};
    }
    struct writer w = writer_of(body, sizeof body);
    assert_int_equal(offer_write(&w, files, OFFER_FILES_MAX), OK);
    assert_int_equal(offer_read(writer_slice(&w), &offer), OK);
    assert_int_equal(offer_write(&w, files, OFFER_FILES_MAX + 1), ERR_TOO_LARGE);
    assert_int_equal(offer_write(&w, files, 0), ERR_INVALID);
    files[0].size = TREE_SIZE_MAX + 1;
    assert_int_equal(offer_write(&w, files, 1), ERR_TOO_LARGE);
    files[0].size = 1;
    files[0].type = SLICE("a\n");
    assert_int_equal(offer_write(&w, files, 1), ERR_INVALID);
    w = writer_of(body, 20);
    assert_int_equal(offer_write(&w, files + 1, 1), ERR_FULL);
    /* What a hostile device writes by hand: a path that offer_write would refuse. */
    w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_array(&w, 1);
    cbor_put_array(&w, 4);
    cbor_put_bytes(&w, SLICE("../../home"));
    cbor_put_uint(&w, 1);
    cbor_put_bytes(&w, SLICE_EMPTY);
    cbor_put_bytes(&w, slice_of(root, 32));
    assert_int_equal(offer_read(writer_slice(&w), &offer), ERR_INVALID);
}

/* Later versions may add elements. */
static void more_elements_are_skipped(void **state)
{
    (void)state;
    uint8_t body[128];
    struct offer offer;
    struct offer_file file;
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 2);
    cbor_put_array(&w, 1);
    cbor_put_array(&w, 5);
    cbor_put_bytes(&w, SLICE("a"));
    cbor_put_uint(&w, 1);
    cbor_put_bytes(&w, SLICE_EMPTY);
    cbor_put_bytes(&w, slice_of(root, 32));
    cbor_put_array(&w, 0);
    cbor_put_bytes(&w, SLICE("for you"));
    assert_int_equal(offer_read(writer_slice(&w), &offer), OK);
    assert_true(offer_next(&offer, &file) && !offer_next(&offer, &file));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_reads_back_as_written),   cmocka_unit_test(no_path_leads_out_of_its_folder),
        cmocka_unit_test(each_file_has_a_place_of_its_own), cmocka_unit_test(limits_hold_on_both_sides),
        cmocka_unit_test(more_elements_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
