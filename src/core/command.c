/* command.c - what a person or a program wants: checked, and handed to the part that does it. */
#include <string.h>

#include "core/bring.h"
#include "core/identity.h"
#include "core/state.h"
#include "core/transfer.h"

int channel_open(struct node *n, const struct channel_spec *spec, slice certificate, uint32_t *out_index)
{
    struct op *op = op_new(n, 0);
    if (!op) return ERR_BUSY;
    int rc = member_channel_add(n, spec, certificate, out_index);
    if (rc < 0) {
        op_free(n, op);
        return rc;
    }
    op->channel = *out_index;
    op->author = NONE;
    op->own = true;
    op_enqueue(n, op, OP_STORE);
    return OK;
}

/* A JOIN, or after a LEAVE in a sealed channel a PROFILE: others give keys to those who are there only. */
static int write_join(struct node *n, uint32_t channel, uint64_t *out_token)
{
    const struct author *self = &n->channels[channel]->authors[n->channels[channel]->self];
    uint8_t body[NODE_CERTIFICATE_BYTES_MAX + 8];
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(n->certificate, n->certificate_len));
    return feed_append(n, channel, self->tip == 0 ? ENTRY_JOIN : ENTRY_PROFILE, writer_slice(&w), out_token);
}

int channel_enter(struct node *n, uint32_t index, bool quiet, uint64_t *out_token)
{
    struct channel *channel = n->channels[index];
    bool back = channel->leaving && channel->roster;
    channel->carried = true;
    channel->leaving = false;
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        struct pipe *p = n->pipes[i];
        if (p && p->open_done && !p->closing && sync_carry(n, p, index, true) < 0) {
            pipe_close(n, p, ERR_FULL, err_text(ERR_FULL));
        }
    }
    if (channel->self == NONE || (channel->authors[channel->self].tip > 0 && !back) || quiet) return OK;
    return write_join(n, index, out_token);
}

static int command_open(struct node *n, const struct channel_spec *spec, bool quiet, bool on_demand,
                        uint64_t *out_token)
{
    uint32_t index;
    uint8_t id[ID_BYTES];
    bool person = n->config.role == ROLE_PERSON;
    int rc = channel_spec_id(n->crypto, spec, id);
    if (rc < 0) return rc;
    if (person && n->certificate_len == 0) return ERR_WRONG_STATE;
    struct channel *channel = channel_find(n, id, &index);
    if (!channel) {
        bool founds = spec->type == CHANNEL_PRIVATE && memcmp(spec->founder, n->device, ID_BYTES) == 0;
        bool sealed = channel_sealed(spec->type);
        if (sealed && person && memcmp(spec->authority, n->certifier, ID_BYTES) != 0) return ERR_DENIED;
        if (spec->type == CHANNEL_DIRECT && person && !slice_equal(spec->account, n->account) &&
            !slice_equal(spec->other, n->account))
            return ERR_DENIED;
        slice certificate = founds ? slice_of(n->certificate, n->certificate_len) : SLICE_EMPTY;
        rc = channel_open(n, spec, certificate, &index);
        if (rc < 0) return rc;
    } else if (channel->excluded) {
        return ERR_DENIED;
    }
    n->channels[index]->quiet = quiet;
    n->channels[index]->join_due = false;
    n->channels[index]->on_demand = on_demand;
    return channel_enter(n, index, quiet, out_token);
}

static int command_join(struct node *n, const struct command *c, uint64_t *out_token)
{
    uint32_t index;
    struct channel_spec spec = {.type = CHANNEL_PUBLIC, .authority = c->device, .name = c->bytes};
    uint8_t id[ID_BYTES];
    if (c->bytes.len > NODE_NAME_BYTES_MAX) return ERR_TOO_LARGE;
    if (n->config.role == ROLE_PERSON && n->certificate_len == 0) return ERR_WRONG_STATE;
    if (channel_find(n, c->channel, &index)) return channel_enter(n, index, false, out_token);
    int rc = channel_spec_id(n->crypto, &spec, id);
    if (rc < 0) return rc;
    if (memcmp(id, c->channel, ID_BYTES) != 0) return ERR_INVALID;
    return command_open(n, &spec, false, false, out_token);
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
    /* COMMAND_REQUEST and its like write SESSION entries. */
    if (c->entry_kind == ENTRY_JOIN || c->entry_kind == ENTRY_SESSION || c->entry_kind == ENTRY_MODERATE ||
        c->bytes.len == 0)
        return ERR_INVALID;
    if (channel->self == NONE || channel->excluded) return ERR_DENIED;
    int rc = talk_may_write(n, index);
    if (rc == OK && talk_by_person(c->entry_kind)) rc = moderate_may_write(n, channel);
    if (rc < 0) return rc;
    if (channel->authors[channel->self].tip == 0) {
        uint64_t unused;
        rc = channel->quiet ? write_join(n, index, &unused) : ERR_WRONG_STATE;
        if (rc < 0) return rc;
    }
    bool ours = c->entry_kind >= ENTRY_KEY && c->entry_kind <= ENTRY_SESSION;
    if (channel->roster && (ours || c->entry_kind == ENTRY_LEAVE))
        return ERR_INVALID; /* the node's to write */
    if (seal_covers(channel, c->entry_kind)) {
        rc = c->bytes.len > SEAL_BODY_BYTES_MAX ? ERR_TOO_LARGE : seal_ready(n, channel);
        if (rc < 0) return rc;
    }
    return feed_append(n, index, c->entry_kind, c->bytes, out_token);
}

