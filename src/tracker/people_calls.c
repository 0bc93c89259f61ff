/* Friends, who is blocked, and whose devices are whose. What is asked for goes to the store; when it has been
 * done both sides are told at once. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "store/people_sql.h"
#include "tracker/call.h"
#include "tracker/ice.h"
#include "tracker/presence.h"
#include "tracker/push.h"
#include "tracker/reach.h"

#define LINE_LETTERS_MAX 140
#define DEVICES_AT_ONCE 50

static const char *const state_names[] = {[PEOPLE_NONE] = "none",
                                          [PEOPLE_ASKED] = "asked",
                                          [PEOPLE_FRIEND] = "friend",
                                          [PEOPLE_BLOCKED] = "blocked",
                                          [PEOPLE_ASKING] = "asking"};

/* How it stands between two accounts, as one of them sees the other. */
static json_t *standing(slice name, enum people_kind kind, slice line, int64_t since_ms)
{
    return json_pack("{s:s%,s:s,s:s%,s:I}", "account", (const char *)name.ptr, name.len, "state",
                     state_names[kind], "line", line.len ? (const char *)line.ptr : "", line.len, "since_ms",
                     (json_int_t)since_ms);
}

static void tell(struct tracker *tracker, int64_t account, slice name, enum people_kind kind, slice line)
{
    json_t *news = standing(name, kind, line, (int64_t)tracker_now_ms(tracker));
    if (news) json_object_set_new(news, "type", json_string("friend"));
    push_account(tracker, account, news);
}

/* Both are told how it stands now (`told`: the other one, too), and see each other or not any more. */
static void tell_both(struct call *call, const struct store_rows *rows, enum people_kind mine,
                      enum people_kind theirs, bool told, slice line)
{
    int64_t other = store_at(rows, 0, 0)->number;
    tell(call->tracker, call->account, store_at(rows, 0, 1)->bytes, mine,
         mine == PEOPLE_ASKED ? line : SLICE_EMPTY);
    if (told) tell(call->tracker, other, slice_text(call->name), theirs, line);
    people_changed(call->tracker, call->account);
    people_changed(call->tracker, other);
}

static void answer_state(struct call *call, const struct store_rows *rows, enum people_kind kind)
{
    slice name = store_at(rows, 0, 1)->bytes;
    call_answer(call, json_pack("{s:s%,s:s}", "account", (const char *)name.ptr, name.len, "state",
                                state_names[kind]));
}

/* The operation did not come to its end: true when that was said. */
static bool refused(struct call *call, int result, const struct store_rows *rows, const char *missing)
{
    if (!result && rows->count == 1) return false;
    if (!result || result == ERR_NOT_FOUND)
        call_refuse(call, 404, missing);
    else
        call_failed(call, result);
    return true;
}

static const char nobody[] = "There is nobody else of this name here.";
static const char no_request[] = "There is no request of this account.";

/* --- asking and answering --- */

static void asked(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_EXISTS) {
        call_refuse(call, 409, "You are friends already.");
    } else if (result == ERR_DENIED) {
        call_refuse(call, 409, "You have blocked this account: unblock it first.");
    } else if (result == ERR_FULL) {
        call_refuse(call, 409, "One of you has too many friends or open requests.");
    } else if (!refused(call, result, rows, nobody)) {
        slice line;
        enum people_kind mine = (enum people_kind)store_at(rows, 0, 2)->number;
        bool told = store_at(rows, 0, 4)->number;
        call_text_maybe(call, "line", LINE_LETTERS_MAX, &line);
        if (told)
            tell_both(call, rows, mine, mine == PEOPLE_FRIEND ? PEOPLE_FRIEND : PEOPLE_ASKING, true, line);
        answer_state(call, rows, mine);
    }
}

static void friend_ask(struct call *call)
{
    uint8_t room[FOLD_KEY_BYTES_MAX];
    slice key, line;
    if (!call_account_key(call, "account", room, &key) ||
        !call_text_maybe(call, "line", LINE_LETTERS_MAX, &line))
        return;
    const struct store_value values[] = {store_number(call->account), store_text(key), store_text(line),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &PEOPLE_ASK, values, 4, asked);
}

