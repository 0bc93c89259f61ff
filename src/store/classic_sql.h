/* classic_sql.h - what the classic routes keep: announced peers, the pool, web devices. docs/api.md, part 1.
 *
 * Each operation: what goes in, in the order of the values, and -> what comes out, column by column. Times
 * are milliseconds since 1970, `now` too. */
#ifndef STORE_CLASSIC_SQL_H
#define STORE_CLASSIC_SQL_H

#include "store/operation.h"

enum {
    CLASSIC_ANNOUNCED_MAX = 8, /* peers of one account; the newest stay */
    CLASSIC_GUESTS_MAX = 2000, /* peers of guests in all */
    CLASSIC_POOL_MAX = 10000,  /* peers in the pool */
    CLASSIC_PEERS_PAGE = 500,  /* rows of CLASSIC_PEERS */
    CLASSIC_MEMBERS_MAX = 1000,
};

/* --- announced peers --- */

/* account, ip, port, username, session or NULL, device or NULL, now, expires. Again: renews it. */
extern const struct store_operation CLASSIC_ANNOUNCE;
/* ip, port, username, now, expires. ERR_FULL: CLASSIC_GUESTS_MAX. */
extern const struct store_operation CLASSIC_ANNOUNCE_GUEST;
/* session, now, expires, least: those of the session that end before `least` last until `expires`. */
extern const struct store_operation CLASSIC_ALIVE;
/* session, now, since: they are over, unless the session was seen after that. */
extern const struct store_operation CLASSIC_FADE;
/* now, then the last row of the page before (or "", "", 0): username, ip, port
 * -> username, ip, port, device or NULL, announced_ms, account or 0; at most CLASSIC_PEERS_PAGE, in this
 * order. */
extern const struct store_operation CLASSIC_PEERS;
/* account, now -> ip, port: the newest. */
extern const struct store_operation CLASSIC_ADDRESS;
/* key of a name -> number and name of the account that signs for guests, if there is one. ERR_DENIED: the
 * name is an account's, so nobody speaks for it without a login. */
extern const struct store_operation CLASSIC_GUEST;

/* --- the pool --- */

/* ip, port, username, now, expires. ERR_EXISTS: it is there; ERR_FULL: CLASSIC_POOL_MAX. */
extern const struct store_operation CLASSIC_POOL_OFFER;
/* The same; when it is there it stays for longer, and whose it is does not change. */
extern const struct store_operation CLASSIC_POOL_RENEW;
/* ip, port. Fine when it is not there. */
extern const struct store_operation CLASSIC_POOL_TAKE_BACK;
/* account, session, claim expires, now, ticket, ticket expires -> ip, port: one that waits is this session's
 * from now on, the one that has waited longest; no row: none does. */
extern const struct store_operation CLASSIC_POOL_CLAIM;
/* ticket, ip, port, now -> account, name: whose it is; the ticket is used up. ip "" and port 0: any.
 * ERR_NOT_FOUND. */
extern const struct store_operation CLASSIC_POOL_TICKET;
/* The same for a peer that is trusted, and: token of a session for it, when that one expires. ERR_NOT_FOUND.
 */
extern const struct store_operation CLASSIC_POOL_TICKET_SESSION;

/* --- web devices --- */

/* account, a seed to begin with, its device, now -> seed, device, certificate or NULL, when that one expires.
 */
extern const struct store_operation CLASSIC_WEB_DEVICE;
/* device, label, now: what it is called in the list of the account's devices. */
extern const struct store_operation CLASSIC_WEB_LABEL;
/* account, device: it writes no more; the next one is another one. */
extern const struct store_operation CLASSIC_WEB_FORGET;
/* All of them: what they wrote may not all be here. */
extern const struct store_operation CLASSIC_WEB_FORGET_ALL;

/* --- reading --- */

/* channel, after (a number, or 0), count, now -> number, the record of an entry of kind TEXT, the record of
 * its author's first entry, ip or NULL and port that its account has announced. Numbers grow as entries come.
 * The newest `count`, newest first ... */
extern const struct store_operation CLASSIC_MESSAGES_NEWEST;
/* ... and the `count` that came first after that one, oldest first. */
extern const struct store_operation CLASSIC_MESSAGES_AFTER;
/* now -> name, ip, port that guests have announced, the newest last. */
extern const struct store_operation CLASSIC_GUESTS;

/* --- channels --- */

/* channel, now -> name, ip or NULL, port of each who is in it, by name; at most CLASSIC_MEMBERS_MAX. */
extern const struct store_operation CLASSIC_MEMBERS;
/* channel, ip, port, name, now, expires. ERR_FULL: CLASSIC_GUESTS_MAX in this channel. */
extern const struct store_operation CLASSIC_GUEST_JOIN;
/* channel, ip or NULL (all that have this name), port, name. */
extern const struct store_operation CLASSIC_GUEST_LEAVE;

#endif
