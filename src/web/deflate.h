/* deflate.h - compressing and inflating whole WebSocket messages (RFC 7692).
 *
 * Neither side of a connection keeps its context between messages, so one set of zlib's states serves all
 * sockets of a worker and an idle socket holds nothing. The states are made when they are first needed (about
 * 40 KB to inflate, 32 or 256 KB to compress).
 *
 * Rules: one thread; what is given out lives until the next call for the same direction, or its _done. */
#ifndef WEB_DEFLATE_H
#define WEB_DEFLATE_H

#include "base/err.h"
#include "base/slice.h"
#include "weaprous/types.h"

struct deflater;

/* NULL without memory. */
struct deflater *deflater_new(void);
/* NULL is allowed. */
void deflater_free(struct deflater *d);

/* Compresses the parts, `total` bytes and at least one, as one message for a receiver whose window has
 * window_bits (9 to 15); without the 00 00 FF FF at its end. ERR_TOO_LARGE: it would not become shorter;
 * ERR_MEMORY. */
int deflater_pack(struct deflater *d, const struct wr_bytes *parts, size_t count, size_t total,
                  unsigned window_bits, slice *out) BASE_CHECKED;
/* What was given out is not needed any more: frees it when it was large. */
void deflater_pack_done(struct deflater *d);
/* True when a message of this length that was packed for 15 bits can be read with window_bits, too. */
bool deflater_fits(size_t total, unsigned window_bits);

/* Inflates one message. ERR_MALFORMED: this is not deflate data, or not all of it; ERR_TOO_LARGE: it is more
 * than bytes_max (and no more than that is ever inflated); ERR_MEMORY. */
int deflater_unpack(struct deflater *d, slice message, size_t bytes_max, slice *out) BASE_CHECKED;
void deflater_unpack_done(struct deflater *d);

#endif
