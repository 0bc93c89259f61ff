#include "core/talk.h"

#include <string.h>

#include "core/seal.h"
#include "core/state.h"

#define ANSWER_US (60 * SECONDS)
#define AWAY_US (7 * 24 * 3600 * SECONDS)
#define SILENCE_US (120 * SECONDS)
#define SETTLE_US (10 * SECONDS) /* for later entries to come in, before this device judges by itself */
#define SIBLING_US                                                                                           \
    (60 * SECONDS)             /* how long another device of this account may take to end its own request */
#define AGAIN_US (1 * SECONDS) /* when an entry could not be written now */
#define ALONE_US (5 * SECONDS) /* how often to look whether somebody is there again */

/* --- small things --- */

static usec or_default(usec configured, usec otherwise)
{
    return configured ? configured : otherwise;
}

static uint64_t now_ms(const struct node *n)
{
    return n->now / MILLISECONDS;
}

static void arm(struct node *n, uint32_t channel, usec at)
{
    timer_arm(n, TIMER_SESSION, channel, 0, at > n->now ? at : n->now);
}

static void relation_key(const struct node *n, slice account, uint8_t out[MAP_KEY_BYTES])
{
    n->crypto->hash(n->crypto->context, out, HASH_BYTES, account);
}

static enum relation relation_of(const struct node *n, slice account)
{
    uint8_t key[MAP_KEY_BYTES];
    uint32_t value = RELATION_NONE;
    relation_key(n, account, key);
    return map_get(&n->talks.relations, key, &value) ? (enum relation)value : RELATION_NONE;
}

/* A conversation between two accounts; with oneself there is nothing to ask. */
static bool is_direct(const struct channel *c, struct channel_spec *out_spec)
{
    if (!c->roster || c->roster->type != CHANNEL_DIRECT || c->self == NONE) return false;
    *out_spec = member_spec(c);
    return !slice_equal(out_spec->account, out_spec->other);
}

/* The same, when it is known that one of them is ours: the other one in *out_other. */
static bool is_talk(const struct node *n, const struct channel *c, slice *out_other)
{
    struct channel_spec spec;
    *out_other = SLICE_EMPTY;
    if (!is_direct(c, &spec)) return false;
    if (slice_equal(spec.account, n->account)) *out_other = spec.other;
    if (slice_equal(spec.other, n->account)) *out_other = spec.account;
    return out_other->len > 0;
}

struct sides {
    const struct node *n;
    const struct channel *c;
    slice other;
};

static enum session_side side_of(void *context, const uint8_t *device)
{
    const struct sides *s = context;
    uint32_t author = author_find(s->c, device);
    if (memcmp(device, s->n->device, ID_BYTES) == 0) return SIDE_OURS;
    slice account = author == NONE ? SLICE_EMPTY : member_account(s->c, author);
    if (account.len == 0) return SIDE_UNKNOWN;
    if (slice_equal(account, s->other)) return SIDE_THEIRS;
    return slice_equal(account, s->n->account) ? SIDE_OURS : SIDE_UNKNOWN;
}

static struct sides sides_of(const struct node *n, const struct channel *c)
{
    struct sides s = {n, c, SLICE_EMPTY};
    (void)is_talk(n, c, &s.other);
    return s;
}

static struct session_verdict look(struct node *n, struct channel *c)
{
    struct sides s = sides_of(n, c);
    bool before = c->talk->fold.opened;
    struct session_verdict v = session_look(&c->talk->fold, side_of, &s, now_ms(n));
    if (c->talk->fold.opened && !before) channel_announce(n, c, CHANNEL_SAY_UNLOCKED);
    return v;
}

/* --- life --- */

void talks_init(struct node *n)
{
    n->talks.head = n->talks.tail = NONE;
    map_init(&n->talks.relations, n->allocator, RELATIONS_MAX, n->map_secret);
}

void talks_deinit(struct node *n)
{
    map_deinit(&n->talks.relations);
}

void talk_free(struct node *n, struct channel *c)
{
    if (!c->talk) return;
    sessions_deinit(&c->talk->fold);
    alloc_free(n->allocator, c->talk, sizeof *c->talk);
    c->talk = NULL;
}

