#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICKS_MAX = 500,      /* in one second of virtual time, and some for each link */
    TRANSMITS_MAX = 4096, /* in a row; with little room each gives one small frame */
};

/* What the device's clock shows; never goes backwards in one life. */
usec device_clock(struct sim *sim, struct device *d)
{
    int64_t passed = (int64_t)(sim->now - d->base_true);
    usec shown = d->base_local + (usec)(passed + passed / 1000 * d->drift_ppm / 1000);
    if (shown > d->last_local) d->last_local = shown;
    return d->last_local;
}

/* --- ports: a link's number is its slot and, above it, a serial number --- */

enum { SLOT_BITS = 15 };

struct port *device_port(const struct device *d, uint32_t number)
{
    uint32_t slot = number & ((1u << SLOT_BITS) - 1);
    if (number == 0 || slot >= d->ports_len || d->ports[slot].number != number) return NULL;
    return &d->ports[slot];
}

static struct port *port_add(struct device *d)
{
    if (d->ports_free == 0) {
        d->ports = must_grow(d->ports, d->ports_len, &d->ports_cap, sizeof *d->ports);
        d->ports[d->ports_len++] = (struct port){0};
        d->ports_free = (uint32_t)d->ports_len;
    }
    uint32_t slot = d->ports_free - 1;
    struct port *port = &d->ports[slot];
    d->ports_free = port->next_free;
    d->ports_live++;
    d->port_serial = d->port_serial % ((1u << (32 - SLOT_BITS)) - 1) + 1;
    *port = (struct port){.number = d->port_serial << SLOT_BITS | slot};
    return port;
}

static void port_remove(struct device *d, struct port *port)
{
    *port = (struct port){.next_free = d->ports_free};
    d->ports_free = (uint32_t)(port - d->ports) + 1;
    d->ports_live--;
}

void device_writable(struct device *d, struct port *port)
{
    if (port->writable) return;
    port->writable = true;
    d->writable = must_grow(d->writable, d->writable_len, &d->writable_cap, sizeof *d->writable);
    d->writable[d->writable_len++] = port->number;
}

/* --- whom it knows --- */

struct acquaintance *acquaintance_find(const struct device *d, uint32_t other)
{
    uint32_t i = table_get(&d->known_of, other);
    return i == UINT32_MAX ? NULL : &d->known[i];
}

struct acquaintance *acquaintance_of(struct device *d, uint32_t other)
{
    struct acquaintance *a = acquaintance_find(d, other);
    if (a) return a;
    d->known = must_grow(d->known, d->known_len, &d->known_cap, sizeof *d->known);
    table_put(&d->known_of, other, (uint32_t)d->known_len);
    a = &d->known[d->known_len++];
    *a = (struct acquaintance){.other = other};
    return a;
}

/* --- time --- */

static void tick_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t serial)
{
    struct device *d = &sim->devices[device];
    if (!d->up || d->life != life || d->tick_serial != serial || !d->node) {
        sim->idle++;
        return;
    }
    usec clock = device_clock(sim, d), deadline = node_deadline(d->node);
    d->tick_deadline = UINT64_MAX;
    sim->idle += clock < deadline;
    if (clock >= deadline) {
        if (sim->now - d->busy_since > SECONDS) {
            d->busy_since = sim->now;
            d->busy_ticks = 0;
        }
        if (++d->busy_ticks > TICKS_MAX + 4 * d->ports_live)
            sim_fail(sim, "device %u: %u ticks in a second", device, d->busy_ticks);
        node_tick(d->node, clock);
        if (node_deadline(d->node) <= clock)
            sim_fail(sim, "device %u: after a tick the deadline is not in the future", device);
    }
    device_drain(sim, d);
}

static void schedule_tick(struct sim *sim, struct device *d)
{
    usec deadline = node_deadline(d->node), clock = device_clock(sim, d);
    /* A tick that is scheduled for an earlier deadline will look again. */
    if (deadline == UINT64_MAX || d->tick_deadline <= deadline) return;
    d->tick_deadline = deadline;
    /* The clock may be slow or stand still for a while: look again when it should be there. */
    usec wait = deadline > clock ? deadline - clock + 1 : 0;
    int64_t passed = (int64_t)(sim->now - d->base_true);
    usec raw = d->base_local + (usec)(passed + passed / 1000 * d->drift_ppm / 1000);
    if (raw < clock) wait += clock - raw;
    wait += wait / 1000; /* a drift of up to 0.1 % */
    schedule_at(sim, sim->now + wait, tick_event, d->index, d->life, ++d->tick_serial);
}

