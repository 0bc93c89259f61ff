#include "proxy/rewrite.h"
#include "proxy/rewrite_fields.h"

enum {
    ANSWER_HELD = 1u << FIELD_HOP | 1u << FIELD_CONNECTION | 1u << FIELD_TE | 1u << FIELD_TRAILER |
                  1u << FIELD_UPGRADE | 1u << FIELD_LENGTH | 1u << FIELD_DISGUISED,
};

size_t rewrite_answer_bound(const struct rewrite_answer *in)
{
    return REWRITE_FIXED_BYTES + in->bytes.len + in->head->field_count + in->date.len + in->request_id.len +
           in->fields.len;
}

static void put_status(const struct rewrite_answer *in, struct writer *out)
{
    writer_put(out, SLICE("HTTP/1.1 "));
    writer_u64(out, in->head->status);
    writer_byte(out, ' ');
    writer_put(out, http_span_slice(in->bytes, in->head->reason));
    writer_put(out, SLICE("\r\n"));
}

/* RFC 9110 8.6: none with 1xx and 204. */
static bool says_length(const struct rewrite_answer *in)
{
    const struct http_response_head *head = in->head;
    if (head->status < 200 || head->status == 204) return false;
    return in->framing == ANSWER_FRAMING_LENGTH || (in->framing == ANSWER_FRAMING_NONE && head->has_length);
}

static void put_framing(const struct rewrite_answer *in, struct writer *out)
{
    if (says_length(in)) {
        writer_put(out, SLICE("Content-Length: "));
        writer_u64(out, in->head->content_length);
        writer_put(out, SLICE("\r\n"));
    }
    if (in->framing == ANSWER_FRAMING_CHUNKED) writer_put(out, SLICE("Transfer-Encoding: chunked\r\n"));
}

static void put_connection(const struct rewrite_answer *in, const struct field_pass *pass, struct writer *out)
{
    if (in->upgrade) {
        size_t begin = out->len;
        writer_put(out, SLICE("Upgrade: "));
        if (fields_join(pass, FIELD_UPGRADE, out))
            writer_put(out, SLICE("\r\n"));
        else
            out->len = begin;
        writer_put(out, SLICE("Connection: Upgrade\r\n"));
    } else if (in->close) {
        writer_put(out, SLICE("Connection: close\r\n"));
    } else if (in->keep_alive) {
        writer_put(out, SLICE("Connection: keep-alive\r\n"));
    }
}

int rewrite_answer(const struct rewrite_answer *in, struct writer *out)
{
    struct field_pass pass; /* not cleared: results are most of it */
    pass.bytes = in->bytes;
    pass.fields = in->head->fields;
    pass.count = in->head->field_count;
    pass.location = NULL;
    pass.held = ANSWER_HELD;
    if (in->framing == ANSWER_FRAMING_CHUNKED) pass.held &= ~field_bit(FIELD_TRAILER);
    if (in->request_id.len > 0) pass.held |= field_bit(FIELD_X_REQUEST_ID);

    put_status(in, out);
    fields_write(&pass, out);
    if (!(pass.seen & field_bit(FIELD_DATE)) && in->date.len > 0) field_write(out, SLICE("Date"), in->date);
    put_framing(in, out);
    put_connection(in, &pass, out);
    if (in->request_id.len > 0) field_write(out, SLICE("X-Request-Id"), in->request_id);
    writer_put(out, in->fields);
    writer_put(out, SLICE("\r\n"));
    return out->failed ? ERR_FULL : OK;
}
