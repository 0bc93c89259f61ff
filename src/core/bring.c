/* bring.c - entries of a device that has no node: the shell holds its seed, writes its feed with node_compose
 * and hands each entry in with COMMAND_BRING, as if a link had brought it.
 *
 * The feed here is the only memory that the device has, so it cannot write two entries under one number as
 * long as one node writes for it. What shows that others have more of the feed than this node is refused. */
#include "core/bring.h"

#include <string.h>

/* Where the author's next entry goes. ERR_WRONG_STATE: not all of the feed is here. */
static int next_place(const struct channel *c, uint32_t author, uint32_t *out_seq, const uint8_t **out_prev,
                      uint64_t *out_after_ms)
{
    static const uint8_t zeros[ID_BYTES];
    const struct author *a = author == NONE ? NULL : &c->authors[author];
    if (author != NONE && author == c->self) return ERR_INVALID;
    if (a && (a->island || a->forked)) return ERR_WRONG_STATE;
    if (a && a->tip >= ENTRY_SEQ_MAX) return ERR_FULL;
    *out_seq = a ? a->tip + 1 : 1;
    *out_prev = a && a->tip ? a->tip_id : zeros;
    *out_after_ms = a ? a->tip_ms : 0;
    return OK;
}

int node_compose(const struct node *n, const struct node_draft *draft, usec now, struct writer *out)
{
    uint32_t index;
    const struct channel *c = channel_find(n, draft->channel, &index);
    if (!c || !c->carried) return ERR_NOT_FOUND;
    if (c->roster) return ERR_DENIED;
    if (draft->body.len > NODE_BODY_BYTES_MAX) return ERR_TOO_LARGE;
    uint8_t device[ID_BYTES];
    uint32_t seq;
    const uint8_t *prev;
    uint64_t after_ms, now_ms = (now > n->now ? now : n->now) / MILLISECONDS;
    n->crypto->sign_public(n->crypto->context, device, draft->seed);
    int rc = next_place(c, author_find(c, device), &seq, &prev, &after_ms);
    if (rc < 0) return rc;
    if ((seq == 1) != (draft->kind == ENTRY_JOIN)) return ERR_WRONG_STATE;
    if (n->clock_ms > after_ms) after_ms = n->clock_ms;
    struct entry e = {.kind = draft->kind,
                      .channel = c->id,
                      .author = device,
                      .prev = prev,
                      .seq = seq,
                      .time_ms = now_ms > after_ms ? now_ms : after_ms + 1,
                      .body = draft->body};
    return entry_write(n->crypto, &e, draft->seed, out);
}

bool node_author(const struct node *n, const uint8_t *channel, const uint8_t *device, uint64_t *out_seq)
{
    uint32_t index;
    const struct channel *c = channel_find(n, channel, &index);
    uint32_t author = c ? author_find(c, device) : NONE;
    if (author == NONE || c->authors[author].tip == 0) return false;
    *out_seq = c->authors[author].tip;
    return true;
}

int bring_entry(struct node *n, const struct command *command, uint64_t *out_token)
{
    uint32_t channel, seq;
    struct channel *c = channel_find(n, command->channel, &channel);
    struct entry e;
    const uint8_t *prev;
    uint64_t after_ms;
    if (!c || !c->carried) return ERR_NOT_FOUND;
    if (c->roster) return ERR_DENIED;
    int rc = entry_parse(command->bytes, &e);
    if (rc < 0) return rc;
    if (memcmp(e.channel, c->id, ID_BYTES) != 0) return ERR_INVALID;
    rc = next_place(c, author_find(c, e.author), &seq, &prev, &after_ms);
    if (rc < 0) return rc;
    if (e.seq != seq || memcmp(e.prev, prev, ID_BYTES) != 0 || e.time_ms <= after_ms) return ERR_WRONG_STATE;
    uint64_t token = ++n->tokens;
    const struct bearer shell = {.path = PATH_NONE, .device = n->device, .token = token};
    rc = feed_take(n, channel, command->bytes, &shell);
    if (rc < 0) return rc;
    uint32_t author = author_find(c, e.author);
    if (author == NONE || c->authors[author].tip != e.seq) return ERR_DENIED; /* no member takes it */
    *out_token = token;
    return OK;
}

bool authority_is_here(const struct node *n, const struct channel *c)
{
    return n->config.role == ROLE_REPLICA && memcmp(n->device, c->authority, ID_BYTES) == 0;
}

static int append(struct node *n, struct channel *c, uint32_t kind, slice body, uint64_t *out_token)
{
    uint8_t room[NODE_RECORD_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    struct entry e = {.kind = kind, .channel = c->id, .author = n->device, .body = body};
    uint64_t after_ms, now_ms = n->now / MILLISECONDS;
    int rc = next_place(c, author_find(c, n->device), &e.seq, &e.prev, &after_ms);
    if (rc < 0) return rc;
    if (n->clock_ms > after_ms) after_ms = n->clock_ms;
    e.time_ms = now_ms > after_ms ? now_ms : after_ms + 1;
    rc = entry_write(n->crypto, &e, n->config.identity_seed, &w);
    if (rc < 0) return rc;
    uint64_t token = ++n->tokens;
    const struct bearer shell = {.path = PATH_NONE, .device = n->device, .token = token};
    rc = feed_take(n, c->index, writer_slice(&w), &shell);
    if (rc < 0) return rc;
    uint32_t author = author_find(c, n->device);
    if (author == NONE || c->authors[author].tip != e.seq) return ERR_WRONG_STATE;
    *out_token = token;
    return OK;
}

int authority_append(struct node *n, struct channel *c, uint32_t kind, slice body, uint64_t *out_token)
{
    uint32_t author = author_find(c, n->device);
    uint8_t join[NODE_CERTIFICATE_BYTES_MAX + 8];
    if (n->certificate_len == 0) return ERR_WRONG_STATE;
    if (author == NONE || c->authors[author].tip == 0) {
        struct writer w = writer_of(join, sizeof join);
        cbor_put_array(&w, 1);
        cbor_put_bytes(&w, slice_of(n->certificate, n->certificate_len));
        int rc = append(n, c, ENTRY_JOIN, writer_slice(&w), out_token);
        if (rc < 0) return rc;
    }
    return append(n, c, kind, body, out_token);
}
