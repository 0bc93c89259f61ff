#include "http/chunked.h"
#include "http/token.h"

enum state {
    SIZE,       /* digits of the size */
    NAME_START, /* of an extension, after ';' */
    NAME,
    NAME_END, /* space after it */
    VALUE_START,
    VALUE,
    VALUE_END, /* space after it */
    QUOTED,
    ESCAPED,
    UNQUOTED, /* after the closing quote */
    SIZE_LF,  /* after the CR of the size line */
    DATA,     /* `left` bytes */
    DATA_CR,  /* the line end after the data */
    DATA_LF,
    TRAILER,      /* at the start of a trailer line */
    TRAILER_LINE, /* within it */
    TRAILER_LF,   /* after its CR */
    END_LF,       /* after the CR of the empty line */
    ENDED,
};

void http_chunked_init(struct http_chunked *c, uint64_t body_bytes_max)
{
    *c = (struct http_chunked){.state = SIZE, .body_bytes_max = body_bytes_max};
}

void http_chunked_keep_trailers(struct http_chunked *c, struct buffer *trailers)
{
    c->trailers = trailers;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int size_byte(struct http_chunked *c, uint8_t byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (++c->digits > 8) return ERR_TOO_LARGE;
        c->left = c->left << 4 | (uint64_t)digit;
        return OK;
    }
    if (c->digits == 0 || (byte != ';' && byte != '\r')) return ERR_MALFORMED;
    if (c->left > c->body_bytes_max - c->total) return ERR_TOO_LARGE;
    c->total += c->left;
    c->spent = 0;
    c->state = byte == ';' ? NAME_START : SIZE_LF;
    return OK;
}

/* What follows a name or value: where it goes on, or -1. */
static int extension_next(uint8_t byte, bool named, bool spaced)
{
    if (byte == ';') return NAME_START;
    if (byte == '=' && named) return VALUE_START;
    if (byte == '\r' && !spaced) return SIZE_LF;
    if (byte == ' ' || byte == '\t') return named ? NAME_END : VALUE_END;
    return -1;
}

/* RFC 9112 7.1.1: ";name", ";name=token" or ";name="quoted string"", with space around ';' and '='. */
static int extension_state(enum state state, uint8_t byte)
{
    bool space = byte == ' ' || byte == '\t', token = token_char(byte);
    switch (state) {
    case NAME_START: return space ? NAME_START : token ? NAME : -1;
    case NAME: return token ? NAME : extension_next(byte, true, false);
    case NAME_END: return extension_next(byte, true, true);
    case VALUE_START: return space ? VALUE_START : byte == '"' ? QUOTED : token ? VALUE : -1;
    case VALUE: return token ? VALUE : extension_next(byte, false, false);
    case VALUE_END: return extension_next(byte, false, true);
    case QUOTED:
        if (byte == '"') return UNQUOTED;
        return byte == '\\' ? ESCAPED : field_value_char(byte) ? QUOTED : -1;
    case ESCAPED: return field_value_char(byte) ? QUOTED : -1;
    case UNQUOTED: return extension_next(byte, false, false);
    default: return -1;
    }
}

static int extension_byte(struct http_chunked *c, uint8_t byte)
{
    if (++c->spent > CHUNKED_EXTENSION_BYTES_MAX) return ERR_TOO_LARGE;
    /* Many short chunks with long extensions must not be a way to send much for little. */
    if (++c->extension_bytes > CHUNKED_EXTENSIONS_FREE + c->total) return ERR_TOO_LARGE;
    int next = extension_state((enum state)c->state, byte);
    if (next < 0) return ERR_MALFORMED;
    c->state = (uint8_t)next;
    return OK;
}

static int keep(struct http_chunked *c, uint8_t byte)
{
    if (!c->trailers) return OK;
    int rc = buffer_reserve(c->trailers, 1);
    if (rc < 0) return rc == ERR_FULL ? ERR_TOO_LARGE : rc;
    buffer_byte(c->trailers, byte);
    return OK;
}

/* A trailer line is complete: it stays, ended by a line feed, or goes. */
static int keep_line(struct http_chunked *c)
{
    if (!c->trailers) return OK;
    slice line = slice_sub(buffer_slice(c->trailers), c->trailer_line, SIZE_MAX);
    if (http_trailer_allowed(slice_sub(line, 0, slice_find(line, ':')))) return keep(c, '\n');
    c->trailers->len = c->trailer_line;
    return OK;
}

