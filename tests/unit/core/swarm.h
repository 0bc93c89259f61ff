/* swarm.h - devices in one channel that give each other files, for unit tests: pipes with a rate, a store for
 * every device that is compared with the original byte for byte. Time moves in steps of 10 ms. */
#ifndef TEST_SWARM_H
#define TEST_SWARM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/tree.h"
#include "crypto/native.h"

enum { DEVICES_MAX = 52, SWARM_FILES = 40, SWARM_LINKS = 1300 };

struct original {
    uint8_t root[32];
    uint64_t size;
    uint32_t leaves;
    uint8_t *bytes, *side; /* side: its hashes, as tree.h says */
};

/* What a device has of a file. */
struct copy {
    bool used;
    uint8_t *bytes, *side, *writes; /* writes: how often each leaf was written */
    uint8_t bitmap[64];
    /* The last report: */
    enum file_state state;
    uint64_t leaves;
    uint32_t sources, reports;
    int result;
    char text[128];
};

struct device {
    struct node *node;
    uint8_t seed[32];
    struct copy copies[SWARM_FILES];
    uint64_t rate; /* bytes that it sends in a second; 0: no limit */
    int64_t budget;
    uint64_t data_sent; /* leaves that it was asked to read */
    int write_result;   /* what writes end with */
    int writes_left;    /* after so many writes that is so; negative: at once */
    bool hold_writes, held_any;
    uint64_t held[256];
    size_t held_len;
    int read_result, warnings;
    bool lies; /* its leaves are false, though it believes in them */
    struct crypto crypto;
    struct allocator allocator;
    size_t bytes_used, bytes_most;
    long allocations, fail_at; /* this one fails; 0: none */
    int talks;                 /* entries that were delivered here */
    int turn;
};

struct swarm {
    usec now;
    struct device devices[DEVICES_MAX];
    int devices_len;
    struct original originals[SWARM_FILES];
    int originals_len;
    struct {
        int a, b;
        bool up;
        bool writable[2];
        uint8_t *flight[2]; /* bytes on the way */
        size_t flight_len[2], flight_cap[2];
    } links[SWARM_LINKS];
    int links_len;
    uint8_t authority_seed[32], authority[32], channel[32];
};

struct swarm *swarm_new(int devices);
void swarm_free(struct swarm *w);
/* A file with these many bytes, different ones for each; returns its number. */
int swarm_file(struct swarm *w, uint64_t size);
int swarm_link(struct swarm *w, int a, int b);
void swarm_cut(struct swarm *w, int link);
/* Link every device with about `degree` others, the first one with as many. */
void swarm_mesh(struct swarm *w, int degree);
/* The device's program ends; its store stays. Files are given anew by the test. */
void swarm_restart(struct swarm *w, int device);
void swarm_hold(struct swarm *w, int device, int file);
int64_t swarm_fetch(struct swarm *w, int device, int file);
int64_t swarm_command(struct swarm *w, int device, enum command_kind kind, int file, bool online);
void swarm_step(struct swarm *w);
void swarm_run(struct swarm *w, usec time);
/* Until the device has the whole file, as told and in truth; false after `time`. */
bool swarm_until_done(struct swarm *w, int device, int file, usec time);
bool swarm_same(const struct swarm *w, int device, int file);
void swarm_say(struct swarm *w, int device);
/* Writes that were kept open end now. */
void swarm_write_held(struct swarm *w, int device, int result);

#endif
