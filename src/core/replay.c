/* replay.c - reads a trace, makes the node anew and gives it the same calls. */
#include <string.h>

#include "base/cbor.h"
#include "core/identity.h"
#include "core/state.h"

enum {
    PIECE_BYTES = 64 * 1024,
    ROOM_MAX = 1024 * 1024, /* of a transmit */
    ARRAY_MAJOR = 4,
};

struct replay {
    struct replay_options options;
    struct replay_report report;
    struct buffer held; /* the start of a record whose rest has not come */
    struct node *node;
    uint8_t *room;
    usec now;
    bool created, over;
};

/* The node of a replay has a trace too, for its digest; where the bytes go is of no interest. */
static void ignore(void *context, slice piece)
{
    (void)context, (void)piece;
}

int replay_new(const struct replay_options *options, struct replay **out_replay)
{
    struct replay *r = alloc_new(options->allocator, sizeof *r);
    if (!r) return ERR_MEMORY;
    r->options = *options;
    buffer_init(&r->held, options->allocator, TRACE_RECORD_BYTES_MAX + PIECE_BYTES);
    *out_replay = r;
    return OK;
}

const char *trace_kind_name(enum trace_kind kind)
{
    static const char *const names[TRACE_KINDS] = {
        "create", "restore", "link up", "link down", "receive", "transmit",
        "done",   "tick",    "command", "next",      "end",     "lost",
    };
    return kind < TRACE_KINDS ? names[kind] : "unknown";
}

static int fail(struct replay *r, int result, const char *text)
{
    size_t len = strlen(text);
    if (len >= sizeof r->report.text) len = sizeof r->report.text - 1;
    memcpy(r->report.text, text, len);
    r->report.text[len] = '\0';
    r->over = true;
    return result;
}

/* --- reading one record --- */

static const uint8_t *optional(struct cbor_reader *r, size_t len)
{
    slice bytes = cbor_bytes(r, len);
    if (bytes.len == 0) return NULL;
    if (bytes.len != len) r->failed = true;
    return bytes.ptr;
}

static uint32_t number(struct cbor_reader *r)
{
    return (uint32_t)cbor_uint(r, UINT32_MAX);
}

static void read_create(struct cbor_reader *r, struct trace_call *call, struct node_config *config)
{
    slice name = cbor_bytes(r, 64);
    uint64_t format = cbor_uint(r, UINT64_MAX);
    if (!slice_equal(name, SLICE(TRACE_NAME))) r->failed = true;
    call->count = format;
    if (format != TRACE_FORMAT || r->failed) return;
    call->device = cbor_fixed(r, ID_BYTES);
    config->role = (enum node_role)cbor_uint(r, ROLE_REPLICA);
    config->direct_patience_us = cbor_uint(r, UINT64_MAX);
    config->channel_links_max = number(r);
    config->links_max = number(r);
    config->epoch_age_us = cbor_uint(r, UINT64_MAX);
    config->session_answer_us = cbor_uint(r, UINT64_MAX);
    config->session_away_us = cbor_uint(r, UINT64_MAX);
    config->session_silence_us = cbor_uint(r, UINT64_MAX);
    const uint8_t *random_seed = cbor_fixed(r, KEY_BYTES);
    const uint8_t *identity_seed = cbor_fixed(r, KEY_BYTES);
    if (r->failed) return;
    memcpy(config->random_seed, random_seed, KEY_BYTES);
    memcpy(config->identity_seed, identity_seed, KEY_BYTES);
    call->config = config;
}

static void read_spec(struct cbor_reader *r, struct trace_call *call)
{
    uint64_t items = cbor_array(r, 7);
    if (r->failed || items == 0) return;
    struct channel_spec *s = &call->spec;
    s->type = (enum channel_type)number(r);
    s->authority = optional(r, ID_BYTES);
    s->name = cbor_bytes(r, TRACE_BYTES_MAX);
    s->founder = optional(r, ID_BYTES);
    s->nonce = optional(r, NODE_NONCE_BYTES);
    s->account = cbor_bytes(r, TRACE_BYTES_MAX);
    s->other = cbor_bytes(r, TRACE_BYTES_MAX);
    call->command.spec = s;
}

