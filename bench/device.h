/* device.h - a person's device for measurements: the real core on a WebSocket of its own.
 *
 * It says hello to a tracker, takes its certificate and opens the link to the replica. What is measured is up
 * to the program, which hears of actions by a call back. Signatures are not verified and nothing but own
 * entries is kept: one process stands for many machines, and would be measured instead of the tracker.
 *
 * Rules: one thread; errors are -1, with a sentence on stderr; out of memory ends the program. */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "client.h"

#include "core/node.h"

#include <jansson.h>

enum { DEVICE_LINK = 1 };

struct device_record {
    uint8_t *ptr;
    size_t len;
};

struct device {
    struct crypto *crypto;
    struct node *node;
    struct ws ws;
    json_t *welcome;
    char account[32];
    uint8_t seed[KEY_BYTES], tracker[ID_BYTES], channel[ID_BYTES]; /* of #general */
    bool linked, writable, failed;                                 /* linked: node_link_up was called */
    struct device_record *records; /* own entries, by seq - 1: the disk of this device */
    size_t records_len;
    /* After hello, before the link: joins channels. */
    int (*certified)(struct device *device);
    /* What the device does not do itself. */
    void (*action)(struct device *device, const struct action *action);
};

usec bench_now(void);           /* since 1970 */
usec bench_now_monotonic(void); /* for durations */

/* The crypto of all devices of this process. */
int device_crypto(struct crypto *out);
/* d->crypto, account, seed, certified and action are set. Connects, blocking; the rest happens in turns. */
int device_open(struct device *d, uint16_t port, const char *cookie);
void device_close(struct device *d);
int device_command(struct device *d, const struct command *command);
/* JOIN of #general, for `certified`. */
int device_join(struct device *d);
/* What came in (when readable), and what the node wants. */
int device_read(struct device *d, bool readable);
/* What goes out. */
int device_write(struct device *d);

#endif
