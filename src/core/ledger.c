#include "core/ledger.h"

#include <string.h>

#include "core/message.h"
#include "core/state.h"

void ledger_init(struct node *n, struct ledger *l)
{
    map_init(&l->by_pair, n->allocator, LEDGER_ROWS_MAX + 2 * LEDGER_DEVICES_MAX, n->map_secret);
}

void ledger_free(struct node *n, struct ledger *l)
{
    alloc_free(n->allocator, l->rows, l->rows_cap * sizeof *l->rows);
    alloc_free(n->allocator, l->due, l->due_cap * sizeof *l->due);
    alloc_free(n->allocator, l->tell, l->tell_cap * sizeof *l->tell);
    map_deinit(&l->by_pair);
}

/* --- who is who --- */

/* Whether so few devices have written here that receipts go round. */
static bool small(const struct channel *c)
{
    return c->writers <= LEDGER_DEVICES_MAX;
}

static const uint8_t *holder_device(const struct node *n, const struct channel *c, uint32_t holder)
{
    if (holder == c->self) return n->device;
    return holder == LEDGER_AUTHORITY ? c->authority : c->authors[holder].device;
}

/* The index of somebody who may hold something: the authority, or who has written. NONE for others. */
static uint32_t holder_find(const struct channel *c, const uint8_t *device)
{
    uint32_t author = author_find(c, device);
    /* What the authority holds it holds as the replica, whether or not it has written something, too. */
    if (memcmp(device, c->authority, ID_BYTES) == 0 && author != c->self) return LEDGER_AUTHORITY;
    return author != NONE && c->authors[author].have > 0 ? author : NONE;
}

static uint32_t ourselves(const struct channel *c)
{
    return c->self == NONE ? LEDGER_AUTHORITY : c->self;
}

/* The active link of a device in this channel, or NULL. */
static struct pipe *linked(const struct node *n, const struct channel *c, const uint8_t *device)
{
    uint32_t slot;
    if (!map_get(&n->peer_by_device, device, &slot) || n->peers[slot]->links == 0) return NULL;
    for (uint32_t at = n->peers[slot]->first_link; at != NONE; at = n->pipes[at]->sibling) {
        const struct share *s = share_of(n->pipes[at], c->index);
        if (s && s->active) return n->pipes[at];
    }
    return NULL;
}

/* --- the table --- */

static void pair_key(uint32_t author, uint32_t holder, uint8_t out[MAP_KEY_BYTES])
{
    memset(out, 0, MAP_KEY_BYTES);
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(author >> 8 * i);
        out[4 + i] = (uint8_t)(holder >> 8 * i);
    }
}

static struct ledger_receipt *row_find(const struct ledger *l, uint32_t author, uint32_t holder)
{
    uint8_t key[MAP_KEY_BYTES];
    uint32_t at;
    pair_key(author, holder, key);
    return map_get(&l->by_pair, key, &at) ? &l->rows[at] : NULL;
}

/* NULL without memory, or when there are too many for others. */
static struct ledger_receipt *row_get(struct node *n, struct channel *c, uint32_t author, uint32_t holder)
{
    struct ledger *l = &c->ledger;
    struct ledger_receipt *row = row_find(l, author, holder);
    uint8_t key[MAP_KEY_BYTES];
    if (row) return row;
    if (l->rows_len >= LEDGER_ROWS_MAX && author != c->self && holder != ourselves(c)) return NULL;
    if (grow(n->allocator, (void **)&l->rows, &l->rows_cap, l->rows_len + 1, sizeof *l->rows) < 0)
        return NULL;
    pair_key(author, holder, key);
    if (map_set(&l->by_pair, key, l->rows_len) < 0) return NULL;
    row = &l->rows[l->rows_len++];
    *row = (struct ledger_receipt){.author = author, .holder = holder, .came_over = NONE};
    return row;
}

