/* offer.h - what an entry of kind ENTRY_FILE says: some files, alone or as a folder. For shells; the node
 * does not look into it. docs/protocol/files.md, "Offers".
 *
 *     body = [[[path, size, type, root], ...]]
 *
 * A path comes from somebody else and becomes one on this computer: offer_check_path lets through only what
 * stays below the folder into which it is put, on every system, and what looks like what it is. A shell may
 * have to change it further (names that exist, characters that its file system lacks).
 *
 * Rules: nothing allocates; slices borrow the body. */
#ifndef CORE_OFFER_H
#define CORE_OFFER_H

#include "base/cbor.h"
#include "core/node.h"

enum {
    OFFER_FILES_MAX = 256,
    OFFER_PATH_BYTES_MAX = 1024,
    OFFER_NAME_BYTES_MAX = 255, /* between two slashes */
    OFFER_DEPTH_MAX = 16,       /* names in a path */
    OFFER_TYPE_BYTES_MAX = 127,
};

struct offer_file {
    slice path; /* UTF-8; names between slashes */
    uint64_t size;
    slice type; /* media type (RFC 6838) as the sender believes it to be; may be empty */
    const uint8_t *root;
};

/* ERR_INVALID: empty, absolute, with names like ".." or with characters that may not be there; ERR_TOO_LARGE;
 * ERR_MALFORMED: not UTF-8. */
int offer_check_path(slice path) BASE_CHECKED;

/* Appends the body. ERR_INVALID: no file, a path or type that may not be, two files of one path, or one that
 * is a folder of another; ERR_TOO_LARGE: more than NODE_BODY_BYTES_MAX or another limit; ERR_FULL: `w`. */
int offer_write(struct writer *w, const struct offer_file *files, size_t count) BASE_CHECKED;

struct offer {
    struct cbor_reader rest;
    uint32_t left;
};
/* Checks all of it: ERR_MALFORMED, or what offer_write says. */
int offer_read(slice body, struct offer *out) BASE_CHECKED;
/* False after the last one. */
bool offer_next(struct offer *offer, struct offer_file *out);

#endif