static int talk_get(struct node *n, struct channel *c)
{
    if (c->talk) return OK;
    c->talk = alloc_new(n->allocator, sizeof *c->talk);
    if (!c->talk) return ERR_MEMORY;
    sessions_init(&c->talk->fold, n->allocator);
    c->talk->heard_at = n->now;
    c->talk->settle_at = n->now + SETTLE_US;
    c->talk->next = NONE;
    return OK;
}

static void tell(struct node *n, struct channel *c)
{
    struct talks *t = &n->talks;
    if (c->talk->queued) return;
    c->talk->queued = true;
    c->talk->next = NONE;
    if (t->tail == NONE)
        t->head = c->index;
    else
        n->channels[t->tail]->talk->next = c->index;
    t->tail = c->index;
}

/* Something may have changed: the shell is told what, and this device does its part. */
static void changed(struct node *n, struct channel *c)
{
    tell(n, c);
    arm(n, c->index, n->now);
}

/* --- what comes in --- */

/* Text, files and all that persons write; not what nodes write for themselves. */
bool talk_by_person(uint32_t kind)
{
    return kind == ENTRY_TEXT || (kind >= ENTRY_FILE && kind != ENTRY_MODERATE);
}

static void heard(struct node *n, struct channel *c, const struct entry *e)
{
    struct talk *t = c->talk;
    usec silence = or_default(n->config.session_silence_us, SILENCE_US);
    if (t->silent && e->time_ms > t->silent_ms) { /* it went on without this device */
        t->silent = false;
        t->heard_at = n->now;
        PROBE(n, TALK_SPEAKS_AGAIN);
        changed(n, c);
    }
    if (e->time_ms + silence / MILLISECONDS > now_ms(n)) t->heard_at = n->now;
}

int talk_take(struct node *n, uint32_t channel, uint32_t author, const struct entry *e, uint64_t arrived_ms)
{
    struct channel *c = n->channels[channel];
    struct channel_spec spec;
    if (!is_direct(c, &spec) || !(talk_by_person(e->kind) || e->kind == ENTRY_SESSION)) return OK;
    int rc = talk_get(n, c);
    if (arrived_ms > now_ms(n)) arrived_ms = now_ms(n); /* the clock was wrong when it came */
    if (rc == OK && e->kind == ENTRY_SESSION) rc = session_take(&c->talk->fold, n->crypto, e, arrived_ms);
    if (rc < 0) return rc;
    if (talk_by_person(e->kind)) {
        slice account = member_account(c, author);
        bool *wrote = &c->talk->wrote[slice_equal(account, spec.other)];
        if (!*wrote && slice_equal(account, n->account)) channel_announce(n, c, CHANNEL_SAY_UNLOCKED);
        *wrote = true;
    }
    if (author != c->self) heard(n, c, e);
    changed(n, c);
    return OK;
}

void talks_certified(struct node *n)
{
    for (uint32_t i = 0; i < n->channels_len; i++)
        if (n->channels[i]->talk) changed(n, n->channels[i]);
}

bool talk_shows(struct node *n, uint32_t channel, slice account)
{
    struct channel *c = n->channels[channel];
    slice other;
    if (!is_talk(n, c, &other) || !slice_equal(account, other)) return true;
    enum relation r = relation_of(n, other);
    if (r == RELATION_BLOCKED) return false;
    if (r == RELATION_FRIEND || !c->talk) return r == RELATION_FRIEND;
    (void)look(n, c);
    return c->talk->fold.opened || c->talk->wrote[slice_equal(member_spec(c).other, n->account)];
}

bool talk_shuns(const struct node *n, const struct channel *c)
{
    slice other;
    return is_talk(n, c, &other) && relation_of(n, other) == RELATION_BLOCKED;
}

int talk_may_write(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    slice other;
    if (!is_talk(n, c, &other)) return OK;
    enum relation r = relation_of(n, other);
    if (r == RELATION_FRIEND) return OK;
    bool open = c->talk && look(n, c).state == SESSION_OPEN && !c->talk->silent;
    return open && r != RELATION_BLOCKED ? OK : ERR_DENIED;
}

void talk_keys(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    if (c->talk && c->talk->told == SESSION_ASKING && !c->talk->told_line) changed(n, c);
}

/* --- what is written here --- */