/* --- actions --- */

static void act(struct sim *sim, struct device *d, const struct action *action)
{
    struct port *port;
    uint32_t other;
    sim->report.actions++;
    check_action(sim, d, action);
    if (sim->report.failed) return;
    activities_action(sim, d, action);
    switch (action->kind) {
    case ACTION_STORE: disk_store(sim, d, action); break;
    case ACTION_READ: disk_read(sim, d, action); break;
    case ACTION_SIGNAL: tracker_signalled(sim, d, action->device, action->record); break;
    case ACTION_CONNECT:
        other = device_of_id(sim, action->device);
        if (other != UINT32_MAX)
            tracker_connect(sim, d, other, action->path);
        else
            tracker_connect_nobody(sim, d, action->device, action->path);
        break;
    case ACTION_CLOSE:
        port = device_port(d, action->link);
        if (!port) break;
        struct pipe *pipe = sim->pipes[port->pipe];
        pipe_leave(sim, pipe, port->side, false);
        bool socket = d->socket_up && d->socket_pipe == pipe->id;
        uint32_t number = port->number;
        port_remove(d, port);
        if (dice_chance(&d->dice, 500)) node_link_down(d->node, number, device_clock(sim, d));
        if (socket) tracker_socket_lost(sim, d);
        break;
    case ACTION_WRITABLE:
        port = device_port(d, action->link);
        if (port) device_writable(d, port);
        break;
    default: break;
    }
}

/* Writes what the core has for the link, as far as there is room. True when something was written. */
static bool transmit(struct sim *sim, struct device *d, uint32_t number)
{
    struct port *port = device_port(d, number);
    struct pipe *pipe = sim->pipes[port->pipe];
    uint32_t side = port->side;
    bool wrote = false;
    port->writable = false;
    for (int i = 0; i < TRANSMITS_MAX; i++) {
        size_t room = pipe_room(pipe, side);
        if (room < NODE_TRANSMIT_ROOM) {
            pipe->flow[side].starved = true;
            return wrote;
        }
        if (room > 64 * 1024) room = 64 * 1024;
        size_t len = node_transmit(d->node, number, sim->scratch, room, device_clock(sim, d));
        if (len == 0) return wrote;
        if (len > room)
            sim_fail(sim, "device %u: node_transmit wrote more than there was room for", d->index);
        pipe_write(sim, pipe, side, slice_of(sim->scratch, len));
        wrote = true;
    }
    sim_fail(sim, "device %u: node_transmit does not come to an end", d->index);
    return wrote;
}

void device_drain(struct sim *sim, struct device *d)
{
    if (d->kind == DEVICE_HOSTILE || !d->up) return;
    for (int round = 0;; round++) {
        struct action action;
        bool progress = false;
        uint32_t life = d->life;
        while (!sim->report.failed && node_next(d->node, &action)) {
            act(sim, d, &action);
            progress = true;
        }
        for (size_t i = 0; i < d->writable_len && !sim->report.failed; i++)
            if (device_port(d, d->writable[i]) && transmit(sim, d, d->writable[i])) progress = true;
        d->writable_len = 0;
        if (!progress || sim->report.failed || d->life != life) break;
        if (round > 10000) sim_fail(sim, "device %u: actions do not come to an end", d->index);
    }
    if (d->memory.size_error) sim_fail(sim, "device %u: a block was freed with a wrong size", d->index);
    if (!sim->report.failed) schedule_tick(sim, d);
}

int64_t device_command(struct sim *sim, struct device *d, const struct command *command)
{
    int64_t rc = node_command(d->node, command, device_clock(sim, d));
    digest_number(sim, (uint64_t)rc);
    device_drain(sim, d);
    return rc;
}

int64_t device_send(struct sim *sim, struct device *d, uint32_t channel, uint32_t kind, slice body)
{
    struct command command = {
        .kind = COMMAND_SEND, .channel = sim->channels[channel].id, .entry_kind = kind, .bytes = body};
    /* The answer comes with the actions: the token has to be known before. */
    int64_t rc = node_command(d->node, &command, device_clock(sim, d));
    digest_number(sim, (uint64_t)rc);
    if (rc > 0) {
        d->sent = must_grow(d->sent, d->sent_len, &d->sent_cap, sizeof *d->sent);
        d->sent[d->sent_len++] = (struct sent){(uint64_t)rc, bytes_hash(body), channel};
    } else if (rc == 0) {
        sim_fail(sim, "device %u: SEND gave no token", d->index);
    } else if (rc != ERR_WRONG_STATE && rc != ERR_NOT_FOUND && rc != ERR_BUSY && rc != ERR_FULL &&
               rc != ERR_MEMORY && !(rc == ERR_DENIED && sim->channels[channel].sealed)) {
        sim_fail(sim, "device %u: SEND: %s", d->index, err_name((int)rc));
    }
    device_drain(sim, d);
    return rc;
}

