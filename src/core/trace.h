/* trace.h - everything that went into a node, as bytes; and the replay of it.
 *
 * With node_config.trace set, a node gives out each call of its functions before it carries it out. Since the
 * same inputs give the same outputs, a node that is made anew and given the same calls does the same again,
 * byte for byte: a fault that a person met can be looked at on another computer, as often as one likes.
 *
 * SECRET: a trace holds the seed of the device (who has it can write in its name), the keys of sealed
 * channels and all that was written. Shells make the file readable by its owner only (mode 0600) and say so.
 *
 * A trace is a sequence of CBOR arrays (base/cbor.h), one for each call, the longest byte string last:
 *     [kind, digest, elapsed, field ...]
 *   digest   over all outputs of the calls before this one (bytes of actions, bytes for links, results,
 *            deadlines): so a replay can say after which call it first differs. 0 in the first record.
 *   elapsed  microseconds by which this call moved the node's clock on.
 * kind and fields (absent ids are empty byte strings; results are the positive numbers of base/err.h):
 *   0 CREATE   [0, 0, now, "weaprous.trace", format, device, role, direct patience, channel links, links,
 *              epoch age, session answer, session away, session silence, random seed, identity seed]
 *   1 RESTORE  [.., record]
 *   2 LINK_UP  [.., link, path, initiator, expected, binding]
 *   3 LINK_DOWN [.., link]
 *   4 RECEIVE  [.., link, bytes]
 *   5 TRANSMIT [.., link, room]
 *   6 DONE     [.., token, result, bytes]
 *   7 TICK     [..]
 *   8 COMMAND  [.., kind, channel, device, entry kind, path, online, quiet, on demand, count, before,
 * relation, session, root, size, spec, bytes]; spec is [] or [type, authority, name, founder, nonce, account,
 * other] 9 NEXT     [.., count]: so many calls of node_next; written after them, its digest covers them 10
 * END      [..]: node_destroy 11 LOST     [..]: an input was too long for a trace, or an allocation failed;
 * nothing follows What changes nothing (node_view, node_ledger, node_deadline) is not in it. Nor is an
 * allocation that failed: from there on the replay differs. The format may change with every version of the
 * program: it is for the one that made it. */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "core/node.h"

enum {
    TRACE_FORMAT = 1,
    TRACE_BYTES_MAX = 1024 * 1024, /* of one byte string */
    TRACE_DRAIN_MAX = 4096,        /* calls in one NEXT */
    TRACE_RECORD_BYTES_MAX = TRACE_BYTES_MAX + 4096,
};
#define TRACE_NAME "weaprous.trace"

enum trace_kind {
    TRACE_CREATE,
    TRACE_RESTORE,
    TRACE_LINK_UP,
    TRACE_LINK_DOWN,
    TRACE_RECEIVE,
    TRACE_TRANSMIT,
    TRACE_DONE,
    TRACE_TICK,
    TRACE_COMMAND,
    TRACE_NEXT,
    TRACE_END,
    TRACE_LOST,
    TRACE_KINDS,
};

/* One call. What a kind does not name above is zero. Slices and pointers borrow the trace. */
struct trace_call {
    enum trace_kind kind;
    uint64_t number; /* 1, 2, 3 ... in the trace */
    uint64_t digest;
    usec now; /* the node's clock in this call */
    uint32_t link;
    struct node_link info;
    size_t room;
    uint64_t token, count;
    int result;
    slice bytes;
    struct command command;
    struct channel_spec spec; /* command.spec points here */
    const struct node_config *config;
    const uint8_t *device;
};

struct replay_options {
    const struct allocator *allocator;
    const struct crypto *crypto; /* the table that was used when the trace was made; NULL: only reads */
    bool lenient; /* goes on although something differs: for traces that were changed on purpose */
    /* Each may be NULL: before a call is carried out; what came of it. */
    void (*call)(void *context, const struct trace_call *call);
    void (*action)(void *context, const struct action *action);
    void (*sent)(void *context, uint32_t link, slice bytes);
    void *context;
};

struct replay_report {
    uint64_t calls, actions, bytes_in, bytes_out;
    usec began, ended; /* clock of the first and the last call */
    bool complete;     /* the trace ends with node_destroy */
    size_t cut;        /* bytes at its end that are no whole record: the program was stopped while it wrote */
    /* 0, or the last call before which all was the same: what came of it differs. */
    uint64_t differs;
    char text[160]; /* one sentence when an error was given */
};

struct replay;

/* ERR_MEMORY. */
int replay_new(const struct replay_options *options, struct replay **out_replay) BASE_CHECKED;
/* The next piece of the trace, cut anywhere. ERR_CORRUPT: it differs, or this is no trace; ERR_VERSION:
 * another format; ERR_AUTH: it was made with other crypto; ERR_MEMORY. After an error: replay_end. */
int replay_feed(struct replay *replay, slice piece) BASE_CHECKED;
/* What there was, up to here; frees it (NULL is allowed, when out_report is too). */
void replay_end(struct replay *replay, struct replay_report *out_report);

/* "receive", "tick" ... */
const char *trace_kind_name(enum trace_kind kind);

#endif
