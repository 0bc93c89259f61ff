#include "store/channels_sql.h"

/* ?1 channel, ?2 who asks, ?3 whether it is an administrator, ?4 the target's key: in most of them. */
#define OPEN_ROOM {STEP_MUST, "SELECT 1 FROM rooms WHERE channel = ?1 AND closed_ms = 0", ERR_NOT_FOUND}
#define ACCOUNT_THERE {STEP_MUST, "SELECT 1 FROM accounts WHERE key = ?4", ERR_INVALID}
/* -1: not a member; administrators are above owners. */
#define RANK                                                                                                 \
    "CASE WHEN ?3 = 1 THEN 3 ELSE COALESCE((SELECT role FROM room_members"                                   \
    " WHERE channel = ?1 AND account = ?2 AND state = 1), -1) END"
#define TARGET "(SELECT id FROM accounts WHERE key = ?4)"
#define TARGET_ROLE                                                                                          \
    "COALESCE((SELECT role FROM room_members WHERE channel = ?1 AND account = " TARGET " AND state = 1), 0)"
#define MUST_HAVE(role) {STEP_MUST, "SELECT 1 WHERE " RANK " >= " role, ERR_DENIED}
#define MUST_BE_ABOVE {STEP_MUST, "SELECT 1 WHERE " RANK " >= 1 AND " RANK " > " TARGET_ROLE, ERR_DENIED}
#define TARGET_ROW " WHERE channel = ?1 AND account = " TARGET
#define BY "COALESCE((SELECT name FROM accounts WHERE id = ?2), '')"
#define TARGET_NAME "(SELECT name FROM accounts WHERE key = ?4)"
/* Orders: `rest` names columns, `values` what goes in. */
#define ORDER(kind, rest, values)                                                                            \
    {STEP_RUN, "INSERT INTO room_orders (channel, kind, by" rest ") VALUES (?1, " kind ", " BY values ")", 0}
#define TARGET_ROWS {STEP_ROWS, "SELECT id FROM accounts WHERE key = ?4", 0}

/* The columns of enum room_column, as one account sees them. */
#define ROOM_AS_SEEN_BY(account)                                                                             \
    "SELECT r.channel, r.name, r.policy, r.topic, r.slow_s, r.nonce, r.members, r.created_ms, m.state,"      \
    " m.role, m.muted_until_ms, m.since_ms FROM rooms r"                                                     \
    " LEFT JOIN room_members m ON m.channel = r.channel AND m.account = " account
/* Rooms by invite only are seen by who is in them or was. */
#define NOT_HIDDEN(admin) "(r.policy <> 2 OR m.state > 0 OR " admin " = 1) AND r.closed_ms = 0"

#define IN_TOO_MANY(account)                                                                                 \
    {STEP_MUST,                                                                                              \
     "SELECT 1 WHERE (SELECT COUNT(*) FROM room_members WHERE account = " account " AND state > 0) < 500",   \
     ERR_FULL}

/* --- rooms --- */

const struct store_operation STORE_ROOM_HOST = {
    "room host",
    true,
    4,
    {
        {STEP_RUN,
         "INSERT INTO rooms (channel, name, key, policy, everybody, created_ms) VALUES (?1, ?2, ?3, 0, 1, ?4)"
         " ON CONFLICT DO NOTHING",
         0},
        /* Who was here before the room was. Who has left it since stays away. */
        {STEP_RUN,
         "INSERT INTO room_members (channel, account, state, since_ms)"
         " SELECT r.channel, a.id, 1, a.created_ms FROM rooms r JOIN accounts a"
         " ON a.created_ms <= r.created_ms WHERE r.channel = ?1 AND r.created_ms = ?4"
         " ON CONFLICT DO NOTHING",
         0},
    }};