static void read_command(struct cbor_reader *r, struct trace_call *call)
{
    struct command *c = &call->command;
    c->kind = (enum command_kind)number(r);
    c->channel = optional(r, ID_BYTES);
    c->device = optional(r, ID_BYTES);
    c->entry_kind = number(r);
    c->path = (enum path)number(r);
    c->online = cbor_uint(r, 1) == 1;
    c->quiet = cbor_uint(r, 1) == 1;
    c->on_demand = cbor_uint(r, 1) == 1;
    c->count = number(r);
    c->before_ms = cbor_uint(r, UINT64_MAX);
    c->relation = (enum relation)number(r);
    c->session = optional(r, NODE_SESSION_BYTES);
    c->root = optional(r, ID_BYTES);
    c->size = cbor_uint(r, UINT64_MAX);
    read_spec(r, call);
    c->bytes = cbor_bytes(r, TRACE_BYTES_MAX);
}

static void read_fields(struct cbor_reader *r, struct trace_call *call, struct node_config *config)
{
    switch (call->kind) {
    case TRACE_CREATE: read_create(r, call, config); break;
    case TRACE_RESTORE: call->bytes = cbor_bytes(r, TRACE_BYTES_MAX); break;
    case TRACE_LINK_UP:
        call->link = number(r);
        call->info.path = (enum path)number(r);
        call->info.initiator = cbor_uint(r, 1) == 1;
        call->info.expected = optional(r, ID_BYTES);
        call->info.binding = cbor_bytes(r, TRACE_BYTES_MAX);
        break;
    case TRACE_LINK_DOWN: call->link = number(r); break;
    case TRACE_RECEIVE:
        call->link = number(r);
        call->bytes = cbor_bytes(r, TRACE_BYTES_MAX);
        break;
    case TRACE_TRANSMIT:
        call->link = number(r);
        call->room = (size_t)cbor_uint(r, ROOM_MAX);
        if (call->room < NODE_TRANSMIT_ROOM) r->failed = true;
        break;
    case TRACE_DONE:
        call->token = cbor_uint(r, UINT64_MAX);
        call->result = -(int)cbor_uint(r, INT32_MAX);
        call->bytes = cbor_bytes(r, TRACE_BYTES_MAX);
        break;
    case TRACE_COMMAND: read_command(r, call); break;
    case TRACE_NEXT: call->count = cbor_uint(r, TRACE_DRAIN_MAX); break;
    default: break; /* TICK, END, LOST */
    }
}

/* --- carrying it out --- */

static int create(struct replay *r, const struct trace_call *call, struct node_config *config)
{
    config->trace = ignore;
    int rc = node_create(config, r->options.allocator, r->options.crypto, r->now, &r->node);
    if (rc < 0) return fail(r, rc, err_text(rc));
    if (memcmp(node_device(r->node), call->device, ID_BYTES) != 0)
        return fail(r, ERR_AUTH,
                    "it was made with other cryptography: a trace of the simulator is replayed there");
    return OK;
}

static void drain(struct replay *r, uint64_t count)
{
    struct action action;
    for (uint64_t i = 0; i < count; i++) {
        if (!node_next(r->node, &action)) continue;
        r->report.actions++;
        if (r->options.action) r->options.action(r->options.context, &action);
    }
}

static int transmit(struct replay *r, const struct trace_call *call)
{
    if (!r->room) r->room = alloc_new(r->options.allocator, ROOM_MAX);
    if (!r->room) return fail(r, ERR_MEMORY, err_text(ERR_MEMORY));
    size_t len = node_transmit(r->node, call->link, r->room, call->room, r->now);
    r->report.bytes_out += len;
    if (len > 0 && r->options.sent) r->options.sent(r->options.context, call->link, slice_of(r->room, len));
    return OK;
}

static int carry_out(struct replay *r, const struct trace_call *call)
{
    struct node *n = r->node;
    size_t used;
    switch (call->kind) {
    case TRACE_RESTORE: (void)!node_restore(n, call->bytes, r->now); break;
    case TRACE_LINK_UP: (void)!node_link_up(n, call->link, &call->info, r->now); break;
    case TRACE_LINK_DOWN: node_link_down(n, call->link, r->now); break;
    case TRACE_RECEIVE:
        r->report.bytes_in += call->bytes.len;
        (void)!node_receive(n, call->link, call->bytes, r->now, &used);
        break;
    case TRACE_TRANSMIT: return transmit(r, call);
    case TRACE_DONE: node_done(n, call->token, call->result, call->bytes, r->now); break;
    case TRACE_TICK: node_tick(n, r->now); break;
    case TRACE_COMMAND: (void)!node_command(n, &call->command, r->now); break;
    case TRACE_NEXT: drain(r, call->count); break;
    default: break;
    }
    return OK;
}

