#include "core/recorder.h"

#include "base/cbor.h"
#include "base/sip.h"
#include "core/identity.h"
#include "core/state.h"

/* --- the digest --- */

void recorder_number(struct node *n, uint64_t value)
{
    uint64_t d = (n->recorder.digest ^ value) * 0x9fb21c651e98df25u;
    n->recorder.digest = (d ^ d >> 29) + 0x9e3779b97f4a7c15u;
}

void recorder_slice(struct node *n, slice bytes)
{
    n->recorder.digest = sip_hash((struct sip_secret){n->recorder.digest, bytes.len}, bytes);
}

static void put_fixed(struct node *n, const uint8_t *bytes, size_t len)
{
    recorder_slice(n, bytes ? slice_of(bytes, len) : SLICE_EMPTY);
}

static void put_entry(struct node *n, const struct entry_view *e)
{
    put_fixed(n, e->channel, ID_BYTES);
    put_fixed(n, e->author, ID_BYTES);
    put_fixed(n, e->id, ID_BYTES);
    put_fixed(n, e->from, ID_BYTES);
    recorder_slice(n, e->body);
    recorder_slice(n, e->account);
    const uint64_t numbers[] = {e->seq, e->kind, e->time_ms, e->place_ms, e->path, e->arrived_ms, e->locked};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        recorder_number(n, numbers[i]);
}

static void put_spec(struct node *n, const struct channel_spec *s)
{
    recorder_number(n, s != NULL);
    if (!s) return;
    recorder_number(n, s->type);
    put_fixed(n, s->authority, ID_BYTES);
    put_fixed(n, s->founder, ID_BYTES);
    put_fixed(n, s->nonce, NODE_NONCE_BYTES);
    recorder_slice(n, s->name);
    recorder_slice(n, s->account);
    recorder_slice(n, s->other);
}

static void put_action(struct node *n, const struct action *a)
{
    const uint64_t numbers[] = {
        a->kind,       a->link,         a->token,  a->seq,
        a->role,       a->path,         a->rtt_us, (uint64_t)-(int64_t)a->result,
        a->from,       a->state,        a->reason, a->until_ms,
        a->leaf,       a->leaves_total, a->leaves, a->sources,
        a->file_state,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        recorder_number(n, numbers[i]);
    recorder_slice(n, a->record);
    recorder_slice(n, a->account);
    recorder_slice(n, a->text);
    recorder_slice(n, a->proof);
    put_fixed(n, a->channel, ID_BYTES);
    put_fixed(n, a->device, ID_BYTES);
    put_fixed(n, a->root, ID_BYTES);
    put_fixed(n, a->session, NODE_SESSION_BYTES);
    put_entry(n, &a->entry);
    put_spec(n, a->spec);
}

/* --- records --- */

static void give(struct node *n, slice piece)
{
    if (piece.len) n->config.trace(n->config.trace_context, piece);
}

static void start(struct node *n, struct recorder_head *out, enum trace_kind kind, uint64_t elapsed,
                  uint32_t fields)
{
    out->w = writer_of(out->room, sizeof out->room);
    cbor_put_array(&out->w, 3 + (uint64_t)fields);
    cbor_put_uint(&out->w, kind);
    cbor_put_uint(&out->w, n->recorder.digest);
    cbor_put_uint(&out->w, elapsed);
}

static void lose(struct node *n)
{
    struct recorder_head head;
    start(n, &head, TRACE_LOST, 0, 0);
    give(n, writer_slice(&head.w));
    n->recorder.lost = true;
}

static void give_drained(struct node *n)
{
    struct recorder_head head;
    if (n->recorder.starved && !n->recorder.lost) lose(n);
    if (n->recorder.drained == 0 || n->recorder.lost) return;
    start(n, &head, TRACE_NEXT, 0, 1);
    cbor_put_uint(&head.w, n->recorder.drained);
    give(n, writer_slice(&head.w));
    n->recorder.drained = 0;
    n->recorder.gave = false;
}

void recorder_next(struct node *n, bool any, const struct action *action)
{
    recorder_number(n, any);
    if (any) put_action(n, action);
    recorder_number(n, node_deadline(n));
    n->recorder.drained++;
    if (any) n->recorder.gave = true;
    /* A drain that gave nothing may wait: shells that poll would fill the trace with it. */
    if ((!any && n->recorder.gave) || n->recorder.drained == TRACE_DRAIN_MAX) give_drained(n);
}

void recorder_begin(struct node *n, struct recorder_head *out, enum trace_kind kind, usec now,
                    uint32_t fields)
{
    give_drained(n);
    start(n, out, kind, now > n->now ? now - n->now : 0, fields);
}

void recorder_give(struct node *n, struct recorder_head *head, slice last)
{
    if (n->recorder.lost) return;
    if (last.len > TRACE_BYTES_MAX) {
        lose(n);
        return;
    }
    cbor_put_bytes_head(&head->w, last.len);
    recorder_end(n, head);
    if (!n->recorder.lost) give(n, last);
}

void recorder_end(struct node *n, struct recorder_head *head)
{
    if (n->recorder.lost) return;
    if (head->w.failed)
        lose(n);
    else
        give(n, writer_slice(&head->w));
    wipe(head->room, head->w.len);
}

static void *watched_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    struct recorder *r = context;
    void *result = r->inner->resize(r->inner->context, ptr, old_size, size);
    if (!result && size > 0) r->starved = true;
    return result;
}

