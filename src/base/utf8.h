/* utf8.h - reading UTF-8 strictly (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF), and the
 * rule for names that people choose. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/err.h"
#include "base/slice.h"

/* Takes one code point off *rest: 0, or ERR_MALFORMED (then *rest is unchanged); ERR_AGAIN when empty. */
int utf8_next(slice *rest, uint32_t *out_point) BASE_CHECKED;
bool utf8_valid(slice text);

/* Text that comes in pieces, which may end within a code point. Zeroed before the first piece. */
struct utf8_pieces {
    uint8_t missing;     /* bytes that the last code point still lacks */
    uint8_t least, most; /* bounds of the next of them */
};
/* False as soon as nothing that may follow could make it valid. */
bool utf8_pieces_take(struct utf8_pieces *p, slice piece);
/* True when the text may end here. */
static inline bool utf8_pieces_whole(const struct utf8_pieces *p)
{
    return p->missing == 0;
}

/* Number of code points of valid text. */
size_t utf8_length(slice text);

/* Account and channel names: 1 to 32 code points, each a letter or digit of any script or one of "_.-";
 * no control, space (also look-alike and zero-width), format, private-use or markup characters, and not only
 * punctuation. 0, ERR_INVALID, ERR_TOO_LARGE or ERR_MALFORMED (not UTF-8). */
int name_check(slice name) BASE_CHECKED;

#endif
