#include "http/token.h"
#include "proxy/rewrite.h"
#include "proxy/rewrite_fields.h"
#include "proxy/rewrite_path.h"

#include <string.h>

/* What goes for one connection only, or is written anew. Via is added to: it is a list. */
enum {
    REQUEST_HOP = 1u << FIELD_HOP | 1u << FIELD_CONNECTION | 1u << FIELD_TE | 1u << FIELD_TRAILER |
                  1u << FIELD_UPGRADE | 1u << FIELD_LENGTH,
    REQUEST_OURS = 1u << FIELD_HOST | 1u << FIELD_FORWARDED | 1u << FIELD_X_FOR | 1u << FIELD_X_PROTO |
                   1u << FIELD_X_HOST | 1u << FIELD_X_PORT | 1u << FIELD_X_REAL_IP | 1u << FIELD_X_REQUEST_ID,
};

struct rewriting {
    const struct rewrite_request *in;
    struct field_pass pass;
    uint32_t set; /* kinds that the location sets, a bit for each */
    struct writer *out;
};

static slice method_of(const struct rewrite_request *in)
{
    return http_span_slice(in->bytes, in->head->method);
}

static void put(struct rewriting *r, slice text)
{
    writer_put(r->out, text);
}

/* --- the request line --- */

/* The path of the server in the place of the prefix of the block that names it. */
static int put_moved_path(struct rewriting *r)
{
    slice prefix = slice_text(r->in->location->group->prefix), base = slice_text(r->in->server->path);
    if (!slice_starts(r->in->path, prefix)) return ERR_MALFORMED;
    slice rest = slice_sub(r->in->path, prefix.len, r->in->path.len);
    bool slash = rest.len > 0 && rest.ptr[0] == '/';
    bool has_slash = base.len > 0 && base.ptr[base.len - 1] == '/';
    put(r, base);
    if (slash && has_slash) rest = slice_sub(rest, 1, rest.len);
    if (rest.len > 0 && !slash && !has_slash) writer_byte(r->out, '/');
    path_encode(r->out, rest);
    return OK;
}

static int put_target(struct rewriting *r)
{
    const struct rewrite_request *in = r->in;
    const struct http_head *head = in->head;
    slice path = http_span_slice(in->bytes, head->path);
    /* "http://host": its path is the second '/' of "://". What follows the path there is the authority. */
    bool no_path = (size_t)head->path.at + 1 == head->authority.at;
    size_t after =
        no_path ? (size_t)head->authority.at + head->authority.len : (size_t)head->path.at + head->path.len;
    size_t end = (size_t)head->target.at + head->target.len;
    bool has_query = after < end;
    if (slice_equal(path, SLICE("*")) ||
        (no_path && !has_query && slice_equal(method_of(in), SLICE("OPTIONS")))) {
        put(r, SLICE("*")); /* RFC 9112 3.2.4 */
        return OK;
    }
    if (in->server->path) {
        int rc = put_moved_path(r);
        if (rc < 0) return rc;
    } else if (path_is_unambiguous(path)) {
        put(r, path);
    } else {
        path_encode(r->out, in->path);
    }
    if (has_query) {
        writer_byte(r->out, '?');
        put(r, slice_sub(in->bytes, after + 1, end - after - 1));
    }
    return OK;
}

/* --- who the client is --- */

/* What trusted proxies said of this kind goes first. False: they said nothing. */
static bool put_said(struct rewriting *r, enum field_kind kind)
{
    bool standard = kind == FIELD_FORWARDED;
    return r->in->trusted && r->in->trust_forwarded == standard && fields_join(&r->pass, kind, r->out);
}

/* The peer is a proxy, which has said who the client is, in this or another field. */
static bool client_is_further(const struct rewriting *r)
{
    return r->in->trusted && !slice_equal(r->in->address, r->in->peer);
}

static void put_forwarded_for(struct rewriting *r)
{
    bool any = put_said(r, FIELD_X_FOR);
    if (!any && client_is_further(r)) {
        put(r, r->in->address);
        any = true;
    }
    if (any) put(r, SLICE(", "));
    put(r, r->in->peer);
}

/* "for=192.0.2.1", "for=\"[2001:db8::1]\"" (RFC 7239 6). */
static void put_node(struct rewriting *r, slice address)
{
    bool v6 = slice_find(address, ':') < address.len;
    put(r, v6 ? SLICE("for=\"[") : SLICE("for="));
    put(r, address);
    if (v6) put(r, SLICE("]\""));
}

/* What the client named, to us or to the first proxy that it came to. */
static slice named_host(const struct rewrite_request *in)
{
    return in->told_host.len > 0 ? in->told_host : in->host;
}

