/* state.h - what the two files of the local engine share, private to src/bus.
 *
 * local.c finds the other processes and decides who is a peer; line.c moves frames over one socket. */
#ifndef BUS_STATE_H
#define BUS_STATE_H

#include <uv.h>

#include "base/buffer.h"
#include "bus/bus.h"

/* A frame: 4 bytes of length, big-endian, then its kind, then the rest of that length. */
enum frame_kind {
    FRAME_MESSAGE = 1,
    FRAME_HELLO = 2,   /* the first, from whom has connected: mark, id, process, version */
    FRAME_WELCOME = 3, /* the answer: the same fields. Now both are peers */
    FRAME_REFUSED = 4, /* or this one: a byte of enum refusal, words */
    FRAME_PING = 5,
    FRAME_LEAVE = 6, /* the last one */
};

enum refusal {
    REFUSAL_DOUBLE = 1 /* there is, or will be, another connection */,
    REFUSAL_VERSION,
    REFUSAL_FULL
};

enum line_phase {
    LINE_CONNECTING, /* for whom has opened it */
    LINE_GREETING,   /* until the hello, or its answer, is here */
    LINE_JOINED,
    LINE_CLOSING,
};

struct line {
    uv_pipe_t pipe;
    uv_connect_t connecting;
    uv_write_t write;
    struct bus *bus;
    struct line *next;
    enum line_phase phase;
    bool initiator, was_joined, said_goodbye, above_high;
    bool held;       /* joined during bus_open: nobody was told yet, and nothing is read */
    uint64_t id;     /* the other process's; 0: not known yet */
    uint32_t number; /* as a peer */
    unsigned silent_s, idle_s;
    struct buffer in;
    struct buffer pending, writing; /* what waits, and what the system has in hand */
    char why[BUS_WHY_BYTES];        /* it is closing */
};

struct bus {
    struct bus_options options;
    uint64_t id;
    int folder; /* descriptor */
    char name[20];
    uv_pipe_t listener;
    uv_timer_t tick;
    uv_prepare_t flush; /* active while something is to be written: one write for each turn of the loop */
    unsigned handles;   /* of libuv that are not closed yet; the last one frees */
    bool bound, closing;
    struct line *lines;
    uint32_t last_number;
    unsigned attempts, ticks; /* of bus_open */
    bool opening;
    int turned_away; /* in bus_open: the error, with the words in why */
    char why[BUS_WHY_BYTES];
};

/* --- line.c --- */

/* A connection that is not open yet. NULL without memory. */
struct line *line_new(struct bus *bus, bool initiator);
/* Reads from now on. */
void line_start(struct line *line);
/* Goes on after `held`. */
void line_resume(struct line *line);
/* Queues a frame. ERR_FULL, ERR_TOO_LARGE, ERR_NOT_FOUND (it is closing), ERR_MEMORY (it is closed). */
int line_put(struct line *line, enum frame_kind kind, slice head, slice body) BASE_CHECKED;
/* Ends it; local.c hears of it in line_closed. */
void line_close(struct line *line, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* Writes what waits. */
void line_flush(struct line *line);
void line_write_rest(struct line *line);
static inline size_t line_queued(const struct line *line)
{
    return line->pending.len + line->writing.len;
}

/* --- local.c --- */

/* A frame that is not a message came. */
void line_frame(struct line *line, enum frame_kind kind, slice bytes);
/* Its socket is closed; it is freed after this. */
void line_closed(struct line *line);
void bus_wants_flush(struct bus *bus);
/* One of the bus's handles is closed. */
void bus_release(struct bus *bus);

#endif