static int check(struct replay *r, const struct trace_call *call)
{
    if (!r->node || r->node->recorder.digest == call->digest) return OK;
    if (r->report.differs == 0) r->report.differs = call->number - (call->kind != TRACE_NEXT);
    if (r->options.lenient) return OK;
    return fail(r, ERR_CORRUPT, "what came out differs from what came out then");
}

static int take(struct replay *r, slice record)
{
    struct node_config config = {0};
    struct trace_call call = {.number = r->report.calls + 1};
    struct cbor_reader in = cbor_reader_of(record);
    if (cbor_array(&in, 64) < 3) in.failed = true;
    call.kind = (enum trace_kind)cbor_uint(&in, TRACE_KINDS - 1);
    call.digest = cbor_uint(&in, UINT64_MAX);
    uint64_t elapsed = cbor_uint(&in, UINT64_MAX);
    if (elapsed > UINT64_MAX - r->now) in.failed = true;
    if (!in.failed) read_fields(&in, &call, &config);
    if (call.kind == TRACE_CREATE && !in.failed && call.count != TRACE_FORMAT)
        return fail(r, ERR_VERSION, "it was made by another version of the program");
    if (!cbor_done(&in) || (call.kind == TRACE_CREATE) == r->created)
        return fail(r, ERR_CORRUPT, r->created ? "a record is damaged" : "it does not begin as a trace does");
    r->now += elapsed;
    call.now = r->now;
    if (!r->created) r->report.began = r->now;
    r->report.ended = r->now;
    r->created = true;
    int rc = call.kind == TRACE_NEXT || call.kind == TRACE_LOST ? OK : check(r, &call);
    if (rc < 0) return rc;
    r->report.calls++;
    if (r->options.call) r->options.call(r->options.context, &call);
    if (call.kind == TRACE_LOST)
        return fail(r, ERR_FULL, "the trace ends early: memory had run out, or an input was too long for it");
    r->over = r->report.complete = call.kind == TRACE_END;
    if (!r->options.crypto) return OK;
    if (call.kind == TRACE_CREATE) rc = create(r, &call, &config);
    wipe(&config, sizeof config);
    if (rc < 0) return rc;
    rc = carry_out(r, &call);
    return rc == OK && call.kind == TRACE_NEXT ? check(r, &call) : rc;
}

/* --- pieces --- */

/* The whole record at the start of `bytes`: its length, 0 when more is needed. */
static int record_length(slice bytes, size_t *out_len)
{
    *out_len = 0;
    if (bytes.len == 0) return OK;
    if (bytes.ptr[0] >> 5 != ARRAY_MAJOR) return ERR_CORRUPT;
    struct cbor_reader in = cbor_reader_of(bytes);
    cbor_skip(&in, 1);
    if (!in.failed)
        *out_len = bytes.len - in.rest.len;
    else if (bytes.len >= TRACE_RECORD_BYTES_MAX)
        return ERR_CORRUPT;
    return OK;
}

static int take_held(struct replay *r)
{
    size_t at = 0, len = 0;
    int rc = OK;
    do {
        slice rest = slice_sub(buffer_slice(&r->held), at, r->held.len);
        rc = record_length(rest, &len);
        if (rc < 0)
            return fail(r, rc, r->created ? "a record is damaged" : "it does not begin as a trace does");
        if (len > 0)
            rc =
                r->over ? fail(r, ERR_CORRUPT, "it goes on after its end") : take(r, slice_sub(rest, 0, len));
        at += len;
    } while (rc == OK && len > 0);
    buffer_consume(&r->held, at);
    return rc;
}

int replay_feed(struct replay *r, slice piece)
{
    int rc = OK;
    for (size_t at = 0; rc == OK && at < piece.len; at += PIECE_BYTES) {
        buffer_put(&r->held, slice_sub(piece, at, PIECE_BYTES));
        if (r->held.failed) return fail(r, ERR_MEMORY, err_text(ERR_MEMORY));
        rc = take_held(r);
    }
    return rc;
}

void replay_end(struct replay *r, struct replay_report *out_report)
{
    if (!r) return;
    const struct allocator *a = r->options.allocator;
    if (out_report) {
        *out_report = r->report;
        out_report->cut = r->report.text[0] ? 0 : r->held.len;
    }
    node_destroy(r->node);
    if (r->held.ptr) wipe(r->held.ptr, r->held.cap);
    buffer_reset(&r->held);
    alloc_free(a, r->room, ROOM_MAX);
    wipe(r, sizeof *r);
    alloc_free(a, r, sizeof *r);
}
