/* The queue of bytes on their way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void shared_bytes_live_until_the_last_owner_has_sent_them(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct chunk_queue queues[3] = {0};
    struct shared_bytes *message = shared_bytes_new(100);
    assert_non_null(message);
    memset(message->bytes, 'm', 100);
    for (int i = 0; i < 3; i++)
        assert_int_equal(chunk_put_shared(&pool, &queues[i], message), OK);
    assert_int_equal(atomic_load(&message->owners), 4);
    shared_bytes_release(message);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(queues[i].first->ptr, message->bytes);
        chunk_consume(&pool, &queues[i], 40);
        assert_int_equal(queues[i].first->len, 60);
        assert_int_equal(queues[i].first->ptr[59], 'm');
        chunk_consume(&pool, &queues[i], 60);
        assert_null(queues[i].first);
    }
    assert_int_equal(pool.links_len, 3);
    chunk_pool_deinit(&pool);
}

/* One message is a reference, many small ones of one turn become one piece. */
static void many_small_shared_messages_become_two_pieces(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    struct shared_bytes *message = shared_bytes_new(64);
    assert_non_null(message);
    memset(message->bytes, 's', 64);
    for (int i = 0; i < 16; i++)
        assert_int_equal(chunk_put_shared(&pool, &queue, message), OK);
    assert_ptr_equal(queue.first->next, queue.last);
    assert_int_equal(queue.bytes, 16 * 64);
    assert_int_equal(queue.last->len, 15 * 64);
    chunk_consume(&pool, &queue, queue.bytes);
    assert_int_equal(atomic_load(&message->owners), 1);
    shared_bytes_release(message);
    chunk_pool_deinit(&pool);
}

static void parts_that_follow_one_another_are_one_piece(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    struct shared_bytes *messages = shared_bytes_new(1000);
    assert_non_null(messages);
    for (int i = 0; i < 1000; i++)
        messages->bytes[i] = (uint8_t)(i / 100);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(chunk_put_part(&pool, &queue, messages, slice_of(messages->bytes + 100 * i, 100)),
                         OK);
    assert_ptr_equal(queue.first, queue.last);
    assert_int_equal(queue.bytes, 500);
    assert_int_equal(atomic_load(&messages->owners), 2);
    /* One is left out: what follows is copied, because the queue is not empty. */
    assert_int_equal(chunk_put_part(&pool, &queue, messages, slice_of(messages->bytes + 600, 100)), OK);
    assert_int_equal(chunk_put_part(&pool, &queue, messages, slice_of(messages->bytes + 700, 100)), OK);
    assert_ptr_equal(queue.first->next, queue.last);
    assert_int_equal(queue.last->len, 200);
    assert_int_equal(queue.last->ptr[199], 7);
    chunk_consume(&pool, &queue, 450);
    assert_int_equal(queue.first->ptr[0], 4);
    /* A piece of which a part has gone grows at its end all the same. */
    chunk_consume(&pool, &queue, queue.bytes);
    assert_int_equal(chunk_put_part(&pool, &queue, messages, slice_of(messages->bytes, 100)), OK);
    chunk_consume(&pool, &queue, 60);
    assert_int_equal(chunk_put_part(&pool, &queue, messages, slice_of(messages->bytes + 100, 100)), OK);
    assert_ptr_equal(queue.first, queue.last);
    assert_int_equal(queue.first->len, 140);
    chunk_consume(&pool, &queue, queue.bytes);
    assert_int_equal(atomic_load(&messages->owners), 1);
    shared_bytes_release(messages);
    chunk_pool_deinit(&pool);
}

static struct shared_file *file_of(size_t len)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        fputc(at(i), f);
    fflush(f);
    int fd = dup(fileno(f));
    fclose(f);
    struct shared_file *file = shared_file_new(fd);
    assert_non_null(file);
    return file;
}

static void a_file_range_is_loaded_in_parts_in_its_place(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    struct shared_file *file = file_of(10000);
    assert_int_equal(chunk_put(&pool, &queue, SLICE("head")), OK);
    assert_int_equal(chunk_put_file(&pool, &queue, file, 100, 9000), OK);
    shared_file_release(file);
    assert_int_equal(queue.bytes, 9004);
    struct chunk *c = queue.last;
    assert_int_equal(chunk_load(&pool, &queue, queue.first, &c, 6000), OK);
    assert_ptr_equal(queue.first->next, c);
    assert_int_equal(c->ptr[5999], at(6099));
    assert_int_equal(queue.last->kind, CHUNK_FILE);
    c = c->next;
    assert_int_equal(chunk_load(&pool, &queue, queue.first->next, &c, 3000), OK);
    assert_ptr_equal(queue.last, c);
    assert_int_equal(c->ptr[2999], at(9099));
    assert_int_equal(queue.bytes, 9004);
    chunk_consume(&pool, &queue, 9004);
    assert_null(queue.last);
    chunk_pool_deinit(&pool);
}

static void a_file_that_is_too_short_is_an_error_and_not_other_bytes(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct chunk_queue queue = {0};
    struct shared_file *file = file_of(1000);
    assert_int_equal(chunk_put_file(&pool, &queue, file, 500, 501), OK);
    shared_file_release(file);
    struct chunk *c = queue.first;
    assert_int_equal(chunk_load(&pool, &queue, NULL, &c, 501), ERR_CORRUPT);
    assert_int_equal(queue.first->kind, CHUNK_FILE);
    chunk_consume(&pool, &queue, 501);
    chunk_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_their_order),
        cmocka_unit_test(small_pieces_share_a_chunk_and_chunks_are_used_again),
        cmocka_unit_test(constant_bytes_are_borrowed_when_they_are_many),
        cmocka_unit_test(shared_bytes_live_until_the_last_owner_has_sent_them),
        cmocka_unit_test(many_small_shared_messages_become_two_pieces),
        cmocka_unit_test(parts_that_follow_one_another_are_one_piece),
        cmocka_unit_test(a_file_range_is_loaded_in_parts_in_its_place),
        cmocka_unit_test(a_file_that_is_too_short_is_an_error_and_not_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