/* (account, key, now): what the other operations take; those that need no time leave it out. */
static void ask_about(struct call *call, const struct store_operation *operation, call_asked *done)
{
    uint8_t room[FOLD_KEY_BYTES_MAX];
    slice key;
    if (!call_account_key(call, "account", room, &key)) return;
    const struct store_value values[] = {store_number(call->account), store_text(key),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, operation, values, operation->values, done);
}

static void accepted(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_FULL) {
        call_refuse(call, 409, "One of you has too many friends.");
    } else if (!refused(call, result, rows, no_request)) {
        tell_both(call, rows, PEOPLE_FRIEND, PEOPLE_FRIEND, true, SLICE_EMPTY);
        answer_state(call, rows, PEOPLE_FRIEND);
    }
}

static void friend_accept(struct call *call)
{
    ask_about(call, &PEOPLE_ACCEPT, accepted);
}

static void declined(struct call *call, int result, const struct store_rows *rows)
{
    if (refused(call, result, rows, no_request)) return;
    tell_both(call, rows, PEOPLE_NONE, PEOPLE_NONE, true, SLICE_EMPTY);
    answer_state(call, rows, PEOPLE_NONE);
}

static void friend_decline(struct call *call)
{
    ask_about(call, &PEOPLE_DECLINE, declined);
}

static void removed(struct call *call, int result, const struct store_rows *rows)
{
    if (refused(call, result, rows, "You are no friends, and have not asked.")) return;
    tell_both(call, rows, PEOPLE_NONE, PEOPLE_NONE, store_at(rows, 0, 2)->number, SLICE_EMPTY);
    answer_state(call, rows, PEOPLE_NONE);
}

static void friend_remove(struct call *call)
{
    ask_about(call, &PEOPLE_REMOVE, removed);
}

/* --- blocking: the other side is told no more than that a friendship has ended --- */

static void blocked(struct call *call, int result, const struct store_rows *rows)
{
    if (result == ERR_FULL) {
        call_refuse(call, 409, "You have blocked too many accounts: unblock some.");
    } else if (!refused(call, result, rows, nobody)) {
        tell_both(call, rows, PEOPLE_BLOCKED, PEOPLE_NONE, store_at(rows, 0, 2)->number, SLICE_EMPTY);
        answer_state(call, rows, PEOPLE_BLOCKED);
    }
}

static void block(struct call *call)
{
    ask_about(call, &PEOPLE_BLOCK, blocked);
}

static void unblocked(struct call *call, int result, const struct store_rows *rows)
{
    if (refused(call, result, rows, "This account is not blocked.")) return;
    tell_both(call, rows, PEOPLE_NONE, PEOPLE_NONE, false, SLICE_EMPTY);
    answer_state(call, rows, PEOPLE_NONE);
}

static void unblock(struct call *call)
{
    ask_about(call, &PEOPLE_UNBLOCK, unblocked);
}

/* --- looking --- */

/* How a friend is; who has just left may not be in the database yet. */
static void add_presence(struct tracker *tracker, const struct person *viewer, int64_t account,
                         int64_t seen_ms, json_t *row)
{
    const struct person *person = person_find(tracker, account);
    json_t *presence = presence_of_account(tracker, viewer, account);
    if (person && person->seen_due && (int64_t)person->seen_ms > seen_ms) seen_ms = (int64_t)person->seen_ms;
    if (presence) json_object_update(row, presence);
    json_object_set_new(row, "seen_ms", json_integer((json_int_t)seen_ms));
    json_decref(presence);
}

static json_t *friends_of(struct tracker *tracker, int64_t account, const struct store_rows *rows)
{
    const struct person *viewer = person_find(tracker, account);
    json_t *friends = json_array();
    for (size_t i = 0; i < rows->count; i++) {
        json_t *row = standing(store_at(rows, i, 1)->bytes, (enum people_kind)store_at(rows, i, 2)->number,
                               store_at(rows, i, 3)->bytes, store_at(rows, i, 4)->number);
        if (row && store_at(rows, i, 2)->number == PEOPLE_FRIEND)
            add_presence(tracker, viewer, store_at(rows, i, 0)->number, store_at(rows, i, 5)->number, row);
        json_array_append_new(friends, row);
    }
    return friends;
}

