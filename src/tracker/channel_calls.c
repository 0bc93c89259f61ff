/* Rooms: made, found, joined, left, and what is said about them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"
#include "tracker/audit.h"
#include "tracker/channels.h"
#include "tracker/push.h"
#include "tracker/socket.h"

enum {
    TOPIC_LETTERS_MAX = 200,
    NOTE_LETTERS_MAX = 200,
    SLOW_S_MAX = 6 * 3600,
};

static const char *const policy_names[] = {"open", "password", "invite", "approval"};
static const char *const state_names[] = {"", "member", "asks", "banned"};
static const char *const role_names[] = {"member", "moderator", "owner"};

static const char *name_in(const char *const *names, size_t count, int64_t at)
{
    return at >= 0 && at < (int64_t)count ? names[at] : "";
}

static int place_in(const char *const *names, size_t count, slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_text(names[i]), name)) return (int)i;
    }
    return -1;
}

const char *room_role_name(int64_t role)
{
    return name_in(role_names, 3, role);
}

int room_role_of(slice name)
{
    return place_in(role_names, 3, name);
}

int channel_key(slice name, uint8_t out_key[FOLD_KEY_BYTES_MAX])
{
    return name_problem(name) ? ERR_INVALID : fold_name(name, out_key);
}

/* --- one room as JSON --- */

json_t *channel_json(const struct tracker *tracker, const struct store_rows *rows, size_t row)
{
    char id[ID_TEXT_BYTES];
    const struct store_value *v = store_at(rows, row, 0);
    bool sealed = v[ROOM_NONCE].type != STORE_NULL;
    if (v[ROOM_CHANNEL].bytes.len != ID_BYTES) return NULL;
    hex_encode(v[ROOM_CHANNEL].bytes, id);
    json_t *json =
        json_pack("{s:s,s:s%,s:s,s:s,s:s%,s:I,s:I,s:I}", "id", id, "name",
                  (const char *)v[ROOM_NAME].bytes.ptr, v[ROOM_NAME].bytes.len, "type",
                  sealed ? "private" : "public", "policy", name_in(policy_names, 4, v[ROOM_POLICY].number),
                  "topic", v[ROOM_TOPIC].bytes.len ? (const char *)v[ROOM_TOPIC].bytes.ptr : "",
                  v[ROOM_TOPIC].bytes.len, "slow_s", (json_int_t)v[ROOM_SLOW_S].number, "members",
                  (json_int_t)v[ROOM_MEMBERS].number, "created_ms", (json_int_t)v[ROOM_CREATED_MS].number);
    if (json && sealed && v[ROOM_NONCE].bytes.len == NODE_NONCE_BYTES) {
        char nonce[2 * NODE_NONCE_BYTES + 1];
        hex_encode(v[ROOM_NONCE].bytes, nonce);
        json_object_set_new(json, "founder", json_string(tracker->device_text));
        json_object_set_new(json, "nonce", json_string(nonce));
    }
    if (json && v[ROOM_MY_STATE].type != STORE_NULL && v[ROOM_MY_STATE].number != ROOM_GONE)
        json_object_set_new(json, "me",
                            json_pack("{s:s,s:s,s:I,s:I}", "state",
                                      name_in(state_names, 4, v[ROOM_MY_STATE].number), "role",
                                      room_role_name(v[ROOM_MY_ROLE].number), "muted_until_ms",
                                      (json_int_t)v[ROOM_MY_MUTED_UNTIL_MS].number, "since_ms",
                                      (json_int_t)v[ROOM_MY_SINCE_MS].number));
    return json;
}

json_t *channels_json(const struct tracker *tracker, const struct store_rows *rows)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++)
        json_array_append_new(list, channel_json(tracker, rows, i));
    return list;
}

/* --- answers --- */

