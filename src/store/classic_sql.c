#include "store/classic_sql.h"

/* Of a session that has not ended. */
#define SESSION_LIVES(column, now)                                                                           \
    "(" column " IS NULL OR EXISTS (SELECT 1 FROM sessions s WHERE s.token = " column                        \
    " AND s.expires_ms > " now "))"
/* Nobody's at this moment. */
#define WAITS_NOW                                                                                            \
    "(session IS NULL OR claim_expires_ms <= ?4 OR NOT EXISTS"                                               \
    " (SELECT 1 FROM sessions s WHERE s.token = pool_peers.session AND s.expires_ms > ?4))"

/* --- announced peers --- */

const struct store_operation CLASSIC_ANNOUNCE = {
    "announce",
    true,
    8,
    {{STEP_RUN, "DELETE FROM announcements WHERE expires_ms <= ?7", 0},
     {STEP_RUN,
      "INSERT INTO announcements (account, ip, port, username, session, device, announced_ms, expires_ms)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (account, ip, port) DO UPDATE SET"
      " username = excluded.username, session = excluded.session, device = excluded.device,"
      " announced_ms = excluded.announced_ms, expires_ms = excluded.expires_ms",
      0},
     {STEP_RUN,
      "DELETE FROM announcements WHERE account = ?1 AND (ip, port) NOT IN"
      " (SELECT ip, port FROM announcements WHERE account = ?1 ORDER BY announced_ms DESC, ip, port LIMIT 8)",
      0}},
};

const struct store_operation CLASSIC_ANNOUNCE_GUEST = {
    "announce-guest",
    true,
    5,
    {{STEP_RUN, "DELETE FROM announcements WHERE expires_ms <= ?4", 0},
     {STEP_RUN,
      "INSERT INTO announcements (account, ip, port, username, announced_ms, expires_ms)"
      " VALUES (0, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, ip, port) DO UPDATE SET"
      " username = excluded.username, announced_ms = excluded.announced_ms, expires_ms = excluded.expires_ms",
      0},
     {STEP_NOT, "SELECT 1 FROM announcements WHERE account = 0 LIMIT 1 OFFSET 2000", ERR_FULL}},
};

const struct store_operation CLASSIC_ALIVE = {
    "announcement-alive",
    true,
    4,
    {{STEP_RUN,
      "UPDATE announcements SET expires_ms = ?3 WHERE session = ?1 AND expires_ms > ?2 AND expires_ms < ?4",
      0}},
};

const struct store_operation CLASSIC_FADE = {
    "announcement-fade",
    true,
    3,
    {{STEP_RUN,
      "UPDATE announcements SET expires_ms = ?2 WHERE session = ?1 AND expires_ms > ?2 AND announced_ms <= ?3"
      " AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.token = ?1 AND s.seen_ms > ?3)",
      0}},
};

const struct store_operation CLASSIC_PEERS = {
    "announced-peers",
    false,
    4,
    {{STEP_ROWS,
      "SELECT username, ip, port, device, announced_ms, account FROM announcements WHERE expires_ms > ?1"
      " AND (username, ip, port) > (?2, ?3, ?4) AND " SESSION_LIVES(
          "session", "?1") " ORDER BY username, ip, port LIMIT 500",
      0}},
};

const struct store_operation CLASSIC_ADDRESS = {
    "announced-address",
    false,
    2,
    {{STEP_ROWS,
      "SELECT ip, port FROM announcements WHERE account = ?1 AND expires_ms > ?2"
      " AND " SESSION_LIVES("session", "?2") " ORDER BY announced_ms DESC, ip, port LIMIT 1",
      0}},
};

const struct store_operation CLASSIC_GUEST = {
    "guest-name",
    false,
    1,
    {{STEP_NOT, "SELECT 1 FROM accounts WHERE key = ?1", ERR_DENIED},
     {STEP_ROWS, "SELECT id, name FROM accounts WHERE key = 'guest' AND secret = ''", 0}},
};

/* --- the pool --- */

/* A peer that says nothing for so long has gone, and with it what it was given. */
#define POOL_CLEAN                                                                                           \
    {STEP_RUN,                                                                                               \
     "DELETE FROM sessions WHERE token IN (SELECT peer_session FROM pool_peers"                              \
     " WHERE peer_session IS NOT NULL AND (expires_ms <= ?4 OR (session IS NOT NULL AND claim_expires_ms "   \
     "<= ?4)))",                                                                                             \
     0},                                                                                                     \
        {STEP_RUN, "DELETE FROM pool_peers WHERE expires_ms <= ?4", 0}

