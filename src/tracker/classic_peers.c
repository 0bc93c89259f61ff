/* Where native peers listen: announced, and listed. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "tracker/classic.h"
#include "tracker/person.h"
#include "tracker/socket.h"

#define ONLINE_MS ((int64_t)90 * 1000) /* announced so lately: taken to be there */

/* The device of a socket of the errand's session at this process; it keeps the announcement alive from now
 * on. */
static struct client *socket_of(struct errand *errand)
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&errand->tracker->clients, &at));) {
        if (client->phase != CLIENT_ONLINE ||
            memcmp(client->session, errand->session, SESSION_HASH_BYTES) != 0)
            continue;
        client->announced = true;
        return client;
    }
    return NULL;
}

void errand_announce(struct errand *errand, store_asked *asked)
{
    int64_t now_ms = (int64_t)tracker_now_ms(errand->tracker);
    if (errand->guest) {
        const struct store_value values[] = {store_text(slice_text(errand->ip)), store_number(errand->port),
                                             store_text(slice_text(errand->name)), store_number(now_ms),
                                             store_number(now_ms + ANNOUNCED_MS)};
        errand_ask(errand, &CLASSIC_ANNOUNCE_GUEST, values, 5, asked);
        return;
    }
    struct client *client = socket_of(errand);
    const struct store_value values[] = {
        store_number(errand->account), store_text(slice_text(errand->ip)),
        store_number(errand->port),    store_text(slice_text(errand->name)),
        store_id(errand->session),     store_id(client ? client->seat.device : NULL),
        store_number(now_ms),          store_number(now_ms + ANNOUNCED_MS)};
    errand_ask(errand, &CLASSIC_ANNOUNCE, values, 8, asked);
}

static void announced(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result == ERR_FULL)
        errand_refuse(errand, 503, "Too many peers are announced at this moment.");
    else if (result)
        errand_failed(errand, result);
    else
        errand_done(errand, "Your peer is in the list.");
}

void classic_announce(struct errand *errand)
{
    int there = errand_address(errand, "ip", "port");
    if (there == 0)
        errand_refuse(errand, 400, "Send \"ip\" and \"port\": where your peer listens.");
    else if (there > 0)
        errand_announce(errand, announced);
}

/* --- the list --- */

/* The columns of CLASSIC_PEERS. */
enum { PEER_NAME, PEER_IP, PEER_PORT, PEER_DEVICE, PEER_ANNOUNCED_MS, PEER_ACCOUNT };

/* Whether the device has an open socket anywhere, of somebody who does not hide. */
static bool is_seated(const struct tracker *tracker, int64_t account, slice device)
{
    const struct person *person = account ? person_find(tracker, account) : NULL;
    if (!person || !person->loaded || person->invisible || device.len != ID_BYTES) return false;
    for (const struct seat *seat = person->seats; seat; seat = seat->next) {
        if (memcmp(seat->device, device.ptr, ID_BYTES) == 0) return true;
    }
    return false;
}

static json_t *peer_of(const struct tracker *tracker, const struct store_value *row, int64_t now_ms)
{
    slice name = row[PEER_NAME].bytes, ip = row[PEER_IP].bytes, device = row[PEER_DEVICE].bytes;
    char port[8], id[ID_TEXT_BYTES] = "";
    snprintf(port, sizeof port, "%d", (int)row[PEER_PORT].number);
    if (row[PEER_DEVICE].type != STORE_BYTES) device = SLICE_EMPTY;
    if (device.len == ID_BYTES) hex_encode(device, id);
    bool online = row[PEER_ANNOUNCED_MS].number + ONLINE_MS > now_ms ||
                  is_seated(tracker, row[PEER_ACCOUNT].number, device);
    return json_pack("{s:s%,s:s,s:s%,s:i,s:s,s:s}", "ip", (const char *)ip.ptr, ip.len, "port", port,
                     "username", (const char *)name.ptr, name.len, "isUsed", 1, "device", id, "status",
                     online ? "online" : "idle");
}

static void list_page(struct errand *errand, const struct store_value after[3]);

