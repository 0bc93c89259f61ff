/* recorder.h - writes the trace of a node (trace.h), for border.c.
 *
 * Nothing is allocated: a record goes out in two pieces, the long byte string straight from the caller's. */
#ifndef CORE_RECORDER_H
#define CORE_RECORDER_H

#include "base/buffer.h"
#include "core/trace.h"

struct recorder {
    struct allocator allocator; /* the shell's, watched for failures */
    const struct allocator *inner;
    uint64_t digest;
    uint64_t drained; /* calls of node_next since the last record */
    bool gave;        /* one of them gave an action */
    bool starved;     /* an allocation failed */
    bool lost;        /* nothing more is written */
};

/* Puts the watch over the allocator, when the node has a trace; takes it off before the node is freed. */
void recorder_watch(struct node *n);
void recorder_unwatch(struct node *n);
void recorder_create(struct node *n);

struct recorder_head {
    struct writer w;
    uint8_t room[2048];
};
/* The head of the record of a call at `now`, and so many fields, the last of them given by recorder_give. */
void recorder_begin(struct node *n, struct recorder_head *out, enum trace_kind kind, usec now,
                    uint32_t fields);
/* A byte string as the last field, and out it goes. */
void recorder_give(struct node *n, struct recorder_head *head, slice last);
/* ... or it ends with what was written into the head. */
void recorder_end(struct node *n, struct recorder_head *head);
void recorder_command(struct node *n, const struct command *command, usec now);

/* Outputs go into the digest. */
void recorder_number(struct node *n, uint64_t value);
void recorder_slice(struct node *n, slice bytes);
/* One call of node_next and what it gave. */
void recorder_next(struct node *n, bool any, const struct action *action);

#endif
