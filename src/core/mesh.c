/* mesh.c - pipes, the devices at their other ends, and who dials whom.
 *
 * Between two devices the one with the smaller id dials; the other one begins only when nothing has come for
 * a while. A direct link is tried at once, a relay when that takes too long, and a direct link again later,
 * with growing pauses, while the relay carries on. */
#include <string.h>

#include "core/identity.h"
#include "core/state.h"

enum { FEW = 4 };
#define CROWD_US (300 * MILLISECONDS)
#define PASSIVE_US (15 * SECONDS)
#define DIRECT_TRY_US (20 * SECONDS)
#define RELAY_TRY_US (10 * SECONDS)
#define DIRECT_PAUSE_US (5 * SECONDS)
#define RELAY_PAUSE_US (2 * SECONDS)
#define PAUSE_MAX_US (120 * SECONDS)
#define REFUSED_US (5 * SECONDS) /* a link that ends so soon was not wanted */
#define REFUSED_PAUSE_US (500 * MILLISECONDS)
#define REFUSALS_MAX 7

/* --- pipes --- */

struct pipe *pipe_find(struct node *n, uint32_t number)
{
    uint8_t key[MAP_KEY_BYTES] = {0};
    uint32_t slot, *found = &n->pipe_found[number % PIPES_FOUND];
    struct pipe *last = *found < n->pipes_cap ? n->pipes[*found] : NULL;
    if (last && last->number == number) return last; /* a link's calls come in runs */
    memcpy(key, &number, sizeof number);
    if (!map_get(&n->pipe_by_number, key, &slot)) return NULL;
    *found = slot;
    return n->pipes[slot];
}

void pipe_enqueue(struct node *n, struct pipe *p, enum pipe_queue which)
{
    struct queue *q = &n->pipe_queues[which];
    if (p->queued[which]) return;
    p->queued[which] = true;
    p->next[which] = NONE;
    p->before[which] = q->tail;
    if (q->tail == NONE)
        q->head = p->slot;
    else
        n->pipes[q->tail]->next[which] = p->slot;
    q->tail = p->slot;
}

void pipe_dequeue(struct node *n, struct pipe *p, enum pipe_queue which)
{
    struct queue *q = &n->pipe_queues[which];
    if (!p->queued[which]) return;
    uint32_t before = p->before[which], next = p->next[which];
    if (before == NONE)
        q->head = next;
    else
        n->pipes[before]->next[which] = next;
    if (next == NONE)
        q->tail = before;
    else
        n->pipes[next]->before[which] = before;
    p->queued[which] = false;
}

void pipe_wake(struct node *n, struct pipe *p)
{
    pipe_enqueue(n, p, QUEUE_WRITABLE);
}

bool pipe_control(struct node *n, struct pipe *p, slice message)
{
    uint8_t head[2] = {(uint8_t)(message.len >> 8), (uint8_t)message.len};
    if (p->control.len + message.len + 2 > CONTROL_BYTES_MAX) {
        PROBE(n, CONTROL_FULL);
        return false;
    }
    if (buffer_reserve(&p->control, message.len + 2) < 0) {
        p->control.failed = false; /* out of memory now is not for ever */
        return false;
    }
    buffer_put(&p->control, slice_of(head, 2));
    buffer_put(&p->control, message);
    pipe_wake(n, p);
    return true;
}

void pipe_glitch(struct node *n, struct pipe *p)
{
    if (p->closing || limits_odd(n, p)) return;
    PROBE(n, GLITCHES);
    limits_ban(n, p);
    pipe_close(n, p, ERR_PROTOCOL, "too many odd messages on this link");
}

