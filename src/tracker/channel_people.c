/* Who is in a room, and what moderators do. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "tracker/channels.h"

enum { NOTE_LETTERS_MAX = 200, MUTE_S_MAX = 365 * 86400, HIDE_S_MAX = 365 * 86400, HIDE_AHEAD_MS = 2000 };

static int state_of(slice name)
{
    if (slice_equal(name, SLICE("asks"))) return ROOM_ASKS;
    if (slice_equal(name, SLICE("banned"))) return ROOM_BANNED;
    return name.len == 0 || slice_equal(name, SLICE("member")) ? ROOM_MEMBER : -1;
}

static void answer_people(struct call *call, int result, const struct store_rows *rows)
{
    int64_t limit;
    if (result) {
        channel_failed(call, result);
        return;
    }
    if (!call_number(call, "limit", 1, ROOM_MEMBERS_PAGE_MAX, ROOM_MEMBERS_PAGE_MAX, &limit)) return;
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        json_array_append_new(list,
                              json_pack("{s:s%,s:s,s:I,s:I,s:s%}", "account", (const char *)v[0].bytes.ptr,
                                        v[0].bytes.len, "role", room_role_name(v[2].number), "muted_until_ms",
                                        (json_int_t)v[3].number, "since_ms", (json_int_t)v[4].number, "note",
                                        v[5].bytes.len ? (const char *)v[5].bytes.ptr : "", v[5].bytes.len));
    }
    call_answer(call, json_pack("{s:o,s:b}", "members", list, "more", (int64_t)rows->count == limit));
}

/* `after` is the name of the last one of the page before. */
void room_members(struct call *call)
{
    struct store_value values[7];
    slice state, role, after;
    int64_t limit;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (!call_text_maybe(call, "state", 16, &state) || !call_text_maybe(call, "role", 16, &role) ||
        !call_text_maybe(call, "after", 32, &after) ||
        !call_number(call, "limit", 1, ROOM_MEMBERS_PAGE_MAX, ROOM_MEMBERS_PAGE_MAX, &limit))
        return;
    int wanted_state = state_of(state), wanted_role = role.len ? room_role_of(role) : -1;
    int key_len = after.len ? fold_name(after, key) : 0;
    if (wanted_state < 0 || (role.len && wanted_role < 0) || key_len < 0) {
        call_refuse(call, 400,
                    "\"state\" must be member, asks or banned; \"role\" member, moderator or owner; "
                    "\"after\" a name.");
        return;
    }
    if (!channel_begin(call, values)) return;
    values[3] = store_number(wanted_state);
    values[4] = store_number(wanted_role);
    values[5] = store_text(slice_of(key, (size_t)key_len));
    values[6] = store_number(limit);
    call_ask(call, &STORE_ROOM_PEOPLE, values, 7, answer_people);
}

static void answer_devices(struct call *call, int result, const struct store_rows *rows)
{
    if (result) {
        channel_failed(call, result);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        char device[ID_TEXT_BYTES], certificate[2 * NODE_CERTIFICATE_BYTES_MAX + 1];
        if (v[0].bytes.len != ID_BYTES || v[2].bytes.len > NODE_CERTIFICATE_BYTES_MAX) continue;
        hex_encode(v[0].bytes, device);
        hex_encode(v[2].bytes, certificate);
        json_array_append_new(list, json_pack("{s:s,s:s%,s:s}", "device", device, "account",
                                              (const char *)v[1].bytes.ptr, v[1].bytes.len, "certificate",
                                              certificate));
    }
    call_answer(call, json_pack("{s:o,s:b}", "devices", list, "more", rows->count == ROOM_DEVICES_PAGE));
}