static int trailer_byte(struct http_chunked *c, uint8_t byte)
{
    if (++c->spent > CHUNKED_TRAILER_BYTES_MAX) return ERR_TOO_LARGE;
    if (c->state == TRAILER) {
        c->trailer_colon = false;
        c->trailer_line = c->trailers ? c->trailers->len : 0;
        c->state = byte == '\r' ? END_LF : TRAILER_LINE;
        if (byte == '\r') return OK;
        return token_char(byte) ? keep(c, byte) : ERR_MALFORMED;
    }
    if (byte == '\r') {
        c->state = TRAILER_LF;
        return c->trailer_colon ? keep_line(c) : ERR_MALFORMED;
    }
    bool valid = c->trailer_colon ? field_value_char(byte) : byte == ':' || token_char(byte);
    if (byte == ':') c->trailer_colon = true;
    return valid ? keep(c, byte) : ERR_MALFORMED;
}

static int line_feed(struct http_chunked *c, uint8_t byte, enum state next)
{
    c->state = (uint8_t)next;
    return byte == '\n' ? OK : ERR_MALFORMED;
}

/* One byte that is not data. */
static int frame_byte(struct http_chunked *c, uint8_t byte)
{
    switch ((enum state)c->state) {
    case SIZE: return size_byte(c, byte);
    case NAME_START:
    case NAME:
    case NAME_END:
    case VALUE_START:
    case VALUE:
    case VALUE_END:
    case QUOTED:
    case ESCAPED:
    case UNQUOTED: return extension_byte(c, byte);
    case SIZE_LF: c->spent = 0; return line_feed(c, byte, c->left > 0 ? DATA : TRAILER);
    case DATA_CR: c->state = DATA_LF; return byte == '\r' ? OK : ERR_MALFORMED;
    case DATA_LF: c->digits = 0; return line_feed(c, byte, SIZE);
    case TRAILER:
    case TRAILER_LINE: return trailer_byte(c, byte);
    case TRAILER_LF: return line_feed(c, byte, TRAILER);
    case END_LF: return line_feed(c, byte, ENDED);
    case DATA:
    case ENDED: break;
    }
    return ERR_WRONG_STATE;
}

int http_chunked_next(struct http_chunked *c, slice *input, slice *out_data)
{
    while (c->state != ENDED) {
        if (input->len == 0) return ERR_AGAIN;
        if (c->state == DATA) {
            size_t take = input->len < c->left ? input->len : (size_t)c->left;
            *out_data = slice_sub(*input, 0, take);
            *input = slice_sub(*input, take, input->len);
            c->left -= take;
            if (c->left == 0) c->state = DATA_CR;
            return OK;
        }
        int rc = frame_byte(c, input->ptr[0]);
        if (rc < 0) return rc;
        *input = slice_sub(*input, 1, input->len);
    }
    return ERR_CLOSED;
}

/* --- trailer fields --- */

bool http_trailer_next(slice *rest, slice *out_name, slice *out_value)
{
    slice line;
    if (!slice_split(rest, '\n', &line) || line.len == 0) return false;
    size_t colon = slice_find(line, ':');
    *out_name = slice_sub(line, 0, colon);
    *out_value = slice_trim(slice_sub(line, colon + 1, line.len));
    return true;
}

bool http_trailer_allowed(slice name)
{
    static const char *const refused[] = {
        /* framing and the connection */
        "Connection",
        "Content-Length",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        /* routing and what else changes how a request is understood */
        "Cache-Control",
        "Expect",
        "Forwarded",
        "Host",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Range",
        "If-Unmodified-Since",
        "Max-Forwards",
        "Origin",
        "Pragma",
        "Range",
        /* who is asking, and what is to be kept of them */
        "Authorization",
        "Cookie",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Set-Cookie",
        "WWW-Authenticate",
        /* how an answer is handled */
        "Age",
        "Date",
        "Expires",
        "Location",
        "Retry-After",
        "Vary",
        "Warning",
        /* what the content is */
        "Content-Encoding",
        "Content-Range",
        "Content-Type",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (slice_equal_nocase(name, slice_text(refused[i]))) return false;
    }
    slice prefix = slice_sub(name, 0, sizeof "X-Forwarded-" - 1);
    return !slice_equal_nocase(prefix, SLICE("X-Forwarded-"));
}

/* --- writing --- */

void http_chunk_head_write(struct writer *w, uint64_t len)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t text[CHUNKED_HEAD_BYTES_MAX];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (uint8_t)digits[len & 15];
        len >>= 4;
    } while (len > 0);
    writer_put(w, slice_of(text + at, sizeof text - at));
}

int http_trailer_write(struct writer *w, slice name, slice value)
{
    if (!token_valid(name) || !field_value_valid(value) || !http_trailer_allowed(name)) return ERR_INVALID;
    if (w->failed || name.len + value.len + 4 > w->cap - w->len) return ERR_FULL;
    writer_put(w, name);
    writer_put(w, SLICE(": "));
    writer_put(w, value);
    writer_put(w, SLICE("\r\n"));
    return OK;
}
