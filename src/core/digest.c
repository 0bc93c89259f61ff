/* digest.c - comparing large have-vectors by their digests: 2 KiB where a vector has 40 bytes for each
 * author.
 *
 * Authors fall into 256 buckets by the first byte of their id. Each side sends the sums of all buckets; where
 * they are equal, the other side holds of these authors what is held here, and for the others both send what
 * they hold. What is compared are the two vectors as they were when the digests were sent, so this side keeps
 * what it had then until the other digest is there. Every link has a key of its own for the sums, so that
 * nobody can write entries whose sums cancel each other out. */
#include <string.h>

#include "core/state.h"

struct digest {
    bool sent;
    bool theirs_in;
    uint8_t ours[DIGEST_BYTES], theirs[DIGEST_BYTES];
    uint32_t *have; /* of each author, when ours was sent */
    uint32_t have_len;
};

int digest_begin(struct node *n, struct share *s)
{
    if (s->digest) return OK;
    s->digest = alloc_new(n->allocator, sizeof *s->digest);
    return s->digest ? OK : ERR_MEMORY;
}

void digest_free(struct node *n, struct share *s)
{
    if (!s->digest) return;
    alloc_free(n->allocator, s->digest->have, s->digest->have_len * sizeof *s->digest->have);
    alloc_free(n->allocator, s->digest, sizeof *s->digest);
    s->digest = NULL;
}

bool digest_due(const struct share *s)
{
    return s->digest && !s->digest->sent;
}

static void put_sums(const uint64_t sums[DIGEST_BUCKETS], uint8_t out[DIGEST_BYTES])
{
    for (int i = 0; i < DIGEST_BYTES; i++)
        out[i] = (uint8_t)(sums[i / 8] >> (56 - 8 * (i % 8)));
}

/* What both sides agree on and the rest: these authors count as held by the other side, and a vector of the
 * others follows. */
static void compare(struct node *n, struct pipe *p, struct channel *c, struct share *s)
{
    struct digest *d = s->digest;
    PROBE(n, DIGEST);
    if (memcmp(d->ours, d->theirs, DIGEST_BYTES) != 0) PROBE(n, DIGEST_DIFFERS);
    memset(s->buckets, 0, sizeof s->buckets);
    for (uint32_t b = 0; b < DIGEST_BUCKETS; b++) {
        if (memcmp(d->ours + 8 * b, d->theirs + 8 * b, 8) != 0) s->buckets[b / 8] |= (uint8_t)(1 << b % 8);
    }
    for (uint32_t i = 0; i < d->have_len && i < c->authors_len; i++) {
        const struct author *a = &c->authors[i];
        bool level = a->used && d->have[i] > 0 && !share_tells(s, a);
        if (level && sync_level(n, p, c, i, d->have[i]) < 0)
            s->buckets[a->device[0] / 8] |= (uint8_t)(1 << a->device[0] % 8);
    }
    s->whole = s->whole_started = true;
    s->cursor = 0;
    digest_free(n, s);
    pipe_wake(n, p);
}

slice digest_message(struct node *n, struct pipe *p, struct channel *c, struct share *s)
{
    struct digest *d = s->digest;
    uint64_t sums[DIGEST_BUCKETS] = {0};
    struct sip_secret key = sip_secret_of(p->link.session);
    d->have = alloc_array(n->allocator, c->authors_len, sizeof *d->have);
    if (!d->have) { /* the whole vector does as well */
        digest_free(n, s);
        s->whole = true;
        return SLICE_EMPTY;
    }
    d->have_len = c->authors_len;
    for (uint32_t i = 0; i < c->authors_len; i++) {
        const struct author *a = &c->authors[i];
        d->have[i] = a->have;
        if (a->have > 0) sums[a->device[0]] += sip_hash(key, slice_of(a->have_id, 8));
    }
    put_sums(sums, d->ours);
    d->sent = true;
    s->version_sent = s->version_told = c->version;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_digest(&w, c->id, slice_of(d->ours, DIGEST_BYTES));
    if (d->theirs_in) compare(n, p, c, s);
    return writer_slice(&w);
}

int digest_receive(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active || (s->digest && s->digest->theirs_in)) {
        pipe_glitch(n, p);
        return OK;
    }
    int rc = digest_begin(n, s);
    if (rc < 0) return rc;
    memcpy(s->digest->theirs, m->digest.ptr, DIGEST_BYTES);
    s->digest->theirs_in = true;
    if (s->digest->sent)
        compare(n, p, c, s);
    else
        pipe_wake(n, p); /* a small vector was sent whole, but they want to compare */
    return OK;
}
