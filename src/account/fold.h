/* fold.h - when two account names count as one.
 *
 * The key of a name is what must be unique: lower case, one spelling for accents (typed as one character or
 * as two), full-width forms as plain ones, and letters of other scripts that are drawn like Latin ones as
 * Latin ones. So Alice, alice and a Cyrillic "аlice" are one name, José has one key however it is typed, and
 * Jose is another name. Digits stay digits (l33t is not leet). Ideas from UTS 39 (skeletons), not its data.
 *
 * Rules: pure; no allocation. */
#ifndef ACCOUNT_FOLD_H
#define ACCOUNT_FOLD_H

#include "base/err.h"
#include "base/slice.h"

enum { FOLD_KEY_BYTES_MAX = 32 * 4 * 3 }; /* 32 letters, each at most 4 code points of 3 bytes */

/* Writes the key of a name that name_check accepts: its length, or ERR_INVALID. */
int fold_name(slice name, uint8_t out_key[FOLD_KEY_BYTES_MAX]) BASE_CHECKED;

/* Sorted by `from`; unused places of `to` are 0. */
struct fold_row {
    uint16_t from, to[4];
};
extern const struct fold_row fold_table[];
extern const size_t fold_table_count;

#endif
