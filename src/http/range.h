/* range.h - asking for parts of a representation (RFC 9110 14): Range, If-Range, and what a 206 or 416 is
 * made of.
 *
 * The field is judged against the length of the representation. Ranges that overlap or touch are joined, so
 * that an answer never holds a byte twice, whatever was asked (14.2). A field that is malformed, in another
 * unit, or asks for more than HTTP_RANGES_MAX ranges is to be ignored: the answer is the whole.
 *
 * How to use it: only for GET (14.2), and after the conditions of condition.h gave HTTP_PROCEED;
 * http_if_range_holds, http_range_parse, then
 *   HTTP_RANGE_WHOLE          200, as if there was no Range;
 *   HTTP_RANGE_PARTIAL        206: with one range a Content-Range field and the bytes; with more
 *                             "Content-Type: multipart/byteranges; boundary=..." and for each range the part
 *                             head and its bytes, then the end;
 *   HTTP_RANGE_UNSATISFIABLE  416 with http_content_range_none_write.
 *
 * Rules: nothing allocates; lengths and positions are bytes. */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include "base/buffer.h"

enum {
    HTTP_RANGES_MAX = 16,
    HTTP_CONTENT_RANGE_BYTES_MAX = 96,  /* room for either Content-Range line */
    HTTP_RANGE_BOUNDARY_BYTES_MAX = 70, /* RFC 2046 5.1.1 */
    HTTP_RANGE_PART_BYTES_MAX = 256,    /* room for a part head with a boundary, without the content type */
};

/* Both ends belong to it: first <= last < length. */
struct http_range {
    uint64_t first, last;
};

struct http_ranges {
    size_t count;
    struct http_range at[HTTP_RANGES_MAX]; /* in the order asked for; none overlaps another */
};

enum http_range_kind { HTTP_RANGE_WHOLE, HTTP_RANGE_PARTIAL, HTTP_RANGE_UNSATISFIABLE };

static inline uint64_t http_range_bytes(struct http_range range)
{
    return range.last - range.first + 1;
}

/* Reads a Range field against a representation of `length` bytes; *out is written with HTTP_RANGE_PARTIAL
 * only. An empty representation has no ranges: HTTP_RANGE_WHOLE (an empty 200 says more than a 416). */
enum http_range_kind http_range_parse(slice field, uint64_t length, struct http_ranges *out);

/* True when an If-Range field (13.1.5) names this representation, so that Range counts: the entity tag by the
 * strong comparison, or the date if it is exactly modified_s. `etag` with its quotes, empty when there is
 * none; modified_s: seconds since 1970, negative when not known; now_s: the time, since a second that is not
 * over is no strong validator (8.8.2.2). An absent field is not asked about. */
bool http_if_range_holds(slice field, slice etag, int64_t modified_s, int64_t now_s);

/* "Content-Range: bytes 0-9/100\r\n" */
void http_content_range_write(struct writer *w, struct http_range range, uint64_t length);
/* The same with a star instead of the range, for a 416. */
void http_content_range_none_write(struct writer *w, uint64_t length);

/* The head of a part of multipart/byteranges (14.6), with the delimiter before it: "\r\n--B\r\nContent-Type:
 * ...
 * \r\nContent-Range: ...\r\n\r\n"; an empty content type gives no such line. The boundary is the caller's: 1
 * to 70 characters of RFC 2046 5.1.1, random enough not to stand in the data. */
void http_range_part_write(struct writer *w, slice boundary, slice content_type, struct http_range range,
                           uint64_t length);
/* The delimiter after the last part. */
void http_range_end_write(struct writer *w, slice boundary);
/* Bytes of the whole multipart/byteranges body: the Content-Length of the answer. */
uint64_t http_ranges_body_bytes(const struct http_ranges *ranges, slice boundary, slice content_type,
                                uint64_t length);

#endif
