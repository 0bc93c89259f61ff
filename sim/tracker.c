/* The tracker beside its core: who is online, certificates, and the ways to each other. What the real one
 * does over its socket, in short: messages take some milliseconds and are lost when a socket is down. */
#include "sim.h"

#include <string.h>

static struct device *tracker_of(struct sim *sim)
{
    return &sim->devices[0];
}

bool network_carries(const struct sim *sim, const struct device *from, const struct device *to)
{
    if (from->cut_off || to->cut_off) return false;
    if (!sim->partitioned || from->group == to->group) return true;
    return sim->one_way && from->group < to->group;
}

bool network_allows(const struct sim *sim, const struct device *a, const struct device *b)
{
    return network_carries(sim, a, b) && network_carries(sim, b, a);
}

/* Whether the two find a direct way at all; the same for the whole run. */
static bool direct_way(const struct sim *sim, uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    struct dice dice = dice_stream(sim->options.seed, 7, (uint64_t)low << 20 | high);
    return !sim_has(sim, FAULT_NO_DIRECT) || !dice_chance(&dice, 400);
}

static bool on_socket(struct sim *sim, const struct device *d)
{
    if (!tracker_of(sim)->up || !d->up || !d->socket_up) return false;
    const struct pipe *pipe = sim->pipes[d->socket_pipe]; /* the device may not know yet that it is gone */
    return !pipe->cut && pipe->end[1].attached;
}

static usec soon(struct sim *sim, struct device *d)
{
    return sim->now + dice_between(&d->dice, 5 * MILLISECONDS, 150 * MILLISECONDS);
}

/* --- presence --- */

/* c: the other device, and bit 32: online. */
static void presence_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    uint32_t other = (uint32_t)c;
    bool online = c >> 32 & 1;
    if (!on_socket(sim, d) || d->life != life) return;
    acquaintance_of(d, other)->online = online;
    if (d->kind == DEVICE_HOSTILE) return;
    struct command command = {.kind = COMMAND_PEER, .device = sim->devices[other].id, .online = online};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0 && rc != ERR_MEMORY && rc != ERR_FULL)
        sim_fail(sim, "device %u: COMMAND_PEER: %s", device, err_name((int)rc));
}

static void tell_presence(struct sim *sim, struct device *to, uint32_t about, bool online)
{
    struct device *other = &sim->devices[about];
    if (to->index == about || !on_socket(sim, to)) return;
    schedule_at(sim, soon(sim, to), presence_event, to->index, to->life, about | (uint64_t)online << 32);
    if (!online) return;
    other->told = must_grow(other->told, other->told_len, &other->told_cap, sizeof *other->told);
    other->told[other->told_len++] = to->index;
}

static void introduce(struct sim *sim, struct device *a, struct device *b)
{
    tell_presence(sim, a, b->index, true);
    tell_presence(sim, b, a->index, true);
}

/* Somebody has come. In a small world everybody hears of it, and it of everybody; in a large one it is named
 * some others by chance, and it to them. */
static void greet(struct sim *sim, struct device *d)
{
    /* What it believes from before is put right. */
    for (size_t i = 0; i < d->known_len; i++)
        if (d->known[i].online && !on_socket(sim, &sim->devices[d->known[i].other]))
            tell_presence(sim, d, d->known[i].other, false);
    uint32_t others = sim->devices_len - 1, limit = sim->setup.presence;
    if (limit == 0 || others <= limit) {
        for (uint32_t i = 1; i < sim->devices_len; i++)
            if (i != d->index && on_socket(sim, &sim->devices[i])) introduce(sim, d, &sim->devices[i]);
        return;
    }
    for (uint32_t i = 0, named = 0; i < 4 * limit && named < limit; i++) {
        struct device *other = &sim->devices[1 + dice_below(&d->dice, others)];
        const struct acquaintance *known = acquaintance_find(d, other->index);
        if (other == d || !on_socket(sim, other) || (known && known->online)) continue;
        introduce(sim, d, other);
        named++;
    }
}

/* --- the socket --- */