void device_done(struct sim *sim, struct device *d, uint64_t token, int result, slice bytes)
{
    uint32_t life = d->life;
    node_done(d->node, token, result, bytes, device_clock(sim, d));
    device_drain(sim, d);
    /* Links that had to wait may go on; those that have to wait again come behind the end. */
    size_t end = d->blocked_len;
    for (size_t i = 0; i < end && d->up && d->life == life; i++) {
        const struct port *port = device_port(d, d->blocked[i]);
        if (!port) continue;
        uint32_t writer = 1u - port->side;
        struct pipe *pipe = sim->pipes[port->pipe];
        pipe->flow[writer].blocked = false;
        pipe_pump(sim, pipe->id, writer);
    }
    if (!d->up || d->life != life) return;
    d->blocked_len -= end;
    if (d->blocked_len > 0) memmove(d->blocked, d->blocked + end, d->blocked_len * sizeof *d->blocked);
}

/* --- links --- */

uint32_t device_attach(struct sim *sim, struct device *d, struct pipe *pipe, uint32_t side)
{
    uint32_t other = pipe->end[1 - side].device;
    bool says = side == 0 || dice_chance(&d->dice, 800);
    struct node_link info = {
        .path = pipe->path,
        .initiator = side == 0,
        .expected = says ? sim->devices[side == 0 ? pipe->called : other].id : NULL,
        .binding = pipe->path == PATH_TRACKER ? SLICE("tracker")
                   : pipe->path == PATH_RELAY ? SLICE("relay")
                                              : SLICE("direct"),
    };
    struct port *port = port_add(d);
    uint32_t number = port->number;
    pipe->end[side].attached = true;
    pipe->end[side].number = number;
    port->pipe = pipe->id;
    port->side = (uint8_t)side;
    port->path = pipe->path;
    port->other = other;
    if (d->kind == DEVICE_HOSTILE) {
        hostile_attached(sim, d, port, pipe);
        return number;
    }
    int rc = node_link_up(d->node, number, &info, device_clock(sim, d));
    if (rc != OK) {
        if (rc != ERR_MEMORY) sim_fail(sim, "device %u: node_link_up: %s", d->index, err_name(rc));
        port_remove(d, port);
        pipe_leave(sim, pipe, side, false);
        return 0;
    }
    device_drain(sim, d);
    return number;
}

size_t device_receive(struct sim *sim, struct device *d, struct pipe *pipe, uint32_t side, slice bytes)
{
    struct port *port = device_port(d, pipe->end[side].number);
    size_t used = 0, total = 0;
    if (!port || !d->up) return bytes.len;
    if (d->kind == DEVICE_HOSTILE) return hostile_receive(sim, d, port, bytes);
    uint32_t number = port->number;
    for (int i = 0; i < 4; i++) {
        slice rest = slice_sub(bytes, total, bytes.len);
        sim->reader = d->index;
        int rc = node_receive(d->node, number, rest, device_clock(sim, d), &used);
        sim->reader = UINT32_MAX;
        bool known = rc == OK || rc == ERR_BUSY;
        if (known) {
            if (used > rest.len || (rc == OK && used != rest.len))
                sim_fail(sim, "device %u: node_receive took %zu of %zu bytes", d->index, used, rest.len);
            total += used;
        }
        device_drain(sim, d);
        if (rc != ERR_BUSY) return bytes.len; /* after an error the rest is dropped */
        if (!device_port(d, number)) return bytes.len;
    }
    if (d->ops_len == 0) sim_fail(sim, "device %u is busy but waits for nothing", d->index);
    if (pipe->flow[1 - side].blocked) return total; /* it is on the list */
    d->blocked = must_grow(d->blocked, d->blocked_len, &d->blocked_cap, sizeof *d->blocked);
    d->blocked[d->blocked_len++] = number;
    return total;
}

void device_hung_up(struct sim *sim, struct device *d, struct pipe *pipe, uint32_t side)
{
    uint32_t number = pipe->end[side].number;
    struct port *port = device_port(d, number);
    if (!port || !d->up) return;
    port_remove(d, port);
    if (d->kind == DEVICE_HOSTILE) {
        hostile_lost(d, number);
        return;
    }
    node_link_down(d->node, number, device_clock(sim, d));
    bool socket = d->socket_up && d->socket_pipe == pipe->id;
    device_drain(sim, d);
    if (socket) tracker_socket_lost(sim, d);
}

