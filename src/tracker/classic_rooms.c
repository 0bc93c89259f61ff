/* Channels: finding, making, joining, leaving. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "tracker/channels.h"
#include "tracker/classic.h"

/* --- which channel --- */

/* Finds the channel that the body names, as the errand's person sees it; `found` runs when it is there and
 * she is not banned from it. */
static void room_found(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    if (result) {
        errand_failed(errand, result);
        return;
    }
    const struct store_value *room = rows->count ? store_at(rows, 0, 0) : NULL;
    if (!room || room[ROOM_CHANNEL].bytes.len != ID_BYTES) {
        errand_refuse(errand, 404, "Channel not found");
        return;
    }
    memcpy(errand->channel, room[ROOM_CHANNEL].bytes.ptr, ID_BYTES);
    errand->sealed = room[ROOM_NONCE].type != STORE_NULL;
    bool known = room[ROOM_MY_STATE].type == STORE_NUMBER;
    errand->member = known && room[ROOM_MY_STATE].number == ROOM_MEMBER;
    if (known && room[ROOM_MY_STATE].number == ROOM_BANNED)
        errand_refuse(errand, 403, "You are banned from this channel.");
    else
        errand->found(errand);
}

void classic_find_room(struct errand *errand, errand_handler *found)
{
    slice name;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (!errand_text(errand, "channel_name", &name) || !name.len) {
        errand_refuse(errand, 400, "Send the \"channel_name\".");
        return;
    }
    int len = channel_key(name, key);
    if (len < 0) {
        errand_refuse(errand, 404, "Channel not found");
        return;
    }
    errand->found = found;
    const struct store_value values[] = {store_text(slice_of(key, (size_t)len)), store_number(errand->writer),
                                         store_number(errand->role >= ROLE_ADMIN)};
    errand_ask(errand, &STORE_ROOM_BY_KEY, values, 3, room_found);
}

static void list_rooms(struct errand *errand, slice after);

static void rooms_listed(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (result) {
        errand_failed(errand, result);
        return;
    }
    slice name = SLICE_EMPTY;
    for (size_t i = 0; i < rows->count; i++) {
        name = store_at(rows, i, ROOM_NAME)->bytes;
        json_t *text = json_stringn((const char *)name.ptr, name.len);
        if (slice_equal(name, SLICE(CHANNEL_NAME)))
            json_array_insert_new(errand->list, 0, text);
        else
            json_array_append_new(errand->list, text);
    }
    int len = rows->count == ROOMS_PAGE_MAX ? channel_key(name, key) : -1;
    if (len > 0 && json_array_size(errand->list) < CLASSIC_LIST_MAX)
        list_rooms(errand, slice_of(key, (size_t)len));
    else
        errand_json(errand, 200, json_pack("{s:s,s:O}", "status", "success", "channels", errand->list));
}

static void list_rooms(struct errand *errand, slice after)
{
    const struct store_value values[] = {store_number(errand->writer),
                                         store_number(errand->role >= ROLE_ADMIN), store_text(SLICE_EMPTY),
                                         store_text(after), store_number(ROOMS_PAGE_MAX)};
    errand_ask(errand, &STORE_ROOMS_PAGE, values, 5, rooms_listed);
}

void classic_channels(struct errand *errand)
{
    errand->list = json_array();
    if (errand->list)
        list_rooms(errand, SLICE_EMPTY);
    else
        errand_failed(errand, ERR_MEMORY);
}

/* --- making one --- */

/* What the call says of a refusal is said here, too. */
static void called(struct errand *errand, int status, json_t *answer, const char *done)
{
    if (answer && status == 200) json_object_set_new(answer, "message", json_string(done));
    errand_json(errand, status, answer);
}

static void created(void *context, int status, json_t *answer)
{
    called(context, status, answer, "The channel is there, and you are in it.");
}

void classic_create(struct errand *errand)
{
    slice name, policy = SLICE("open"), password = SLICE_EMPTY;
    if (!errand_text(errand, "channel_name", &name)) {
        errand_refuse(errand, 400, "Send the \"channel_name\".");
        return;
    }
    (void)errand_text(errand, "policy", &policy);
    json_t *fields = json_pack("{s:s%,s:s%}", "name", (const char *)name.ptr, name.len, "policy",
                               (const char *)policy.ptr, policy.len);
    if (fields && errand_text(errand, "password", &password))
        json_object_set_new(fields, "password", json_stringn((const char *)password.ptr, password.len));
    errand_call(errand, "channel-create", fields, created);
}

