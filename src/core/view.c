#include "core/view.h"

#include <string.h>

#include "core/state.h"

#define PLAN_US (2 * SECONDS) /* between two plans while links are missing */
#define PLAN_SOON_US (100 * MILLISECONDS)
#define SHUFFLE_US (40 * SECONDS)
#define SHUFFLE_LEAST_US (5 * SECONDS) /* a neighbour who shuffles more often is not listened to */
#define FAILED_PAUSE_US (30 * SECONDS)
#define LOST_PAUSE_US (3 * SECONDS)
#define YOUNG_US (10 * SECONDS) /* a link is not let go before */
#define STRANGER_PAUSE_US (10 * SECONDS)

static uint32_t channel_limit(const struct node *n)
{
    return n->config.channel_links_max ? n->config.channel_links_max : CHANNEL_LINKS_MAX;
}

static uint32_t small_limit(const struct node *n)
{
    uint32_t limit = channel_limit(n);
    return limit + 1 < VIEW_SMALL ? limit + 1 : VIEW_SMALL;
}

static uint32_t degree(const struct node *n)
{
    uint32_t limit = channel_limit(n);
    return limit < VIEW_DEGREE ? limit : VIEW_DEGREE;
}

bool view_large(const struct channel *c)
{
    return c->view.large;
}

/* Members that are there, for all that is known, beside this device. A replica is linked to all of them, so
 * it has nothing to remember. */
static void update_large(struct node *n, struct channel *c)
{
    uint32_t all = 1 + c->persons + c->view.len, small = small_limit(n);
    uint32_t again = small < VIEW_SMALL_AGAIN ? small : VIEW_SMALL_AGAIN;
    if (all > small && !c->view.large) {
        c->view.large = true;
        for (uint32_t i = c->view.len; i-- > 0;)
            mesh_relax(n, c->view.known[i].device);
        for (uint32_t i = 0; i < c->members_len; i++)
            mesh_relax(n, n->pipes[c->members[i]]->link.device);
        gossip_resized(n, c);
    } else if (all <= again && c->view.large) {
        c->view.large = false;
        gossip_resized(n, c);
    }
}

static void plan_at(struct node *n, const struct channel *c, usec at)
{
    if (n->config.role == ROLE_PERSON) timer_arm(n, TIMER_VIEW, c->index, 0, at);
}

static void plan_soon(struct node *n, const struct channel *c)
{
    plan_at(n, c, n->now + random_below(&n->random, PLAN_SOON_US));
}

void view_soon(struct node *n)
{
    for (uint32_t i = 0; i < n->channels_len; i++)
        if (n->channels[i]->carried) plan_soon(n, n->channels[i]);
}

void view_free(struct node *n, struct channel *c)
{
    alloc_free(n->allocator, c->view.known, c->view.cap * sizeof *c->view.known);
    c->view = (struct view){0};
}

/* --- the passive view --- */

static struct acquaintance *find(const struct channel *c, const uint8_t *device)
{
    for (uint32_t i = 0; i < c->view.len; i++)
        if (memcmp(c->view.known[i].device, device, ID_BYTES) == 0) return &c->view.known[i];
    return NULL;
}

static void forget(struct node *n, struct channel *c, struct acquaintance *a)
{
    *a = c->view.known[--c->view.len];
    update_large(n, c);
}

static bool is_linked(const struct node *n, const struct channel *c, const uint8_t *device)
{
    const struct peer *p = peer_find(n, device);
    for (uint32_t i = p ? p->first_link : NONE; i != NONE; i = n->pipes[i]->sibling) {
        const struct share *s = share_of(n->pipes[i], c->index);
        if (s && s->active) return true;
    }
    return false;
}

/* A place for one more: a free one, or that of somebody of whom we know less. NULL: no place. */
static struct acquaintance *make_place(struct node *n, struct channel *c, bool online)
{
    struct view *v = &c->view;
    if (v->len < VIEW_KNOWN_MAX) {
        if (grow(n->allocator, (void **)&v->known, &v->cap, v->len + 1, sizeof *v->known) < 0) return NULL;
        return &v->known[v->len++];
    }
    uint32_t at = (uint32_t)random_below(&n->random, v->len);
    /* Of all that the tracker names, a fair choice stays. */
    if (online && random_below(&n->random, n->online_len + 1) >= VIEW_KNOWN_MAX) return NULL;
    if (!online && v->known[at].online) return NULL;
    return &v->known[at];
}

