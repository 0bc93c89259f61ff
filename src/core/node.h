/* node.h - the peer protocol as one object: bytes, time and commands go in, actions come out.
 *
 * A node is one device: it holds an identity, the channels the device is in, one log ("feed") per author in
 * each channel, and the links to other devices. It does no I/O: a shell (native peer, tracker, browser
 * worker, simulator) moves bytes, keeps records and reads the clock. docs/protocol/ describes what is on the
 * wire; this header is the only one that a shell includes.
 *
 * The loop of every shell:
 *     feed inputs (node_link_up, node_receive, node_done, node_command, node_tick ...)
 *     while (node_next(node, &action)) carry out the action
 *     for links named by ACTION_WRITABLE: while ((n = node_transmit(node, link, buffer, room, now))) write n
 * bytes call node_tick at node_deadline
 *
 * Rules
 *   Thread: one at a time; no call back into the shell except through the two tables (allocator, crypto).
 *   Time:   `now` is microseconds since 1970 of a clock that the shell keeps from going backwards; the node
 *           treats a smaller value as the last one.
 *   Memory: slices in an action stay valid until the next call of any node_ function, node_next included.
 *           Everything passed in is borrowed for the call only.
 *   Order:  STORE actions must become durable in the order in which they were given, or fail; node_done may
 *           come in any order.
 *   Same inputs in the same order and the same seeds give the same outputs, byte for byte, on every target.
 */
#ifndef CORE_NODE_H
#define CORE_NODE_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/slice.h"
#include "core/crypto.h"

typedef uint64_t usec;
#define SECONDS ((usec)1000000)
#define MILLISECONDS ((usec)1000)

enum {
    ID_BYTES = 32,                   /* device, channel and entry ids */
    NODE_TRANSMIT_ROOM = 20 * 1024,  /* the least room that node_transmit is to be given */
    NODE_BODY_BYTES_MAX = 16 * 1024, /* body of an entry */
    NODE_RECORD_BYTES_MAX = 18 * 1024,
    NODE_CERTIFICATE_BYTES_MAX = 512,
    NODE_NAME_BYTES_MAX = 128, /* account and channel names, UTF-8 */
    NODE_LINKS_MAX = 16384,
    NODE_CHANNELS_MAX = 4096,
    NODE_SESSION_BYTES = 16,
    NODE_NONCE_BYTES = 16,
    NODE_LINE_BYTES_MAX = 280,   /* the line of text in a request for a session */
    NODE_LEAF_BYTES = 64 * 1024, /* of files */
    NODE_SIGNAL_BYTES_MAX = 8 * 1024,
    NODE_DEVICES_MAX = 20000, /* devices known at one time */
    NODE_AUTHORS_MAX = 20000, /* authors in one channel */
};

struct node;

/* What a device is in its channels. A replica stores and hands on, but is nobody; it writes MEMBER and
 * MODERATE entries where it is the authority, no others. */
enum node_role { ROLE_PERSON = 0, ROLE_REPLICA = 1 };

/* How the bytes of a link travel; a larger one is preferred when a device is reachable over several. */
enum path {
    PATH_NONE = 0,    /* no link; also: an entry that was written here */
    PATH_TRACKER = 1, /* to the tracker itself, over its socket */
    PATH_RELAY = 2,   /* to another device, through the tracker, which sees ciphertext only */
    PATH_DIRECT = 3,  /* between the two devices */
    PATH_LAN = 4,     /* between the two devices, in one network */
};

/* Kinds of entries. Unknown kinds are kept, handed on and delivered; a shell ignores what it does not know.
 * In sealed channels (private, direct) the body of kinds from TEXT on is encrypted, but for those marked
 * "clear", which the node itself writes and reads. */
enum entry_kind {
    ENTRY_JOIN = 1,      /* clear; first entry of every feed; body: [certificate] */
    ENTRY_LEAVE = 2,     /* clear */
    ENTRY_TEXT = 3,      /* body: [text in UTF-8, ...] */
    ENTRY_PROFILE = 4,   /* clear; a renewed certificate; body: [certificate] */
    ENTRY_KEY = 5,       /* clear; an epoch's key for devices, each in a sealed box */
    ENTRY_MEMBER = 6,    /* clear; accounts added to or removed from a private channel */
    ENTRY_SESSION = 7,   /* clear but for the line: a direct conversation is asked for, accepted, ended ... */
    ENTRY_FILE = 8,      /* body: an offer of files, for shells: docs/protocol/files.md */
    ENTRY_REACTION = 9,  /* body: for shells */
    ENTRY_MODERATE = 10, /* clear; by the authority's device: what moderators decided (COMMAND_MODERATE) */
};

