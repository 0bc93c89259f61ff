#include "core/seal.h"

#include <string.h>

#include "core/identity.h"
#include "core/recheck.h"
#include "core/state.h"

#define EPOCH_AGE_US ((usec)7 * 86400 * SECONDS)
#define HAND_RANK_US (2 * SECONDS)         /* between the devices of one account */
#define HAND_LATER_US (3 * SECONDS)        /* for others, when there is such a device */
#define HAND_SOON_US (250 * MILLISECONDS)  /* ... when there is none */
#define HAND_SPREAD_US (50 * MILLISECONDS) /* for each device in the channel */
#define HAND_AGAIN_US (200 * MILLISECONDS)
#define REVIEW_US (20 * MILLISECONDS)

enum {
    HAND_ENTRIES_MAX = 16, /* KEY entries written in one go */
    KNOWN_MAX = NODE_DEVICES_MAX,
};

bool seal_covers(const struct channel *c, uint32_t kind)
{
    return c->roster && talk_by_person(kind);
}

/* --- who is there --- */

/* The author of a holder, NONE when it has not joined. */
static uint32_t author_of(const struct channel *c, struct holder *h)
{
    const struct author *a = h->author < c->authors_len ? &c->authors[h->author] : NULL;
    if (!a || !a->used || memcmp(a->device, h->device, ID_BYTES) != 0) h->author = author_find(c, h->device);
    return h->author != NONE && c->authors[h->author].tip > 0 ? h->author : NONE;
}

static slice account_of(const struct channel *c, struct holder *h)
{
    uint32_t author = author_of(c, h);
    return author != NONE ? member_account(c, author) : h->account;
}

static bool has_left(const struct channel *c, struct holder *h)
{
    uint32_t author = author_of(c, h);
    return author != NONE && author_left(&c->authors[author]);
}

/* Is to have the keys. */
static bool stands(const struct channel *c, struct holder *h)
{
    if (memcmp(h->device, c->authority, ID_BYTES) == 0) return false; /* it writes, but is no person */
    return !h->deaf && member_is(c, account_of(c, h)) && !has_left(c, h);
}

/* From which epoch on its keys are this device's due. Its account's other devices give it all they have. */
static uint32_t due_from(const struct node *n, const struct channel *c, struct holder *h)
{
    slice account = account_of(c, h);
    return slice_equal(account, n->account) ? 0 : member_first_epoch(c, account);
}

/* An epoch that was made with knowledge of a removal is not handed on by who does not know of it yet. */
static bool is_due(const struct channel *c, const struct epoch *e, uint32_t holder, uint32_t from)
{
    return e->open && e->number >= from && e->roster <= c->roster->number && !epoch_given(e, holder);
}

/* --- which epoch --- */

static bool is_usable(const struct node *n, const struct channel *c, const struct epoch *e)
{
    usec age = n->config.epoch_age_us ? n->config.epoch_age_us : EPOCH_AGE_US;
    uint64_t now_ms = n->now / MILLISECONDS;
    if (!e->open || e->roster < c->roster->removed_number || e->number < c->roster->epoch_floor) return false;
    /* Nobody knows of removals to come, nor may an epoch last for ever. */
    if (e->roster > c->roster->number || e->created_ms > now_ms + AHEAD_MS) return false;
    return now_ms <= e->created_ms || now_ms - e->created_ms < age / MILLISECONDS;
}

/* Somebody who left, or whose account was removed, has given it: so he has it, whatever he says of himself.
 */
static bool giver_is_gone(const struct channel *c, const struct epoch *e)
{
    for (uint32_t i = 0; i < c->keys->handings_len; i++) {
        const struct handing *h = &c->keys->handings[i];
        if (h->epoch != e->index) continue;
        uint32_t author = author_find(c, h->author);
        if (author == NONE || !member_is(c, member_account(c, author))) return true;
        if (author_left(&c->authors[author])) return true;
    }
    return false;
}

