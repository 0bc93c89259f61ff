/* newcomer.h - two real nodes and a line between them: what a device asks for and gets. */
#ifndef BENCH_CORE_NEWCOMER_H
#define BENCH_CORE_NEWCOMER_H

#include "device.h"

struct line {
    usec delay_us;           /* each way */
    uint64_t bytes_a_second; /* each way */
};

struct came {
    bool done;
    double seconds;     /* on the line's clock: round trips and room, no computing */
    uint64_t bytes[2];  /* from and to the device that holds everything, until then */
    uint64_t cpu_ns[2]; /* of the holder and of the other, until then */
};

/* Links the two until `b` has delivered `late` of the last entries and all `want` (out[0], out[1]), or both
 * are quiet for a while; out[2] is the whole. Gives the time after it. */
usec line_run(struct device *a, struct device *b, struct line line, uint64_t want, struct came out[3],
              usec now);

#endif
