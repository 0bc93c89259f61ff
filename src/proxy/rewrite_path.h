/* rewrite_path.h - paths on their way to a server. For rewrite_*.c. */
#ifndef PROXY_REWRITE_PATH_H
#define PROXY_REWRITE_PATH_H

#include "base/buffer.h"
#include "proxy/rewrite.h"

/* False when servers may take an encoded path for another one than rewrite_normal_path does: it has dot
 * segments in some spelling, or begins with two slashes (a host, to some). Then the normal form is sent. */
bool path_is_unambiguous(slice path);
/* Percent-encodes what may not stand in a path; '/' stays. */
void path_encode(struct writer *out, slice path);

#endif
