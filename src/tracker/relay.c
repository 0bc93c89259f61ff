/* The relay: bytes from one device's socket to another's, which the tracker cannot read.
 *
 * Nothing is queued here. When the receiver's queue is full the sender is paused until it has drained, and
 * when the sender's account has used up its quota, until that is paid off. When the other socket is at
 * another process, the relay is in two halves with a bridge between them. */
#include "tracker/socket.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "tracker/remote.h"
#include "tracker/bridge.h"

struct relay {
    struct tracker *tracker;
    uint32_t number;
    struct client *ends[2]; /* the second may be NULL: then there is a bridge */
    struct bridge *bridge;
    uint8_t there[ID_BYTES]; /* the device at its other end */
    json_int_t request;      /* the bridge is being opened, for this request of ends[0] */
    bool asked;              /* ... and it is not answered yet */
    size_t untaken;          /* came over the bridge, and is still in the queue of ends[0] */
};

static struct client *other_end(const struct relay *relay, const struct client *client)
{
    return relay->ends[relay->ends[0] == client];
}

/* The relay of that number, if it is one of this client's. */
static struct relay *relay_of(const struct client *client, uint32_t number)
{
    struct relay *relay = handles_get(&client->tracker->relays, number);
    return relay && (relay->ends[0] == client || relay->ends[1] == client) ? relay : NULL;
}

static int keep(struct client *client, uint32_t number)
{
    struct client_more *more = client_more(client);
    if (!more) return ERR_MEMORY;
    if (more->relay_count >= RELAYS_PER_CLIENT_MAX) return ERR_FULL;
    if (more->relay_count == more->relay_cap) {
        size_t cap = more->relay_cap ? more->relay_cap * 2 : 8;
        uint32_t *relays = realloc(more->relays, cap * sizeof *relays);
        if (!relays) return ERR_MEMORY;
        more->relays = relays;
        more->relay_cap = cap;
    }
    more->relays[more->relay_count++] = number;
    return OK;
}

static void drop(struct client *client, uint32_t number)
{
    struct client_more *more = client->more;
    for (size_t i = 0; i < more->relay_count; i++) {
        if (more->relays[i] != number) continue;
        more->relays[i] = more->relays[--more->relay_count];
        client_less(client);
        return;
    }
}

static void relay_free(struct relay *relay)
{
    drop(relay->ends[0], relay->number);
    if (relay->ends[1]) drop(relay->ends[1], relay->number);
    handles_remove(&relay->tracker->relays, relay->number);
    free(relay);
}

static unsigned relays_with(const struct client *client, const uint8_t device[ID_BYTES])
{
    unsigned count = 0;
    for (size_t i = 0; i < client->more->relay_count; i++) {
        const struct relay *relay = handles_get(&client->tracker->relays, client->more->relays[i]);
        const struct client *peer = other_end(relay, client);
        count += memcmp(peer ? peer->seat.device : relay->there, device, ID_BYTES) == 0;
    }
    return count;
}

/* receiver: NULL when that device is at another process. */
static int relay_new(struct client *client, struct client *receiver, const uint8_t device[ID_BYTES],
                     struct relay **out_relay)
{
    struct tracker *tracker = client->tracker;
    if (relays_with(client, device) >= RELAYS_OF_TWO_MAX) return ERR_FULL;
    struct relay *relay = calloc(1, sizeof *relay);
    if (!relay) return ERR_MEMORY;
    *relay = (struct relay){.tracker = tracker, .ends = {client, receiver}};
    memcpy(relay->there, device, ID_BYTES);
    int err = handles_add(&tracker->relays, relay, &relay->number);
    if (err) goto free_relay;
    err = keep(client, relay->number);
    if (err) goto remove;
    err = receiver ? keep(receiver, relay->number) : OK;
    if (err) goto drop_first;
    *out_relay = relay;
    return OK;
drop_first:
    drop(client, relay->number);
remove:
    handles_remove(&tracker->relays, relay->number);
free_relay:
    free(relay);
    return err;
}

static const char *words_of(int err)
{
    return err == ERR_FULL ? "Too many relays are open." : "The server is out of memory.";
}

static void tell_opened(struct client *receiver, const char *from, uint32_t number)
{
    client_send(receiver,
                json_pack("{s:s,s:s,s:I}", "type", "relay-open", "from", from, "relay", (json_int_t)number));
}

#define TAKES_NO_MORE "That device takes no more at this moment: try again later."

/* The answer comes from the other process. */
static int open_there(struct client *client, const struct remote *remote, json_int_t id)
{
    struct relay *relay;
    uint8_t request[2 * ID_BYTES];
    int err = relay_new(client, NULL, remote->seat.device, &relay);
    if (err) return err;
    memcpy(request, client->seat.device, ID_BYTES);
    memcpy(request + ID_BYTES, remote->seat.device, ID_BYTES);
    relay->request = id;
    relay->asked = true;
    err = bridge_open(client->tracker, remote->peer, &relay_bridge, slice_of(request, sizeof request), relay,
                      &relay->bridge);
    if (err) relay_free(relay);
    return err;
}