/* Begins the end: the reason is sent if the link is open, then ACTION_CLOSE follows. */
void pipe_close(struct node *n, struct pipe *p, int result, const char *text)
{
    if (p->closing) return;
    p->closing = true;
    p->close_result = result;
    size_t len = strlen(text);
    if (len > MESSAGE_TEXT_BYTES_MAX) len = MESSAGE_TEXT_BYTES_MAX;
    memcpy(p->close_text, text, len);
    p->close_text[len] = 0;
    mesh_closed(n, p);
    if (p->link.state != LINK_OPEN) {
        pipe_enqueue(n, p, QUEUE_CLOSE);
        return;
    }
    p->closing_at = n->now + CLOSING_US;
    timer_arm(n, TIMER_PIPE, p->slot, 0, p->closing_at);
    pipe_wake(n, p);
}

void pipe_free(struct node *n, uint32_t slot)
{
    struct pipe *p = n->pipes[slot];
    uint8_t key[MAP_KEY_BYTES] = {0};
    mesh_closed(n, p);
    for (int i = 0; i < PIPE_QUEUES; i++)
        pipe_dequeue(n, p, (enum pipe_queue)i);
    timer_disarm(n, TIMER_PIPE, slot, 0);
    memcpy(key, &p->number, sizeof p->number);
    map_remove(&n->pipe_by_number, key);
    buffer_reset(&p->control);
    link_deinit(&p->link);
    alloc_free(n->allocator, p, sizeof *p);
    n->pipes[slot] = NULL;
    n->pipes_used--;
    if (slot < n->pipes_low) n->pipes_low = slot;
}

/* --- peers --- */

static void enqueue_peer(struct node *n, struct peer *p)
{
    if (p->queued) return;
    p->queued = true;
    p->next = NONE;
    if (n->peer_queue.tail == NONE)
        n->peer_queue.head = p->slot;
    else
        n->peers[n->peer_queue.tail]->next = p->slot;
    n->peer_queue.tail = p->slot;
}

void peer_announce(struct node *n, struct peer *p)
{
    p->announce = true;
    enqueue_peer(n, p);
}

struct peer *peer_find(const struct node *n, const uint8_t *device)
{
    uint32_t slot;
    return map_get(&n->peer_by_device, device, &slot) ? n->peers[slot] : NULL;
}

static int get_peer(struct node *n, const uint8_t *device, struct peer **out)
{
    *out = peer_find(n, device);
    if (*out) return OK;
    if (n->peers_used >= NODE_DEVICES_MAX) return ERR_FULL;
    uint32_t slot = n->peers_low;
    while (slot < n->peers_cap && n->peers[slot])
        slot++;
    n->peers_low = slot;
    int rc = grow(n->allocator, (void **)&n->peers, &n->peers_cap, slot + 1, sizeof *n->peers);
    if (rc < 0) return rc;
    struct peer *p = alloc_new(n->allocator, sizeof *p);
    if (!p) return ERR_MEMORY;
    rc = map_set(&n->peer_by_device, device, slot);
    if (rc < 0) {
        alloc_free(n->allocator, p, sizeof *p);
        return rc;
    }
    memcpy(p->device, device, ID_BYTES);
    p->slot = slot;
    p->first_link = p->online_at = NONE;
    n->peers[slot] = p;
    n->peers_used++;
    *out = p;
    return OK;
}

void peer_release(struct node *n, uint32_t slot)
{
    struct peer *p = n->peers[slot];
    if (!p || p->online || p->wanted != WANTED_NOT || p->links > 0 || p->queued) return;
    map_remove(&n->peer_by_device, p->device);
    timer_disarm(n, TIMER_PEER, slot, 0);
    alloc_free(n->allocator, p, sizeof *p);
    n->peers[slot] = NULL;
    n->peers_used--;
    if (slot < n->peers_low) n->peers_low = slot;
}

/* --- dialling --- */

static void dial_wait(struct node *n, const struct peer *p, struct dial *d, usec at)
{
    d->state = DIAL_WAITING;
    d->at = at;
    d->due = false;
    timer_arm(n, TIMER_PEER, p->slot, 0, at);
}