static void join_channels(struct sim *sim, struct device *d)
{
    for (size_t i = 0; i < d->memberships_len && d->up && honest(d); i++) {
        const struct membership *m = &d->memberships[i];
        if (!m->member || !m->joins || sim->now < m->joins_at) continue;
        const struct sim_channel *c = &sim->channels[m->channel];
        bool opens = m->quiet || m->on_demand || c->sealed;
        struct command command = {.kind = opens ? COMMAND_OPEN : COMMAND_JOIN,
                                  .channel = c->id,
                                  .device = tracker_of(sim)->id,
                                  .bytes = c->spec.name,
                                  .spec = opens ? &c->spec : NULL,
                                  .quiet = m->quiet,
                                  .on_demand = m->on_demand};
        int64_t rc = device_command(sim, d, &command);
        if (rc == ERR_BUSY || (rc == ERR_MEMORY && sim->options.fail_at))
            schedule_at(sim, sim->now + SECONDS, join_event, d->index, 0, 0);
        else if (rc < 0)
            sim_fail(sim, "device %u: joining channel %u: %s", d->index, m->channel, err_name((int)rc));
    }
}

void join_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2)
{
    struct device *d = &sim->devices[device];
    (void)unused, (void)unused2;
    if (d->up && (d->certificate_len > 0 || d->kind == DEVICE_TRACKER)) join_channels(sim, d);
}

static void certify(struct sim *sim, struct device *d)
{
    uint64_t now_s = sim->now / SECONDS - (d->expired ? 100 * 86400 : 0);
    struct certificate fields = {.account = slice_text(d->account),
                                 .device = d->id,
                                 .issued_s = now_s,
                                 .expires_s = now_s + 90 * 86400};
    int len =
        certificate_write(sim->crypto, &fields, tracker_of(sim)->seed, d->certificate, sizeof d->certificate);
    if (len < 0) sim_fail(sim, "certificate_write: %s", err_name(len));
    d->certificate_len = len > 0 ? (size_t)len : 0;
    struct command command = {.kind = COMMAND_CERTIFICATE,
                              .bytes = slice_of(d->certificate, d->certificate_len)};
    if (d->kind != DEVICE_PERSON) return;
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0 && rc != ERR_MEMORY)
        sim_fail(sim, "device %u: COMMAND_CERTIFICATE: %s", d->index, err_name((int)rc));
}

static void dial_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t unused)
{
    struct device *d = &sim->devices[device], *tracker = tracker_of(sim);
    (void)unused;
    if (!d->up || d->life != life) return;
    d->socket_wanted = false;
    if (d->socket_up) return;
    if (!tracker->up || !network_allows(sim, d, tracker)) {
        tracker_dial(sim, d);
        return;
    }
    /* The hello comes first: before it the tracker takes no bytes of a link. */
    if (d->certificate_len == 0 || dice_chance(&d->dice, 100)) certify(sim, d);
    bool joins_first = dice_chance(&d->dice, 500);
    if (joins_first) join_channels(sim, d);
    struct pipe *pipe = pipe_new(sim, PATH_TRACKER, d->index, 0);
    d->socket_up = true;
    d->socket_pipe = pipe->id;
    /* The accepting side first: bytes that come at once find somebody there. */
    pipe->end[0].attached = true;
    (void)device_attach(sim, tracker, pipe, 1);
    bool attached = pipe->end[1].attached && device_attach(sim, d, pipe, 0) != 0;
    if (!attached) { /* no memory for it, on one side or the other */
        pipe_leave(sim, pipe, 0, false);
        tracker_socket_lost(sim, d);
        return;
    }
    if (!joins_first) join_channels(sim, d);
    greet(sim, d);
}

void tracker_dial(struct sim *sim, struct device *d)
{
    if (d->socket_wanted) return;
    d->socket_wanted = true;
    usec wait = dice_between(&d->dice, 100 * MILLISECONDS, (sim->calm ? 2 : 6) * SECONDS);
    schedule_at(sim, sim->now + wait, dial_event, d->index, d->life, 0);
}

void tracker_started(struct sim *sim, struct device *tracker)
{
    join_channels(sim, tracker);
}

