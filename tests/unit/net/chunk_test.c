/* The queue of bytes on their way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/chunk.h"

enum { TOTAL = 200000 };

static uint8_t at(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8));
}

/* What was put in comes out, whatever the sizes of the pieces on both sides. */
static void bytes_come_out_in_their_order(void **state)
{
    (void)state;
    static uint8_t source[TOTAL];
    for (size_t i = 0; i < TOTAL; i++)
        source[i] = at(i);
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    size_t in = 0, out = 0;
    for (size_t step = 0; out < TOTAL; step++) {
        size_t n = step * 977 % 6000;
        if (n > TOTAL - in) n = TOTAL - in;
        if (step % 3 == 0) {
            assert_int_equal(chunk_put_static(&pool, &queue, slice_of(source + in, n)), OK);
        } else if (step % 3 == 1) {
            assert_int_equal(chunk_put(&pool, &queue, slice_of(source + in, n)), OK);
        } else {
            uint8_t *room = chunk_room(&pool, &queue, n + 100);
            assert_non_null(room);
            memcpy(room, source + in, n);
            chunk_trim(&queue, 100);
        }
        in += n;
        assert_int_equal(queue.bytes, in - out);
        size_t take = step * 577 % 5000;
        if (take > queue.bytes) take = queue.bytes;
        size_t left = take, seen = out;
        for (struct chunk *c = queue.first; left > 0; c = c->next) {
            for (size_t i = 0; i < c->len && left > 0; i++, left--)
                assert_int_equal(c->ptr[i], at(seen++));
        }
        chunk_consume(&pool, &queue, take);
        out += take;
    }
    assert_int_equal(queue.bytes, 0);
    chunk_consume(&pool, &queue, 0);
    assert_null(queue.first);
    assert_null(queue.last);
    chunk_pool_deinit(&pool);
}

static void small_pieces_share_a_chunk_and_chunks_are_used_again(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(chunk_put(&pool, &queue, SLICE("0123456789")), OK);
    assert_true(queue.first == queue.last);
    struct chunk *used = queue.first;
    chunk_consume(&pool, &queue, 1000);
    assert_int_equal(pool.len, 1);
    assert_int_equal(chunk_put(&pool, &queue, SLICE("again")), OK);
    assert_true(queue.first == used);
    chunk_consume(&pool, &queue, 5);
    chunk_pool_deinit(&pool);
}

static void constant_bytes_are_borrowed_when_they_are_many(void **state)
{
    (void)state;
    static const uint8_t constant[CHUNK_BORROW_MIN] = {0};
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    assert_int_equal(chunk_put_static(&pool, &queue, slice_of(constant, sizeof constant)), OK);
    assert_true(queue.first->ptr == constant);
    assert_int_equal(chunk_put(&pool, &queue, SLICE("after")), OK);
    assert_true(queue.first != queue.last);
    chunk_consume(&pool, &queue, queue.bytes);
    chunk_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_their_order),
        cmocka_unit_test(small_pieces_share_a_chunk_and_chunks_are_used_again),
        cmocka_unit_test(constant_bytes_are_borrowed_when_they_are_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
