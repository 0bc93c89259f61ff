/* send.h - how the queue of a stream gets to the kernel; for stream.c, splice.c and connect.c. */
#ifndef NET_SEND_H
#define NET_SEND_H

#include "net/stream.h"

/* The stream has its turn at the end of this one. */
void stream_mark(struct stream *stream);
/* Sends what can be sent in this turn; an error is kept for the end of the turn, because the caller may be in
 * the middle of something. */
void stream_send(struct stream *stream);
/* Sends bytes that are not queued, when nothing is queued that they would have to wait for: how many the
 * kernel has taken. An error is kept in the same way. */
size_t stream_send_past(struct stream *stream, slice bytes);
/* Whether everything has been handed to the kernel. */
bool stream_is_sent(const struct stream *stream);
/* Tries once to send what TLS itself has to say, for the last time: nothing waits for it. */
void stream_send_last(struct stream *stream);
/* Gives the scratch memory to the loop. ERR_MEMORY. */
int stream_scratch(struct net_loop *loop) BASE_CHECKED;

/* --- splice.c --- */

/* The stream is the source of a splice, and its descriptor can be read: true when that is not to be done, but
 * splice_input to be called. */
bool splice_takes_input(struct stream *from);
void splice_input(struct stream *from);
/* Bytes came into memory nevertheless. Returns how many of them have been passed on; the rest is for
 * `received`. */
size_t splice_pass_on(struct stream *from, slice bytes);
/* The splice has to wait until the other side takes more. */
bool splice_waits(const struct stream *from);
/* What was queued for the stream at the end of a splice may have left. */
void splice_resume(struct stream *to);
/* Ends the splice of which the stream is the source, if any; it is up to the caller whether it is read. */
void splice_end(struct stream *from);
/* The stream is being closed. */
void splice_drop(struct stream *stream);

/* --- stream.c --- */

/* The connection is there (fd is the stream's now; -1: it has its descriptor already), or could not
 * be made. */
void stream_connected(struct stream *stream, int fd);
void stream_not_connected(struct stream *stream, int uv_error);
/* Watches the input of a stream whose descriptor is there; also before it is connected: libuv then asks the
 * system only once. */
void stream_watch(struct stream *stream);
/* Reads, or not, as all say that have a say in that. */
void stream_read_as_wanted(struct stream *stream);
/* Tells that the input has ended. */
void stream_take_end(struct stream *stream);
void stream_fail(struct stream *stream, int uv_error);
/* Whether what is put is queued. */
bool stream_takes_bytes(const struct stream *stream);
/* So many bytes were appended to stream->out. */
void stream_count(struct stream *stream, size_t bytes);

/* --- connect.c --- */

/* NULL without memory. */
struct connector *connector_new(const struct stream_target *target);
/* Only one that was not begun; NULL is allowed. */
void connector_free(struct connector *connector);
/* Belongs to the stream from now on. */
void connector_begin(struct connector *connector, struct stream *stream);
/* The stream does not want it any more: it is being closed. NULL is allowed. */
void connector_cancel(struct connector *connector);

#endif
