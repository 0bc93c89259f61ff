/* accounts_sql.h - operations on accounts, sessions, devices, one-time tickets, invites and the audit log.
 *
 * Written as: values -> columns of the answer. Errors that are not named are those of operation.h. Times are
 * milliseconds since 1970; a "token", "ticket" or "code" is the BLAKE2b hash of what the person has, 32
 * bytes. Whatever is good once is used up by the statement that looks at it, so of several processes exactly
 * one finds it. */
#ifndef STORE_ACCOUNTS_SQL_H
#define STORE_ACCOUNTS_SQL_H

#include "store/operation.h"

enum {
    STORE_ROLE_PERSON = 0,
    STORE_ROLE_ADMIN = 1,
    /* The kinds of tickets. */
    STORE_TICKET_ADMIN = 1,   /* no account: makes an administrator of who uses it */
    STORE_TICKET_RESET = 2,   /* a new password */
    STORE_TICKET_LOGIN = 3,   /* the password was right, the code is missing */
    STORE_SESSIONS_MAX = 500, /* of one account; the oldest ends */
    STORE_RECOVERY_CODES = 10,
    STORE_AUDIT_PAGE_MAX = 500,
};

/* --- one account --- */

enum account_column {
    ACCOUNT_ID,
    ACCOUNT_NAME,
    ACCOUNT_KEY,
    ACCOUNT_SECRET,
    ACCOUNT_ROLE,
    ACCOUNT_DISABLED_MS, /* 0: it is not */
    ACCOUNT_TOTP,        /* NULL: off */
    ACCOUNT_TOTP_WANTED, /* NULL: not begun */
    ACCOUNT_CREATED_MS,
    ACCOUNT_SEEN_MS,  /* 0: never logged in */
    ACCOUNT_RECOVERY, /* how many codes are left */
};
extern const struct store_operation STORE_ACCOUNT_BY_KEY; /* key -> enum account_column */
extern const struct store_operation STORE_ACCOUNT_BY_ID;  /* account -> the same */

/* name, key, secret, time -> account. ERR_EXISTS: the name is taken, or was somebody's who deleted his
 * account. */
extern const struct store_operation STORE_REGISTER;
/* name, key, secret, time, code -> account. Uses up one place of the invite. ERR_DENIED: it is not good. */
extern const struct store_operation STORE_REGISTER_INVITED;
/* name, key, secret, time, ticket -> account, which is an administrator. Uses up all tickets of this kind.
 * ERR_DENIED: the ticket is not good. */
extern const struct store_operation STORE_REGISTER_ADMIN;
/* key: forgets that the name was somebody's. */
extern const struct store_operation STORE_NAME_RELEASE;
/* key -> account of a name that was somebody's. */
extern const struct store_operation STORE_NAME_RETIRED;

/* account, old secret, secret, token that stays (or NULL). Ends the other sessions, and all tickets.
 * ERR_DENIED: the password was changed meanwhile. */
extern const struct store_operation STORE_PASSWORD_CHANGE;
/* ticket, time, secret -> account, name. Ends the sessions. ERR_DENIED: the ticket is not good. */
extern const struct store_operation STORE_PASSWORD_RESET;
/* account, time, secret. Removes it for good: the name is never given again, its devices are never certified
 * again. ERR_DENIED: the password was changed meanwhile; ERR_WRONG_STATE: the only administrator. */
extern const struct store_operation STORE_ACCOUNT_DELETE;
/* account, time: the same by an administrator. ERR_NOT_FOUND, ERR_WRONG_STATE. */
extern const struct store_operation STORE_ACCOUNT_EXPEL;

/* account, role. ERR_NOT_FOUND; ERR_WRONG_STATE: it would leave no administrator. */
extern const struct store_operation STORE_ROLE_SET;
/* account, time. Ends its sessions and tickets. Errors as STORE_ROLE_SET. */
extern const struct store_operation STORE_ACCOUNT_DISABLE;
extern const struct store_operation STORE_ACCOUNT_ENABLE; /* account. ERR_NOT_FOUND */

/* --- sessions --- */

/* token, account, time, expires, address, agent, token that ends (or NULL), the hash of the password that was
 * right (or NULL). ERR_DENIED: the account is disabled or gone, or has another password meanwhile. */
