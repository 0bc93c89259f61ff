/* The tracker beside its core: who is online, certificates, and the ways to each other. What the real one
 * does over its socket, in short: messages take some milliseconds and are lost when a socket is down. */
#include "sim.h"

#include <string.h>

static struct device *tracker_of(struct sim *sim)
{
    return &sim->devices[0];
}

bool network_allows(const struct sim *sim, const struct device *a, const struct device *b)
{
    return !sim->partitioned || a->group == b->group;
}

static bool on_socket(struct sim *sim, const struct device *d)
{
    if (!tracker_of(sim)->up || !d->up || !d->socket_up) return false;
    const struct pipe *pipe = sim->pipes[d->socket_pipe]; /* the device may not know yet that it is gone */
    return !pipe->cut && pipe->end[1].attached;
}

static usec soon(struct sim *sim)
{
    return sim->now + dice_between(&sim->dice, 5 * MILLISECONDS, 150 * MILLISECONDS);
}

/* --- presence --- */

/* c: the other device, and bit 32: online. */
static void presence_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    uint32_t other = (uint32_t)c;
    bool online = c >> 32 & 1;
    if (!on_socket(sim, d) || d->life != life) return;
    if (online)
        d->online |= UINT64_C(1) << other;
    else
        d->online &= ~(UINT64_C(1) << other);
    if (d->kind == DEVICE_HOSTILE) return;
    struct command command = {.kind = COMMAND_PEER, .device = sim->devices[other].id, .online = online};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0 && rc != ERR_MEMORY && rc != ERR_FULL)
        sim_fail(sim, "device %u: COMMAND_PEER: %s", device, err_name((int)rc));
}

static void tell_presence(struct sim *sim, const struct device *to, uint32_t about, bool online)
{
    if (to->index == about || !on_socket(sim, to)) return;
    schedule_at(sim, soon(sim), presence_event, to->index, to->life, about | (uint64_t)online << 32);
}

/* --- the socket --- */

static void join_channels(struct sim *sim, struct device *d)
{
    static const char *const names[SIM_CHANNELS_MAX] = {"general", "random", "quiet"};
    for (uint32_t c = 0; c < sim->channels_len && d->up && d->kind != DEVICE_HOSTILE; c++) {
        if (!(d->channels >> c & 1) || sim->now < d->joins_at[c]) continue;
        struct command command = {.kind = COMMAND_JOIN,
                                  .channel = sim->channels[c],
                                  .device = tracker_of(sim)->id,
                                  .bytes = slice_text(names[c])};
        int64_t rc = device_command(sim, d, &command);
        if (rc == ERR_BUSY || (rc == ERR_MEMORY && sim->options.fail_at))
            schedule_at(sim, sim->now + SECONDS, join_event, d->index, 0, 0);
        else if (rc < 0)
            sim_fail(sim, "device %u: COMMAND_JOIN: %s", d->index, err_name((int)rc));
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
    uint64_t now_s = sim->now / SECONDS;
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
    if (d->certificate_len == 0 || dice_chance(&sim->dice, 100)) certify(sim, d);
    bool joins_first = dice_chance(&sim->dice, 500);
    if (joins_first) join_channels(sim, d);
    struct pipe *pipe = pipe_new(sim, PATH_TRACKER, d->index, 0);
    if (sim_has(sim, FAULT_TAMPER) && !sim->calm && dice_chance(&sim->dice, 100)) pipe->tampered = true;
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
    for (uint32_t i = 1; i < sim->devices_len; i++) {
        struct device *other = &sim->devices[i];
        tell_presence(sim, other, device, true);
        bool online = on_socket(sim, other), known = d->online >> i & 1;
        if (online || known) tell_presence(sim, d, i, online);
    }
}

void tracker_dial(struct sim *sim, struct device *d)
{
    if (d->socket_wanted) return;
    d->socket_wanted = true;
    usec wait = sim->calm ? dice_between(&sim->dice, 100 * MILLISECONDS, 2 * SECONDS)
                          : dice_between(&sim->dice, 100 * MILLISECONDS, 6 * SECONDS);
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
    for (size_t i = d->ports_len; i-- > 0;) {
        if (i >= d->ports_len) continue;
        struct pipe *pipe = sim->pipes[d->ports[i].pipe];
        if (pipe->relayed) pipe_cut(sim, pipe, false);
    }
    for (uint32_t i = 1; i < sim->devices_len; i++)
        tell_presence(sim, &sim->devices[i], d->index, false);
    if (d->up) tracker_dial(sim, d);
}

/* --- ways to each other --- */

static void failed_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    enum path path = (enum path)(c >> 32);
    uint32_t other = (uint32_t)c;
    if (!d->up || d->life != life) return;
    d->dialing[path == PATH_RELAY] &= ~(UINT64_C(1) << other);
    if (d->kind == DEVICE_HOSTILE) return;
    struct command command = {.kind = COMMAND_CONNECT_FAILED, .device = sim->devices[other].id, .path = path};
    int64_t rc = device_command(sim, d, &command);
    if (rc < 0) sim_fail(sim, "device %u: COMMAND_CONNECT_FAILED: %s", device, err_name((int)rc));
}

static void fail_connect(struct sim *sim, struct device *d, uint32_t other, enum path path, usec wait)
{
    schedule_at(sim, sim->now + wait, failed_event, d->index, d->life, other | (uint64_t)path << 32);
}

static void connect_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t c)
{
    struct device *d = &sim->devices[device];
    enum path path = (enum path)(c >> 32);
    uint32_t index = (uint32_t)c;
    struct device *other = &sim->devices[index];
    if (!d->up || d->life != life) return;
    bool reachable = on_socket(sim, d) && on_socket(sim, other) &&
                     (path == PATH_RELAY || ((d->reach >> index & 1) && network_allows(sim, d, other)));
    if (!reachable) {
        fail_connect(sim, d, index, path,
                     dice_between(&sim->dice, 1, path == PATH_RELAY ? 4 * SECONDS : 15 * SECONDS));
        return;
    }
    d->dialing[path == PATH_RELAY] &= ~(UINT64_C(1) << index);
    struct pipe *pipe = pipe_new(sim, path, device, index);
    if (sim_has(sim, FAULT_TAMPER) && !sim->calm && dice_chance(&sim->dice, 100)) pipe->tampered = true;
    pipe->end[0].attached = true;
    (void)device_attach(sim, other, pipe, 1);
    if (device_attach(sim, d, pipe, 0) == 0) fail_connect(sim, d, index, path, 1);
}

void tracker_connect(struct sim *sim, struct device *d, uint32_t other, enum path path)
{
    uint64_t bit = UINT64_C(1) << other;
    if (path != PATH_DIRECT && path != PATH_RELAY)
        sim_fail(sim, "device %u: CONNECT over path %d", d->index, path);
    if (d->dialing[path == PATH_RELAY] & bit) return; /* one is under way: its end is the answer to both */
    d->dialing[path == PATH_RELAY] |= bit;
    if (d->kind != DEVICE_HOSTILE &&
        ++d->connects > 200 * (1 + (sim->now - d->connects_since) / (10 * SECONDS)))
        sim_fail(sim, "device %u asks for connections all the time", d->index);
    if (!on_socket(sim, d)) {
        fail_connect(sim, d, other, path, dice_between(&sim->dice, 1, 100 * MILLISECONDS));
        return;
    }
    usec wait = path == PATH_RELAY ? dice_between(&sim->dice, 10, 100) : dice_between(&sim->dice, 50, 900);
    schedule_at(sim, sim->now + wait * MILLISECONDS, connect_event, d->index, d->life,
                other | (uint64_t)path << 32);
}
