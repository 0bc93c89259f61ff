/* client.h - the least HTTP and WebSocket client that a measurement needs, with no code of the server in it.
 *
 * Only for a server on 127.0.0.1 that is known to answer in form; it checks little and is no example.
 * Rules: one thread; ws_open blocks, afterwards the socket does not block. Errors: 0 or -1, with a sentence
 * on stderr. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "base/buffer.h"

enum {
    COOKIE_BYTES_MAX = 256,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

struct ws {
    int fd;
    struct buffer in, out;
    size_t taken; /* bytes of `in` that the last ws_next gave out */
};

/* Makes an account and keeps its session cookie ("session=..."). */
int account_register(uint16_t port, const char *name, const char *password,
                     char out_cookie[COOKIE_BYTES_MAX]);

int ws_open(struct ws *ws, uint16_t port, const char *cookie);
void ws_close(struct ws *ws);
/* Queues one frame of two parts; its mask is zero, which the form allows and costs nothing to apply. */
void ws_put(struct ws *ws, uint8_t opcode, slice head, slice payload);
/* Writes what the socket takes now. */
int ws_flush(struct ws *ws);
/* Reads what is there now; -1 also when the server closed. */
int ws_fill(struct ws *ws);
/* The next whole frame; the payload is valid until the next call. */
bool ws_next(struct ws *ws, uint8_t *out_opcode, slice *out_payload);

#endif
