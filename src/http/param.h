/* param.h - parameters of a header field: `value; name=token; name="quoted"` (RFC 9110 5.6.6), as in
 * Content-Type, Content-Disposition, Forwarded and the extensions of a WebSocket.
 *
 * Rules: nothing allocates; slices borrow the field. */
#ifndef HTTP_PARAM_H
#define HTTP_PARAM_H

#include "base/err.h"
#include "base/slice.h"

struct param {
    slice name;
    slice value; /* a quoted one without its quotes, escapes still in it */
    bool quoted;
    bool has_value; /* false for a bare name, as in "permessage-deflate; server_no_context_takeover" */
};

/* Takes what stands before the first ';' off *rest, trimmed: the value that the parameters are about. */
slice param_value(slice *rest);
/* Takes the next parameter off *rest. OK; ERR_CLOSED at the end; ERR_MALFORMED: the name is no token, the
 * value neither a token nor a quoted string, or something stands between them. Empty parameters (";;") are
 * skipped. */
int param_next(slice *rest, struct param *out) BASE_CHECKED;
/* The parameter of this name, without case. OK, ERR_NOT_FOUND, ERR_MALFORMED (also when it comes twice). */
int param_find(slice params, slice name, struct param *out) BASE_CHECKED;
/* Takes the escapes out of a quoted value (\" gives "); `out` has room for value.len bytes and may be
 * value.ptr itself. Returns the length. */
size_t param_unquote(slice value, uint8_t *out);

#endif