void channel_failed(struct call *call, int err)
{
    switch (err) {
    case ERR_NOT_FOUND: call_refuse(call, 404, "There is no such channel."); break;
    case ERR_INVALID: call_refuse(call, 404, "There is no account of this name."); break;
    case ERR_DENIED: call_refuse(call, 403, "You may not do this in this channel."); break;
    case ERR_WRONG_STATE:
        call_refuse(call, 409, "This is not possible as things are in this channel.");
        break;
    case ERR_EXISTS: call_refuse(call, 409, "There is a channel of this name already."); break;
    default: call_failed(call, err); break;
    }
}

void channel_done(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result)
        channel_failed(call, result);
    else
        call_answer(call, NULL);
}

void channel_audit(struct call *call)
{
    char detail[ID_TEXT_BYTES + 1];
    const json_t *account = json_object_get(call->fields, "account");
    const json_t *channel = json_object_get(call->fields, "channel");
    snprintf(detail, sizeof detail, "%s", json_string_length(channel) ? json_string_value(channel) : "");
    /* About whom, and where; of decisions about a channel, about that. */
    if (json_is_string(account))
        audit_call(call, call->row->type, slice_of(json_string_value(account), json_string_length(account)),
                   detail);
    else
        audit_call(call, call->row->type, slice_text(detail), "");
}

void channel_decided(struct call *call, int result, const struct store_rows *rows)
{
    struct tracker *tracker = call->tracker;
    if (!result && call->row->run != room_leave) channel_audit(call);
    channel_done(call, result, rows);
    if (!result) channels_due(tracker);
}

bool channel_begin(struct call *call, struct store_value values[3])
{
    const json_t *text = json_object_get(call->fields, "channel");
    uint8_t *id = call->state ? call->state : calloc(1, ID_BYTES);
    if (!id) {
        call_failed(call, ERR_MEMORY);
        return false;
    }
    call->state = id;
    if (!json_is_string(text) ||
        hex_decode(slice_of(json_string_value(text), json_string_length(text)), id, ID_BYTES)) {
        call_refuse(call, 400, "\"channel\" must be the id of a channel: 64 hexadecimal digits.");
        return false;
    }
    values[0] = store_id(id);
    values[1] = store_number(call->account);
    values[2] = store_number(call->role >= ROLE_ADMIN);
    return true;
}

/* The answer is the room of the first row. */
static void answer_room(struct call *call, int result, const struct store_rows *rows)
{
    if (!result && rows->count == 0) result = ERR_NOT_FOUND;
    if (result)
        channel_failed(call, result);
    else
        call_answer(call, json_pack("{s:o}", "channel", channel_json(call->tracker, rows, 0)));
}

/* --- making one --- */

/* A room that is about to be made; the call's state. */
struct making {
    uint8_t channel[ID_BYTES], nonce[NODE_NONCE_BYTES];
    uint8_t key[FOLD_KEY_BYTES_MAX];
    size_t key_len;
    int policy;
    char secret[PASSWORD_HASH_BYTES];
};

static void made_room(struct call *call, int result, const struct store_rows *rows)
{
    struct tracker *tracker = call->tracker;
    if (!result && rows->count) {
        channel_tell(tracker, call->account, "added",
                     json_pack("{s:o}", "channel", channel_json(tracker, rows, 0)));
        channels_due(tracker);
    }
    answer_room(call, result, rows);
}

static void created(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    const struct making *m = call->state;
    if (result == ERR_FULL) {
        call_refuse(call, 409, "You have created or joined too many channels: leave or close one first.");
    } else if (result) {
        channel_failed(call, result);
    } else {
        const struct store_value values[] = {store_id(m->channel), store_number(call->account),
                                             store_number(0)};
        call_ask(call, &STORE_ROOM_GET, values, 3, made_room);
    }
}

static void create_now(struct call *call)
{
    const struct making *m = call->state;
    slice name, topic;
    bool sealed = m->policy != ROOM_OPEN;
    /* Checked before, so these do not answer. */
    if (!call_text(call, "name", 1, 32, &name) || !call_text_maybe(call, "topic", TOPIC_LETTERS_MAX, &topic))
        return;
    const struct store_value values[] = {
        store_id(m->channel),
        store_number(call->account),
        store_number(call->role >= ROLE_ADMIN),
        store_text(name),
        store_text(slice_of(m->key, m->key_len)),
        store_number(m->policy),
        store_text(slice_text(m->secret)),
        store_text(topic),
        sealed ? store_bytes(m->nonce, sizeof m->nonce) : (struct store_value){.type = STORE_NULL},
        store_number((int64_t)tracker_now_ms(call->tracker)),
    };
    call_ask(call, &STORE_ROOM_CREATE, values, 10, created);
}