static int command_talk(struct node *n, const struct command *c, uint64_t *out_token)
{
    uint32_t index;
    if (!c->channel || (c->kind != COMMAND_REQUEST && !c->session)) return ERR_INVALID;
    if (!channel_find(n, c->channel, &index)) return ERR_NOT_FOUND;
    if (c->kind == COMMAND_REQUEST) return talk_request(n, index, c->bytes, c->online, out_token);
    if (c->kind == COMMAND_ANSWER) return talk_answer(n, index, c->session, c->online, out_token);
    return talk_end(n, index, c->session, out_token);
}

static int command_certificate(struct node *n, slice bytes)
{
    struct certificate c;
    int rc = certificate_parse(n->crypto, bytes, &c);
    if (rc < 0) return rc;
    if (memcmp(c.device, n->device, ID_BYTES) != 0) return ERR_INVALID;
    memcpy(n->certificate, bytes.ptr, bytes.len);
    n->certificate_len = bytes.len;
    n->account = slice_of(n->certificate + (c.account.ptr - bytes.ptr), c.account.len);
    memcpy(n->certifier, c.authority, ID_BYTES);
    talks_certified(n);
    for (uint32_t i = 0; i < n->channels_len; i++)
        seal_review(n, n->channels[i]);
    return OK;
}

int64_t input_command(struct node *n, const struct command *c, usec now)
{
    uint64_t token = 0;
    int rc = ERR_INVALID;
    bool needs_channel = (c->kind >= COMMAND_JOIN && c->kind <= COMMAND_SEND) || c->kind == COMMAND_MEMBER ||
                         c->kind == COMMAND_HISTORY || c->kind == COMMAND_BRING ||
                         c->kind == COMMAND_MODERATE || c->kind == COMMAND_FORGET;
    bool needs_device = c->kind == COMMAND_JOIN || c->kind == COMMAND_PEER ||
                        c->kind == COMMAND_CONNECT_FAILED || c->kind == COMMAND_SIGNAL;
    node_clock(n, now);
    node_started(n);
    if ((needs_channel && !c->channel) || (needs_device && !c->device)) return ERR_INVALID;
    switch (c->kind) {
    case COMMAND_CERTIFICATE: rc = command_certificate(n, c->bytes); break;
    case COMMAND_JOIN: rc = command_join(n, c, &token); break;
    case COMMAND_LEAVE: rc = command_leave(n, c, &token); break;
    case COMMAND_SEND: rc = command_send(n, c, &token); break;
    case COMMAND_PEER: rc = mesh_hint(n, c->device, c->channel, c->online); break;
    case COMMAND_OPEN: rc = command_open(n, c->spec, c->quiet, c->on_demand, &token); break;
    case COMMAND_DEVICE: rc = seal_device(n, c->bytes); break;
    case COMMAND_MEMBER: rc = member_command(n, c, &token); break;
    case COMMAND_HISTORY: rc = history_command(n, c, &token); break;
    case COMMAND_RELATION: rc = talk_relation(n, c->bytes, c->relation); break;
    case COMMAND_REQUEST:
    case COMMAND_ANSWER:
    case COMMAND_END: rc = command_talk(n, c, &token); break;
    case COMMAND_LOGOUT: rc = talk_logout(n); break;
    case COMMAND_CONNECT_FAILED:
        mesh_failed(n, c->device, c->path);
        rc = OK;
        break;
    case COMMAND_SIGNAL: rc = signal_send(n, c->device, c->bytes); break;
    case COMMAND_NETWORK:
        mesh_network(n);
        rc = OK;
        break;
    case COMMAND_FILE_HOLD:
    case COMMAND_FILE_FETCH:
    case COMMAND_FILE_PAUSE:
    case COMMAND_FILE_DROP: rc = transfer_command(n, c); break;
    case COMMAND_FORGET: rc = forget_command(n, c); break;
    case COMMAND_MODERATE: rc = moderate_command(n, c, &token); break;
    case COMMAND_BRING: rc = bring_entry(n, c, &token); break;
    default: break;
    }
    return rc < 0 ? rc : (int64_t)token;
}