/* A name of DNS with a port. What is longer is nobody's, and readers of Forwarded have limits. */
enum { NAME_BYTES_MAX = 253 + 6 };

/* The element of the proxy that the client itself came to. */
static void put_first_element(struct rewriting *r, slice address)
{
    slice host = named_host(r->in);
    bool quoted = host.len > 0 && !token_valid(host);
    put_node(r, address);
    if (host.len > 0 && host.len <= NAME_BYTES_MAX) {
        put(r, quoted ? SLICE(";host=\"") : SLICE(";host="));
        put(r, host);
        if (quoted) put(r, SLICE("\""));
    }
    put(r, SLICE(";proto="));
    put(r, r->in->scheme);
}

/* An open quote would swallow what is added. */
static bool quotes_closed(slice list)
{
    bool quoted = false;
    for (size_t i = 0; i < list.len; i++) {
        if (quoted && list.ptr[i] == '\\')
            i++;
        else if (list.ptr[i] == '"')
            quoted = !quoted;
    }
    return !quoted;
}

static void put_forwarded(struct rewriting *r)
{
    size_t begin = r->out->len;
    put(r, SLICE("Forwarded: "));
    size_t value = r->out->len;
    bool said = put_said(r, FIELD_FORWARDED);
    if (said && !r->out->failed && !quotes_closed(slice_sub(writer_slice(r->out), value, r->out->len))) {
        r->out->len = begin + sizeof "Forwarded: " - 1;
        said = false;
    }
    if (!said && client_is_further(r)) {
        put_first_element(r, r->in->address);
        said = true;
    }
    if (said) {
        put(r, SLICE(", "));
        put_node(r, r->in->peer);
    } else {
        put_first_element(r, r->in->peer);
    }
    put(r, SLICE("\r\n"));
}

/* The port after the host, if there is one. */
static slice port_of(slice authority)
{
    for (size_t i = authority.len; i > 0 && authority.ptr[i - 1] != ']'; i--) {
        if (authority.ptr[i - 1] == ':') return slice_sub(authority, i, authority.len);
    }
    return SLICE_EMPTY;
}

/* The port that the client came to. */
static void put_forwarded_port(struct rewriting *r)
{
    const struct rewrite_request *in = r->in;
    uint64_t number;
    slice said = fields_only(&r->pass, FIELD_X_PORT), port = port_of(named_host(in));
    put(r, SLICE("X-Forwarded-Port: "));
    if (!in->trusted)
        writer_u64(r->out, in->local_port);
    else if (!in->trust_forwarded && slice_to_u64(said, 65535, &number))
        writer_u64(r->out, number);
    else if (slice_to_u64(port, 65535, &number))
        writer_u64(r->out, number);
    else
        put(r, slice_equal(in->scheme, SLICE("https")) ? SLICE("443") : SLICE("80"));
    put(r, SLICE("\r\n"));
}

static bool is_ours(const struct rewriting *r, enum field_kind kind)
{
    return !(r->set & field_bit(kind));
}

static void put_client(struct rewriting *r)
{
    const struct rewrite_request *in = r->in;
    if (is_ours(r, FIELD_X_FOR)) {
        put(r, SLICE("X-Forwarded-For: "));
        put_forwarded_for(r);
        put(r, SLICE("\r\n"));
    }
    if (is_ours(r, FIELD_X_PROTO)) field_write(r->out, SLICE("X-Forwarded-Proto"), in->scheme);
    if (is_ours(r, FIELD_X_HOST) && named_host(in).len > 0)
        field_write(r->out, SLICE("X-Forwarded-Host"), named_host(in));
    if (is_ours(r, FIELD_X_PORT)) put_forwarded_port(r);
    if (is_ours(r, FIELD_X_REAL_IP)) field_write(r->out, SLICE("X-Real-IP"), in->address);
    if (is_ours(r, FIELD_FORWARDED)) put_forwarded(r);
    if (is_ours(r, FIELD_X_REQUEST_ID) && in->request_id.len > 0)
        field_write(r->out, SLICE("X-Request-Id"), in->request_id);
}

/* --- what the location sets --- */

/* All values of a field that the client sent, as one list (cookies their own way, RFC 9113 8.2.3). */
static void put_sent(struct rewriting *r, slice wanted)
{
    bool any = false, cookie = slice_equal_nocase(wanted, SLICE("cookie"));
    for (size_t i = 0; i < r->pass.count; i++) {
        slice value = http_span_slice(r->in->bytes, r->pass.fields[i].value);
        if (value.len == 0 ||
            !slice_equal_nocase(http_span_slice(r->in->bytes, r->pass.fields[i].name), wanted))
            continue;
        if (any) put(r, cookie ? SLICE("; ") : SLICE(", "));
        put(r, value);
        any = true;
    }
}