static void hashed(void *context, int result, slice hash)
{
    struct call *call = context;
    struct making *m = call->state;
    if (result || hash.len >= sizeof m->secret) {
        call_failed(call, result ? result : ERR_TOO_LARGE);
        return;
    }
    memcpy(m->secret, hash.ptr, hash.len);
    create_now(call);
}

static int spec_of(const struct tracker *tracker, struct making *m, slice name)
{
    struct channel_spec spec = {.type = m->policy == ROOM_OPEN ? CHANNEL_PUBLIC : CHANNEL_PRIVATE,
                                .authority = tracker->device,
                                .name = name,
                                .founder = tracker->device,
                                .nonce = m->nonce};
    crypto_native_random(m->nonce, sizeof m->nonce);
    return channel_spec_id(crypto_native(), &spec, m->channel);
}

/* Hashing one takes a core for a tenth of a second; false when the call is answered. */
static bool may_lock(struct call *call)
{
    if (!channel_lock(call)) return true;
    call_refuse(call, 429, "You have set too many passwords: wait a minute.");
    return false;
}

void room_create(struct call *call)
{
    slice name, topic, policy, password = SLICE_EMPTY;
    struct making *m = calloc(1, sizeof *m);
    if (!m) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    call->state = m;
    if (!call_text(call, "name", 1, 32, &name) || !call_text(call, "policy", 1, 16, &policy) ||
        !call_text_maybe(call, "topic", TOPIC_LETTERS_MAX, &topic))
        return;
    int key_len = channel_key(name, m->key);
    m->policy = place_in(policy_names, 4, policy);
    if (key_len < 0 || m->policy < 0) {
        call_refuse(call, 400,
                    key_len < 0 ? name_problem(name) ? name_problem(name) : "This name is not possible."
                                : "\"policy\" must be open, password, invite or approval.");
        return;
    }
    m->key_len = (size_t)key_len;
    if (spec_of(call->tracker, m, name)) {
        call_failed(call, ERR_INVALID);
        return;
    }
    if (m->policy != ROOM_PASSWORD) {
        create_now(call);
        return;
    }
    if (!call_text(call, "password", 4, 200, &password) || !may_lock(call)) return;
    int err = passwords_hash(&call->tracker->rooms->passwords, password, hashed, call);
    if (err) call_failed(call, err);
}

/* --- finding --- */

void room_find(struct call *call)
{
    slice name;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (json_object_get(call->fields, "name")) {
        if (!call_text(call, "name", 1, 32, &name)) return;
        int len = channel_key(name, key);
        if (len < 0) {
            channel_failed(call, ERR_NOT_FOUND);
            return;
        }
        const struct store_value values[] = {store_text(slice_of(key, (size_t)len)),
                                             store_number(call->account),
                                             store_number(call->role >= ROLE_ADMIN)};
        call_ask(call, &STORE_ROOM_BY_KEY, values, 3, answer_room);
        return;
    }
    struct store_value values[3];
    if (channel_begin(call, values)) call_ask(call, &STORE_ROOM_GET, values, 3, answer_room);
}

static void answer_list(struct call *call, int result, const struct store_rows *rows)
{
    int64_t limit;
    if (result) {
        channel_failed(call, result);
        return;
    }
    if (!call_number(call, "limit", 1, ROOMS_PAGE_MAX, ROOMS_PAGE_MAX, &limit)) return;
    call_answer(call, json_pack("{s:o,s:b}", "channels", channels_json(call->tracker, rows), "more",
                                (int64_t)rows->count == limit));
}