const struct store_operation STORE_ROOM_CREATE = {
    "room create",
    true,
    10,
    {
        {STEP_NOT, "SELECT 1 FROM rooms WHERE key = ?5 OR channel = ?1", ERR_EXISTS},
        {STEP_MUST,
         "SELECT 1 WHERE (SELECT COUNT(*) FROM rooms WHERE creator = ?2 AND closed_ms = 0) < 50 OR ?3 = 1",
         ERR_FULL},
        IN_TOO_MANY("?2"),
        {STEP_RUN,
         "INSERT INTO rooms (channel, name, key, policy, secret, topic, nonce, creator, created_ms)"
         " VALUES (?1, ?4, ?5, ?6, ?7, ?8, ?9, ?2, ?10)",
         0},
        {STEP_RUN,
         "INSERT INTO room_members (channel, account, state, role, since_ms) VALUES (?1, ?2, 1, 2, ?10)", 0},
        ORDER("1", "", ""),
        ORDER("2", ", account", ", " BY),
        {STEP_RUN,
         "INSERT INTO room_orders (channel, kind, by, account, number) VALUES (?1, 12, " BY ", " BY ", 2)",
         0},
    }};

const struct store_operation STORE_ROOM_GET = {
    "room get",
    false,
    3,
    {{STEP_ROWS, ROOM_AS_SEEN_BY("?2") " WHERE r.channel = ?1 AND " NOT_HIDDEN("?3"), 0}}};

const struct store_operation STORE_ROOM_BY_KEY = {
    "room by key",
    false,
    3,
    {{STEP_ROWS, ROOM_AS_SEEN_BY("?2") " WHERE r.key = ?1 AND " NOT_HIDDEN("?3"), 0}}};

const struct store_operation STORE_ROOMS_PAGE = {
    "rooms page",
    false,
    5,
    {{STEP_ROWS,
      ROOM_AS_SEEN_BY("?1") " WHERE r.key > ?4 AND r.key LIKE '%' || ?3 || '%' ESCAPE '\\' AND " NOT_HIDDEN(
          "?2") " ORDER BY r.key LIMIT ?5",
      0}}};

const struct store_operation STORE_ROOMS_OF = {
    "rooms of",
    false,
    1,
    {{STEP_ROWS, ROOM_AS_SEEN_BY("?1") " WHERE m.state = 1 AND r.closed_ms = 0 ORDER BY r.id LIMIT 600", 0}}};

const struct store_operation STORE_ROOM_DOOR = {
    "room door",
    false,
    2,
    {
        OPEN_ROOM,
        {STEP_NOT, "SELECT 1 FROM room_members WHERE channel = ?1 AND account = ?2 AND state = 3",
         ERR_DENIED},
        {STEP_ROWS, "SELECT policy, secret FROM rooms WHERE channel = ?1", 0},
    }};

/* Joining leaves a mute in force. */
#define JOINS(state, note)                                                                                   \
    {STEP_RUN,                                                                                               \
     "INSERT INTO room_members (channel, account, state, since_ms, note)"                                    \
     " SELECT channel, ?2, " state ", ?4, " note " FROM rooms WHERE channel = ?1"                            \
     " ON CONFLICT (channel, account) DO UPDATE SET state = excluded.state, since_ms = excluded.since_ms,"   \
     " note = excluded.note, role = 0",                                                                      \
     0}

const struct store_operation STORE_ROOM_JOIN = {
    "room join",
    true,
    6,
    {
        OPEN_ROOM,
        {STEP_NOT, "SELECT 1 FROM room_members WHERE channel = ?1 AND account = ?2 AND state = 3",
         ERR_DENIED},
        {STEP_NOT, "SELECT 1 FROM room_members WHERE channel = ?1 AND account = ?2 AND state = 1",
         ERR_EXISTS},
        {STEP_MUST,
         "SELECT 1 FROM rooms WHERE channel = ?1"
         " AND (policy IN (0, 3) OR (policy = 1 AND secret = ?6) OR (?3 = 1 AND policy <> 1))",
         ERR_WRONG_STATE},
        IN_TOO_MANY("?2"),
        JOINS("CASE WHEN policy = 3 AND ?3 <> 1 THEN 2 ELSE 1 END", "?5"),
        {STEP_RUN,
         "INSERT INTO room_orders (channel, kind, by, account) SELECT ?1, 2, " BY ", " BY
         " FROM room_members WHERE channel = ?1 AND account = ?2 AND state = 1",
         0},
        {STEP_ROWS, ROOM_AS_SEEN_BY("?2") " WHERE r.channel = ?1", 0},
    }};

