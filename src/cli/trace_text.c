#include "cli/trace_text.h"

#include <inttypes.h>

#include "base/cbor.h"
#include "base/hex.h"

static const char *const path_names[] = {"none", "tracker", "relay", "direct", "lan"};
static const char *const command_names[] = {
    "?",         "certificate", "join",   "leave",  "send",      "peer",       "connect failed",
    "network",   "open",        "member", "device", "history",   "relation",   "request",
    "answer",    "end",         "logout", "signal", "file hold", "file fetch", "file pause",
    "file drop",
};
static const char *const action_names[] = {
    "?",       "store",    "read",      "deliver",    "delivered", "connect", "close",
    "peer",    "writable", "warning",   "gap",        "history",   "channel", "unlocked",
    "session", "signal",   "file read", "file write", "file",
};

#define NAME_OF(names, value) ((size_t)(value) < sizeof(names) / sizeof *(names) ? (names)[value] : "?")

/* --- fields, each with what stands before it; nothing for what is not there --- */

static void id(const struct trace_text *t, const char *what, const uint8_t *bytes)
{
    char hex[17];
    if (!bytes) return;
    hex_encode(slice_of(bytes, 8), hex);
    fprintf(t->out, "  %s %s", what, hex);
}

static void number(const struct trace_text *t, const char *what, uint64_t value)
{
    if (value) fprintf(t->out, "  %s %" PRIu64, what, value);
}

static void size(const struct trace_text *t, slice bytes)
{
    if (bytes.len) fprintf(t->out, "  %zu bytes", bytes.len);
}

static void path(const struct trace_text *t, enum path value)
{
    if (value) fprintf(t->out, "  %s", NAME_OF(path_names, value));
}

static void result(const struct trace_text *t, int value)
{
    if (value < 0) fprintf(t->out, "  %s", err_name(value));
}

/* UTF-8 as it is, control characters as dots: no terminal obeys them. */
static void words(const struct trace_text *t, const char *what, slice text)
{
    if (!text.len) return;
    fprintf(t->out, "  %s \"", what);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        bool c1 = byte == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        putc(byte < 0x20 || byte == 0x7f || byte == '"' || c1 ? '.' : byte, t->out);
        i += c1;
    }
    putc('"', t->out);
}

static void body(const struct trace_text *t, uint32_t kind, slice bytes)
{
    struct cbor_reader r = cbor_reader_of(bytes);
    size(t, bytes);
    if (kind != ENTRY_TEXT || cbor_array(&r, 64) == 0) return;
    slice text = cbor_bytes(&r, NODE_BODY_BYTES_MAX);
    if (!r.failed) words(t, "text", text);
}

static void spec(const struct trace_text *t, const struct channel_spec *s)
{
    static const char *const names[] = {"public", "private", "direct"};
    if (!s) return;
    fprintf(t->out, "  %s", NAME_OF(names, s->type));
    words(t, "name", s->name);
    words(t, "of", s->account);
    words(t, "and", s->other);
}

/* --- lines --- */

static void command(const struct trace_text *t, const struct command *c)
{
    fprintf(t->out, " %s", NAME_OF(command_names, c->kind));
    id(t, "channel", c->channel);
    id(t, "device", c->device);
    id(t, "session", c->session);
    id(t, "root", c->root);
    path(t, c->path);
    spec(t, c->spec);
    if (c->online) fputs("  online", t->out);
    if (c->quiet) fputs("  quiet", t->out);
    if (c->on_demand) fputs("  on demand", t->out);
    number(t, "kind", c->entry_kind);
    number(t, "count", c->count);
    number(t, "before", c->before_ms);
    number(t, "relation", (uint64_t)c->relation);
    number(t, "size", c->size);
    body(t, c->kind == COMMAND_SEND ? c->entry_kind : 0, c->bytes);
}

void trace_text_call(struct trace_text *t, const struct trace_call *call)
{
    if (call->number == 1) t->began = call->now;
    usec since = call->now - t->began;
    fprintf(t->out, "%6" PRIu64 " %8" PRIu64 ".%06" PRIu64 " %s", call->number, since / SECONDS,
            since % SECONDS, trace_kind_name(call->kind));
    switch (call->kind) {
    case TRACE_CREATE:
        id(t, "device", call->device);
        fprintf(t->out, "  at %" PRIu64, call->now);
        if (call->config && call->config->role == ROLE_REPLICA) fputs("  replica", t->out);
        break;
    case TRACE_LINK_UP:
        fprintf(t->out, " %" PRIu32 "  %s", call->link, NAME_OF(path_names, call->info.path));
        id(t, "to", call->info.expected);
        if (call->info.initiator) fputs("  initiator", t->out);
        break;
    case TRACE_RECEIVE:
    case TRACE_LINK_DOWN: fprintf(t->out, " %" PRIu32, call->link); break;
    case TRACE_TRANSMIT: fprintf(t->out, " %" PRIu32 "  room %zu", call->link, call->room); break;
    case TRACE_DONE:
        fprintf(t->out, " %" PRIu64, call->token);
        result(t, call->result);
        break;
    case TRACE_NEXT: fprintf(t->out, " %" PRIu64, call->count); break;
    case TRACE_COMMAND: command(t, &call->command); break;
    default: break;
    }
    size(t, call->bytes);
    putc('\n', t->out);
}

static void entry(const struct trace_text *t, const struct entry_view *e)
{
    if (!e->author) return;
    id(t, "author", e->author);
    number(t, "seq", e->seq);
    number(t, "kind", e->kind);
    number(t, "time", e->time_ms);
    if (e->locked) fputs("  locked", t->out);
    words(t, "account", e->account);
    path(t, e->path);
    body(t, e->kind, e->body);
}

void trace_text_action(struct trace_text *t, const struct action *a)
{
    fprintf(t->out, "%25s %s", "=>", NAME_OF(action_names, a->kind));
    if (a->kind == ACTION_WRITABLE || a->kind == ACTION_CLOSE) fprintf(t->out, " %" PRIu32, a->link);
    number(t, "token", a->token);
    id(t, "channel", a->channel ? a->channel : a->entry.channel);
    entry(t, &a->entry);
    id(t, "device", a->device);
    words(t, "account", a->account);
    id(t, "session", a->session);
    id(t, "root", a->root);
    spec(t, a->spec);
    path(t, a->path);
    number(t, "from", a->from);
    number(t, "seq", a->seq);
    number(t, "round trip us", a->rtt_us);
    number(t, "state", (uint64_t)a->state);
    number(t, "reason", (uint64_t)a->reason);
    number(t, "until", a->until_ms);
    number(t, "leaf", a->leaf);
    number(t, "leaves", a->leaves);
    number(t, "of", a->leaves_total);
    number(t, "file", (uint64_t)a->file_state);
    number(t, "sources", a->sources);
    result(t, a->result);
    words(t, "text", a->text);
    size(t, a->record);
    size(t, a->proof);
    putc('\n', t->out);
}

void trace_text_sent(struct trace_text *t, uint32_t link, slice bytes)
{
    fprintf(t->out, "%25s %" PRIu32 "  %zu bytes\n", "=> link", link, bytes.len);
}