/* For LIKE: what stands for anything stands for itself. */
static slice escaped(slice key, uint8_t room[2 * FOLD_KEY_BYTES_MAX])
{
    struct writer w = writer_of(room, 2 * FOLD_KEY_BYTES_MAX);
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] == '%' || key.ptr[i] == '_' || key.ptr[i] == '\\') writer_byte(&w, '\\');
        writer_byte(&w, key.ptr[i]);
    }
    return writer_slice(&w);
}

/* `after` is the name of the last one of the page before. */
static void room_list(struct call *call)
{
    slice part, after;
    int64_t limit;
    uint8_t part_key[FOLD_KEY_BYTES_MAX], after_key[FOLD_KEY_BYTES_MAX], like[2 * FOLD_KEY_BYTES_MAX];
    if (!call_text_maybe(call, "name", 32, &part) || !call_text_maybe(call, "after", 32, &after) ||
        !call_number(call, "limit", 1, ROOMS_PAGE_MAX, ROOMS_PAGE_MAX, &limit))
        return;
    int part_len = part.len ? fold_name(part, part_key) : 0;
    int after_len = after.len ? fold_name(after, after_key) : 0;
    if (part_len < 0 || after_len < 0) {
        call_refuse(call, 400, "\"name\" and \"after\" must be (parts of) names of channels.");
        return;
    }
    const struct store_value values[] = {store_number(call->account), store_number(call->role >= ROLE_ADMIN),
                                         store_text(escaped(slice_of(part_key, (size_t)part_len), like)),
                                         store_text(slice_of(after_key, (size_t)after_len)),
                                         store_number(limit)};
    call_ask(call, &STORE_ROOMS_PAGE, values, 5, answer_list);
}

static void answer_mine(struct call *call, int result, const struct store_rows *rows)
{
    if (result)
        channel_failed(call, result);
    else
        call_answer(call, json_pack("{s:o}", "channels", channels_json(call->tracker, rows)));
}

static void room_mine(struct call *call)
{
    const struct store_value values[] = {store_number(call->account)};
    call_ask(call, &STORE_ROOMS_OF, values, 1, answer_mine);
}

/* --- joining and leaving --- */

static void joined(struct call *call, int result, const struct store_rows *rows)
{
    struct tracker *tracker = call->tracker;
    if (result == ERR_DENIED) {
        call_refuse(call, 403, "You are banned from this channel.");
    } else if (result == ERR_EXISTS) {
        call_refuse(call, 409, "You are in this channel already.");
    } else if (result == ERR_WRONG_STATE) {
        call_refuse(call, 403, "This channel takes who was invited, or has another password by now.");
    } else if (result == ERR_FULL) {
        call_refuse(call, 409, "You are in too many channels: leave one first.");
    } else if (result || rows->count == 0) {
        channel_failed(call, result ? result : ERR_NOT_FOUND);
    } else {
        bool in = store_at(rows, 0, ROOM_MY_STATE)->number == ROOM_MEMBER;
        json_t *room = channel_json(tracker, rows, 0);
        channel_tell(tracker, call->account, in ? "added" : "asked", json_pack("{s:O}", "channel", room));
        if (!in) channel_asked(tracker, store_at(rows, 0, ROOM_CHANNEL)->bytes.ptr, call->name);
        call_answer(call, json_pack("{s:o}", "channel", room));
        channels_due(tracker);
    }
}

static void join_now(struct call *call, slice secret)
{
    slice note;
    struct store_value base[3];
    if (!call_text_maybe(call, "note", NOTE_LETTERS_MAX, &note) || !channel_begin(call, base)) return;
    const struct store_value values[] = {
        base[0],          base[1],           base[2], store_number((int64_t)tracker_now_ms(call->tracker)),
        store_text(note), store_text(secret)};
    call_ask(call, &STORE_ROOM_JOIN, values, 6, joined);
}

/* The call's state while a password is checked: first the channel, as channel_begin has it. */
struct knocking {
    uint8_t channel[ID_BYTES];
    char secret[PASSWORD_HASH_BYTES];
};