/* --- life --- */

static void set_clock(struct sim *sim, struct device *d)
{
    int64_t offset = (int64_t)dice_below(&d->dice, 4 * SECONDS) - 2 * (int64_t)SECONDS;
    d->drift_ppm = 0;
    if (sim_has(sim, FAULT_CLOCK)) {
        d->drift_ppm = (int64_t)dice_below(&d->dice, 400) - 200;
        if (dice_chance(&d->dice, 300)) offset *= 300; /* 10 minutes either way */
    }
    d->base_true = sim->now;
    d->base_local = (usec)((int64_t)sim->now + offset);
    d->last_local = d->base_local;
}

static void start_again_event(struct sim *sim, uint32_t device, uint32_t life, uint64_t unused)
{
    (void)unused;
    if (sim->devices[device].life == life) device_start(sim, &sim->devices[device]);
}

/* A node with what the disk has, or NULL when an allocation failed: as if the program had not started. */
static struct node *boot(struct sim *sim, struct device *d)
{
    struct node_config config = sim->setup.node;
    config.role = d->kind == DEVICE_TRACKER ? ROLE_REPLICA : ROLE_PERSON;
    memcpy(config.identity_seed, d->seed, KEY_BYTES);
    dice_bytes(&d->dice, config.random_seed, KEY_BYTES);
    activities_configure(sim, d, &config);
    trace_configure(sim, d, &config);
    d->node = NULL;
    int rc = node_create(&config, &d->memory.allocator, &sim->tap.table, device_clock(sim, d), &d->node);
    if (rc == OK && disk_restore(sim, d)) return d->node;
    if (!sim->options.fail_at) sim_fail(sim, "device %u does not start", d->index);
    node_destroy(d->node);
    trace_check(sim, d);
    disk_crash(sim, d);
    return NULL;
}

void device_start(struct sim *sim, struct device *d)
{
    if (d->up) return;
    d->socket_wanted = false;
    d->life++;
    d->tick_deadline = UINT64_MAX;
    d->busy_ticks = 0;
    d->connects = 0;
    d->connects_since = d->started_at = sim->now;
    sim_tell(sim, "device %u starts", d->index);
    if (d->kind == DEVICE_HOSTILE) {
        d->up = true;
        tracker_dial(sim, d);
        return;
    }
    set_clock(sim, d);
    d->node = boot(sim, d);
    if (!d->node) {
        schedule_at(sim, sim->now + SECONDS, start_again_event, d->index, d->life, 0);
        return;
    }
    d->up = true;
    check_restored(sim, d);
    if (d->certificate_len > 0) {
        struct command command = {.kind = COMMAND_CERTIFICATE,
                                  .bytes = slice_of(d->certificate, d->certificate_len)};
        (void)device_command(sim, d, &command);
    }
    if (d->kind == DEVICE_PERSON) tracker_dial(sim, d);
    if (d->kind == DEVICE_TRACKER) tracker_started(sim, d);
    activities_started(sim, d);
    device_drain(sim, d);
}

void device_stop(struct sim *sim, struct device *d, bool silent)
{
    if (!d->up) return;
    sim_tell(sim, "device %u stops", d->index);
    sim->report.crashes++;
    activities_stopped(sim, d);
    d->up = false;
    for (size_t i = 0; i < d->ports_len; i++) {
        struct port port = d->ports[i];
        if (port.number == 0) continue;
        if (d->kind == DEVICE_HOSTILE) hostile_lost(d, port.number);
        pipe_leave(sim, sim->pipes[port.pipe], port.side, silent && dice_chance(&d->dice, 500));
    }
    d->ports_len = d->ports_live = d->writable_len = d->blocked_len = 0;
    d->ports_free = 0;
    if (d->node) {
        for (int i = 0; i < PROBES; i++)
            sim->report.probes[i] += node_probe(d->node, (enum probe)i);
        node_destroy(d->node);
        trace_check(sim, d);
    }
    d->node = NULL;
    if (d->memory.peak > sim->report.memory_peak) sim->report.memory_peak = d->memory.peak;
    if (d->memory.used != 0) sim_fail(sim, "device %u: %zu bytes were not freed", d->index, d->memory.used);
    disk_crash(sim, d);
    d->known_len = 0;
    table_free(&d->known_of);
    d->sent_len = 0;
    if (d->socket_up) tracker_socket_lost(sim, d);
}
