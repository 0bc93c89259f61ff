#include "tracker/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"
#include "tracker/person.h"
#include "tracker/push.h"
#include "tracker/socket.h"

#define KNOCKS 4096
/* Passwords that may be tried at once, and one more every ... seconds. */
#define KNOCK_BURST 10.0
#define KNOCK_S 30.0

/* --- start and end --- */

static void reader_woke(uv_async_t *async)
{
    struct channels *c = async->data;
    if (c->reader) store_complete(c->reader);
}

static void wake_reader(void *context)
{
    uv_async_send(&((struct channels *)context)->reader_wake);
}

static int open_reader(struct tracker *tracker, struct channels *c)
{
    char why[STORE_WHY_BYTES];
    struct store_options options = {.path = tracker->config.database, .wake = wake_reader, .wake_context = c};
    int err = store_open(&options, &c->reader, why);
    return err ? err : store_start(c->reader);
}

static int open_rooms(struct tracker *tracker, struct channels *c)
{
    struct rate rate = {1 / KNOCK_S, KNOCK_BURST};
    int err = rates_init(&c->knocks, &allocator_libc, KNOCKS, rate, c->secret);
    if (err) return err;
    c->tracker = tracker;
    passwords_init(&c->passwords, tracker->loop);
    c->passwords.running_max = 1;
    if (uv_async_init(tracker->loop, &c->reader_wake, reader_woke)) {
        rates_deinit(&c->knocks);
        return ERR_MEMORY;
    }
    uv_timer_init(tracker->loop, &c->timer);
    uv_timer_init(tracker->loop, &c->index_timer);
    uv_timer_init(tracker->loop, &c->keep_timer);
    c->timer.data = c->index_timer.data = c->keep_timer.data = c->reader_wake.data = c;
    return OK;
}

int channels_open(struct tracker *tracker)
{
    struct channels *c = calloc(1, sizeof *c);
    if (!c) return ERR_MEMORY;
    crypto_native_random(c->secret, sizeof c->secret);
    int err = open_rooms(tracker, c);
    if (err) {
        free(c);
        return err;
    }
    tracker->rooms = c; /* channels_close frees it */
    err = open_reader(tracker, c);
    if (err) return err;
    for (size_t i = 0; i < tracker->channel_count; i++) {
        const struct hosted *hosted = &tracker->channels[i];
        uint8_t key[FOLD_KEY_BYTES_MAX];
        int len = channel_key(hosted->name, key);
        /* An older database may have a name that is not possible any more: found by its id only. */
        const struct store_value values[] = {store_id(hosted->id), store_text(hosted->name),
                                             len < 0 ? store_text(hosted->name)
                                                     : store_text(slice_of(key, (size_t)len)),
                                             store_number((int64_t)tracker_now_ms(tracker))};
        err = store_ask_now(tracker->store, &STORE_ROOM_HOST, values, 4, NULL, NULL);
        if (err) return err;
    }
    return OK;
}

static void try_again(uv_timer_t *timer)
{
    channel_orders_run(((struct channels *)timer->data)->tracker);
}

/* The name under which the tracker's own device writes. No account has it: names have no spaces. */
#define TRACKER_ACCOUNT "the tracker"
#define TRACKER_LIFE_S ((uint64_t)50 * 365 * 86400)

static int certify_self(struct tracker *tracker)
{
    uint64_t now_s = tracker_now_ms(tracker) / 1000;
    struct certificate fields = {.account = SLICE(TRACKER_ACCOUNT),
                                 .device = tracker->device,
                                 .authority = tracker->device,
                                 .issued_s = now_s,
                                 .expires_s = now_s + TRACKER_LIFE_S};
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    int len = certificate_write(crypto_native(), &fields, tracker->seed, certificate, sizeof certificate);
    if (len < 0) return len;
    struct command command = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, (size_t)len)};
    return (int)node_command(tracker->node, &command, tracker_now_us(tracker));
}

void channels_start(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    if (certify_self(tracker))
        tracker_log_some(tracker, LOG_REPLICA,
                         "the tracker's device has no certificate: channels cannot be moderated");
    channel_orders_start(tracker);
    uv_timer_start(&c->timer, try_again, 0, 1000);
    c->index_known = c->indexing = false;
    channel_index_start(tracker);
    channel_keep_start(tracker);
}

void channels_stop(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    if (!c) return;
    passwords_stop(&c->passwords);
    while (passwords_running(&c->passwords))
        uv_run(tracker->loop, UV_RUN_ONCE);
    store_close(c->reader);
    c->reader = NULL;
}

static void handle_closed(uv_handle_t *handle)
{
    struct channels *c = handle->data;
    if (--c->closing == 0) free(c);
}

