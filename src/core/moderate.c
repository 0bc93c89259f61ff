#include "core/moderate.h"

#include <string.h>

#include "core/bring.h"
#include "core/state.h"

/* What one entry says, as long as no later one takes its place. */
struct rule {
    uint8_t *bytes; /* the account, then the pairs */
    size_t account_len, pairs_len;
    uint64_t from_ms, until_ms, number;
    uint32_t act, seq; /* seq: of the entry, in the authority's feed */
};

/* By falling seq: the first one that fits holds. */
struct rules {
    struct rule *list;
    uint32_t len, cap;
};

struct moderation {
    struct rules bans, roles; /* of an account one each */
    struct rules windows;     /* what is hidden, and shown after all */
    uint32_t slow_seq, closed_seq;
    uint32_t slow_s;
    uint64_t own_ms; /* when this account wrote last */
};

int moderate_parse(slice body, struct moderate_body *out)
{
    struct cbor_reader r = {body, false};
    struct moderate_body m;
    uint64_t count = cbor_array(&r, 16);
    m.act = cbor_uint(&r, UINT32_MAX);
    m.by = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    m.account = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    m.from_ms = cbor_uint(&r, UINT64_MAX);
    m.until_ms = cbor_uint(&r, UINT64_MAX);
    m.number = cbor_uint(&r, UINT64_MAX);
    m.text = cbor_bytes(&r, NODE_BODY_BYTES_MAX);
    uint64_t items = cbor_array(&r, 2 * MODERATE_CUTS_MAX);
    m.pairs = r;
    m.pairs_left = items / 2;
    for (uint64_t i = 0; i < items / 2 && !r.failed; i++) {
        (void)cbor_fixed(&r, ID_BYTES);
        (void)cbor_uint(&r, ENTRY_SEQ_MAX);
    }
    if (r.failed || count < 8 || items % 2) return ERR_MALFORMED;
    m.pairs.rest.len -= r.rest.len; /* nothing but the pairs */
    cbor_skip(&r, count - 8);
    if (!cbor_done(&r)) return ERR_MALFORMED;
    *out = m;
    return OK;
}

void moderation_write(const struct node_moderation *m, struct writer *out)
{
    cbor_put_array(out, 8);
    cbor_put_uint(out, (uint32_t)m->act);
    cbor_put_bytes(out, m->by);
    cbor_put_bytes(out, m->account);
    cbor_put_uint(out, m->from_ms);
    cbor_put_uint(out, m->until_ms);
    cbor_put_uint(out, m->number);
    cbor_put_bytes(out, m->text);
    cbor_put_array(out, m->author ? 2 : 0);
    if (m->author) {
        cbor_put_bytes(out, slice_of(m->author, ID_BYTES));
        cbor_put_uint(out, m->seq);
    }
}

/* --- rules --- */

static void rule_clear(struct node *n, struct rule *r)
{
    alloc_free(n->allocator, r->bytes, r->account_len + r->pairs_len);
    *r = (struct rule){0};
}

static void rules_free(struct node *n, struct rules *rules)
{
    for (uint32_t i = 0; i < rules->len; i++)
        rule_clear(n, &rules->list[i]);
    alloc_free(n->allocator, rules->list, rules->cap * sizeof *rules->list);
}

void moderation_free(struct node *n, struct moderation *m)
{
    if (!m) return;
    rules_free(n, &m->bans);
    rules_free(n, &m->roles);
    rules_free(n, &m->windows);
    alloc_free(n->allocator, m, sizeof *m);
}

static slice rule_account(const struct rule *r)
{
    return slice_of(r->bytes, r->account_len);
}

static void rule_remove(struct node *n, struct rules *rules, uint32_t at)
{
    rule_clear(n, &rules->list[at]);
    rules->len--;
    memmove(&rules->list[at], &rules->list[at + 1], (rules->len - at) * sizeof *rules->list);
}

static const struct rule *rule_of(const struct rules *rules, slice account)
{
    for (uint32_t i = 0; i < rules->len; i++)
        if (slice_equal(rule_account(&rules->list[i]), account)) return &rules->list[i];
    return NULL;
}