/* So that keys are handed to devices that have not joined yet (COMMAND_DEVICE). */
void room_devices(struct call *call)
{
    struct store_value values[5];
    uint8_t after[ID_BYTES] = {0};
    bool first = !json_object_get(call->fields, "after");
    if ((!first && !call_id(call, "after", after)) || !channel_begin(call, values)) return;
    values[3] = store_bytes(after, first ? 0 : sizeof after);
    values[4] = store_number((int64_t)tracker_now_ms(call->tracker));
    channel_read(call, &STORE_ROOM_DEVICES, values, 5, answer_devices);
}

/* --- what is done to somebody --- */

/* The values that all of these take; false when the call is answered. `key` is FOLD_KEY_BYTES_MAX. */
static bool begin(struct call *call, struct store_value values[6], uint8_t *key)
{
    slice target, note;
    if (!call_account_key(call, "account", key, &target) ||
        !call_text_maybe(call, "note", NOTE_LETTERS_MAX, &note) || !channel_begin(call, values))
        return false;
    values[3] = store_text(target);
    values[4] = store_number((int64_t)tracker_now_ms(call->tracker));
    values[5] = store_text(note);
    return true;
}

static void do_to(struct call *call, const struct store_operation *operation, call_asked *asked)
{
    struct store_value values[6];
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (begin(call, values, key)) call_ask(call, operation, values, 6, asked);
}

static void gone(struct call *call, int result, const struct store_rows *rows, const char *why)
{
    if (!result && rows->count) channel_gone(call->tracker, store_at(rows, 0, 0)->number, call->state, why);
    if (result == ERR_WRONG_STATE)
        call_refuse(call, 409, "This account is not in the channel, or was banned before.");
    else
        channel_decided(call, result, rows);
}

static void kicked(struct call *call, int result, const struct store_rows *rows)
{
    gone(call, result, rows, "kicked");
}

static void banned(struct call *call, int result, const struct store_rows *rows)
{
    gone(call, result, rows, "banned");
}

static void refused(struct call *call, int result, const struct store_rows *rows)
{
    gone(call, result, rows, "refused");
}

void room_kick(struct call *call)
{
    do_to(call, &STORE_ROOM_KICK, kicked);
}

void room_ban(struct call *call)
{
    do_to(call, &STORE_ROOM_BAN, banned);
}

void room_refuse(struct call *call)
{
    do_to(call, &STORE_ROOM_REFUSE, refused);
}

/* The account's own row has changed: its devices get the room anew. */
static void changed(struct call *call, int result, const struct store_rows *rows)
{
    if (!result && rows->count)
        channel_refresh(call->tracker, store_at(rows, 0, 0)->number, call->state, "changed");
    channel_decided(call, result, rows);
}

static void approved(struct call *call, int result, const struct store_rows *rows)
{
    if (!result && rows->count)
        channel_refresh(call->tracker, store_at(rows, 0, 0)->number, call->state, "added");
    channel_decided(call, result, rows);
}

static void unbanned(struct call *call, int result, const struct store_rows *rows)
{
    if (!result && rows->count)
        channel_gone(call->tracker, store_at(rows, 0, 0)->number, call->state, "unbanned");
    channel_decided(call, result, rows);
}

void room_unban(struct call *call)
{
    do_to(call, &STORE_ROOM_UNBAN, unbanned);
}

void room_approve(struct call *call)
{
    do_to(call, &STORE_ROOM_APPROVE, approved);
}

void room_unmute(struct call *call)
{
    do_to(call, &STORE_ROOM_UNMUTE, changed);
}

void room_mute(struct call *call)
{
    struct store_value values[7];
    uint8_t key[FOLD_KEY_BYTES_MAX];
    int64_t seconds;
    if (!call_number(call, "seconds", 1, MUTE_S_MAX, 0, &seconds)) return;
    if (seconds == 0) {
        call_refuse(call, 400, "\"seconds\" must be a number from 1 to 31536000.");
        return;
    }
    if (!begin(call, values, key)) return;
    values[6] = store_number(values[4].number + 1000 * seconds);
    call_ask(call, &STORE_ROOM_MUTE, values, 7, changed);
}