static int append(struct node *n, struct channel *c, slice body, uint64_t *out_token)
{
    struct talk *t = c->talk;
    if (c->excluded) return ERR_DENIED;
    if (t->written > c->authors[c->self].have) return ERR_BUSY;
    int rc = c->authors[c->self].tip == 0 ? channel_enter(n, c->index, false, out_token) : OK;
    if (rc == OK) rc = feed_append(n, c->index, ENTRY_SESSION, body, out_token);
    if (rc == OK) t->written = c->authors[c->self].tip;
    return rc;
}

/* Which requests an act is about. */
typedef bool named(struct node *n, const struct session_row *row, struct sides *sides);

static bool is_live(struct node *n, const struct session_row *row, struct sides *sides)
{
    (void)n;
    return session_live(row, side_of, sides);
}

static bool is_question(struct node *n, const struct session_row *row, struct sides *sides)
{
    return is_live(n, row, sides) && !session_accepted(row, side_of, sides) &&
           side_of(sides, row->ask.device) == SIDE_THEIRS && now_ms(n) < session_until_ms(row);
}

static bool is_own_request(struct node *n, const struct session_row *row, struct sides *sides)
{
    return is_live(n, row, sides) && !session_accepted(row, side_of, sides) &&
           side_of(sides, row->ask.device) == SIDE_OURS;
}

/* When this device says that nobody has answered. */
static usec expires_at(const struct node *n, const struct channel *c, const struct session_row *row)
{
    usec at = session_until_ms(row) * MILLISECONDS;
    if (memcmp(row->ask.device, n->device, ID_BYTES) != 0) at += SIBLING_US;
    return at > c->talk->settle_at ? at : c->talk->settle_at;
}

static bool is_overdue(struct node *n, const struct session_row *row, struct sides *sides)
{
    return is_own_request(n, row, sides) && expires_at(n, sides->c, row) <= n->now;
}

/* A request that is waited for here and now, not one that may be answered in days. */
static bool is_short(struct node *n, const struct session_row *row, struct sides *sides)
{
    usec answer = or_default(n->config.session_answer_us, ANSWER_US);
    return is_own_request(n, row, sides) && row->answer_ms <= answer / MILLISECONDS;
}

/* Writes an act about all these requests; ERR_NOT_FOUND when there is none. */
static int act(struct node *n, struct channel *c, enum session_act what, named *which, uint64_t *out_token)
{
    struct sides sides = sides_of(n, c);
    const struct sessions *s = &c->talk->fold;
    uint8_t body[SESSION_BODY_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->rows_len; i++)
        count += which(n, &s->rows[i], &sides);
    if (count == 0) return ERR_NOT_FOUND;
    if (count > SESSION_NAMED_MAX) count = SESSION_NAMED_MAX;
    session_write_act(&w, what, count);
    for (uint32_t i = 0; i < s->rows_len && count > 0; i++) {
        if (!which(n, &s->rows[i], &sides)) continue;
        cbor_put_bytes(&w, slice_of(s->rows[i].id, NODE_SESSION_BYTES));
        count--;
    }
    return append(n, c, writer_slice(&w), out_token);
}

static int find_talk(struct node *n, uint32_t channel, struct channel **out, slice *out_other)
{
    struct channel *c = n->channels[channel];
    if (!c->carried || c->leaving || c->self == NONE) return ERR_NOT_FOUND;
    if (!is_talk(n, c, out_other)) return ERR_INVALID;
    *out = c;
    return talk_get(n, c);
}

