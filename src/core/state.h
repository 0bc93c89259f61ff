/* state.h - what a node remembers, shared by the files of src/core; nobody else includes it.
 *
 * Everything lives in tables of pointers or values that are addressed by index, because indices survive
 * growth and cost half of a pointer in the browser. Work that waits for the shell stands in queues through
 * the objects themselves (struct queue), so nothing can overflow: an object is at most once in a queue. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "base/buffer.h"
#include "base/map.h"
#include "core/entry.h"
#include "core/feed.h"
#include "core/history.h"
#include "core/ledger.h"
#include "core/limits.h"
#include "core/link.h"
#include "core/member.h"
#include "core/message.h"
#include "core/moderate.h"
#include "core/node.h"
#include "core/probe.h"
#include "core/random.h"
#include "core/recorder.h"
#include "core/gossip.h"
#include "core/seal.h"
#include "core/talk.h"
#include "core/signal.h"
#include "core/view.h"

#define NONE UINT32_MAX
#define NEVER UINT64_MAX

enum {
    OPS_MAX = 2048,            /* stores, reads and deliveries under way */
    OPS_RESERVE = 64,          /* kept back from links for the node's own writes */
    CACHE_SLOTS = 256,         /* recent entries kept in memory, so that handing them on needs no READ */
    SERVE_WINDOW = 32,         /* entries being read ahead for one link ... */
    SERVE_BYTES = 65536,       /* ... while those that wait are not larger than this */
    REQUESTS_MAX = 64,         /* WANTs of the other side, waiting; for one link and channel */
    WANTS_MAX = 32,            /* own WANTs unanswered; for one link and channel */
    CONTROL_BYTES_MAX = 32768, /* small messages waiting on one link */
    PUSH_LAG = 8,              /* own entries that are pushed to a link that has not acknowledged them yet */
    WANT_PROBES = 64,          /* members that are looked at for one author */
    WANT_AUTHORS = 256,        /* authors that are looked at when somebody has time for a question */
    DIGEST_AUTHORS = 64,       /* with more of them a digest goes before the vector */
    DOUBT_PROBES = 8,          /* claims that were set aside and are tried again at one time */
    GLITCHES_MAX = 100,
    PIPES_FOUND = 64,    /* links that are found without a hash */
    CHANNELS_FEW = 4,    /* up to so many are looked through one after the other */
    PHANTOMS_MAX = 4096, /* authors that one link claims and of whom nothing is held */
    WARNINGS_MAX = 16,
};

#define HAVE_PAUSE_US (50 * MILLISECONDS)
#define WANT_PATIENCE_US (4 * SECONDS)
#define WANT_PATIENCE_MAX_US (60 * SECONDS) /* while other entries keep coming over that link */
#define HISTORY_ANSWER_US (45 * SECONDS)    /* for COMMAND_HISTORY */
#define HISTORY_REST_US (10 * SECONDS)      /* before who was silent is asked for the newest again */
#define DOUBT_SOON_US (1 * SECONDS)
#define DOUBT_US (30 * SECONDS)
#define DOUBT_MAX_US (600 * SECONDS)
#define WANT_GRACE_US (500 * MILLISECONDS) /* for an author who will push the entry himself */
#define STORE_RETRY_US (1 * SECONDS)
#define PING_US (15 * SECONDS)
#define DEAD_US (40 * SECONDS)
#define HANDSHAKE_US (10 * SECONDS)
#define CLOSING_US (1 * SECONDS) /* how long the reason may take to leave */
#define DIRECT_PATIENCE_US (5 * SECONDS)
#define AHEAD_MS (5 * 60 * 1000)

/* A first-in first-out queue of indices; the `next` fields live in the objects. */
struct queue {
    uint32_t head, tail; /* NONE when empty */
};