/* The row is to be handed on, or told. Without memory for that it is left out this time. */
static void row_due(struct node *n, struct channel *c, struct ledger_receipt *row)
{
    struct ledger *l = &c->ledger;
    uint32_t index = (uint32_t)(row - l->rows);
    bool own = row->author == c->self;
    uint32_t **list = own ? &l->tell : &l->due, *len = own ? &l->tell_len : &l->due_len;
    if (row->due) return;
    if (grow(n->allocator, (void **)list, own ? &l->tell_cap : &l->due_cap, *len + 1, sizeof **list) < 0)
        return;
    (*list)[(*len)++] = index;
    row->due = true;
    if (own) {
        n->receipts++;
        return;
    }
    usec at = row->sent_at == 0 ? 0 : row->sent_at + LEDGER_PAUSE_US, soon = n->now + LEDGER_SOON_US;
    timer_arm(n, TIMER_LEDGER, c->index, 0, at > soon ? at : soon);
}

/* --- writing and handing on --- */

static slice signed_fields(const struct channel *c, const struct message *m, struct writer *w)
{
    cbor_put_array(w, 7);
    cbor_put_uint(w, 1);
    cbor_put_bytes(w, slice_of(c->id, ID_BYTES));
    cbor_put_bytes(w, slice_of(m->author, ID_BYTES));
    cbor_put_uint(w, m->from);
    cbor_put_uint(w, m->upto);
    cbor_put_uint(w, m->time_ms);
    cbor_put_bytes(w, slice_of(m->device, ID_BYTES));
    return writer_slice(w);
}

/* What is held here of the author. */
static void measure(const struct channel *c, struct ledger_receipt *row)
{
    const struct author *a = &c->authors[row->author];
    const struct island *i = a->island && a->island->shown ? a->island : NULL;
    row->from = i ? i->down.have : 1;
    row->upto = i ? i->up.have : a->have;
}

static void sign(struct node *n, const struct channel *c, struct ledger_receipt *row)
{
    const struct author *a = &c->authors[row->author];
    uint8_t plain[256];
    struct writer w = writer_of(plain, sizeof plain);
    row->time_ms = n->now / MILLISECONDS;
    struct message m = {.author = a->device,
                        .device = n->device,
                        .from = row->from,
                        .upto = row->upto,
                        .time_ms = row->time_ms};
    identity_sign(n->crypto, n->config.identity_seed, SLICE("weaprous.receipt.1"), signed_fields(c, &m, &w),
                  row->signature);
}

/* Whether the receipt may go over this link: not back to where it came from, and not to who knows less of the
 * author than it says, and would drop it. */
static bool leads(const struct channel *c, const struct pipe *p, const struct ledger_receipt *row)
{
    const struct share *s = p && !p->closing && p->slot != row->came_over ? share_of(p, c->index) : NULL;
    return s && s->active && share_span(s, row->author).high >= row->upto;
}

/* The link that leads to the author, or nearer to him: his own, the one that brought his newest entry, the
 * authority's, any. */
static struct pipe *way_to(const struct node *n, const struct channel *c, const struct ledger_receipt *row)
{
    const struct author *a = &c->authors[row->author];
    struct pipe *p = linked(n, c, a->device);
    if (p) return p;
    p = a->via_link < n->pipes_cap ? n->pipes[a->via_link] : NULL;
    if (p && p->serial == a->via_serial && leads(c, p, row)) return p;
    p = linked(n, c, c->authority);
    if (leads(c, p, row)) return p;
    for (uint32_t i = 0; i < c->members_len && i < 4; i++)
        if (leads(c, n->pipes[c->members[i]], row)) return n->pipes[c->members[i]];
    return NULL;
}

static bool hand_on(struct node *n, struct channel *c, struct ledger_receipt *row, struct pipe *p)
{
    uint8_t plain[512];
    struct writer w = writer_of(plain, sizeof plain);
    const uint8_t *holder = holder_device(n, c, row->holder);
    if (memcmp(holder, p->link.device, ID_BYTES) == 0) return true; /* he will say it himself */
    if (row->holder == ourselves(c)) {
        if (memcmp(p->link.device, c->authors[row->author].device, ID_BYTES) == 0) return true; /* by HAVE */
        sign(n, c, row);
    }
    struct message m = {.channel = c->id,
                        .author = c->authors[row->author].device,
                        .from = row->from,
                        .upto = row->upto,
                        .time_ms = row->time_ms,
                        .device = holder,
                        .signature = row->signature};
    message_write_receipt(&w, &m);
    if (!pipe_control(n, p, writer_slice(&w))) return false;
    if (row->holder == ourselves(c))
        PROBE(n, RECEIPT);
    else
        PROBE(n, RECEIPT_HANDED_ON);
    row->sent_at = n->now;
    return true;
}

