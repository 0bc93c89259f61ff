/* Who is online: the whole list after hello, then changes. */
#include "tracker/socket.h"

#include <stdlib.h>

/* A device takes at most some 600 bytes of JSON, so this many stay below the 64 KiB of a frame. */
#define DEVICES_PER_FRAME 96
/* A socket whose queue holds this much is told later, all at once. */
#define STALE_BYTES (1024 * 1024)

static json_t *device_of(struct client *client, bool online)
{
    uint64_t seen_ms = tracker_now_ms(client->tracker);
    return json_pack("{s:s,s:s,s:s,s:s,s:I}", "device", client->device_text, "account", client->name, "label",
                     client->label, "status", online ? "online" : "offline", "seen_ms", (json_int_t)seen_ms);
}

static json_t *presence_of(bool full, json_t *devices)
{
    return json_pack("{s:s,s:b,s:o}", "type", "presence", "full", full, "devices", devices);
}

void presence_send_all(struct client *client)
{
    struct tracker *tracker = client->tracker;
    struct client *other;
    json_t *devices = json_array();
    bool full = true;
    client->presence_stale = false;
    for (size_t at = 0; (other = handles_next(&tracker->clients, &at));) {
        if (other == client || other->phase != CLIENT_ONLINE) continue;
        json_array_append_new(devices, device_of(other, true));
        if (json_array_size(devices) < DEVICES_PER_FRAME) continue;
        if (!client_send(client, presence_of(full, devices))) return;
        full = false;
        devices = json_array();
    }
    if (full || json_array_size(devices))
        client_send(client, presence_of(full, devices));
    else
        json_decref(devices);
}

void presence_changed(struct client *client, bool online)
{
    struct tracker *tracker = client->tracker;
    json_t *devices = json_array();
    json_array_append_new(devices, device_of(client, online));
    json_t *presence = presence_of(false, devices);
    char *text = presence ? json_dumps(presence, JSON_COMPACT) : NULL;
    size_t len = slice_text(text).len;
    struct client *other;
    for (size_t at = 0; text && (other = handles_next(&tracker->clients, &at));) {
        if (other == client || other->phase != CLIENT_ONLINE) continue;
        other->presence_stale = other->presence_stale || wr_socket_queued(other->socket) > STALE_BYTES;
        if (!other->presence_stale) wr_socket_send(other->socket, WR_TEXT, text, len);
    }
    free(text);
    json_decref(presence);
}
