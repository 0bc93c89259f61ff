#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"

enum { WIRE_BYTES_MAX = 1024 };
#define FIRST_MS UINT64_C(1800000000000)
#define CHANNEL_NAME SLICE("general")

void bench_die(const char *what)
{
    fprintf(stderr, "bench-core: %s\n", what);
    exit(1);
}

void *bench_alloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p) bench_die("out of memory");
    return p;
}

void corpus_certify(const struct corpus *c, const char *account, const uint8_t seed[KEY_BYTES], uint8_t *out,
                    size_t room, size_t *out_len)
{
    uint8_t device[ID_BYTES];
    c->crypto->sign_public(c->crypto->context, device, seed);
    struct certificate fields = {slice_text(account), device, c->tracker, FIRST_MS / 1000 - 60,
                                 FIRST_MS / 1000 + 86400 * 90};
    int len = certificate_write(c->crypto, &fields, c->tracker_seed, out, room);
    if (len < 0) bench_die("a certificate could not be written");
    *out_len = (size_t)len;
}

static void make_author(struct corpus *c, uint32_t index)
{
    struct corpus_author *a = &c->authors[index];
    char account[32];
    snprintf(account, sizeof account, "person-%05u", index);
    memset(a->seed, 0xA0, sizeof a->seed);
    memcpy(a->seed, &index, sizeof index);
    c->crypto->sign_public(c->crypto->context, a->device, a->seed);
    corpus_certify(c, account, a->seed, a->certificate, sizeof a->certificate, &a->certificate_len);
}

static void write_entry(struct corpus *c, uint32_t index, struct writer *out)
{
    struct corpus_author *a = &c->authors[index % c->authors_len];
    uint8_t body[NODE_CERTIFICATE_BYTES_MAX + 8];
    char text[CORPUS_TEXT_BYTES + 1];
    struct writer b = writer_of(body, sizeof body);
    bool join = a->seq == 0;
    snprintf(text, sizeof text, "%0*u", CORPUS_TEXT_BYTES, index);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, join ? slice_of(a->certificate, a->certificate_len) : slice_text(text));
    struct entry e = {.kind = join ? ENTRY_JOIN : ENTRY_TEXT,
                      .channel = c->channel,
                      .author = a->device,
                      .seq = ++a->seq,
                      .prev = a->last,
                      .time_ms = c->first_ms + (uint64_t)index * 1000,
                      .body = writer_slice(&b)};
    struct entry parsed;
    size_t before = out->len;
    if (entry_write(c->crypto, &e, a->seed, out) < 0) bench_die("an entry could not be written");
    c->wires[index] = slice_of(out->ptr + before, out->len - before);
    if (entry_parse(c->wires[index], &parsed) < 0) bench_die("an entry cannot be read");
    entry_id(c->crypto, &parsed, a->last);
}

void corpus_make(struct corpus *c, const struct crypto *crypto, uint32_t authors, uint32_t count)
{
    *c = (struct corpus){.crypto = crypto, .authors_len = authors, .len = count, .first_ms = FIRST_MS};
    if (authors == 0 || count == 0) bench_die("a corpus needs authors and entries");
    memset(c->tracker_seed, 0x77, sizeof c->tracker_seed);
    crypto->sign_public(crypto->context, c->tracker, c->tracker_seed);
    channel_id(crypto, c->tracker, CHANNEL_NAME, c->channel);
    c->authors = bench_alloc(authors, sizeof *c->authors);
    c->wires = bench_alloc(count, sizeof *c->wires);
    c->bytes = bench_alloc(count, WIRE_BYTES_MAX);
    struct writer out = writer_of(c->bytes, (size_t)count * WIRE_BYTES_MAX);
    for (uint32_t i = 0; i < authors; i++)
        make_author(c, i);
    for (uint32_t i = 0; i < count; i++)
        write_entry(c, i, &out);
}

void corpus_free(struct corpus *c)
{
    free(c->authors);
    free(c->wires);
    free(c->bytes);
}

usec corpus_end(const struct corpus *c)
{
    return (c->first_ms + (uint64_t)c->len * 1000) * MILLISECONDS;
}