/* --- joining and leaving --- */

static void joined(void *context, int status, json_t *answer)
{
    const json_t *me = json_object_get(json_object_get(answer, "channel"), "me");
    const char *state = json_string_value(json_object_get(me, "state"));
    called(context, status, answer,
           state && strcmp(state, "asks") == 0 ? "You have asked: a moderator of the channel is to say yes."
                                               : "You are in the channel.");
}

static void left(void *context, int status, json_t *answer)
{
    called(context, status, answer, "You have left the channel.");
}

static void guest_noted(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result == ERR_FULL)
        errand_refuse(errand, 503, "Too many guests are in this channel.");
    else if (result)
        errand_failed(errand, result);
    else
        errand_done(errand, errand->route->run == classic_join ? "You are in the channel."
                                                               : "You have left the channel.");
}

/* Guests come and go in a list; the account that signs for them is in the channel from the first one on. */
static void note_guest(struct errand *errand)
{
    bool there = errand->port > 0;
    int64_t now_ms = (int64_t)tracker_now_ms(errand->tracker);
    const struct store_value values[] = {store_id(errand->channel),
                                         there ? store_text(slice_text(errand->ip))
                                               : (struct store_value){.type = STORE_NULL},
                                         store_number(errand->port),
                                         store_text(slice_text(errand->name)),
                                         store_number(now_ms),
                                         store_number(now_ms + ANNOUNCED_MS)};
    if (errand->route->run == classic_leave)
        errand_ask(errand, &CLASSIC_GUEST_LEAVE, values, 4, guest_noted);
    else if (there)
        errand_ask(errand, &CLASSIC_GUEST_JOIN, values, 6, guest_noted);
    else
        guest_noted(errand, OK, NULL);
}

static void guest_may(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result && result != ERR_EXISTS)
        errand_failed(errand, result);
    else
        note_guest(errand);
}

static void guest_enters(struct errand *errand)
{
    if (errand->sealed)
        errand_refuse(errand, 403, "Guests can be in open channels only: log in.");
    else if (errand->route->run == classic_leave || errand->member || !errand->writer)
        note_guest(errand);
    else
        channel_join_open(errand->tracker, errand->channel, errand->writer, guest_may, errand);
}

static void person_enters(struct errand *errand)
{
    char id[ID_TEXT_BYTES];
    slice password;
    hex_encode(slice_of(errand->channel, ID_BYTES), id);
    json_t *fields = json_pack("{s:s}", "channel", id);
    if (fields && errand_text(errand, "password", &password))
        json_object_set_new(fields, "password", json_stringn((const char *)password.ptr, password.len));
    errand_call(errand, "channel-join", fields, joined);
}

static void person_leaves(struct errand *errand)
{
    char id[ID_TEXT_BYTES];
    hex_encode(slice_of(errand->channel, ID_BYTES), id);
    errand_call(errand, "channel-leave", json_pack("{s:s}", "channel", id), left);
}

static void enter(struct errand *errand)
{
    bool joins = errand->route->run == classic_join;
    if (errand->guest)
        guest_enters(errand);
    else if (joins && errand->member)
        errand_done(errand, "You are in the channel.");
    else if (joins)
        person_enters(errand);
    else if (!errand->member)
        errand_done(errand, "You are not in this channel.");
    else
        person_leaves(errand);
}

/* First where the peer listens is noted, when the body says so; then `then` runs. */
static void announced(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result == ERR_FULL)
        errand_refuse(errand, 503, "Too many peers are announced at this moment.");
    else if (result)
        errand_failed(errand, result);
    else
        errand->then(errand);
}

static void announce_first(struct errand *errand)
{
    if (errand->port)
        errand_announce(errand, announced);
    else
        errand->then(errand);
}

void classic_begin(struct errand *errand, errand_handler *then)
{
    errand->then = then;
    if (errand_address(errand, "peer_ip", "peer_port") >= 0) classic_find_room(errand, announce_first);
}

void classic_join(struct errand *errand)
{
    classic_begin(errand, enter);
}

void classic_leave(struct errand *errand)
{
    classic_begin(errand, enter);
}