/* What may be due. From TIMER_CHANNEL on: one for each channel. */
enum timer_kind {
    TIMER_PIPE,   /* a: slot */
    TIMER_PEER,   /* a: slot */
    TIMER_OP,     /* a: index: a STORE is tried again */
    TIMER_AUTHOR, /* a: channel, b: author: what is wanted of him */
    TIMER_SHARE,  /* a: slot of the pipe, b: channel: doubts end */
    TIMER_CHANNEL,
    TIMER_HAVE = TIMER_CHANNEL, /* a: channel, as all below: have-vectors, leaving */
    TIMER_WANTS,                /* more authors to be asked for */
    TIMER_HISTORY,              /* an answer to RECENT is overdue, or one is to be asked for */
    TIMER_SEAL,
    TIMER_SESSION,
    TIMER_VIEW,
    TIMER_GOSSIP,
    TIMER_LEDGER,
    TIMER_FILES,
    TIMER_KINDS,
};
enum { CHANNEL_TIMERS = TIMER_KINDS - TIMER_CHANNEL };
struct timer {
    usec at;
    enum timer_kind kind;
    uint32_t a, b;
};

/* An author of a channel, by index; channel NONE: nobody. */
struct feed_ref {
    uint32_t channel, author;
};

/* One feed: an author's log in a channel. Entries 1..have are durable, have+1..tip are being stored. */
struct author { /* what a stranger only names takes one of these: the order of its fields wastes no room */
    uint8_t device[ID_BYTES];
    bool used, forked;
    bool refused : 1;    /* his account is not a member: not asked for until that changes */
    bool gap_due : 1;    /* in node.gaps */
    bool news : 1;       /* on demand: somebody has written something new, which is wanted */
    bool moved;          /* on demand: another claim, or entry, since the question that is under way */
    uint8_t account_len; /* 0 until the JOIN is accepted */
    uint8_t want_failures;
    uint16_t claims; /* links that claim something of him */
    uint8_t *account;
    union {
        struct edge main;
        struct {
            EDGE_FIELDS /* have, tip ... of the contiguous part */
        };
    };
    struct run run;                /* 1..tip */
    struct island *island;         /* NULL: none */
    uint64_t version;              /* channel version at which what is held last grew ... */
    uint64_t have_version;         /* ... the contiguous part, ... */
    uint64_t hold_version;         /* ... the island */
    uint32_t newer, older;         /* neighbours in the list by version */
    struct feed_ref gap_next;      /* the next one in node.gaps */
    uint32_t left_seq;             /* the newest LEAVE; 0: none */
    uint32_t via_link, via_serial; /* the link that brought the newest entry first */
    uint32_t timer;
    /* What is missing: */
    uint32_t behind_at; /* index in channel.behind, NONE when nobody claims more */
    uint32_t want_link; /* link slot that was asked, NONE when no WANT is under way */
    uint32_t want_from, want_upto;
    uint32_t want_probed; /* members that were looked at in vain, one after the other */
    uint32_t settled;     /* on demand: so far what is missing above is older than the newest */
    usec want_at;         /* when it times out; without a WANT: not before */
    usec want_since;
};

/* What the shell is to be told about a channel; bits. */
enum channel_say { CHANNEL_SAY_NEW = 1, CHANNEL_SAY_EXCLUDED = 2, CHANNEL_SAY_UNLOCKED = 4 };

struct channel {
    uint8_t id[ID_BYTES], authority[ID_BYTES];
    uint32_t index; /* in node.channels */
    uint8_t *name;
    size_t name_len;
    struct roster *roster;         /* of a sealed channel, else NULL */
    struct keyring *keys;          /* likewise */
    struct moderation *moderation; /* NULL: none */
    struct talk *talk;             /* of a direct conversation in which somebody has written, else NULL */
    bool excluded;                 /* our account is not a member (any more) */
    bool join_due;                 /* the JOIN could not be written yet */
    uint8_t says;                  /* bits of channel_say; in the queue when there are some */
    uint32_t says_next;
    bool carried; /* false when it was left and somebody else holds all that was written here */
    bool leaving; /* LEAVE was written: nothing more is taken, but what was written is still handed on */
    bool stored; /* its record is durable; before that no entry counts, for a restart would not find its place
                  */
    struct author *authors;
    uint32_t authors_len, authors_cap, authors_free; /* free: head of the free list through `older` */
    struct map by_device;
    uint32_t self; /* own author index, NONE for a replica */
    uint64_t version;
    uint32_t newest; /* head of the list by version */
    uint32_t *behind;
    uint32_t behind_len, behind_cap, behind_next; /* next: whose turn it is */
    uint32_t *members;                            /* link slots whose share is active */
    uint32_t members_len, members_cap, member_next;
    bool on_demand; /* old history comes by COMMAND_HISTORY only */
    bool quiet;     /* the JOIN is written with the first SEND */
    struct history history;
    struct ledger ledger;
    uint32_t writers; /* authors of whom something is held */
    usec have_at;     /* when changed HAVEs are due, NEVER when nothing changed */
    usec have_last;   /* when they were last due */
    uint32_t persons; /* of the members */
    struct view view;
    struct gossip gossip;
    uint32_t timers[CHANNEL_TIMERS];
};