/* Somebody who left, or whose account was removed, was given it. */
static bool others_have_it(const struct channel *c, const struct epoch *e)
{
    for (uint32_t i = 0; i < c->keys->holders_len; i++) {
        struct holder *h = &c->keys->holders[i];
        if (!epoch_given(e, i)) continue;
        slice account = account_of(c, h);
        if (has_left(c, h) || (account.len > 0 && !member_is(c, account))) return true;
    }
    return false;
}

static bool is_newer(const struct epoch *a, const struct epoch *b)
{
    if (a->number != b->number) return a->number > b->number;
    if (a->created_ms != b->created_ms) return a->created_ms > b->created_ms;
    return memcmp(a->id, b->id, EPOCH_ID_BYTES) > 0;
}

/* The newest one that can be written with, or NULL. */
static struct epoch *current(const struct node *n, const struct channel *c)
{
    struct epoch *best = NULL, *before;
    do {
        before = best; /* the one that was tried last, and is no good */
        best = NULL;
        for (uint32_t i = 0; i < c->keys->epochs_len; i++) {
            struct epoch *e = c->keys->epochs[i];
            if (!is_usable(n, c, e) || (before && !is_newer(before, e))) continue;
            if (!best || is_newer(e, best)) best = e;
        }
    } while (best && (others_have_it(c, best) || giver_is_gone(c, best)));
    return best;
}

/* --- giving --- */

static int append_keys(struct node *n, struct channel *c, struct epoch *e, const uint32_t *holders,
                       uint32_t holders_len, uint32_t *entries)
{
    uint8_t body[NODE_BODY_BYTES_MAX];
    uint64_t token;
    int rc = OK;
    for (uint32_t at = 0; at < holders_len && rc == OK; (*entries)++) {
        struct writer w = writer_of(body, sizeof body);
        keyring_write(n, c, e, holders, holders_len, &at, &w);
        rc = w.failed ? ERR_FULL : feed_append(n, c->index, ENTRY_KEY, writer_slice(&w), &token);
    }
    return rc;
}

/* Gives the epoch to all whose due it is and of whom `due` says so; own device first: after a crash it has to
 * find what it began. */
static int hand_out(struct node *n, struct channel *c, struct epoch *e,
                    bool (*due)(const struct node *n, const struct holder *h), uint32_t *entries)
{
    struct keyring *ring = c->keys;
    uint32_t *list = NULL, cap = 0, len = 0;
    int rc = OK;
    for (uint32_t i = 0; i < ring->holders_len && rc == OK; i++) {
        struct holder *h = &ring->holders[i];
        if (epoch_given(e, i) || (due && !due(n, h)) || !stands(c, h)) continue;
        if (!is_due(c, e, i, due_from(n, c, h))) continue;
        if (!keyring_hears(n, h)) continue;
        rc = grow(n->allocator, (void **)&list, &cap, len + 1, sizeof *list);
        if (rc < 0) break;
        list[len++] = i;
        if (memcmp(h->device, n->device, ID_BYTES) != 0) continue;
        list[len - 1] = list[0];
        list[0] = i;
    }
    if (rc == OK && len > 0) PROBE(n, KEYS_HANDED);
    if (rc == OK && len > 0) rc = append_keys(n, c, e, list, len, entries);
    alloc_free(n->allocator, list, cap * sizeof *list);
    return rc;
}

int seal_ready(struct node *n, struct channel *c)
{
    struct holder *self;
    uint32_t index, entries = 0;
    if (c->self == NONE || !member_is(c, member_account(c, c->self))) return ERR_DENIED;
    int rc = keyring_holder(n, c->keys, n->device, &index);
    if (rc < 0) return rc;
    self = &c->keys->holders[index];
    if (!keyring_hears(n, self)) return ERR_DENIED;
    struct epoch *e = current(n, c);
    if (!e && c->keys->epochs_len > 0) PROBE(n, EPOCH_TOO_OLD);
    if (!e) rc = keyring_make(n, c, &e);
    return rc < 0 ? rc : hand_out(n, c, e, NULL, &entries);
}

/* The device's place among those of its account that have joined, by id; *out_others: whether there are any
 * but `except`. */
