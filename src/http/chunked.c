#include "http/chunked.h"
#include "http/token.h"

enum state {
    SIZE,      /* digits of the size */
    EXTENSION, /* after ';' */
    SIZE_LF,   /* after the CR of the size line */
    DATA,      /* `left` bytes */
    DATA_CR,   /* the line end after the data */
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
    c->state = byte == ';' ? EXTENSION : SIZE_LF;
    return OK;
}

static int trailer_byte(struct http_chunked *c, uint8_t byte)
{
    if (++c->spent > CHUNKED_TRAILER_BYTES_MAX) return ERR_TOO_LARGE;
    if (c->state == TRAILER) {
        c->trailer_colon = false;
        c->state = byte == '\r' ? END_LF : TRAILER_LINE;
        return byte == '\r' || token_char(byte) ? OK : ERR_MALFORMED;
    }
    if (byte == '\r') {
        c->state = TRAILER_LF;
        return c->trailer_colon ? OK : ERR_MALFORMED;
    }
    if (c->trailer_colon) return field_value_char(byte) ? OK : ERR_MALFORMED;
    c->trailer_colon = byte == ':';
    return byte == ':' || token_char(byte) ? OK : ERR_MALFORMED;
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
    case EXTENSION:
        if (++c->spent > CHUNKED_EXTENSION_BYTES_MAX) return ERR_TOO_LARGE;
        if (byte == '\r') c->state = SIZE_LF;
        return byte == '\r' || field_value_char(byte) ? OK : ERR_MALFORMED;
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
