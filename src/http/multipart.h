/* multipart.h - multipart/form-data (RFC 7578, RFC 2046 5.1) taken apart as it arrives.
 *
 * Data is handed on as slices of the input, never copied; the head of a part is gathered, up to its limit, in
 * a buffer of the parser. What could be the beginning of a boundary at the end of the input is held back (at
 * most 74 bytes, which need no memory: they are the boundary's own).
 *
 *   multipart_init(&m, allocator, content_type, &limits);
 *   while ((rc = multipart_next(&m, &input, &event)) == OK)
 *       switch (event.kind) ...
 *   ERR_AGAIN: come back with more input; when there is no more and !multipart_ended(&m), the body was cut.
 *
 * Strict: each part has one Content-Disposition of type form-data with a name; a boundary line holds nothing
 * but the boundary and padding; lines end with CR LF; Content-Transfer-Encoding may only say 7bit, 8bit or
 * binary (RFC 7578 4.7). A preamble and an epilogue are dropped.
 *
 * Rules: no I/O; not re-entrant for one parser. */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "base/buffer.h"

enum {
    MULTIPART_BOUNDARY_BYTES_MAX = 70,
    MULTIPART_PARTS_DEFAULT = 256,
    MULTIPART_PART_HEADER_BYTES_DEFAULT = 4096,
    MULTIPART_FIELDS_MAX = 16, /* header fields of a part */
};

struct multipart_limits {
    size_t parts_max;
    size_t part_header_bytes_max; /* of one part: its header lines with their ends */
};

enum multipart_kind {
    MULTIPART_PART, /* a part begins: name, filename, content_type are set */
    MULTIPART_DATA, /* more of its data: never empty */
    MULTIPART_PART_END,
    MULTIPART_END, /* after the last boundary; what follows in the input is dropped by further calls */
};

struct multipart_event {
    enum multipart_kind kind;
    slice data; /* borrows the input or the parser: until the next call */
    /* With MULTIPART_PART, in memory of the parser that stays until MULTIPART_PART_END: */
    slice name;         /* UTF-8, no control characters; may be empty */
    slice filename;     /* as the sender chose it; see filename_safe in disposition.h */
    slice content_type; /* as sent; empty: none (then text/plain, RFC 7578 4.4) */
    bool has_filename;  /* it is a file, even when its name is empty */
};

struct multipart {
    struct multipart_limits limits;
    struct buffer head; /* the header lines of this part */
    size_t parts;
    uint8_t state;
    uint8_t delimiter_len;
    uint8_t matched; /* bytes of the delimiter that the input ended with */
    uint8_t assumed; /* of these, how many were not in the input: 2 at the start of a line that needs no end
                        before it */
    uint8_t delimiter[4 + MULTIPART_BOUNDARY_BYTES_MAX]; /* CR LF "--" boundary */
};

/* content_type: the request's field; copied. ERR_INVALID: not multipart/form-data (415); ERR_MALFORMED: no
 * boundary or none of RFC 2046 (400). On an error there is nothing to deinit. limits NULL: the defaults. */
int multipart_init(struct multipart *m, const struct allocator *allocator, slice content_type,
                   const struct multipart_limits *limits) BASE_CHECKED;
void multipart_deinit(struct multipart *m);

/* Takes bytes off *input until something happens. OK: *out says what. ERR_AGAIN: all input is used.
 * ERR_MALFORMED (400), ERR_TOO_LARGE (413: too many parts, too large a head), ERR_MEMORY: do not call again.
 */
int multipart_next(struct multipart *m, slice *input, struct multipart_event *out) BASE_CHECKED;

/* True once MULTIPART_END was given out. */
bool multipart_ended(const struct multipart *m);

#endif
