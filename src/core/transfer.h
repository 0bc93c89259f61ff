/* transfer.h - files between the devices of a channel: who has which leaves, fetching from all of them at
 * once, serving what is here. docs/protocol/files.md. Inside the core only.
 *
 * A file is what a shell holds (whole from the start) or fetches. A partner is a file on one link whose other
 * end takes part in it: it was asked by ASK or has told by HAVE what it has. Each leaf that is asked for
 * takes a slot until it is on the disk: slots bound what is in flight, and with it the memory. Each leaf that
 * is being served takes a give.
 *
 *     transfer.c  files: commands, actions, time    partner.c  who has what
 *     fetch.c     asking, taking, writing           give.c     serving
 *
 * Replicas take no part: files go between persons' devices only. */
#ifndef CORE_TRANSFER_H
#define CORE_TRANSFER_H

#include "core/leaves.h"
#include "core/state.h"
#include "core/tree.h"

enum {
    FILES_MAX = 16384,
    FILE_CHANNELS_MAX = 8, /* that one file is shared in */
    AWAKE_MAX = 32,        /* files that are being fetched at one time; others wait for their turn */
    PARTNERS_MAX = 64,     /* on one link */
    SLOTS_MAX = 128,       /* leaves asked for, arriving or being written: 8 MiB */
    WINDOW_MIN = 2,        /* leaves asked of one partner, and of one link, at one time */
    WINDOW_MAX = 64,
    STEAL_LEAD =
        3, /* so many more leaves are asked of another partner, that one of them is asked of this one */
    GIVES_MAX = 64, /* leaves being read and sent, in all and on one link */
    GIVES_OF_LINK = 2,
    FILE_WANTS_MAX = 64, /* leaves that a partner waits for */
    FILE_PIECE_BYTES = 16 * 1024,
    FRESH_MAX = 1024,  /* leaves that came lately, for news; more are told as a whole */
    RUNS_MAX = 512,    /* in one HAVE */
    BITS_BYTES = 4096, /* in one HAVE, where runs would be longer */
    LIARS_MAX = 16,    /* devices that gave a bad leaf; of one file */
    ASKS_MAX = 16,     /* asked by one link for what is not here (yet) */
    PICK_SAMPLES = 16, /* leaves that are looked at for the rarest */
    WRITE_TRIES_MAX = 6,
};
/* Sets of leaves that partners have. */
#define FILE_MAPS_BYTES_MAX ((size_t)64 << 20)

#define FILE_TELL_US (100 * MILLISECONDS)   /* between news of one file */
#define FILE_REPORT_US (250 * MILLISECONDS) /* between reports of one file */
#define FILE_AHEAD_US (1 * SECONDS)         /* a window holds what comes within this time */
#define FILE_STALL_US (15 * SECONDS)        /* a partner that is asked and sends nothing */
#define FILE_STALL_MAX_US (120 * SECONDS)
#define FILE_ENDGAME_US (2 * SECONDS) /* a last leaf may be asked of a second partner */
#define FILE_STARVE_US (2 * SECONDS)  /* nothing comes but from who said to look elsewhere: insist */
#define FILE_INSIST_MAX_US (60 * SECONDS)
#define FILE_ASK_US (30 * SECONDS)  /* links are asked again */
#define FILE_TURN_US (20 * SECONDS) /* a file of which nothing comes makes room for one that waits */
#define FILE_WRITE_RETRY_US (1 * SECONDS)

enum { FILE_HAVE_FIRST = 1, FILE_WANT_INSIST = 1 };
enum stop_reason {
    STOP_CANCEL = 0,     /* from who asked: no longer wanted */
    STOP_LATER = 1,      /* it was given to others here: look there first; `instead` can be had */
    STOP_UNREADABLE = 2, /* this leaf is not here */
    STOP_GONE = 3,       /* the file is not here any more */
};

/* One file on one link. */
struct partner {
    struct pipe *pipe;
    struct file *file;
    struct partner *next_of_file, *next_of_pipe;
    /* What it has: */
    bool all;                    /* then `theirs` has no memory */
    struct leaves theirs, later; /* to be asked for; refused for now */
    bool liar;
    /* What is asked of it: */
    uint32_t asked, window, hint; /* slots; a leaf that it offered instead, or NONE */
    uint32_t stray;               /* pieces that may still come of what was cancelled */
    usec interval_us;             /* between leaves, smoothed; 0: unknown */
    usec leaf_at, heard_at;       /* when the last leaf was complete, when the last piece came */
    usec patience_us, stalled_until;
    /* What it is told: */
    bool snapshot, snapshot_first;
    uint32_t snapshot_cursor;
    uint64_t snapshot_seq, told; /* of file.fresh_seq */
    usec snapshot_at;
    /* What it waits for, and what it was given last: */
    uint32_t wants[FILE_WANTS_MAX], wants_head, wants_len;
    uint32_t given[FILE_WANTS_MAX], given_len;
};

