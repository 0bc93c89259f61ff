/* mime.h - the media type of a file, by its name. */
#ifndef HTTP_MIME_H
#define HTTP_MIME_H

#include "base/slice.h"

/* By the extension of the last part of `path`, without case; text types carry "; charset=utf-8".
 * "application/octet-stream" when it is not known or there is none. Static, NUL-terminated, never NULL. */
const char *mime_type(slice path);
/* True for types that compression makes smaller: text, JSON, XML, SVG, wasm, fonts that are not compressed.
 * `type` with or without parameters. */
bool mime_compressible(slice type);

#endif
