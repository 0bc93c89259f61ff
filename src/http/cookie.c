#include "http/cookie.h"
#include "http/token.h"

static slice trim_quotes(slice value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        return slice_sub(value, 1, value.len - 2);
    return value;
}

bool cookie_find(slice field, slice name, slice *out_value)
{
    slice pair;
    while (slice_split(&field, ';', &pair)) {
        pair = slice_trim(pair);
        size_t equals = slice_find(pair, '=');
        if (equals == pair.len || !slice_equal(slice_trim(slice_sub(pair, 0, equals)), name)) continue;
        *out_value = trim_quotes(slice_trim(slice_sub(pair, equals + 1, pair.len)));
        return true;
    }
    return false;
}

/* cookie-octet of RFC 6265 4.1.1 */
static bool value_valid(slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == ',' || c == ';' || c == '\\') return false;
    }
    return true;
}

static bool path_valid(slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] < ' ' || path.ptr[i] >= 0x7F || path.ptr[i] == ';') return false;
    }
    return path.len > 0 && path.ptr[0] == '/';
}

int cookie_write(struct buffer *out, const struct cookie *c)
{
    if (!token_valid(c->name) || !value_valid(c->value) || !path_valid(c->path)) return ERR_INVALID;
    buffer_text(out, "Set-Cookie: ");
    buffer_put(out, c->name);
    buffer_byte(out, '=');
    buffer_put(out, c->value);
    buffer_text(out, "; Path=");
    buffer_put(out, c->path);
    if (c->max_age_s >= 0) {
        buffer_text(out, "; Max-Age=");
        buffer_u64(out, (uint64_t)c->max_age_s);
    }
    if (c->http_only) buffer_text(out, "; HttpOnly");
    if (c->secure) buffer_text(out, "; Secure");
    static const char *const same_site[] = {"; SameSite=Lax\r\n", "; SameSite=Strict\r\n",
                                            "; SameSite=None\r\n"};
    buffer_text(out, same_site[c->same_site]);
    return out->failed ? ERR_MEMORY : OK;
}