static uint32_t rank_of(const struct node *n, const struct channel *c, slice account, const uint8_t *except,
                        bool *out_others)
{
    uint32_t rank = 0;
    *out_others = false;
    for (uint32_t i = 0; i < c->authors_len; i++) {
        const struct author *a = &c->authors[i];
        if (!a->used || a->tip == 0 || memcmp(a->device, except, ID_BYTES) == 0) continue;
        if (!slice_equal(member_account(c, i), account)) continue;
        *out_others = true;
        rank += memcmp(a->device, n->device, ID_BYTES) < 0;
    }
    return rank;
}

/* When this device is to give the holder what it lacks, should nobody have done so by then. */
static usec hand_time(struct node *n, const struct channel *c, struct holder *h)
{
    bool others;
    slice account = account_of(c, h);
    uint32_t rank = rank_of(n, c, account, h->device, &others);
    if (slice_equal(account, n->account)) return n->now + rank * HAND_RANK_US;
    usec spread = SECONDS + c->keys->holders_len * HAND_SPREAD_US;
    return n->now + (others ? HAND_LATER_US : HAND_SOON_US) + random_below(&n->random, spread);
}

static bool lacks_something(const struct node *n, const struct channel *c, uint32_t holder)
{
    uint32_t from = due_from(n, c, &c->keys->holders[holder]);
    for (uint32_t i = 0; i < c->keys->epochs_len; i++)
        if (is_due(c, c->keys->epochs[i], holder, from)) return true;
    return false;
}

/* Who lacks what, and when that is to be done about. */
static void look_around(struct node *n, struct channel *c)
{
    struct keyring *ring = c->keys;
    ring->review = false;
    for (uint32_t i = 0; i < ring->holders_len; i++) {
        struct holder *h = &ring->holders[i];
        if (memcmp(h->device, n->device, ID_BYTES) == 0) continue;
        if (!stands(c, h) || !lacks_something(n, c, i)) {
            if (h->hand_at > 0) PROBE(n, KEYS_HANDED_BY_OTHER);
            h->hand_at = 0;
        } else if (h->hand_at == 0)
            h->hand_at = hand_time(n, c, h);
        if (h->hand_at > 0) timer_arm(n, TIMER_SEAL, c->index, 0, h->hand_at);
    }
}

static bool is_time(const struct node *n, const struct holder *h)
{
    return h->hand_at > 0 && h->hand_at <= n->now;
}

static void hand_due(struct node *n, struct channel *c)
{
    struct keyring *ring = c->keys;
    uint32_t entries = 0;
    bool due = false;
    for (uint32_t i = 0; i < ring->holders_len && !due; i++)
        due = is_time(n, &ring->holders[i]);
    if (!due) return;
    int rc = OK;
    for (uint32_t i = 0; i < ring->epochs_len && rc == OK && entries < HAND_ENTRIES_MAX; i++)
        if (ring->epochs[i]->open) rc = hand_out(n, c, ring->epochs[i], is_time, &entries);
    if (rc == OK && entries < HAND_ENTRIES_MAX) {
        for (uint32_t i = 0; i < ring->holders_len; i++)
            if (is_time(n, &ring->holders[i])) ring->holders[i].hand_at = 0;
        return;
    }
    timer_arm(n, TIMER_SEAL, c->index, 0, n->now + HAND_AGAIN_US);
}

static bool may_write(const struct node *n, const struct channel *c)
{
    return c->self != NONE && c->carried && !c->leaving && !c->excluded && n->account.len > 0 &&
           c->authors[c->self].tip > 0;
}

void seal_review(struct node *n, struct channel *c)
{
    if (!c->keys || c->self == NONE || !n->started) return;
    c->keys->review = true;
    timer_arm(n, TIMER_SEAL, c->index, 0, n->now + REVIEW_US);
}

void seal_restored(struct node *n)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        struct channel *c = n->channels[i];
        if (c->keys) (void)!keyring_recount(n, c); /* without memory somebody may be given a key twice */
    }
}