void recorder_watch(struct node *n)
{
    if (!n->config.trace) return;
    n->recorder.inner = n->allocator;
    n->recorder.allocator = (struct allocator){&n->recorder, watched_resize};
    n->allocator = &n->recorder.allocator;
}

void recorder_unwatch(struct node *n)
{
    if (n->recorder.inner) n->allocator = n->recorder.inner;
}

void recorder_create(struct node *n)
{
    const struct node_config *c = &n->config;
    struct recorder_head head;
    if (!c->trace) return;
    start(n, &head, TRACE_CREATE, n->now, 13);
    cbor_put_bytes(&head.w, SLICE(TRACE_NAME));
    cbor_put_uint(&head.w, TRACE_FORMAT);
    cbor_put_bytes(&head.w, slice_of(n->device, ID_BYTES));
    const uint64_t numbers[] = {
        c->role,         c->direct_patience_us, c->channel_links_max, c->links_max,
        c->epoch_age_us, c->session_answer_us,  c->session_away_us,   c->session_silence_us,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cbor_put_uint(&head.w, numbers[i]);
    cbor_put_bytes(&head.w, slice_of(c->random_seed, KEY_BYTES));
    recorder_give(n, &head, slice_of(c->identity_seed, KEY_BYTES));
}

static void put_optional(struct writer *w, const uint8_t *bytes, size_t len)
{
    cbor_put_bytes(w, bytes ? slice_of(bytes, len) : SLICE_EMPTY);
}

void recorder_command(struct node *n, const struct command *c, usec now)
{
    struct recorder_head head;
    struct writer *w = &head.w;
    const struct channel_spec *s = c->spec;
    recorder_begin(n, &head, TRACE_COMMAND, now, 16);
    cbor_put_uint(w, (uint32_t)c->kind);
    put_optional(w, c->channel, ID_BYTES);
    put_optional(w, c->device, ID_BYTES);
    const uint64_t numbers[] = {c->entry_kind, (uint32_t)c->path, c->online,    c->quiet,
                                c->on_demand,  c->count,          c->before_ms, (uint32_t)c->relation};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cbor_put_uint(w, numbers[i]);
    put_optional(w, c->session, NODE_SESSION_BYTES);
    put_optional(w, c->root, ID_BYTES);
    cbor_put_uint(w, c->size);
    cbor_put_array(w, s ? 7 : 0);
    if (s) {
        cbor_put_uint(w, (uint32_t)s->type);
        put_optional(w, s->authority, ID_BYTES);
        cbor_put_bytes(w, s->name);
        put_optional(w, s->founder, ID_BYTES);
        put_optional(w, s->nonce, NODE_NONCE_BYTES);
        cbor_put_bytes(w, s->account);
        cbor_put_bytes(w, s->other);
    }
    recorder_give(n, &head, c->bytes);
}
