/* socket.h - WebSocket (RFC 6455). */
#ifndef WEAPROUS_SOCKET_H
#define WEAPROUS_SOCKET_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum wr_message { WR_TEXT = 1, WR_BINARY = 2 };

/* Codes of RFC 6455 7.4.1 that are of use here. */
enum wr_close_code {
    WR_CLOSE_NORMAL = 1000,
    WR_CLOSE_GOING_AWAY = 1001,
    WR_CLOSE_PROTOCOL = 1002,
    WR_CLOSE_UNSUPPORTED = 1003,
    WR_CLOSE_NONE = 1005, /* reported only: the other side gave no code */
    WR_CLOSE_LOST =
        1006, /* reported only: the connection ended without a close frame, or was silent too long */
    WR_CLOSE_NOT_UTF8 = 1007,
    WR_CLOSE_POLICY = 1008,
    WR_CLOSE_TOO_LARGE = 1009,
    WR_CLOSE_ERROR = 1011,
};

struct wr_socket_handlers {
    /* Decides about the upgrade: wr_socket_accept, or any wr_respond_... to refuse; now or later, like a
     * handler. By then the request is a correct handshake, or a plain GET, which may be refused for the same
     * reasons (a page is not told the status of a refused handshake, so it asks this way); wr_socket_accept
     * answers that one with 426. NULL: accept everybody who comes from the same origin, refuse others with
     * 403. */
    wr_handler upgrade;
    /* Called within wr_socket_accept. May send. May be NULL. */
    void (*open)(struct wr_socket *socket, void *context);
    /* A whole message; text is valid UTF-8, not NUL-terminated. */
    void (*message)(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                    void *context);
    /* After a send returned queue_bytes_high or more: the queue has fallen to a quarter of that. May be NULL.
     */
    void (*drain)(struct wr_socket *socket, void *context);
    /* Exactly once for each open, as the last call; the socket is gone when it returns. code and reason are
     * what the other side sent, or the enum above; also for a close that this side began. May be NULL. */
    void (*close)(struct wr_socket *socket, int code, const char *reason, void *context);
    /* Limits; 0 means the default. */
    size_t message_bytes_max;  /* inflated; default 1 MiB, below 4 GiB; a larger message closes with 1009 */
    size_t queue_bytes_max;    /* default 4 MiB; a send that would pass it returns WR_FULL */
    size_t queue_bytes_high;   /* default 64 KiB */
    unsigned ping_interval_ms; /* default 30 s */
    unsigned
        idle_timeout_ms; /* nothing received, pongs included, for so long: closed as lost; default 60 s */
    /* permessage-deflate (RFC 7692) for clients that offer it: messages of this many bytes or more are
     * compressed; 0, the default: the extension is refused. No memory is kept between messages (no context
     * takeover), so an idle socket costs nothing more. */
    size_t compress_bytes_min;
    /* Names of sub-protocols in the order of preference, separated by spaces; the first that the client
     * offers is chosen (wr_socket_protocol). NULL: none. */
    const char *protocols;
};

/* GET path is a WebSocket; path as in wr_route. A request that is no handshake gets 426 (or 400). Copies
 * handlers. */
WR_API int wr_websocket(struct wr_app *app, const char *path, const struct wr_socket_handlers *handlers,
                        void *context) WR_CHECKED;

/* Accepts: sends 101 with the headers and cookies added so far, makes the socket with this user pointer,
 * calls open, releases the request. 0, or WR_CLOSED (the client has gone, or the app is stopping; the request
 * is released all the same, no callback comes) or WR_INVALID (not a request of a wr_websocket route; answered
 * with a 500). */
WR_API int wr_socket_accept(struct wr_request *request, void *user) WR_CHECKED;

WR_API struct wr_worker *wr_socket_worker(const struct wr_socket *socket);
/* The chosen sub-protocol; "" when none. */
WR_API const char *wr_socket_protocol(const struct wr_socket *socket);
WR_API void *wr_socket_user(const struct wr_socket *socket);
WR_API void wr_socket_set_user(struct wr_socket *socket, void *user);
/* The other side's IP address as text; lives until the next call of this function. */
WR_API const char *wr_socket_address(const struct wr_socket *socket);

/* Queues one message; it leaves at the end of the loop turn, together with what else this turn produced.
 * Returns the bytes that now wait in the socket's queue (at queue_bytes_high or more: stop, and wait for
 * drain), or WR_FULL (nothing was queued), WR_CLOSED (closing already), WR_MEMORY. Text must be valid UTF-8
 * (WR_INVALID). */
WR_API int64_t wr_socket_send(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len);
/* The same, for a message whose bytes lie in several places. */
WR_API int64_t wr_socket_send_parts(struct wr_socket *socket, enum wr_message kind,
                                    const struct wr_bytes *parts, size_t count);
/* Sends it compactly as text. Borrows json. */
WR_API int64_t wr_socket_send_json(struct wr_socket *socket, const json_t *json);
/* Bytes that wait in the queue. */
WR_API size_t wr_socket_queued(const struct wr_socket *socket);

/* Stops reading from the client (messages that were read before are held back too) until wr_socket_resume.
 * The idle timeout rests meanwhile. Calls do not nest. */
WR_API void wr_socket_pause(struct wr_socket *socket);
WR_API void wr_socket_resume(struct wr_socket *socket);

/* Begins the close handshake after what is queued; no message comes any more, the close callback comes later
 * from the loop, within 5 s. code: 1000 to 1014 except 1004 to 1006, or 3000 to 4999; reason: UTF-8, at most
 * 123 bytes, NULL is allowed. Ignored when closing already. */
WR_API void wr_socket_close(struct wr_socket *socket, int code, const char *reason);

/* --- topics: one message to many sockets --- */

/* Names: 1 to 200 bytes. A socket is in at most 64 topics; it leaves all when it closes. Once is enough. 0,
 * WR_INVALID, WR_FULL, WR_CLOSED, WR_MEMORY. */
WR_API int wr_subscribe(struct wr_socket *socket, const char *topic) WR_CHECKED;
WR_API void wr_unsubscribe(struct wr_socket *socket, const char *topic);
/* Sends to every socket of the app that has subscribed, on all workers, except `except` (may be NULL): framed
 * once, shared, queued as a reference. A socket whose queue is full misses it and is closed with 1008,
 * because a reader must not miss silently. From any thread; from a worker's, the sockets of that worker get
 * it in this turn, and `except` must be one of them; others get it soon. What one thread publishes arrives in
 * that order. WR_INVALID (text that is not UTF-8, or no name of a topic); WR_FULL: 64 MiB of messages wait
 * for another worker already, whose sockets do not get this one; WR_MEMORY, likewise for some. */
WR_API int wr_publish(struct wr_app *app, const char *topic, enum wr_message kind, const void *bytes,
                      size_t len, struct wr_socket *except);
/* Subscribers on all workers, about. */
WR_API size_t wr_subscribers(struct wr_app *app, const char *topic);

#ifdef __cplusplus
}
#endif

#endif