static void listed(struct call *call, int result, const struct store_rows *rows)
{
    if (result)
        call_failed(call, result);
    else
        call_answer(call, json_pack("{s:o}", "friends", friends_of(call->tracker, call->account, rows)));
}

static void list_friends(struct call *call)
{
    const struct store_value values[] = {store_number(call->account)};
    call_ask(call, &PEOPLE_LIST, values, 1, listed);
}

/* --- the answer to a login --- */

struct greeting {
    struct tracker *tracker;
    int64_t account;
    account_greeted *done;
    void *token;
};

static void greeted(void *context, int result, const struct store_rows *rows)
{
    struct greeting *greeting = context;
    greeting->done(greeting->token, result
                                        ? NULL
                                        : json_pack("{s:o}", "friends",
                                                    friends_of(greeting->tracker, greeting->account, rows)));
    free(greeting);
}

/* Without friends one is logged in all the same. */
void people_greet(void *context, int64_t account, account_greeted *done, void *token)
{
    struct tracker *tracker = context;
    const struct store_value values[] = {store_number(account)};
    struct greeting *greeting = malloc(sizeof *greeting);
    if (greeting) {
        *greeting = (struct greeting){tracker, account, done, token};
        if (!store_ask(tracker->store, &PEOPLE_LIST, values, 1, greeted, greeting)) return;
    }
    free(greeting);
    done(token, NULL);
}

static void found_devices(struct call *call, int result, const struct store_rows *rows)
{
    if (result) {
        if (result == ERR_NOT_FOUND)
            call_refuse(call, 404, "There is nobody of this name here.");
        else
            call_failed(call, result);
        return;
    }
    json_t *devices = json_array();
    size_t count = rows->count < DEVICES_AT_ONCE ? rows->count : DEVICES_AT_ONCE;
    for (size_t i = 0; i < count; i++) {
        slice device = store_at(rows, i, 0)->bytes, certificate = store_at(rows, i, 1)->bytes;
        char id[ID_TEXT_BYTES], text[2 * NODE_CERTIFICATE_BYTES_MAX + 1];
        if (device.len != ID_BYTES || certificate.len > NODE_CERTIFICATE_BYTES_MAX) continue;
        hex_encode(device, id);
        hex_encode(certificate, text);
        json_array_append_new(devices, json_pack("{s:s,s:s,s:I}", "device", id, "certificate", text,
                                                 "expires_ms", (json_int_t)store_at(rows, i, 2)->number));
    }
    call_answer(call, json_pack("{s:o,s:b}", "devices", devices, "more", rows->count > count));
}

static void devices_of(struct call *call)
{
    uint8_t room[FOLD_KEY_BYTES_MAX], after[ID_BYTES];
    slice key;
    bool from = json_object_get(call->fields, "after") != NULL;
    if (!call_account_key(call, "account", room, &key) || (from && !call_id(call, "after", after))) return;
    const struct store_value values[] = {
        store_number(call->account), store_text(key), store_bytes(after, from ? ID_BYTES : 0),
        store_number((int64_t)tracker_now_ms(call->tracker)), store_number(DEVICES_AT_ONCE + 1)};
    call_ask(call, &PEOPLE_DEVICES, values, 5, found_devices);
}

/* --- who is here --- */

#define PAGE_MAX 100

/* A call that needs to know what the person who asks may see. */
struct look {
    struct call *call;
    struct person *person;
    void (*run)(struct call *call, const struct person *person);
};

static void looked(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct look look = *(struct look *)context;
    struct tracker *tracker = look.call->tracker;
    free(context);
    if (result)
        call_failed(look.call, result);
    else if (!look.person->loaded)
        call_refuse(look.call, 503, "The server is busy: try again in a few seconds.");
    else
        look.run(look.call, look.person);
    person_release(tracker, look.person);
}