struct request {
    uint32_t author, from, upto;
    bool down;
};

/* The island of the other side. */
struct span {
    uint32_t low, high; /* 0, 0: none */
};

/* One channel on one link. */
struct share {
    bool ours, theirs; /* CARRY said; the share is active when both are */
    bool active;
    uint32_t their_links; /* links to persons that the other side said to have in the channel */
    usec shuffled_at;     /* the next SHUFFLE is not listened to before */
    bool shuffle_asked;   /* ours was not answered yet */
    struct gossip_link gossip;
    uint32_t *have;    /* by author index: what the other side says it holds */
    struct span *hold; /* by author index: ... beside it; NULL until something was */
    bool vector;       /* its whole vector is in */
    bool overflow;     /* it named more authors than could be noted */
    uint64_t missing;  /* entries that it claimed in that and that are not here */
    bool due;          /* on demand: it is to be asked for the newest ... */
    usec due_at;       /* ... not before; who is silent: with growing pauses */
    usec due_pause;
    uint32_t *doubt; /* by author index: a claim that is set aside; NULL until one was not made good */
    bool introduce;  /* an INTRODUCE is due */
    usec doubt_until, doubt_pause; /* when some of them are tried again; 0: there is none */
    uint32_t doubt_next;
    uint32_t have_cap;
    uint32_t phantoms;
    uint32_t wants; /* own WANTs unanswered */
    bool whole;     /* the whole vector is being sent; cursor says how far */
    bool whole_started;
    uint32_t cursor;
    uint64_t version_sent; /* up to here changes of have-vectors are said ... */
    uint64_t version_told; /* ... the last time that all were */
    uint64_t hold_sent;    /* the same of islands */
    uint64_t hold_told;
    struct digest *digest;               /* the comparing of large vectors that is under way */
    uint8_t buckets[DIGEST_BUCKETS / 8]; /* bits: which authors the whole vector tells of */
    struct recent *recent;               /* the answer to its RECENT that is under way */
    uint64_t skipped_ms; /* in this answer: the place of the newest that could not be read, 0: none */
    uint32_t push;       /* own seq to push next, 0 when the other side is not level with us */
    bool delivered_due;
    struct request *requests;
    uint32_t requests_head, requests_len;
    uint32_t timer;
};

struct serve {
    uint32_t channel, author, seq;
    uint64_t token;    /* of the READ, 0 when the blob is there */
    struct blob *blob; /* NULL and token 0: could not be read, skip */
    bool recent;       /* of an answer to RECENT */
    bool end;          /* RECENT_END comes here */
    bool more;
    uint64_t oldest_ms;
};

/* What the shell is to be told about a pipe. */
enum pipe_queue { QUEUE_CLOSE, QUEUE_DELIVERED, QUEUE_WRITABLE, PIPE_QUEUES };

struct pipe {
    uint32_t number; /* the shell's */
    uint32_t serial; /* tells a slot's tenants apart */
    struct link link;
    enum path path;
    bool has_expected, certified, closing, close_said, open_done;
    uint8_t expected[ID_BYTES], authority[ID_BYTES];
    slice account;                      /* by the certificate of the link, when certified */
    uint32_t introductions, introduced; /* INTRODUCEs due; channels that this link has brought */
    uint32_t peer;                      /* NONE until the link is open */
    usec entry_at;                      /* when the last entry came */
    usec opened_at, heard_at, sent_at, ping_at, closing_at;
    uint64_t ping_stamp;
    usec signals_until;               /* the tokens of its SIGNALs are used up to here */
    uint64_t open_order, heard_order; /* n->opened when the link was opened, and when it was last heard */
    struct limits limits;
    struct buffer control; /* [length 2 bytes][message] ... */
    struct share **shares; /* by channel index */
    uint32_t shares_len;
    struct bulk *bulk; /* transfer.h; NULL until it has to do with files */
    struct serve window[SERVE_WINDOW];
    uint32_t window_head, window_len;
    size_t window_bytes;    /* of the blobs in it */
    uint32_t serve_channel; /* whose turn it is */
    int close_result;
    char close_text[MESSAGE_TEXT_BYTES_MAX + 1];
    uint32_t slot, timer;
    uint32_t sibling; /* the next open link of the same peer */
    bool queued[PIPE_QUEUES];
    uint32_t next[PIPE_QUEUES], before[PIPE_QUEUES];
};

