#include "http/url.h"

#include "base/hex.h"

int url_decode(slice text, bool plus, uint8_t *out, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '%') {
            if (hex_decode(slice_sub(text, i + 1, 2), &c, 1) < 0 || c == 0) return ERR_MALFORMED;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        } else if (c == 0) {
            return ERR_MALFORMED;
        }
        out[n++] = c;
    }
    *out_len = n;
    return OK;
}

bool url_pair_next(slice *rest, slice *out_name, slice *out_value)
{
    slice pair;
    while (slice_split(rest, '&', &pair)) {
        if (pair.len == 0) continue;
        size_t equals = slice_find(pair, '=');
        *out_name = slice_sub(pair, 0, equals);
        *out_value = slice_sub(pair, equals + 1, pair.len);
        return true;
    }
    return false;
}

static bool host_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool port_valid(slice port)
{
    uint64_t number;
    return port.len == 0 || slice_to_u64(port, 65535, &number); /* RFC 3986 3.2.3: it may be empty */
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Four numbers up to 255 without leading zeros. */
static bool ipv4_valid(slice text)
{
    slice octet;
    uint64_t number;
    size_t count = 0;
    while (slice_split(&text, '.', &octet)) {
        if (!slice_to_u64(octet, 255, &number) || (octet.len > 1 && octet.ptr[0] == '0')) return false;
        count++;
    }
    return count == 4;
}

/* IPv6address of RFC 3986 3.2.2: eight groups, a run of which may be "::", the last two an IPv4 address. */
static bool ipv6_valid(slice text)
{
    size_t groups = 0, at = 0;
    bool gap = slice_starts(text, SLICE("::"));
    if (gap) at = 2;
    while (at < text.len) {
        slice rest = slice_sub(text, at, text.len);
        size_t len = slice_find(rest, ':');
        if (len == rest.len && slice_find(rest, '.') < rest.len) {
            groups += 2;
            if (!ipv4_valid(rest)) return false;
            break;
        }
        for (size_t i = 0; i < len; i++) {
            if (i == 4 || !is_hex(rest.ptr[i])) return false;
        }
        if (len == 0 || len + 1 == rest.len) return false; /* a colon at the start or the end */
        groups++;
        at += len + 1;
        if (at < text.len && text.ptr[at] == ':') {
            if (gap) return false;
            gap = true;
            at++;
        }
    }
    return gap ? groups <= 7 : groups == 8;
}

/* What stands between the brackets: an IPv6 address, or "v", a version, "." and what that version says. */
static bool literal_valid(slice text)
{
    if (text.len == 0 || (text.ptr[0] | 0x20) != 'v') return ipv6_valid(text);
    size_t dot = slice_find(text, '.');
    if (dot < 2 || dot + 1 >= text.len) return false;
    for (size_t i = 1; i < dot; i++) {
        if (!is_hex(text.ptr[i])) return false;
    }
    for (size_t i = dot + 1; i < text.len; i++) {
        if (!host_char(text.ptr[i]) && text.ptr[i] != ':') return false;
    }
    return true;
}

/* Splits at the colon before the port; false when host or port have a bad form. *out_port is empty when there
 * is none. */
static bool authority_split(slice authority, slice *out_host, slice *out_port)
{
    size_t end;
    if (authority.len > 0 && authority.ptr[0] == '[') {
        end = slice_find(authority, ']') + 1;
        if (end > authority.len || !literal_valid(slice_sub(authority, 1, end - 2))) return false;
    } else {
        end = slice_find(authority, ':');
        for (size_t i = 0; i < end; i++) {
            if (!host_char(authority.ptr[i])) return false;
        }
    }
    if (end == 0) return false;
    *out_host = slice_sub(authority, 0, end);
    *out_port = slice_sub(authority, end + 1, authority.len);
    return end == authority.len || (authority.ptr[end] == ':' && port_valid(*out_port));
}

bool url_authority_valid(slice authority)
{
    slice host, port;
    return authority_split(authority, &host, &port);
}

static uint64_t port_of(slice port, uint16_t without)
{
    uint64_t number = without;
    return slice_to_u64(port, 65535, &number) ? number : without;
}

bool url_authority_same(slice a, slice b, uint16_t port)
{
    slice host_a, port_a, host_b, port_b;
    if (!authority_split(a, &host_a, &port_a) || !authority_split(b, &host_b, &port_b)) return false;
    return slice_equal_nocase(host_a, host_b) && port_of(port_a, port) == port_of(port_b, port);
}

bool url_origin_matches(slice origin, slice authority)
{
    size_t colon = slice_find(origin, ':');
    slice scheme = slice_sub(origin, 0, colon), rest = slice_sub(origin, colon, origin.len);
    bool https = slice_equal_nocase(scheme, SLICE("https"));
    if ((!https && !slice_equal_nocase(scheme, SLICE("http"))) || !slice_starts(rest, SLICE("://")))
        return false;
    return url_authority_same(slice_sub(rest, 3, rest.len), authority, https ? 443 : 80);
}
