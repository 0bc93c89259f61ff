#include "http/multipart.h"
#include "http/disposition.h"
#include "http/lines.h"
#include "http/param.h"

#include <string.h>

enum state {
    PREAMBLE,  /* before the first boundary */
    DATA,      /* of a part */
    BOUNDARY,  /* right after a boundary */
    DASH,      /* after a boundary and one '-' */
    PADDING,   /* spaces after a boundary */
    LINE_FEED, /* after the CR of a boundary line */
    HEAD,      /* the header lines of a part */
    ENDED,
};

/* bchars of RFC 2046 5.1.1 */
static bool boundary_valid(slice boundary)
{
    if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_BYTES_MAX) return false;
    for (size_t i = 0; i < boundary.len; i++) {
        uint8_t c = boundary.ptr[i];
        bool digit_or_letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!digit_or_letter && (c == 0 || !strchr("'()+_,-./:=? ", c))) return false;
    }
    return boundary.ptr[boundary.len - 1] != ' ';
}

int multipart_init(struct multipart *m, const struct allocator *allocator, slice content_type,
                   const struct multipart_limits *limits)
{
    struct param boundary;
    slice params = content_type;
    if (!slice_equal_nocase(param_value(&params), SLICE("multipart/form-data"))) return ERR_INVALID;
    if (param_find(params, SLICE("boundary"), &boundary) < 0 || !boundary_valid(boundary.value))
        return ERR_MALFORMED;
    *m = (struct multipart){
        .limits = {MULTIPART_PARTS_DEFAULT, MULTIPART_PART_HEADER_BYTES_DEFAULT},
        .state = PREAMBLE,
        .delimiter_len = (uint8_t)(4 + boundary.value.len),
        .matched = 2, /* the first boundary is at the start of a line without one before it */
        .assumed = 2,
    };
    if (limits) m->limits = *limits;
    if (m->limits.part_header_bytes_max > HTTP_HEAD_BYTES_MAX)
        m->limits.part_header_bytes_max = HTTP_HEAD_BYTES_MAX;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.value.ptr, boundary.value.len);
    buffer_init(&m->head, allocator, m->limits.part_header_bytes_max);
    return OK;
}

void multipart_deinit(struct multipart *m)
{
    buffer_reset(&m->head);
}

bool multipart_ended(const struct multipart *m)
{
    return m->state == ENDED;
}

static void drop(slice *input, size_t n)
{
    *input = slice_sub(*input, n, input->len);
}

/* --- data up to the next boundary --- */

/* How much of the delimiter, beyond what is matched already, the input begins with. */
static size_t match(const struct multipart *m, slice input)
{
    size_t n = 0, left = m->delimiter_len - (size_t)m->matched;
    while (n < left && n < input.len && input.ptr[n] == m->delimiter[m->matched + n])
        n++;
    return n;
}

/* Goes on with what an earlier input ended with. OK: the delimiter is complete. ERR_AGAIN: it may become so.
 * ERR_NOT_FOUND: it was data, which *out_data gives; it can be empty. */
static int resume(struct multipart *m, slice *input, slice *out_data)
{
    size_t n = match(m, *input);
    drop(input, n);
    m->matched = (uint8_t)(m->matched + n);
    if (m->matched == m->delimiter_len) return OK;
    if (input->len == 0) return ERR_AGAIN;
    /* A CR stands only at the beginning of the delimiter, so no other match can have begun meanwhile. */
    *out_data = slice_sub(slice_of(m->delimiter, m->matched), m->assumed, m->matched);
    m->matched = m->assumed = 0;
    return ERR_NOT_FOUND;
}

/* Takes data off the input, at most up to where a delimiter begins or may begin. */
static slice take_data(struct multipart *m, slice *input)
{
    size_t at = 0;
    while (at < input->len) {
        slice rest = slice_sub(*input, at, input->len);
        at += slice_find(rest, '\r');
        rest = slice_sub(*input, at, input->len);
        size_t n = match(m, rest);
        if (n > 0 && (n == rest.len || n == m->delimiter_len)) break;
        if (at < input->len) at++;
    }
    slice data = slice_sub(*input, 0, at);
    drop(input, at);
    return data;
}

/* OK: the delimiter has come. ERR_BUSY: *out_data is data. ERR_AGAIN. */
static int find_boundary(struct multipart *m, slice *input, slice *out_data)
{
    while (input->len > 0) {
        if (m->matched == 0) {
            *out_data = take_data(m, input);
            if (out_data->len > 0) return ERR_BUSY;
        }
        int rc = resume(m, input, out_data);
        if (rc != ERR_NOT_FOUND) return rc;
        if (out_data->len > 0) return ERR_BUSY;
    }
    return ERR_AGAIN;
}

/* --- the head of a part --- */

struct part {
    slice disposition, content_type, encoding; /* ptr NULL: absent */
};

static int take_field(struct part *part, slice name, slice value)
{
    slice *kept = NULL;
    if (slice_equal_nocase(name, SLICE("Content-Disposition"))) kept = &part->disposition;
    if (slice_equal_nocase(name, SLICE("Content-Type"))) kept = &part->content_type;
    if (slice_equal_nocase(name, SLICE("Content-Transfer-Encoding"))) kept = &part->encoding;
    if (!kept) return OK;
    if (kept->ptr) return ERR_MALFORMED;
    *kept = value;
    return OK;
}

