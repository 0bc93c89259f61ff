/* names.h - what is wrong with a name or a password that a person chose, in words for that person. The same
 * sentences for pages, programs and the command line.
 *
 * Rules: pure; the texts are static. */
#ifndef ACCOUNT_NAMES_H
#define ACCOUNT_NAMES_H

#include "base/slice.h"

enum {
    ACCOUNT_NAME_BYTES_MAX = 128, /* 32 letters */
    PASSWORD_BYTES_MAX = 1024,
    PASSWORD_LETTERS_MIN = 8, /* of one that is chosen now; older ones may be shorter */
};

/* NULL when name_check accepts the name. */
const char *name_problem(slice name);
/* NULL when it can be somebody's password: not empty, UTF-8 without a NUL, not too long. */
const char *password_problem(slice password);
/* The same for one that is chosen now. */
const char *new_password_problem(slice password);

#endif
