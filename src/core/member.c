#include "core/member.h"

#include <string.h>

#include "core/bring.h"
#include "core/identity.h"
#include "core/spec.h"
#include "core/state.h"

/* --- the roster --- */

static uint8_t *copy_of(struct node *n, slice bytes)
{
    uint8_t *copy = alloc_new(n->allocator, bytes.len);
    if (copy) memcpy(copy, bytes.ptr, bytes.len);
    return copy;
}

static void change_clear(struct node *n, struct change *c)
{
    alloc_free(n->allocator, c->wire, c->wire_len);
    c->wire = NULL;
    c->wire_len = 0;
}

void roster_free(struct node *n, struct roster *r)
{
    if (!r) return;
    for (uint32_t i = 0; i < r->changes_len; i++) {
        change_clear(n, &r->changes[i]);
        alloc_free(n->allocator, r->changes[i].account, r->changes[i].account_len);
    }
    alloc_free(n->allocator, r->changes, r->changes_cap * sizeof *r->changes);
    alloc_free(n->allocator, r->accounts, r->accounts_len);
    alloc_free(n->allocator, r->certificate, r->certificate_len);
    alloc_free(n->allocator, r, sizeof *r);
}

/* Takes the founder's certificate, once; one that is not his is left out. */
static int take_founder(struct node *n, struct roster *r, const uint8_t *authority, slice bytes)
{
    struct certificate c;
    if (r->type != CHANNEL_PRIVATE || r->certificate || bytes.len == 0) return OK;
    if (certificate_parse(n->crypto, bytes, &c) < 0) return OK;
    if (memcmp(c.device, r->founder, ID_BYTES) != 0 || memcmp(c.authority, authority, ID_BYTES) != 0)
        return OK;
    size_t at = (size_t)(c.account.ptr - bytes.ptr);
    r->certificate = copy_of(n, bytes);
    if (!r->certificate) return ERR_MEMORY;
    r->certificate_len = bytes.len;
    r->founder_account = slice_of(r->certificate + at, c.account.len);
    return OK;
}

int member_founder(struct node *n, struct channel *c, slice certificate)
{
    return c->roster ? take_founder(n, c->roster, c->authority, certificate) : OK;
}

static int roster_new(struct node *n, const struct channel_spec *spec, slice certificate, struct roster **out)
{
    struct roster *r = alloc_new(n->allocator, sizeof *r);
    if (!r) return ERR_MEMORY;
    r->type = spec->type;
    int rc = OK;
    if (spec->type == CHANNEL_PRIVATE) {
        memcpy(r->founder, spec->founder, ID_BYTES);
        memcpy(r->nonce, spec->nonce, NODE_NONCE_BYTES);
        rc = take_founder(n, r, spec->authority, certificate);
    } else {
        r->first_len = spec->account.len;
        r->accounts = alloc_new(n->allocator, spec->account.len + spec->other.len);
        if (r->accounts) {
            r->accounts_len = spec->account.len + spec->other.len;
            memcpy(r->accounts, spec->account.ptr, spec->account.len);
            memcpy(r->accounts + r->first_len, spec->other.ptr, spec->other.len);
        } else {
            rc = ERR_MEMORY;
        }
    }
    if (rc < 0)
        roster_free(n, r);
    else
        *out = r;
    return rc;
}

int member_channel_add(struct node *n, const struct channel_spec *spec, slice certificate,
                       uint32_t *out_index)
{
    uint8_t id[ID_BYTES];
    struct roster *roster = NULL;
    struct keyring *keys = NULL;
    bool sealed = channel_sealed(spec->type);
    int rc = channel_spec_id(n->crypto, spec, id);
    if (rc < 0) return rc;
    if (sealed) rc = roster_new(n, spec, certificate, &roster);
    if (sealed && rc == OK) rc = keyring_new(n, &keys);
    bool reads = sealed && n->config.role == ROLE_PERSON;
    if (reads && rc == OK && !n->desk) n->desk = alloc_new(n->allocator, NODE_BODY_BYTES_MAX);
    if (reads && rc == OK && !n->desk) rc = ERR_MEMORY;
    if (rc == OK) rc = channel_add(n, id, spec->authority, roster ? SLICE_EMPTY : spec->name, out_index);
    if (rc < 0) {
        roster_free(n, roster);
        keyring_free(n, keys);
        return rc;
    }
    struct channel *c = n->channels[*out_index];
    c->roster = roster;
    c->keys = keys;
    (void)!seal_known(n, c); /* without memory: when somebody is added, or they join */
    return OK;
}