static void verified(void *context, int result, slice unused)
{
    (void)unused;
    struct call *call = context;
    const struct knocking *k = call->state;
    if (result == ERR_AUTH)
        call_refuse(call, 403, "The password of this channel is another one.");
    else if (result)
        call_failed(call, result);
    else
        join_now(call, slice_text(k->secret));
}

static void door_seen(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_DENIED) {
        call_refuse(call, 403, "You are banned from this channel.");
        return;
    }
    if (result || rows->count == 0) {
        channel_failed(call, result ? result : ERR_NOT_FOUND);
        return;
    }
    if (store_at(rows, 0, 0)->number != ROOM_PASSWORD) {
        join_now(call, SLICE_EMPTY);
        return;
    }
    slice password, secret = store_at(rows, 0, 1)->bytes;
    struct knocking *k = call->state;
    if (!json_object_get(call->fields, "password")) {
        call_refuse(call, 403, "This channel has a password.");
        return;
    }
    if (!call_text(call, "password", 1, 200, &password)) return;
    uint64_t wait_ms = channel_knock(call);
    if (wait_ms) {
        call_refuse(call, 429, "Too many wrong passwords: wait a minute.");
        return;
    }
    memcpy(k->secret, secret.ptr, secret.len < sizeof k->secret ? secret.len : 0);
    int err =
        passwords_verify(&call->tracker->rooms->passwords, password, slice_text(k->secret), verified, call);
    if (err) call_failed(call, err);
}

void room_join(struct call *call)
{
    struct store_value values[3];
    call->state = calloc(1, sizeof(struct knocking));
    if (!call->state)
        call_failed(call, ERR_MEMORY);
    else if (channel_begin(call, values))
        call_ask(call, &STORE_ROOM_DOOR, values, 2, door_seen);
}

static void left(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_WRONG_STATE) {
        call_refuse(call, 409, "You are its last owner: hand it over to somebody, or close it.");
        return;
    }
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 404, "You are not in this channel.");
        return;
    }
    if (!result) channel_gone(call->tracker, call->account, call->state, "left");
    channel_decided(call, result, rows);
}

void room_leave(struct call *call)
{
    struct store_value values[3];
    if (channel_begin(call, values)) call_ask(call, &STORE_ROOM_LEAVE, values, 2, left);
}

/* --- what is said about it --- */

static void room_topic(struct call *call)
{
    struct store_value values[4];
    slice topic;
    if (!call_text(call, "topic", 0, TOPIC_LETTERS_MAX, &topic) || !channel_begin(call, values)) return;
    values[3] = store_text(topic);
    call_ask(call, &STORE_ROOM_TOPIC, values, 4, channel_decided);
}

static void renamed(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_WRONG_STATE)
        call_refuse(call, 409, "An open channel is found by its name and keeps it.");
    else
        channel_decided(call, result, rows);
}

static void room_rename(struct call *call)
{
    struct store_value values[5];
    uint8_t key[FOLD_KEY_BYTES_MAX];
    slice name;
    if (!call_text(call, "name", 1, 32, &name) || !channel_begin(call, values)) return;
    int len = channel_key(name, key);
    if (len < 0) {
        const char *problem = name_problem(name);
        call_refuse(call, 400, problem ? problem : "This name is not possible.");
        return;
    }
    values[3] = store_text(name);
    values[4] = store_text(slice_of(key, (size_t)len));
    call_ask(call, &STORE_ROOM_RENAME, values, 5, renamed);
}

static void room_slow(struct call *call)
{
    struct store_value values[4];
    int64_t seconds;
    if (!call_number(call, "seconds", 0, SLOW_S_MAX, -1, &seconds)) return;
    if (seconds < 0) {
        call_refuse(call, 400, "\"seconds\" must be a number from 0 to 21600.");
        return;
    }
    if (!channel_begin(call, values)) return;
    values[3] = store_number(seconds);
    call_ask(call, &STORE_ROOM_SLOW, values, 4, channel_decided);
}

struct changing {
    uint8_t channel[ID_BYTES];
    int policy;
};

