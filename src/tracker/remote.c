#include "tracker/remote.h"

#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "bus/bus.h"
#include "tracker/presence.h"
#include "tracker/socket.h"

enum { FIELDS = 6, TOLD_BYTES_MAX = 600 }; /* of one device in a message */

struct remotes {
    struct map map;        /* device -> place */
    struct remote **slots; /* NULL: free */
    size_t cap;
    uint32_t *free; /* a stack of places */
    size_t free_count;
};

/* --- the table --- */

static void remote_free(struct remote *remote)
{
    free(remote->seat.label);
    free(remote);
}

int remotes_init(struct tracker *tracker, const uint8_t secret[16])
{
    struct remotes *remotes = calloc(1, sizeof *remotes);
    if (!remotes) return ERR_MEMORY;
    map_init(&remotes->map, &allocator_libc, REMOTES_MAX, secret);
    tracker->remotes = remotes;
    return OK;
}

void remotes_deinit(struct tracker *tracker)
{
    struct remotes *remotes = tracker->remotes;
    if (!remotes) return;
    for (size_t i = 0; i < remotes->cap; i++) {
        if (remotes->slots[i]) remote_free(remotes->slots[i]);
    }
    map_deinit(&remotes->map);
    free(remotes->slots);
    free(remotes->free);
    free(remotes);
}

static struct remote *find(const struct tracker *tracker, const uint8_t device[ID_BYTES])
{
    uint32_t place;
    return map_get(&tracker->remotes->map, device, &place) ? tracker->remotes->slots[place] : NULL;
}

const struct remote *remote_find(const struct tracker *tracker, const uint8_t device[ID_BYTES])
{
    return find(tracker, device);
}

const struct remote *remote_next(const struct tracker *tracker, size_t *at)
{
    while (*at < tracker->remotes->cap) {
        const struct remote *remote = tracker->remotes->slots[(*at)++];
        if (remote) return remote;
    }
    return NULL;
}

static bool grow(struct remotes *remotes)
{
    size_t cap = remotes->cap ? remotes->cap * 2 : 64;
    struct remote **slots = realloc(remotes->slots, cap * sizeof *slots);
    if (slots) remotes->slots = slots;
    uint32_t *free_places = realloc(remotes->free, cap * sizeof *free_places);
    if (free_places) remotes->free = free_places;
    if (!slots || !free_places) return false;
    for (size_t i = remotes->cap; i < cap; i++) {
        slots[i] = NULL;
        free_places[remotes->free_count++] = (uint32_t)i;
    }
    remotes->cap = cap;
    return true;
}

/* Says nothing to anybody: see presence_went. */
static void forget(struct tracker *tracker, struct remote *remote)
{
    struct remotes *remotes = tracker->remotes;
    uint32_t place;
    if (map_get(&remotes->map, remote->seat.device, &place)) {
        map_remove(&remotes->map, remote->seat.device);
        remotes->slots[place] = NULL;
        remotes->free[remotes->free_count++] = place;
    }
    presence_replaced(tracker, &remote->seat);
    remote_free(remote);
}

/* Takes the remote; false when there is no room for it. */
static bool keep(struct tracker *tracker, struct remote *remote)
{
    struct remotes *remotes = tracker->remotes;
    if (!remotes->free_count && !grow(remotes)) goto no_room;
    uint32_t place = remotes->free[remotes->free_count - 1];
    if (map_set(&remotes->map, remote->seat.device, place)) goto no_room;
    remotes->free_count--;
    remotes->slots[place] = remote;
    return true;
no_room:
    remote_free(remote);
    return false;
}

/* --- telling --- */

static void put_device(struct writer *w, const struct client *client)
{
    cbor_put_array(w, FIELDS);
    cbor_put_bytes(w, slice_of(client->seat.device, ID_BYTES));
    cbor_put_uint(w, client->turn);
    cbor_put_uint(w, (uint64_t)client->account);
    cbor_put_uint(w, client->since_ms);
    cbor_put_bytes(w, slice_text(client->person->name));
    cbor_put_bytes(w, slice_text(client->seat.label));
}