void ledger_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    struct ledger *l = &c->ledger;
    usec next = NEVER;
    if (l->due_len == 0 || c->members_len == 0) return; /* ledger_linked comes back here */
    bool few = small(c);
    for (uint32_t i = l->due_len; i-- > 0;) {
        struct ledger_receipt *row = &l->rows[l->due[i]];
        usec at = row->sent_at == 0 ? n->now : row->sent_at + LEDGER_PAUSE_US;
        if (at > n->now && few) {
            if (at < next) next = at;
            continue;
        }
        if (row->holder == ourselves(c)) measure(c, row);
        bool over = row->again && !linked(n, c, c->authors[row->author].device); /* gone before he got it */
        if (over) PROBE(n, RECEIPT_MISSED_HIM);
        struct pipe *p = few && !over ? way_to(n, c, row) : NULL;
        if (few && !over && !p) { /* until there is a link, or one of them knows more */
            if (n->now + LEDGER_PAUSE_US < next) next = n->now + LEDGER_PAUSE_US;
            continue;
        }
        if (p && !hand_on(n, c, row, p)) { /* too much waits on that link */
            if (n->now + SECONDS < next) next = n->now + SECONDS;
            continue;
        }
        row->due = row->again = false;
        l->due[i] = l->due[--l->due_len];
    }
    if (next != NEVER) timer_arm(n, TIMER_LEDGER, channel, 0, next);
}

void ledger_grew(struct node *n, struct channel *c, uint32_t author)
{
    if (author == c->self || linked(n, c, c->authors[author].device)) return;
    if (c->members_len == 0 || c->leaving || !small(c)) return;
    struct ledger_receipt *row = row_get(n, c, author, ourselves(c));
    if (row) row_due(n, c, row);
}

/* --- what others say --- */

int ledger_receive(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    uint8_t plain[256];
    struct writer w = writer_of(plain, sizeof plain);
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return OK;
    }
    uint32_t author = author_find(c, m->author), holder = holder_find(c, m->device);
    if (author == NONE || holder == NONE || holder == ourselves(c) || holder == author) return OK;
    if (c->authors[author].have == 0 || m->upto > feed_shown(&c->authors[author]) || !small(c)) return OK;
    struct ledger_receipt *row = row_find(&c->ledger, author, holder);
    if (row && (m->upto < row->upto || (m->upto == row->upto && m->from >= row->from))) {
        PROBE(n, RECEIPT_OLD);
        return OK;
    }
    if (!identity_verify(n->crypto, m->device, SLICE("weaprous.receipt.1"), signed_fields(c, m, &w),
                         m->signature))
        return ERR_SIGNATURE;
    row = row_get(n, c, author, holder);
    if (!row) return OK;
    row->from = m->from;
    row->upto = m->upto;
    row->time_ms = m->time_ms;
    row->came_over = p->slot;
    row->again = false;
    memcpy(row->signature, m->signature, SIGNATURE_BYTES);
    row_due(n, c, row);
    return OK;
}

void ledger_linked(struct node *n, struct pipe *p, struct channel *c)
{
    uint32_t author = author_find(c, p->link.device);
    for (uint32_t i = 0; author != NONE && i < c->ledger.rows_len; i++) { /* what was kept for him */
        struct ledger_receipt *row = &c->ledger.rows[i];
        if (row->author != author || row->holder == ourselves(c) || author == c->self || row->due) continue;
        row->again = row->sent_at > 0;
        row_due(n, c, row);
    }
    if (c->ledger.due_len > 0) timer_arm(n, TIMER_LEDGER, c->index, 0, n->now + LEDGER_SOON_US);
}

void ledger_unlinked(struct node *n, struct pipe *p, struct channel *c)
{
    const struct share *s = share_of(p, c->index);
    uint32_t holder = holder_find(c, p->link.device);
    if (c->self == NONE || holder == NONE) return;
    struct span span = share_span(s, c->self);
    if (span.high == 0 || span.high > c->authors[c->self].have) return;
    struct ledger_receipt *row = row_get(n, c, c->self, holder);
    if (!row || row->upto > span.high) return;
    row->from = span.low;
    row->upto = span.high;
}

