/* The relay: bytes from one device's socket to another's, which the tracker cannot read.
 *
 * Nothing is queued here. When the receiver's queue is full the sender is paused until it has drained, and
 * when the sender's account has used up its quota, until that is paid off. */
#include "tracker/socket.h"

#include <stdlib.h>

struct relay {
    uint32_t number;
    struct client *ends[2];
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
    if (client->relay_count >= RELAYS_PER_CLIENT_MAX) return ERR_FULL;
    if (client->relay_count == client->relay_cap) {
        size_t cap = client->relay_cap ? client->relay_cap * 2 : 8;
        uint32_t *relays = realloc(client->relays, cap * sizeof *relays);
        if (!relays) return ERR_MEMORY;
        client->relays = relays;
        client->relay_cap = cap;
    }
    client->relays[client->relay_count++] = number;
    return OK;
}

static void drop(struct client *client, uint32_t number)
{
    for (size_t i = 0; i < client->relay_count; i++) {
        if (client->relays[i] != number) continue;
        client->relays[i] = client->relays[--client->relay_count];
        return;
    }
}

static void relay_free(struct relay *relay)
{
    drop(relay->ends[0], relay->number);
    drop(relay->ends[1], relay->number);
    handles_remove(&relay->ends[0]->tracker->relays, relay->number);
    free(relay);
}

static unsigned relays_between(const struct client *a, const struct client *b)
{
    unsigned count = 0;
    for (size_t i = 0; i < a->relay_count; i++) {
        const struct relay *relay = handles_get(&a->tracker->relays, a->relays[i]);
        count += other_end(relay, a) == b;
    }
    return count;
}

static int relay_new(struct client *opener, struct client *receiver, struct relay **out_relay)
{
    struct tracker *tracker = opener->tracker;
    if (relays_between(opener, receiver) >= RELAYS_OF_TWO_MAX) return ERR_FULL;
    struct relay *relay = calloc(1, sizeof *relay);
    if (!relay) return ERR_MEMORY;
    relay->ends[0] = opener;
    relay->ends[1] = receiver;
    int err = handles_add(&tracker->relays, relay, &relay->number);
    if (err) goto free_relay;
    err = keep(opener, relay->number);
    if (err) goto remove;
    err = keep(receiver, relay->number);
    if (err) goto drop_first;
    *out_relay = relay;
    return OK;
drop_first:
    drop(opener, relay->number);
remove:
    handles_remove(&tracker->relays, relay->number);
free_relay:
    free(relay);
    return err;
}

void relay_open_message(struct client *client, const json_t *message, json_int_t id)
{
    struct client *receiver = client_receiver(client, message, "relay-open", id);
    if (!receiver) return;
    if (client_is_full(receiver)) {
        client_refuse(client, "relay-open", id, "That device takes no more at this moment: try again later.");
        return;
    }
    struct relay *relay;
    int err = relay_new(client, receiver, &relay);
    if (err) {
        client_refuse(client, "relay-open", id,
                      err == ERR_FULL ? "Too many relays are open." : "The server is out of memory.");
        return;
    }
    json_int_t number = relay->number;
    client_answer(client, "relay-open", id, json_pack("{s:I}", "relay", number));
    client_send(receiver, json_pack("{s:s,s:s,s:I}", "type", "relay-open", "from", client->device_text,
                                    "relay", number));
}

static void tell_closed(struct client *client, uint32_t number, const char *text)
{
    client_send(client, json_pack("{s:s,s:I,s:s}", "type", "relay-close", "relay", (json_int_t)number,
                                  "message", text));
}

/* Who waited for a full queue of `peer` goes on. */
static void let_go(struct client *peer)
{
    for (size_t i = 0; i < peer->relay_count; i++) {
        struct relay *relay = handles_get(&peer->tracker->relays, peer->relays[i]);
        struct client *sender = other_end(relay, peer);
        if ((sender->pauses & PAUSE_SLOW) && sender->slow_peer == peer->number)
            client_resume(sender, PAUSE_SLOW);
    }
}

/* A closed relay can be the one a paused sender waited for, so it is let go first; if the peer is still slow
 * for another relay, its next frame pauses it again. */
static void relay_end(struct client *client, struct relay *relay, const char *text)
{
    struct client *peer = other_end(relay, client);
    uint32_t number = relay->number;
    if ((client->pauses & PAUSE_SLOW) && client->slow_peer == peer->number) client_resume(client, PAUSE_SLOW);
    if ((peer->pauses & PAUSE_SLOW) && peer->slow_peer == client->number) client_resume(peer, PAUSE_SLOW);
    relay_free(relay);
    tell_closed(peer, number, text);
}

void relay_close_message(struct client *client, uint32_t number, const char *text)
{
    struct relay *relay = relay_of(client, number);
    if (relay) relay_end(client, relay, text ? text : ""); /* else both sides closed it at the same time */
}

void relay_forget(struct client *client)
{
    while (client->relay_count) {
        struct relay *relay = handles_get(&client->tracker->relays, client->relays[client->relay_count - 1]);
        relay_end(client, relay, "That device has gone offline.");
    }
}

void relay_drained(struct client *client)
{
    let_go(client);
}

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

void relay_charge(struct client *client, size_t bytes)
{
    struct rates *quota = &client->tracker->relay_quota;
    uint64_t now_ms = tracker_now_ms(client->tracker), key = quota_key(client);
    rates_take(quota, key, (double)bytes, now_ms);
    uint64_t wait_ms = rates_wait_ms(quota, key, now_ms);
    if (wait_ms) pause_for_quota(client, wait_ms);
}

void relay_quota_due(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    uint64_t now_ms = tracker_now_ms(tracker), next_ms = UINT64_MAX;
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (!(client->pauses & PAUSE_QUOTA)) continue;
        uint64_t wait_ms = rates_wait_ms(&tracker->relay_quota, quota_key(client), now_ms);
        if (!wait_ms)
            client_resume(client, PAUSE_QUOTA);
        else if (wait_ms < next_ms)
            next_ms = wait_ms;
    }
    if (next_ms != UINT64_MAX) uv_timer_start(timer, relay_quota_due, next_ms, 0);
}

void relay_bytes(struct client *client, uint32_t number, slice frame)
{
    struct relay *relay = relay_of(client, number);
    if (!relay) return; /* sent before it was known that the other side had closed it */
    struct client *peer = other_end(relay, client);
    int64_t queued = WR_FULL;
    if (wr_socket_queued(peer->socket) + frame.len <= QUEUE_BYTES_RELAY)
        queued = wr_socket_send(peer->socket, WR_BINARY, frame.ptr, frame.len);
    if (queued == WR_FULL || queued == WR_MEMORY) {
        /* Bytes may not be lost inside a link, so the relay ends. */
        relay_end(client, relay, "The relay ran out of room.");
        tell_closed(client, number, "The relay ran out of room.");
        return;
    }
    if (queued >= QUEUE_BYTES_HIGH) {
        client->slow_peer = peer->number;
        client_pause(client, PAUSE_SLOW);
    }
}
