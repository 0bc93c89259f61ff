/* import.h - reading lists of accounts that other servers kept.
 *
 * Two forms, told apart by the first byte:
 *   CSV (RFC 4180): username,password on each line; LF or CRLF; fields may be quoted. A first line that holds
 *     "username" is a header: it names the columns, in any order, and others may stand between them.
 *   JSON ("Users.json"): an array of objects, or an object whose members are such objects (then a missing
 *     username is the member's name), or an object with one member that is such an array. Each has username
 *     and password, and may have nickname and friends, a list of names. In CSV those stand in a column
 * friends with spaces, commas or semicolons between them. A line or record with something wrong is told and
 * left out; reading goes on with the next one. A byte order mark is skipped. Names and passwords come as they
 * will be used: checked by names.h, each name once.
 *
 * Rules
 *   Memory: borrows the file; what a record points to is valid during the call. Its own copies are wiped.
 *   Errors: reasons are sentences that never hold anything of the file. */
#ifndef ACCOUNT_IMPORT_H
#define ACCOUNT_IMPORT_H

#include "account/fold.h"
#include "account/names.h"
#include "base/err.h"

enum {
    IMPORT_BYTES_MAX = 16 * 1024 * 1024,
    IMPORT_RECORDS_MAX = 100000,
    IMPORT_FRIENDS_MAX = 300, /* of one account; more are left out */
    IMPORT_FIELDS_MAX = 32,   /* on a line of CSV */
    IMPORT_LINE_BYTES_MAX = 64 * 1024,
    IMPORT_PROBLEMS_MAX = 1000, /* then it is no list of accounts */
};

struct import_record {
    size_t line; /* on which it begins; the first is 1 */
    slice name, password;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    size_t key_len;
    bool nickname; /* it has one that differs from the name */
    bool friends;  /* it lists some */
    bool taken;    /* for the readers: the handler got it */
};

struct import_handlers {
    /* A result other than OK ends the reading and is returned. */
    int (*record)(void *context, const struct import_record *record);
    void (*problem)(void *context, size_t line, const char *reason);
    /* A name in the list of friends of the record that came last, folded (fold.h); what cannot be a name is
     * left out. As `record`. May be NULL. */
    int (*friend)(void *context, slice key);
};

/* OK, whatever single lines had wrong. ERR_MALFORMED: it is no list of accounts, a problem says why.
 * ERR_TOO_LARGE: more than IMPORT_BYTES_MAX or IMPORT_RECORDS_MAX. ERR_MEMORY. */
int import_read(slice file, const struct import_handlers *handlers, void *context) BASE_CHECKED;

#endif