static usec jitter(struct node *n, usec pause)
{
    return pause + random_below(&n->random, pause / 4 + 1);
}

static void dial_stop(struct dial *d)
{
    *d = (struct dial){.state = DIAL_IDLE};
}

static void unwant(struct peer *p)
{
    p->wanted = WANTED_NOT;
    dial_stop(&p->direct);
    dial_stop(&p->relay);
}

/* There are others. The peer may be gone afterwards. */
static void give_up(struct node *n, struct peer *p)
{
    PROBE(n, DIAL_GIVEN_UP);
    unwant(p);
    view_failed(n, p->device);
    peer_release(n, p->slot);
}

static void dial_failed(struct node *n, struct peer *p, struct dial *d, usec first_pause)
{
    if (p->wanted == WANTED_ONCE && p->path == PATH_NONE && d == &p->relay) {
        give_up(n, p);
        return;
    }
    PROBE(n, DIAL_AGAIN);
    d->pause = d->pause == 0 ? first_pause : d->pause >= PAUSE_MAX_US / 2 ? PAUSE_MAX_US : d->pause * 2;
    dial_wait(n, p, d, n->now + jitter(n, d->pause));
}

static usec patience(const struct node *n)
{
    return n->config.direct_patience_us ? n->config.direct_patience_us : DIRECT_PATIENCE_US;
}

/* The peer is to be called from now on. When both sides want each other, the one with the smaller id calls
 * and the other one has some patience; whom we have chosen by ourselves we call at once. */
static void want(struct node *n, struct peer *p)
{
    bool ours = p->wanted == WANTED_ONCE || memcmp(n->device, p->device, ID_BYTES) < 0;
    usec start = ours ? n->now : n->now + PASSIVE_US;
    /* Names come one after the other: perhaps there are so many that few will do. */
    if (p->wanted == WANTED_ALWAYS && n->online_len > FEW) start += CROWD_US;
    if (p->refusals > 0) start += jitter(n, REFUSED_PAUSE_US << p->refusals);
    p->wanted_since = n->now;
    dial_wait(n, p, &p->direct, start);
    dial_wait(n, p, &p->relay, start + patience(n));
}

static void dial_due(struct node *n, struct peer *p, struct dial *d, usec patience_us, usec first_pause)
{
    if (d->state == DIAL_IDLE || d->at > n->now) {
        if (d->state != DIAL_IDLE) timer_arm(n, TIMER_PEER, p->slot, 0, d->at);
        return;
    }
    if (d->state == DIAL_TRYING) {
        dial_failed(n, p, d, first_pause);
        return;
    }
    d->state = DIAL_TRYING;
    d->at = n->now + patience_us;
    d->due = true;
    timer_arm(n, TIMER_PEER, p->slot, 0, d->at);
    enqueue_peer(n, p);
}

static void dial_tick(struct node *n, struct peer *p)
{
    if (p->wanted == WANTED_NOT || p->role != ROLE_PERSON) return;
    if (p->path < PATH_DIRECT) dial_due(n, p, &p->direct, DIRECT_TRY_US, DIRECT_PAUSE_US);
    if (p->path == PATH_NONE) dial_due(n, p, &p->relay, RELAY_TRY_US, RELAY_PAUSE_US);
}

void mesh_want(struct node *n, const uint8_t *device, enum wanted how)
{
    struct peer *p;
    if (get_peer(n, device, &p) < 0 || p->wanted >= how) return;
    bool before = p->wanted != WANTED_NOT;
    p->wanted = how;
    if (!before && p->path < PATH_DIRECT) want(n, p);
    dial_tick(n, p);
}

void mesh_relax(struct node *n, const uint8_t *device)
{
    struct peer *p = peer_find(n, device);
    if (!p || p->wanted != WANTED_ALWAYS) return;
    p->wanted = WANTED_ONCE;
    if (p->path != PATH_NONE) return;
    unwant(p);
    peer_release(n, p->slot);
}