int talk_request(struct node *n, uint32_t channel, slice line, bool online, uint64_t *out_token)
{
    struct channel *c;
    slice other;
    int rc = find_talk(n, channel, &c, &other);
    if (rc < 0) return rc;
    if (line.len > NODE_LINE_BYTES_MAX) return ERR_TOO_LARGE;
    if (relation_of(n, other) == RELATION_BLOCKED) return ERR_DENIED;
    struct session_verdict v = look(n, c);
    if (v.state == SESSION_ASKING) PROBE(n, TALK_CROSSED);
    if (v.state == SESSION_ASKING) return act(n, c, ACT_ACCEPT, is_question, out_token);
    if (v.state == SESSION_OPEN && c->talk->silent) {
        rc = act(n, c, ACT_SILENCE, is_live, out_token); /* for this device it is over */
        if (rc == OK) c->talk->written = 0;
    } else if (v.state == SESSION_OPEN || v.state == SESSION_ASKED) {
        return ERR_EXISTS;
    }
    if (rc < 0) return rc;
    uint8_t body[SESSION_BODY_BYTES_MAX], sealed[SESSION_LINE_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body), l = writer_of(sealed, sizeof sealed);
    if (c->talk->written > c->authors[c->self].have) return ERR_BUSY;
    rc = c->authors[c->self].tip == 0 ? channel_enter(n, channel, false, out_token) : OK;
    if (rc == OK) rc = seal_ready(n, c);
    if (rc == OK && line.len > 0) rc = seal_line(n, c, line, &l);
    if (rc < 0) return rc;
    usec wait = online ? or_default(n->config.session_answer_us, ANSWER_US)
                       : or_default(n->config.session_away_us, AWAY_US);
    session_write_ask(&w, wait / MILLISECONDS, writer_slice(&l));
    return append(n, c, writer_slice(&w), out_token);
}

int talk_answer(struct node *n, uint32_t channel, const uint8_t *session, bool accept, uint64_t *out_token)
{
    struct channel *c;
    slice other;
    int rc = find_talk(n, channel, &c, &other);
    if (rc < 0) return rc;
    struct sides sides = sides_of(n, c);
    const struct session_row *row = session_row_of(&c->talk->fold, session);
    if (!row || !is_question(n, row, &sides)) return ERR_NOT_FOUND;
    if (look(n, c).state != SESSION_ASKING) return ERR_WRONG_STATE;
    return act(n, c, accept ? ACT_ACCEPT : ACT_DECLINE, is_question, out_token);
}

static int stop(struct node *n, struct channel *c, enum session_act end, uint64_t *out_token)
{
    enum session_state state = look(n, c).state;
    if (state == SESSION_OPEN) return act(n, c, end, is_live, out_token);
    if (state != SESSION_ASKED) return ERR_NOT_FOUND;
    return act(n, c, ACT_CANCEL, end == ACT_LOGOUT ? is_short : is_own_request, out_token);
}

int talk_end(struct node *n, uint32_t channel, const uint8_t *session, uint64_t *out_token)
{
    struct channel *c;
    slice other;
    int rc = find_talk(n, channel, &c, &other);
    if (rc < 0) return rc;
    struct session_verdict v = look(n, c);
    if (!v.row || memcmp(v.row->id, session, NODE_SESSION_BYTES) != 0) return ERR_NOT_FOUND;
    return stop(n, c, ACT_END, out_token);
}

int talk_logout(struct node *n)
{
    int result = OK;
    uint64_t token;
    for (uint32_t i = 0; i < n->channels_len; i++) {
        struct channel *c = n->channels[i];
        if (!c->talk || !c->carried || c->leaving || c->self == NONE) continue;
        int rc = stop(n, c, ACT_LOGOUT, &token);
        if (rc < 0 && rc != ERR_NOT_FOUND) result = rc;
    }
    return result;
}

int talk_relation(struct node *n, slice account, enum relation relation)
{
    uint8_t key[MAP_KEY_BYTES];
    relation_key(n, account, key);
    enum relation before = relation_of(n, account);
    if (relation == RELATION_NONE) (void)map_remove(&n->talks.relations, key);
    int rc = relation == RELATION_NONE ? OK : map_set(&n->talks.relations, key, (uint32_t)relation);
    if (rc < 0) return rc;
    for (uint32_t i = 0; i < n->channels_len && relation != before; i++) {
        struct channel *c = n->channels[i];
        slice other;
        if (!is_talk(n, c, &other) || !slice_equal(other, account)) continue;
        if (c->join_due) timer_arm(n, TIMER_SEAL, i, 0, n->now);
        if (!c->talk) continue;
        if (relation == RELATION_FRIEND || before == RELATION_BLOCKED)
            channel_announce(n, c, CHANNEL_SAY_UNLOCKED);
        changed(n, c);
    }
    return OK;
}

/* --- time --- */

/* A device of the other account is linked, or somebody says that it can be reached; with nobody linked here
 * (`alone`) that may be long ago. */
