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

/* Splits at the colon before the port; false when host or port have a bad form. *out_port is empty when there
 * is none. */
static bool authority_split(slice authority, slice *out_host, slice *out_port)
{
    size_t end;
    if (authority.len > 0 && authority.ptr[0] == '[') {
        end = slice_find(authority, ']') + 1;
        if (end > authority.len || end < 4) return false;
        for (size_t i = 1; i < end - 1; i++) {
            uint8_t c = authority.ptr[i];
            if (!host_char(c) && c != ':') return false;
        }
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

bool url_origin_matches(slice origin, slice authority)
{
    size_t colon = slice_find(origin, ':');
    slice scheme = slice_sub(origin, 0, colon), rest = slice_sub(origin, colon, origin.len);
    bool http = slice_equal_nocase(scheme, SLICE("http")), https = slice_equal_nocase(scheme, SLICE("https"));
    if ((!http && !https) || !slice_starts(rest, SLICE("://"))) return false;
    slice host_a, port_a, host_b, port_b;
    if (!authority_split(slice_sub(rest, 3, rest.len), &host_a, &port_a)) return false;
    if (!authority_split(authority, &host_b, &port_b)) return false;
    uint64_t own = http ? 80 : 443, a = own, b = own;
    if (port_a.len && !slice_to_u64(port_a, 65535, &a)) return false;
    if (port_b.len && !slice_to_u64(port_b, 65535, &b)) return false;
    return a == b && slice_equal_nocase(host_a, host_b);
}
