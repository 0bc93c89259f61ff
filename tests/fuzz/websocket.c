/* The receiving half of a WebSocket: the input whole and in pieces must give the same messages. The first
 * byte says how long the pieces are, whether compressed messages are
 * allowed, and whether frames must be masked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/ws_reader.h"

enum { MESSAGE_MAX = 2000, MASKED = 0x80, COMPRESSED = 0x40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

static void check(const struct ws_event *e)
{
    bool control = e->opcode >= WS_CLOSE;
    expect(e->payload.len <= (control ? (size_t)WS_CONTROL_BYTES_MAX : (size_t)MESSAGE_MAX));
    expect(e->opcode != WS_CONTINUATION);
    expect(!e->compressed || e->opcode == WS_TEXT || e->opcode == WS_BINARY);
    if ((e->opcode == WS_TEXT && !e->compressed) || e->opcode == WS_CLOSE) expect(utf8_valid(e->payload));
    if (e->opcode == WS_CLOSE) expect(e->close_code == 1005 || ws_close_code_valid(e->close_code));
}

static void add(uint64_t *sum, uint64_t value)
{
    *sum = (*sum ^ value) * 0x100000001b3u;
}

/* The sum of everything that came out, the last result included. */
static uint64_t read_all(slice bytes, size_t step, uint8_t flags)
{
    struct ws_reader r;
    ws_reader_init(&r, &allocator_libc, MESSAGE_MAX, flags & MASKED);
    if (flags & COMPRESSED) ws_reader_allow_compressed(&r);
    uint64_t sum = 1;
    int rc = ERR_AGAIN;
    for (size_t from = 0; from < bytes.len && rc == ERR_AGAIN; from += step) {
        slice piece = slice_sub(bytes, from, step);
        uint8_t *copy = malloc(piece.len), *at = copy;
        if (!copy) abort();
        memcpy(copy, piece.ptr, piece.len);
        size_t left = piece.len;
        struct ws_event e;
        while ((rc = ws_reader_next(&r, &at, &left, &e)) == OK) {
            check(&e);
            add(&sum, (uint64_t)e.opcode + (e.compressed ? 16 : 0));
            add(&sum, e.payload.len);
            for (size_t i = 0; i < e.payload.len; i++)
                add(&sum, e.payload.ptr[i]);
        }
        if (rc == ERR_AGAIN) expect(left == 0);
        free(copy);
    }
    add(&sum, (uint64_t)-rc);
    ws_reader_deinit(&r);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    slice bytes = slice_of(data + 1, size - 1);
    expect(read_all(bytes, bytes.len, data[0]) == read_all(bytes, data[0] % 64 + 1u, data[0]));
    return 0;
}