enum dial_state { DIAL_IDLE, DIAL_WAITING, DIAL_TRYING };
struct dial {
    enum dial_state state;
    usec at; /* WAITING: when to try; TRYING: when it counts as failed */
    usec pause;
    bool due; /* an ACTION_CONNECT is to be given out */
};

enum wanted {
    WANTED_NOT,
    WANTED_ONCE,   /* one of many: when it cannot be reached, or goes, another one will do */
    WANTED_ALWAYS, /* called again and again while it is online */
};

struct peer {
    uint8_t device[ID_BYTES];
    uint8_t account[NODE_NAME_BYTES_MAX];
    size_t account_len;
    enum node_role role;
    bool online;        /* the tracker says so */
    uint32_t online_at; /* in node.online, NONE when it is not */
    enum wanted wanted;
    uint32_t refusals;   /* links in a row that ended as soon as they were open */
    usec stranger_until; /* not called before, unless it is known to be in a channel of ours */
    uint32_t links;      /* open ones */
    uint32_t first_link; /* slot of the pipe that opened last, the others by `sibling` */
    enum path path;      /* the best of them */
    uint64_t rtt_us;
    usec wanted_since;
    struct dial direct, relay;
    bool announce, queued;
    uint32_t slot, next, timer;
};

enum op_state { OP_FREE, OP_STORE, OP_STORING, OP_STORED, OP_RETRY, OP_DELIVER, OP_READ, OP_READING };
struct op {
    enum op_state state;
    bool own;
    uint64_t token, command_token;
    uint32_t channel, author, seq; /* author NONE: a channel record */
    struct blob *blob;             /* entries */
    uint32_t pipe, pipe_serial;    /* READ: for whom */
    usec retry_at, pause;
    uint32_t timer;
    uint32_t next;           /* in the queue of actions or the free list */
    uint32_t next_of_author; /* the stores at one edge, in the order of acceptance */
    enum lane lane;
    bool recent; /* it came as an answer to RECENT */
};

struct warning {
    int result;
    bool has_device;
    uint8_t device[ID_BYTES];
    const char *text; /* static */
};

struct cached {
    uint32_t channel, author, seq;
    struct blob *blob;
};

/* A device that was named by COMMAND_DEVICE. */
struct known {
    uint8_t *certificate;
    uint16_t certificate_len;
    slice account; /* in it */
};

/* Entries of an author that are to be told as missing. */
struct lost {
    struct feed_ref at;
    uint32_t from, upto;
};

struct node {
    const struct allocator *allocator;
    const struct crypto *crypto;
    struct node_config config;
    struct recorder recorder;
    uint64_t probes[PROBES];
    uint8_t device[ID_BYTES], noise_secret[KEY_BYTES], box_secret[KEY_BYTES], map_secret[16];
    struct random random;
    usec now;
    struct timer *timers; /* heap, timer.c */
    uint32_t timers_len, timers_cap;
    usec timers_lost_at; /* when everything is looked at, because there was no memory for a timer */
    uint64_t clock_ms;   /* hybrid logical clock */
    bool started;        /* an input other than restore came */
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t certificate_len;
    slice account; /* in it */
    uint8_t certifier[ID_BYTES];
    struct known *known;
    uint32_t known_len, known_cap;
    struct map known_by_device;

