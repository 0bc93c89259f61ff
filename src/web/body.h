/* body.h - the body of a request on its way in: gathered for a handler, handed on in pieces, or skipped.
 *
 * It is received only when somebody wants it, that is after the filters. Then "100 Continue" goes out to a
 * client that waits for it. What nobody wants is read to its end when that is near, so that the connection
 * can go on with the next request; else the connection ends after the answer. */
#ifndef WEB_BODY_H
#define WEB_BODY_H

#include "base/slice.h"
#include "web/app.h"

struct connection;

enum {
    BODY_SKIP_BYTES_MAX = 64 * 1024, /* of an unwanted body that are read and dropped */
    BODY_RATE_MIN = 4096,            /* bytes of a body in pieces that earn a second more of time */
};

/* The filters are done, the route has a handler: takes the body, or calls the handler when there is none. */
void body_begin(struct wr_request *request);
/* Uses bytes of the body (CONNECTION_BODY). Takes what it used off *input. */
void body_input(struct connection *conn, slice *input);
/* Drops bytes of a body that nobody wants (CONNECTION_SKIP). */
void body_skip(struct connection *conn, slice *input);
/* True when so much of the body may still come that it is not skipped. */
bool body_is_long(const struct wr_request *request);
/* The trailer fields of its chunked body will be kept (wr_request_trailer). */
void body_keep_trailers(struct wr_request *request);
/* How long the body may take in all, counted from the begin of the state; 0: for ever, as it is paused. */
uint64_t body_time_ms(const struct wr_request *request);

#endif
