#include "people.h"

struct world *people_new(const char *const *accounts)
{
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    for (int i = 0; accounts[i]; i++)
        world_add(w, 1 + i, ROLE_PERSON, accounts[i]);
    return w;
}

struct world *people_online(const char *const *accounts)
{
    struct world *w = people_new(accounts);
    for (int i = 0; accounts[i]; i++)
        world_link(w, 1 + i, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    return w;
}

struct channel_spec people_private(struct world *w, int founder)
{
    static uint8_t nonce[NODE_NONCE_BYTES] = {7};
    struct channel_spec spec = {.type = CHANNEL_PRIVATE,
                                .authority = w->authority,
                                .founder = world_device(w, founder),
                                .nonce = nonce};
    world_use(w, &spec);
    return spec;
}

struct channel_spec people_direct(struct world *w, const char *a, const char *b)
{
    struct channel_spec spec = {
        .type = CHANNEL_DIRECT, .authority = w->authority, .account = slice_text(a), .other = slice_text(b)};
    world_use(w, &spec);
    return spec;
}

struct channel_spec people_found(struct world *w, int founder, const char *const *accounts)
{
    struct channel_spec spec = people_private(w, founder);
    assert_true(world_open(w, founder, &spec) > 0);
    for (int i = 0; accounts[i]; i++)
        assert_true(world_member(w, founder, accounts[i], true) > 0);
    world_run(w, 2 * SECONDS);
    return spec;
}