void seal_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    uint64_t token;
    feed_release_all(n, channel);
    if (!c->keys) return;
    bool joins = c->join_due && !talk_shuns(n, c);
    if (joins && n->certificate_len > 0 && channel_enter(n, channel, false, &token) == OK)
        c->join_due = joins = false;
    if (joins && !c->excluded) timer_arm(n, TIMER_SEAL, channel, 0, n->now + SECONDS);
    if (!may_write(n, c)) return;
    recheck_tick(n, c);
    if (c->keys->review) look_around(n, c);
    hand_due(n, c);
    for (uint32_t i = 0; i < c->keys->holders_len; i++) {
        usec at = c->keys->holders[i].hand_at;
        if (at > n->now) timer_arm(n, TIMER_SEAL, channel, 0, at);
    }
}

/* --- what entries say --- */

int seal_learn(struct node *n, struct channel *c, const struct entry *e)
{
    bool opened = false;
    int rc = OK;
    switch (e->kind) {
    case ENTRY_JOIN:
    case ENTRY_PROFILE: rc = keyring_joined(n, c->keys, e->author); break;
    case ENTRY_LEAVE: break;
    case ENTRY_KEY:
        if (c->self != NONE) rc = keyring_learn(n, c, e, &opened);
        break;
    default: return OK;
    }
    if (opened && n->started) {
        channel_announce(n, c, CHANNEL_SAY_UNLOCKED);
        talk_keys(n, c->index);
    }
    if (n->started) seal_review(n, c);
    return rc;
}

/* --- bodies --- */

/* All fields of the entry but its body. */
static slice associated(const struct entry *e, uint8_t room[160])
{
    struct writer w = writer_of(room, 160);
    cbor_put_array(&w, 7);
    cbor_put_uint(&w, 1);
    cbor_put_uint(&w, e->kind);
    cbor_put_bytes(&w, slice_of(e->channel, ID_BYTES));
    cbor_put_bytes(&w, slice_of(e->author, ID_BYTES));
    cbor_put_uint(&w, e->seq);
    cbor_put_bytes(&w, slice_of(e->prev, ID_BYTES));
    cbor_put_uint(&w, e->time_ms);
    return writer_slice(&w);
}

/* Of a line: "weaprous.line.1" | channel | author */
static slice line_associated(const struct channel *c, const uint8_t *author, uint8_t room[160])
{
    struct writer w = writer_of(room, 160);
    writer_put(&w, SLICE("weaprous.line.1"));
    writer_put(&w, slice_of(c->id, ID_BYTES));
    writer_put(&w, slice_of(author, ID_BYTES));
    return writer_slice(&w);
}

static int put_sealed(struct node *n, const struct channel *c, slice about, slice plain, struct writer *w)
{
    const struct epoch *e = current(n, c);
    uint8_t nonce[HASH_BYTES], drawn[16 + 8];
    if (!e) return ERR_WRONG_STATE;
    if (w->failed || w->cap - w->len < plain.len + SEAL_OVERHEAD_BYTES) return ERR_FULL;
    /* Random, and bound to place and time: should a shell ever give the same seed twice, they still differ.
     */
    random_bytes(&n->random, drawn, 16);
    for (int i = 0; i < 8; i++)
        drawn[16 + i] = (uint8_t)(n->now >> 8 * i);
    hash_joined(n->crypto, SLICE("weaprous.nonce.1"), slice_of(drawn, sizeof drawn), about, nonce);
    cbor_put_array(w, 3);
    cbor_put_bytes(w, slice_of(e->id, EPOCH_ID_BYTES));
    cbor_put_bytes(w, slice_of(nonce, NONCE_BYTES));
    cbor_put_bytes_head(w, plain.len + TAG_BYTES);
    n->crypto->xseal(n->crypto->context, w->ptr + w->len, e->key, nonce, about, plain);
    w->len += plain.len + TAG_BYTES;
    return OK;
}