static bool other_is_there(const struct node *n, const struct channel *c, slice other, bool alone)
{
    for (uint32_t i = 0; i < c->authors_len; i++) {
        const struct author *a = &c->authors[i];
        if (!a->used || !slice_equal(member_account(c, i), other)) continue;
        const struct peer *p = peer_find(n, a->device);
        if (p && ((p->online && !alone) || p->links > 0)) return true;
    }
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        const struct pipe *q = n->pipes[i];
        if (!q || !q->open_done || q->closing || q->peer == NONE) continue;
        const struct peer *p = n->peers[q->peer];
        if (slice_equal(slice_of(p->account, p->account_len), other)) return true;
    }
    return false;
}

static bool anybody_is_there(const struct node *n)
{
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        if (n->pipes[i] && n->pipes[i]->open_done && !n->pipes[i]->closing) return true;
    }
    return false;
}

/* The session has ended for this device; once somebody is there who may have later entries, for all. */
static int tick_silent(struct node *n, struct channel *c)
{
    struct talk *t = c->talk;
    uint64_t token;
    if (!anybody_is_there(n)) {
        t->settle_at = n->now + SETTLE_US;
        arm(n, c->index, n->now + ALONE_US);
        return OK;
    }
    if (n->now < t->settle_at) {
        arm(n, c->index, t->settle_at);
        return OK;
    }
    return act(n, c, ACT_SILENCE, is_live, &token);
}

static int tick_open(struct node *n, struct channel *c, slice other, const struct session_row *row)
{
    struct talk *t = c->talk;
    usec silence = or_default(n->config.session_silence_us, SILENCE_US);
    uint64_t token;
    if (t->silent && memcmp(t->silent_id, row->id, NODE_SESSION_BYTES) == 0) return tick_silent(n, c);
    t->silent = false;
    bool there = anybody_is_there(n);
    if (other_is_there(n, c, other, !there)) t->heard_at = n->now;
    if (there && t->alone) t->settle_at = n->now + SETTLE_US;
    t->alone = !there;
    usec end = t->heard_at + silence, check = n->now + silence / 4;
    if (there && end < t->settle_at) end = t->settle_at;
    if (n->now < end) {
        arm(n, c->index, end < check ? end : check);
        return OK;
    }
    if (there) return act(n, c, ACT_SILENCE, is_live, &token);
    PROBE(n, TALK_SILENT);
    t->silent = true;
    t->silent_ms = n->clock_ms > now_ms(n) ? n->clock_ms : now_ms(n);
    memcpy(t->silent_id, row->id, NODE_SESSION_BYTES);
    t->settle_at = n->now + SETTLE_US;
    tell(n, c);
    arm(n, c->index, n->now + ALONE_US);
    return OK;
}

/* When something is due for one of the requests by itself. */
static void arm_rows(struct node *n, struct channel *c)
{
    struct sides sides = sides_of(n, c);
    for (uint32_t i = 0; i < c->talk->fold.rows_len; i++) {
        const struct session_row *row = &c->talk->fold.rows[i];
        usec at = NEVER; /* what is due already is on its way to the disk, or tried again */
        if (is_question(n, row, &sides)) at = session_until_ms(row) * MILLISECONDS;
        if (is_own_request(n, row, &sides)) at = expires_at(n, c, row);
        if (at > n->now) arm(n, c->index, at);
    }
}

static int do_part(struct node *n, struct channel *c, slice other)
{
    struct session_verdict v = look(n, c);
    enum relation r = relation_of(n, other);
    uint64_t token;
    if (v.state == SESSION_OPEN) {
        if (r == RELATION_BLOCKED) return stop(n, c, ACT_END, &token);
        return tick_open(n, c, other, v.row);
    }
    c->talk->silent = false;
    c->talk->heard_at = n->now; /* the time begins with the next session */
    if (v.state == SESSION_ASKED && r == RELATION_BLOCKED) return stop(n, c, ACT_END, &token);
    if (v.state == SESSION_ASKING && r == RELATION_FRIEND) return act(n, c, ACT_ACCEPT, is_question, &token);
    int rc = act(n, c, ACT_EXPIRE, is_overdue, &token);
    if (rc == OK) PROBE(n, TALK_OVERDUE);
    return rc == ERR_NOT_FOUND ? OK : rc;
}