struct file {
    uint8_t root[ID_BYTES];
    uint64_t size;
    uint32_t index, leaves;
    uint32_t channels[FILE_CHANNELS_MAX], channels_len;
    bool held;          /* whole from the start */
    bool paused, stuck; /* by command; because of the disk (`result` says why) */
    bool awake;
    bool mismatch;            /* somebody says another size */
    uint64_t turn;            /* of those that wait, the lowest is next */
    struct leaves have, need; /* not for held ones; need: neither here nor in a slot */
    struct leaves given;      /* held ones: to some partner, while it was linked */
    uint32_t given_at;
    struct partner *partners, *partners_last;
    uint32_t slots; /* of this file */
    uint32_t *fresh;
    uint64_t fresh_seq;
    usec tell_at, told_at; /* NEVER: news may be told */
    usec source_at, ask_at;
    usec starving_since, insist_until, insist_us;
    uint8_t liars[LIARS_MAX][ID_BYTES];
    uint32_t liars_len, liars_next;
    /* Reports: */
    bool report, queued;
    uint32_t next;
    bool stirring; /* in the list of those that want to be looked at: a report or news are due soon */
    struct file *next_stirring;
    usec reported_at;
    int result;
    const char *text;
    enum file_state state;
};

enum slot_state { SLOT_FREE, SLOT_ASKED, SLOT_ARRIVING, SLOT_WRITE, SLOT_WRITING, SLOT_RETRY };
struct slot {
    enum slot_state state;
    struct file *file;
    struct partner *partner; /* ASKED, ARRIVING */
    uint32_t leaf;
    uint8_t *bytes; /* the leaf and its proof; from the first piece on */
    size_t leaf_len, proof_len, got;
    usec asked_at;
    uint64_t token, order; /* order: of asking, then of writing */
    usec retry_at, pause;
    uint32_t tries;
};

enum give_state { GIVE_FREE, GIVE_READ, GIVE_READING, GIVE_READY, GIVE_FAILED };
struct give {
    enum give_state state;
    enum stop_reason reason; /* FAILED */
    struct partner *partner; /* NULL: it went away while the leaf was read or sent */
    uint32_t leaf;
    uint64_t token, order;
    uint8_t *bytes; /* the leaf and its proof */
    size_t leaf_len, proof_len, sent;
};

/* A link that has to do with files. */
struct bulk {
    struct partner *partners, *partners_last;
    uint32_t partners_len, asked; /* slots */
    struct partner *turn;         /* whose want is read next */
    struct give *gives[GIVES_OF_LINK];
    uint32_t gives_len;
    struct {
        uint32_t channel;
        uint8_t root[ID_BYTES];
    } asks[ASKS_MAX];
    uint32_t asks_len, asks_next;
};

struct transfers {
    struct file **files;
    uint32_t files_cap, files_len;
    struct map by_root;
    struct file *awake[AWAKE_MAX];
    uint32_t awake_len, waiting; /* waiting: fetched ones that are not awake and could be */
    uint64_t turns, orders;
    struct slot slots[SLOTS_MAX];
    uint32_t slots_used, writes_due, busy; /* busy: partners that are asked for something */
    struct give gives[GIVES_MAX];
    uint32_t gives_used, reads_due;
    bool gives_short;   /* some link waits for one */
    uint32_t give_turn; /* slot of the link that is next */
    size_t map_bytes;
    struct file *stirring;
    struct queue reports;
};

/* --- hooks: what the rest of the core calls --- */

int transfer_command(struct node *n, const struct command *c) BASE_CHECKED;
int transfer_message(struct node *n, struct pipe *p, uint64_t kind, slice plain) BASE_CHECKED;
/* The channel became active on the link, or is no longer. */
void transfer_shared(struct node *n, struct pipe *p, uint32_t channel);
void transfer_unshared(struct node *n, struct pipe *p, uint32_t channel);
void transfer_pipe_gone(struct node *n, struct pipe *p);
/* The next message for the link in n->plain, or empty. */
slice transfer_output(struct node *n, struct pipe *p);
bool transfer_has_output(const struct node *n, const struct pipe *p);
/* False when the token is not one of a file. */
bool transfer_done(struct node *n, uint64_t token, int result, slice bytes);
bool transfer_next(struct node *n, struct action *out);
void transfer_tick(struct node *n);
void transfer_free(struct node *n);

