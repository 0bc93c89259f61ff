#include "proxy/rewrite_fields.h"
#include "http/token.h"

/* --- names --- */

/* Lower case of what a name can be made of; '_' becomes 0x7F, which no name has. */
static uint8_t folded(uint8_t c)
{
    return c | 0x20;
}

/* name: in lower case, as long as what is at `at`. */
static enum field_kind match(const uint8_t *at, slice name, enum field_kind kind)
{
    bool disguised = false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = folded(at[i]);
        if (c == name.ptr[i]) continue;
        if (at[i] != '_' || name.ptr[i] != '-') return FIELD_OTHER;
        disguised = true;
    }
    return disguised ? FIELD_DISGUISED : kind;
}

#define MATCH(text, kind)                                                                                    \
    do {                                                                                                     \
        enum field_kind found_ = match(name.ptr, SLICE(text), kind);                                         \
        if (found_ != FIELD_OTHER) return found_;                                                            \
    } while (0)

/* Those that begin with 'x'. */
static enum field_kind x_kind(slice name)
{
    switch (name.len) {
    case 9: MATCH("x-real-ip", FIELD_X_REAL_IP); break;
    case 12: MATCH("x-request-id", FIELD_X_REQUEST_ID); break;
    case 13: MATCH("x-rewrite-url", FIELD_X_CLAIM); break;
    case 14: MATCH("x-original-url", FIELD_X_CLAIM); break;
    case 15: MATCH("x-forwarded-for", FIELD_X_FOR); break;
    case 16:
        MATCH("x-forwarded-host", FIELD_X_HOST);
        MATCH("x-forwarded-port", FIELD_X_PORT);
        break;
    case 17: MATCH("x-forwarded-proto", FIELD_X_PROTO); break;
    default: break;
    }
    if (name.len > 12) MATCH("x-forwarded-", FIELD_X_CLAIM);
    return FIELD_OTHER;
}

enum field_kind field_kind(slice name)
{
    if (folded(name.ptr[0]) == 'x') return x_kind(name);
    switch (name.len) {
    case 2: MATCH("te", FIELD_TE); break;
    case 3: MATCH("via", FIELD_VIA); break;
    case 4:
        MATCH("host", FIELD_HOST);
        MATCH("date", FIELD_DATE);
        break;
    case 5: MATCH("proxy", FIELD_SECRET); break;
    case 6: MATCH("expect", FIELD_HOP); break;
    case 7:
        MATCH("upgrade", FIELD_UPGRADE);
        MATCH("trailer", FIELD_TRAILER);
        break;
    case 9: MATCH("forwarded", FIELD_FORWARDED); break;
    case 10:
        MATCH("connection", FIELD_CONNECTION);
        MATCH("keep-alive", FIELD_HOP);
        break;
    case 12: MATCH("max-forwards", FIELD_MAX_FORWARDS); break;
    case 14:
        MATCH("content-length", FIELD_LENGTH);
        MATCH("http2-settings", FIELD_HOP);
        break;
    case 16: MATCH("proxy-connection", FIELD_HOP); break;
    case 17: MATCH("transfer-encoding", FIELD_HOP); break;
    case 19: MATCH("proxy-authorization", FIELD_SECRET); break;
    default: break;
    }
    return FIELD_OTHER;
}

bool field_same_name(slice a, slice b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        uint8_t x = a.ptr[i] == '_' ? '-' : folded(a.ptr[i]), y = b.ptr[i] == '_' ? '-' : folded(b.ptr[i]);
        if (x != y) return false;
    }
    return true;
}

bool protocol_passes(slice protocol)
{
    slice name = slice_sub(protocol, 0, slice_find(protocol, '/'));
    return !slice_equal_nocase(name, SLICE("h2c")) && !slice_equal_nocase(name, SLICE("h2")) &&
           !slice_equal_nocase(name, SLICE("http"));
}

/* --- what Connection names --- */

/* Fields that are for whoever gets the content: RFC 9110 7.6.1 forbids to name them, and a client that does
 * so would take from the server what it goes by. What the proxy writes itself needs no place here. */
static bool end_to_end(slice name)
{
    static const char *const prefixes[] = {"accept", "access-control-", "content-", "if-", "sec-"};
    static const char *const names[] = {
        "age",
        "allow",
        "authorization",
        "cache-control",
        "cookie",
        "etag",
        "expires",
        "from",
        "last-modified",
        "link",
        "location",
        "origin",
        "pragma",
        "range",
        "referer",
        "retry-after",
        "server",
        "set-cookie",
        "user-agent",
        "vary",
        "warning",
        "www-authenticate",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        slice prefix = slice_text(prefixes[i]);
        if (slice_equal_nocase(slice_sub(name, 0, prefix.len), prefix)) return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equal_nocase(name, slice_text(names[i]))) return true;
    }
    return false;
}

static void take_connection(struct field_pass *pass, slice value)
{
    slice option;
    while (pass->nominated_count < FIELD_NOMINATED_MAX && list_next(&value, &option)) {
        if (field_kind(option) != FIELD_OTHER || slice_equal_nocase(option, SLICE("close")) ||
            end_to_end(option))
            continue;
        pass->nominated[pass->nominated_count++] = option;
    }
}