static void change_policy(struct call *call, slice secret)
{
    const struct changing *c = call->state;
    struct store_value values[5];
    int policy = c->policy;
    if (!channel_begin(call, values)) return;
    values[3] = store_number(policy);
    values[4] = store_text(secret);
    call_ask(call, &STORE_ROOM_POLICY, values, 5, channel_done);
}

static void policy_hashed(void *context, int result, slice hash)
{
    struct call *call = context;
    if (result)
        call_failed(call, result);
    else
        change_policy(call, hash);
}

static void room_policy(struct call *call)
{
    slice policy, password;
    struct changing *c = calloc(1, sizeof *c);
    call->state = c;
    if (!c) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    if (!call_text(call, "policy", 1, 16, &policy)) return;
    c->policy = place_in(policy_names, 4, policy);
    if (c->policy <= ROOM_OPEN) {
        call_refuse(call, 400, "\"policy\" must be password, invite or approval.");
        return;
    }
    if (c->policy != ROOM_PASSWORD) {
        change_policy(call, SLICE_EMPTY);
        return;
    }
    if (!call_text(call, "password", 4, 200, &password) || !may_lock(call)) return;
    int err = passwords_hash(&call->tracker->rooms->passwords, password, policy_hashed, call);
    if (err) call_failed(call, err);
}

static void closed(struct call *call, int result, const struct store_rows *rows)
{
    for (size_t i = 0; !result && i < rows->count; i++)
        channel_gone(call->tracker, store_at(rows, i, 0)->number, call->state, "closed");
    channel_decided(call, result, rows);
}

static void room_close(struct call *call)
{
    struct store_value values[4];
    if (!channel_begin(call, values)) return;
    values[3] = store_number((int64_t)tracker_now_ms(call->tracker));
    call_ask(call, &STORE_ROOM_CLOSE, values, 4, closed);
}

const struct call_row channel_calls[] = {
    {"channel-create", room_create, CALL_PERSON},
    {"channel-list", room_list, CALL_PERSON},
    {"channel-mine", room_mine, CALL_PERSON},
    {"channel-find", room_find, CALL_PERSON},
    {"channel-join", room_join, CALL_PERSON},
    {"channel-leave", room_leave, CALL_PERSON},
    {"channel-topic", room_topic, CALL_PERSON},
    {"channel-rename", room_rename, CALL_PERSON},
    {"channel-policy", room_policy, CALL_PERSON},
    {"channel-slow", room_slow, CALL_PERSON},
    {"channel-close", room_close, CALL_PERSON},
    {"channel-members", room_members, CALL_PERSON},
    {"channel-devices", room_devices, CALL_PERSON},
    {"channel-role", room_role, CALL_PERSON},
    {"channel-hand-over", room_hand_over, CALL_PERSON},
    {"channel-kick", room_kick, CALL_PERSON},
    {"channel-ban", room_ban, CALL_PERSON},
    {"channel-unban", room_unban, CALL_PERSON},
    {"channel-mute", room_mute, CALL_PERSON},
    {"channel-unmute", room_unmute, CALL_PERSON},
    {"channel-approve", room_approve, CALL_PERSON},
    {"channel-refuse", room_refuse, CALL_PERSON},
    {"channel-hide", room_hide, CALL_PERSON},
    {"channel-show", room_show, CALL_PERSON},
    {"channel-invite", room_invite_create, CALL_PERSON},
    {"channel-invites", room_invite_list, CALL_PERSON},
    {"channel-invite-revoke", room_invite_revoke, CALL_PERSON},
    {"channel-invite-look", room_invite_look, CALL_PERSON},
    {"history", room_history, CALL_PERSON},
    {"search", room_search, CALL_PERSON},
    {"unread", room_unread, CALL_PERSON},
    {"mark-read", room_mark_read, CALL_PERSON},
    {"mentions", room_mentions, CALL_PERSON},
    {"keep-conversations", room_keep, CALL_PERSON},
    {"mentions-seen", room_mentions_seen, CALL_PERSON},
    {"channel-redeem", room_invite_redeem, CALL_PERSON},
    {0},
};
