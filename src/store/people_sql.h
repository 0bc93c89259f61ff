/* people_sql.h - friends, who is blocked, who wants to be seen, and when somebody was here last.
 *
 * A relation is a row of one account about another one: it has asked, they are friends (then there are two
 * rows, one of each), or the other one is blocked. So a request to somebody who has blocked its sender is a
 * row as any other, which only the one who blocks does not see.
 *
 * "key" is a folded name (account/fold.h), times are milliseconds. Which numbers stand behind ?1, ?2 ... is
 * said as (account, key, ...) -> columns of a row. ERR_NOT_FOUND: there is no account of that name, or it is
 * one's own. */
#ifndef STORE_PEOPLE_SQL_H
#define STORE_PEOPLE_SQL_H

#include "store/operation.h"

enum people_kind {
    PEOPLE_NONE = 0,
    PEOPLE_ASKED = 1, /* by this account */
    PEOPLE_FRIEND = 2,
    PEOPLE_BLOCKED = 3,
    PEOPLE_ASKING = 4,  /* only in PEOPLE_LIST: the other account has asked */
    PEOPLE_SETTING = 5, /* only in PEOPLE_OPEN, as the next one */
    PEOPLE_CHANNEL = 6,
};

/* Of one account; together, and with the channels that it is in, below STORE_ROWS_MAX. */
enum {
    PEOPLE_FRIENDS_MAX = 300,
    PEOPLE_BLOCKED_MAX = 100,
    PEOPLE_ASKED_MAX = 100,  /* requests that wait for an answer */
    PEOPLE_ASKING_MAX = 100, /* requests that it has not answered */
};

/* (account, key, line, now) -> the other's account, its name, own kind now (ASKED or FRIEND), since, 1 when
 * the other one is to be told. A request that crosses one of the other's makes both friends. ERR_EXISTS: they
 * are friends already; ERR_DENIED: blocked by this account; ERR_FULL: one of the limits. */
extern const struct store_operation PEOPLE_ASK;
/* (account, key, now) -> the other's account, its name. ERR_NOT_FOUND: no such request; ERR_FULL */
extern const struct store_operation PEOPLE_ACCEPT;
/* (account, key) -> the other's account, its name. ERR_NOT_FOUND: no such request */
extern const struct store_operation PEOPLE_DECLINE;
/* (account, key) -> the other's account, its name, 1 when the other one is to be told. Ends a friendship or
 * takes a request back. ERR_NOT_FOUND: there is neither */
extern const struct store_operation PEOPLE_REMOVE;
/* (account, key, now) -> the other's account, its name, 1 when they were friends. ERR_FULL */
extern const struct store_operation PEOPLE_BLOCK;
/* (account, key) -> the other's account, its name. ERR_NOT_FOUND: is not blocked */
extern const struct store_operation PEOPLE_UNBLOCK;
/* (account) -> other's account, name, kind, line, since, seen (0: never, or not a friend); by name */
extern const struct store_operation PEOPLE_LIST;

/* (account) -> kind, value: at most one SETTING row (invisible), FRIEND and BLOCKED rows (other's account),
 * CHANNEL rows (channel) */
extern const struct store_operation PEOPLE_OPEN;
/* (account, seen): was here last; never earlier than what is kept */
extern const struct store_operation PEOPLE_SEEN;
/* (account, invisible, now): from now on its last time here is not kept */
extern const struct store_operation PEOPLE_INVISIBLE;

/* (account, key) -> the other's account, its name */
extern const struct store_operation PEOPLE_FIND;
/* (account, key, after, now, count) -> device, certificate, expires: devices of the named account whose
 * certificate has not ended, by device; `after` a device or an empty one. Nothing for one who is blocked by
 * them. */
extern const struct store_operation PEOPLE_DEVICES;

#endif