struct channel_spec member_spec(const struct channel *c)
{
    const struct roster *r = c->roster;
    struct channel_spec s = {.type = r ? r->type : CHANNEL_PUBLIC, .authority = c->authority};
    if (!r) {
        s.name = slice_of(c->name, c->name_len);
    } else if (r->type == CHANNEL_PRIVATE) {
        s.founder = r->founder;
        s.nonce = r->nonce;
    } else {
        s.account = slice_of(r->accounts, r->first_len);
        s.other = slice_of(r->accounts + r->first_len, r->accounts_len - r->first_len);
    }
    return s;
}

/* --- one MEMBER entry: [account, on, number, certificate, first_epoch, [device, seq, ...]] --- */

int member_parse(const struct crypto *crypto, const uint8_t *authority, const struct entry *e,
                 struct member_act *out)
{
    struct cbor_reader r = {e->body, false};
    struct member_act a;
    uint64_t count = cbor_array(&r, 16);
    a.account = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    a.on = cbor_uint(&r, 1) == 1;
    a.number = (uint32_t)cbor_uint(&r, UINT32_MAX);
    slice bytes = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
    a.first_epoch = (uint32_t)cbor_uint(&r, UINT32_MAX);
    uint64_t items = cbor_array(&r, 2 * MEMBER_CUTS_MAX);
    a.cuts = r;
    a.cuts_left = items / 2;
    for (uint64_t i = 0; i < items / 2 && !r.failed; i++) {
        (void)cbor_fixed(&r, ID_BYTES);
        (void)cbor_uint(&r, ENTRY_SEQ_MAX);
    }
    if (r.failed || count < 6 || items % 2 || a.account.len == 0) return ERR_MALFORMED;
    cbor_skip(&r, count - 6);
    if (!cbor_done(&r)) return ERR_MALFORMED;
    struct certificate c;
    int rc = certificate_parse(crypto, bytes, &c);
    if (rc < 0) return rc;
    if (memcmp(c.device, e->author, ID_BYTES) != 0 || memcmp(c.authority, authority, ID_BYTES) != 0)
        return ERR_PROTOCOL;
    a.author_account = c.account;
    *out = a;
    return OK;
}

static slice change_account(const struct change *c)
{
    return slice_of(c->account, c->account_len);
}