/* Another owner, or nobody else at all. */
#define NOT_LAST_OWNER(account)                                                                              \
    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM room_members WHERE channel = ?1 AND account = " account        \
    " AND state = 1 AND role = 2) OR EXISTS (SELECT 1 FROM room_members WHERE channel = ?1 AND state = 1"    \
    " AND role = 2 AND account <> " account ")"

const struct store_operation STORE_ROOM_LEAVE = {
    "room leave",
    true,
    2,
    {
        {STEP_MUST, "SELECT 1 FROM room_members WHERE channel = ?1 AND account = ?2 AND state IN (1, 2)",
         ERR_NOT_FOUND},
        {STEP_MUST,
         NOT_LAST_OWNER("?2") " OR NOT EXISTS (SELECT 1 FROM room_members WHERE channel = ?1 AND state = 1"
                              " AND account <> ?2)",
         ERR_WRONG_STATE},
        {STEP_RUN,
         "INSERT INTO room_orders (channel, kind, by, account) SELECT ?1, 3, " BY ", " BY
         " FROM room_members WHERE channel = ?1 AND account = ?2 AND state = 1",
         0},
        {STEP_RUN, "DELETE FROM room_invites WHERE channel = ?1 AND account = ?2", 0},
        {STEP_RUN, "DELETE FROM read_markers WHERE channel = ?1 AND account = ?2", 0},
        /* Who is muted stays so when he comes back. */
        {STEP_RUN,
         "UPDATE room_members SET state = 0, role = 0, note = '' WHERE channel = ?1 AND account = ?2"
         " AND state IN (1, 2) AND muted_until_ms > 0",
         0},
        {STEP_RUN, "DELETE FROM room_members WHERE channel = ?1 AND account = ?2 AND state IN (1, 2)", 0},
    }};

const struct store_operation STORE_ROOM_TOPIC = {
    "room topic",
    true,
    4,
    {
        OPEN_ROOM,
        MUST_HAVE("1"),
        {STEP_RUN, "UPDATE rooms SET topic = ?4 WHERE channel = ?1", 0},
        ORDER("13", ", text", ", ?4"),
    }};

const struct store_operation STORE_ROOM_RENAME = {
    "room rename",
    true,
    5,
    {
        OPEN_ROOM,
        MUST_HAVE("2"),
        {STEP_MUST, "SELECT 1 FROM rooms WHERE channel = ?1 AND nonce IS NOT NULL", ERR_WRONG_STATE},
        {STEP_NOT, "SELECT 1 FROM rooms WHERE key = ?5 AND channel <> ?1", ERR_EXISTS},
        {STEP_RUN, "UPDATE rooms SET name = ?4, key = ?5 WHERE channel = ?1", 0},
        ORDER("14", ", text", ", ?4"),
    }};

const struct store_operation STORE_ROOM_POLICY = {
    "room policy",
    true,
    5,
    {
        OPEN_ROOM,
        MUST_HAVE("2"),
        {STEP_MUST, "SELECT 1 FROM rooms WHERE channel = ?1 AND policy <> 0 AND ?4 <> 0", ERR_WRONG_STATE},
        {STEP_RUN, "UPDATE rooms SET policy = ?4, secret = ?5 WHERE channel = ?1", 0},
    }};

const struct store_operation STORE_ROOM_SLOW = {
    "room slow",
    true,
    4,
    {
        OPEN_ROOM,
        MUST_HAVE("1"),
        {STEP_RUN, "UPDATE rooms SET slow_s = ?4 WHERE channel = ?1", 0},
        ORDER("11", ", number", ", ?4"),
    }};

