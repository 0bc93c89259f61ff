/* types.h - the words that all headers of libweaprous share. */
#ifndef WEAPROUS_TYPES_H
#define WEAPROUS_TYPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_API __attribute__((visibility("default")))
#define WR_CHECKED __attribute__((warn_unused_result))

struct wr_app;     /* what is served: routes, limits, listeners */
struct wr_worker;  /* one event loop on one thread */
struct wr_request; /* one request and the answer to it */
struct wr_socket;  /* one open WebSocket */
struct wr_tls;     /* certificates and settings for TLS */
struct uv_loop_s;

enum wr_result {
    WR_OK = 0,
    WR_INVALID = -1, /* an argument is not valid, or not possible now */
    WR_EXISTS = -2,  /* it is there already */
    WR_MEMORY = -3,
    WR_SYSTEM = -4, /* the operating system refused; wr_app_error has the sentence */
    WR_CLOSED = -5, /* the other side has gone, or this side closed */
    WR_FULL = -6,   /* a limit is reached; nothing was taken */
};

/* Borrowed bytes. */
struct wr_bytes {
    const void *ptr;
    size_t len;
};

typedef void (*wr_handler)(struct wr_request *request, void *context);

#endif