static int set_online(struct node *n, struct peer *p)
{
    int rc = grow(n->allocator, (void **)&n->online, &n->online_cap, n->online_len + 1, sizeof *n->online);
    if (rc < 0) return rc;
    p->online = true;
    p->online_at = n->online_len;
    n->online[n->online_len++] = p->slot;
    return OK;
}

static void set_offline(struct node *n, struct peer *p)
{
    uint32_t last = n->online[--n->online_len];
    n->online[p->online_at] = last;
    n->peers[last]->online_at = p->online_at;
    p->online_at = NONE;
    p->online = false;
}

/* As long as there are few, everybody is wanted, whatever channels they may be in. */
static void want_few(struct node *n)
{
    for (uint32_t i = 0; i < n->online_len && n->online_len < VIEW_SMALL; i++)
        mesh_want(n, n->peers[n->online[i]]->device, WANTED_ALWAYS);
}

static void hint_offline(struct node *n, const uint8_t *device)
{
    struct peer *p = peer_find(n, device);
    view_offline(n, device);
    if (!p) return;
    unwant(p);
    if (p->online) {
        set_offline(n, p);
        if (n->online_len == VIEW_SMALL - 1) want_few(n);
    }
    peer_release(n, p->slot);
}

int mesh_hint(struct node *n, const uint8_t *device, const uint8_t *channel, bool online)
{
    struct peer *p;
    uint32_t index;
    if (memcmp(device, n->device, ID_BYTES) == 0) return OK;
    if (!online) {
        hint_offline(n, device);
        return OK;
    }
    if (n->config.role == ROLE_REPLICA) return OK;
    int rc = get_peer(n, device, &p);
    if (rc == OK && !p->online) rc = set_online(n, p);
    if (rc < 0) return rc;
    struct channel *c = channel ? channel_find(n, channel, &index) : NULL;
    if (c)
        view_learn(n, c, device, NULL);
    else
        view_online(n, device);
    if (n->online_len == VIEW_SMALL) {
        for (uint32_t i = 0; i < n->online_len; i++)
            mesh_relax(n, n->peers[n->online[i]]->device);
    }
    want_few(n);
    if (n->online_len >= VIEW_SMALL) view_soon(n);
    return OK;
}

void mesh_failed(struct node *n, const uint8_t *device, enum path path)
{
    struct peer *p = peer_find(n, device);
    if (!p || p->wanted == WANTED_NOT) return;
    if (path == PATH_RELAY && p->relay.state == DIAL_TRYING) dial_failed(n, p, &p->relay, RELAY_PAUSE_US);
    if (path == PATH_RELAY || p->direct.state != DIAL_TRYING) return;
    dial_failed(n, p, &p->direct, DIRECT_PAUSE_US);
    /* Not to be waited for: a relay now. */
    if (p->path == PATH_NONE && p->relay.state == DIAL_WAITING && p->relay.pause == 0) {
        PROBE(n, RELAY_AT_ONCE);
        p->relay.at = n->now;
    }
    dial_tick(n, p);
}

void mesh_network(struct node *n)
{
    for (uint32_t i = 0; i < n->peers_cap; i++) {
        struct peer *p = n->peers[i];
        if (!p || p->wanted == WANTED_NOT) continue;
        p->direct.pause = p->relay.pause = 0;
        if (p->path < PATH_DIRECT && p->direct.state != DIAL_TRYING) dial_wait(n, p, &p->direct, n->now);
        if (p->path == PATH_NONE && p->relay.state != DIAL_TRYING)
            dial_wait(n, p, &p->relay, n->now + patience(n));
        dial_tick(n, p);
    }
}

/* --- links of one device --- */