/* `one`: of an account the latest only. ERR_EXISTS: it brings no news; ERR_MEMORY. */
static int rule_put(struct node *n, struct rules *rules, const struct moderate_body *body, uint32_t seq,
                    bool one)
{
    uint32_t at = 0, old = NONE;
    while (at < rules->len && rules->list[at].seq > seq) {
        if (one && slice_equal(rule_account(&rules->list[at]), body->account)) return ERR_EXISTS;
        at++;
    }
    if (at < rules->len && rules->list[at].seq == seq) return ERR_EXISTS;
    if (at == MODERATE_RULES_MAX) return ERR_EXISTS; /* older than all that stay */
    for (uint32_t i = at; one && i < rules->len && old == NONE; i++)
        if (slice_equal(rule_account(&rules->list[i]), body->account)) old = i;
    struct rule r = {.account_len = body->account.len,
                     .pairs_len = body->pairs.rest.len,
                     .from_ms = body->from_ms,
                     .until_ms = body->until_ms,
                     .number = body->number,
                     .act = (uint32_t)body->act,
                     .seq = seq};
    int rc = grow(n->allocator, (void **)&rules->list, &rules->cap, rules->len + 1, sizeof r);
    if (rc < 0) return rc;
    if (r.account_len + r.pairs_len) {
        r.bytes = alloc_new(n->allocator, r.account_len + r.pairs_len);
        if (!r.bytes) return ERR_MEMORY;
        if (r.account_len) memcpy(r.bytes, body->account.ptr, r.account_len);
        if (r.pairs_len) memcpy(r.bytes + r.account_len, body->pairs.rest.ptr, r.pairs_len);
    }
    if (old != NONE) rule_remove(n, rules, old);
    if (rules->len == MODERATE_RULES_MAX) rule_remove(n, rules, rules->len - 1);
    memmove(&rules->list[at + 1], &rules->list[at], (rules->len - at) * sizeof r);
    rules->list[at] = r;
    rules->len++;
    return OK;
}

static bool next_pair(struct cbor_reader *pairs, const uint8_t **out_device, uint32_t *out_seq)
{
    if (pairs->rest.len == 0) return false;
    *out_device = cbor_fixed(pairs, ID_BYTES);
    *out_seq = (uint32_t)cbor_uint(pairs, ENTRY_SEQ_MAX);
    return !pairs->failed;
}

static struct cbor_reader rule_pairs(const struct rule *r)
{
    return (struct cbor_reader){slice_of(r->bytes + r->account_len, r->pairs_len), false};
}

/* --- what entries say --- */

/* The latest of all acts of one kind. */
static int take_latest(uint32_t *latest, uint32_t seq)
{
    if (seq <= *latest) return ERR_EXISTS;
    *latest = seq;
    return OK;
}

static int take(struct node *n, struct channel *c, const struct entry *e)
{
    struct moderate_body body;
    if (moderate_parse(e->body, &body) < 0) return ERR_EXISTS; /* it means nothing, to everybody */
    if (!c->moderation) c->moderation = alloc_new(n->allocator, sizeof *c->moderation);
    struct moderation *m = c->moderation;
    if (!m) return ERR_MEMORY;
    int rc = ERR_EXISTS;
    switch (body.act) {
    case MODERATE_BAN:
    case MODERATE_UNBAN:
        rc = !c->roster && body.account.len ? rule_put(n, &m->bans, &body, e->seq, true) : ERR_EXISTS;
        if (rc == OK && n->started) member_changed(n, c->index);
        return rc;
    case MODERATE_MUTE:
    case MODERATE_UNMUTE:
        /* What the authority had seen before is not meant, however fast its author's clock runs. */
        if (body.from_ms < e->time_ms) body.from_ms = e->time_ms;
        /* fall through */
    case MODERATE_HIDE:
    case MODERATE_SHOW:
        rc = rule_put(n, &m->windows, &body, e->seq, false);
        if (rc == OK && n->started) channel_announce(n, c, CHANNEL_SAY_UNLOCKED);
        return rc;
    case MODERATE_ROLE: return body.account.len ? rule_put(n, &m->roles, &body, e->seq, true) : rc;
    case MODERATE_SLOW:
        rc = take_latest(&m->slow_seq, e->seq);
        if (rc == OK) m->slow_s = body.number > UINT32_MAX ? UINT32_MAX : (uint32_t)body.number;
        return rc;
    case MODERATE_CLOSE: return take_latest(&m->closed_seq, e->seq);
    default: return rc;
    }
}

int moderate_learn(struct node *n, struct channel *c, const struct entry *e)
{
    uint32_t author = author_find(c, e->author);
    if (e->kind == ENTRY_MODERATE) {
        bool direct = c->roster && c->roster->type == CHANNEL_DIRECT;
        int rc = direct || memcmp(e->author, c->authority, ID_BYTES) != 0 ? OK : take(n, c, e);
        return rc == ERR_EXISTS ? OK : rc;
    }
    if (c->moderation && talk_by_person(e->kind) && author != NONE && n->account.len &&
        slice_equal(member_account(c, author), n->account) && e->time_ms > c->moderation->own_ms)
        c->moderation->own_ms = e->time_ms;
    return OK;
}

