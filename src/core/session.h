/* session.h - the fold over the SESSION entries of a direct channel: who has asked whom, and what came of it.
 *
 * A request is an ASK entry; its session id follows from the entry (session_id), so nobody can take
 * another's. Every other act names the requests that it is about. What a request has come to depends only on
 * the *set* of acts, not on the order in which they arrived: of contradicting acts the one that is first by
 * (time_ms, author, seq) counts. That is the display order but for entries from clocks that are more than
 * 5 minutes ahead, which every device shows in a place of its own. So all devices of both accounts that hold
 * the same entries see the same, over restarts, gaps and clocks that differ.
 *
 * Two requests that cross (each side asked before it saw the other's) are an open session: the one that is
 * first names it.
 *
 * Pure: no clock, no node. Who is on which side is asked when looking, because a device may be heard of
 * before its account is known.
 * Limits: SESSION_ROWS_MAX requests are remembered (the newest), SESSION_MARKS_MAX acts on each. */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "core/entry.h"
#include "core/node.h"

enum {
    SESSION_ROWS_MAX = 64,
    SESSION_MARKS_MAX = 32,
    SESSION_NAMED_MAX = 16,                                    /* requests that one entry is about */
    SESSION_LINE_BYTES_MAX = NODE_LINE_BYTES_MAX + 128,        /* sealed */
    SESSION_BODY_BYTES_MAX = 64 + SESSION_LINE_BYTES_MAX + 320 /* of a SESSION entry that is written here */
};
/* Two requests this much later than the time to answer still cross: clocks differ. */
#define SESSION_TOLERANCE_MS ((uint64_t)5 * 60 * 1000)

enum session_act {
    ACT_ASK = 1,
    ACT_ACCEPT = 2,  /* by the account that was asked */
    ACT_DECLINE = 3, /* likewise */
    ACT_CANCEL = 4,  /* by the account that asks */
    ACT_EXPIRE = 5,  /* likewise: nobody has answered in time */
    ACT_END = 6,     /* from here on: by either */
    ACT_LOGOUT = 7,
    ACT_SILENCE = 8,
};

struct session_mark {
    enum session_act act;
    uint32_t seq;
    uint64_t time_ms;
    uint8_t device[ID_BYTES];
};

/* One request and what was done about it. */
struct session_row {
    uint8_t id[NODE_SESSION_BYTES];
    bool asked; /* the ASK is here; before that only marks are */
    struct session_mark ask;
    uint64_t answer_ms;  /* how long it waits for an answer */
    uint64_t arrived_ms; /* when the ASK came here, by this device's clock */
    uint8_t *line; /* as it stands in the entry: sealed; kept while nothing was done about the request */
    size_t line_len;
    struct session_mark *marks;
    uint32_t marks_len, marks_cap;
};

struct sessions {
    const struct allocator *allocator;
    struct session_row *rows;
    uint32_t rows_len, rows_cap;
    bool opened; /* a session is or was open, as far as session_look has seen */
};

enum session_side { SIDE_OURS, SIDE_THEIRS, SIDE_UNKNOWN };
/* Whose device it is. */
typedef enum session_side session_side_of(void *context, const uint8_t *device);

/* How it stands; pointers borrow the fold and are good until it changes. */
struct session_verdict {
    enum session_state state;         /* 0: there is nothing */
    const struct session_row *row;    /* which session; NULL when there is nothing */
    const struct session_mark *cause; /* the act that led here; NULL: none did, a time is over */
};

void sessions_init(struct sessions *s, const struct allocator *allocator);
void sessions_deinit(struct sessions *s);

void session_id(const struct crypto *crypto, const uint8_t *channel, const uint8_t *author, uint32_t seq,
                uint8_t out[NODE_SESSION_BYTES]);

/* Takes a SESSION entry. Bodies that are not in the agreed form, and acts that are not known, are left out
 * (OK). ERR_MEMORY: nothing has changed, or only part of what the entry names; it can be taken again. */
int session_take(struct sessions *s, const struct crypto *crypto, const struct entry *entry,
                 uint64_t arrived_ms) BASE_CHECKED;

/* The state of the conversation at this time: open, else asked by us, else asking. A request of theirs whose
 * time is over by this device's clock is no question any more; one of ours stays until an EXPIRE says so. */
struct session_verdict session_look(struct sessions *s, session_side_of *side, void *context,
                                    uint64_t now_ms);
/* The row of this id, or NULL. */
struct session_row *session_row_of(const struct sessions *s, const uint8_t *id);
/* What has become of one request that is not live any more; the reason's act in *out_cause or NULL. */
enum session_reason session_reason_of(const struct session_row *row, session_side_of *side, void *context,
                                      const struct session_mark **out_cause);
/* Nothing has ended it: it is undecided (whatever the clock says) or accepted. */
bool session_live(const struct session_row *row, session_side_of *side, void *context);
bool session_accepted(const struct session_row *row, session_side_of *side, void *context);
/* Until when a request can be answered, by this device's clock. */
uint64_t session_until_ms(const struct session_row *row);

/* Bodies of entries. */
void session_write_ask(struct writer *w, uint64_t answer_ms, slice line);
/* The head of every other act; `named` session ids follow, as byte strings. */
void session_write_act(struct writer *w, enum session_act act, uint32_t named);

#endif
