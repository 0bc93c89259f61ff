#include "http/forwarded.h"
#include "http/param.h"
#include "http/token.h"
#include "http/url.h"

#include <string.h>

enum { ELEMENT_BYTES_MAX = 512 }; /* room for the longest name and address */

/* What one proxy said. */
struct hop {
    slice node; /* who asked it: an address, perhaps with a port; empty: not said */
    slice scheme, host;
};

/* --- the two kinds of fields --- */

static size_t find_last(slice s, uint8_t byte)
{
    for (size_t i = s.len; i > 0; i--) {
        if (s.ptr[i - 1] == byte) return i - 1;
    }
    return s.len;
}

/* The value of one pair of Forwarded; escapes, which none of the values needs, are not accepted. */
static bool take_pair(const struct param *p, struct hop *hop)
{
    slice *kept = slice_equal_nocase(p->name, SLICE("for"))     ? &hop->node
                  : slice_equal_nocase(p->name, SLICE("proto")) ? &hop->scheme
                  : slice_equal_nocase(p->name, SLICE("host"))  ? &hop->host
                                                                : NULL;
    if (!kept) return p->has_value;
    if (kept->ptr || !p->has_value || slice_find(p->value, '\\') < p->value.len) return false;
    *kept = p->value;
    return true;
}

static bool read_element(slice element, struct hop *out)
{
    struct hop hop = {0};
    struct param p;
    int rc;
    while ((rc = param_next(&element, &p)) == OK) {
        if (!take_pair(&p, &hop)) return false;
    }
    *out = hop;
    return rc == ERR_CLOSED;
}

/* Takes the last element of Forwarded off *rest. A comma may stand within quotes, which cannot be told from
 * the left, where a client may have left quotes open: so the element is the shortest end of the list that is
 * one. */
static bool take_standard(slice *rest, struct hop *out)
{
    slice list = slice_trim(*rest);
    while (list.len > 0 && list.ptr[list.len - 1] == ',') /* empty elements */
        list = slice_trim(slice_sub(list, 0, list.len - 1));
    size_t from = list.len;
    while (from > 0 && list.len - from <= ELEMENT_BYTES_MAX) {
        size_t comma = find_last(slice_sub(list, 0, from), ',');
        bool first = comma == from; /* there is no further comma */
        slice element = slice_trim(first ? list : slice_sub(list, comma + 1, list.len));
        if (element.len > 0 && element.len <= ELEMENT_BYTES_MAX && read_element(element, out)) {
            *rest = slice_sub(list, 0, first ? 0 : comma);
            return true;
        }
        if (first) break;
        from = comma;
    }
    return false;
}

/* Takes the last element of a plain list, where quotes mean nothing; false when there is none. */
static bool take_last(slice *rest, slice *out)
{
    *rest = slice_trim(*rest);
    if (rest->len == 0) return false;
    size_t comma = find_last(*rest, ',');
    bool only = comma == rest->len;
    *out = slice_trim(only ? *rest : slice_sub(*rest, comma + 1, rest->len));
    *rest = slice_sub(*rest, 0, only ? 0 : comma);
    return true;
}

/* What is left to read of each field; of the last two a single element stands for all hops. */
static bool take_x(struct forwarded_fields *rest, struct hop *hop)
{
    bool said = take_last(&rest->x_forwarded_for, &hop->node);
    if (take_last(&rest->x_forwarded_proto, &hop->scheme)) said = true;
    if (take_last(&rest->x_forwarded_host, &hop->host)) said = true;
    return said;
}

/* --- what they say --- */

static bool port_parse(slice text, uint16_t *out)
{
    uint64_t port = 0;
    if (text.len == 0 || text.ptr[0] != ':') return false;
    text = slice_sub(text, 1, text.len);
    bool hidden = text.len > 1 && text.ptr[0] == '_'; /* RFC 7239 6.3 */
    if (!hidden && !slice_to_u64(text, 65535, &port)) return false;
    *out = (uint16_t)port;
    return true;
}

/* "192.0.2.1:80", "[2001:db8::1]:80", both without port, or an IPv6 address as it is. */
static bool node_parse(slice node, struct forwarded *out)
{
    uint8_t address[IP_BYTES];
    uint16_t port = 0;
    slice host = node, rest = SLICE_EMPTY;
    size_t colon = slice_find(node, ':');
    if (node.len > 0 && node.ptr[0] == '[') {
        size_t end = slice_find(node, ']');
        if (end == node.len || colon > end) return false;
        host = slice_sub(node, 1, end - 1);
        rest = slice_sub(node, end + 1, node.len);
    } else if (colon < node.len && find_last(node, ':') == colon) {
        host = slice_sub(node, 0, colon);
        rest = slice_sub(node, colon, node.len);
    }
    if (ip_parse(host, address) < 0 || (rest.len > 0 && !port_parse(rest, &port))) return false;
    memcpy(out->address, address, sizeof address);
    out->port = port;
    return true;
}

/* Some proxies say ws and wss. */
static slice scheme_of(slice text)
{
    if (slice_equal_nocase(text, SLICE("https")) || slice_equal_nocase(text, SLICE("wss")))
        return SLICE("https");
    if (slice_equal_nocase(text, SLICE("http")) || slice_equal_nocase(text, SLICE("ws")))
        return SLICE("http");
    return SLICE_EMPTY;
}

void forwarded_resolve(const struct forwarded_fields *fields, const uint8_t peer[IP_BYTES],
                       const struct ip_network *trusted, size_t trusted_count, struct forwarded *out)
{
    struct forwarded_fields rest = *fields;
    bool standard = fields->kind == FORWARDED_STANDARD;
    *out = (struct forwarded){0};
    memcpy(out->address, peer, IP_BYTES);
    for (int i = 0; i < FORWARDED_HOPS_MAX && ip_networks_have(trusted, trusted_count, out->address); i++) {
        struct hop hop = {0};
        bool said = standard ? take_standard(&rest.forwarded, &hop) : take_x(&rest, &hop);
        if (!said) break;
        /* Of several proxies the outermost that says it saw what the client did. */
        slice scheme = scheme_of(hop.scheme);
        if (scheme.len > 0) out->scheme = scheme;
        if (url_authority_valid(hop.host)) out->host = hop.host;
        out->believed = true;
        if (!node_parse(hop.node, out)) break;
    }
}
