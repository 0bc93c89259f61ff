/* static_path.h - from the path of a request to the path of a file: the one place that decides what a request
 * may name. A pure function: whether the file is there, and whether a link may be followed, is the caller's
 * matter.
 *
 * Rules: nothing allocates. */
#ifndef HTTP_STATIC_PATH_H
#define HTTP_STATIC_PATH_H

#include "base/err.h"
#include "base/slice.h"

struct static_path {
    size_t len;     /* of the path; a NUL follows */
    bool directory; /* it ended with '/' (or names the root, then len is 0) */
    bool hidden;    /* a segment begins with a dot */
};

/* Decodes the path of a request (with its first '/', without query) into `out`, which has room for `cap`
 * bytes: segments joined with '/', none at the beginning or end, to be opened below a folder (openat).
 * Decoded once. Repeated slashes and "." segments vanish. ERR_MALFORMED: no '/' first, a bad escape, a NUL or
 * control character, an encoded '/', a '\' in either form (answer 400). ERR_DENIED: a ".." segment, in either
 * form (400 too). ERR_TOO_LARGE: more than cap - 1 bytes, or a segment of more than 255 (404). */
int static_path_parse(slice path, char *out, size_t cap, struct static_path *out_path) BASE_CHECKED;

#endif
