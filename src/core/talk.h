/* talk.h - direct conversations in a node: asking for a session, answering, and what ends it.
 *
 * What has been asked and answered is in the channel's SESSION entries (session.h); here is what a device
 * adds: it writes them for its person, answers for friends, keeps silent for who is blocked, says that nobody
 * answered when a time is over, and listens for the other side.
 *
 * Silence is heard locally. A device that has heard nothing of the other account for session_silence_us while
 * somebody else is linked writes that down, so it holds for all. Alone, it may be the one that is cut off:
 * then the session has ended for this device only, until somebody is there again who may have later entries.
 *
 * Rules: what a person of the other account wrote is shown only when a session is or was open, when somebody
 * of this account has written there, or when it is a friend; and never while it is blocked. Otherwise the
 * entry is kept and handed on, and is delivered locked; ACTION_UNLOCKED follows when that changes. */
#ifndef CORE_TALK_H
#define CORE_TALK_H

#include "base/map.h"
#include "core/session.h"

struct node;
struct channel;

enum { RELATIONS_MAX = 20000 };

/* Of a node: part of struct node. */
struct talks {
    struct map relations; /* by the hash of the account */
    uint32_t head, tail;  /* channels with something to tell, by talk.next */
    uint8_t shown_id[NODE_SESSION_BYTES], shown_line[SESSION_LINE_BYTES_MAX];
};

/* Of a direct channel; there from its first entry on. */
struct talk {
    struct sessions fold;
    enum session_state told; /* what the shell knows: 0 nothing, or the state of this session */
    uint8_t told_id[NODE_SESSION_BYTES];
    bool told_line; /* with the line that was sent with it */
    bool silent;    /* the session has ended for this device: it may be cut off itself */
    bool alone;     /* nobody at all was linked when it was last looked at */
    bool wrote[2];  /* somebody of the first, of the other account of the spec has written here */
    bool queued;
    uint8_t silent_id[NODE_SESSION_BYTES];
    uint64_t silent_ms;
    uint32_t written; /* own seq of the last act; nothing more is written before it is durable */
    usec heard_at;    /* when the other account was heard of */
    usec settle_at;   /* after a start or a silence: others may bring later entries before this */
    uint32_t next;    /* channel index, in the queue of those with something to tell */
};

void talks_init(struct node *n);
void talks_deinit(struct node *n);
/* Who this device belongs to is known now. */
void talks_certified(struct node *n);
void talk_free(struct node *n, struct channel *c);

/* An entry that counts from now on, in its place or not: before it is released, and from each record that is
 * restored. Not for entries of direct channels: nothing happens. ERR_MEMORY: it must come again. */
int talk_take(struct node *n, uint32_t channel, uint32_t author, const struct entry *entry,
              uint64_t arrived_ms) BASE_CHECKED;
/* Text, files and all else that persons write; not what nodes write for themselves. */
bool talk_by_person(uint32_t kind);
/* Whether what this account writes there may be shown. */
bool talk_shows(struct node *n, uint32_t channel, slice account);
/* The conversation is with somebody who is blocked: nothing is written there that no person asks for. */
bool talk_shuns(const struct node *n, const struct channel *c);
/* OK, or ERR_DENIED: a text may not be written there now. */
int talk_may_write(struct node *n, uint32_t channel) BASE_CHECKED;
/* Keys came: a line may be readable. */
void talk_keys(struct node *n, uint32_t channel);

int talk_relation(struct node *n, slice account, enum relation relation) BASE_CHECKED;
int talk_request(struct node *n, uint32_t channel, slice line, bool online, uint64_t *out_token) BASE_CHECKED;
int talk_answer(struct node *n, uint32_t channel, const uint8_t *session, bool accept,
                uint64_t *out_token) BASE_CHECKED;
int talk_end(struct node *n, uint32_t channel, const uint8_t *session, uint64_t *out_token) BASE_CHECKED;
int talk_logout(struct node *n) BASE_CHECKED;

void talk_tick(struct node *n, uint32_t channel);
bool talk_next(struct node *n, struct action *out);

#endif