/* The place of the account in the roster, or where it would be put. */
static uint32_t change_place(const struct roster *r, slice account, bool *out_there)
{
    uint32_t from = 0, to = r->changes_len;
    *out_there = false;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = slice_compare(change_account(&r->changes[middle]), account);
        if (order == 0) {
            *out_there = true;
            return middle;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct change *member_change(const struct roster *r, slice account)
{
    bool there;
    uint32_t at = change_place(r, account, &there);
    return there ? &r->changes[at] : NULL;
}

/* Whether the entry comes after what is known about the account: 1, 0 for the same, -1. */
static int compare(const struct change *known, uint32_t number, const struct entry *e)
{
    if (number != known->number) return number > known->number ? 1 : -1;
    if (e->time_ms != known->time_ms) return e->time_ms > known->time_ms ? 1 : -1;
    int order = memcmp(e->author, known->author, ID_BYTES);
    if (order != 0) return order > 0 ? 1 : -1;
    return e->seq == known->seq ? 0 : e->seq > known->seq ? 1 : -1;
}

static int change_new(struct node *n, struct roster *r, slice account, struct change **out)
{
    bool there;
    uint32_t at = change_place(r, account, &there);
    if (!there) {
        if (r->changes_len >= ROSTER_CHANGES_MAX) return ERR_FULL;
        int rc =
            grow(n->allocator, (void **)&r->changes, &r->changes_cap, r->changes_len + 1, sizeof *r->changes);
        if (rc < 0) return rc;
        uint8_t *copy = copy_of(n, account);
        if (!copy) return ERR_MEMORY;
        memmove(&r->changes[at + 1], &r->changes[at], (r->changes_len - at) * sizeof *r->changes);
        r->changes[at] = (struct change){.account = copy, .account_len = (uint8_t)account.len};
        r->changes_len++;
    }
    *out = &r->changes[at];
    return OK;
}

static void sum_up(struct roster *r)
{
    r->removed_number = r->epoch_floor = 0;
    for (uint32_t i = 0; i < r->changes_len; i++) {
        const struct change *c = &r->changes[i];
        if (!c->on && c->number > r->removed_number) r->removed_number = c->number;
        if (c->on && c->first_epoch > r->epoch_floor) r->epoch_floor = c->first_epoch;
    }
}

/* OK, or ERR_EXISTS when it brings no news. */
static int take_change(struct node *n, struct channel *c, const struct entry *e, slice wire, bool durable)
{
    struct roster *r = c->roster;
    struct member_act act;
    int rc = member_parse(n->crypto, c->authority, e, &act);
    if (rc < 0) return ERR_EXISTS; /* it means nothing, to everybody */
    if (r->certificate_len == 0 || !slice_equal(act.author_account, r->founder_account)) return ERR_EXISTS;
    if (slice_equal(act.account, r->founder_account)) return ERR_EXISTS;
    if (act.number > r->number) r->number = act.number;
    struct change *known = member_change(r, act.account);
    int order = known ? compare(known, act.number, e) : 1;
    if (order < 0) PROBE(n, MEMBER_OLD_NEWS);
    if (order < 0 || (order == 0 && (known->durable || !durable))) return ERR_EXISTS;
    uint8_t *copy = order > 0 ? copy_of(n, wire) : NULL;
    if (order > 0 && !copy) return ERR_MEMORY;
    if (!known) rc = change_new(n, r, act.account, &known);
    if (rc < 0) {
        alloc_free(n->allocator, copy, wire.len);
        return rc == ERR_FULL ? ERR_EXISTS : rc;
    }
    known->durable = durable;
    if (order == 0) return OK;
    change_clear(n, known);
    known->wire = copy;
    known->wire_len = wire.len;
    known->on = act.on;
    known->number = act.number;
    known->first_epoch = act.first_epoch;
    known->seq = e->seq;
    known->time_ms = e->time_ms;
    memcpy(known->author, e->author, ID_BYTES);
    sum_up(r);
    return OK;
}

/* --- what follows from it --- */

bool member_is(const struct channel *c, slice account)
{
    const struct roster *r = c->roster;
    if (!r) return !moderate_banned(c, account);
    if (account.len == 0) return false;
    if (r->type == CHANNEL_DIRECT) {
        return slice_equal(account, slice_of(r->accounts, r->first_len)) ||
               slice_equal(account, slice_of(r->accounts + r->first_len, r->accounts_len - r->first_len));
    }
    if (r->certificate && slice_equal(account, r->founder_account)) return true;
    const struct change *known = member_change(r, account);
    return known && known->on;
}

uint32_t member_first_epoch(const struct channel *c, slice account)
{
    const struct roster *r = c->roster;
    const struct change *known = r && r->type == CHANNEL_PRIVATE ? member_change(r, account) : NULL;
    return known ? known->first_epoch : 0;
}

/* How far a removal lets the device's entries count. */
static uint32_t cut_of(const struct change *removal, const uint8_t *device)
{
    struct entry e;
    if (entry_parse(slice_of(removal->wire, removal->wire_len), &e) < 0) return 0;
    struct cbor_reader r = {e.body, false};
    (void)cbor_array(&r, 16);
    cbor_skip(&r, 5);
    uint64_t pairs = cbor_array(&r, 2 * MEMBER_CUTS_MAX) / 2;
    for (uint64_t i = 0; i < pairs && !r.failed; i++) {
        const uint8_t *named = cbor_fixed(&r, ID_BYTES);
        uint32_t seq = (uint32_t)cbor_uint(&r, ENTRY_SEQ_MAX);
        if (!r.failed && memcmp(named, device, ID_BYTES) == 0) return seq;
    }
    return 0;
}

uint32_t member_limit(const struct channel *c, slice account, const uint8_t *device)
{
    const struct roster *r = c->roster;
    if (!r) return moderate_limit(c, account, device);
    if (r->type == CHANNEL_PRIVATE && memcmp(device, r->founder, ID_BYTES) == 0) return UINT32_MAX;
    if (account.len == 0) return 0;
    if (member_is(c, account)) return UINT32_MAX;
    const struct change *known = r->type == CHANNEL_PRIVATE ? member_change(r, account) : NULL;
    return known ? cut_of(known, device) : 0;
}

slice member_account(const struct channel *c, uint32_t author)
{
    return slice_of(c->authors[author].account, c->authors[author].account_len);
}

bool member_counts(const struct channel *c, uint32_t author, uint32_t seq)
{
    return seq <= member_limit(c, member_account(c, author), c->authors[author].device);
}

uint32_t member_ceiling(const struct channel *c, uint32_t author)
{
    const struct author *a = &c->authors[author];
    if (!c->roster && !c->moderation) return UINT32_MAX;
    if (a->refused) return 0;
    return a->tip > 0 ? member_limit(c, member_account(c, author), a->device) : UINT32_MAX;
}

bool member_takes(struct channel *c, uint32_t author, const struct entry *e, slice account)
{
    if (!c->roster && !c->moderation) return true;
    bool joined = author != NONE && c->authors[author].tip > 0;
    if (joined) {
        /* A feed belongs to the account of its JOIN. */
        if (c->roster && account.len > 0 && !slice_equal(account, member_account(c, author))) return false;
        account = member_account(c, author);
    }
    if (e->seq <= member_limit(c, account, e->author)) return true;
    if (author != NONE && !joined) c->authors[author].refused = true;
    return false;
}

bool member_may_carry(const struct channel *c, const struct pipe *p)
{
    if (memcmp(p->link.device, c->authority, ID_BYTES) == 0) return true;
    if (!p->certified || memcmp(p->authority, c->authority, ID_BYTES) != 0) return false;
    return member_is(c, p->account);
}

/* --- changes --- */

/* A MEMBER entry, or the JOIN that shows who has founded it. */
static int learn_members(struct node *n, struct channel *c, const struct entry *e, slice wire, bool durable)
{
    struct roster *r = c->roster;
    int rc = ERR_EXISTS;
    if (e->kind == ENTRY_MEMBER) {
        rc = take_change(n, c, e, wire, durable);
    } else if (e->kind == ENTRY_JOIN && !r->certificate && memcmp(e->author, r->founder, ID_BYTES) == 0) {
        struct cbor_reader body = {e->body, false};
        (void)cbor_array(&body, 32);
        rc = take_founder(n, r, c->authority, cbor_bytes(&body, NODE_CERTIFICATE_BYTES_MAX));
    }
    if (rc == ERR_EXISTS) return OK;
    if (rc == OK && n->started && durable) member_changed(n, c->index);
    return rc;
}

static void note_leave(struct channel *c, const struct entry *e)
{
    uint32_t author = e->kind == ENTRY_LEAVE ? author_find(c, e->author) : NONE;
    if (author != NONE && c->authors[author].left_seq < e->seq) c->authors[author].left_seq = e->seq;
}

int member_learn(struct node *n, struct channel *c, const struct entry *e, slice wire, bool durable)
{
    int rc = durable ? moderate_learn(n, c, e) : OK;
    note_leave(c, e);
    if (!c->roster || rc < 0) return rc;
    rc = c->roster->type == CHANNEL_PRIVATE ? learn_members(n, c, e, wire, durable) : OK;
    return rc < 0 ? rc : seal_learn(n, c, e);
}

/* Claims that were of no use before may be now. */
static void want_anew(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    for (uint32_t i = 0; i < c->authors_len; i++) {
        if (!c->authors[i].refused) continue;
        c->authors[i].refused = false;
        PROBE(n, REFUSED_TAKEN_ANEW);
        want_cancel(n, channel, &c->authors[i]);
        c->authors[i].want_at = n->now;
    }
    for (uint32_t k = 0; k < c->members_len; k++) {
        struct share *s = share_of(n->pipes[c->members[k]], channel);
        for (uint32_t i = 0; i < c->authors_len && i < s->have_cap; i++) {
            if (!c->authors[i].used || s->have[i] == 0) continue;
            if (s->doubt) s->doubt[i] = 0;
            if (want_missing(c, s, i)) want_more(n, channel, i, true);
        }
    }
}

void member_changed(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    bool here = c->self == NONE || n->account.len == 0 || member_is(c, n->account);
    if (!here && !c->excluded) PROBE(n, EXCLUDED);
    if (!here && !c->excluded) channel_announce(n, c, CHANNEL_SAY_EXCLUDED);
    c->excluded = !here;
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        struct pipe *p = n->pipes[i];
        if (!p || !p->open_done || p->closing) continue;
        struct share *s = share_of(p, channel);
        bool may = here && c->carried && member_may_carry(c, p), said = s && s->ours;
        /* Their CARRY may have come while a removal that is taken back now was being stored. */
        bool waits = may && said && s->theirs && !s->active;
        if (may == said && !waits) continue;
        if (may != said) introduce_due(n, p, channel);
        if (sync_carry(n, p, channel, may) < 0) pipe_close(n, p, ERR_FULL, err_text(ERR_FULL));
    }
    want_anew(n, channel);
    for (uint32_t i = 0; i < c->authors_len; i++) { /* what is missing may not count any more, or again */
        const struct author *a = &c->authors[i];
        if (a->used && a->island && a->island->shown) gap_changed(n, channel, i);
    }
    if (c->keys) { /* without memory somebody may be given a key twice, or late */
        (void)!seal_known(n, c);
        (void)!keyring_recount(n, c);
        seal_review(n, c);
    }
    if (n->started) channel_announce(n, c, CHANNEL_SAY_UNLOCKED);
}

/* --- the command --- */

/* How far this author's feed counts when he is removed now. */
static uint32_t cut_for(const struct node *n, const struct channel *c, uint32_t author)
{
    uint32_t cut = c->authors[author].have;
    for (uint32_t i = 0; i < c->members_len; i++) {
        const struct pipe *p = n->pipes[c->members[i]];
        const struct share *s = share_of(p, c->index);
        bool trusted = memcmp(p->link.device, c->authority, ID_BYTES) == 0 ||
                       slice_equal(p->account, c->roster->founder_account);
        if (trusted && author < s->have_cap && s->have[author] > cut) cut = s->have[author];
    }
    return cut;
}

static void put_cuts(const struct node *n, const struct channel *c, slice account, struct writer *w)
{
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < c->authors_len; i++)
        pairs += c->authors[i].used && slice_equal(member_account(c, i), account);
    if (pairs > MEMBER_CUTS_MAX) pairs = MEMBER_CUTS_MAX;
    cbor_put_array(w, 2 * pairs);
    for (uint32_t i = 0; i < c->authors_len && pairs > 0; i++) {
        if (!c->authors[i].used || !slice_equal(member_account(c, i), account)) continue;
        cbor_put_bytes(w, slice_of(c->authors[i].device, ID_BYTES));
        cbor_put_uint(w, cut_for(n, c, i));
        pairs--;
    }
}