static void role_set(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_WRONG_STATE)
        call_refuse(call, 409, "This account is not a member, or is the last owner.");
    else
        changed(call, result, rows);
}

static void set_role(struct call *call, int role, call_asked *asked)
{
    struct store_value values[6];
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (!begin(call, values, key)) return;
    values[5] = store_number(role);
    call_ask(call, &STORE_ROOM_ROLE, values, 6, asked);
}

void room_role(struct call *call)
{
    slice role;
    if (!call_text(call, "role", 1, 16, &role)) return;
    int wanted = room_role_of(role);
    if (wanted < 0)
        call_refuse(call, 400, "\"role\" must be member, moderator or owner.");
    else
        set_role(call, wanted, role_set);
}

/* The new owner is there: who asks becomes a moderator. */
static void handed_over(struct call *call, int result, const struct store_rows *rows)
{
    uint8_t key[FOLD_KEY_BYTES_MAX];
    struct store_value values[6];
    int len = fold_name(slice_text(call->name), key);
    if (result || rows->count == 0 || len < 0) {
        role_set(call, result, rows);
        return;
    }
    channel_refresh(call->tracker, store_at(rows, 0, 0)->number, call->state, "changed");
    if (store_at(rows, 0, 0)->number == call->account) { /* to oneself */
        channel_decided(call, OK, rows);
        return;
    }
    if (!channel_begin(call, values)) return;
    values[3] = store_text(slice_of(key, (size_t)len));
    values[4] = store_number((int64_t)tracker_now_ms(call->tracker));
    values[5] = store_number(ROOM_MODERATOR);
    call_ask(call, &STORE_ROOM_ROLE, values, 6, role_set);
}

void room_hand_over(struct call *call)
{
    set_role(call, ROOM_OWNER, handed_over);
}

/* --- hiding --- */

static void hidden_many(struct call *call, int result, const struct store_rows *rows)
{
    struct tracker *tracker = call->tracker;
    if (result) {
        channel_failed(call, result);
        return;
    }
    json_int_t count = rows->count ? (json_int_t)store_at(rows, 0, 0)->number : 0;
    channel_audit(call);
    call_answer(call, json_pack("{s:I}", "messages", count));
    channels_due(tracker);
}

static void hidden_one(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_WRONG_STATE)
        call_refuse(call, 404, "There is no such message.");
    else
        channel_decided(call, result, rows);
}

static void hide_or_show(struct call *call, const struct store_operation *many,
                         const struct store_operation *one)
{
    struct store_value values[6];
    uint8_t key[FOLD_KEY_BYTES_MAX], author[ID_BYTES];
    int64_t seq, since_s, now_ms = (int64_t)tracker_now_ms(call->tracker);
    slice target;
    if (json_object_get(call->fields, "author")) {
        if (!call_id(call, "author", author) || !call_number(call, "seq", 1, UINT32_MAX, 0, &seq) ||
            !channel_begin(call, values))
            return;
        values[3] = store_id(author);
        values[4] = store_number(seq);
        call_ask(call, one, values, 5, hidden_one);
        return;
    }
    if (!call_account_key(call, "account", key, &target) ||
        !call_number(call, "seconds", 1, HIDE_S_MAX, 3600, &since_s) || !channel_begin(call, values))
        return;
    values[3] = store_text(target);
    values[4] = store_number(now_ms > 1000 * since_s ? now_ms - 1000 * since_s : 0);
    /* Who writes fast has a clock that is a little ahead. */
    values[5] = store_number(now_ms + HIDE_AHEAD_MS);
    call_ask(call, many, values, 6, hidden_many);
}

void room_hide(struct call *call)
{
    hide_or_show(call, &STORE_ROOM_HIDE, &STORE_ROOM_HIDE_ONE);
}

void room_show(struct call *call)
{
    hide_or_show(call, &STORE_ROOM_SHOW, &STORE_ROOM_SHOW_ONE);
}
