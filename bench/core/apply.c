#include "apply.h"

#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "core/link.h"
#include "core/message.h"
#include "crypto/native.h"

enum { LINK = 1, PART_BYTES = 64 * 1024, ROUND_PARTS = 32 };
#define PART_US (8 * MILLISECONDS) /* what 200 entries take, so that HAVEs are as many as they would be */

struct sender {
    struct link link;
    const struct corpus_author *author;
    struct device *device;
    struct applied *out;
    FILE *record;
    usec now;
    uint8_t *part;
    uint8_t from_node[PART_BYTES], scratch[LINK_FRAME_BYTES_MAX];
};

static void give(struct sender *s, slice bytes)
{
    size_t used, done = 0;
    if (s->record) {
        uint8_t len[4] = {(uint8_t)bytes.len, (uint8_t)(bytes.len >> 8), (uint8_t)(bytes.len >> 16),
                          (uint8_t)(bytes.len >> 24)};
        if (fwrite(len, 1, 4, s->record) != 4 || fwrite(bytes.ptr, 1, bytes.len, s->record) != bytes.len)
            bench_die("the record could not be written");
    }
    uint64_t before = cpu_now();
    while (done < bytes.len) {
        int rc = node_receive(s->device->node, LINK, slice_sub(bytes, done, bytes.len - done), s->now, &used);
        if (rc < 0 && rc != ERR_BUSY) bench_die(err_text(rc));
        done += used;
        device_pump(s->device, s->now);
    }
    s->out->apply_ns += cpu_now() - before;
    s->out->bytes_in += bytes.len;
}

/* What the node says; only the handshake is listened to. */
static void take(struct sender *s)
{
    size_t len;
    uint64_t before = cpu_now();
    while ((len = node_transmit(s->device->node, LINK, s->from_node, sizeof s->from_node, s->now)) > 0) {
        slice rest = slice_of(s->from_node, len), message;
        s->out->bytes_out += len;
        while (s->link.state != LINK_OPEN && rest.len > 0 &&
               link_next(&s->link, &rest, s->scratch, &message) == OK) {
        }
    }
    device_pump(s->device, s->now);
    s->out->apply_ns += cpu_now() - before;
}

static void say(struct sender *s, slice message, struct writer *w)
{
    if (link_seal(&s->link, message, w) < 0) bench_die("a frame could not be written");
}

static void shake_hands(struct sender *s)
{
    const struct corpus_author *a = s->author;
    struct link_self self = {a->device, a->seed, ROLE_PERSON, slice_of(a->certificate, a->certificate_len)};
    struct node_link info = {.path = PATH_DIRECT, .binding = SLICE("bench")};
    uint8_t secret[KEY_BYTES], ephemeral[KEY_BYTES], carry[64];
    memset(ephemeral, 0x42, sizeof ephemeral);
    identity_noise_secret(s->device->corpus->crypto, a->seed, secret);
    if (link_init(&s->link, &allocator_libc, s->device->corpus->crypto, true, info.binding, secret,
                  ephemeral) < 0 ||
        node_link_up(s->device->node, LINK, &info, s->now) < 0)
        bench_die("the link could not be made");
    while (s->link.state != LINK_OPEN || link_greets(&s->link)) {
        struct writer w = writer_of(s->part, PART_BYTES);
        if (link_greets(&s->link) && link_greet(&s->link, &self, &w) < 0) bench_die("no handshake");
        give(s, writer_slice(&w));
        take(s);
    }
    struct writer m = writer_of(carry, sizeof carry), w = writer_of(s->part, PART_BYTES);
    cbor_put_array(&m, 3);
    cbor_put_uint(&m, MESSAGE_CARRY);
    cbor_put_bytes(&m, slice_of(s->device->corpus->channel, ID_BYTES));
    cbor_put_uint(&m, 1);
    say(s, writer_slice(&m), &w);
    give(s, writer_slice(&w));
    take(s);
}

/* libsodium's own work for the entries from..upto, and nothing else. */
static uint64_t verify(const struct corpus *c, uint32_t from, uint32_t upto)
{
    struct signed_entry {
        const uint8_t *key, *signature;
        uint8_t message[16 + HASH_BYTES];
    } *all = bench_alloc(upto - from, sizeof *all);
    for (uint32_t i = from; i < upto; i++) {
        struct entry e;
        struct signed_entry *one = &all[i - from];
        if (entry_parse(c->wires[i], &e) < 0) bench_die("an entry cannot be read");
        one->key = e.author;
        one->signature = e.signature;
        memcpy(one->message, "weaprous.entry.1", 16);
        entry_id(c->crypto, &e, one->message + 16);
    }
    uint64_t before = cpu_now();
    for (uint32_t i = 0; i < upto - from; i++) {
        if (!c->crypto->verify(c->crypto->context, all[i].signature, all[i].key,
                               slice_of(all[i].message, sizeof all[i].message)))
            bench_die("a signature is false");
    }
    uint64_t took = cpu_now() - before;
    free(all);
    return took;
}

void apply_all(struct device *d, struct applied *out, usec now, FILE *record)
{
    static uint8_t message[LINK_MESSAGE_BYTES_MAX];
    const struct corpus *c = d->corpus;
    struct sender *s = bench_alloc(1, sizeof *s);
    *out = (struct applied){0};
    s->part = bench_alloc(PART_BYTES, 1);
    s->author = &c->authors[0];
    s->device = d;
    s->out = out;
    s->record = record;
    s->now = now;
    shake_hands(s);
    uint32_t at = 0, verified = 0, parts = 0;
    while (at < c->len) {
        struct writer w = writer_of(s->part, PART_BYTES);
        for (; at < c->len && PART_BYTES - w.len > 2048; at++) {
            struct writer m = writer_of(message, sizeof message);
            message_write_entry(&m, c->wires[at]);
            say(s, writer_slice(&m), &w);
        }
        s->now += PART_US;
        give(s, writer_slice(&w));
        node_tick(d->node, s->now);
        take(s);
        if (++parts % ROUND_PARTS == 0 || at == c->len) {
            out->verify_ns += verify(c, verified, at);
            verified = at;
        }
    }
    out->now = s->now;
    node_link_down(d->node, LINK, s->now);
    device_pump(d, s->now);
    link_deinit(&s->link);
    free(s->part);
    free(s);
    if (d->closed) bench_die("the node closed the link");
}
