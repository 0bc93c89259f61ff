/* map: against a plain array, through growth, removal and shortage of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"

enum { KEYS = 300 };

static const uint8_t secret[16] = "0123456789abcdef";

static void key_of(uint32_t number, uint8_t key[MAP_KEY_BYTES])
{
    memset(key, 0, MAP_KEY_BYTES);
    memcpy(key + 5, &number, sizeof number);
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void a_map_agrees_with_a_plain_array(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, &allocator_libc, KEYS, secret);
    bool used[KEYS] = {false};
    uint32_t values[KEYS] = {0};
    uint64_t seed = 1;
    for (int step = 0; step < 50000; step++) {
        uint32_t k = next_random(&seed) % KEYS, got;
        uint8_t key[MAP_KEY_BYTES];
        key_of(k, key);
        switch (next_random(&seed) % 3) {
        case 0:
            assert_int_equal(map_set(&m, key, (uint32_t)step), OK);
            used[k] = true;
            values[k] = (uint32_t)step;
            break;
        case 1:
            assert_int_equal(map_remove(&m, key), used[k]);
            used[k] = false;
            break;
        default:
            assert_int_equal(map_get(&m, key, &got), used[k]);
            if (used[k]) assert_int_equal(got, values[k]);
        }
    }
    size_t count = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        uint8_t key[MAP_KEY_BYTES];
        uint32_t got;
        key_of(k, key);
        assert_int_equal(map_get(&m, key, &got), used[k]);
        count += used[k];
    }
    assert_int_equal(m.len, count);
    map_deinit(&m);
}

static void a_full_map_refuses_new_keys_and_replaces_old_ones(void **state)
{
    (void)state;
    struct map m;
    uint8_t key[MAP_KEY_BYTES];
    map_init(&m, &allocator_libc, 20, secret);
    for (uint32_t k = 0; k < 20; k++) {
        key_of(k, key);
        assert_int_equal(map_set(&m, key, k), OK);
    }
    key_of(20, key);
    assert_int_equal(map_set(&m, key, 20), ERR_FULL);
    key_of(3, key);
    assert_int_equal(map_set(&m, key, 33), OK);
    assert_true(map_remove(&m, key));
    key_of(20, key);
    assert_int_equal(map_set(&m, key, 20), OK);
    map_deinit(&m);
}

static void *no_memory(void *context, void *ptr, size_t old_size, size_t size)
{
    (void)old_size;
    if (size > 0 && *(int *)context <= 0) return NULL;
    if (size > 0) --*(int *)context;
    if (size > 0) return realloc(ptr, size);
    free(ptr);
    return NULL;
}

static void without_memory_a_map_keeps_what_it_has(void **state)
{
    (void)state;
    int allowed = 1;
    struct allocator allocator = {&allowed, no_memory};
    struct map m;
    uint8_t key[MAP_KEY_BYTES];
    uint32_t k = 0, got;
    map_init(&m, &allocator, 1000, secret);
    int rc = OK;
    while (rc == OK) {
        key_of(k, key);
        rc = map_set(&m, key, k);
        if (rc == OK) k++;
    }
    assert_int_equal(rc, ERR_MEMORY);
    assert_true(k > 0);
    for (uint32_t i = 0; i < k; i++) {
        key_of(i, key);
        assert_true(map_get(&m, key, &got));
        assert_int_equal(got, i);
    }
    map_deinit(&m);
}

static void an_empty_map_answers(void **state)
{
    (void)state;
    struct map m;
    uint8_t key[MAP_KEY_BYTES] = {0};
    uint32_t got;
    map_init(&m, &allocator_libc, 0, secret);
    assert_false(map_get(&m, key, &got));
    assert_false(map_remove(&m, key));
    assert_int_equal(map_set(&m, key, 1), ERR_FULL);
    map_deinit(&m);
}

static void the_order_depends_on_the_secret(void **state)
{
    (void)state;
    struct map a, b;
    uint8_t key[MAP_KEY_BYTES], other[16] = "another secret!";
    map_init(&a, &allocator_libc, 100, secret);
    map_init(&b, &allocator_libc, 100, other);
    for (uint32_t k = 0; k < 40; k++) {
        key_of(k, key);
        assert_int_equal(map_set(&a, key, k), OK);
        assert_int_equal(map_set(&b, key, k), OK);
    }
    size_t differs = 0;
    assert_int_equal(a.cap, b.cap);
    for (size_t i = 0; i < a.cap; i++)
        differs +=
            a.slots[i].used != b.slots[i].used || memcmp(a.slots[i].key, b.slots[i].key, MAP_KEY_BYTES) != 0;
    assert_true(differs > 20);
    map_deinit(&a);
    map_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_agrees_with_a_plain_array),
        cmocka_unit_test(a_full_map_refuses_new_keys_and_replaces_old_ones),
        cmocka_unit_test(without_memory_a_map_keeps_what_it_has),
        cmocka_unit_test(an_empty_map_answers),
        cmocka_unit_test(the_order_depends_on_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
