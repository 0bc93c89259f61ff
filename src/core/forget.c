/* forget.c - a replica lets go of a conversation: nothing of it is held any more, and nobody is told that it
 * is. It stays known, so that nobody brings it by INTRODUCE, until COMMAND_OPEN carries it again. */
#include <string.h>

#include "core/state.h"

/* Something of the channel is under way, or the shell is to hear of something. */
static bool is_busy(const struct node *n, const struct channel *c)
{
    if (c->says || c->history.token || c->history.link != NONE || !c->stored) return true;
    for (uint32_t i = 0; i < n->ops_cap; i++)
        if (n->ops[i].state != OP_FREE && n->ops[i].channel == c->index) return true;
    for (uint32_t i = 0; i < c->authors_len; i++)
        if (c->authors[i].used && c->authors[i].gap_due) return true;
    return false;
}

/* What points into the tables of authors. */
static void let_go(struct node *n, struct channel *c)
{
    for (uint32_t i = 0; i < n->pipes_cap; i++)
        if (n->pipes[i]) sync_forget(n, n->pipes[i], c->index);
    for (uint32_t i = 0; i < c->authors_len; i++)
        timer_disarm(n, TIMER_AUTHOR, c->index, i);
    for (uint32_t kind = TIMER_CHANNEL; kind < TIMER_KINDS; kind++)
        timer_disarm(n, (enum timer_kind)kind, c->index, 0);
    for (uint32_t i = 0; i < CACHE_SLOTS; i++) {
        struct cached *slot = &n->cache[i];
        if (!slot->blob || slot->channel != c->index) continue;
        blob_release(n->allocator, slot->blob);
        *slot = (struct cached){0};
    }
}

int forget_command(struct node *n, const struct command *command)
{
    uint32_t index, fresh;
    struct channel *c = channel_find(n, command->channel, &index);
    if (!c) return ERR_NOT_FOUND;
    if (n->config.role != ROLE_REPLICA || !c->roster || c->roster->type != CHANNEL_DIRECT) return ERR_DENIED;
    if (is_busy(n, c)) return ERR_BUSY;
    if (!command->online && c->carried && !sync_all_kept(n, index)) return ERR_AGAIN;
    /* A new one is put in the place of the old one. */
    struct channel_spec spec = member_spec(c);
    int rc = member_channel_add(n, &spec, SLICE_EMPTY, &fresh);
    if (rc < 0) {
        (void)!map_set(&n->channel_by_id, c->id, index); /* it is there: no memory is needed */
        return rc;
    }
    c->carried = false;
    let_go(n, c);
    struct channel *replacement = n->channels[fresh];
    replacement->index = index;
    replacement->carried = false;
    replacement->stored = true;
    n->channels[index] = replacement;
    n->channels_len = fresh;
    channel_free(n, c);
    return map_set(&n->channel_by_id, replacement->id, index);
}
