/* command.c - what a person or a program wants: checked, and handed to the part that does it. */
#include <string.h>

#include "core/identity.h"
#include "core/state.h"

static int command_join(struct node *n, const struct command *c, uint64_t *out_token)
{
    uint32_t index;
    struct channel *channel = channel_find(n, c->channel, &index);
    bool person = n->config.role == ROLE_PERSON;
    if (person && n->certificate_len == 0) return ERR_WRONG_STATE;
    if (!channel) {
        if (c->bytes.len > NODE_NAME_BYTES_MAX) return ERR_TOO_LARGE;
        struct op *op = op_new(n, 0);
        if (!op) return ERR_BUSY;
        int rc = channel_add(n, c->channel, c->device, c->bytes, &index);
        if (rc < 0) {
            op_free(n, op);
            return rc;
        }
        channel = n->channels[index];
        op->channel = index;
        op->author = NONE;
        op->own = true;
        op_enqueue(n, op, OP_STORE);
    }
    channel->carried = true;
    channel->leaving = false;
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        struct pipe *p = n->pipes[i];
        if (p && p->open_done && !p->closing && sync_carry(n, p, index, true) < 0) {
            pipe_close(n, p, ERR_FULL, err_text(ERR_FULL));
        }
    }
    if (!person || channel->authors[channel->self].tip > 0) return OK;
    uint8_t body[NODE_CERTIFICATE_BYTES_MAX + 8];
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(n->certificate, n->certificate_len));
    return feed_append(n, index, ENTRY_JOIN, writer_slice(&w), out_token);
}

static int command_leave(struct node *n, const struct command *c, uint64_t *out_token)
{
    uint32_t index;
    struct channel *channel = channel_find(n, c->channel, &index);
    if (!channel || channel->leaving || !channel->carried) return ERR_NOT_FOUND;
    /* A crash may have kept the channel and lost the JOIN: there is nothing to leave before it is joined
     * again. */
    if (channel->self != NONE && channel->authors[channel->self].tip == 0) return ERR_WRONG_STATE;
    const uint8_t empty = 0x80; /* the empty array */
    int rc = n->config.role == ROLE_PERSON
                 ? feed_append(n, index, ENTRY_LEAVE, slice_of(&empty, 1), out_token)
                 : OK;
    if (rc < 0) return rc;
    channel->leaving = true;
    sync_leave(n, index);
    return OK;
}

static int command_send(struct node *n, const struct command *c, uint64_t *out_token)
{
    uint32_t index;
    struct channel *channel = channel_find(n, c->channel, &index);
    if (!channel || channel->leaving || !channel->carried) return ERR_NOT_FOUND;
    if (c->entry_kind == ENTRY_JOIN || c->bytes.len == 0) return ERR_INVALID;
    if (channel->self == NONE) return ERR_DENIED;
    if (channel->authors[channel->self].tip == 0) return ERR_WRONG_STATE;
    return feed_append(n, index, c->entry_kind, c->bytes, out_token);
}

static int command_certificate(struct node *n, slice bytes)
{
    struct certificate c;
    int rc = certificate_parse(n->crypto, bytes, &c);
    if (rc < 0) return rc;
    if (memcmp(c.device, n->device, ID_BYTES) != 0) return ERR_INVALID;
    memcpy(n->certificate, bytes.ptr, bytes.len);
    n->certificate_len = bytes.len;
    return OK;
}

int64_t input_command(struct node *n, const struct command *c, usec now)
{
    uint64_t token = 0;
    int rc = ERR_INVALID;
    bool needs_channel = c->kind >= COMMAND_JOIN && c->kind <= COMMAND_SEND;
    bool needs_device =
        c->kind == COMMAND_JOIN || c->kind == COMMAND_PEER || c->kind == COMMAND_CONNECT_FAILED;
    node_clock(n, now);
    n->started = true;
    if ((needs_channel && !c->channel) || (needs_device && !c->device)) return ERR_INVALID;
    switch (c->kind) {
    case COMMAND_CERTIFICATE: rc = command_certificate(n, c->bytes); break;
    case COMMAND_JOIN: rc = command_join(n, c, &token); break;
    case COMMAND_LEAVE: rc = command_leave(n, c, &token); break;
    case COMMAND_SEND: rc = command_send(n, c, &token); break;
    case COMMAND_PEER: rc = mesh_hint(n, c->device, c->channel, c->online); break;
    case COMMAND_CONNECT_FAILED:
        mesh_failed(n, c->device, c->path);
        rc = OK;
        break;
    case COMMAND_NETWORK:
        mesh_network(n);
        rc = OK;
        break;
    default: break;
    }
    return rc < 0 ? rc : (int64_t)token;
}