const struct store_operation STORE_ROOM_CLOSE = {
    "room close",
    true,
    4,
    {
        OPEN_ROOM,
        MUST_HAVE("2"),
        {STEP_NOT, "SELECT 1 FROM rooms WHERE channel = ?1 AND everybody = 1", ERR_WRONG_STATE},
        ORDER("15", "", ""),
        /* The id of an open channel follows from its name, so that is not given again. */
        {STEP_RUN,
         "UPDATE rooms SET closed_ms = ?4, key = CASE WHEN nonce IS NULL THEN key ELSE NULL END"
         " WHERE channel = ?1",
         0},
        {STEP_RUN, "DELETE FROM room_invites WHERE channel = ?1", 0},
        {STEP_ROWS, "SELECT account FROM room_members WHERE channel = ?1 AND state = 1 LIMIT 1000", 0},
        {STEP_RUN, "DELETE FROM room_members WHERE channel = ?1", 0},
    }};

/* --- its people --- */

const struct store_operation STORE_ROOM_PEOPLE = {
    "room people",
    false,
    7,
    {
        OPEN_ROOM,
        {STEP_MUST, "SELECT 1 WHERE " RANK " >= CASE WHEN ?4 = 1 THEN 0 ELSE 1 END", ERR_DENIED},
        {STEP_ROWS,
         "SELECT a.name, a.key, m.role, m.muted_until_ms, m.since_ms, m.note FROM room_members m"
         " JOIN accounts a ON a.id = m.account WHERE m.channel = ?1 AND m.state = ?4"
         " AND (?5 < 0 OR m.role = ?5) AND a.key > ?6 ORDER BY a.key LIMIT ?7",
         0},
    }};

const struct store_operation STORE_ROOM_MAY = {
    "room may",
    false,
    2,
    {{STEP_ROWS,
      "SELECT m.state, m.role, m.muted_until_ms, r.slow_s, r.policy, r.closed_ms, r.nonce FROM rooms r"
      " LEFT JOIN room_members m ON m.channel = r.channel AND m.account = ?2 WHERE r.channel = ?1",
      0}}};

const struct store_operation STORE_ROOM_DEVICES = {
    "room devices",
    false,
    5,
    {
        OPEN_ROOM,
        MUST_HAVE("0"),
        {STEP_ROWS,
         "SELECT d.device, a.name, d.certificate FROM room_members m JOIN accounts a ON a.id = m.account"
         " JOIN devices d ON d.account = a.id WHERE m.channel = ?1 AND m.state = 1 AND d.expires_ms > ?5"
         " AND d.device > ?4 ORDER BY d.device LIMIT 200",
         0},
    }};

const struct store_operation STORE_ROOM_ACCOUNTS = {
    "room accounts",
    false,
    2,
    {{STEP_ROWS,
      "SELECT account FROM room_members WHERE channel = ?1 AND state = 1 AND role >= ?2 LIMIT 1000", 0}}};

#define MUST_BE_IN(state)                                                                                    \
    {STEP_MUST, "SELECT 1 FROM room_members" TARGET_ROW " AND state = " state, ERR_WRONG_STATE}
#define NO_INVITES_OF_TARGET {STEP_RUN, "DELETE FROM room_invites" TARGET_ROW, 0}

const struct store_operation STORE_ROOM_KICK = {
    "room kick",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_BE_ABOVE,
        MUST_BE_IN("1"),
        NO_INVITES_OF_TARGET,
        {STEP_RUN, "UPDATE room_members SET state = 0, role = 0, note = ''" TARGET_ROW, 0},
        ORDER("4", ", account, from_ms, text", ", " TARGET_NAME ", ?5, ?6"),
        TARGET_ROWS,
    }};

const struct store_operation STORE_ROOM_BAN = {
    "room ban",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_BE_ABOVE,
        {STEP_NOT, "SELECT 1 FROM room_members" TARGET_ROW " AND state = 3", ERR_WRONG_STATE},
        NO_INVITES_OF_TARGET,
        {STEP_RUN,
         "INSERT INTO room_members (channel, account, state, since_ms, note) VALUES (?1, " TARGET
         ", 3, ?5, ?6)"
         " ON CONFLICT (channel, account) DO UPDATE SET state = 3, role = 0, since_ms = ?5, note = ?6",
         0},
        ORDER("5", ", account, from_ms, text", ", " TARGET_NAME ", ?5, ?6"),
        TARGET_ROWS,
    }};