/* What a channel is. Its id follows from this (channel_spec_id), so nobody can pass one off as another. */
enum channel_type {
    CHANNEL_PUBLIC = 0,  /* named; everybody whom the authority certifies may take part; not sealed */
    CHANNEL_PRIVATE = 1, /* accounts that its founder adds; sealed */
    CHANNEL_DIRECT = 2,  /* all devices of two accounts (or of one); sealed */
};
struct channel_spec {
    enum channel_type type;
    const uint8_t *authority; /* the tracker whose certificates say who is who */
    slice name;               /* PUBLIC */
    const uint8_t *founder;   /* PRIVATE: device id */
    const uint8_t *nonce;     /* PRIVATE: NODE_NONCE_BYTES, random */
    slice account, other;     /* DIRECT, in any order */
};

struct node_config {
    uint8_t identity_seed[KEY_BYTES]; /* Ed25519 seed of this device; secret */
    uint8_t random_seed[KEY_BYTES];   /* fresh for every start; secret */
    enum node_role role;
    /* How long a direct link may take before a relay is asked for. 0 means the default, 5 s. */
    usec direct_patience_us;
    /* Links to persons' devices that one channel may use, and of this node in all; 0: defaults of a native
     * peer, 32 and 64. Browsers: 12 and 24. A replica takes all comers up to NODE_LINKS_MAX. */
    uint32_t channel_links_max, links_max;
    /* How old an epoch of a sealed channel may grow; 0: 7 days. */
    usec epoch_age_us;
    /* How long a request for a session waits for an answer (0: 60 s), how long one to somebody who is away
     * (0: 7 days), and after how much silence of the other account a session ends (0: 120 s). */
    usec session_answer_us, session_away_us, session_silence_us;
    /* Gets every call of the node as bytes, piece by piece (core/trace.h; they hold secrets), or NULL. It
     * must not call back. */
    void (*trace)(void *context, slice piece);
    void *trace_context;
};

/* ERR_MEMORY or ERR_INVALID (a table entry is missing). The tables and what they point to must outlive the
 * node. Wiped and freed by node_destroy (NULL is allowed). */
int node_create(const struct node_config *config, const struct allocator *allocator,
                const struct crypto *crypto, usec now, struct node **out_node) BASE_CHECKED;
void node_destroy(struct node *node);

/* This device's id (its Ed25519 public key); borrows from the node. */
const uint8_t *node_device(const struct node *node);

/* Replays one record that an earlier STORE made durable; only before the first other input. Records come
 * channel records first, then entries of each (channel, author) by rising seq; one gap may be between them,
 * where the newest entries were taken first, and ACTION_GAP tells of it afterwards. The hash chain is
 * checked, signatures are trusted. ERR_CORRUPT: this record does not fit what came before; it was left out,
 * go on with the next (what is missing comes back by sync). */
int node_restore(struct node *node, slice record, usec now) BASE_CHECKED;

/* --- links: byte pipes to other devices --- */

struct node_link {
    enum path path;
    bool initiator;          /* this side opened the pipe; exactly one side is the initiator */
    const uint8_t *expected; /* device id that must be at the other end, or NULL for anyone */
    slice binding; /* bytes that both ends of the pipe know (empty allowed); a mismatch fails the handshake */
};

/* A pipe is there. `link` is a number of the shell's choosing, not in use. ERR_EXISTS, ERR_FULL, ERR_MEMORY.
 */
int node_link_up(struct node *node, uint32_t link, const struct node_link *info, usec now) BASE_CHECKED;
/* The pipe is gone (also after ACTION_CLOSE was carried out). Unknown numbers are ignored. */
void node_link_down(struct node *node, uint32_t link, usec now);
/* Bytes that came out of the pipe, cut anywhere. *out_used says how many were consumed; on ERR_BUSY drain the
 * actions (or wait for node_done) and call again with the rest. Any error of class PEER or LIMIT: the link is
 * closed by the node, an ACTION_CLOSE follows; drop the rest. ERR_NOT_FOUND: no such link; drop the rest. */
int node_receive(struct node *node, uint32_t link, slice bytes, usec now, size_t *out_used) BASE_CHECKED;
/* Fills `buffer` with what matters most next for this link: whole frames, 0 when there is nothing.
 * room >= NODE_TRANSMIT_ROOM. Do not call while the pipe is full: what is not asked for is not produced, so
 * a slow pipe gets fresh state, not a backlog. */
