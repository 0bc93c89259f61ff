/* channels_sql.h - operations on rooms: channels as the tracker knows them, and who is in them.
 *
 * Written as: values -> columns of the answer. Errors that are not named are those of operation.h. Times are
 * milliseconds since 1970. Most begin with the same three values: channel, account who asks, 1 if it is an
 * administrator; "target" is the key of an account's name (account/fold.h). What is to be written into the
 * channel because of a change is noted in the same transaction (orders), and carried out by the replica.
 *
 * The errors that they share: ERR_NOT_FOUND: no such room, or it was closed; ERR_INVALID: no such account;
 * ERR_DENIED: who asks may not do that; ERR_WRONG_STATE, ERR_EXISTS: as it says there. */
#ifndef STORE_CHANNELS_SQL_H
#define STORE_CHANNELS_SQL_H

#include "store/operation.h"

/* Kept in the database: never change a number. */
enum room_policy { ROOM_OPEN = 0, ROOM_PASSWORD = 1, ROOM_INVITE = 2, ROOM_APPROVAL = 3 };
/* ROOM_GONE: was muted when he left; else who is not in it has no row. */
enum room_state { ROOM_GONE = 0, ROOM_MEMBER = 1, ROOM_ASKS = 2, ROOM_BANNED = 3 };
enum room_role { ROOM_PLAIN = 0, ROOM_MODERATOR = 1, ROOM_OWNER = 2 };

/* What the replica is to do in the channel. */
enum room_order {
    ORDER_CARRY = 1, /* begin to carry it */
    ORDER_JOIN = 2,
    ORDER_LEAVE = 3,
    ORDER_KICK = 4,
    ORDER_BAN = 5,
    ORDER_UNBAN = 6,
    ORDER_HIDE = 7, /* account, from_ms, until_ms; or author, and number: one entry of its feed */
    ORDER_SHOW = 8, /* the same, taken back */
    ORDER_MUTE = 9, /* account, from_ms, until_ms */
    ORDER_UNMUTE = 10,
    ORDER_SLOW = 11, /* number: seconds */
    ORDER_ROLE = 12, /* account, number */
    ORDER_TOPIC = 13,
    ORDER_NAME = 14,
    ORDER_CLOSE = 15,
};

enum {
    ROOMS_PAGE_MAX = 100,
    ROOM_MEMBERS_PAGE_MAX = 200,
    ROOMS_OF_ACCOUNT_MAX = 500, /* that one is in */
    ROOMS_BY_ACCOUNT_MAX = 50,  /* that one has created and that are not closed */
    ROOM_INVITES_MAX = 100,     /* of one room */
    ROOM_DEVICES_PAGE = 200,
};

/* --- rooms --- */

enum room_column {
    ROOM_CHANNEL,
    ROOM_NAME,
    ROOM_POLICY,
    ROOM_TOPIC,
    ROOM_SLOW_S,
    ROOM_NONCE, /* NULL: not sealed */
    ROOM_MEMBERS,
    ROOM_CREATED_MS,
    ROOM_MY_STATE, /* NULL: nothing */
    ROOM_MY_ROLE,
    ROOM_MY_MUTED_UNTIL_MS,
    ROOM_MY_SINCE_MS,
    ROOM_COLUMNS,
};

/* channel, name, key, time: a room for everybody, also for accounts to come. Fine when it is there. */
extern const struct store_operation STORE_ROOM_HOST;
/* channel, account, 0, name, key, policy, password's hash, topic, nonce (NULL: open), time. Who asks owns it.
 * ERR_EXISTS: the name is taken; ERR_FULL: has created too many, or is in too many. */
extern const struct store_operation STORE_ROOM_CREATE;
/* channel, account, admin -> room_column. ERR_NOT_FOUND also when it is hidden from who asks. */
extern const struct store_operation STORE_ROOM_GET;
/* key, account, admin -> room_column, found by the name's key */
extern const struct store_operation STORE_ROOM_BY_KEY;
/* account, admin, part of a key (% and _ escaped by \), after (key), limit -> room_column, by key: what is
 * not hidden from who asks */
extern const struct store_operation STORE_ROOMS_PAGE;
/* account -> room_column of those that it is in, the oldest first */
extern const struct store_operation STORE_ROOMS_OF;
/* channel, account -> policy, password's hash. ERR_DENIED: banned there */
extern const struct store_operation STORE_ROOM_DOOR;
/* channel, account, admin, time, note, password's hash that was right ('': none) -> room_column. Joins, or
 * asks to. ERR_DENIED: banned; ERR_EXISTS: is a member; ERR_WRONG_STATE: not with this policy; ERR_FULL. */
