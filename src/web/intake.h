/* intake.h - for the reverse proxy: all requests of an app go to one place, whatever their method and path,
 * with their head as it was parsed; answers whose head is written by who answers; connections that become
 * tunnels.
 *
 * Not part of the public API: it works with the inside of requests and connections. */
#ifndef WEB_INTAKE_H
#define WEB_INTAKE_H

#include "web/app.h"
#include "web/connection.h"

/* As wr_route_body's handlers: `begin` when the head has come (it may answer), `data` for each piece of the
 * body, `end` when all of it has come, `failed` when the client goes before `end` has been called. After
 * `end` wr_request_on_gone tells; a client that half-closes does not count as gone. */
struct intake {
    wr_handler begin, end, failed;
    void (*data)(struct wr_request *request, const void *bytes, size_t len, void *context);
};

/* All requests go there. Before the app runs. ERR_MEMORY. */
int app_intake(struct wr_app *app, const struct intake *intake, void *context) BASE_CHECKED;
/* Of a body longer than this the client hears 413; in `begin`. The default is no limit. */
void intake_limit_body(struct wr_request *request, uint64_t bytes_max);

/* --- an answer whose head is written by the caller --- */

/* Begins one: room for its head in the queue of the client, at most `max` bytes; then intake_head_done. The
 * framing is what the head will say. NULL without memory: call wr_respond_abort. */
uint8_t *intake_head(struct wr_request *request, size_t max) BASE_CHECKED;
/* used: how many bytes the head has. length: of the body when the framing is FRAMING_LENGTH. close: the head
 * says that the connection ends. */
void intake_head_done(struct wr_request *request, size_t used, int status, enum framing framing,
                      uint64_t length, bool close);
/* Whether the connection must end after an answer that begins now: for the head. */
bool intake_closes(const struct wr_request *request);
/* The body is written with wr_respond_write and ended with wr_respond_end; trailers as lines, before that. */
void intake_trailers(struct wr_request *request, slice lines);

/* --- tunnels --- */

struct tunnel_events {
    void (*received)(void *owner, uint8_t *bytes, size_t len);
    void (*ended)(void *owner);                         /* the client sends no more */
    void (*flushed)(void *owner);                       /* some bytes have left */
    void (*gone)(void *owner);                          /* the connection is no more; the last call */
    void (*stop)(void *owner);                          /* the server stops */
    uint64_t (*deadline)(void *owner, uint64_t now_ms); /* the next one, UINT64_MAX none, 0: close */
};
/* After the head of a 101 (or 200) was put with intake_head: releases the request, and what the client sent
 * behind it and sends from now on goes to the owner. */
void intake_tunnel(struct wr_request *request, const struct tunnel_events *events, void *owner);

#endif