size_t node_transmit(struct node *node, uint32_t link, uint8_t *buffer, size_t room, usec now);

/* --- the other inputs --- */

/* A STORE or READ is finished: result OK or a negative error; bytes: the record, for a READ. Unknown tokens
 * are ignored. A failed STORE of a received entry drops it (it comes again by sync); a failed STORE of an own
 * entry is asked for again, with growing pauses, under a new token. */
void node_done(struct node *node, uint64_t token, int result, slice bytes, usec now);

void node_tick(struct node *node, usec now);
/* When node_tick is due; UINT64_MAX for never. */
usec node_deadline(const struct node *node);

enum command_kind {
    COMMAND_CERTIFICATE = 1, /* bytes: this device's certificate, now in force */
    COMMAND_JOIN = 2,        /* channel, device (the authority that certifies its members), bytes (name):
                                carry this channel; a person also writes a JOIN entry when its feed is empty */
    COMMAND_LEAVE = 3,       /* channel: write a LEAVE entry and take nothing more; the channel is carried
                                   until another device says to have every entry that is held here */
    COMMAND_SEND = 4,        /* channel, entry_kind, bytes (body): write an entry */
    COMMAND_PEER = 5, /* device, online: somebody says that this device can be reached, or not any more */
    COMMAND_CONNECT_FAILED = 6, /* device, path: an ACTION_CONNECT came to nothing */
    COMMAND_NETWORK = 7,        /* the network changed: try direct links again now */

    COMMAND_OPEN = 8,     /* spec, quiet, on_demand: like JOIN, for any type of channel; `channel` not needed.
                             quiet: the JOIN entry is written with the first SEND only. on_demand: old history
                             comes by COMMAND_HISTORY only */
    COMMAND_MEMBER = 9,   /* channel (private; this account founded it), bytes (account), online: added; else
                             removed: it gets no further epoch. Of channels that the authority has founded:
                             by that replica, whose stores of it are not tried again */
    COMMAND_DEVICE = 10,  /* bytes: certificate of somebody's device, as the tracker names it: keys of sealed
                             channels are handed to it before it has joined. Not remembered over a restart */
    COMMAND_HISTORY = 11, /* channel, count (entries): older entries are wanted now, the newest of all that
                             are missing; ACTION_HISTORY answers. before_ms is not looked at */
    COMMAND_RELATION = 12,   /* bytes (account), relation. Not remembered over a restart */
    COMMAND_REQUEST = 13,    /* channel (direct), bytes (a line, may be empty), online (the other account is,
                                for all that is known): asks for a session. ACTION_SESSION tells how it goes */
    COMMAND_ANSWER = 14,     /* channel, session, online: accept, else decline */
    COMMAND_END = 15,        /* channel, session: cancels one's request, or ends the session */
    COMMAND_LOGOUT = 16,     /* ends all sessions, in words, for both sides */
    COMMAND_SIGNAL = 17,     /* device, bytes: brings them to that device over the links that there are, as
                                ACTION_SIGNAL; how two devices find a way to each other without a tracker */
    COMMAND_FILE_HOLD = 18,  /* channel, root, size: this device has the whole file and serves it there.
                                ERR_EXISTS: it is being fetched, or the size is another one */
    COMMAND_FILE_FETCH = 19, /* channel, root, size, bytes (bitmap of the leaves that are here already, leaf i
                                being bit i % 8 of byte i / 8, or empty): fetches from everybody who has it,
                                and serves what has come. A file that is here is shared in one more channel */
    COMMAND_FILE_PAUSE = 20, /* root, online: pause, both ways; else go on (also after ERR_DISK_FULL) */
    COMMAND_FILE_DROP = 21,  /* root: cancels, serves it no longer, forgets it. Writes that are under way
                                count no more */
    COMMAND_BRING = 22,      /* channel (public), bytes: an entry that node_compose wrote. Its store is not
                                tried again: when that fails it was never there, with all composed since */
    COMMAND_MODERATE = 23,   /* channel, bytes: a moderation_write. By the replica that is the channel's
                                authority; it finds out itself how far a banned account's feeds count. Its
                                store is not tried again */
    COMMAND_FORGET = 24,     /* channel (direct), online: in any case, else only when others hold all of it
                                (ERR_AGAIN: they do not). By a replica: nothing of it is held any more, and it
                                is not carried until COMMAND_OPEN. Then its entries may be deleted. ERR_BUSY:
                                something is under way */
};

