/* response.h - the answer. */
#ifndef WEAPROUS_RESPONSE_H
#define WEAPROUS_RESPONSE_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Exactly one wr_respond_... for each request.
 *
 * In the handler, or later from any other callback of the loop: a handler that returns without answering
 * keeps the request. The answer releases the handle. If the client has gone meanwhile it does only that.
 * Answers of pipelined requests leave in the order of the requests. */

/* Adds a header field to the answer to come. A name or value with control characters turns the answer into a
 * 500, and so does Content-Length, Connection, Date or Transfer-Encoding, which are the library's own.
 * Content-Type takes the place of the one that the answer would have. */
WR_API void wr_response_header(struct wr_request *request, const char *name, const char *value);

enum wr_same_site { WR_SAME_SITE_LAX, WR_SAME_SITE_STRICT, WR_SAME_SITE_NONE };

struct wr_cookie {
    const char *name;  /* a token */
    const char *value; /* no control characters, spaces, quotes, commas, semicolons, backslashes */
    const char *path;  /* NULL: "/" */
    int64_t max_age_s; /* negative: until the browser closes; 0: delete it */
    bool http_only;
    bool secure;
    enum wr_same_site same_site;
};
/* Adds Set-Cookie to the answer to come (RFC 6265). */
WR_API void wr_response_cookie(struct wr_request *request, const struct wr_cookie *cookie);

WR_API void wr_respond_empty(struct wr_request *request, int status);
/* text: UTF-8, sent as text/plain. */
WR_API void wr_respond_text(struct wr_request *request, int status, const char *text);
WR_API void wr_respond_bytes(struct wr_request *request, int status, const char *content_type,
                             const void *bytes, size_t len);
/* Takes the reference to json. NULL (out of memory) gives a 500. */
WR_API void wr_respond_json(struct wr_request *request, int status, json_t *json);
/* {"status":"error","message":message}; message NULL: the usual phrase of the status. */
WR_API void wr_respond_error(struct wr_request *request, int status, const char *message);
/* status: 301, 302, 303, 307 or 308. location: a path or URL, already percent-encoded. */
WR_API void wr_respond_redirect(struct wr_request *request, int status, const char *location);

/* --- answers in pieces --- */

/* Begins an answer; then wr_respond_write any number of times, and wr_respond_end, which releases the
 * request. length: bytes to come, or -1: chunked (to an HTTP/1.0 client: until the connection closes).
 * content_type may be NULL. To HEAD, and with 204 and 304, only the head goes; writing does nothing. From now
 * on config.answer_timeout_ms does not apply. May be called while the body still comes (wr_route_body).
 * Returns 0, WR_CLOSED when the client has gone, WR_INVALID when the head is not valid (the client got a
 * 500); call wr_respond_end in any case. */
WR_API int wr_respond_begin(struct wr_request *request, int status, const char *content_type, int64_t length);
/* Queues a piece; it leaves at the end of the loop turn. Returns the bytes that now wait for the client, at
 * WR_RESPONSE_HIGH or more: stop, and wait for the drain handler; or WR_CLOSED, WR_MEMORY (the connection is
 * cut), WR_FULL (more than 16 MiB wait, or more than `length`; nothing was taken). */
enum { WR_RESPONSE_HIGH = 64 * 1024 };
WR_API int64_t wr_respond_write(struct wr_request *request, const void *bytes, size_t len);
/* Called when what waits has fallen below a quarter of WR_RESPONSE_HIGH after a write that reached it. */
WR_API void wr_response_on_drain(struct wr_request *request, wr_handler handler, void *context);
/* A trailer field for a chunked answer, after wr_respond_begin; dropped when the client did not say "TE:
 * trailers". Fields that frame, route, authenticate or describe the body (RFC 9110 6.5.1), and control
 * characters, are dropped with a line in the log. */
WR_API void wr_response_trailer(struct wr_request *request, const char *name, const char *value);
/* Completes the answer. Fewer bytes than `length`: the connection is cut, so that the client can tell. */
WR_API void wr_respond_end(struct wr_request *request);
/* Gives up in the middle: cuts the connection, releases the request. */
WR_API void wr_respond_abort(struct wr_request *request);

/* --- server-sent events (text/event-stream, WHATWG HTML 9.2) --- */

/* Begins the stream, with Cache-Control: no-store and X-Accel-Buffering: no (nginx would keep the events
 * back); a comment after config.event_beat_ms of silence keeps it alive. Ends with wr_respond_end;
 * wr_request_on_gone tells that the client left, or that wr_stop has ended it. The idle and answer timeouts
 * do not apply. As wr_respond_begin; WR_CLOSED also to HEAD and when the app is stopping. */
WR_API int wr_respond_events(struct wr_request *request);
/* event, id: without line ends, may be NULL (else WR_INVALID). data: its lines are split as the format wants.
 * As wr_respond_write. */
WR_API int64_t wr_event_send(struct wr_request *request, const char *event, const char *id, const char *data);
/* The Last-Event-ID of a client that comes again, or NULL. */
WR_API const char *wr_request_last_event(struct wr_request *request);

#ifdef __cplusplus
}
#endif

#endif
