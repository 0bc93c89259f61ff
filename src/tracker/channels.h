/* channels.h - rooms: channels that have a name at this tracker, with people, roles and rules. What the other
 * parts of the tracker use; the calls are in channel_*.c, what they mean in docs/api.md.
 *
 * A room of policy "open" is a public channel of the core. Rooms of the other policies are private channels
 * whose founder is the tracker's own device: it writes the MEMBER entries, and it is never given a key. What
 * moderators decide is in the tables of the store, and follows in the channel as entries of the tracker's
 * device (docs/decisions/0024-channels.md), which the process that holds the replica writes from a list of
 * orders, so that nothing is lost between the two.
 *
 * Rules: as tracker.h. Functions with `done` call it exactly once, now or later. */
#ifndef TRACKER_CHANNELS_H
#define TRACKER_CHANNELS_H

#include "account/passwords.h"
#include "store/channels_sql.h"
#include "tracker/call.h"
#include "tracker/peers.h"
#include "tracker/state.h"

/* After the store was opened, before it is started: the hosted channels are rooms for everybody. */
int channels_open(struct tracker *tracker) BASE_CHECKED;
/* Adds GET /export. ERR_MEMORY. */
int channel_export_open(struct tracker *tracker) BASE_CHECKED;
/* After store_start, and when this process has become the one that holds the replica. */
void channels_start(struct tracker *tracker);
/* Before the store is closed: what waits for a password is refused. Runs the loop. */
void channels_stop(struct tracker *tracker);
/* After the store was closed; the loop runs once more. */
void channels_close(struct tracker *tracker);

/* --- one room --- */

/* JSON of one row of enum room_column; NULL without memory. */
json_t *channel_json(const struct tracker *tracker, const struct store_rows *rows, size_t row);
/* The same for all rows. */
json_t *channels_json(const struct tracker *tracker, const struct store_rows *rows);

/* Whether the account may write into the channel now. result: OK; ERR_NOT_FOUND (there is no such room);
 * ERR_DENIED (not a member, banned, muted or closed); ERR_BUSY (slow mode: wait_ms); or an error of the
 * store. why: a sentence for the person, else NULL. An OK counts as a message for slow mode. */
typedef void channel_verdict(void *context, int result, const char *why, uint64_t wait_ms);
void channel_may_write(struct tracker *tracker, const uint8_t channel[ID_BYTES], int64_t account,
                       channel_verdict *done, void *context);
/* Joins an open room as the account asks for it. Errors as STORE_ROOM_JOIN. */
void channel_join_open(struct tracker *tracker, const uint8_t channel[ID_BYTES], int64_t account,
                       store_asked *done, void *context);
/* The key by which a room is found by its name (STORE_ROOM_BY_KEY): its length, or ERR_INVALID. */
int channel_key(slice name, uint8_t out_key[FOLD_KEY_BYTES_MAX]) BASE_CHECKED;

/* --- hooks of the other files --- */

/* A socket was opened: adds "channels" to its welcome and sends it. Takes the reference. */
void channels_welcome(struct client *client, json_t *welcome);
/* Something was decided: the process that holds the replica writes what follows. */
void channels_due(struct tracker *tracker);
peers_handler channels_due_elsewhere;
/* In the process that holds the replica: an entry is durable; token: of an own one, else 0. */
void channels_delivered(struct tracker *tracker, uint64_t token);
/* ... and the node carries a sealed channel that somebody has brought (ACTION_CHANNEL). */
void channels_introduced(struct tracker *tracker, const struct action *action);

/* --- private to channel_*.c --- */

enum { SLOW_SLOTS = 4096, ORDERS_RUNNING_MAX = 64 };