#define POOL_INSERT                                                                                          \
    "INSERT INTO pool_peers (ip, port, username, offered_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)"

const struct store_operation CLASSIC_POOL_OFFER = {
    "pool-offer",
    true,
    5,
    {POOL_CLEAN,
     {STEP_NOT, "SELECT 1 FROM pool_peers WHERE ip = ?1 AND port = ?2", ERR_EXISTS},
     {STEP_RUN, POOL_INSERT, 0},
     {STEP_NOT, "SELECT 1 FROM pool_peers LIMIT 1 OFFSET 10000", ERR_FULL}},
};

const struct store_operation CLASSIC_POOL_RENEW = {
    "pool-renew",
    true,
    5,
    {POOL_CLEAN,
     {STEP_RUN,
      POOL_INSERT
      " ON CONFLICT (ip, port) DO UPDATE SET username = excluded.username, expires_ms = excluded.expires_ms",
      0},
     {STEP_NOT, "SELECT 1 FROM pool_peers LIMIT 1 OFFSET 10000", ERR_FULL}},
};

const struct store_operation CLASSIC_POOL_TAKE_BACK = {
    "pool-take-back", true, 2, {{STEP_RUN, "DELETE FROM pool_peers WHERE ip = ?1 AND port = ?2", 0}}};

/* The condition stands twice, so that of two claims at one moment only one gets the row in any database. */
const struct store_operation CLASSIC_POOL_CLAIM = {
    "pool-claim",
    true,
    6,
    {POOL_CLEAN,
     {STEP_ROWS,
      "UPDATE pool_peers SET account = ?1, session = ?2, claim_expires_ms = ?3, ticket = ?5,"
      " ticket_expires_ms = ?6, peer_session = NULL, offered_ms = ?4 WHERE (ip, port) IN"
      " (SELECT ip, port FROM pool_peers WHERE expires_ms > ?4 AND " WAITS_NOW
      " ORDER BY offered_ms, ip, port LIMIT 1) AND " WAITS_NOW " RETURNING ip, port",
      0}},
};

#define TICKET_GOOD                                                                                          \
    "ticket = ?1 AND ticket_expires_ms > ?4 AND (?3 = 0 OR (ip = ?2 AND port = ?3)) AND EXISTS"              \
    " (SELECT 1 FROM sessions s WHERE s.token = pool_peers.session AND s.expires_ms > ?4)"

const struct store_operation CLASSIC_POOL_TICKET = {
    "pool-ticket",
    true,
    4,
    {{STEP_ROWS,
      "SELECT a.id, a.name FROM pool_peers JOIN accounts a ON a.id = pool_peers.account WHERE " TICKET_GOOD,
      0},
     {STEP_MUST, "UPDATE pool_peers SET ticket = NULL WHERE " TICKET_GOOD, ERR_NOT_FOUND}},
};

const struct store_operation CLASSIC_POOL_TICKET_SESSION = {
    "pool-ticket-session",
    true,
    6,
    {{STEP_ROWS,
      "SELECT a.id, a.name FROM pool_peers JOIN accounts a ON a.id = pool_peers.account WHERE " TICKET_GOOD,
      0},
     {STEP_RUN,
      "INSERT INTO sessions (token, account, created_ms, expires_ms) SELECT ?5, account, ?4, ?6 FROM "
      "pool_peers"
      " WHERE " TICKET_GOOD,
      0},
     {STEP_MUST, "UPDATE pool_peers SET ticket = NULL, peer_session = ?5 WHERE " TICKET_GOOD, ERR_NOT_FOUND}},
};

/* --- web devices --- */

const struct store_operation CLASSIC_WEB_DEVICE = {
    "web-device",
    true,
    4,
    {{STEP_RUN,
      "INSERT INTO web_devices (account, seed, device, created_ms) VALUES (?1, ?2, ?3, ?4)"
      " ON CONFLICT (account) DO NOTHING",
      0},
     {STEP_ROWS,
      "SELECT w.seed, w.device, d.certificate, d.expires_ms FROM web_devices w"
      " LEFT JOIN devices d ON d.device = w.device AND d.account = w.account WHERE w.account = ?1",
      0}},
};