extern const struct store_operation STORE_SESSION_BEGIN;
/* token, time, address */
extern const struct store_operation STORE_SESSION_SEEN;
/* account, time, limit of each -> of each session, newest first: 0, token, created_ms, seen_ms, expires_ms,
 * address, agent, '', device (or NULL); then of each device, the last seen first: 1, device, issued_ms,
 * seen_ms, expires_ms, address, name, label, NULL */
extern const struct store_operation STORE_SESSIONS_AND_DEVICES;
extern const struct store_operation STORE_SESSION_END; /* account, token. ERR_NOT_FOUND */
/* account, token that stays (or NULL) -> token of each that has ended */
extern const struct store_operation STORE_SESSIONS_END;

/* --- devices --- */

/* device, token, label, time, address -> name that the person gave it, or ''. After STORE_DEVICE_CLAIM. */
extern const struct store_operation STORE_DEVICE_SEEN;
extern const struct store_operation STORE_DEVICE_RENAME; /* account, device, name. ERR_NOT_FOUND */
/* account, device, time. Its sessions end, it is never certified again. ERR_NOT_FOUND */
extern const struct store_operation STORE_DEVICE_END;

/* --- tickets --- */

/* ticket, kind, account (or NULL), time, expires */
extern const struct store_operation STORE_TICKET_ADD;
/* ticket, kind, time -> account. It stays. No row: it is not good. */
extern const struct store_operation STORE_TICKET_LOOK;
/* ticket, kind, time. ERR_DENIED: it is not good. */
extern const struct store_operation STORE_TICKET_TAKE;
/* ticket, time, account: makes it an administrator. ERR_DENIED: the ticket is not good. */
extern const struct store_operation STORE_ADMIN_CLAIM;
extern const struct store_operation STORE_ADMIN_LOOK; /* -> a row when there is an administrator */
/* time: what has expired goes */
extern const struct store_operation STORE_TICKETS_PURGE;

/* --- the second step of a login --- */

/* account, secret: begun. ERR_EXISTS: it is on. */
extern const struct store_operation STORE_TOTP_WANT;
/* account, wanted secret, step, ten codes. ERR_DENIED: another one was begun meanwhile. */
extern const struct store_operation STORE_TOTP_CONFIRM;
/* account, step. ERR_EXISTS: this code, or a later one, was used. */
extern const struct store_operation STORE_TOTP_TAKE;
extern const struct store_operation STORE_TOTP_END; /* account. ERR_NOT_FOUND: it is not on. */
/* account, code. ERR_NOT_FOUND */
extern const struct store_operation STORE_RECOVERY_TAKE;
/* account, ten codes. ERR_NOT_FOUND: the second step is not on. */
extern const struct store_operation STORE_RECOVERY_RENEW;

/* --- invites for accounts --- */

/* code, account who invites, note, time, expires, uses -> id */
extern const struct store_operation STORE_ACCOUNT_INVITE_ADD;
/* before (an id; 0: from the newest), limit -> id, name who invited (NULL: gone), note, created_ms,
 * expires_ms, uses_max, uses, revoked_ms; newest first */
extern const struct store_operation STORE_ACCOUNT_INVITES;
extern const struct store_operation STORE_ACCOUNT_INVITE_REVOKE; /* id, time. ERR_NOT_FOUND */
/* code, time -> id of one that is good now */
extern const struct store_operation STORE_ACCOUNT_INVITE_LOOK;

/* --- for administrators --- */

/* part of a key with % and _ escaped by \, after (a key), limit, time -> account, name, key, role,
 * disabled_ms, created_ms, seen_ms, sessions, devices, whether TOTP is on; by key */
extern const struct store_operation STORE_ACCOUNTS_PAGE;
/* account -> entries, bytes that its devices have written */
extern const struct store_operation STORE_ACCOUNT_STORAGE;
/* time -> accounts, administrators, disabled ones, sessions, devices, channels */
extern const struct store_operation STORE_FIGURES;

/* time, account (0: nobody), name ('': that of the account), what, about, detail, address */
extern const struct store_operation STORE_AUDIT_ADD;
/* before (an id; 0: from the newest), limit, name or '' (who did it, or about whom), what or '' -> id,
 * time_ms, name, what, about, detail, address */
extern const struct store_operation STORE_AUDIT_PAGE;
/* time before which all goes, how many of the newest stay */
extern const struct store_operation STORE_AUDIT_PURGE;

#endif
