/* Channels of a world, who is in them, and what everybody agrees was written there. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t pair_key(uint32_t channel, uint32_t author)
{
    return (uint64_t)channel << 32 | author;
}

static slice copy_text(char *out, size_t room, slice text)
{
    size_t len = text.len < room ? text.len : room;
    if (len > 0) memcpy(out, text.ptr, len);
    return slice_of((const uint8_t *)out, len);
}

/* The slices of the specs point into the array, which may have moved. */
static void repoint(struct sim_channel *c)
{
    c->spec.name.ptr = (const uint8_t *)c->name;
    c->spec.account.ptr = (const uint8_t *)c->account[0];
    c->spec.other.ptr = (const uint8_t *)c->account[1];
    if (c->spec.type == CHANNEL_PRIVATE) c->spec.nonce = c->nonce;
}

uint32_t sim_channel_add(struct sim *sim, const struct channel_spec *spec, const uint8_t id[ID_BYTES])
{
    sim->channels = must_grow(sim->channels, sim->channels_len, &sim->channels_cap, sizeof *sim->channels);
    struct sim_channel *c = &sim->channels[sim->channels_len];
    memset(c, 0, sizeof *c);
    c->spec = *spec;
    c->spec.name = copy_text(c->name, sizeof c->name, spec->name);
    c->spec.account = copy_text(c->account[0], sizeof c->account[0], spec->account);
    c->spec.other = copy_text(c->account[1], sizeof c->account[1], spec->other);
    if (spec->nonce) memcpy(c->nonce, spec->nonce, NODE_NONCE_BYTES);
    c->sealed = spec->type != CHANNEL_PUBLIC;
    memcpy(c->id, id, ID_BYTES);
    sim->channels_len++;
    for (uint32_t i = 0; i < sim->channels_len; i++)
        repoint(&sim->channels[i]);
    return sim->channels_len - 1;
}

uint32_t channel_of_id(const struct sim *sim, const uint8_t *id)
{
    for (uint32_t i = 0; i < sim->channels_len; i++)
        if (memcmp(sim->channels[i].id, id, ID_BYTES) == 0) return i;
    return UINT32_MAX;
}

struct membership *membership_of(const struct device *d, uint32_t channel)
{
    for (size_t i = 0; i < d->memberships_len; i++)
        if (d->memberships[i].channel == channel) return &d->memberships[i];
    return NULL;
}

bool is_member(const struct device *d, uint32_t channel)
{
    const struct membership *m = membership_of(d, channel);
    return m && m->member;
}

struct membership *membership_add(struct sim *sim, uint32_t channel, struct device *d, bool joins)
{
    struct membership *m = membership_of(d, channel);
    if (!m) {
        struct sim_channel *c = &sim->channels[channel];
        d->memberships =
            must_grow(d->memberships, d->memberships_len, &d->memberships_cap, sizeof *d->memberships);
        m = &d->memberships[d->memberships_len++];
        *m = (struct membership){.channel = channel, .quiet = sim->setup.quiet};
        c->members = must_grow(c->members, c->members_len, &c->members_cap, sizeof *c->members);
        c->members[c->members_len++] = d->index;
    }
    m->member = true;
    m->joins = joins;
    return m;
}

struct chronicle *chronicle_of(const struct sim *sim, uint32_t channel, uint32_t author)
{
    uint32_t i = table_get(&sim->chronicle_of, pair_key(channel, author));
    return i == UINT32_MAX ? NULL : &sim->chronicles[i];
}

static struct chronicle *chronicle_make(struct sim *sim, uint32_t channel, uint32_t author)
{
    struct chronicle *known = chronicle_of(sim, channel, author);
    if (known) return known;
    struct sim_channel *c = &sim->channels[channel];
    uint32_t number = (uint32_t)sim->chronicles_len;
    sim->chronicles =
        must_grow(sim->chronicles, sim->chronicles_len, &sim->chronicles_cap, sizeof *sim->chronicles);
    sim->chronicles[sim->chronicles_len++] = (struct chronicle){.channel = channel, .author = author};
    table_put(&sim->chronicle_of, pair_key(channel, author), number);
    c->chronicles = must_grow(c->chronicles, c->chronicles_len, &c->chronicles_cap, sizeof *c->chronicles);
    c->chronicles[c->chronicles_len++] = number;
    return &sim->chronicles[number];
}

struct truth *truth_of(struct sim *sim, uint32_t channel, uint32_t author, uint64_t seq)
{
    struct chronicle *chronicle = chronicle_make(sim, channel, author);
    while (chronicle->len < seq) {
        chronicle->truth =
            must_grow(chronicle->truth, chronicle->len, &chronicle->cap, sizeof *chronicle->truth);
        memset(&chronicle->truth[chronicle->len++], 0, sizeof *chronicle->truth);
    }
    return &chronicle->truth[seq - 1];
}

struct truth *truth_find(const struct sim *sim, uint32_t channel, uint32_t author, uint64_t seq)
{
    struct chronicle *chronicle = chronicle_of(sim, channel, author);
    return chronicle && seq > 0 && seq <= chronicle->len ? &chronicle->truth[seq - 1] : NULL;
}

void sim_channels_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->chronicles_len; i++) {
        struct chronicle *chronicle = &sim->chronicles[i];
        for (size_t k = 0; k < chronicle->len; k++)
            free(chronicle->truth[k].record);
        free(chronicle->truth);
    }
    free(sim->chronicles);
    table_free(&sim->chronicle_of);
    for (uint32_t i = 0; i < sim->channels_len; i++)
        free(sim->channels[i].members), free(sim->channels[i].chronicles);
    free(sim->channels);
}