static void learn(struct node *n, struct channel *c, const uint8_t *device, const struct pipe *via,
                  bool online)
{
    if (memcmp(device, n->device, ID_BYTES) == 0 || memcmp(device, c->authority, ID_BYTES) == 0) return;
    if (n->config.role != ROLE_PERSON || !c->carried || is_linked(n, c, device)) return;
    struct acquaintance *a = find(c, device);
    if (!a) {
        a = make_place(n, c, online);
        if (!a) return;
        *a = (struct acquaintance){.via = NONE};
        memcpy(a->device, device, ID_BYTES);
    }
    a->online = a->online || online;
    if (via) {
        a->via = via->slot;
        a->via_serial = via->serial;
    }
    update_large(n, c);
    plan_soon(n, c);
}

void view_learn(struct node *n, struct channel *c, const uint8_t *device, const struct pipe *via)
{
    learn(n, c, device, via, via == NULL);
}

void view_online(struct node *n, const uint8_t *device)
{
    for (uint32_t i = 0; i < n->channels_len; i++)
        if (author_find(n->channels[i], device) != NONE) learn(n, n->channels[i], device, NULL, true);
}

void view_author(struct node *n, struct channel *c, const uint8_t *device)
{
    const struct peer *p = peer_find(n, device);
    if (p && p->online) learn(n, c, device, NULL, true);
}

void view_offline(struct node *n, const uint8_t *device)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        struct acquaintance *a = find(n->channels[i], device);
        if (a) forget(n, n->channels[i], a);
    }
}

void view_failed(struct node *n, const uint8_t *device)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        struct channel *c = n->channels[i];
        struct acquaintance *a = find(c, device);
        if (!a) continue;
        a->pause_until = n->now + FAILED_PAUSE_US + random_below(&n->random, FAILED_PAUSE_US);
        if (++a->failures >= VIEW_FAILURES_MAX && !a->online) {
            PROBE(n, VIEW_FORGOTTEN);
            forget(n, c, a);
        }
        plan_soon(n, c);
    }
}

struct pipe *view_via(struct node *n, const uint8_t *device)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        const struct acquaintance *a = find(n->channels[i], device);
        struct pipe *p = a && a->via != NONE && a->via < n->pipes_cap ? n->pipes[a->via] : NULL;
        if (p && p->serial == a->via_serial && p->open_done && !p->closing) return p;
    }
    return NULL;
}

/* --- too many links --- */

/* Nobody is cut off when this link goes: on every channel both ends are likely to have enough others. */
static bool is_spare(const struct node *n, const struct pipe *p)
{
    if (!p || !p->open_done || p->closing || p->link.role != ROLE_PERSON) return false;
    if (n->now < p->opened_at + YOUNG_US || n->peers[p->peer]->wanted == WANTED_ALWAYS) return false;
    for (uint32_t i = 0; i < p->shares_len; i++) {
        const struct share *s = p->shares[i];
        if (!s || !s->active) continue;
        if (!n->channels[i]->view.large || n->channels[i]->persons <= degree(n)) return false;
    }
    return true;
}

/* A random one of the spare links out of `slots` (NULL: of all), or NULL. */
static struct pipe *choose_spare(struct node *n, const struct pipe *except, const uint32_t *slots,
                                 uint32_t len)
{
    struct pipe *chosen = NULL;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < len; i++) {
        struct pipe *p = n->pipes[slots ? slots[i] : i];
        if (p == except || !is_spare(n, p)) continue;
        if (random_below(&n->random, ++seen) == 0) chosen = p;
    }
    return chosen;
}

static void let_go(struct node *n, struct pipe *newcomer, struct pipe *spare)
{
    if (spare)
        PROBE(n, SPARE_LET_GO);
    else
        PROBE(n, NEWCOMER_REFUSED);
    if (spare)
        pipe_close(n, spare, ERR_BUSY,
                   "this device has as many links as it may, and makes room for a newcomer");
    else
        pipe_close(n, newcomer, ERR_BUSY, "this device has as many links as it may; please try another one");
}

void view_opened(struct node *n, struct pipe *p)
{
    uint32_t limit = n->config.links_max ? n->config.links_max : LINKS_MAX;
    if (n->config.role != ROLE_PERSON || p->link.role != ROLE_PERSON || n->persons <= limit) return;
    let_go(n, p, choose_spare(n, p, NULL, n->pipes_cap));
}

