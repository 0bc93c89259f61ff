#include "http/url.h"

#include "base/hex.h"
#include "http/ip.h"
#include "http/token.h"

int url_decode(slice text, bool plus, uint8_t *out, size_t *out_len)
{
    size_t n = 0;
    if (!plus && slice_find(text, '%') == text.len && slice_find(text, 0) == text.len) {
        if (text.len) memcpy(out, text.ptr, text.len); /* the usual case: nothing is encoded */
        *out_len = text.len;
        return OK;
    }
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

static bool port_valid(slice port)
{
    uint64_t number;
    return port.len == 0 || slice_to_u64(port, 65535, &number); /* RFC 3986 3.2.3: it may be empty */
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool ipv6_valid(slice text)
{
    uint8_t address[IP_BYTES];
    return slice_find(text, ':') < text.len && ip_parse(text, address) == OK;
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
        if (!unreserved_char(text.ptr[i]) && text.ptr[i] != ':') return false;
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
            if (!unreserved_char(authority.ptr[i])) return false;
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

/* --- whole URLs --- */

bool url_target_valid(slice target)
{
    size_t mark = slice_find(target, '?');
    for (size_t i = 0; i < target.len; i++) {
        if (!target_char(target.ptr[i], i > mark)) return false;
    }
    return true;
}

/* Takes "http://" or one of its kin off *text. */
static bool take_scheme(slice *text, struct url *url)
{
    static const struct {
        const char *name;
        enum url_scheme scheme;
        bool secure;
    } schemes[] = {
        {"http", URL_HTTP, false}, {"https", URL_HTTPS, true}, {"ws", URL_WS, false}, {"wss", URL_WSS, true}};
    size_t colon = slice_find(*text, ':');
    slice name = slice_sub(*text, 0, colon), rest = slice_sub(*text, colon, text->len);
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (!slice_equal_nocase(name, slice_text(schemes[i].name))) continue;
        url->scheme = schemes[i].scheme;
        url->secure = schemes[i].secure;
        *text = slice_sub(rest, 3, rest.len);
        return slice_starts(rest, SLICE("://"));
    }
    return false;
}

static int take_authority(slice authority, struct url *url)
{
    slice host, port;
    uint16_t own = url->secure ? 443 : 80;
    if (!authority_split(authority, &host, &port)) return ERR_MALFORMED;
    uint64_t number = port_of(port, own);
    if (number == 0) return ERR_MALFORMED;
    url->port = (uint16_t)number;
    url->authority = number == own ? host : authority;
    url->host_is_v6 = host.ptr[0] == '[';
    url->host = url->host_is_v6 ? slice_sub(host, 1, host.len - 2) : host;
    return url->host_is_v6 && !ipv6_valid(url->host) ? ERR_MALFORMED : OK;
}

int url_parse(slice text, struct url *out)
{
    struct url url = {0};
    if (!take_scheme(&text, &url)) return ERR_PROTOCOL;
    text = slice_sub(text, 0, slice_find(text, '#'));
    size_t end = 0;
    while (end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?')
        end++;
    int rc = take_authority(slice_sub(text, 0, end), &url);
    if (rc < 0) return rc;
    slice target = slice_sub(text, end, text.len);
    size_t mark = slice_find(target, '?');
    url.path = mark > 0 ? slice_sub(target, 0, mark) : SLICE("/");
    url.has_query = mark < target.len;
    url.query = slice_sub(target, mark + 1, target.len);
    if (!url_target_valid(target)) return ERR_MALFORMED;
    *out = url;
    return OK;
}

void url_target_write(struct buffer *out, const struct url *url)
{
    buffer_put(out, url->path);
    if (!url->has_query) return;
    buffer_byte(out, '?');
    buffer_put(out, url->query);
}

/* --- encoding --- */

static bool is_unreserved(uint8_t c)
{
    return unreserved_char(c); /* RFC 3986 2.3 */
}

static void put_encoded(struct buffer *out, slice text, slice also)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (is_unreserved(c) || slice_find(also, c) < also.len) {
            buffer_byte(out, c);
            continue;
        }
        buffer_byte(out, '%');
        buffer_byte(out, (uint8_t)digits[c >> 4]);
        buffer_byte(out, (uint8_t)digits[c & 15]);
    }
}

void url_encode_path(struct buffer *out, slice path)
{
    put_encoded(out, path, SLICE("/!$&'()*+,;=:@"));
}

void url_encode_component(struct buffer *out, slice text)
{
    put_encoded(out, text, SLICE_EMPTY);
}