static void put_piece(struct rewriting *r, const struct config_piece *piece)
{
    const struct rewrite_request *in = r->in;
    switch (piece->variable) {
    case VARIABLE_NONE: put(r, slice_text(piece->text)); break;
    case VARIABLE_HOST: put(r, in->host); break;
    case VARIABLE_REMOTE_ADDR: put(r, in->address); break;
    case VARIABLE_REMOTE_PORT:
        if (in->port) writer_u64(r->out, in->port);
        break;
    case VARIABLE_SCHEME: put(r, in->scheme); break;
    case VARIABLE_REQUEST_ID: put(r, in->request_id); break;
    case VARIABLE_PROXY_HOST: put(r, in->server_authority); break;
    case VARIABLE_FORWARDED_FOR: put_forwarded_for(r); break;
    case VARIABLE_HTTP: put_sent(r, slice_text(piece->text)); break;
    }
}

/* One that has no value is not sent. False then. */
static bool put_set_field(struct rewriting *r, const struct config_field *field)
{
    size_t begin = r->out->len;
    put(r, slice_text(field->name));
    put(r, SLICE(": "));
    size_t value = r->out->len;
    for (size_t i = 0; i < field->piece_count; i++)
        put_piece(r, &field->pieces[i]);
    slice text = r->out->failed ? SLICE_EMPTY : slice_sub(writer_slice(r->out), value, r->out->len);
    if (slice_trim(text).len == 0) {
        r->out->len = begin;
        return false;
    }
    put(r, SLICE("\r\n"));
    return true;
}

/* The last one of a name goes. */
static bool set_again(const struct config_location *location, size_t index)
{
    slice name = slice_text(location->fields[index].name);
    for (size_t i = index + 1; i < location->field_count; i++) {
        if (field_same_name(name, slice_text(location->fields[i].name))) return true;
    }
    return false;
}

/* Those of one kind (Host), or all others. What frames the message or goes for the connection is not the
 * location's to say. */
static bool put_set_fields(struct rewriting *r, bool host)
{
    const struct config_location *location = r->in->location;
    bool any = false;
    for (size_t i = 0; i < location->field_count; i++) {
        enum field_kind kind = field_kind(slice_text(location->fields[i].name));
        if ((kind == FIELD_HOST) != host || (REQUEST_HOP & field_bit(kind)) || set_again(location, i))
            continue;
        if (put_set_field(r, &location->fields[i])) any = true;
    }
    return any;
}

static uint32_t set_kinds(const struct config_location *location)
{
    uint32_t kinds = 0;
    for (size_t i = 0; i < location->field_count; i++)
        kinds |= field_bit(field_kind(slice_text(location->fields[i].name)));
    return kinds;
}

/* A request without Host is none (RFC 9112 3.2). */
static void put_host(struct rewriting *r)
{
    const struct rewrite_request *in = r->in;
    if (!is_ours(r, FIELD_HOST) && put_set_fields(r, true)) return;
    bool own = !is_ours(r, FIELD_HOST) || in->host.len == 0;
    field_write(r->out, SLICE("Host"), own ? in->server_authority : in->host);
}

/* --- the connection and the body --- */

/* False: there is nothing to upgrade to. */
static bool put_upgrade(struct rewriting *r)
{
    bool any = false;
    const struct field_pass *pass = &r->pass;
    if (!r->in->upgrade || !(pass->seen & field_bit(FIELD_UPGRADE))) return false;
    for (size_t i = pass->first[FIELD_UPGRADE]; i < pass->count; i++) {
        slice list = http_span_slice(pass->bytes, pass->fields[i].value), protocol;
        if (field_kind(http_span_slice(pass->bytes, pass->fields[i].name)) != FIELD_UPGRADE) continue;
        while (list_next(&list, &protocol)) {
            if (!protocol_passes(protocol)) continue;
            put(r, any ? SLICE(", ") : SLICE("Upgrade: "));
            put(r, protocol);
            any = true;
        }
    }
    if (any) put(r, SLICE("\r\n"));
    return any;
}

static bool takes_trailers(const struct rewriting *r)
{
    const struct field_pass *pass = &r->pass;
    if (!(pass->seen & field_bit(FIELD_TE))) return false;
    for (size_t i = pass->first[FIELD_TE]; i < pass->count; i++) {
        if (field_kind(http_span_slice(pass->bytes, pass->fields[i].name)) == FIELD_TE &&
            list_has(http_span_slice(pass->bytes, pass->fields[i].value), SLICE("trailers")))
            return true;
    }
    return false;
}