/* Who is not here is read from the database first: what is asked after that is answered after that. */
static void look_with(struct call *call, void (*run)(struct call *call, const struct person *person))
{
    struct person *person = person_hold(call->tracker, call->account, slice_text(call->name));
    struct look *look = person ? malloc(sizeof *look) : NULL;
    int err = look ? OK : ERR_MEMORY;
    if (look) {
        const struct store_value values[] = {store_number(call->account), store_text(SLICE_EMPTY)};
        *look = (struct look){call, person, run};
        if (person->loaded)
            looked(look, OK, NULL);
        else
            err = store_ask(call->tracker->store, &PEOPLE_FIND, values, 2, looked, look);
    }
    if (!err) return;
    free(look);
    if (person) person_release(call->tracker, person);
    call_failed(call, err);
}

/* The group of the field channel; else the call has been refused. */
static const struct group *group_of_call(struct call *call, const struct person *person)
{
    uint8_t channel[ID_BYTES];
    if (!call_id(call, "channel", channel)) return NULL;
    const struct group *group = person_group(person, channel);
    if (!group) call_refuse(call, 404, "You are in no such channel.");
    return group;
}

static void show_page(struct call *call, const struct person *person)
{
    int64_t after, limit;
    if (!call_number(call, "after", 0, INT64_MAX, 0, &after) ||
        !call_number(call, "limit", 1, PAGE_MAX, PAGE_MAX, &limit))
        return;
    const struct group *group = group_of_call(call, person);
    if (!group) return;
    json_t *people = presence_page(person, group, (size_t)limit, &after);
    call_answer(call, json_pack("{s:i,s:o,s:I}", "online", (int)presence_count(group), "people", people,
                                "next", (json_int_t)after));
}

static void online(struct call *call)
{
    look_with(call, show_page);
}

static void show_some(struct call *call, const struct person *person)
{
    const struct group *group = group_of_call(call, person);
    if (group) call_answer(call, presence_introduction(person, group));
}

static void introduce(struct call *call)
{
    look_with(call, show_some);
}

static void hidden(struct call *call, int result, const struct store_rows *rows)
{
    if (!result) people_changed(call->tracker, call->account);
    call_done(call, result, rows);
}

static void show_invisible(struct call *call, const struct person *person)
{
    call_answer(call, json_pack("{s:b}", "on", person->invisible));
}

static void invisible(struct call *call)
{
    bool on;
    if (!json_object_get(call->fields, "on")) {
        look_with(call, show_invisible);
        return;
    }
    if (!call_flag(call, "on", &on)) return;
    const struct store_value values[] = {store_number(call->account), store_number(on),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &PEOPLE_INVISIBLE, values, 3, hidden);
}

/* --- conversations: both want to be seen by each other --- */

static void talked(struct call *call, int result, const struct store_rows *rows)
{
    bool open = false;
    if (refused(call, result, rows, nobody)) return;
    int64_t other = store_at(rows, 0, 0)->number;
    if (!call_flag(call, "open", &open)) return;
    struct person *person = person_find(call->tracker, call->account);
    if (!person) { /* its socket has gone meanwhile */
        call_failed(call, ERR_CLOSED);
        return;
    }
    int err = presence_talk(call->tracker, person, other, open);
    if (err == ERR_FULL)
        call_refuse(call, 409, "Too many conversations are open.");
    else if (err)
        call_failed(call, err);
    else
        call_answer(call, NULL);
}

static void session(struct call *call)
{
    bool open;
    if (call_flag(call, "open", &open)) ask_about(call, &PEOPLE_FIND, talked);
}

const struct call_row people_calls[] = {
    {"friends", list_friends, CALL_PERSON},
    {"friend-ask", friend_ask, CALL_PERSON},
    {"friend-accept", friend_accept, CALL_PERSON},
    {"friend-decline", friend_decline, CALL_PERSON},
    {"friend-remove", friend_remove, CALL_PERSON},
    {"block", block, CALL_PERSON},
    {"unblock", unblock, CALL_PERSON},
    {"devices-of", devices_of, CALL_PERSON},
    {"online", online, CALL_PERSON},
    {"introduce", introduce, CALL_PERSON},
    {"invisible", invisible, CALL_PERSON},
    {"session", session, CALL_DEVICE},
    {"ice-servers", ice_call, CALL_PERSON},
    {0},
};