const struct store_operation STORE_ROOM_UNBAN = {
    "room unban",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_HAVE("1"),
        MUST_BE_IN("3"),
        {STEP_RUN, "DELETE FROM room_members" TARGET_ROW, 0},
        ORDER("6", ", account, from_ms, text", ", " TARGET_NAME ", ?5, ?6"),
        TARGET_ROWS,
    }};

const struct store_operation STORE_ROOM_APPROVE = {
    "room approve",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_HAVE("1"),
        MUST_BE_IN("2"),
        {STEP_RUN, "UPDATE room_members SET state = 1, since_ms = ?5, note = ''" TARGET_ROW, 0},
        ORDER("2", ", account, text", ", " TARGET_NAME ", ?6"),
        TARGET_ROWS,
    }};

const struct store_operation STORE_ROOM_REFUSE = {
    "room refuse",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_HAVE("1"),
        MUST_BE_IN("2"),
        {STEP_RUN, "DELETE FROM room_members" TARGET_ROW " AND ?5 >= 0 AND ?6 IS NOT NULL", 0},
        TARGET_ROWS,
    }};

const struct store_operation STORE_ROOM_MUTE = {
    "room mute",
    true,
    7,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_BE_ABOVE,
        MUST_BE_IN("1"),
        {STEP_RUN, "UPDATE room_members SET muted_until_ms = ?7" TARGET_ROW, 0},
        ORDER("9", ", account, from_ms, until_ms, text", ", " TARGET_NAME ", ?5, ?7, ?6"),
        TARGET_ROWS,
    }};

const struct store_operation STORE_ROOM_UNMUTE = {
    "room unmute",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        MUST_BE_ABOVE,
        {STEP_MUST, "UPDATE room_members SET muted_until_ms = 0" TARGET_ROW " AND muted_until_ms > ?5",
         ERR_WRONG_STATE},
        ORDER("10", ", account, from_ms, text", ", " TARGET_NAME ", ?5, ?6"),
        TARGET_ROWS,
    }};

/* Owners make owners and moderators; another owner's role only an administrator takes. */
const struct store_operation STORE_ROOM_ROLE = {
    "room role",
    true,
    6,
    {
        OPEN_ROOM,
        ACCOUNT_THERE,
        {STEP_MUST, "SELECT 1 WHERE " RANK " >= 2 AND (" RANK " > " TARGET_ROLE " OR " TARGET " = ?2)",
         ERR_DENIED},
        {STEP_MUST,
         "SELECT 1 FROM room_members" TARGET_ROW
         " AND state = 1 AND (?6 = 2 OR EXISTS (" NOT_LAST_OWNER(TARGET) "))",
         ERR_WRONG_STATE},
        /* Links of somebody who may not invite any more. */
        {STEP_RUN,
         "DELETE FROM room_invites" TARGET_ROW
         " AND ?6 = 0 AND EXISTS (SELECT 1 FROM rooms WHERE channel = ?1 AND policy <> 0)",
         0},
        {STEP_RUN, "UPDATE room_members SET role = ?6" TARGET_ROW, 0},
        ORDER("12", ", account, from_ms, number", ", " TARGET_NAME ", ?5, ?6"),
        TARGET_ROWS,
    }};

/* --- invites --- */

/* In open rooms every member may invite. */
#define MAY_INVITE                                                                                           \
    {STEP_MUST,                                                                                              \
     "SELECT 1 WHERE " RANK                                                                                  \
     " >= (SELECT CASE WHEN policy = 0 THEN 0 ELSE 1 END FROM rooms WHERE channel = ?1)",                    \
     ERR_DENIED}
#define GOOD_INVITE(time)                                                                                    \
    "(i.expires_ms = 0 OR i.expires_ms > " time ") AND (i.uses_max = 0 OR i.used < i.uses_max)"

