/* member.h - who is in a sealed channel: the accounts, and what follows for devices, links and entries.
 * docs/protocol/wire.md, "Channels" and "Membership".
 *
 * A direct conversation has its two accounts for ever. In a private channel the account of the founder's
 * device is a member, and devices of that account add and remove others by MEMBER entries. Of the entries
 * about one account the one with the largest (number, time_ms, author, seq) counts; the number is one more
 * than every number its writer knew. So the fold depends on the set of entries only, not on their order, nor
 * on clocks.
 *
 * A removal names how far the account's feeds count: entries above are not taken any more, and those that
 * somebody has got already are marked as withdrawn. So in the end everybody shows the same.
 *
 * A MEMBER entry brings its writer's certificate, and can be judged by itself: as the proof in INTRODUCE, or
 * when it is held before what its author wrote earlier. */
#ifndef CORE_MEMBER_H
#define CORE_MEMBER_H

#include "base/cbor.h"
#include "core/entry.h"
#include "core/node.h"

struct channel;
struct pipe;

enum {
    ROSTER_CHANGES_MAX = 4096,    /* accounts that were ever members of one private channel */
    MEMBER_CUTS_MAX = 256,        /* devices named in one removal */
    INTRODUCED_LINK_MAX = 64,     /* channels that one link (not the authority's) may bring */
    INTRODUCED_ACCOUNT_MAX = 512, /* channels of one account that are taken */
    INTRODUCED_SPARE = 256,       /* places for channels that are opened here are kept free */
};

/* The latest word about one account. */
struct change {
    uint8_t *account;
    uint8_t account_len;
    bool on;
    bool durable; /* the entry is on some disk: it may be shown to others */
    uint32_t number, seq, first_epoch;
    uint64_t time_ms;
    uint8_t author[ID_BYTES];
    uint8_t *wire; /* the entry */
    size_t wire_len;
};

/* Of a sealed channel; a public one has none. */
struct roster {
    enum channel_type type;
    uint8_t founder[ID_BYTES], nonce[NODE_NONCE_BYTES]; /* PRIVATE */
    uint8_t *accounts;                                  /* DIRECT: the first one, then the other */
    size_t first_len, accounts_len;
    uint8_t *certificate; /* PRIVATE: the founder's; NULL until it is known */
    size_t certificate_len;
    slice founder_account;  /* in it */
    struct change *changes; /* by account, bytewise */
    uint32_t changes_len, changes_cap;
    uint32_t number;         /* the largest one known */
    uint32_t removed_number; /* the largest one of those who are removed */
    uint32_t epoch_floor;    /* the largest first_epoch of those who are members */
};

/* A MEMBER entry's body, in the agreed form and by a device of the account that it says. */
struct member_act {
    slice account;
    bool on;
    uint32_t number, first_epoch;
    slice author_account;
    struct cbor_reader cuts; /* device, seq, device, seq ... */
    uint64_t cuts_left;      /* pairs */
};
/* ERR_MALFORMED, ERR_SIGNATURE, ERR_PROTOCOL (a certificate of somebody else). The signature of the entry is
 * not looked at. */
int member_parse(const struct crypto *crypto, const uint8_t *authority, const struct entry *e,
                 struct member_act *out) BASE_CHECKED;

/* The latest word about the account, or NULL. */
struct change *member_change(const struct roster *r, slice account);
/* The founder's certificate of a private channel, taken when it is right and not yet known. ERR_MEMORY. */
int member_founder(struct node *n, struct channel *c, slice certificate) BASE_CHECKED;

/* channel_add by spec; certificate: the founder's, or empty. ERR_INVALID, ERR_FULL, ERR_MEMORY. */
int member_channel_add(struct node *n, const struct channel_spec *spec, slice certificate,
                       uint32_t *out_index) BASE_CHECKED;
void roster_free(struct node *n, struct roster *r);
/* The spec as it was given; borrows from the channel. */
struct channel_spec member_spec(const struct channel *c);

static inline bool channel_sealed(enum channel_type type)
{
    return type != CHANNEL_PUBLIC;
}
/* Whether the account is a member now. In public channels everybody is. */
bool member_is(const struct channel *c, slice account);
/* Up to which seq entries of this device count; account: empty when not known. UINT32_MAX: no limit. */
uint32_t member_limit(const struct channel *c, slice account, const uint8_t *device);
/* The account of an author, empty when not known. */
slice member_account(const struct channel *c, uint32_t author);
/* From which epoch on others may give keys to devices of this account. */
uint32_t member_first_epoch(const struct channel *c, slice account);
/* The author's entry counts (and is not withdrawn). */
bool member_counts(const struct channel *c, uint32_t author, uint32_t seq);
/* Up to which seq an author is asked for. */
uint32_t member_ceiling(const struct channel *c, uint32_t author);
/* Whether an entry that has arrived may be taken; account: of its JOIN, else empty. When not, the author is
 * not asked for until the membership changes. */
bool member_takes(struct channel *c, uint32_t author, const struct entry *e, slice account);

/* An entry is part of its feed. durable: it is stored (false: written here, on its way). ERR_MEMORY. */
int member_learn(struct node *n, struct channel *c, const struct entry *e, slice wire,
                 bool durable) BASE_CHECKED;
/* Who is a member has changed: links and wants follow. */
void member_changed(struct node *n, uint32_t channel);

bool member_may_carry(const struct channel *c, const struct pipe *p);
int member_command(struct node *n, const struct command *c, uint64_t *out_token) BASE_CHECKED;

/* introduce.c: other devices hear of sealed channels that they may take part in. */
struct message;
/* The other side is to hear of this channel; the message is made when there is room. */
void introduce_due(struct node *n, struct pipe *p, uint32_t channel);
/* The next one in n->plain, or empty. */
slice introduce_next(struct node *n, struct pipe *p);
bool introduce_has_output(const struct pipe *p);
int introduce_message(struct node *n, struct pipe *p, const struct message *m) BASE_CHECKED;

#endif