void tracker_socket_lost(struct sim *sim, struct device *d)
{
    d->socket_up = false;
    /* Relays go with the socket. */
    for (size_t i = 0; i < d->ports_len; i++) {
        if (d->ports[i].number == 0) continue;
        struct pipe *pipe = sim->pipes[d->ports[i].pipe];
        if (pipe->relayed) pipe_cut(sim, pipe, false);
    }
    for (size_t i = 0; i < d->told_len; i++)
        tell_presence(sim, &sim->devices[d->told[i]], d->index, false);
    d->told_len = 0;
    if (d->up) tracker_dial(sim, d);
}

/* --- ways to each other --- */

static uint8_t dial_bit(enum path path)
{
    return path == PATH_RELAY ? 2 : 1;
}

static void failed_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    enum path path = (enum path)(c >> 32);
    uint32_t other = (uint32_t)c;
    if (!d->up || d->life != life) return;
    acquaintance_of(d, other)->dialing &= (uint8_t)~dial_bit(path);
    if (d->kind == DEVICE_HOSTILE) return;
    struct command command = {.kind = COMMAND_CONNECT_FAILED, .device = sim->devices[other].id, .path = path};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0) sim_fail(sim, "device %u: COMMAND_CONNECT_FAILED: %s", device, err_name((int)rc));
}

static void fail_connect(struct sim *sim, struct device *d, uint32_t other, enum path path, usec wait)
{
    schedule_at(sim, sim->now + wait, failed_event, d->index, d->life, other | (uint64_t)path << 32);
}

static void nobody_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    if (!d->up || d->life != life) return;
    struct command command = {
        .kind = COMMAND_CONNECT_FAILED, .device = sim->nobodies[(uint32_t)c], .path = (enum path)(c >> 32)};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0) sim_fail(sim, "device %u: COMMAND_CONNECT_FAILED: %s", device, err_name((int)rc));
}

static void count_connect(struct sim *sim, struct device *d, enum path path)
{
    if (path != PATH_DIRECT && path != PATH_RELAY)
        sim_fail(sim, "device %u: CONNECT over path %d", d->index, path);
    if (honest(d) && ++d->connects > 200 * (1 + (sim->now - d->connects_since) / (10 * SECONDS)))
        sim_fail(sim, "device %u asks for connections all the time", d->index);
}

void tracker_connect_nobody(struct sim *sim, struct device *d, const uint8_t *id, enum path path)
{
    count_connect(sim, d, path);
    sim->nobodies = must_grow(sim->nobodies, sim->nobodies_len, &sim->nobodies_cap, sizeof *sim->nobodies);
    memcpy(sim->nobodies[sim->nobodies_len], id, ID_BYTES);
    usec wait = dice_between(&d->dice, 20 * MILLISECONDS, on_socket(sim, d) ? 15 * SECONDS : SECONDS);
    schedule_at(sim, sim->now + wait, nobody_event, d->index, d->life,
                sim->nobodies_len++ | (uint64_t)path << 32);
}

/* Somebody who answers calls for others, now and then; or who was called. */
static struct device *who_answers(struct sim *sim, struct device *d, struct device *called)
{
    if (!sim_has(sim, FAULT_HOSTILE) || sim->calm || !honest(d) || !honest(called)) return called;
    struct device *impostor = &sim->devices[dice_between(&called->dice, 1, sim->devices_len - 1)];
    bool answers = dice_chance(&called->dice, 100);
    return answers && !honest(impostor) && on_socket(sim, impostor) ? impostor : called;
}

static void make_pipe(struct sim *sim, struct device *d, struct device *called, enum path path)
{
    uint32_t index = called->index;
    acquaintance_of(d, index)->dialing &= (uint8_t)~dial_bit(path);
    struct device *other = who_answers(sim, d, called);
    struct pipe *pipe = pipe_new(sim, path, d->index, other->index);
    pipe->called = index;
    pipe->end[0].attached = true;
    (void)device_attach(sim, other, pipe, 1);
    if (device_attach(sim, d, pipe, 0) == 0) fail_connect(sim, d, index, path, 1);
}

static void connect_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    enum path path = (enum path)(c >> 32);
    uint32_t index = (uint32_t)c;
    struct device *other = &sim->devices[index];
    if (!d->up || d->life != life) return;
    bool reachable =
        on_socket(sim, d) && on_socket(sim, other) &&
        (path == PATH_RELAY || (direct_way(sim, device, index) && network_allows(sim, d, other)));
    if (!reachable) {
        fail_connect(sim, d, index, path,
                     dice_between(&d->dice, 1, path == PATH_RELAY ? 4 * SECONDS : 15 * SECONDS));
        return;
    }
    make_pipe(sim, d, other, path);
}