static bool take_sealed(const struct node *n, const struct channel *c, slice about, slice sealed,
                        uint8_t *room, slice *out)
{
    struct cbor_reader r = {sealed, false};
    uint64_t count = cbor_array(&r, 16);
    const uint8_t *id = cbor_fixed(&r, EPOCH_ID_BYTES), *nonce = cbor_fixed(&r, NONCE_BYTES);
    slice text = cbor_bytes(&r, NODE_BODY_BYTES_MAX);
    if (r.failed || count < 3 || text.len < TAG_BYTES || !c->keys) return false;
    const struct epoch *e = keyring_epoch(c->keys, id);
    if (!e || !e->open) return false;
    if (!n->crypto->xopen(n->crypto->context, room, e->key, nonce, about, text)) return false;
    *out = slice_of(room, text.len - TAG_BYTES);
    return true;
}

int seal_entry(struct node *n, const struct channel *c, struct entry *entry, uint8_t *room)
{
    uint8_t about[160];
    struct writer w = writer_of(room, NODE_BODY_BYTES_MAX);
    if (entry->body.len > SEAL_BODY_BYTES_MAX) return ERR_TOO_LARGE;
    int rc = put_sealed(n, c, associated(entry, about), entry->body, &w);
    if (rc == OK) entry->body = writer_slice(&w);
    return rc;
}

bool seal_open(struct node *n, const struct channel *c, const struct entry *e, slice *out_body)
{
    uint8_t about[160];
    if (!n->desk || !c->keys) return false;
    return take_sealed(n, c, associated(e, about), e->body, n->desk, out_body);
}

int seal_line(struct node *n, const struct channel *c, slice line, struct writer *out)
{
    uint8_t about[160];
    return put_sealed(n, c, line_associated(c, n->device, about), line, out);
}

bool seal_open_line(const struct node *n, const struct channel *c, const uint8_t *author, slice sealed,
                    uint8_t *room, slice *out_line)
{
    uint8_t about[160];
    return take_sealed(n, c, line_associated(c, author, about), sealed, room, out_line);
}

/* --- devices that the tracker names --- */

static void known_clear(struct node *n, struct known *k)
{
    alloc_free(n->allocator, k->certificate, k->certificate_len);
    k->certificate = NULL;
    k->certificate_len = 0;
}

int seal_device(struct node *n, slice bytes)
{
    struct certificate c;
    uint32_t index;
    int rc = certificate_parse(n->crypto, bytes, &c);
    if (rc < 0) return rc;
    if (!certificate_current(&c, n->now)) return ERR_DENIED;
    if (!map_get(&n->known_by_device, c.device, &index)) {
        rc = grow(n->allocator, (void **)&n->known, &n->known_cap, n->known_len + 1, sizeof *n->known);
        if (rc == OK) rc = map_set(&n->known_by_device, c.device, n->known_len);
        if (rc < 0) return rc;
        index = n->known_len++;
    }
    uint8_t *copy = alloc_new(n->allocator, bytes.len);
    if (!copy) return ERR_MEMORY;
    memcpy(copy, bytes.ptr, bytes.len);
    known_clear(n, &n->known[index]);
    n->known[index] = (struct known){
        .certificate = copy,
        .certificate_len = (uint16_t)bytes.len,
        .account = slice_of(copy + (c.account.ptr - bytes.ptr), c.account.len),
    };
    for (uint32_t i = 0; i < n->channels_len && rc == OK; i++) {
        struct channel *channel = n->channels[i];
        if (!channel->keys || channel->self == NONE || !member_is(channel, c.account)) continue;
        rc = keyring_certified(n, channel, bytes);
        seal_review(n, channel);
    }
    return rc;
}

int seal_known(struct node *n, struct channel *c)
{
    int rc = OK;
    if (!c->keys || c->self == NONE) return OK;
    for (uint32_t i = 0; i < n->known_len && rc == OK; i++) {
        const struct known *k = &n->known[i];
        if (k->certificate && member_is(c, k->account))
            rc = keyring_certified(n, c, slice_of(k->certificate, k->certificate_len));
    }
    return rc;
}

void seal_free_known(struct node *n)
{
    for (uint32_t i = 0; i < n->known_len; i++)
        known_clear(n, &n->known[i]);
    alloc_free(n->allocator, n->known, n->known_cap * sizeof *n->known);
    map_deinit(&n->known_by_device);
}