const struct store_operation CLASSIC_WEB_LABEL = {
    "web-device-label",
    true,
    3,
    {{STEP_RUN, "UPDATE devices SET label = ?2, seen_ms = ?3 WHERE device = ?1", 0}}};

const struct store_operation CLASSIC_WEB_FORGET = {
    "web-device-forget",
    true,
    2,
    {{STEP_RUN, "DELETE FROM web_devices WHERE account = ?1 AND device = ?2", 0}}};

const struct store_operation CLASSIC_WEB_FORGET_ALL = {
    "web-devices-forget", true, 0, {{STEP_RUN, "DELETE FROM web_devices", 0}}};

/* --- reading --- */

/* The newest announcement of an account. */
#define NEWEST_OF(account, now)                                                                              \
    " LEFT JOIN announcements p ON p.account = " account " AND (p.ip, p.port) IN"                            \
    " (SELECT q.ip, q.port FROM announcements q WHERE q.account = " account " AND q.expires_ms > " now       \
    " ORDER BY q.announced_ms DESC, q.ip, q.port LIMIT 1)"

/* Not what moderators have hidden. */
#define MESSAGES                                                                                             \
    "SELECT e.rowid, e.record, j.record, p.ip, p.port FROM entries e JOIN entries j"                         \
    " ON j.channel = e.channel AND j.author = e.author AND j.seq = 1"                                        \
    " LEFT JOIN messages m ON m.channel = e.channel AND m.author = e.author AND m.seq = e.seq"               \
    " LEFT JOIN devices d ON d.device = e.author" NEWEST_OF(                                                 \
        "d.account",                                                                                         \
        "?4") " WHERE e.channel = ?1 AND e.kind = 3 AND e.rowid > ?2 AND COALESCE(m.hidden, 0) = 0"

const struct store_operation CLASSIC_MESSAGES_NEWEST = {
    "classic-messages", false, 4, {{STEP_ROWS, MESSAGES " ORDER BY e.rowid DESC LIMIT ?3", 0}}};

const struct store_operation CLASSIC_MESSAGES_AFTER = {
    "classic-messages-after", false, 4, {{STEP_ROWS, MESSAGES " ORDER BY e.rowid LIMIT ?3", 0}}};

const struct store_operation CLASSIC_GUESTS = {
    "guests",
    false,
    1,
    {{STEP_ROWS,
      "SELECT username, ip, port FROM announcements WHERE account = 0 AND expires_ms > ?1"
      " ORDER BY announced_ms LIMIT 1000",
      0}}};

/* --- channels --- */

/* A guest stands for himself, not the account that signs for guests. */
const struct store_operation CLASSIC_MEMBERS = {
    "classic-members",
    false,
    2,
    {{STEP_ROWS,
      "SELECT a.name AS name, p.ip, p.port FROM room_members r JOIN accounts a ON a.id = r.account" NEWEST_OF(
          "a.id", "?2") " WHERE r.channel = ?1 AND r.state = 1 AND NOT (a.key = 'guest' AND a.secret = '')"
                        " UNION ALL SELECT username, ip, port FROM guest_members WHERE channel = ?1 AND "
                        "expires_ms > ?2"
                        " ORDER BY name LIMIT 1000",
      0}},
};

const struct store_operation CLASSIC_GUEST_JOIN = {
    "guest-join",
    true,
    6,
    {{STEP_RUN, "DELETE FROM guest_members WHERE expires_ms <= ?5", 0},
     {STEP_RUN,
      "INSERT INTO guest_members (channel, ip, port, username, expires_ms) VALUES (?1, ?2, ?3, ?4, ?6)"
      " ON CONFLICT (channel, ip, port) DO UPDATE SET username = excluded.username,"
      " expires_ms = excluded.expires_ms",
      0},
     {STEP_NOT, "SELECT 1 FROM guest_members WHERE channel = ?1 LIMIT 1 OFFSET 2000", ERR_FULL}},
};

const struct store_operation CLASSIC_GUEST_LEAVE = {
    "guest-leave",
    true,
    4,
    {{STEP_RUN,
      "DELETE FROM guest_members WHERE channel = ?1 AND username = ?4 AND (?2 IS NULL OR (ip = ?2 AND port = "
      "?3))",
      0}},
};