static void update_path(struct node *n, struct peer *p)
{
    enum path best = PATH_NONE;
    for (uint32_t i = p->first_link; i != NONE; i = n->pipes[i]->sibling)
        if (!n->pipes[i]->closing && n->pipes[i]->path > best) best = n->pipes[i]->path;
    if (best == p->path) return;
    enum path before = p->path;
    p->path = best;
    if (best == PATH_NONE) p->rtt_us = 0;
    if (best >= PATH_DIRECT) dial_stop(&p->direct);
    if (best != PATH_NONE) dial_stop(&p->relay);
    if (best == PATH_NONE && p->wanted == WANTED_ONCE)
        unwant(p);
    else if (best < before && p->wanted != WANTED_NOT)
        want(n, p);
    peer_announce(n, p);
}

/* Of two links to one device the better path stays, of equal ones the newer; the better one must have been
 * heard since both were open, for an old link may be dead without our knowing. The side that accepted the
 * newer one closes, because it is the last to know that it works. */
static void supersede(struct node *n, struct pipe *p)
{
    for (uint32_t i = n->peers[p->peer]->first_link, next; i != NONE; i = next) {
        struct pipe *q = n->pipes[i];
        next = q->sibling;
        if (q == p || q->closing) continue;
        struct pipe *newer = p->open_order > q->open_order ? p : q;
        struct pipe *better = p->path != q->path ? (p->path > q->path ? p : q) : newer;
        struct pipe *worse = better == p ? q : p;
        if (newer->link.initiator || better->heard_order < newer->open_order) continue;
        PROBE(n, SUPERSEDE);
        pipe_close(n, worse, ERR_EXISTS, "another link to this device is better");
        if (worse == p) return;
    }
}

static void send_ping(struct node *n, struct pipe *p)
{
    uint8_t plain[16];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_stamp(&w, MESSAGE_PING, n->now);
    p->ping_stamp = n->now;
    p->ping_at = n->now + PING_US;
    timer_arm(n, TIMER_PIPE, p->slot, 0, p->ping_at);
    (void)pipe_control(n, p, writer_slice(&w));
}

/* Anybody can sign a certificate with a key of its own: only the authorities of our channels give names. */
static bool gives_names(const struct node *n, const uint8_t authority[ID_BYTES])
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        if (memcmp(n->channels[i]->authority, authority, ID_BYTES) == 0) return true;
    }
    return false;
}

static void take_certificate(struct node *n, struct pipe *p, struct peer *peer)
{
    struct certificate c;
    if (p->link.certificate_len == 0) return;
    if (certificate_parse(n->crypto, slice_of(p->link.certificate, p->link.certificate_len), &c) < 0) return;
    if (memcmp(c.device, p->link.device, ID_BYTES) != 0 || !certificate_current(&c, n->now)) return;
    p->certified = true;
    p->account = c.account; /* borrows the link's copy */
    memcpy(p->authority, c.authority, ID_BYTES);
    if (!gives_names(n, c.authority)) return;
    memcpy(peer->account, c.account.ptr, c.account.len);
    peer->account_len = c.account.len;
}

/* Links to replicas are not counted, and get all entries: only an authority of ours is believed to be one.
 * Before anything is known of authorities, everybody is. */
static bool may_be_replica(const struct node *n, const uint8_t *device)
{
    if (n->config.role == ROLE_REPLICA || (n->certificate_len == 0 && n->channels_len == 0)) return true;
    return gives_names(n, device) || (n->certificate_len > 0 && memcmp(device, n->certifier, ID_BYTES) == 0);
}