    struct channel **channels;
    uint32_t channels_len, channels_cap;
    struct map channel_by_id;
    struct pipe **pipes;                               /* NULL: free slot */
    uint32_t pipes_cap, pipes_used, pipes_low, serial; /* low: no free slot below */
    uint64_t opened;                                   /* links that were ever open */
    struct map pipe_by_number;
    uint32_t pipe_found[PIPES_FOUND]; /* slots of the links that were asked for last, by the end of their
                                         numbers */
    struct peer **peers;
    uint32_t peers_cap, peers_used, peers_low;
    uint32_t *online; /* slots of the peers that the tracker says are there */
    uint32_t online_len, online_cap;
    uint32_t persons; /* open links to persons */
    usec stranger_at;
    struct node_traffic traffic;
    struct signals signals;
    struct map peer_by_device;
    struct talks talks;
    struct bans bans;
    struct op *ops;
    uint32_t ops_cap, ops_used, ops_free;
    uint64_t tokens;

    struct {
        struct feed_ref head, tail;
    } gaps;            /* authors whose gap changed */
    struct lost *lost; /* by the restore */
    uint32_t lost_len, lost_cap;
    uint32_t receipts;           /* that are to be told to the shell */
    uint32_t histories;          /* channels whose COMMAND_HISTORY is to be answered */
    uint32_t loose;              /* islands that are not whole yet, while records come back */
    struct transfers *transfers; /* transfer.h; NULL until there is a file */

    struct queue op_queue, peer_queue, channel_queue, pipe_queues[PIPE_QUEUES];
    struct warning warnings[WARNINGS_MAX];
    uint32_t warnings_head, warnings_len;
    struct cached cache[CACHE_SLOTS];

    uint8_t scratch[LINK_FRAME_BYTES_MAX]; /* one received frame */
    uint8_t plain[LINK_MESSAGE_BYTES_MAX]; /* one message to be sent */
    /* What the last action shows; good until the next call. */
    struct blob *shown_blob;
    uint8_t shown_record[1024], shown_device[ID_BYTES], shown_account[NODE_NAME_BYTES_MAX];
    struct action shown; /* what node_next puts together; blank between its calls */
    char shown_text[MESSAGE_TEXT_BYTES_MAX + 1];
    struct channel_spec shown_spec;
    struct arrival shown_arrival;
    uint8_t *desk; /* NODE_BODY_BYTES_MAX, when there is a sealed channel: the body that is shown, opened */
    uint8_t shown_id[ID_BYTES];
};

/* node.c, command.c, action.c: what border.c calls for each function of node.h. */
int input_restore(struct node *n, slice record, usec now) BASE_CHECKED;
int input_link_up(struct node *n, uint32_t link, const struct node_link *info, usec now) BASE_CHECKED;
void input_link_down(struct node *n, uint32_t link, usec now);
int input_receive(struct node *n, uint32_t link, slice bytes, usec now, size_t *out_used) BASE_CHECKED;
size_t input_transmit(struct node *n, uint32_t link, uint8_t *buffer, size_t room, usec now);
void input_done(struct node *n, uint64_t token, int result, slice bytes, usec now);
void input_tick(struct node *n, usec now);
int64_t input_command(struct node *n, const struct command *command, usec now) BASE_CHECKED;
bool output_next(struct node *n, struct action *out_action);
void node_free(struct node *n);

/* node.c */
void node_clock(struct node *n, usec now);
/* An input other than restore. */
void node_started(struct node *n);
void node_warn(struct node *n, int result, const uint8_t *device, const char *text);
/* A free operation or NULL (table full or no memory); reserve: how many must stay free. */
struct op *op_new(struct node *n, uint32_t reserve);
void op_free(struct node *n, struct op *op);
void op_enqueue(struct node *n, struct op *op, enum op_state state);
/* Grows an array of `size`-byte items to at least `want` of them, zeroed; new cap in *cap. */
int grow(const struct allocator *a, void **array, uint32_t *cap, uint32_t want, size_t size) BASE_CHECKED;

/* timer.c: the object's tick function is called at this time or earlier, and looks for itself what is due. */
void timer_arm(struct node *n, enum timer_kind kind, uint32_t a, uint32_t b, usec at);
/* Before the object goes. */
void timer_disarm(struct node *n, enum timer_kind kind, uint32_t a, uint32_t b);
/* The next one that is due, disarmed; false when there is none. */
bool timer_next(struct node *n, struct timer *out);
usec timer_deadline(const struct node *n);