void channels_close(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    tracker->rooms = NULL;
    if (!c) return;
    rates_deinit(&c->knocks);
    c->closing = 4;
    uv_close((uv_handle_t *)&c->keep_timer, handle_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
    uv_close((uv_handle_t *)&c->index_timer, handle_closed);
    uv_close((uv_handle_t *)&c->reader_wake, handle_closed);
}

/* --- reading --- */

static void read_done(void *context, int result, const struct store_rows *rows)
{
    struct call *call = context;
    call->asked(call, result, rows);
}

void channel_read(struct call *call, const struct store_operation *operation,
                  const struct store_value *values, size_t count, call_asked *asked)
{
    call->asked = asked;
    int err = store_ask(call->tracker->rooms->reader, operation, values, count, read_done, call);
    if (err) call_failed(call, err);
}

/* --- the welcome --- */

struct greeting {
    struct tracker *tracker;
    uint32_t client;
    json_t *welcome;
};

static void greet(void *context, int result, const struct store_rows *rows)
{
    struct greeting *g = context;
    struct client *client = handles_get(&g->tracker->clients, g->client);
    if (client && client->phase == CLIENT_GREETED && !result) {
        json_object_set_new(g->welcome, "channels", channels_json(g->tracker, rows));
        client_send(client, json_incref(g->welcome));
    } else if (client && client->phase != CLIENT_LEAVING) {
        tracker_log_some(g->tracker, LOG_STORE, "nobody was welcomed: %s", err_text(result));
        client_goodbye(client, "busy", "The server is busy: try again in a few seconds.",
                       WR_CLOSE_GOING_AWAY);
    }
    json_decref(g->welcome);
    free(g);
}

void channels_welcome(struct client *client, json_t *welcome)
{
    struct greeting *g = welcome ? calloc(1, sizeof *g) : NULL;
    struct store *reader = client->tracker->rooms->reader;
    int err = !reader ? ERR_CLOSED : g ? OK : ERR_MEMORY;
    if (!err) {
        *g = (struct greeting){client->tracker, client->number, welcome};
        const struct store_value values[] = {store_number(client->account)};
        err = store_ask(reader, &STORE_ROOMS_OF, values, 1, greet, g);
    }
    if (!err) return;
    free(g);
    json_decref(welcome);
    client_goodbye(client, "busy", "The server is busy: try again in a few seconds.", WR_CLOSE_GOING_AWAY);
}

/* --- news --- */

void channel_tell(struct tracker *tracker, int64_t account, const char *change, json_t *more)
{
    json_t *news = json_pack("{s:s,s:s}", "type", "channel", "change", change);
    if (news && more) json_object_update(news, more);
    json_decref(more);
    push_account(tracker, account, news);
    /* Who shares a channel sees each other. */
    if (strcmp(change, "added") == 0 || strcmp(change, "removed") == 0) people_changed(tracker, account);
}

void channel_gone(struct tracker *tracker, int64_t account, const uint8_t channel[ID_BYTES], const char *why)
{
    char id[ID_TEXT_BYTES];
    hex_encode(slice_of(channel, ID_BYTES), id);
    channel_tell(tracker, account, "removed", json_pack("{s:s,s:s}", "id", id, "why", why));
}

struct refreshing {
    struct tracker *tracker;
    int64_t account;
    const char *change;
    uint8_t channel[ID_BYTES];
    char *by; /* who asks to join */
};

static void refreshed(void *context, int result, const struct store_rows *rows)
{
    struct refreshing *r = context;
    if (!result && rows->count)
        channel_tell(r->tracker, r->account, r->change,
                     json_pack("{s:o}", "channel", channel_json(r->tracker, rows, 0)));
    free(r);
}

void channel_refresh(struct tracker *tracker, int64_t account, const uint8_t channel[ID_BYTES],
                     const char *change)
{
    struct refreshing *r = calloc(1, sizeof *r);
    if (!r) return; /* the devices see it when they ask the next time */
    *r = (struct refreshing){.tracker = tracker, .account = account, .change = change};
    memcpy(r->channel, channel, ID_BYTES);
    const struct store_value values[] = {store_id(r->channel), store_number(account), store_number(0)};
    if (store_ask(tracker->store, &STORE_ROOM_GET, values, 3, refreshed, r)) free(r);
}

static void moderators_found(void *context, int result, const struct store_rows *rows)
{
    struct refreshing *r = context;
    char id[ID_TEXT_BYTES];
    hex_encode(slice_of(r->channel, ID_BYTES), id);
    for (size_t i = 0; !result && i < rows->count; i++)
        channel_tell(r->tracker, store_at(rows, i, 0)->number, "asks",
                     json_pack("{s:s,s:s}", "id", id, "account", r->by));
    free(r->by);
    free(r);
}

void channel_asked(struct tracker *tracker, const uint8_t channel[ID_BYTES], const char *account)
{
    struct refreshing *r = calloc(1, sizeof *r);
    char *by = r ? strdup(account) : NULL;
    int err = by ? OK : ERR_MEMORY;
    if (by) {
        *r = (struct refreshing){.tracker = tracker, .by = by};
        memcpy(r->channel, channel, ID_BYTES);
        const struct store_value values[] = {store_id(channel), store_number(ROOM_MODERATOR)};
        err = store_ask(tracker->store, &STORE_ROOM_ACCOUNTS, values, 2, moderators_found, r);
    }
    if (err) {
        free(by);
        free(r);
    }
}

/* --- who may what --- */

static uint64_t key_of(const struct channels *c, const uint8_t *channel, int64_t account)
{
    uint8_t both[ID_BYTES + 8];
    memcpy(both, channel, ID_BYTES);
    memcpy(both + ID_BYTES, &account, 8);
    return rates_key(&c->knocks, slice_of(both, sizeof both));
}

uint64_t channel_knock(struct call *call)
{
    struct channels *c = call->tracker->rooms;
    uint64_t now_ms = tracker_now_ms(call->tracker), key = key_of(c, call->state, call->account);
    uint64_t wait_ms = rates_wait_ms(&c->knocks, key, now_ms);
    if (!wait_ms) rates_take(&c->knocks, key, 1, now_ms);
    return wait_ms;
}

uint64_t channel_lock(struct call *call)
{
    static const uint8_t all[ID_BYTES];
    struct channels *c = call->tracker->rooms;
    uint64_t now_ms = tracker_now_ms(call->tracker), key = key_of(c, all, call->account);
    uint64_t wait_ms = rates_wait_ms(&c->knocks, key, now_ms);
    if (!wait_ms) rates_take(&c->knocks, key, 1, now_ms);
    return wait_ms;
}

struct judging {
    struct tracker *tracker;
    int64_t account;
    uint8_t channel[ID_BYTES];
    channel_verdict *done;
    void *context;
};

/* Milliseconds until this account may write again; 0: now, and it counts. */
static uint64_t slow_wait(struct tracker *tracker, const struct judging *j, int64_t slow_s)
{
    struct channels *c = tracker->rooms;
    uint64_t now_ms = tracker_now_ms(tracker), key = key_of(c, j->channel, j->account);
    size_t at = key % SLOW_SLOTS;
    uint64_t next_ms = c->slow[at].key == key ? c->slow[at].at_ms + 1000 * (uint64_t)slow_s : 0;
    if (next_ms > now_ms) return next_ms - now_ms;
    c->slow[at].key = key;
    c->slow[at].at_ms = now_ms;
    return 0;
}

static void judged(void *context, int result, const struct store_rows *rows)
{
    struct judging *j = context;
    const char *why = NULL;
    uint64_t wait_ms = 0;
    if (!result && rows->count == 0) result = ERR_NOT_FOUND;
    if (!result) {
        const struct store_value *v = store_at(rows, 0, 0);
        int64_t muted_until_ms = v[2].number, now_ms = (int64_t)tracker_now_ms(j->tracker);
        bool member = v[0].type == STORE_NUMBER && v[0].number == ROOM_MEMBER;
        if (v[5].number)
            why = "This channel was closed.";
        else if (v[0].type == STORE_NUMBER && v[0].number == ROOM_BANNED)
            why = "You are banned from this channel.";
        else if (!member)
            why = "You are not in this channel.";
        else if (muted_until_ms > now_ms)
            why = "A moderator has muted you in this channel.";
        if (why) {
            result = ERR_DENIED;
            wait_ms = member ? (uint64_t)(muted_until_ms - now_ms) : 0;
        } else if (v[3].number && v[1].number < ROOM_MODERATOR) {
            wait_ms = slow_wait(j->tracker, j, v[3].number);
            if (wait_ms) {
                result = ERR_BUSY;
                why = "This channel is in slow mode: wait a moment.";
            }
        }
    }
    j->done(j->context, result, why, wait_ms);
    free(j);
}

void channel_may_write(struct tracker *tracker, const uint8_t channel[ID_BYTES], int64_t account,
                       channel_verdict *done, void *context)
{
    struct judging *j = calloc(1, sizeof *j);
    int err = j ? OK : ERR_MEMORY;
    if (j) {
        *j = (struct judging){.tracker = tracker, .account = account, .done = done, .context = context};
        memcpy(j->channel, channel, ID_BYTES);
        const struct store_value values[] = {store_id(j->channel), store_number(account)};
        err = store_ask(tracker->store, &STORE_ROOM_MAY, values, 2, judged, j);
    }
    if (err) {
        free(j);
        done(context, err, NULL, 0);
    }
}

void channel_join_open(struct tracker *tracker, const uint8_t channel[ID_BYTES], int64_t account,
                       store_asked *done, void *context)
{
    const struct store_value values[] = {
        store_id(channel),       store_number(account),
        store_number(0),         store_number((int64_t)tracker_now_ms(tracker)),
        store_text(SLICE_EMPTY), store_text(SLICE_EMPTY)};
    int err = store_ask(tracker->store, &STORE_ROOM_JOIN, values, 6, done, context);
    if (err) done(context, err, &(struct store_rows){0});
}
