/* channel.c - the tables of a channel: authors, the list of them by last change, who is behind. */
#include <string.h>

#include "core/state.h"

int grow(const struct allocator *a, void **array, uint32_t *cap, uint32_t want, size_t size)
{
    if (want <= *cap) return OK;
    uint32_t bigger = *cap < 4 ? 4 : *cap;
    while (bigger < want)
        bigger = bigger > UINT32_MAX / 2 ? want : bigger > 1024 ? bigger + bigger / 2 : bigger * 2;
    if (bigger > SIZE_MAX / size) return ERR_MEMORY;
    uint8_t *block = alloc_resize(a, *array, *cap * size, bigger * size);
    if (!block) return ERR_MEMORY;
    memset(block + *cap * size, 0, (bigger - *cap) * size);
    *array = block;
    *cap = bigger;
    return OK;
}

struct channel *channel_find(const struct node *n, const uint8_t *id, uint32_t *out_index)
{
    if (n->channels_len > CHANNELS_FEW)
        return map_get(&n->channel_by_id, id, out_index) ? n->channels[*out_index] : NULL;
    for (uint32_t i = 0; i < n->channels_len; i++) {
        if (memcmp(n->channels[i]->id, id, ID_BYTES) != 0) continue;
        *out_index = i;
        return n->channels[i];
    }
    return NULL;
}

int channel_add(struct node *n, const uint8_t *id, const uint8_t *authority, slice name, uint32_t *out_index)
{
    if (n->channels_len >= NODE_CHANNELS_MAX) return ERR_FULL;
    struct channel *c = alloc_new(n->allocator, sizeof *c);
    if (!c) return ERR_MEMORY;
    memcpy(c->id, id, ID_BYTES);
    memcpy(c->authority, authority, ID_BYTES);
    c->carried = true;
    c->self = c->newest = c->authors_free = NONE;
    c->have_at = NEVER;
    c->history.link = c->history.next = NONE;
    map_init(&c->by_device, n->allocator, NODE_AUTHORS_MAX, n->map_secret);
    ledger_init(n, &c->ledger);
    c->name = name.len ? alloc_new(n->allocator, name.len) : NULL;
    int rc = name.len && !c->name ? ERR_MEMORY : OK;
    if (rc == OK && name.len) {
        memcpy(c->name, name.ptr, name.len);
        c->name_len = name.len;
    }
    if (rc == OK)
        rc = grow(n->allocator, (void **)&n->channels, &n->channels_cap, n->channels_len + 1, sizeof c);
    if (rc == OK && n->config.role == ROLE_PERSON) rc = author_add(n, c, n->device, &c->self);
    if (rc == OK) rc = map_set(&n->channel_by_id, id, n->channels_len);
    if (rc < 0) {
        channel_free(n, c);
        return rc;
    }
    *out_index = c->index = n->channels_len;
    n->channels[n->channels_len++] = c;
    return OK;
}

static void author_clear(struct node *n, struct author *a)
{
    lane_free(n, a);
    alloc_free(n->allocator, a->account, a->account_len);
    *a = (struct author){0};
}

void channel_free(struct node *n, struct channel *c)
{
    for (uint32_t i = 0; i < c->authors_len; i++)
        author_clear(n, &c->authors[i]);
    alloc_free(n->allocator, c->authors, c->authors_cap * sizeof *c->authors);
    alloc_free(n->allocator, c->behind, c->behind_cap * sizeof *c->behind);
    alloc_free(n->allocator, c->members, c->members_cap * sizeof *c->members);
    alloc_free(n->allocator, c->name, c->name_len);
    view_free(n, c);
    gossip_free(n, c);
    roster_free(n, c->roster);
    talk_free(n, c);
    moderation_free(n, c->moderation);
    keyring_free(n, c->keys);
    ledger_free(n, &c->ledger);
    map_deinit(&c->by_device);
    alloc_free(n->allocator, c, sizeof *c);
}

void channel_announce(struct node *n, struct channel *c, enum channel_say what)
{
    struct queue *q = &n->channel_queue;
    uint8_t before = c->says;
    c->says |= (uint8_t)what;
    if (before) return;
    c->says_next = NONE;
    if (q->tail == NONE)
        q->head = c->index;
    else
        n->channels[q->tail]->says_next = c->index;
    q->tail = c->index;
}

uint32_t author_find(const struct channel *c, const uint8_t *device)
{
    uint32_t index;
    return map_get(&c->by_device, device, &index) ? index : NONE;
}

int author_add(struct node *n, struct channel *c, const uint8_t *device, uint32_t *out_index)
{
    uint32_t index = c->authors_free != NONE ? c->authors_free : c->authors_len;
    int rc = grow(n->allocator, (void **)&c->authors, &c->authors_cap, index + 1, sizeof *c->authors);
    if (rc < 0) return rc;
    rc = map_set(&c->by_device, device, index);
    if (rc < 0) return rc;
    struct author *a = &c->authors[index];
    if (index == c->authors_free)
        c->authors_free = a->older;
    else
        c->authors_len++;
    *a = (struct author){.used = true, .behind_at = NONE, .want_link = NONE, .via_link = NONE};
    a->newer = a->older = a->ops_head = a->ops_tail = NONE;
    memcpy(a->device, device, ID_BYTES);
    *out_index = index;
    view_author(n, c, device);
    return OK;
}

void author_drop_phantom(struct node *n, struct channel *c, uint32_t author)
{
    struct author *a = &c->authors[author];
    if (!a->used || a->tip > 0 || a->ops_head != NONE || a->want_link != NONE || author == c->self) return;
    if (a->claims > 0) return;
    channel_set_behind(n, c, author, false);
    map_remove(&c->by_device, a->device);
    timer_disarm(n, TIMER_AUTHOR, c->index, author);
    author_clear(n, a);
    a->older = c->authors_free;
    c->authors_free = author;
}

static void unlink_version(struct channel *c, struct author *a, uint32_t author)
{
    if (a->newer != NONE)
        c->authors[a->newer].older = a->older;
    else if (c->newest == author)
        c->newest = a->older;
    if (a->older != NONE) c->authors[a->older].newer = a->newer;
    a->newer = a->older = NONE;
}

void author_touch(struct channel *c, uint32_t author)
{
    struct author *a = &c->authors[author];
    unlink_version(c, a, author);
    a->version = ++c->version;
    a->older = c->newest;
    if (c->newest != NONE) c->authors[c->newest].newer = author;
    c->newest = author;
}

void channel_set_behind(struct node *n, struct channel *c, uint32_t author, bool behind)
{
    struct author *a = &c->authors[author];
    if (behind == (a->behind_at != NONE)) return;
    if (behind) {
        /* Without memory the author is simply not asked for until the next HAVE. */
        if (grow(n->allocator, (void **)&c->behind, &c->behind_cap, c->behind_len + 1, sizeof *c->behind) < 0)
            return;
        a->behind_at = c->behind_len;
        c->behind[c->behind_len++] = author;
    } else {
        uint32_t last = c->behind[--c->behind_len];
        c->behind[a->behind_at] = last;
        c->authors[last].behind_at = a->behind_at;
        a->behind_at = NONE;
    }
}
