#include "core/session.h"

#include <string.h>

#include "base/cbor.h"

#define ANSWER_MS_MAX ((uint64_t)30 * 24 * 3600 * 1000)

/* --- order --- */

static int compare(const struct session_mark *a, const struct session_mark *b)
{
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    int by_device = memcmp(a->device, b->device, ID_BYTES);
    if (by_device != 0) return by_device;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Of a contradiction one act counts: answers and withdrawals are one kind of it, ends another one. */
static bool ends(enum session_act act)
{
    return act >= ACT_END;
}

static const struct session_mark *first_mark(const struct session_row *row)
{
    const struct session_mark *first = row->asked ? &row->ask : NULL;
    for (uint32_t i = 0; i < row->marks_len && !row->asked; i++) {
        if (!first || compare(&row->marks[i], first) < 0) first = &row->marks[i];
    }
    return first;
}

/* --- memory --- */

void sessions_init(struct sessions *s, const struct allocator *allocator)
{
    *s = (struct sessions){.allocator = allocator};
}

static void line_drop(struct sessions *s, struct session_row *row)
{
    alloc_free(s->allocator, row->line, row->line_len);
    row->line = NULL;
    row->line_len = 0;
}

static void row_clear(struct sessions *s, struct session_row *row)
{
    line_drop(s, row);
    alloc_free(s->allocator, row->marks, row->marks_cap * sizeof *row->marks);
    *row = (struct session_row){0};
}

void sessions_deinit(struct sessions *s)
{
    for (uint32_t i = 0; i < s->rows_len; i++)
        row_clear(s, &s->rows[i]);
    alloc_free(s->allocator, s->rows, s->rows_cap * sizeof *s->rows);
    *s = (struct sessions){.allocator = s->allocator};
}

struct session_row *session_row_of(const struct sessions *s, const uint8_t *id)
{
    for (uint32_t i = 0; i < s->rows_len; i++) {
        if (memcmp(s->rows[i].id, id, NODE_SESSION_BYTES) == 0) return &s->rows[i];
    }
    return NULL;
}

/* The oldest request, to make room for one that is newer than it; NULL when `mark` is older still. */
static struct session_row *oldest_before(struct sessions *s, const struct session_mark *mark)
{
    struct session_row *oldest = NULL;
    for (uint32_t i = 0; i < s->rows_len; i++) {
        struct session_row *row = &s->rows[i];
        if (!oldest || compare(first_mark(row), first_mark(oldest)) < 0) oldest = row;
    }
    return oldest && compare(first_mark(oldest), mark) < 0 ? oldest : NULL;
}

/* The row of this id, a new one if need be; *out is NULL when it is older than all that are remembered. */
static int row_get(struct sessions *s, const uint8_t *id, const struct session_mark *mark,
                   struct session_row **out)
{
    *out = session_row_of(s, id);
    if (*out) return OK;
    if (s->rows_len == SESSION_ROWS_MAX) {
        *out = oldest_before(s, mark);
        if (!*out) return OK;
        row_clear(s, *out);
    } else {
        if (s->rows_len == s->rows_cap) {
            uint32_t cap = s->rows_cap ? s->rows_cap * 2 : 2;
            struct session_row *rows =
                alloc_resize(s->allocator, s->rows, s->rows_cap * sizeof *rows, cap * sizeof *rows);
            if (!rows) return ERR_MEMORY;
            s->rows = rows;
            s->rows_cap = cap;
        }
        *out = &s->rows[s->rows_len++];
    }
    **out = (struct session_row){0};
    memcpy((*out)->id, id, NODE_SESSION_BYTES);
    return OK;
}

/* Where a mark goes that finds the table full: the last one of the kind that has more. */
static struct session_mark *mark_to_replace(struct session_row *row, const struct session_mark *mark)
{
    uint32_t of_end = 0;
    for (uint32_t i = 0; i < row->marks_len; i++)
        of_end += ends(row->marks[i].act);
    bool kind = of_end > row->marks_len / 2;
    struct session_mark *last = NULL;
    for (uint32_t i = 0; i < row->marks_len; i++) {
        struct session_mark *m = &row->marks[i];
        if (ends(m->act) == kind && (!last || compare(m, last) > 0)) last = m;
    }
    return last && (ends(mark->act) != kind || compare(mark, last) < 0) ? last : NULL;
}

/* Of each device only its first answer (or withdrawal) and its first end are kept. */
static int row_mark(struct sessions *s, struct session_row *row, const struct session_mark *mark)
{
    for (uint32_t i = 0; i < row->marks_len; i++) {
        struct session_mark *m = &row->marks[i];
        if (ends(m->act) != ends(mark->act) || memcmp(m->device, mark->device, ID_BYTES) != 0) continue;
        if (compare(mark, m) < 0) *m = *mark;
        return OK;
    }
    if (row->marks_len == SESSION_MARKS_MAX) {
        struct session_mark *m = mark_to_replace(row, mark);
        if (m) *m = *mark;
        return OK;
    }
    if (row->marks_len == row->marks_cap) {
        uint32_t cap = row->marks_cap ? row->marks_cap * 2 : 2;
        struct session_mark *marks =
            alloc_resize(s->allocator, row->marks, row->marks_cap * sizeof *marks, cap * sizeof *marks);
        if (!marks) return ERR_MEMORY;
        row->marks = marks;
        row->marks_cap = cap;
    }
    row->marks[row->marks_len++] = *mark;
    return OK;
}

/* --- taking entries --- */

void session_id(const struct crypto *crypto, const uint8_t *channel, const uint8_t *author, uint32_t seq,
                uint8_t out[NODE_SESSION_BYTES])
{
    uint8_t bytes[18 + 2 * ID_BYTES + 4], hash[HASH_BYTES];
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_put(&w, SLICE("weaprous.session.1"));
    writer_put(&w, slice_of(channel, ID_BYTES));
    writer_put(&w, slice_of(author, ID_BYTES));
    for (int shift = 24; shift >= 0; shift -= 8)
        writer_byte(&w, (uint8_t)(seq >> shift));
    crypto->hash(crypto->context, hash, HASH_BYTES, writer_slice(&w));
    memcpy(out, hash, NODE_SESSION_BYTES);
}

static int take_ask(struct sessions *s, const struct crypto *crypto, const struct entry *e,
                    struct cbor_reader *r, uint64_t parts, const struct session_mark *mark,
                    uint64_t arrived_ms)
{
    uint8_t id[NODE_SESSION_BYTES], *copy = NULL;
    struct session_row *row;
    uint64_t answer_ms = cbor_uint(r, UINT64_MAX);
    slice line = cbor_bytes(r, SESSION_LINE_BYTES_MAX);
    if (r->failed || parts < 3) return OK;
    session_id(crypto, e->channel, e->author, e->seq, id);
    if (line.len) {
        copy = alloc_new(s->allocator, line.len);
        if (!copy) return ERR_MEMORY;
        memcpy(copy, line.ptr, line.len);
    }
    int rc = row_get(s, id, mark, &row);
    if (rc < 0 || !row || row->asked) {
        alloc_free(s->allocator, copy, line.len);
        return rc;
    }
    row->asked = true;
    row->ask = *mark;
    row->answer_ms = answer_ms < ANSWER_MS_MAX ? answer_ms : ANSWER_MS_MAX;
    row->arrived_ms = arrived_ms;
    row->line = copy;
    row->line_len = line.len;
    return OK;
}

int session_take(struct sessions *s, const struct crypto *crypto, const struct entry *e, uint64_t arrived_ms)
{
    struct cbor_reader r = cbor_reader_of(e->body);
    uint64_t parts = cbor_array(&r, 32), act = cbor_uint(&r, UINT32_MAX);
    struct session_mark mark = {.act = (enum session_act)act, .seq = e->seq, .time_ms = e->time_ms};
    if (r.failed || parts < 2 || act < ACT_ASK || act > ACT_SILENCE) return OK;
    memcpy(mark.device, e->author, ID_BYTES);
    if (act == ACT_ASK) return take_ask(s, crypto, e, &r, parts, &mark, arrived_ms);
    uint64_t named = cbor_array(&r, SESSION_NAMED_MAX);
    for (uint64_t i = 0; i < named; i++) {
        struct session_row *row;
        const uint8_t *id = cbor_fixed(&r, NODE_SESSION_BYTES);
        if (r.failed) return OK;
        int rc = row_get(s, id, &mark, &row);
        if (rc == OK && row) rc = row_mark(s, row, &mark);
        if (rc < 0) {
            if (row && !row->asked && row->marks_len == 0) row_clear(s, row), *row = s->rows[--s->rows_len];
            return rc;
        }
    }
    return OK;
}

/* --- looking --- */

/* What was decided about a request: the first answer of the other side or withdrawal of its own. */
static const struct session_mark *decision(const struct session_row *row, session_side_of *side,
                                           void *context)
{
    enum session_side asker = side(context, row->ask.device);
    const struct session_mark *first = NULL;
    for (uint32_t i = 0; i < row->marks_len; i++) {
        const struct session_mark *m = &row->marks[i];
        enum session_side by = side(context, m->device);
        bool withdraws = m->act == ACT_CANCEL || m->act == ACT_EXPIRE;
        if (ends(m->act) || by == SIDE_UNKNOWN || withdraws != (by == asker)) continue;
        if (!first || compare(m, first) < 0) first = m;
    }
    return first;
}

static const struct session_mark *ending(const struct session_row *row, session_side_of *side, void *context)
{
    const struct session_mark *first = NULL;
    for (uint32_t i = 0; i < row->marks_len; i++) {
        const struct session_mark *m = &row->marks[i];
        if (!ends(m->act) || side(context, m->device) == SIDE_UNKNOWN) continue;
        if (!first || compare(m, first) < 0) first = m;
    }
    return first;
}

static bool known_asker(const struct session_row *row, session_side_of *side, void *context)
{
    return row->asked && side(context, row->ask.device) != SIDE_UNKNOWN;
}

bool session_accepted(const struct session_row *row, session_side_of *side, void *context)
{
    if (!known_asker(row, side, context)) return false;
    const struct session_mark *m = decision(row, side, context);
    return m && m->act == ACT_ACCEPT;
}

bool session_live(const struct session_row *row, session_side_of *side, void *context)
{
    if (!known_asker(row, side, context) || ending(row, side, context)) return false;
    const struct session_mark *m = decision(row, side, context);
    return !m || m->act == ACT_ACCEPT;
}

uint64_t session_until_ms(const struct session_row *row)
{
    uint64_t by_arrival = row->arrived_ms + row->answer_ms;
    uint64_t by_time = row->ask.time_ms + row->answer_ms + SESSION_TOLERANCE_MS;
    return by_arrival < by_time ? by_arrival : by_time;
}

static void earlier(const struct session_row **best, const struct session_row *row)
{
    if (!*best || compare(&row->ask, &(*best)->ask) < 0) *best = row;
}

static bool cross(const struct session_row *a, const struct session_row *b)
{
    const struct session_row *first = compare(&a->ask, &b->ask) < 0 ? a : b, *second = first == a ? b : a;
    return second->ask.time_ms <= first->ask.time_ms + first->answer_ms + SESSION_TOLERANCE_MS;
}

/* The request had come to an end before this. */
static bool ended_before(const struct session_row *row, session_side_of *side, void *context,
                         const struct session_mark *mark)
{
    const struct session_mark *d = decision(row, side, context), *e = ending(row, side, context);
    return (d && compare(d, mark) < 0) || (e && compare(e, mark) < 0);
}

/* A session was open at some time, in the order of the acts: accepted, or by two requests that crossed. */
static bool was_open(const struct sessions *s, session_side_of *side, void *context)
{
    for (uint32_t i = 0; i < s->rows_len; i++) {
        const struct session_row *a = &s->rows[i];
        if (session_accepted(a, side, context)) return true;
        for (uint32_t k = 0; k < s->rows_len && known_asker(a, side, context); k++) {
            const struct session_row *b = &s->rows[k];
            if (!known_asker(b, side, context) || compare(&a->ask, &b->ask) >= 0 || !cross(a, b)) continue;
            if (side(context, a->ask.device) == side(context, b->ask.device)) continue;
            if (!ended_before(a, side, context, &b->ask)) return true;
        }
    }
    return false;
}

/* The first of the undecided requests that one of the other side crosses. */
static void look_for_crossing(const struct sessions *s, const uint8_t *undecided, struct session_verdict *v)
{
    for (uint32_t i = 0; i < s->rows_len; i++) {
        for (uint32_t k = 0; k < s->rows_len; k++) {
            const struct session_row *a = &s->rows[i], *b = &s->rows[k];
            if (undecided[i] != 1 + SIDE_OURS || undecided[k] != 1 + SIDE_THEIRS || !cross(a, b)) continue;
            const struct session_row *first = compare(&a->ask, &b->ask) < 0 ? a : b;
            if (v->row && compare(&v->row->ask, &first->ask) <= 0) continue;
            *v = (struct session_verdict){SESSION_OPEN, first, first == a ? &b->ask : &a->ask};
        }
    }
}

struct session_verdict session_look(struct sessions *s, session_side_of *side, void *context, uint64_t now_ms)
{
    uint8_t undecided[SESSION_ROWS_MAX] = {0}; /* 0, or 1 + whose */
    const struct session_row *open = NULL, *asked = NULL, *asking = NULL, *overdue = NULL;
    for (uint32_t i = 0; i < s->rows_len; i++) {
        struct session_row *row = &s->rows[i];
        if (!session_live(row, side, context)) {
            if (known_asker(row, side, context)) line_drop(s, row);
            continue;
        }
        if (session_accepted(row, side, context)) {
            earlier(&open, row);
            continue;
        }
        enum session_side asker = side(context, row->ask.device);
        undecided[i] = (uint8_t)(1 + asker);
        bool over = now_ms >= session_until_ms(row);
        if (asker == SIDE_OURS)
            earlier(over ? &overdue : &asked, row);
        else if (!over)
            earlier(&asking, row);
    }
    if (!s->opened) s->opened = was_open(s, side, context);
    if (open) return (struct session_verdict){SESSION_OPEN, open, decision(open, side, context)};
    struct session_verdict v = {0};
    look_for_crossing(s, undecided, &v);
    if (v.row) return v;
    if (asked)
        v = (struct session_verdict){SESSION_ASKED, asked, &asked->ask};
    else if (asking)
        v = (struct session_verdict){SESSION_ASKING, asking, &asking->ask};
    else if (overdue)
        v = (struct session_verdict){SESSION_ASKED, overdue, &overdue->ask};
    return v;
}

enum session_reason session_reason_of(const struct session_row *row, session_side_of *side, void *context,
                                      const struct session_mark **out_cause)
{
    const struct session_mark *m = known_asker(row, side, context) ? decision(row, side, context) : NULL;
    if (!m || m->act == ACT_ACCEPT) m = ending(row, side, context);
    *out_cause = m;
    if (!m) return REASON_NO_ANSWER; /* its time is over */
    switch (m->act) {
    case ACT_DECLINE: return REASON_DECLINED;
    case ACT_CANCEL: return REASON_CANCELLED;
    case ACT_EXPIRE: return REASON_NO_ANSWER;
    case ACT_LOGOUT: return REASON_LOGOUT;
    case ACT_SILENCE: return REASON_SILENCE;
    default: return REASON_ENDED;
    }
}

/* --- bodies --- */

void session_write_ask(struct writer *w, uint64_t answer_ms, slice line)
{
    cbor_put_array(w, 3);
    cbor_put_uint(w, ACT_ASK);
    cbor_put_uint(w, answer_ms);
    cbor_put_bytes(w, line);
}

void session_write_act(struct writer *w, enum session_act act, uint32_t named)
{
    cbor_put_array(w, 2);
    cbor_put_uint(w, act);
    cbor_put_array(w, named);
}