struct channels {
    struct tracker *tracker;
    struct passwords passwords; /* of rooms: beside those of accounts, so that neither waits for the other */
    struct rates knocks;        /* passwords that were tried, by account and channel */
    uint8_t secret[16];
    struct { /* the last message of an account in a room with slow mode, by a hash of both */
        uint64_t key, at_ms;
    } slow[SLOW_SLOTS];
    uv_timer_t timer; /* orders are tried again */
    /* Orders, in the process that has the node: */
    bool asking, again; /* the list is being read; it has grown meanwhile */
    bool orders_known;
    uint64_t hold_until_ms; /* after a restore */
    int64_t order_after;    /* the last one that was begun */
    struct {
        int64_t order;
        uint64_t token;
    } running[ORDERS_RUNNING_MAX]; /* entries that are on their way to the disk */
    size_t running_count;
    uint64_t moved_ms; /* when one of them was last there */
    /* The index, likewise: */
    uv_timer_t index_timer;
    bool index_known, indexing, index_more, index_again, index_failed;
    unsigned index_adding;          /* messages that are on their way */
    int64_t index_at, index_before; /* how far it is; and was, before what is under way */
    /* Conversations, likewise: */
    uv_timer_t keep_timer;
    uint8_t keep_at[ID_BYTES];
    bool keep_first, keep_again;
    /* A second connection to the database, so that reading is in nobody's way. */
    struct store *reader;
    uv_async_t reader_wake;
    unsigned closing; /* handles that are open */
};

/* Begins with the orders that are waiting, when this process has the node. */
void channel_orders_run(struct tracker *tracker);
void channel_orders_start(struct tracker *tracker);
/* An entry may have come; and, when this process has become the one with the node: */
void channel_index_due(struct tracker *tracker);
void channel_index_start(struct tracker *tracker);
/* Direct conversations: the same, and when somebody has changed his mind. */
void channel_keep_start(struct tracker *tracker);
void channel_keep_due(struct tracker *tracker);
/* As call_ask, over the reader: for operations that do not write. */
void channel_read(struct call *call, const struct store_operation *operation,
                  const struct store_value *values, size_t count, call_asked *asked);

/* Answers with the words for an error of the operations in channels_sql.h. */
void channel_failed(struct call *call, int err);
/* For call_ask: success, or channel_failed. */
void channel_done(struct call *call, int result, const struct store_rows *rows);
/* As channel_done, and what was decided is carried out, and stands in the audit log. */
void channel_decided(struct call *call, int result, const struct store_rows *rows);
/* Who asks has done this: into the audit log. */
void channel_audit(struct call *call);
/* The first three values of most operations; false when "channel" is not right, and the call is answered. */
bool channel_begin(struct call *call, struct store_value values[3]);
/* Tells all devices of the account: {"type":"channel","change":change, ...}. Takes `more` (may be NULL). */
void channel_tell(struct tracker *tracker, int64_t account, const char *change, json_t *more);
/* The same with the id of the channel and why: it is not there any more (left, kicked, banned ...). */
void channel_gone(struct tracker *tracker, int64_t account, const uint8_t channel[ID_BYTES], const char *why);
/* The same with the room as this account sees it now. */
void channel_refresh(struct tracker *tracker, int64_t account, const uint8_t channel[ID_BYTES],
                     const char *change);
/* Somebody asks to join: its moderators hear of it. */
void channel_asked(struct tracker *tracker, const uint8_t channel[ID_BYTES], const char *account);
/* One more password is tried: milliseconds to wait, 0 for none. */
uint64_t channel_knock(struct call *call);
/* One more password is set, which costs as much: the same for the account, in whatever channel. */
uint64_t channel_lock(struct call *call);
const char *room_role_name(int64_t role);
/* -1: it is none. */
int room_role_of(slice name);

/* One row of enum message_column; NULL without memory. */
json_t *message_json(const struct store_value *row);

/* Handlers of the table in channel_calls.c. */
call_handler room_create, room_leave, room_find, room_join, room_invite_create, room_invite_list,
    room_invite_revoke, room_invite_look, room_invite_redeem, room_members, room_kick, room_ban, room_unban,
    room_mute, room_unmute, room_role, room_hand_over, room_approve, room_refuse, room_hide, room_show,
    room_history, room_search, room_unread, room_mark_read, room_keep, room_devices, room_mentions,
    room_mentions_seen;

#endif