static bool encoding_is_none(slice encoding)
{
    return !encoding.ptr || slice_equal_nocase(encoding, SLICE("binary")) ||
           slice_equal_nocase(encoding, SLICE("8bit")) || slice_equal_nocase(encoding, SLICE("7bit"));
}

/* The head is complete. */
static int head_parse(struct multipart *m, struct multipart_event *out)
{
    slice bytes = buffer_slice(&m->head), line;
    struct http_scan scan = {0, 0};
    struct part part = {SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY};
    struct disposition d;
    for (size_t count = 0; http_line_next(&scan, bytes, &line) == OK && line.len > 0; count++) {
        struct http_field field;
        if (count == MULTIPART_FIELDS_MAX) return ERR_TOO_LARGE;
        if (http_field_read(line, (size_t)(line.ptr - bytes.ptr), &field)) return ERR_MALFORMED;
        int rc = take_field(&part, http_span_slice(bytes, field.name), http_span_slice(bytes, field.value));
        if (rc < 0) return rc;
    }
    if (scan.line != bytes.len || !part.disposition.ptr || !encoding_is_none(part.encoding))
        return ERR_MALFORMED;
    uint8_t *value = m->head.ptr + (part.disposition.ptr - bytes.ptr);
    int rc = disposition_parse(value, part.disposition.len, &d);
    if (rc < 0 || !d.has_name || !slice_equal_nocase(d.type, SLICE("form-data"))) return ERR_MALFORMED;
    *out = (struct multipart_event){.kind = MULTIPART_PART,
                                    .name = d.name,
                                    .filename = d.filename,
                                    .has_filename = d.has_filename,
                                    .content_type = part.content_type};
    return OK;
}

static bool head_is_complete(const struct multipart *m)
{
    const struct buffer *h = &m->head;
    if (h->len == 2) return memcmp(h->ptr, "\r\n", 2) == 0;
    return h->len >= 4 && memcmp(h->ptr + h->len - 4, "\r\n\r\n", 4) == 0;
}

static int read_head(struct multipart *m, slice *input, struct multipart_event *out)
{
    while (input->len > 0) {
        size_t feed = slice_find(*input, '\n');
        slice part = slice_sub(*input, 0, feed + 1);
        int rc = buffer_reserve(&m->head, part.len);
        if (rc < 0) return rc == ERR_FULL ? ERR_TOO_LARGE : rc;
        buffer_put(&m->head, part);
        drop(input, part.len);
        if (!head_is_complete(m)) continue;
        m->state = DATA;
        m->matched = m->assumed = 2; /* a boundary right here would leave the part without its data */
        return head_parse(m, out);
    }
    return ERR_AGAIN;
}

/* --- */

static int boundary_begins_a_part(struct multipart *m, uint8_t byte)
{
    if (byte != '\n') return ERR_MALFORMED;
    if (m->parts >= m->limits.parts_max) return ERR_TOO_LARGE;
    m->parts++;
    m->head.len = 0;
    m->state = HEAD;
    return OK;
}

/* One byte of a boundary line, after the boundary. */
static int boundary_byte(struct multipart *m, uint8_t byte)
{
    switch ((enum state)m->state) {
    case DASH: m->state = ENDED; return byte == '-' ? OK : ERR_MALFORMED;
    case LINE_FEED: return boundary_begins_a_part(m, byte);
    case BOUNDARY:
        if (byte == '-') {
            m->state = DASH;
            return OK;
        }
        break;
    default: break;
    }
    m->state = byte == '\r' ? LINE_FEED : PADDING;
    return byte == '\r' || byte == ' ' || byte == '\t' ? OK : ERR_MALFORMED;
}

static int read_data(struct multipart *m, slice *input, struct multipart_event *out)
{
    slice data;
    int rc = find_boundary(m, input, &data);
    if (rc == ERR_BUSY) {
        *out = (struct multipart_event){.kind = MULTIPART_DATA, .data = data};
        return OK;
    }
    if (rc < 0) return rc;
    if (m->assumed) return ERR_MALFORMED;
    *out = (struct multipart_event){.kind = MULTIPART_PART_END};
    m->matched = 0;
    m->state = BOUNDARY;
    return OK;
}

static int read_preamble(struct multipart *m, slice *input)
{
    slice dropped;
    int rc;
    while ((rc = find_boundary(m, input, &dropped)) == ERR_BUSY) {
    }
    if (rc < 0) return rc;
    m->matched = m->assumed = 0;
    m->state = BOUNDARY;
    return OK;
}

int multipart_next(struct multipart *m, slice *input, struct multipart_event *out)
{
    int rc = OK;
    while (rc == OK && input->len > 0) {
        switch ((enum state)m->state) {
        case PREAMBLE: rc = read_preamble(m, input); break;
        case DATA: return read_data(m, input, out);
        case HEAD: return read_head(m, input, out);
        case ENDED: drop(input, input->len); break;
        default:
            rc = boundary_byte(m, input->ptr[0]);
            drop(input, 1);
            if (rc < 0 || m->state != ENDED) break;
            *out = (struct multipart_event){.kind = MULTIPART_END};
            return OK;
        }
    }
    return rc < 0 ? rc : ERR_AGAIN;
}
