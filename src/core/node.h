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
    NODE_LINKS_MAX = 4096,
    NODE_CHANNELS_MAX = 256,
    NODE_DEVICES_MAX = 20000, /* devices known at one time */
    NODE_AUTHORS_MAX = 20000, /* authors in one channel */
};

struct node;

/* What a device is in its channels. A replica stores and hands on, but is nobody: it writes no entries. */
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
 */
enum entry_kind {
    ENTRY_JOIN = 1, /* first entry of every feed; body: [certificate] */
    ENTRY_LEAVE = 2,
    ENTRY_TEXT = 3,    /* body: [text in UTF-8] */
    ENTRY_PROFILE = 4, /* a renewed certificate; body: [certificate] */
};

struct node_config {
    uint8_t identity_seed[KEY_BYTES]; /* Ed25519 seed of this device; secret */
    uint8_t random_seed[KEY_BYTES];   /* fresh for every start; secret */
    enum node_role role;
    /* How long a direct link may take before a relay is asked for. 0 means the default, 5 s. */
    usec direct_patience_us;
};

/* ERR_MEMORY or ERR_INVALID (a table entry is missing). The tables and what they point to must outlive the
 * node. Wiped and freed by node_destroy (NULL is allowed). */
int node_create(const struct node_config *config, const struct allocator *allocator,
                const struct crypto *crypto, usec now, struct node **out_node) BASE_CHECKED;
void node_destroy(struct node *node);

/* This device's id (its Ed25519 public key); borrows from the node. */
const uint8_t *node_device(const struct node *node);

/* Replays one record that an earlier STORE made durable; only before the first other input. Records come
 * channel records first, then entries of each (channel, author) by rising seq. The hash chain is checked,
 * signatures are trusted. ERR_CORRUPT: this record does not fit what came before; it was left out, go on with
 * the next (what is missing comes back by sync). */
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
};

struct command {
    enum command_kind kind;
    const uint8_t *channel; /* ID_BYTES, where the kind needs it */
    const uint8_t *device;  /* ID_BYTES, where the kind needs it */
    slice bytes;
    uint32_t entry_kind;
    enum path path;
    bool online;
};

/* Returns a positive token (SEND: the same number comes back in the DELIVER of the entry), or 0 where the
 * kind has nothing to wait for, or a negative error: ERR_INVALID (arguments), ERR_NOT_FOUND (not in the
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
};

enum action_kind {
    ACTION_STORE = 1,   /* token, record, entry (all of it) or, for a channel record, only entry.channel:
                           make durable under (channel, author, seq), then node_done */
    ACTION_READ = 2,    /* token, entry.channel/.author/.seq: give the record back with node_done */
    ACTION_DELIVER = 3, /* entry, token (own: of the SEND; else 0): it is durable and in its place */
    ACTION_DELIVERED =
        4,              /* channel, device, account, seq, role: that device holds all own entries up to seq */
    ACTION_CONNECT = 5, /* device, path (DIRECT or RELAY): please open a pipe, as initiator; answer with
                           node_link_up or COMMAND_CONNECT_FAILED */
    ACTION_CLOSE = 6,   /* link, result, text: close the pipe; the node has forgotten the link */
    ACTION_PEER = 7,    /* device, account, role, path (NONE: no link now), rtt_us (0: not measured) */
    ACTION_WRITABLE = 8, /* link: node_transmit has something */
    ACTION_WARNING = 9,  /* device (may be NULL), result, text: something that a person should know */
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
};

/* The next action, or false when there is none. */
bool node_next(struct node *node, struct action *out_action);

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

/* The id of a public channel hosted by a tracker: BLAKE2b-256("weaprous.channel.1" | authority | name). */
void channel_id(const struct crypto *crypto, const uint8_t authority[ID_BYTES], slice name,
                uint8_t out[ID_BYTES]);

/* Signs `domain | BLAKE2b-256(bytes)` as everything in the protocol is signed (docs/protocol/identity.md). */
void identity_sign(const struct crypto *crypto, const uint8_t seed[KEY_BYTES], slice domain, slice bytes,
                   uint8_t out_signature[SIGNATURE_BYTES]);
bool identity_verify(const struct crypto *crypto, const uint8_t device[KEY_BYTES], slice domain, slice bytes,
                     const uint8_t signature[SIGNATURE_BYTES]);

#endif