/* --- transfer.c --- */

struct file *file_find(const struct node *n, const uint8_t *root);
bool file_in(const struct file *f, uint32_t channel);
bool file_has(const struct file *f, uint32_t leaf);
static inline bool file_whole(const struct file *f)
{
    return f->held || f->have.count == f->leaves;
}
/* Nothing is told or given of it. */
static inline bool file_silent(const struct file *f)
{
    return f->paused || (f->held && f->stuck);
}
/* It is being fetched now. */
static inline bool file_fetches(const struct file *f)
{
    return f->awake && !f->paused && !f->stuck;
}
/* Something of it changed: a report is due, now or soon. */
void file_changed(struct node *n, struct file *f);
/* No more of it is fetched until a command says so; text: static. */
void file_stuck(struct node *n, struct file *f, int result, const char *text);
/* All partners look again whether there is something to be asked for. */
void file_wake(struct node *n, struct file *f);
/* The last leaf came; or one was lost again. */
void file_completed(struct node *n, struct file *f);
void file_reopened(struct node *n, struct file *f);
void transfer_timer(struct node *n, usec at);
/* Its report or its news are due then. */
void file_stir(struct node *n, struct file *f, usec at);

/* --- partner.c --- */

struct bulk *bulk_get(struct node *n, struct pipe *p);
struct partner *partner_find(const struct pipe *p, const struct file *f);
/* NULL: no memory, or too many. */
struct partner *partner_get(struct node *n, struct pipe *p, struct file *f);
void partner_free(struct node *n, struct partner *q);
/* Says GONE to all, and forgets them. */
void partners_drop(struct node *n, struct file *f);
bool partner_has(const struct partner *q, uint32_t leaf);
/* Whether it has anything at all. */
bool partner_is_source(const struct partner *q);
/* The leaf is not asked of it any more, until later (or ever). */
void partner_refused(struct node *n, struct partner *q, uint32_t leaf, bool later);
/* What it has said counts no longer. */
void partner_forget(struct node *n, struct partner *q);
/* Asks the links of the file's channels that have not said anything. */
void partners_ask(struct node *n, struct file *f);
void partners_ask_link(struct node *n, struct file *f, struct pipe *p, uint32_t channel);
/* Links that have asked for it before it was here. */
void partners_answer(struct node *n, struct file *f, uint32_t channel);
/* What came; r stands behind the kind, elements: of the whole message. */
int partner_on_ask(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements) BASE_CHECKED;
int partner_on_have(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements) BASE_CHECKED;
bool partner_has_news(const struct partner *q);
slice partner_news(struct node *n, struct partner *q);
/* The last leaf came: all are told so, and it is not remembered which ones came lately. */
void partners_tell_whole(struct node *n, struct file *f);
/* A leaf came: partners are told soon. */
void partners_tell(struct node *n, struct file *f, uint32_t leaf);
void pipe_stop_file(struct node *n, struct pipe *p, const uint8_t *root, uint32_t leaf,
                    enum stop_reason reason, uint32_t instead);
void partner_stop(struct node *n, struct partner *q, uint32_t leaf, enum stop_reason reason,
                  uint32_t instead);

/* --- fetch.c --- */

bool fetch_can_want(const struct node *n, const struct partner *q);
slice fetch_want(struct node *n, struct partner *q);
int fetch_on_data(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements) BASE_CHECKED;
void fetch_on_stop(struct node *n, struct partner *q, uint32_t leaf, uint64_t reason, uint32_t instead);
void fetch_partner_gone(struct node *n, struct partner *q);
/* Takes back what was asked for and has not come; what waits to be written; what the disk is writing. */
enum release { RELEASE_ASKED, RELEASE_HELD, RELEASE_ALL };
void fetch_release(struct node *n, struct file *f, enum release what);
bool fetch_done(struct node *n, uint64_t token, int result);
bool fetch_next(struct node *n, struct action *out);
void fetch_tick(struct node *n);

/* --- give.c --- */

int give_on_want(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements) BASE_CHECKED;
void give_on_cancel(struct node *n, struct partner *q, uint32_t leaf);
void give_partner_gone(struct node *n, struct partner *q);
void give_pipe_gone(struct node *n, struct pipe *p);
slice give_output(struct node *n, struct pipe *p);
bool give_has_output(const struct node *n, const struct pipe *p);
bool give_done(struct node *n, uint64_t token, int result, slice bytes);
bool give_next(struct node *n, struct action *out);

#endif