const struct store_operation STORE_ROOM_INVITE = {
    "room invite",
    true,
    7,
    {
        OPEN_ROOM,
        MAY_INVITE,
        {STEP_RUN,
         "DELETE FROM room_invites WHERE channel = ?1 AND ((expires_ms <> 0 AND expires_ms <= ?5)"
         " OR (uses_max <> 0 AND used >= uses_max))",
         0},
        /* Not all of them to one who is no moderator. */
        {STEP_MUST,
         "SELECT 1 WHERE (SELECT COUNT(*) FROM room_invites WHERE channel = ?1) < 100 AND (" RANK
         " >= 1 OR (SELECT COUNT(*) FROM room_invites WHERE channel = ?1 AND account = ?2) < 10)",
         ERR_FULL},
        {STEP_ROWS,
         "INSERT INTO room_invites (token, channel, account, created_ms, expires_ms, uses_max)"
         " VALUES (?4, ?1, ?2, ?5, ?6, ?7) RETURNING id",
         0},
    }};

const struct store_operation STORE_ROOM_INVITES = {
    "room invites",
    false,
    4,
    {
        OPEN_ROOM,
        MAY_INVITE,
        {STEP_ROWS,
         "SELECT i.id, i.token, a.name, i.created_ms, i.expires_ms, i.uses_max, i.used FROM room_invites i"
         " JOIN accounts a ON a.id = i.account WHERE i.channel = ?1 AND " GOOD_INVITE(
             "?4") " AND (i.account = ?2 OR " RANK " >= 1) ORDER BY i.id",
         0},
    }};

const struct store_operation STORE_ROOM_INVITE_REVOKE = {
    "room invite revoke",
    true,
    4,
    {
        OPEN_ROOM,
        {STEP_MUST, "SELECT 1 WHERE " RANK " >= 0", ERR_DENIED},
        {STEP_MUST,
         "DELETE FROM room_invites WHERE channel = ?1 AND id = ?4 AND (account = ?2 OR " RANK " >= 1)",
         ERR_WRONG_STATE},
    }};

const struct store_operation STORE_ROOM_INVITE_LOOK = {
    "room invite look",
    false,
    2,
    {{STEP_ROWS,
      "SELECT r.channel, r.name, r.topic, r.policy, r.members, a.name FROM room_invites i"
      " JOIN rooms r ON r.channel = i.channel JOIN accounts a ON a.id = i.account"
      " WHERE i.token = ?1 AND r.closed_ms = 0 AND " GOOD_INVITE("?2"),
      0}}};

#define INVITED "(SELECT channel FROM room_invites WHERE token = ?1)"
const struct store_operation STORE_ROOM_REDEEM = {
    "room redeem",
    true,
    3,
    {
        {STEP_MUST,
         "SELECT 1 FROM room_invites i JOIN rooms r ON r.channel = i.channel"
         " WHERE i.token = ?1 AND r.closed_ms = 0 AND " GOOD_INVITE("?3"),
         ERR_NOT_FOUND},
        {STEP_NOT, "SELECT 1 FROM room_members WHERE channel = " INVITED " AND account = ?2 AND state = 3",
         ERR_DENIED},
        IN_TOO_MANY("?2"),
        {STEP_RUN,
         "UPDATE room_invites SET used = used + 1 WHERE token = ?1 AND NOT EXISTS (SELECT 1 FROM "
         "room_members m"
         " WHERE m.channel = room_invites.channel AND m.account = ?2 AND m.state = 1)",
         0},
        {STEP_RUN,
         "INSERT INTO room_orders (channel, kind, by, account) SELECT i.channel, 2, a.name, a.name"
         " FROM room_invites i, accounts a WHERE i.token = ?1 AND a.id = ?2 AND NOT EXISTS"
         " (SELECT 1 FROM room_members m WHERE m.channel = i.channel AND m.account = ?2 AND m.state = 1)",
         0},
        {STEP_RUN,
         "INSERT INTO room_members (channel, account, state, since_ms) VALUES (" INVITED ", ?2, 1, ?3)"
         " ON CONFLICT (channel, account) DO UPDATE SET state = 1, note = '',"
         " since_ms = CASE WHEN room_members.state = 1 THEN room_members.since_ms ELSE ?3 END",
         0},
        {STEP_ROWS, ROOM_AS_SEEN_BY("?2") " WHERE r.channel = " INVITED, 0},
    }};

