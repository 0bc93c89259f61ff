/* disposition.h - Content-Disposition: of an answer (RFC 6266) and of a part of a form (RFC 7578), and file
 * names that somebody else chose.
 *
 * Rules: nothing allocates but the buffer given; names are UTF-8 without NUL and control characters. */
#ifndef HTTP_DISPOSITION_H
#define HTTP_DISPOSITION_H

#include "base/buffer.h"

struct disposition {
    slice type;     /* "form-data", "attachment", as sent */
    slice name;     /* of the form's field */
    slice filename; /* filename* (RFC 8187, UTF-8 or ISO-8859-1) when it is there, else filename; with any
                       path that the sender put into it: see filename_safe */
    bool has_name, has_filename;
};

/* Reads the value of a Content-Disposition field, whose bytes are changed: escapes are decoded in place, and
 * the slices of *out borrow them. In a quoted string \" and \\ are escapes, other backslashes are themselves,
 * since browsers send Windows paths as they are; %22 stays as it is. ERR_MALFORMED: not in this form, a
 * parameter twice, or a name that is not UTF-8 or has a control character. */
int disposition_parse(uint8_t *value, size_t len, struct disposition *out) BASE_CHECKED;

/* Appends the value: attachment or inline, then filename="..." with '_' for what ASCII cannot say, and
 * filename* when that was needed. An empty filename gives the type alone. The filename may be any bytes: what
 * is not UTF-8 or a control character becomes '_', a path is cut to its last part. Check out->failed. */
void disposition_write(struct buffer *out, bool attachment, slice filename);

enum { FILENAME_BYTES_MAX = 200 }; /* leaves room below the 255 of file systems for a prefix or suffix */

/* A name under which a file of the sender's choice can be stored in a folder: the last part of the path
 * (after '/' or '\'); '_' for control characters, what deceives the eye, and <>:"|?*`$; no dots or spaces at
 * its ends, no hyphen at its beginning, not a device of Windows (CON, NUL...); at most FILENAME_BYTES_MAX
 * bytes with its extension kept; valid UTF-8; "file" when nothing is left. Never empty, "." or "..", never
 * hidden. Returns its length; a NUL follows. Two names may become one: do not overwrite. */
size_t filename_safe(slice filename, char out[FILENAME_BYTES_MAX + 1]);

#endif