void relay_open_message(struct client *client, const json_t *message, json_int_t id)
{
    struct receiver receiver;
    struct relay *relay;
    if (!client_receiver(client, message, "relay-open", id, &receiver)) return;
    if (receiver.here && client_is_full(receiver.here)) {
        client_refuse(client, "relay-open", id, TAKES_NO_MORE);
        return;
    }
    int err = receiver.here ? relay_new(client, receiver.here, receiver.here->seat.device, &relay)
                            : open_there(client, receiver.there, id);
    if (err) {
        client_refuse(client, "relay-open", id, words_of(err));
    } else if (receiver.here) {
        uint32_t number = relay->number;
        client_answer(client, "relay-open", id, json_pack("{s:I}", "relay", (json_int_t)number));
        char from[ID_TEXT_BYTES];
        tell_opened(receiver.here, client_device(client, from), number);
    }
}

/* --- ending --- */

static void tell_closed(struct client *client, uint32_t number, const char *text)
{
    client_send(client, json_pack("{s:s,s:I,s:s}", "type", "relay-close", "relay", (json_int_t)number,
                                  "message", text));
}

/* Whoever waited for this relay goes on; if the other side is still slow for another relay, the next frame
 * pauses it again. */
static void let_go(struct client *sender, uint32_t number)
{
    if (sender && (sender->pauses & PAUSE_SLOW) && sender->more->slow_relay == number)
        client_resume(sender, PAUSE_SLOW);
}

static void relay_end(struct client *client, struct relay *relay, const char *text)
{
    struct client *peer = other_end(relay, client);
    struct bridge *bridge = relay->bridge;
    uint32_t number = relay->number;
    let_go(client, number);
    let_go(peer, number);
    relay_free(relay);
    if (bridge) bridge_close(bridge, text);
    if (peer) tell_closed(peer, number, text);
}

void relay_close_message(struct client *client, uint32_t number, const char *text)
{
    struct relay *relay = relay_of(client, number);
    /* Else both sides closed it at the same time, or nobody has told this one of it yet. */
    if (relay && !relay->asked) relay_end(client, relay, text ? text : "");
}

void relay_forget(struct client *client)
{
    while (client->more->relay_count) {
        const struct client_more *more = client->more;
        struct relay *relay = handles_get(&client->tracker->relays, more->relays[more->relay_count - 1]);
        relay_end(client, relay, "That device has gone offline.");
    }
}

void relay_drained(struct client *client)
{
    for (size_t i = 0; i < client->more->relay_count; i++) {
        struct relay *relay = handles_get(&client->tracker->relays, client->more->relays[i]);
        if (relay->bridge) {
            bridge_took(relay->bridge, relay->untaken);
            relay->untaken = 0;
        } else {
            let_go(other_end(relay, client), relay->number);
        }
    }
}

/* --- the other half is at another process --- */

static int half_asked(struct bridge *bridge, slice request, const char **out_why)
{
    struct relay *relay;
    struct client *receiver =
        request.len == 2 * ID_BYTES ? sockets_online(bridge->tracker, request.ptr + ID_BYTES) : NULL;
    *out_why = receiver ? TAKES_NO_MORE : "That device is not online.";
    if (!receiver || client_is_full(receiver)) return ERR_NOT_FOUND;
    int err = relay_new(receiver, NULL, request.ptr, &relay);
    if (err) {
        *out_why = words_of(err);
        return err;
    }
    char from[ID_TEXT_BYTES];
    hex_encode(slice_of(request.ptr, ID_BYTES), from);
    relay->bridge = bridge;
    bridge->user = relay;
    tell_opened(receiver, from, relay->number);
    return OK;
}

static void half_opened(struct bridge *bridge)
{
    struct relay *relay = bridge->user;
    relay->asked = false;
    client_answer(relay->ends[0], "relay-open", relay->request,
                  json_pack("{s:I}", "relay", (json_int_t)relay->number));
}

static void half_closed(struct bridge *bridge, const char *text)
{
    struct relay *relay = bridge->user;
    struct client *client = relay->ends[0];
    uint32_t number = relay->number;
    json_int_t request = relay->request;
    bool asked = relay->asked;
    let_go(client, number);
    relay_free(relay);
    if (!text[0] && asked) text = "That device is not online.";
    if (asked)
        client_refuse(client, "relay-open", request, text);
    else
        tell_closed(client, number, text);
}

static void half_room(struct bridge *bridge)
{
    struct relay *relay = bridge->user;
    let_go(relay->ends[0], relay->number);
}

#define NO_ROOM "The relay ran out of room."