/* --- ways without the tracker: an offer and its answer, as signals over the links that there are --- */

enum { SIGNAL_OFFER = 'o', SIGNAL_ANSWER = 'a', SIGNAL_BYTES = 9 };

/* c: the other device; bit 32: an answer, else an offer; above: the life of the device that offers. */
static void signal_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    uint8_t bytes[SIGNAL_BYTES] = {(c >> 32 & 1) ? SIGNAL_ANSWER : SIGNAL_OFFER};
    if (!d->up || d->life != life) return;
    for (int i = 1; i < SIGNAL_BYTES; i++)
        bytes[i] = (uint8_t)((c >> 33) >> (8 * (i - 1)));
    struct command command = {.kind = COMMAND_SIGNAL,
                              .device = sim->devices[(uint32_t)c].id,
                              .bytes = slice_of(bytes, sizeof bytes)};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        sim_fail(sim, "device %u: COMMAND_SIGNAL: %s", device, err_name((int)rc));
}

static void no_answer_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t other)
{
    struct device *d = &sim->devices[device];
    if (!d->up || d->life != life) return;
    if (acquaintance_of(d, (uint32_t)other)->dialing & dial_bit(PATH_DIRECT))
        failed_event(sim, device, life, other | (uint64_t)PATH_DIRECT << 32);
}

static void answered_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t other)
{
    struct device *d = &sim->devices[device];
    if (!d->up || d->life != life || !sim->devices[other].up) return;
    if (acquaintance_of(d, (uint32_t)other)->dialing & dial_bit(PATH_DIRECT))
        make_pipe(sim, d, &sim->devices[other], PATH_DIRECT);
}

void tracker_signalled(struct sim *sim, struct device *d, const uint8_t *from, slice bytes)
{
    uint32_t other = device_of_id(sim, from);
    uint64_t life = 0;
    if (other == UINT32_MAX || bytes.len != SIGNAL_BYTES || !honest(&sim->devices[other])) return;
    for (int i = 1; i < SIGNAL_BYTES; i++)
        life |= (uint64_t)bytes.ptr[i] << (8 * (i - 1));
    bool answer = bytes.ptr[0] == SIGNAL_ANSWER;
    if (!direct_way(sim, d->index, other) || !network_allows(sim, d, &sim->devices[other])) return;
    usec at = sim->now + dice_between(&d->dice, 20, 400) * MILLISECONDS;
    if (!answer)
        schedule_at(sim, at, signal_event, d->index, d->life, other | UINT64_C(1) << 32 | life << 33);
    else if (life == d->life)
        schedule_at(sim, at, answered_event, d->index, d->life, other);
}

static void offer(struct sim *sim, struct device *d, uint32_t other)
{
    usec at = sim->now + dice_between(&d->dice, 1, 20 * MILLISECONDS);
    schedule_at(sim, at, signal_event, d->index, d->life, other | (uint64_t)d->life << 33);
    schedule_at(sim, at + 15 * SECONDS, no_answer_event, d->index, d->life, other);
}

void tracker_connect(struct sim *sim, struct device *d, uint32_t other, enum path path)
{
    struct acquaintance *known = acquaintance_of(d, other);
    if (known->dialing & dial_bit(path)) return; /* one is under way: its end is the answer to both */
    known->dialing |= dial_bit(path);
    count_connect(sim, d, path);
    if (!on_socket(sim, d) && path == PATH_DIRECT && honest(d)) {
        offer(sim, d, other);
        return;
    }
    if (!on_socket(sim, d)) {
        fail_connect(sim, d, other, path, dice_between(&d->dice, 1, 100 * MILLISECONDS));
        return;
    }
    usec wait = path == PATH_RELAY ? dice_between(&d->dice, 10, 100) : dice_between(&d->dice, 50, 900);
    schedule_at(sim, sim->now + wait * MILLISECONDS, connect_event, d->index, d->life,
                other | (uint64_t)path << 32);
}