/* channel.c */
struct channel *channel_find(const struct node *n, const uint8_t *id, uint32_t *out_index);
int channel_add(struct node *n, const uint8_t *id, const uint8_t *authority, slice name,
                uint32_t *out_index) BASE_CHECKED;
void channel_free(struct node *n, struct channel *c);
/* The shell is to be told. */
void channel_announce(struct node *n, struct channel *c, enum channel_say what);
uint32_t author_find(const struct channel *c, const uint8_t *device);
int author_add(struct node *n, struct channel *c, const uint8_t *device, uint32_t *out_index) BASE_CHECKED;
/* Frees an author of whom nothing is held and nobody claims anything. */
void author_drop_phantom(struct node *n, struct channel *c, uint32_t author);
/* Moves the author to the front of the list by version. */
void author_touch(struct channel *c, uint32_t author);
void channel_set_behind(struct node *n, struct channel *c, uint32_t author, bool behind);

/* command.c */
/* member_channel_add, and its record is on its way to the disk. */
int channel_open(struct node *n, const struct channel_spec *spec, slice certificate,
                 uint32_t *out_index) BASE_CHECKED;
/* Carries the channel and, unless it is quiet, writes a JOIN when the feed is empty. */
int channel_enter(struct node *n, uint32_t channel, bool quiet, uint64_t *out_token) BASE_CHECKED;

/* forget.c: COMMAND_FORGET. */
int forget_command(struct node *n, const struct command *command) BASE_CHECKED;

/* feed.c */
int feed_receive(struct node *n, uint32_t channel, slice wire, struct pipe *from) BASE_CHECKED;
int feed_append(struct node *n, uint32_t channel, uint32_t kind, slice body,
                uint64_t *out_token) BASE_CHECKED;
int feed_restore(struct node *n, slice wire, const struct arrival *arrival) BASE_CHECKED;
/* The records are through: what they left loose is let go. */
void feed_restored(struct node *n);
void feed_done(struct node *n, struct op *op, int result);
void feed_retry(struct node *n, struct op *op);
void feed_cache(struct node *n, uint32_t channel, uint32_t author, uint32_t seq, struct blob *blob);
/* Releases what is durable but had to wait. */
void feed_release_all(struct node *n, uint32_t channel);
/* The blob of an entry if it is in memory, else NULL. Not a new reference. */
struct blob *feed_cached(const struct node *n, uint32_t channel, uint32_t author, uint32_t seq);

/* gap.c: the gap of this author opened, shrank or closed: ACTION_GAP. */
void gap_changed(struct node *n, uint32_t channel, uint32_t author);
/* These were restored and do not count after all: the same. ERR_MEMORY. */
int gap_lost(struct node *n, uint32_t channel, uint32_t author, uint32_t from, uint32_t upto) BASE_CHECKED;
bool gap_next(struct node *n, struct action *out);

/* sync.c */
int sync_carry_all(struct node *n, struct pipe *p) BASE_CHECKED;
int sync_carry(struct node *n, struct pipe *p, uint32_t channel, bool on) BASE_CHECKED;
int sync_message(struct node *n, struct pipe *p, struct message *m) BASE_CHECKED;
/* An author's durable part grew. */
void sync_grew(struct node *n, uint32_t channel, uint32_t author);
/* Received entries were lost again: ask for them anew after a pause. */
void sync_lost(struct node *n, uint32_t channel, uint32_t author);
/* Makes room for an author who is there: forgets one of whom there are claims only and who is not being asked
 * for. False when there is none. */
bool sync_make_room(struct node *n, struct channel *c);
/* After LEAVE: lets go of the channel once another device has everything. */
void sync_leave(struct node *n, uint32_t channel);
/* Others hold all that is held here. */
bool sync_all_kept(const struct node *n, uint32_t channel);
/* The channel is carried no more, and what the link has said of it is forgotten. */
void sync_forget(struct node *n, struct pipe *p, uint32_t channel);
void sync_pipe_gone(struct node *n, struct pipe *p);
/* Changed have-vectors are due; who leaves may go. */
void sync_tick(struct node *n, uint32_t channel);
/* What the other side says to hold of an author: its island, if there is one, else from 1. high 0: nothing.
 */
