/* history.h - the newest entries of a channel first, and older ones when somebody wants to see them.
 *
 * Who is far behind asks one link for the newest entries of all authors (RECENT), so that a screen fills at
 * once; what is missing before them is asked for afterwards, or in a channel that was opened on demand when
 * COMMAND_HISTORY says so. The answer is made by merging the authors' marks by their places, newest first. */
#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include "core/node.h"

struct node;
struct pipe;
struct channel;
struct author;
struct share;
struct message;
struct op;
struct command;

enum {
    HISTORY_NEAR = 64,    /* so few entries of one author are asked for upwards */
    HISTORY_FAR = 64,     /* who misses more than this in all asks for the newest first */
    HISTORY_SCREEN = 64,  /* entries in the first answer ... */
    HISTORY_SECOND = 512, /* ... and in the second one, which ends it, unless very many authors are behind: */
    HISTORY_AUTHORS = 256, /* they are not asked for one by one */
    HISTORY_TRIES_MAX = 4, /* members that are asked for one COMMAND_HISTORY */
    HISTORY_LATE = 3,      /* page: an answer that COMMAND_HISTORY did not wait for */
};

/* What is being asked for in one channel. */
struct history {
    uint32_t link;      /* slot of the pipe that was asked, NONE: nothing is under way */
    uint32_t page;      /* which answer of catching up is awaited; 0: it is one to COMMAND_HISTORY */
    uint32_t next;      /* slot of the pipe that is asked for the newest next, or NONE */
    uint32_t screens;   /* members that were asked for them, one because another one failed */
    usec at, since;     /* when the answer is overdue, and when it was asked for */
    uint32_t taken;     /* entries of the answer that were accepted */
    uint32_t open;      /* ... of any answer, and are being stored */
    uint64_t screen_ms; /* on demand: the place of the oldest of the newest that are held; 0: they are few */
    /* COMMAND_HISTORY: */
    uint64_t token; /* 0: none */
    uint32_t count, came, tries;
    bool ended; /* answered; the action comes when all is stored, ... */
    usec until; /* ... but not later: a disk may hang, and a person waits */
    int result;
};

/* --- asking: history.c --- */

bool history_asking(const struct channel *c);
/* A link's whole vector is in: asks it for the newest when much is missing, else for what is missing. */
void history_consider(struct node *n, struct pipe *p, uint32_t channel);
/* COMMAND_HISTORY. ERR_NOT_FOUND, ERR_INVALID, ERR_BUSY (one is under way in this channel). */
int history_command(struct node *n, const struct command *command, uint64_t *out_token) BASE_CHECKED;
void history_on_end(struct node *n, struct pipe *p, const struct message *m);
/* The link does not carry the channel any more. */
void history_unlinked(struct node *n, struct pipe *p, uint32_t channel);
/* An entry that came as an answer is accepted, and later released or lost. */
bool history_takes(const struct node *n, const struct channel *c, const uint8_t *from);
void history_stored(struct node *n, struct op *op, bool released);
void history_tick(struct node *n, uint32_t channel);
bool history_next(struct node *n, struct action *out);

/* --- what belongs to the newest, in channels on demand: screen.c --- */

/* Finds history.screen_ms anew. */
void screen_measure(struct channel *c);
/* What lies in the author's gap next to his island may belong to the newest HISTORY_SCREEN of the channel. */
bool screen_near(const struct channel *c, const struct author *a);
/* The other side holds something that may. */
bool screen_ahead(const struct channel *c, const struct share *s);
/* It has answered RECENT, down to this place. */
void screen_settle(struct channel *c, const struct share *s, uint64_t oldest_ms, bool more);
/* Asks for all that is near. */
void screen_fill(struct node *n, struct channel *c);

/* --- answering: recent.c --- */

struct recent;
int recent_begin(struct node *n, struct pipe *p, const struct message *m) BASE_CHECKED;
/* The next entry of the answer; false after the last one. */
bool recent_take(struct node *n, struct pipe *p, uint32_t channel, uint32_t *out_author, uint32_t *out_seq);
/* What RECENT_END says. */
void recent_summary(const struct recent *r, uint64_t *out_oldest_ms, bool *out_more);
void recent_free(struct node *n, struct share *s);

#endif