static void listed(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    int64_t now_ms = (int64_t)tracker_now_ms(errand->tracker);
    if (result) {
        errand_failed(errand, result);
        return;
    }
    for (size_t i = 0; i < rows->count; i++)
        json_array_append_new(errand->list, peer_of(errand->tracker, store_at(rows, i, 0), now_ms));
    if (rows->count == CLASSIC_PEERS_PAGE && json_array_size(errand->list) < CLASSIC_LIST_MAX) {
        list_page(errand, &rows->values[(rows->count - 1) * rows->columns]);
        return;
    }
    errand_json(errand, 200, json_incref(errand->list));
}

static void list_page(struct errand *errand, const struct store_value after[3])
{
    const struct store_value values[] = {store_number((int64_t)tracker_now_ms(errand->tracker)), after[0],
                                         after[1], after[2]};
    errand_ask(errand, &CLASSIC_PEERS, values, 4, listed);
}

static void kept_alive(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    const struct store_value first[] = {store_text(SLICE_EMPTY), store_text(SLICE_EMPTY), store_number(0)};
    if (result)
        errand_failed(errand, result);
    else
        list_page(errand, first);
}

/* Renews what is older than a third of its life, so that polling costs a write now and then only. */
static void keep_alive(struct tracker *tracker, const uint8_t *session, store_asked *asked, void *context,
                       int *out_err)
{
    int64_t now_ms = (int64_t)tracker_now_ms(tracker);
    const struct store_value values[] = {store_id(session), store_number(now_ms),
                                         store_number(now_ms + ANNOUNCED_MS),
                                         store_number(now_ms + ANNOUNCED_MS / 3 * 2)};
    *out_err = store_ask(tracker->store, &CLASSIC_ALIVE, values, 4, asked, context);
}

void classic_list(struct errand *errand)
{
    int err = OK;
    errand->list = json_array();
    if (!errand->list)
        errand_failed(errand, ERR_MEMORY);
    else if (errand->account)
        keep_alive(errand->tracker, errand->session, kept_alive, errand, &err);
    else
        kept_alive(errand, OK, NULL);
    if (err) errand_failed(errand, err);
}

/* --- heartbeats of sockets --- */

void classic_keep_announced(struct tracker *tracker)
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        int err = OK;
        if (client->phase == CLIENT_ONLINE && client->announced)
            keep_alive(tracker, client->session, NULL, NULL, &err);
        if (err) return; /* the next minute is early enough */
    }
}

static bool has_socket(struct tracker *tracker, const uint8_t *session)
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (client->phase != CLIENT_ONLINE || memcmp(client->session, session, SESSION_HASH_BYTES) != 0)
            continue;
        client->announced = true;
        return true;
    }
    return false;
}

void classic_socket_gone(struct client *client)
{
    struct classic *classic = client->tracker->classic;
    if (!client->announced || classic->fading_count == CLASSIC_FADING_MAX) return;
    size_t at = classic->fading_count++;
    memcpy(classic->fading[at].session, client->session, SESSION_HASH_BYTES);
    classic->fading[at].gone_ms = tracker_now_ms(client->tracker);
}

/* When it has come back at another process, the session was seen since. */
void classic_fade(struct tracker *tracker)
{
    struct classic *classic = tracker->classic;
    uint64_t now_ms = tracker_now_ms(tracker);
    size_t due = 0;
    while (due < classic->fading_count && classic->fading[due].gone_ms + ANNOUNCED_HEARTBEATS_MS <= now_ms) {
        const uint8_t *session = classic->fading[due].session;
        const struct store_value values[] = {store_id(session), store_number((int64_t)now_ms),
                                             store_number((int64_t)classic->fading[due].gone_ms)};
        if (!has_socket(tracker, session) && store_ask(tracker->store, &CLASSIC_FADE, values, 3, NULL, NULL))
            break; /* in five seconds again */
        due++;
    }
    classic->fading_count -= due;
    memmove(classic->fading, classic->fading + due, classic->fading_count * sizeof classic->fading[0]);
}
