/* backup.h - copies of the database, made while servers go on writing, and put back.
 *
 * A copy is a database of its own with everything in it: the server's identity, accounts, entries. It is as
 * secret as the original (mode 0600).
 *
 * Rules: blocking; for programs that do one thing and end. Errors come with one sentence for a person, in
 * `why`. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/store.h"

struct store_summary {
    uint64_t accounts, devices, channels, entries, bytes;
    uint64_t newest_ms; /* place of the newest entry, ms since 1970; 0: none */
    int version;        /* of the schema */
};

/* Writes the state of the database at one moment into a new file, which is on the disk when this returns.
 * ERR_EXISTS: the file is there; ERR_NOT_FOUND: no database; and the errors of store.h. */
int store_copy(const char *database, const char *copy, struct store_summary *out,
               char why[STORE_WHY_BYTES]) BASE_CHECKED;
/* Reads every page and index (SQLite's integrity_check) and counts; changes nothing. ERR_CORRUPT, ERR_VERSION
 * (of a newer program), ERR_INVALID (a database, but none of ours), ERR_NOT_FOUND. */
int store_examine(const char *database, struct store_summary *out, char why[STORE_WHY_BYTES]) BASE_CHECKED;
/* Makes a file of a copy that can take the place of a database: examined, and without the devices that the
 * server kept for itself (web_devices): what they wrote after the copy was made is known to others, so they
 * must not go on from here, for that would fork their feeds; new ones are made when needed. And with a mark,
 * so that the server's own device waits before it goes on. */
int store_prepare(const char *copy, const char *prepared, struct store_summary *out,
                  char why[STORE_WHY_BYTES]) BASE_CHECKED;

#endif