enum relation { RELATION_NONE = 0, RELATION_FRIEND = 1 /* no question asked */, RELATION_BLOCKED = 2 };

struct command {
    enum command_kind kind;
    const uint8_t *channel; /* ID_BYTES, where the kind needs it */
    const uint8_t *device;  /* ID_BYTES, where the kind needs it */
    slice bytes;
    uint32_t entry_kind;
    enum path path;
    bool online;
    const struct channel_spec *spec;
    bool quiet, on_demand;
    uint32_t count;
    uint64_t before_ms;
    enum relation relation;
    const uint8_t *session; /* NODE_SESSION_BYTES */
    const uint8_t *root;    /* ID_BYTES: tree root of a file */
    uint64_t size;          /* of a file, bytes */
};

/* Returns a positive token (SEND, BRING: the same number comes back in the DELIVER of the entry), or 0 where
 * the kind has nothing to wait for, or a negative error: ERR_INVALID (arguments), ERR_NOT_FOUND (not in the
 * channel), ERR_WRONG_STATE (no certificate yet), ERR_TOO_LARGE (body), ERR_FULL, ERR_BUSY, ERR_MEMORY. */
int64_t node_command(struct node *node, const struct command *command, usec now) BASE_CHECKED;

/* --- actions --- */

/* One entry of a feed, as stored and as shown. */
struct entry_view {
    const uint8_t *channel;
    const uint8_t *author; /* device id */
    uint64_t seq;          /* 1, 2, 3 ... in this author's feed of this channel */
    const uint8_t *id;     /* BLAKE2b-256 of the signed bytes */
    uint32_t kind;
    uint64_t time_ms;  /* the author's hybrid clock, ms since 1970 */
    uint64_t place_ms; /* where it stands: order by (place_ms, author, seq) */
    slice body;
    slice account;       /* the author's account name by its certificate, UTF-8 */
    const uint8_t *from; /* device that handed it over; this device for own entries */
    enum path path;      /* over what; PATH_NONE for own entries */
    uint64_t arrived_ms; /* when it was received here, ms since 1970 */
    bool locked;         /* sealed, and the key is not here (yet): the body is empty */
    bool withdrawn;      /* its account was removed before all had it: not to be shown, the body is empty */
    bool hidden;         /* a moderator has hidden it: the same */
};

enum action_kind {
    ACTION_STORE = 1, /* token, record, entry (all of it) or, for a channel record, only entry.channel:
                         make durable under (channel, author, seq), then node_done */
    ACTION_READ = 2,  /* token, entry.channel/.author/.seq: give the record back with node_done */
    ACTION_DELIVER =
        3, /* entry, token (own: of the SEND or BRING; else 0): it is durable and in its place. The body
              is opened; the record of STORE is as it was sent (node_view opens it again) */
    ACTION_DELIVERED = 4, /* channel, device, account, from, seq, role, path: that device holds all own
                             entries from..seq (from is 1 unless it took the newest first). path NONE: it is
                             not linked, it has signed a receipt that others brought */
    ACTION_CONNECT = 5,   /* device, path (DIRECT or RELAY): please open a pipe, as initiator; answer with
                             node_link_up or COMMAND_CONNECT_FAILED */
    ACTION_CLOSE = 6,     /* link, result, text: close the pipe; the node has forgotten the link */
    ACTION_PEER = 7,      /* device, account, role, path (NONE: no link now), rtt_us (0: not measured) */
    ACTION_WRITABLE = 8,  /* link: node_transmit has something */
    ACTION_WARNING = 9,   /* device (may be NULL), result, text: something that a person should know */
    ACTION_GAP = 10,     /* channel, device (author), account, from, seq: entries from..seq of this author are
                            missing before what is shown, but for what does not count any more; from > seq: none.
                            It comes before the DELIVERs that it is about; whatever is still stored of from..seq
                            does not count */
    ACTION_HISTORY = 11, /* channel, token (of the COMMAND), seq: entries that came; result: OK,
                            ERR_NOT_FOUND (there is nothing older) or ERR_TIMEOUT (nobody answered, or what
                            came could not be stored within 45 s) */
    ACTION_CHANNEL = 12, /* spec, channel, result. OK: somebody has brought this sealed channel of ours; it is
                            carried from now on and will be stored. ERR_DENIED: this account was removed from
                            it; it is not carried until somebody brings it again (OK) */
    ACTION_UNLOCKED = 13,  /* channel: keys came, members were removed or came back, or moderators have hidden
                              something; what is `locked`, `withdrawn` or `hidden` may have changed: view
                              entries anew (node_view) */
    ACTION_SESSION = 14,   /* channel, account (the other side), device (whose act it was, or NULL), session,
                              state, reason, text (the line), until_ms */
    ACTION_SIGNAL = 15,    /* device (from whom), bytes in `record` */
    ACTION_FILE_READ = 16, /* token, root, leaf: give the leaf's bytes and behind them its proof
                              (core/tree.h) with node_done. ERR_NOT_FOUND: it is not there any more */
    ACTION_FILE_WRITE = 17, /* token, root, leaf, record (the leaf's bytes), proof: write both, node_done.
                               ERR_DISK_FULL pauses the transfer, in words */
    ACTION_FILE = 18,       /* root, file_state, leaves, leaves_total, sources, result, text: how it stands */
};