int member_command(struct node *n, const struct command *cmd, uint64_t *out_token)
{
    uint32_t index;
    struct channel *c = channel_find(n, cmd->channel, &index);
    if (!c || !c->carried || c->leaving) return ERR_NOT_FOUND;
    struct roster *r = c->roster;
    if (!r || r->type != CHANNEL_PRIVATE || cmd->bytes.len == 0) return ERR_INVALID;
    if (cmd->bytes.len > NODE_NAME_BYTES_MAX) return ERR_TOO_LARGE;
    bool authority = authority_is_here(n, c);
    bool joined = authority || (c->self != NONE && c->authors[c->self].tip > 0);
    if (n->certificate_len == 0 || !joined) return ERR_WRONG_STATE;
    if (!r->certificate || !slice_equal(n->account, r->founder_account)) return ERR_DENIED;
    if (slice_equal(cmd->bytes, r->founder_account)) return ERR_DENIED;
    /* What the authority has written counts when it is stored: what is known here may be out of date. */
    if (!authority && member_is(c, cmd->bytes) == cmd->online) return OK;
    if (r->changes_len >= ROSTER_CHANGES_MAX && !member_change(r, cmd->bytes)) return ERR_FULL;
    uint8_t body[NODE_BODY_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 6);
    cbor_put_bytes(&w, cmd->bytes);
    cbor_put_uint(&w, cmd->online);
    cbor_put_uint(&w, r->number == UINT32_MAX ? r->number : r->number + 1);
    cbor_put_bytes(&w, slice_of(n->certificate, n->certificate_len));
    cbor_put_uint(&w, cmd->online ? keyring_number(c->keys) : 0);
    if (cmd->online)
        cbor_put_array(&w, 0);
    else
        put_cuts(n, c, cmd->bytes, &w);
    return authority ? authority_append(n, c, ENTRY_MEMBER, writer_slice(&w), out_token)
                     : feed_append(n, index, ENTRY_MEMBER, writer_slice(&w), out_token);
}

bool node_member(const struct node *n, const uint8_t *channel, uint32_t row, slice *out_account)
{
    uint32_t index;
    const struct channel *c = channel_find(n, channel, &index);
    const struct roster *r = c ? c->roster : NULL;
    if (!r) return false;
    if (r->type == CHANNEL_DIRECT) {
        slice first = slice_of(r->accounts, r->first_len);
        slice second = slice_of(r->accounts + r->first_len, r->accounts_len - r->first_len);
        *out_account = row == 0 ? first : second;
        return row < (slice_equal(first, second) ? 1 : 2);
    }
    /* The authority is no person. */
    bool person = memcmp(r->founder, c->authority, ID_BYTES) != 0;
    if (r->certificate_len > 0 && person && row-- == 0) {
        *out_account = r->founder_account;
        return true;
    }
    for (uint32_t i = 0; i < r->changes_len; i++) {
        if (!r->changes[i].on || row-- > 0) continue;
        *out_account = change_account(&r->changes[i]);
        return true;
    }
    return false;
}