struct span share_span(const struct share *s, uint32_t author);
/* The other side has as much of the author as was held here. ERR_MEMORY. */
int sync_level(struct node *n, struct pipe *p, struct channel *c, uint32_t author, uint32_t seq) BASE_CHECKED;
struct share *share_of(const struct pipe *p, uint32_t channel);
/* The same; makes it when there is none. ERR_MEMORY. */
int sync_share(struct node *n, struct pipe *p, uint32_t channel, struct share **out) BASE_CHECKED;

/* want.c */
/* What the other side says it holds of this author, 0 when nothing or not believed. */
uint32_t want_claim(const struct share *s, uint32_t author);
/* Whether this link can give something of the author that is missing here and wanted. */
bool want_missing(const struct channel *c, const struct share *s, uint32_t author);
/* Somebody has something of this author that is missing here: asks for it, now or when it is its turn. */
void want_more(struct node *n, uint32_t channel, uint32_t author, bool now);
/* Goes on with those of whom something is missing, as far as links have time for more questions. */
void want_next(struct node *n, uint32_t channel);
/* Forgets the WANT that is under way. */
void want_cancel(struct node *n, uint32_t channel, struct author *a);
/* An entry of this author came over the link and was looked at. */
void want_got(struct node *n, const struct pipe *p, uint32_t channel, uint32_t author);
void want_tick(struct node *n, uint32_t channel, uint32_t author);
/* Some of what was set aside is believed again when its time is over. */
void want_end_doubts(struct node *n, struct pipe *p, uint32_t channel);

/* digest.c */
int digest_begin(struct node *n, struct share *s) BASE_CHECKED;
void digest_free(struct node *n, struct share *s);
bool digest_due(const struct share *s);
slice digest_message(struct node *n, struct pipe *p, struct channel *c, struct share *s);
int digest_receive(struct node *n, struct pipe *p, const struct message *m) BASE_CHECKED;
/* The whole vector for this link tells of this author. */
static inline bool share_tells(const struct share *s, const struct author *a)
{
    return s->buckets[a->device[0] / 8] >> a->device[0] % 8 & 1;
}

/* serve.c */
/* Queues entries to be served; what is on its way already is not queued again. ERR_MEMORY, ERR_FULL. */
int serve_add(struct node *n, struct pipe *p, struct share *s, struct request wanted) BASE_CHECKED;
void serve_read_done(struct node *n, struct op *op, int result, slice record);
/* The next message for the link in n->plain, or empty. */
slice serve_next(struct node *n, struct pipe *p);
bool serve_has_output(const struct node *n, const struct pipe *p);

/* mesh.c */
struct pipe *pipe_find(struct node *n, uint32_t number);
void pipe_enqueue(struct node *n, struct pipe *p, enum pipe_queue which);
void pipe_dequeue(struct node *n, struct pipe *p, enum pipe_queue which);
void pipe_close(struct node *n, struct pipe *p, int result, const char *text);
void pipe_wake(struct node *n, struct pipe *p);
void pipe_free(struct node *n, uint32_t slot);
/* Puts a small message into the control queue; a full queue counts as a glitch and drops it. */
bool pipe_control(struct node *n, struct pipe *p, slice message);
void pipe_glitch(struct node *n, struct pipe *p);
int mesh_opened(struct node *n, struct pipe *p) BASE_CHECKED;
void mesh_closed(struct node *n, struct pipe *p);
void mesh_heard(struct node *n, struct pipe *p);
/* The tracker says that the device is there (in this channel; NULL: in some), or is gone. */
int mesh_hint(struct node *n, const uint8_t *device, const uint8_t *channel, bool online) BASE_CHECKED;
/* Calls the device until there is a link. */
void mesh_want(struct node *n, const uint8_t *device, enum wanted how);
/* The device need not be linked to by all means any more: there are many. */
void mesh_relax(struct node *n, const uint8_t *device);
struct peer *peer_find(const struct node *n, const uint8_t *device);
void mesh_failed(struct node *n, const uint8_t *device, enum path path);
void mesh_network(struct node *n);
void mesh_tick_pipe(struct node *n, uint32_t slot);
void mesh_tick_peer(struct node *n, uint32_t slot);
/* Frees a peer that nobody needs any more. */
void peer_announce(struct node *n, struct peer *p);
void peer_release(struct node *n, uint32_t slot);

#endif