enum session_state {
    SESSION_ASKED = 1,  /* by this account; an answer is awaited until until_ms */
    SESSION_ASKING = 2, /* by the other one: a person is to answer */
    SESSION_OPEN = 3,
    SESSION_ENDED = 4,
};
enum session_reason {
    REASON_NONE = 0,
    REASON_DECLINED = 1,
    REASON_NO_ANSWER = 2,
    REASON_CANCELLED = 3,
    REASON_ENDED = 4, /* by one side's wish */
    REASON_LOGOUT = 5,
    REASON_SILENCE = 6, /* no device of the other side was heard of for too long */
};
enum file_state {
    FILE_WAITING = 1, /* nobody who has more of it is linked */
    FILE_RUNNING = 2,
    FILE_PAUSED = 3,
    FILE_DONE = 4,
    FILE_SERVING = 5, /* held from the start */
};

struct action {
    enum action_kind kind;
    uint32_t link;
    uint64_t token;
    slice record;
    struct entry_view entry;
    const uint8_t *channel;
    const uint8_t *device;
    slice account;
    uint64_t seq;
    enum node_role role;
    enum path path;
    uint64_t rtt_us;
    int result;
    slice text; /* UTF-8, a sentence in English */
    uint64_t from;
    const struct channel_spec *spec;
    const uint8_t *session; /* NODE_SESSION_BYTES */
    enum session_state state;
    enum session_reason reason;
    uint64_t until_ms;
    const uint8_t *root; /* ID_BYTES */
    uint64_t leaf, leaves, leaves_total;
    slice proof;
    enum file_state file_state;
    uint32_t sources;
};

/* The next action, or false when there is none. */
bool node_next(struct node *node, struct action *out_action);

/* A record of an entry (of STORE or READ) as it is to be shown: the body of a sealed entry opened if the key
 * is here. Changes nothing. ERR_CORRUPT, ERR_NOT_FOUND (a channel that is not here). The view is good until
 * the next call. */
int node_view(struct node *node, slice record, struct entry_view *out) BASE_CHECKED;

/* The row-th account (0, 1, ...) that is a member of this sealed channel, in a fixed order; false after the
 * last, and for public channels. Borrows until the next input. */
bool node_member(const struct node *node, const uint8_t *channel, uint32_t row, slice *out_account);

/* Who of a channel holds how much of one's own: the delivery ledger. */
struct ledger_row {
    const uint8_t *device;
    slice account;
    enum node_role role;
    enum path path;     /* its link now; NONE: none */
    uint64_t from, seq; /* holds own entries from..seq; 0, 0: none that we know of */
};
/* The row-th of the channel (0, 1, ...), false after the last; *out_own: own entries that there are. */
bool node_ledger(struct node *node, const uint8_t *channel, uint32_t row, struct ledger_row *out,
                 uint64_t *out_own);

/* --- devices without a node --- */

/* A device whose seed the shell holds, and which writes through this node only (a tracker's web devices). Its
 * first entry in a channel is a JOIN with its certificate. */
struct node_draft {
    const uint8_t *channel, *seed; /* seed: KEY_BYTES, secret */
    uint32_t kind;
    slice body;
};
struct writer;
/* Writes and signs that device's next entry; changes nothing: COMMAND_BRING hands it in, before another one
 * of the same device is composed. ERR_NOT_FOUND (no such channel here), ERR_DENIED (a sealed one),
 * ERR_TOO_LARGE, ERR_FULL, ERR_WRONG_STATE: the first entry must be a JOIN and no other may be one; or others
 * hold more of the feed than this node, so that the device must write no more. */
