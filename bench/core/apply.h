/* apply.h - one link that brings entries, as fast as they are taken. */
#ifndef BENCH_CORE_APPLY_H
#define BENCH_CORE_APPLY_H

#include <stdio.h>

#include "device.h"

struct applied {
    uint64_t apply_ns, verify_ns; /* CPU time; verify: libsodium alone, the same number of signatures */
    uint64_t bytes_in, bytes_out;
    usec now;
};

/* Gives the device all entries of its corpus over a link from author 0, in parts; after each part verifies as
 * many signatures (docs/performance.md). record: gets each input with its length (4 bytes, little-endian)
 * before it, for a device that is made in the same way elsewhere; or NULL. */
void apply_all(struct device *d, struct applied *out, usec now, FILE *record);

#endif