static bool is_nominated(const struct field_pass *pass, slice name)
{
    for (size_t i = 0; i < pass->nominated_count; i++) {
        if (slice_equal_nocase(name, pass->nominated[i])) return true;
    }
    return false;
}

/* --- passing on --- */

/* Lengths of the names that a location sets, a bit for each. */
static uint64_t set_lengths(const struct config_location *location)
{
    uint64_t lengths = 0;
    for (size_t i = 0; location && i < location->field_count; i++)
        lengths |= UINT64_C(1) << (strlen(location->fields[i].name) & 63);
    return lengths;
}

static bool is_set(const struct config_location *location, slice name)
{
    for (size_t i = 0; i < location->field_count; i++) {
        if (field_same_name(slice_text(location->fields[i].name), name)) return true;
    }
    return false;
}

static size_t span_end(struct http_span span)
{
    return (size_t)span.at + span.len;
}

/* The line is "Name: value" or "Name:value" and its end, nothing else: it can be copied. */
static bool is_plain(const struct field_pass *pass, const struct http_field *field)
{
    size_t colon = span_end(field->name), end = span_end(field->value);
    size_t gap = field->value.at - colon;
    if (end + 1 >= pass->bytes.len || pass->bytes.ptr[end + 1] != '\n') return false;
    return gap == 1 || (gap == 2 && pass->bytes.ptr[colon + 1] == ' ');
}

/* Lines that lie together, as one copy; then the delimiters that may be NULs in it. */
static void put_lines(const struct field_pass *pass, size_t from, size_t to, struct writer *out)
{
    if (from == to) return;
    size_t begin = pass->fields[from].name.at, end = span_end(pass->fields[to - 1].value) + 2;
    size_t at = out->len;
    writer_put(out, slice_sub(pass->bytes, begin, end - begin));
    if (out->failed) return;
    uint8_t *copy = out->ptr + at;
    for (size_t i = from; i < to; i++) {
        copy[span_end(pass->fields[i].name) - begin] = ':';
        copy[span_end(pass->fields[i].value) - begin] = '\r';
    }
}

/* One pass over the fields. False: it met a Connection that names fields, which may have gone already. */
static bool pass_over(struct field_pass *pass, uint64_t lengths, struct writer *out)
{
    size_t from = 0, to = 0; /* lines that wait to be copied */
    size_t known = pass->nominated_count;
    pass->seen = pass->repeated = 0;
    for (size_t i = 0; i < pass->count; i++) {
        const struct http_field *field = &pass->fields[i];
        slice name = http_span_slice(pass->bytes, field->name);
        enum field_kind kind = field_kind(name);
        uint32_t bit = field_bit(kind);
        pass->repeated |= pass->seen & bit;
        if (!(pass->seen & bit)) pass->first[kind] = (uint16_t)i;
        pass->seen |= bit;
        if (kind == FIELD_CONNECTION && known == 0)
            take_connection(pass, http_span_slice(pass->bytes, field->value));
        if ((pass->held & bit) || (kind == FIELD_OTHER && known > 0 && is_nominated(pass, name)) ||
            ((lengths >> (name.len & 63) & 1) && is_set(pass->location, name)))
            continue;
        bool plain = is_plain(pass, field);
        if (from != to && to == i && plain && span_end(pass->fields[i - 1].value) + 2 == field->name.at) {
            to = i + 1;
            continue;
        }
        put_lines(pass, from, to, out);
        from = i;
        to = plain ? i + 1 : i;
        if (!plain) field_write(out, name, http_span_slice(pass->bytes, field->value));
    }
    put_lines(pass, from, to, out);
    return pass->nominated_count == known;
}

void fields_write(struct field_pass *pass, struct writer *out)
{
    uint64_t lengths = set_lengths(pass->location);
    size_t begin = out->len;
    pass->nominated_count = 0;
    if (pass_over(pass, lengths, out)) return;
    out->len = begin;
    (void)pass_over(pass, lengths, out);
}

/* --- values --- */

bool fields_join(const struct field_pass *pass, enum field_kind kind, struct writer *out)
{
    bool any = false;
    if (!(pass->seen & field_bit(kind))) return false;
    size_t count = pass->repeated & field_bit(kind) ? pass->count : pass->first[kind] + 1u;
    for (size_t i = pass->first[kind]; i < count; i++) {
        slice value = http_span_slice(pass->bytes, pass->fields[i].value);
        if (value.len == 0 || field_kind(http_span_slice(pass->bytes, pass->fields[i].name)) != kind)
            continue;
        if (any) writer_put(out, SLICE(", "));
        writer_put(out, value);
        any = true;
    }
    return any;
}

slice fields_only(const struct field_pass *pass, enum field_kind kind)
{
    if (!(pass->seen & ~pass->repeated & field_bit(kind))) return SLICE_EMPTY;
    return http_span_slice(pass->bytes, pass->fields[pass->first[kind]].value);
}