bool ledger_next(struct node *n, struct action *out)
{
    for (uint32_t i = 0; n->receipts > 0 && i < n->channels_len; i++) {
        struct channel *c = n->channels[i];
        struct ledger *l = &c->ledger;
        if (l->tell_len == 0) continue;
        struct ledger_receipt *row = &l->rows[l->tell[--l->tell_len]];
        row->due = false;
        n->receipts--;
        slice account = row->holder == LEDGER_AUTHORITY ? SLICE_EMPTY : member_account(c, row->holder);
        memcpy(n->shown_device, holder_device(n, c, row->holder), ID_BYTES);
        if (account.len) memcpy(n->shown_account, account.ptr, account.len);
        out->kind = ACTION_DELIVERED;
        out->channel = c->id;
        out->device = n->shown_device;
        out->account = slice_of(n->shown_account, account.len);
        out->from = row->from;
        out->seq = row->upto;
        out->role = row->holder == LEDGER_AUTHORITY ? ROLE_REPLICA : ROLE_PERSON;
        return true;
    }
    return false;
}

/* --- for the shell --- */

/* What this device holds of ours: by its link, else by its receipt. */
static void held_by(struct node *n, const struct channel *c, const uint8_t *device, struct ledger_row *out)
{
    const struct pipe *p = linked(n, c, device);
    uint32_t holder = holder_find(c, device), have = c->self == NONE ? 0 : c->authors[c->self].have;
    const struct ledger_receipt *row = holder == NONE ? NULL : row_find(&c->ledger, c->self, holder);
    struct span span = {0};
    if (row) span = (struct span){row->from, row->upto};
    if (p && c->self != NONE) span = share_span(share_of(p, c->index), c->self);
    if (span.high > have) span.high = have;
    if (span.high < span.low || span.high == 0) span = (struct span){0};
    *out = (struct ledger_row){
        .device = device,
        .account = holder < c->authors_len ? member_account(c, holder)
                   : p && p->certified     ? p->account
                                           : SLICE_EMPTY,
        .role = memcmp(device, c->authority, ID_BYTES) == 0 ? ROLE_REPLICA : ROLE_PERSON,
        .path = p ? p->path : PATH_NONE,
        .from = span.low,
        .seq = span.high,
    };
}

/* The candidates for rows, in this order: authors, links, the authority. NULL: not one of them; false at the
 * end. Links of authors and of the authority have their rows already. */
static bool candidate(const struct node *n, const struct channel *c, uint32_t at, const uint8_t **out)
{
    *out = NULL;
    if (at < c->authors_len) {
        const struct author *a = &c->authors[at];
        bool authority = memcmp(a->device, c->authority, ID_BYTES) == 0; /* has a row of its own below */
        if (at != c->self && a->have > 0 && !authority) *out = a->device;
        return true;
    }
    at -= c->authors_len;
    if (at < c->members_len) {
        const uint8_t *device = n->pipes[c->members[at]]->link.device;
        if (holder_find(c, device) == NONE) *out = device;
        return true;
    }
    bool known = linked(n, c, c->authority) || row_find(&c->ledger, c->self, LEDGER_AUTHORITY);
    if (known && c->self != NONE) *out = c->authority;
    return at == c->members_len;
}

bool node_ledger(struct node *n, const uint8_t *channel, uint32_t row, struct ledger_row *out,
                 uint64_t *out_own)
{
    uint32_t index;
    const uint8_t *device;
    struct channel *c = channel_find(n, channel, &index);
    if (!c) return false;
    struct ledger *l = &c->ledger;
    *out_own = c->self == NONE ? 0 : c->authors[c->self].have;
    uint32_t seen = 0, at = 0;
    if (row > 0 && row == l->seen_row + 1) { /* the usual way: one after the other */
        seen = row;
        at = l->seen_at + 1;
    }
    for (; candidate(n, c, at, &device); at++) {
        if (!device || seen++ < row) continue;
        held_by(n, c, device, out);
        l->seen_row = row;
        l->seen_at = at;
        return true;
    }
    return false;
}