extern const struct store_operation STORE_ROOM_JOIN;
/* channel, account. Also takes back that one asks. ERR_NOT_FOUND: is not in it; ERR_WRONG_STATE: its last
 * owner, and others are there. */
extern const struct store_operation STORE_ROOM_LEAVE;
extern const struct store_operation STORE_ROOM_TOPIC; /* channel, account, admin, topic */
extern const struct store_operation
    STORE_ROOM_RENAME;                                 /* channel, account, admin, name, key. ERR_EXISTS;
                                                          ERR_WRONG_STATE: an open one has its name for ever */
extern const struct store_operation STORE_ROOM_POLICY; /* channel, account, admin, policy, password's hash.
                                                          ERR_WRONG_STATE: from open, or to it */
extern const struct store_operation STORE_ROOM_SLOW;   /* channel, account, admin, seconds */
extern const struct store_operation STORE_ROOM_CLOSE;  /* channel, account, admin, time -> account of each who
                                                          was in it. ERR_WRONG_STATE: one for everybody */

/* --- its people --- */

/* channel, account, admin, state, role (-1: any), after (key), limit -> name, key, role, muted_until_ms,
 * since_ms, note; by key. ERR_DENIED: not a member; for states other than MEMBER: not a moderator */
extern const struct store_operation STORE_ROOM_PEOPLE;
/* channel, account -> state, role, muted_until_ms, slow_s, policy, closed_ms, nonce */
extern const struct store_operation STORE_ROOM_MAY;
/* channel, account, admin, after (a device, or x''), time -> device, name of its account, certificate; of all
 * members. At most ROOM_DEVICES_PAGE, by device. */
extern const struct store_operation STORE_ROOM_DEVICES;
/* channel, least role -> account of each member with it (at most STORE_ROWS_MAX) */
extern const struct store_operation STORE_ROOM_ACCOUNTS;

/* All take: channel, account, admin, target, time, note -> the target's account. ERR_DENIED: the target's
 * role is not below that of who asks. ERR_WRONG_STATE: the target is not in the state for this. */
extern const struct store_operation STORE_ROOM_KICK;
extern const struct store_operation STORE_ROOM_BAN; /* anybody, also who left or was never there */
extern const struct store_operation STORE_ROOM_UNBAN;
extern const struct store_operation STORE_ROOM_APPROVE;
extern const struct store_operation STORE_ROOM_REFUSE;
/* channel, account, admin, target, time, note, until */
extern const struct store_operation STORE_ROOM_MUTE;
extern const struct store_operation STORE_ROOM_UNMUTE; /* as KICK */
/* channel, account, admin, target, time, role -> account. ERR_WRONG_STATE: the target is no member, or the
 * last owner */
extern const struct store_operation STORE_ROOM_ROLE;

/* --- invites --- */

/* channel, account, admin, token, time, expires (0: never), uses (0: no limit) -> id. ERR_FULL */
extern const struct store_operation STORE_ROOM_INVITE;
/* channel, account, admin, time -> id, token, name who made it, created_ms, expires_ms, uses_max, used; those
 * that are good. A plain member sees the own ones. */
extern const struct store_operation STORE_ROOM_INVITES;
/* channel, account, admin, id. ERR_WRONG_STATE: not there, or somebody else's */
extern const struct store_operation STORE_ROOM_INVITE_REVOKE;
/* token, time -> channel, name, topic, policy, members, name who made it. No row: it is not good (any more).
 */
extern const struct store_operation STORE_ROOM_INVITE_LOOK;
/* token, account, time -> room_column. ERR_NOT_FOUND: it is not good; ERR_DENIED: banned there; ERR_FULL. Who
 * is a member already uses nothing up. */
extern const struct store_operation STORE_ROOM_REDEEM;

/* --- orders --- */

/* after (id), limit -> id, channel, kind, by, account, from_ms, until_ms, number, text, author, policy, name,
 * nonce */
extern const struct store_operation STORE_ROOM_ORDERS;
extern const struct store_operation STORE_ROOM_ORDER_DONE; /* id */

/* --- what moderators hide --- */

/* channel, account, admin, target, from, until -> how many messages are hidden now. As KICK, but the target
 * need not be there */
extern const struct store_operation STORE_ROOM_HIDE;
extern const struct store_operation STORE_ROOM_SHOW;
/* channel, account, admin, author, seq -> how many */
extern const struct store_operation STORE_ROOM_HIDE_ONE;
extern const struct store_operation STORE_ROOM_SHOW_ONE;

#endif
