/* Links by which people come into a room: /join/<token>. The page behind it logs in and redeems it. */
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"
#include "tracker/channels.h"

enum {
    TOKEN_BYTES = 16, /* random: nobody guesses one */
    TOKEN_TEXT = 2 * TOKEN_BYTES + 1,
    EXPIRES_S_MAX = 365 * 86400,
    USES_MAX = 100000,
};

static void invited(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_FULL)
        call_refuse(call, 409, "There are too many invites: revoke some of them first.");
    else if (result || rows->count == 0)
        channel_failed(call, result ? result : ERR_NOT_FOUND);
    else
        call_answer(call, json_pack("{s:I,s:s,s:s+}", "invite", (json_int_t)store_at(rows, 0, 0)->number,
                                    "token", (const char *)call->state + ID_BYTES, "path", "/join/",
                                    (const char *)call->state + ID_BYTES));
}

void room_invite_create(struct call *call)
{
    int64_t expires_s, uses, now_ms = (int64_t)tracker_now_ms(call->tracker);
    uint8_t token[TOKEN_BYTES], *room = calloc(1, ID_BYTES + TOKEN_TEXT);
    struct store_value values[7];
    if (!room) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    call->state = room; /* the channel, then the token */
    crypto_native_random(token, sizeof token);
    hex_encode(slice_of(token, sizeof token), (char *)room + ID_BYTES);
    if (!call_number(call, "expires_s", 0, EXPIRES_S_MAX, 7 * 86400, &expires_s) ||
        !call_number(call, "uses", 0, USES_MAX, 0, &uses) || !channel_begin(call, values))
        return;
    values[3] = store_text(slice_text((const char *)room + ID_BYTES));
    values[4] = store_number(now_ms);
    values[5] = store_number(expires_s ? now_ms + 1000 * expires_s : 0);
    values[6] = store_number(uses);
    call_ask(call, &STORE_ROOM_INVITE, values, 7, invited);
}

static void answer_invites(struct call *call, int result, const struct store_rows *rows)
{
    if (result) {
        channel_failed(call, result);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        json_array_append_new(list,
                              json_pack("{s:I,s:s%,s:s%,s:I,s:I,s:I,s:I}", "invite", (json_int_t)v[0].number,
                                        "token", (const char *)v[1].bytes.ptr, v[1].bytes.len, "account",
                                        (const char *)v[2].bytes.ptr, v[2].bytes.len, "created_ms",
                                        (json_int_t)v[3].number, "expires_ms", (json_int_t)v[4].number,
                                        "uses", (json_int_t)v[5].number, "used", (json_int_t)v[6].number));
    }
    call_answer(call, json_pack("{s:o}", "invites", list));
}

void room_invite_list(struct call *call)
{
    struct store_value values[4];
    if (!channel_begin(call, values)) return;
    values[3] = store_number((int64_t)tracker_now_ms(call->tracker));
    call_ask(call, &STORE_ROOM_INVITES, values, 4, answer_invites);
}

static void revoked(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_WRONG_STATE)
        call_refuse(call, 404, "There is no such invite.");
    else
        channel_done(call, result, rows);
}

void room_invite_revoke(struct call *call)
{
    struct store_value values[4];
    int64_t invite;
    if (!call_number(call, "invite", 1, INT64_MAX, 0, &invite) || !channel_begin(call, values)) return;
    values[3] = store_number(invite);
    call_ask(call, &STORE_ROOM_INVITE_REVOKE, values, 4, revoked);
}

/* --- for who has the link --- */

static void answer_look(struct call *call, int result, const struct store_rows *rows)
{
    if (result || rows->count == 0) {
        if (result)
            channel_failed(call, result);
        else
            call_refuse(call, 404, "This invite has expired, was used up or was revoked.");
        return;
    }
    char id[ID_TEXT_BYTES] = "";
    const struct store_value *v = store_at(rows, 0, 0);
    if (v[0].bytes.len == ID_BYTES) hex_encode(v[0].bytes, id);
    call_answer(call, json_pack("{s:s,s:s%,s:s%,s:I,s:s%}", "channel", id, "name",
                                (const char *)v[1].bytes.ptr, v[1].bytes.len, "topic",
                                v[2].bytes.len ? (const char *)v[2].bytes.ptr : "", v[2].bytes.len, "members",
                                (json_int_t)v[4].number, "by", (const char *)v[5].bytes.ptr, v[5].bytes.len));
}

void room_invite_look(struct call *call)
{
    slice token;
    if (!call_text(call, "token", 1, 64, &token)) return;
    const struct store_value values[] = {store_text(token),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_ROOM_INVITE_LOOK, values, 2, answer_look);
}

static void redeemed(struct call *call, int result, const struct store_rows *rows)
{
    struct tracker *tracker = call->tracker;
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 404, "This invite has expired, was used up or was revoked.");
    } else if (result == ERR_DENIED) {
        call_refuse(call, 403, "You are banned from this channel.");
    } else if (result == ERR_FULL) {
        call_refuse(call, 409, "You are in too many channels: leave one first.");
    } else if (result || rows->count == 0) {
        channel_failed(call, result ? result : ERR_NOT_FOUND);
    } else {
        json_t *room = channel_json(tracker, rows, 0);
        channel_tell(tracker, call->account, "added", json_pack("{s:O}", "channel", room));
        call_answer(call, json_pack("{s:o}", "channel", room));
        channels_due(tracker);
    }
}

void room_invite_redeem(struct call *call)
{
    slice token;
    if (!call_text(call, "token", 1, 64, &token)) return;
    const struct store_value values[] = {store_text(token), store_number(call->account),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_ROOM_REDEEM, values, 3, redeemed);
}