static void put_connection(struct rewriting *r)
{
    bool upgrade = put_upgrade(r), trailers = takes_trailers(r);
    if (trailers) put(r, SLICE("TE: trailers\r\n"));
    if (upgrade || trailers)
        put(r, upgrade && trailers ? SLICE("Connection: Upgrade, TE\r\n")
               : upgrade           ? SLICE("Connection: Upgrade\r\n")
                                   : SLICE("Connection: TE\r\n"));
    if (r->in->body == HTTP_BODY_LENGTH) {
        put(r, SLICE("Content-Length: "));
        writer_u64(r->out, r->in->content_length);
        put(r, SLICE("\r\n"));
    } else if (r->in->body == HTTP_BODY_CHUNKED) {
        put(r, SLICE("Transfer-Encoding: chunked\r\n"));
    }
}

/* RFC 9110 7.6.2: of OPTIONS and TRACE it is counted down. */
static void put_max_forwards(struct rewriting *r)
{
    uint64_t number;
    if (!slice_to_u64(fields_only(&r->pass, FIELD_MAX_FORWARDS), UINT32_MAX, &number)) return;
    put(r, SLICE("Max-Forwards: "));
    writer_u64(r->out, number > 0 ? number - 1 : 0);
    put(r, SLICE("\r\n"));
}

/* --- the whole --- */

static bool counts_forwards(slice method)
{
    return slice_equal(method, SLICE("OPTIONS")) || slice_equal(method, SLICE("TRACE"));
}

size_t rewrite_request_bound(const struct rewrite_request *in)
{
    const struct http_head *head = in->head;
    /* Of all fields that came: the lines, each with a space more; what is added once. */
    size_t bound = REWRITE_FIXED_BYTES + in->bytes.len + head->field_count + 3 * in->path.len +
                   5 * (in->host.len + in->told_host.len) + 4 * in->address.len + 4 * in->peer.len +
                   in->request_id.len + in->pseudonym.len + in->server_authority.len + 4 * in->scheme.len;
    if (in->server->path) bound += strlen(in->server->path);
    for (size_t i = 0; i < in->location->field_count; i++) {
        const struct config_field *field = &in->location->fields[i];
        bound += strlen(field->name) + 4;
        for (size_t k = 0; k < field->piece_count; k++) {
            const struct config_piece *piece = &field->pieces[k];
            if (piece->variable == VARIABLE_NONE)
                bound += strlen(piece->text);
            else if (piece->variable == VARIABLE_HTTP || piece->variable == VARIABLE_FORWARDED_FOR)
                bound += in->bytes.len + in->address.len + in->peer.len + 4;
            else
                bound += in->host.len + in->address.len + in->scheme.len + in->request_id.len +
                         in->server_authority.len + 5;
        }
    }
    return bound;
}

int rewrite_request(const struct rewrite_request *in, struct writer *out)
{
    const struct http_head *head = in->head;
    struct rewriting r; /* not cleared: results are most of it */
    r.in = in;
    r.out = out;
    r.set = in->location->field_count ? set_kinds(in->location) : 0;
    r.pass.bytes = in->bytes;
    r.pass.fields = head->fields;
    r.pass.count = head->field_count;
    r.pass.location = in->location;
    bool counts = counts_forwards(method_of(in));
    r.pass.held = REQUEST_HOP | REQUEST_OURS | field_bit(FIELD_DISGUISED) | field_bit(FIELD_SECRET);
    if (in->body == HTTP_BODY_CHUNKED) r.pass.held &= ~field_bit(FIELD_TRAILER);
    if (!in->trusted) r.pass.held |= field_bit(FIELD_X_CLAIM);
    if (counts) r.pass.held |= field_bit(FIELD_MAX_FORWARDS);

    put(&r, method_of(in));
    writer_byte(out, ' ');
    int rc = put_target(&r);
    if (rc < 0) return rc;
    put(&r, SLICE(" HTTP/1.1\r\n"));
    put_host(&r);
    fields_write(&r.pass, out);
    put_connection(&r);
    if (counts && is_ours(&r, FIELD_MAX_FORWARDS)) put_max_forwards(&r);
    put_client(&r);
    if (in->location->field_count) (void)put_set_fields(&r, false);
    if (is_ours(&r, FIELD_VIA)) {
        put(&r, head->minor ? SLICE("Via: 1.1 ") : SLICE("Via: 1.0 "));
        put(&r, in->pseudonym);
        put(&r, SLICE("\r\n"));
    }
    put(&r, SLICE("\r\n"));
    return out->failed ? ERR_FULL : OK;
}