void talk_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    slice other;
    if (!c->talk || !n->started || !is_talk(n, c, &other)) return;
    tell(n, c); /* a time may be over */
    if (!c->carried || c->leaving || c->self == NONE) return;
    int rc = do_part(n, c, other);
    if (rc < 0) arm(n, channel, n->now + AGAIN_US);
    arm_rows(n, c);
}

/* --- what the shell is told --- */

static void show_line(struct node *n, struct channel *c, const struct session_row *row, struct action *out)
{
    c->talk->told_line = row->line_len == 0;
    if (row->line_len == 0) return;
    c->talk->told_line = seal_open_line(n, c, row->ask.device, slice_of(row->line, row->line_len),
                                        n->talks.shown_line, &out->text);
}

static void show(struct node *n, struct channel *c, enum session_state state, const uint8_t *id,
                 const struct session_mark *cause, struct action *out)
{
    slice other = sides_of(n, c).other;
    c->talk->told = state;
    memcpy(c->talk->told_id, id, NODE_SESSION_BYTES);
    memcpy(n->talks.shown_id, id, NODE_SESSION_BYTES);
    memcpy(n->shown_account, other.ptr, other.len);
    out->kind = ACTION_SESSION;
    out->channel = c->id;
    out->account = slice_of(n->shown_account, other.len);
    out->session = n->talks.shown_id;
    out->state = state;
    if (!cause) return;
    memcpy(n->shown_device, cause->device, ID_BYTES);
    out->device = n->shown_device;
}

/* What was told is no more: why. */
static void show_end(struct node *n, struct channel *c, struct action *out)
{
    struct sides sides = sides_of(n, c);
    const struct session_row *row = session_row_of(&c->talk->fold, c->talk->told_id);
    const struct session_mark *cause = NULL;
    enum session_reason reason = REASON_ENDED;
    if (row) reason = session_reason_of(row, side_of, &sides, &cause);
    if (row && c->talk->silent) reason = REASON_SILENCE;
    uint8_t id[NODE_SESSION_BYTES];
    memcpy(id, c->talk->told_id, sizeof id);
    show(n, c, SESSION_ENDED, id, cause, out);
    out->reason = reason;
}

/* The request that the shell knows of is part of an open session under another id: it crossed another one. */
static bool in_session(const struct talk *t, const struct session_verdict *v, struct sides *sides)
{
    const struct session_row *row = session_row_of(&t->fold, t->told_id);
    return v->state == SESSION_OPEN && row && session_live(row, side_of, sides);
}

static bool next_of(struct node *n, struct channel *c, struct action *out)
{
    struct talk *t = c->talk;
    struct sides sides = sides_of(n, c);
    if (sides.other.len == 0) return false; /* who we are is not known yet: talks_certified */
    struct session_verdict v = look(n, c);
    enum relation r = relation_of(n, sides.other);
    bool hushed = v.state == SESSION_ASKING && r != RELATION_NONE;
    if (hushed || (v.state == SESSION_OPEN && t->silent) || !v.row) v = (struct session_verdict){0};
    bool same = v.row && memcmp(v.row->id, t->told_id, NODE_SESSION_BYTES) == 0;
    if (t->told != 0 && t->told != SESSION_ENDED && !same && !in_session(t, &v, &sides)) {
        show_end(n, c, out);
        return true;
    }
    bool again = same && t->told == v.state;
    if (!v.row || (again && (v.state == SESSION_OPEN || t->told_line))) return false;
    show(n, c, v.state, v.row->id, v.cause, out);
    if (v.state != SESSION_OPEN) {
        show_line(n, c, v.row, out);
        out->until_ms = session_until_ms(v.row);
    }
    return !again || t->told_line; /* still not readable: nothing new */
}

bool talk_next(struct node *n, struct action *out)
{
    while (n->talks.head != NONE) {
        struct channel *c = n->channels[n->talks.head];
        if (next_of(n, c, out)) return true;
        n->talks.head = c->talk->next;
        if (n->talks.head == NONE) n->talks.tail = NONE;
        c->talk->queued = false;
        *out = (struct action){0};
    }
    return false;
}