/* --- what follows from it --- */

bool moderate_banned(const struct channel *c, slice account)
{
    const struct rule *r = c->moderation && account.len ? rule_of(&c->moderation->bans, account) : NULL;
    return r && r->act == MODERATE_BAN;
}

uint32_t moderate_limit(const struct channel *c, slice account, const uint8_t *device)
{
    const struct rule *r = c->moderation && account.len ? rule_of(&c->moderation->bans, account) : NULL;
    if (!r || r->act != MODERATE_BAN || memcmp(device, c->authority, ID_BYTES) == 0) return UINT32_MAX;
    struct cbor_reader pairs = rule_pairs(r);
    const uint8_t *named;
    uint32_t seq;
    while (next_pair(&pairs, &named, &seq))
        if (memcmp(named, device, ID_BYTES) == 0) return seq;
    return 0;
}

/* Whether the rule is about this entry. */
static bool names(const struct rule *r, slice account, const uint8_t *device, uint32_t seq, uint64_t time_ms)
{
    struct cbor_reader pairs = rule_pairs(r);
    const uint8_t *named;
    uint32_t at;
    if (r->pairs_len == 0)
        return time_ms >= r->from_ms && time_ms <= r->until_ms && slice_equal(rule_account(r), account);
    while (next_pair(&pairs, &named, &at))
        if (at == seq && memcmp(named, device, ID_BYTES) == 0) return true;
    return false;
}

bool moderate_hides(const struct channel *c, slice account, const uint8_t *device, uint32_t kind,
                    uint32_t seq, uint64_t time_ms)
{
    const struct moderation *m = c->moderation;
    if (!m || !talk_by_person(kind)) return false;
    for (uint32_t i = 0; i < m->windows.len; i++) {
        const struct rule *r = &m->windows.list[i];
        if (names(r, account, device, seq, time_ms))
            return r->act == MODERATE_HIDE || r->act == MODERATE_MUTE;
    }
    return false;
}

int moderate_may_write(const struct node *n, const struct channel *c)
{
    const struct moderation *m = c->moderation;
    if (!m) return OK;
    uint64_t now_ms = n->now / MILLISECONDS;
    if (m->closed_seq) return ERR_DENIED;
    if (moderate_hides(c, n->account, n->device, ENTRY_TEXT, 0, now_ms)) return ERR_DENIED;
    const struct rule *role = rule_of(&m->roles, n->account);
    if (m->slow_s == 0 || (role && role->number > 0)) return OK;
    return m->own_ms + 1000 * (uint64_t)m->slow_s > now_ms ? ERR_AGAIN : OK;
}

/* --- the command --- */

/* How far the feeds of the account's devices count when it is banned now. */
static void put_cuts(const struct channel *c, slice account, struct writer *w)
{
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < c->authors_len; i++)
        pairs += c->authors[i].used && slice_equal(member_account(c, i), account);
    if (pairs > MODERATE_CUTS_MAX) pairs = MODERATE_CUTS_MAX;
    cbor_put_array(w, 2 * pairs);
    for (uint32_t i = 0; i < c->authors_len && pairs > 0; i++) {
        if (!c->authors[i].used || !slice_equal(member_account(c, i), account)) continue;
        cbor_put_bytes(w, slice_of(c->authors[i].device, ID_BYTES));
        cbor_put_uint(w, c->authors[i].have);
        pairs--;
    }
}

int moderate_command(struct node *n, const struct command *cmd, uint64_t *out_token)
{
    uint32_t index;
    struct channel *c = channel_find(n, cmd->channel, &index);
    struct moderate_body body;
    if (!c || !c->carried) return ERR_NOT_FOUND;
    if (!authority_is_here(n, c)) return ERR_DENIED;
    int rc = moderate_parse(cmd->bytes, &body);
    if (rc < 0) return ERR_INVALID;
    if (body.act != MODERATE_BAN || c->roster)
        return authority_append(n, c, ENTRY_MODERATE, cmd->bytes, out_token);
    uint8_t room[NODE_BODY_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_array(&w, 8);
    cbor_put_uint(&w, body.act);
    cbor_put_bytes(&w, body.by);
    cbor_put_bytes(&w, body.account);
    cbor_put_uint(&w, body.from_ms);
    cbor_put_uint(&w, body.until_ms);
    cbor_put_uint(&w, body.number);
    cbor_put_bytes(&w, body.text);
    put_cuts(c, body.account, &w);
    return w.failed ? ERR_TOO_LARGE : authority_append(n, c, ENTRY_MODERATE, writer_slice(&w), out_token);
}