/* --- orders --- */

const struct store_operation STORE_ROOM_ORDERS = {
    "room orders",
    false,
    2,
    {{STEP_ROWS,
      "SELECT o.id, o.channel, o.kind, o.by, o.account, o.from_ms, o.until_ms, o.number, o.text, o.author,"
      " r.policy, r.name, r.nonce FROM room_orders o JOIN rooms r ON r.channel = o.channel"
      " WHERE o.id > ?1 ORDER BY o.id LIMIT ?2",
      0}}};

const struct store_operation STORE_ROOM_ORDER_DONE = {
    "room order done", true, 1, {{STEP_RUN, "DELETE FROM room_orders WHERE id = ?1", 0}}};

/* --- what moderators hide --- */

#define MESSAGES_OF_TARGET                                                                                   \
    " WHERE channel = ?1 AND account = " TARGET_NAME                                                         \
    " AND time_ms >= ?5 AND time_ms <= ?6 AND kind IN (3, 8, 9)"
#define HIDES(name, hidden, kind)                                                                            \
    {                                                                                                        \
        name, true, 6,                                                                                       \
        {                                                                                                    \
            OPEN_ROOM, ACCOUNT_THERE, MUST_BE_ABOVE,                                                         \
                {STEP_RUN,                                                                                   \
                 "INSERT INTO room_orders (channel, kind, by, account, from_ms, until_ms, number) SELECT "   \
                 "?1, " kind ", " BY ", " TARGET_NAME                                                        \
                 ", ?5, ?6, (SELECT COUNT(*) FROM messages" MESSAGES_OF_TARGET " AND hidden <> " hidden ")", \
                 0},                                                                                         \
                {STEP_RUN, "UPDATE messages SET hidden = " hidden MESSAGES_OF_TARGET, 0},                    \
                {STEP_ROWS, "SELECT COUNT(*) FROM messages" MESSAGES_OF_TARGET " AND hidden = " hidden, 0},  \
        }                                                                                                    \
    }
const struct store_operation STORE_ROOM_HIDE = HIDES("room hide", "1", "7");
const struct store_operation STORE_ROOM_SHOW = HIDES("room show", "0", "8");

/* Who wrote it is the account of the device, here: by its certificate. */
#define AUTHOR_ROLE                                                                                          \
    "COALESCE((SELECT m.role FROM room_members m JOIN devices d ON d.account = m.account"                    \
    " WHERE d.device = ?4 AND m.channel = ?1 AND m.state = 1), 0)"
#define HIDES_ONE(name, hidden, kind)                                                                        \
    {                                                                                                        \
        name, true, 5,                                                                                       \
        {                                                                                                    \
            OPEN_ROOM,                                                                                       \
                {STEP_MUST,                                                                                  \
                 "SELECT 1 WHERE " RANK " >= 1 AND (" RANK " > " AUTHOR_ROLE " OR ?2 ="                      \
                 " (SELECT account FROM devices WHERE device = ?4))",                                        \
                 ERR_DENIED},                                                                                \
                {STEP_MUST, "SELECT 1 FROM entries WHERE channel = ?1 AND author = ?4 AND seq = ?5",         \
                 ERR_WRONG_STATE},                                                                           \
                {STEP_RUN,                                                                                   \
                 "INSERT INTO room_orders (channel, kind, by, account, author, number) SELECT ?1, " kind     \
                 ", " BY ", COALESCE((SELECT a.name FROM devices d JOIN accounts a ON a.id = d.account"      \
                 " WHERE d.device = ?4), ''), ?4, ?5",                                                       \
                 0},                                                                                         \
                {STEP_RUN,                                                                                   \
                 "UPDATE messages SET hidden = " hidden " WHERE channel = ?1 AND author = ?4 AND seq = ?5",  \
                 0},                                                                                         \
        }                                                                                                    \
    }
const struct store_operation STORE_ROOM_HIDE_ONE = HIDES_ONE("room hide one", "1", "7");
const struct store_operation STORE_ROOM_SHOW_ONE = HIDES_ONE("room show one", "0", "8");