static void send_shuffle(struct node *n, struct pipe *p, struct channel *c, bool asks);

void view_linked(struct node *n, struct pipe *p, struct channel *c)
{
    struct acquaintance *a = find(c, p->link.device);
    c->persons += p->link.role == ROLE_PERSON;
    if (a) forget(n, c, a);
    update_large(n, c);
    if (n->config.role != ROLE_PERSON) return;
    uint32_t active = c->persons;
    if (p->link.role == ROLE_PERSON && active > channel_limit(n)) {
        const struct share *s = share_of(p, c->index);
        struct pipe *spare = NULL;
        if (s->their_links < VIEW_NEED_LINKS) spare = choose_spare(n, p, c->members, c->members_len);
        let_go(n, p, spare);
        if (p->closing) return;
    }
    if (c->view.len + active < VIEW_DEGREE) send_shuffle(n, p, c, true); /* who else is there? */
    if (c->view.shuffle_at == 0) c->view.shuffle_at = n->now + random_below(&n->random, SHUFFLE_US);
    plan_soon(n, c);
}

void view_unlinked(struct node *n, struct pipe *p, struct channel *c)
{
    c->persons -= p->link.role == ROLE_PERSON;
    if (p->link.role == ROLE_PERSON && c->carried) {
        const struct peer *peer = peer_find(n, p->link.device);
        learn(n, c, p->link.device, NULL, peer && peer->online);
        struct acquaintance *a = find(c, p->link.device);
        /* Who lets go so soon has enough links. */
        usec pause = n->now < p->opened_at + YOUNG_US ? FAILED_PAUSE_US : LOST_PAUSE_US;
        if (a) a->pause_until = n->now + pause + random_below(&n->random, pause);
    }
    update_large(n, c);
    plan_soon(n, c);
}

/* --- links that are missing --- */

static bool has_room(const struct node *n)
{
    return n->persons < (n->config.links_max ? n->config.links_max : LINKS_MAX);
}

/* Everybody links to everybody. Whom the tracker does not name is tried a few times only. */
static void plan_small(struct node *n, struct channel *c)
{
    for (uint32_t i = 0; i < c->view.len && has_room(n); i++) {
        const struct acquaintance *a = &c->view.known[i];
        if (a->pause_until > n->now) {
            plan_at(n, c, a->pause_until);
            continue;
        }
        mesh_want(n, a->device, a->online ? WANTED_ALWAYS : WANTED_ONCE);
    }
}

/* A random one whom it is time to call, or NULL; *out_dialing: how many are being called. */
static const struct acquaintance *choose(struct node *n, struct channel *c, uint32_t *out_dialing)
{
    const struct acquaintance *chosen = NULL;
    uint32_t first = c->view.len > 0 ? (uint32_t)random_below(&n->random, c->view.len) : 0;
    *out_dialing = 0;
    for (uint32_t i = 0; i < c->view.len; i++) {
        const struct acquaintance *a = &c->view.known[(first + i) % c->view.len];
        const struct peer *p = peer_find(n, a->device);
        bool dialing = p && p->wanted != WANTED_NOT && p->path == PATH_NONE;
        *out_dialing += dialing;
        if (dialing || (p && p->path != PATH_NONE) || a->pause_until > n->now) continue;
        if (!chosen) chosen = a;
    }
    return chosen;
}

/* Nobody is known to be in the channel: somebody of whom only the tracker has said that he is there. */
static void try_stranger(struct node *n)
{
    if (n->stranger_at > n->now) return;
    for (int draws = 0; draws < 8 && n->online_len > 0; draws++) {
        struct peer *p = n->peers[n->online[random_below(&n->random, n->online_len)]];
        if (p->wanted != WANTED_NOT || p->path != PATH_NONE || p->stranger_until > n->now) continue;
        PROBE(n, STRANGER);
        p->stranger_until = n->now + 6 * STRANGER_PAUSE_US;
        mesh_want(n, p->device, WANTED_ONCE);
        n->stranger_at = n->now + STRANGER_PAUSE_US / VIEW_DEGREE;
        return;
    }
}