int node_compose(const struct node *node, const struct node_draft *draft, usec now,
                 struct writer *out) BASE_CHECKED;
/* The last entry of this device that was accepted here; false when there is none. */
bool node_author(const struct node *node, const uint8_t *channel, const uint8_t *device, uint64_t *out_seq);

/* What crossed the links of this node since it was created: bytes with the handshakes, and what of them was
 * what, before encryption. For tests, benchmarks and the curious. */
enum traffic {
    TRAFFIC_ENTRIES, /* entries themselves */
    TRAFFIC_SYNC,    /* who has what, and questions for it */
    TRAFFIC_MESH,    /* who is linked to whom; signals */
    TRAFFIC_FILES,
    TRAFFIC_REST, /* pings, closing */
    TRAFFIC_KINDS,
};
struct node_traffic {
    uint64_t sent[PATH_LAN + 1], received[PATH_LAN + 1]; /* by path */
    uint64_t sent_of[TRAFFIC_KINDS];
    uint64_t entries, doubles; /* that came, and of these those that were here already */
};
void node_traffic(const struct node *node, struct node_traffic *out);

/* --- what moderators decide --- */

enum moderate_act {
    MODERATE_BAN = 1, /* account, text (why) */
    MODERATE_UNBAN = 2,
    MODERATE_HIDE = 3,   /* account, from_ms, until_ms, number (of messages); or account, author, seq */
    MODERATE_SHOW = 4,   /* the same, shown after all */
    MODERATE_MUTE = 5,   /* account, from_ms, until_ms, text */
    MODERATE_UNMUTE = 6, /* account, from_ms, until_ms: far away */
    MODERATE_SLOW = 7,   /* number: seconds between two messages of one account; 0: off */
    MODERATE_ROLE = 8,   /* account, number: 0 member, 1 moderator, 2 owner */
    MODERATE_TOPIC = 9,  /* text */
    MODERATE_NAME = 10,  /* text */
    MODERATE_KICK = 11,  /* account, text */
    MODERATE_CLOSE = 12, /* the channel is closed: nobody writes there any more */
};
struct node_moderation {
    enum moderate_act act;
    slice by, account, text; /* by: the account that decided */
    uint64_t from_ms, until_ms, number;
    const uint8_t *author; /* HIDE, SHOW: of one entry, or NULL */
    uint64_t seq;
};
/* The body of a MODERATE entry, for COMMAND_MODERATE. */
void moderation_write(const struct node_moderation *moderation, struct writer *out);

/* --- certificates and channel ids, for trackers and shells --- */

struct certificate {
    slice account;                /* UTF-8 */
    const uint8_t *device;        /* whom it certifies */
    const uint8_t *authority;     /* the tracker's device id, who signed it */
    uint64_t issued_s, expires_s; /* seconds since 1970 */
};

/* Writes a certificate signed by the authority whose seed is given: length, or ERR_FULL / ERR_INVALID. */
int certificate_write(const struct crypto *crypto, const struct certificate *fields,
                      const uint8_t authority_seed[KEY_BYTES], uint8_t *out, size_t room) BASE_CHECKED;
/* Checks form and signature, not the dates; the slices borrow `bytes`. ERR_MALFORMED, ERR_TOO_LARGE,
 * ERR_SIGNATURE. */
int certificate_parse(const struct crypto *crypto, slice bytes, struct certificate *out) BASE_CHECKED;

/* ERR_INVALID: a field is missing or too long. */
int channel_spec_id(const struct crypto *crypto, const struct channel_spec *spec,
                    uint8_t out[ID_BYTES]) BASE_CHECKED;
/* The id of a public channel hosted by a tracker: BLAKE2b-256("weaprous.channel.1" | authority | name). */
void channel_id(const struct crypto *crypto, const uint8_t authority[ID_BYTES], slice name,
                uint8_t out[ID_BYTES]);

/* Signs `domain | BLAKE2b-256(bytes)` as everything in the protocol is signed (docs/protocol/identity.md). */
void identity_sign(const struct crypto *crypto, const uint8_t seed[KEY_BYTES], slice domain, slice bytes,
                   uint8_t out_signature[SIGNATURE_BYTES]);
bool identity_verify(const struct crypto *crypto, const uint8_t device[KEY_BYTES], slice domain, slice bytes,
                     const uint8_t signature[SIGNATURE_BYTES]);

#endif
