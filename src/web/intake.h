/* intake.h - for the reverse proxy: all requests of an app go to one place, whatever their method and path,
 * with their head as it was parsed; answers whose head is written by who answers; connections that become
 * tunnels.
 *
 * Not part of the public API: it works with the inside of requests and connections. */
#ifndef WEB_INTAKE_H
#define WEB_INTAKE_H

#include "web/app.h"
#include "web/connection.h"

/* All requests go there, as to a route of wr_route_body without a limit. Before the app runs. ERR_MEMORY. */
int app_intake(struct wr_app *app, const struct wr_body_handlers *handlers, void *context) BASE_CHECKED;
/* A handler for a client that goes away after the body has come, as wr_request_on_gone; but one that only
 * half-closes does not count as gone. */
void intake_on_gone(struct wr_request *request, wr_handler handler, void *context);

/* --- an answer whose head is written by the caller --- */

/* Room for its head, at most `max` bytes, in the queue of the client; then intake_head. The request must have
 * its connection and no answer begun. NULL without memory: call wr_respond_abort. */
uint8_t *intake_room(struct wr_request *request, size_t max) BASE_CHECKED;
struct intake_head {
    size_t max, used; /* of intake_room; bytes that the head has */
    int status;
    enum framing framing; /* that the head tells */
    uint64_t length;      /* of the body, with FRAMING_LENGTH */
    bool close;           /* the head says that the connection ends */
};
/* The head is written: the answer has begun. */
void intake_head(struct wr_request *request, const struct intake_head *head);
/* Whether the connection must end after an answer that begins now: for the head. */
bool intake_closes(const struct wr_request *request);
/* A piece of the body, at most what the framing allows. Bytes in the shared read buffer are lent
 * (stream_lend). Trouble ends the connection, soon. */
void intake_write(struct wr_request *request, slice bytes);
/* Sends what was lent. What waits for the client now. */
size_t intake_push(struct wr_request *request);
/* Bytes of a body with a length that got to the client on another way. */
void intake_passed(struct wr_request *request, size_t n);
/* Calls the drain handler (wr_response_on_drain) when what waits has become little. */
void intake_await_drain(struct wr_request *request);
/* All of the body is written; trailers: lines, for a chunked answer. Releases the request. */
void intake_end(struct wr_request *request, slice trailers);

/* --- tunnels --- */

/* A connection whose bytes, both ways, are its owner's. */
struct tunnel {
    const struct tunnel_events *events;
    struct connection *conn; /* NULL when it is no more */
    bool paused;
};

struct tunnel_events {
    void (*received)(struct tunnel *tunnel, uint8_t *bytes, size_t len);
    void (*ended)(struct tunnel *tunnel);   /* the client sends no more; it can still receive */
    void (*flushed)(struct tunnel *tunnel); /* after an attempt to send */
    void (*gone)(
        struct tunnel *tunnel); /* the connection is no more; the last call, perhaps within another */
    void (*stop)(struct tunnel *tunnel); /* the server stops: end it soon */
    /* The next deadline; UINT64_MAX: none; 0: it has been closed. */
    uint64_t (*deadline)(struct tunnel *tunnel, uint64_t now_ms);
};
/* After the head of a 101 was put with intake_room and intake_head: releases the request; what the client
 * sent behind it, and sends from now on, goes to the tunnel. Fill in events before. */
void intake_tunnel(struct wr_request *request, struct tunnel *tunnel);
/* Stops and goes on receiving. */
void tunnel_pause(struct tunnel *tunnel, bool paused);
/* Ends the connection: what is queued is still sent, unless `cut`. It is not the tunnel's any more; `gone` is
 * not called. */
void tunnel_close(struct tunnel *tunnel, bool cut);

#endif