void remote_came(struct client *client)
{
    struct tracker *tracker = client->tracker;
    struct remote *elsewhere = find(tracker, client->seat.device);
    client->turn = ++tracker->turn;
    if (elsewhere) forget(tracker, elsewhere);
    uint8_t room[TOLD_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_array(&w, 1);
    put_device(&w, client);
    peers_publish(tracker, PEERS_ONLINE, writer_slice(&w));
}

void remote_went(struct client *client)
{
    uint8_t room[ID_BYTES + 16];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_array(&w, 2);
    cbor_put_bytes(&w, slice_of(client->seat.device, ID_BYTES));
    cbor_put_uint(&w, client->turn);
    peers_publish(client->tracker, PEERS_OFFLINE, writer_slice(&w));
}

void remote_tell_all(struct tracker *tracker, uint32_t peer)
{
    uint8_t *room = malloc(16 + PRESENCE_DEVICES_MAX * TOLD_BYTES_MAX);
    const struct client *batch[PRESENCE_DEVICES_MAX], *client;
    size_t count = 0;
    if (!room) {
        bus_drop(tracker->bus, peer, "there is not enough memory");
        return;
    }
    for (size_t at = 0;;) {
        client = handles_next(&tracker->clients, &at);
        if (client && client->phase == CLIENT_ONLINE) batch[count++] = client;
        if (client && count < PRESENCE_DEVICES_MAX) continue;
        struct writer w = writer_of(room, 16 + PRESENCE_DEVICES_MAX * TOLD_BYTES_MAX);
        cbor_put_array(&w, count);
        for (size_t i = 0; i < count; i++)
            put_device(&w, batch[i]);
        if (count) peers_tell(tracker, peer, PEERS_ONLINE, SLICE_EMPTY, writer_slice(&w));
        count = 0;
        if (!client) break;
    }
    free(room);
}

/* --- hearing --- */

/* And whose it is. */
static struct remote *remote_read(struct cbor_reader *r, int64_t *out_account, slice *out_name)
{
    if (cbor_array(r, FIELDS + 16) < FIELDS) r->failed = true;
    const uint8_t *device = cbor_fixed(r, ID_BYTES);
    uint64_t turn = cbor_uint(r, UINT64_MAX), account = cbor_uint(r, INT64_MAX),
             since = cbor_uint(r, INT64_MAX);
    slice name = cbor_bytes(r, NODE_NAME_BYTES_MAX), label = cbor_bytes(r, 255);
    struct remote *remote = r->failed ? NULL : calloc(1, sizeof *remote);
    if (!remote) return NULL;
    memcpy(remote->seat.device, device, ID_BYTES);
    if (label.len) remote->seat.label = strndup((const char *)label.ptr, label.len);
    remote->turn = turn;
    remote->since_ms = since;
    *out_account = (int64_t)account;
    *out_name = name;
    return remote;
}

static bool is_newer(uint64_t turn, uint64_t id, uint64_t than_turn, uint64_t than_id)
{
    return turn != than_turn ? turn > than_turn : id > than_id;
}

/* Takes the remote: shows it, unless another seat of the device is newer. */
static void take(struct tracker *tracker, struct remote *remote, int64_t account, slice name)
{
    struct client *here = sockets_online(tracker, remote->seat.device);
    struct remote *known = find(tracker, remote->seat.device);
    if (remote->turn > tracker->turn) tracker->turn = remote->turn;
    bool older = (here && !is_newer(remote->turn, remote->peer_id, here->turn, bus_id(tracker->bus))) ||
                 (known && known->peer != remote->peer &&
                  !is_newer(remote->turn, remote->peer_id, known->turn, known->peer_id));
    struct person *person = older ? NULL : person_hold(tracker, account, name);
    if (!person) {
        remote_free(remote);
        return;
    }
    if (here) socket_replaced(here);
    if (known) forget(tracker, known);
    if (keep(tracker, remote))
        presence_came(tracker, &remote->seat, person);
    else
        presence_reach_changed(tracker, person); /* whom it replaced is gone */
    person_release(tracker, person);
}

void remote_online(struct tracker *tracker, uint32_t peer, slice message)
{
    struct cbor_reader r = {message, false};
    uint64_t id = bus_peer_id(tracker->bus, peer);
    size_t count = cbor_array(&r, PRESENCE_DEVICES_MAX);
    for (size_t i = 0; i < count; i++) {
        int64_t account;
        slice name;
        struct remote *remote = remote_read(&r, &account, &name);
        if (!remote) {
            bus_drop(tracker->bus, peer, "what it says of its devices cannot be taken");
            return;
        }
        remote->peer = peer;
        remote->peer_id = id;
        take(tracker, remote, account, name);
    }
}

void remote_offline(struct tracker *tracker, uint32_t peer, slice message)
{
    struct cbor_reader r = {message, false};
    if (cbor_array(&r, 16) < 2) r.failed = true;
    const uint8_t *device = cbor_fixed(&r, ID_BYTES);
    uint64_t turn = cbor_uint(&r, UINT64_MAX);
    struct remote *remote = r.failed ? NULL : find(tracker, device);
    if (!remote || remote->peer != peer || remote->turn != turn) return; /* it has moved */
    presence_went(tracker, &remote->seat);
    forget(tracker, remote);
}

void remote_peer_left(struct tracker *tracker, uint32_t peer)
{
    struct remotes *remotes = tracker->remotes;
    for (size_t i = 0; i < remotes->cap; i++) {
        struct remote *remote = remotes->slots[i];
        if (!remote || remote->peer != peer) continue;
        presence_went(tracker, &remote->seat);
        forget(tracker, remote);
    }
}
