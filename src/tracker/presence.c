#include "tracker/presence.h"

#include <stdlib.h>

#include "tracker/remote.h"
#include "tracker/socket.h"

/* A socket whose queue holds this much is told later, all at once. */
#define STALE_BYTES (1024 * 1024)

struct presence presence_of_client(const struct client *client)
{
    return (struct presence){client->device_text, client->name, client->label, client->account};
}

struct presence presence_of_remote(const struct remote *remote)
{
    return (struct presence){remote->device_text, remote->name, remote->label, remote->account};
}

static json_t *device_of(struct tracker *tracker, struct presence device, bool online)
{
    uint64_t seen_ms = tracker_now_ms(tracker);
    return json_pack("{s:s,s:s,s:s,s:s,s:I}", "device", device.device_text, "account", device.name, "label",
                     device.label, "status", online ? "online" : "offline", "seen_ms", (json_int_t)seen_ms);
}

static json_t *presence_json(bool full, json_t *devices)
{
    return json_pack("{s:s,s:b,s:o}", "type", "presence", "full", full, "devices", devices);
}

/* --- the whole list, to one --- */

struct listing {
    struct client *client;
    json_t *devices;
    bool full; /* no part has gone yet */
};

static bool send_part(struct listing *listing)
{
    bool sent = client_send(listing->client, presence_json(listing->full, listing->devices));
    listing->full = false;
    listing->devices = sent ? json_array() : NULL;
    return sent;
}

static bool list(struct listing *listing, struct presence device)
{
    json_array_append_new(listing->devices, device_of(listing->client->tracker, device, true));
    return json_array_size(listing->devices) < PRESENCE_DEVICES_MAX || send_part(listing);
}

void presence_send_all(struct client *client)
{
    struct tracker *tracker = client->tracker;
    struct listing listing = {client, json_array(), true};
    struct client *other;
    const struct remote *remote;
    client->presence_stale = false;
    for (size_t at = 0; (other = handles_next(&tracker->clients, &at));) {
        if (other == client || other->phase != CLIENT_ONLINE) continue;
        if (!list(&listing, presence_of_client(other))) return;
    }
    for (size_t at = 0; (remote = remote_next(tracker, &at));) {
        if (!list(&listing, presence_of_remote(remote))) return;
    }
    if (listing.full || json_array_size(listing.devices)) send_part(&listing);
    json_decref(listing.devices);
}

/* --- changes, to all --- */

void presence_add(struct presence_batch *batch, struct presence device)
{
    if (!batch->devices) batch->devices = json_array();
    json_array_append_new(batch->devices, device_of(batch->tracker, device, batch->online));
    if (json_array_size(batch->devices) >= PRESENCE_DEVICES_MAX) presence_flush(batch, NULL);
}

void presence_flush(struct presence_batch *batch, const struct client *but)
{
    if (!batch->devices) return;
    json_t *presence = presence_json(false, batch->devices);
    char *text = presence ? json_dumps(presence, JSON_COMPACT) : NULL;
    size_t len = slice_text(text).len;
    struct client *other;
    for (size_t at = 0; text && (other = handles_next(&batch->tracker->clients, &at));) {
        if (other == but || other->phase != CLIENT_ONLINE) continue;
        other->presence_stale = other->presence_stale || wr_socket_queued(other->socket) > STALE_BYTES;
        if (!other->presence_stale) wr_socket_send(other->socket, WR_TEXT, text, len);
    }
    free(text);
    json_decref(presence);
    batch->devices = NULL;
}

void presence_changed(struct client *client, bool online)
{
    struct presence_batch batch = {.tracker = client->tracker, .online = online};
    if (online)
        remote_came(client);
    else
        remote_went(client);
    presence_add(&batch, presence_of_client(client));
    presence_flush(&batch, client);
}
