/* parse.c - what our parser understands, for a comparison with others: reads byte strings (each after its
 * length, four bytes, the lowest first), writes a line of JSON for each:
 *
 *     {"requests":[{"method":"474554","target":"2f","fields":["486f7374","61"],"body":""}],"end":"waits","why":""}
 *
 * All strings of a request are in hexadecimal. end: "waits" (for more), "closed" (after the last request) or
 * "refused", with the status and the sentence. Each string is parsed whole and byte by byte; when these
 * differ, the program aborts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hex.h"
#include "http/chunked.h"
#include "http/head.h"

enum { INPUT_BYTES_MAX = 256 * 1024, OUTPUT_BYTES_MAX = 16 * 1024 * 1024 };

static const struct http_limits limits = {.target_bytes_max = 8 * 1024,
                                          .header_bytes_max = 16 * 1024,
                                          .header_count_max = 64,
                                          .body_bytes_max = 1024 * 1024};

static void put_hex(struct buffer *out, slice bytes)
{
    char *text = malloc(2 * bytes.len + 1);
    if (!text) abort();
    hex_encode(bytes, text);
    buffer_byte(out, '"');
    buffer_text(out, text);
    buffer_byte(out, '"');
    free(text);
}

static void put_head(struct buffer *out, slice bytes, const struct http_head *head)
{
    buffer_text(out, "{\"method\":");
    put_hex(out, http_span_slice(bytes, head->method));
    buffer_text(out, ",\"target\":");
    put_hex(out, http_span_slice(bytes, head->target));
    buffer_text(out, ",\"fields\":[");
    for (size_t i = 0; i < head->field_count; i++) {
        if (i > 0) buffer_byte(out, ',');
        put_hex(out, http_span_slice(bytes, head->fields[i].name));
        buffer_byte(out, ',');
        put_hex(out, http_span_slice(bytes, head->fields[i].value));
    }
    buffer_text(out, "],\"body\":");
}

static void put_end(struct buffer *out, const char *end, int status, const char *why)
{
    buffer_text(out, "],\"end\":\"");
    buffer_text(out, end);
    buffer_text(out, "\",\"status\":");
    buffer_u64(out, (uint64_t)status);
    buffer_text(out, ",\"why\":\"");
    buffer_text(out, why);
    buffer_text(out, "\"}\n");
}

/* Takes the body off *rest. ERR_CLOSED when it is complete. */
static int body_take(const struct http_head *head, slice *rest, struct buffer *body, size_t step)
{
    if (head->body == HTTP_BODY_NONE) return ERR_CLOSED;
    if (head->body == HTTP_BODY_LENGTH) {
        if (rest->len < head->content_length) return ERR_AGAIN;
        buffer_put(body, slice_sub(*rest, 0, (size_t)head->content_length));
        *rest = slice_sub(*rest, (size_t)head->content_length, rest->len);
        return ERR_CLOSED;
    }
    struct http_chunked chunked;
    slice data;
    int rc = ERR_AGAIN;
    http_chunked_init(&chunked, limits.body_bytes_max);
    while (rest->len > 0 && rc == ERR_AGAIN) {
        slice piece = slice_sub(*rest, 0, step);
        size_t before = piece.len;
        while ((rc = http_chunked_next(&chunked, &piece, &data)) == OK)
            buffer_put(body, data);
        *rest = slice_sub(*rest, before - piece.len, rest->len);
    }
    return rc;
}

/* step: how many bytes are shown to the parser at a time. */
static int head_take(struct http_parser *parser, slice rest, size_t step, size_t *out_len)
{
    int rc = ERR_AGAIN;
    http_parser_init(parser, &limits);
    for (size_t shown = 0; rc == ERR_AGAIN && shown < rest.len;) {
        shown = rest.len - shown < step ? rest.len : shown + step;
        rc = http_parser_read(parser, slice_sub(rest, 0, shown), out_len);
    }
    return rc;
}

static void parse(slice input, size_t step, struct buffer *out)
{
    static struct http_parser parser;
    slice rest = input;
    buffer_text(out, "{\"requests\":[");
    for (size_t count = 0;; count++) {
        size_t len = 0;
        int rc = head_take(&parser, rest, step, &len);
        if (rc == ERR_AGAIN) {
            put_end(out, "waits", 0, "");
            return;
        }
        if (rc < 0) {
            put_end(out, "refused", parser.status, parser.why);
            return;
        }
        struct buffer body;
        slice head = slice_sub(rest, 0, len);
        buffer_init(&body, &allocator_libc, INPUT_BYTES_MAX);
        rest = slice_sub(rest, len, rest.len);
        rc = body_take(&parser.head, &rest, &body, step);
        if (rc == ERR_CLOSED) {
            if (count > 0) buffer_byte(out, ',');
            put_head(out, head, &parser.head);
            put_hex(out, buffer_slice(&body));
            buffer_byte(out, '}');
        }
        buffer_reset(&body);
        if (rc == ERR_AGAIN) {
            put_end(out, "waits", 0, "");
            return;
        }
        if (rc != ERR_CLOSED) {
            put_end(out, "refused", rc == ERR_TOO_LARGE ? 413 : 400, "the chunked body is not valid");
            return;
        }
        if (!parser.head.keep_alive) {
            put_end(out, "closed", 0, "");
            return;
        }
    }
}

int main(void)
{
    static uint8_t input[INPUT_BYTES_MAX];
    uint8_t head[4];
    while (fread(head, 1, 4, stdin) == 4) {
        size_t len = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        if (len > sizeof input || fread(input, 1, len, stdin) != len) return 1;
        uint8_t *copy = malloc(len ? len : 1); /* so that the sanitizer sees its end */
        struct buffer whole, bytewise;
        if (!copy) return 1;
        memcpy(copy, input, len);
        buffer_init(&whole, &allocator_libc, OUTPUT_BYTES_MAX);
        buffer_init(&bytewise, &allocator_libc, OUTPUT_BYTES_MAX);
        parse(slice_of(copy, len), len ? len : 1, &whole);
        parse(slice_of(copy, len), 1, &bytewise);
        free(copy);
        if (!slice_equal(buffer_slice(&whole), buffer_slice(&bytewise))) {
            fprintf(stderr, "the result depends on the cuts:\n%.*s%.*s", (int)whole.len, (char *)whole.ptr,
                    (int)bytewise.len, (char *)bytewise.ptr);
            abort();
        }
        fwrite(whole.ptr, 1, whole.len, stdout);
        fflush(stdout);
        buffer_reset(&whole);
        buffer_reset(&bytewise);
    }
    return 0;
}
