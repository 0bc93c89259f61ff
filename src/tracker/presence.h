/* presence.h - who is online: the whole list after hello, then changes. Private to src/tracker. */
#ifndef TRACKER_PRESENCE_H
#define TRACKER_PRESENCE_H

#include "tracker/remote.h"
#include "tracker/state.h"

/* A device takes at most some 600 bytes of JSON, so this many stay below the 64 KiB of a frame. */
enum { PRESENCE_DEVICES_MAX = 96 };

/* What is told of a device, wherever its socket is. */
struct presence {
    const char *device_text, *name, *label;
    int64_t account;
};
struct presence presence_of_client(const struct client *client);
struct presence presence_of_remote(const struct remote *remote);

/* Changes that go out together: start with {tracker, online}, add, flush. */
struct presence_batch {
    struct tracker *tracker;
    bool online;
    json_t *devices;
};
void presence_add(struct presence_batch *batch, struct presence device);
/* Tells everybody here but that one (may be NULL). */
void presence_flush(struct presence_batch *batch, const struct client *but);

void presence_send_all(struct client *client);
/* Tells everybody else, here and at the other processes. */
void presence_changed(struct client *client, bool online);

#endif