/* Bytes may not be lost inside a link, so when there is no room the relay ends. */
static int64_t pass_on(struct client *receiver, slice frame)
{
    if (wr_socket_queued(receiver->socket) + frame.len > QUEUE_BYTES_RELAY) return WR_FULL;
    return wr_socket_send(receiver->socket, WR_BINARY, frame.ptr, frame.len);
}

static void half_bytes(struct bridge *bridge, slice bytes)
{
    struct relay *relay = bridge->user;
    struct client *client = relay->ends[0];
    uint8_t frame[BINARY_BYTES_MAX];
    if (bytes.len > sizeof frame - 4) return; /* no process of this version sends that */
    peers_put(frame, relay->number);
    if (bytes.len) memcpy(frame + 4, bytes.ptr, bytes.len);
    int64_t queued = pass_on(client, slice_of(frame, 4 + bytes.len));
    if (queued == WR_FULL || queued == WR_MEMORY) {
        uint32_t number = relay->number;
        relay_end(client, relay, NO_ROOM);
        tell_closed(client, number, NO_ROOM);
    } else if (queued >= QUEUE_BYTES_HIGH) {
        relay->untaken += bytes.len;
    } else {
        bridge_took(bridge, bytes.len);
    }
}

const struct bridge_use relay_bridge = {.purpose = BRIDGE_RELAY,
                                        .asked = half_asked,
                                        .opened = half_opened,
                                        .bytes = half_bytes,
                                        .room = half_room,
                                        .closed = half_closed};

/* --- quota --- */

static void pause_for_quota(struct client *client, uint64_t wait_ms)
{
    struct tracker *tracker = client->tracker;
    client_pause(client, PAUSE_QUOTA);
    if (!uv_is_active((uv_handle_t *)&tracker->quota_timer) ||
        uv_timer_get_due_in(&tracker->quota_timer) > wait_ms)
        uv_timer_start(&tracker->quota_timer, relay_quota_due, wait_ms, 0);
}

static uint64_t quota_key(const struct client *client)
{
    return rates_key(&client->tracker->relay_quota, slice_of(&client->account, sizeof client->account));
}

static struct rate total_rate(const struct tracker *tracker)
{
    double rate = tracker->config.relay_total_per_second;
    if (rate <= 0) rate = TRACKER_RELAY_TOTAL_PER_SECOND;
    return (struct rate){rate, rate};
}

/* Until its account may send again, and all accounts together. */
static uint64_t wait_of(const struct client *client, uint64_t now_ms)
{
    struct tracker *tracker = client->tracker;
    const struct rate total = total_rate(tracker);
    uint64_t own = rates_wait_ms(&tracker->relay_quota, quota_key(client), now_ms);
    uint64_t all = bucket_wait_ms(&tracker->relay_total, &total, 1, now_ms);
    return own > all ? own : all;
}

void relay_charge(struct client *client, size_t bytes)
{
    struct rates *quota = &client->tracker->relay_quota;
    uint64_t now_ms = tracker_now_ms(client->tracker), key = quota_key(client);
    struct tracker *tracker = client->tracker;
    const struct rate total = total_rate(tracker);
    rates_take(quota, key, (double)bytes, now_ms);
    bucket_take(&tracker->relay_total, &total, (double)bytes, now_ms);
    tracker->counts.relay_bytes += bytes;
    uint64_t wait_ms = wait_of(client, now_ms);
    if (!wait_ms) return;
    tracker->counts.relay_waits++;
    pause_for_quota(client, wait_ms);
}

void relay_quota_due(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    uint64_t now_ms = tracker_now_ms(tracker), next_ms = UINT64_MAX;
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (!(client->pauses & PAUSE_QUOTA)) continue;
        uint64_t wait_ms = wait_of(client, now_ms);
        if (!wait_ms)
            client_resume(client, PAUSE_QUOTA);
        else if (wait_ms < next_ms)
            next_ms = wait_ms;
    }
    if (next_ms != UINT64_MAX) uv_timer_start(timer, relay_quota_due, next_ms, 0);
}

static void pause_slow(struct client *client, uint32_t number)
{
    client->more->slow_relay = number; /* it has this relay, so it has more */
    client_pause(client, PAUSE_SLOW);
}

void relay_bytes(struct client *client, uint32_t number, slice frame)
{
    struct relay *relay = relay_of(client, number);
    if (!relay || relay->asked) return; /* sent before it was known that the other side had closed it */
    bool failed, full;
    if (relay->bridge) {
        failed = bridge_send(relay->bridge, slice_sub(frame, 4, frame.len)) != OK;
        full = !failed && bridge_is_full(relay->bridge);
    } else {
        int64_t queued = pass_on(other_end(relay, client), frame);
        failed = queued == WR_FULL || queued == WR_MEMORY;
        full = queued >= QUEUE_BYTES_HIGH;
    }
    if (failed) {
        relay_end(client, relay, NO_ROOM);
        tell_closed(client, number, NO_ROOM);
    } else if (full) {
        pause_slow(client, number);
    }
}