static void plan_large(struct node *n, struct channel *c, uint32_t active)
{
    uint32_t dialing;
    if (active >= degree(n)) return;
    for (uint32_t i = 0; i < VIEW_DIALS_MAX && has_room(n); i++) {
        const struct acquaintance *a = choose(n, c, &dialing);
        if (active + dialing >= degree(n) || dialing >= VIEW_DIALS_MAX) break;
        if (a)
            mesh_want(n, a->device, WANTED_ONCE);
        else if (dialing == 0)
            try_stranger(n);
        if (!a) break;
    }
    plan_at(n, c, n->now + PLAN_US + random_below(&n->random, PLAN_US));
}

/* --- SHUFFLE --- */

/* Up to VIEW_SHUFFLE_IDS devices, some linked and some not, but not the one that they are for. */
static uint32_t some_devices(struct node *n, const struct channel *c, const struct pipe *target,
                             const uint8_t *out[VIEW_SHUFFLE_IDS])
{
    uint32_t len = 0;
    for (uint32_t k = 0, at = 0; k < c->members_len && k < 2 * VIEW_SHUFFLE_IDS; k++) {
        if (k == 0) at = (uint32_t)random_below(&n->random, c->members_len);
        const struct pipe *p = n->pipes[c->members[(at + k) % c->members_len]];
        if (p == target || p->link.role != ROLE_PERSON || len >= VIEW_SHUFFLE_IDS) continue;
        if (len >= VIEW_SHUFFLE_IDS / 2 && c->view.len >= VIEW_SHUFFLE_IDS) break;
        if (memcmp(p->link.device, target->link.device, ID_BYTES) != 0) out[len++] = p->link.device;
    }
    for (uint32_t k = 0, at = 0; k < c->view.len && len < VIEW_SHUFFLE_IDS; k++) {
        if (k == 0) at = (uint32_t)random_below(&n->random, c->view.len);
        const struct acquaintance *a = &c->view.known[(at + k) % c->view.len];
        if (a->failures == 0 && memcmp(a->device, target->link.device, ID_BYTES) != 0) out[len++] = a->device;
    }
    return len;
}

static void send_shuffle(struct node *n, struct pipe *p, struct channel *c, bool asks)
{
    const uint8_t *devices[VIEW_SHUFFLE_IDS];
    uint8_t plain[64 + VIEW_SHUFFLE_IDS * (ID_BYTES + 2)];
    uint32_t len = some_devices(n, c, p, devices);
    if (len == 0 && !asks) return;
    PROBE(n, SHUFFLE);
    struct writer w = writer_of(plain, sizeof plain);
    message_write_shuffle(&w, c->id, devices, len, asks);
    if (asks) share_of(p, c->index)->shuffle_asked = true;
    (void)pipe_control(n, p, writer_slice(&w));
}

void view_on_shuffle(struct node *n, struct pipe *p, const struct message *m)
{
    struct message devices = *m;
    const uint8_t *device;
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return;
    }
    if (n->now < s->shuffled_at) return; /* hearsay in small doses, */
    if (m->on)
        s->shuffled_at = n->now + SHUFFLE_LEAST_US;
    else if (!s->shuffle_asked)
        return; /* and nobody fills the view unasked */
    else
        s->shuffle_asked = false;
    for (uint32_t taken = 0; taken < VIEW_SHUFFLE_IDS && message_next_device(&devices, &device); taken++)
        view_learn(n, c, device, p);
    if (m->on) send_shuffle(n, p, c, false);
}

static void shuffle(struct node *n, struct channel *c)
{
    struct view *v = &c->view;
    if (v->shuffle_at == 0) return;
    if (v->shuffle_at > n->now) {
        plan_at(n, c, v->shuffle_at);
        return;
    }
    v->shuffle_at = 0;
    if (c->members_len == 0) return;
    v->shuffle_at = n->now + SHUFFLE_US / 2 + random_below(&n->random, SHUFFLE_US);
    plan_at(n, c, v->shuffle_at);
    if (c->members_len + v->len < 3) return; /* nobody whom they do not know */
    send_shuffle(n, n->pipes[c->members[random_below(&n->random, c->members_len)]], c, true);
}

void view_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    if (n->config.role != ROLE_PERSON || !c->carried) return;
    update_large(n, c);
    uint32_t active = c->persons;
    if (!c->view.large)
        plan_small(n, c);
    else
        plan_large(n, c, active);
    if (!c->view.large && active == 0 && n->online_len > VIEW_SMALL) {
        try_stranger(n);
        plan_at(n, c, n->now + PLAN_US);
    }
    shuffle(n, c);
}