int mesh_opened(struct node *n, struct pipe *p)
{
    struct peer *peer;
    if (memcmp(p->link.device, n->device, ID_BYTES) == 0) {
        pipe_close(n, p, ERR_DENIED, "the other end is this very device");
        return ERR_DENIED;
    }
    if (p->has_expected && memcmp(p->link.device, p->expected, ID_BYTES) != 0) {
        PROBE(n, WRONG_DEVICE);
        pipe_close(n, p, ERR_AUTH, "another device answered than the one that was called");
        return ERR_AUTH;
    }
    if (limits_banned(n, p->link.device)) {
        pipe_close(n, p, ERR_DENIED, "this device sent too much a moment ago; it may come back later");
        return ERR_DENIED;
    }
    int rc = get_peer(n, p->link.device, &peer);
    if (rc < 0) return rc;
    p->open_done = true;
    p->heard_at = n->now;
    p->open_order = p->heard_order = ++n->opened;
    p->peer = peer->slot;
    p->sibling = peer->first_link;
    peer->first_link = p->slot;
    peer->links++;
    if (p->link.role == ROLE_REPLICA && !may_be_replica(n, p->link.device)) p->link.role = ROLE_PERSON;
    peer->role = p->link.role;
    take_certificate(n, p, peer);
    peer_announce(n, peer);
    update_path(n, peer);
    send_ping(n, p);
    for (uint32_t i = p->sibling; i != NONE; i = n->pipes[i]->sibling)
        if (!n->pipes[i]->closing) send_ping(n, n->pipes[i]);
    supersede(n, p);
    n->persons += p->link.role == ROLE_PERSON;
    if (!p->closing) view_opened(n, p);
    return p->closing ? OK : sync_carry_all(n, p);
}

/* Who lets us go at once each time is called less and less often. */
static void count_refusal(struct node *n, const struct pipe *p, struct peer *peer)
{
    if (n->now >= p->opened_at + REFUSED_US)
        peer->refusals = 0;
    else if (peer->links == 0 && peer->refusals < REFUSALS_MAX) {
        PROBE(n, REFUSED);
        peer->refusals++;
    }
}

void mesh_closed(struct node *n, struct pipe *p)
{
    sync_pipe_gone(n, p);
    if (!p->open_done || p->peer == NONE) return;
    struct peer *peer = n->peers[p->peer];
    uint32_t *link = &peer->first_link;
    while (*link != p->slot)
        link = &n->pipes[*link]->sibling;
    *link = p->sibling;
    p->peer = NONE;
    peer->links--;
    n->persons -= p->link.role == ROLE_PERSON;
    count_refusal(n, p, peer);
    update_path(n, peer);
    peer_release(n, peer->slot);
}

void mesh_heard(struct node *n, struct pipe *p)
{
    p->heard_at = n->now;
    p->heard_order = n->opened;
    if (p->open_done && !p->closing && n->peers[p->peer]->links > 1) supersede(n, p);
}

void mesh_tick_pipe(struct node *n, uint32_t slot)
{
    struct pipe *p = n->pipes[slot];
    if (p->closing) {
        if (p->closing_at <= n->now)
            pipe_enqueue(n, p, QUEUE_CLOSE);
        else
            timer_arm(n, TIMER_PIPE, slot, 0, p->closing_at);
        return;
    }
    usec dead_at = p->open_done ? p->heard_at + DEAD_US : p->opened_at + HANDSHAKE_US;
    if (n->now >= dead_at) {
        if (p->open_done)
            PROBE(n, DEAD_LINK);
        else
            PROBE(n, HANDSHAKE_SLOW);
        pipe_close(n, p, ERR_TIMEOUT, p->open_done ? "silent for 40 seconds" : "the handshake took too long");
        return;
    }
    timer_arm(n, TIMER_PIPE, slot, 0, dead_at);
    if (!p->open_done) return;
    bool replica = n->config.role == ROLE_REPLICA;
    usec due = replica ? p->sent_at + PING_US : p->ping_at;
    if (due < p->ping_at) due = p->ping_at;
    if (n->now >= due)
        send_ping(n, p);
    else
        timer_arm(n, TIMER_PIPE, slot, 0, due);
    if (serve_has_output(n, p)) pipe_wake(n, p);
}

void mesh_tick_peer(struct node *n, uint32_t slot)
{
    dial_tick(n, n->peers[slot]);
}
