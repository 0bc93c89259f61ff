/* secret.h - a password from whoever runs the program. */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include "account/names.h"
#include "base/err.h"

struct secret {
    char bytes[PASSWORD_BYTES_MAX + 8];
    size_t len;
};

/* Asks twice without echo on a terminal; otherwise standard input is the password, one line with or without a
 * line feed. Any error has been complained about: ERR_INVALID (what was typed differs, is not a good
 * password), ERR_IO. Wipe it afterwards. */
int secret_read(const char *name, struct secret *out) BASE_CHECKED;
void secret_wipe(struct secret *secret);

#endif
