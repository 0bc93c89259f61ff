/* route.h - from a method and a path to the function that answers. */
#ifndef WEAPROUS_ROUTE_H
#define WEAPROUS_ROUTE_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* methods: one or more, separated by spaces ("GET POST"), in capitals as clients send them; GET also serves
 * HEAD. path: begins with '/'; a segment ":name" stands for any one non-empty segment, a last segment "*name"
 * for all the rest, which may be empty. A trailing slash is ignored on both sides. A literal segment wins
 * over ":name", which wins over "*name"; routes win over assets and folders. What has no route gets 404
 * (wr_not_found); a path that has, but not for this method, 405 with Allow; both as JSON errors. OPTIONS of a
 * path that has something else is answered with 204 and Allow, "OPTIONS *" with all methods that there are.
 * Routes are added before wr_run. WR_EXISTS: the path, whatever its names are called, has this method;
 * WR_INVALID, WR_MEMORY. */
WR_API int wr_route(struct wr_app *app, const char *methods, const char *path, wr_handler handler,
                    void *context) WR_CHECKED;

/* Answers, in place of the library's 404, what has neither a route nor an asset nor a file, and what
 * wr_respond_file does not find; with any status, now or later. The filters of the root, or of the folder's
 * group, have run; a body has not been received. Again: replaces. Before wr_run, else WR_INVALID. */
WR_API int wr_not_found(struct wr_app *app, wr_handler handler, void *context) WR_CHECKED;

/* A header field for every answer; replaces one of the same name. Before wr_run. WR_INVALID when it holds
 * control characters, is the library's own or Content-Type; WR_FULL: more than 32, or 16 KiB of them;
 * WR_MEMORY. */
WR_API int wr_header_for_all(struct wr_app *app, const char *name, const char *value) WR_CHECKED;
/* The usual set for every answer: X-Content-Type-Options, X-Frame-Options, Referrer-Policy,
 * Cross-Origin-Opener-Policy, Cross-Origin-Resource-Policy; and Content-Security-Policy unless csp is NULL.
 */
WR_API int wr_security_headers(struct wr_app *app, const char *csp) WR_CHECKED;

/* --- groups and filters --- */

/* Routes under one prefix, with filters that go for all of them. */
struct wr_group;

/* parent NULL: the app itself. prefix: "/api" or "" . Lives as long as the app. NULL without memory or when
 * the prefix is not valid. */
WR_API struct wr_group *wr_group(struct wr_app *app, struct wr_group *parent, const char *prefix) WR_CHECKED;
/* The group of everything, also of assets, files, 404 and 405. */
WR_API struct wr_group *wr_root(struct wr_app *app);
/* As wr_route, wr_websocket, wr_static, with the path after the prefix. */
WR_API int wr_group_route(struct wr_group *group, const char *methods, const char *path, wr_handler handler,
                          void *context) WR_CHECKED;
struct wr_socket_handlers; /* socket.h */
WR_API int wr_group_websocket(struct wr_group *group, const char *path,
                              const struct wr_socket_handlers *handlers, void *context) WR_CHECKED;
struct wr_static_options; /* files.h */
WR_API int wr_group_static(struct wr_group *group, const char *prefix, const char *folder,
                           const struct wr_static_options *options) WR_CHECKED;

/* A filter before the handler: true lets the request go on; false says that it has answered, or will answer,
 * or will call wr_request_continue later. Runs when the head has come, before the body: what it refuses need
 * not be received. Filters run from the outer group to the inner one, within one group in the order they were
 * added; they go for routes that are added to the group later, too, and for the 405 and OPTIONS that the
 * library answers under a path of the group. */
typedef bool (*wr_filter)(struct wr_request *request, void *context);
WR_API int wr_before(struct wr_group *group, wr_filter filter, void *context) WR_CHECKED;
/* The request goes on after a filter that returned false. It may be answered, and so released, when this
 * returns; when the client has gone meanwhile it is released. */
WR_API void wr_request_continue(struct wr_request *request);
/* Called when an answer begins, before its head is written: may still add header fields (wr_response_header,
 * wr_response_cookie). Inner groups first. Not called for what is no valid request, nor for what the library
 * says when a request fails later: 408, 413 of a chunked body, 503. */
typedef void (*wr_after_filter)(struct wr_request *request, int status, void *context);
WR_API int wr_after(struct wr_group *group, wr_after_filter filter, void *context) WR_CHECKED;

/* --- bodies as they arrive --- */

/* A route whose body is not gathered but handed on in pieces. */
struct wr_body_handlers {
    /* The head has come. May answer at once; then the rest of the body is not wanted: it is skipped when
     * little of it is left, else the connection closes after the answer. May set the user pointer. May be
     * NULL. */
    wr_handler begin;
    /* A piece, valid during the call; pieces join to the body without the chunk framing. May answer, pause.
     */
    void (*data)(struct wr_request *request, const void *bytes, size_t len, void *context);
    /* All of it has come: answer now or later. */
    wr_handler end;
    /* Instead of end: the client has gone, was too slow, or broke a limit (it gets its status from the
     * library). The request is released when this returns; do not answer. May be NULL. Not called once
     * answered. */
    void (*failed)(struct wr_request *request, void *context);
    uint64_t body_bytes_max; /* 0: body_bytes_max of the app; a Content-Length above it is refused at once */
};
WR_API int wr_route_body(struct wr_group *group, const char *methods, const char *path,
                         const struct wr_body_handlers *handlers, void *context) WR_CHECKED;

#ifdef __cplusplus
}
#endif

#endif
