#include "tracker/push.h"

#include <stdlib.h>

#include "base/cbor.h"
#include "bus/bus.h"
#include "tracker/peers.h"
#include "tracker/presence.h"

enum { TOLD_ACCOUNTS_MAX = 1000 }; /* in one message to the other processes */

/* What push_here is given, as a message: whether it is for all, the accounts, the JSON. */
static void tell_others(struct tracker *tracker, const int64_t *accounts, size_t count, bool all, slice text)
{
    size_t room = 32 + 9 * count + text.len;
    uint8_t *bytes = room <= BUS_MESSAGE_BYTES_MAX ? malloc(room) : NULL;
    if (!bytes) {
        tracker_log_some(tracker, LOG_PEERS, "news did not reach the other processes");
        return;
    }
    struct writer w = writer_of(bytes, room);
    cbor_put_array(&w, 3);
    cbor_put_uint(&w, all);
    cbor_put_array(&w, count);
    for (size_t i = 0; i < count; i++)
        cbor_put_uint(&w, (uint64_t)accounts[i]);
    cbor_put_bytes(&w, text);
    peers_publish(tracker, PEERS_PUSH, writer_slice(&w));
    free(bytes);
}

static void push_here(struct tracker *tracker, const int64_t *accounts, size_t count, bool all, slice text)
{
    struct person *person = NULL;
    for (size_t at = 0; all && (person = person_next(tracker, &at, person));)
        presence_tell(tracker, person, (const char *)text.ptr, text.len);
    for (size_t i = 0; !all && i < count; i++) {
        person = person_find(tracker, accounts[i]);
        if (person) presence_tell(tracker, person, (const char *)text.ptr, text.len);
    }
}

void push_from_peer(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)peer;
    struct cbor_reader r = {message, false};
    int64_t accounts[TOLD_ACCOUNTS_MAX];
    if (cbor_array(&r, 16) < 3) return;
    bool all = cbor_uint(&r, 1);
    size_t count = cbor_array(&r, TOLD_ACCOUNTS_MAX);
    for (size_t i = 0; i < count; i++)
        accounts[i] = (int64_t)cbor_uint(&r, INT64_MAX);
    slice text = cbor_bytes(&r, BUS_MESSAGE_BYTES_MAX);
    if (!r.failed) push_here(tracker, accounts, count, all, text);
}

static void push_some(struct tracker *tracker, const int64_t *accounts, size_t count, bool all, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    for (size_t from = 0; text && tracker->bus && (from < count || (all && !from));
         from += TOLD_ACCOUNTS_MAX) {
        size_t some = count - from < TOLD_ACCOUNTS_MAX ? count - from : TOLD_ACCOUNTS_MAX;
        tell_others(tracker, accounts ? accounts + from : NULL, some, all, slice_text(text));
    }
    if (text) push_here(tracker, accounts, count, all, slice_text(text));
    free(text);
    json_decref(json);
}

void push_account(struct tracker *tracker, int64_t account, json_t *json)
{
    push_some(tracker, &account, 1, false, json);
}

void push_accounts(struct tracker *tracker, const int64_t *accounts, size_t count, json_t *json)
{
    push_some(tracker, accounts, count, false, json);
}

void push_everybody(struct tracker *tracker, json_t *json)
{
    push_some(tracker, NULL, 0, true, json);
}
