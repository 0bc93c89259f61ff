/* request.h - a request as its handler sees it: valid until it is answered, even when the client has gone. */
#ifndef WEAPROUS_REQUEST_H
#define WEAPROUS_REQUEST_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

WR_API const char *wr_request_method(const struct wr_request *request); /* "GET", also "HEAD" */
/* Percent-decoded, without the query. */
WR_API const char *wr_request_path(const struct wr_request *request);
/* The value of ":name" or "*name" of the route, percent-decoded; NULL when the route has none of this name.
 */
WR_API const char *wr_request_param(const struct wr_request *request, const char *name);
/* First value of this name in the query, decoded ('+' is a space); NULL when absent. */
WR_API const char *wr_request_query(struct wr_request *request, const char *name);
/* Value of a header field, any case; repeated fields are joined by ", ". NULL when absent. */
WR_API const char *wr_request_header(struct wr_request *request, const char *name);
/* First cookie of this name, as sent; NULL when absent. */
WR_API const char *wr_request_cookie(struct wr_request *request, const char *name);
/* The body as received (chunks joined). */
WR_API struct wr_bytes wr_request_body(const struct wr_request *request);
/* First trailer field of this name after a chunked body, once all of it has come; NULL when absent. Fields
 * that frame, route, authenticate or describe the body are not let through (RFC 9110 6.5.1). */
WR_API const char *wr_request_trailer(struct wr_request *request, const char *name);
/* The body as a JSON value, whatever Content-Type says; NULL when it is not JSON (one value, no duplicate
 * keys, strict UTF-8). Borrowed from the request. */
WR_API json_t *wr_request_json(struct wr_request *request);
/* The body as an object of fields: a JSON object or an HTML form, whatever Content-Type says, or a form with
 * files (multipart/form-data), of which the files are left out; in forms every value is a string, and of a
 * repeated name the first counts. Empty for an empty body. NULL when it is none of these. Borrowed. */
WR_API json_t *wr_request_fields(struct wr_request *request);
/* One field of it as text: a string, or the decimal spelling of a JSON integer. NULL when absent or of
 * another type. */
WR_API const char *wr_request_field(struct wr_request *request, const char *name);
/* The client's IP address as text, and its port; behind a trusted proxy (wr_trust_proxies) what that says,
 * with port 0 when it does not say the port. */
WR_API const char *wr_request_address(struct wr_request *request);
WR_API uint16_t wr_request_port(const struct wr_request *request);
/* False when an Origin is sent whose host and port differ from Host (RFC 6454); true without Origin. */
WR_API bool wr_request_same_origin(struct wr_request *request);
/* True when Accept names application/json and not text/html: the client wants JSON, not a page. */
WR_API bool wr_request_wants_json(struct wr_request *request);
/* True when the client has gone (or the answer came too late): the answer will go nowhere, but must be given.
 */
WR_API bool wr_request_gone(const struct wr_request *request);
WR_API struct wr_app *wr_request_app(const struct wr_request *request);
/* The worker that it belongs to: all functions of the request are for its thread. */
WR_API struct wr_worker *wr_request_worker(const struct wr_request *request);
/* "http" or "https", as the client spoke it to us or to a trusted proxy. */
WR_API const char *wr_request_scheme(struct wr_request *request);
/* Host and port as the client named them ("example.org:8080"); empty in an HTTP/1.0 request without Host. */
WR_API const char *wr_request_host(struct wr_request *request);
/* A pointer for the handlers of this request (filters, streaming); NULL at first. */
WR_API void wr_request_set_user(struct wr_request *request, void *user);
WR_API void *wr_request_user(const struct wr_request *request);
/* Memory that lives until the request is released, not zeroed; NULL when there is none. */
WR_API void *wr_request_alloc(struct wr_request *request, size_t size) WR_CHECKED;

/* --- a body that comes in pieces (wr_route_body) --- */

/* Stops and goes on taking pieces: back-pressure for the client. The body timeout rests meanwhile. */
WR_API void wr_request_pause(struct wr_request *request);
WR_API void wr_request_resume(struct wr_request *request);
/* Bytes of the body so far; and in all, -1 when the client has not said (chunked). */
WR_API uint64_t wr_request_received(const struct wr_request *request);
WR_API int64_t wr_request_length(const struct wr_request *request);
/* Called when the client goes away (or config.answer_timeout_ms is over) before the answer is complete, once,
 * on the worker's thread. The handle stays valid: an answer must still be given, here or later; only when the
 * handler does not have the request yet (a filter asked for the call, the body was still coming) is it
 * released by the library, and must not be answered. Never called from within a function of the request.
 * A client that only half-closes its connection counts as gone for requests that have this. NULL: none. */
WR_API void wr_request_on_gone(struct wr_request *request, wr_handler handler, void *context);

/* --- forms with files: multipart/form-data (RFC 7578) --- */

/* One part. Texts are NUL-terminated UTF-8; filename NULL: not a file. Never use filename as a path:
 * wr_part_safe_name makes a name from it. */
struct wr_part {
    const char *name;
    const char *filename;
    const char *content_type; /* "text/plain" when not given */
    struct wr_bytes bytes;
};
/* The parts of a gathered body (wr_request_fields sees those that are no files too). 0 with *out_count;
 * WR_INVALID when the body is no multipart form. Borrows from the request. */
WR_API int wr_request_parts(struct wr_request *request, const struct wr_part **out_parts,
                            size_t *out_count) WR_CHECKED;
/* A name under which a file of this name can be stored in a folder: the last part of the path, with what file
 * systems and shells trip over replaced: never empty, no slash, backslash, control character, leading dot or
 * hyphen, none of <>:"|?*, no device of Windows; valid UTF-8, at most 200 bytes with its extension kept.
 * Writes a NUL-terminated text into out. Two names may become one: do not overwrite. */
WR_API void wr_part_safe_name(const char *filename, char out[201]);

/* The same for a body that comes in pieces. */
struct wr_multipart;
struct wr_multipart_handlers {
    /* Results other than 0 stop the parser; wr_multipart_feed returns them. bytes of the part is empty. */
    int (*part)(const struct wr_part *part, void *context);
    int (*data)(const void *bytes, size_t len, void *context);
    int (*end)(void *context); /* of this part */
    size_t parts_max;          /* 0: 64 */
};
/* Boundary from the request's Content-Type. NULL when that is no multipart/form-data, or without memory. The
 * caller frees it. */
WR_API struct wr_multipart *wr_multipart_new(struct wr_request *request,
                                             const struct wr_multipart_handlers *handlers,
                                             void *context) WR_CHECKED;
/* 0, WR_INVALID (not well-formed), WR_FULL (a limit), WR_MEMORY, or what a handler returned; after anything
 * but 0 the same again. */
WR_API int wr_multipart_feed(struct wr_multipart *multipart, const void *bytes, size_t len) WR_CHECKED;
/* True when the closing boundary has come. */
WR_API bool wr_multipart_complete(const struct wr_multipart *multipart);
WR_API void wr_multipart_free(struct wr_multipart *multipart);

#ifdef __cplusplus
}
#endif

#endif
