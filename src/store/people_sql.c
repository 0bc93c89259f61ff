#include "store/people_sql.h"

/* Numbers of enum people_kind, for the texts below. */
#define ASKED "1"
#define FRIEND "2"
#define BLOCKED "3"
#define ASKING "4"
#define SETTING "5"
#define CHANNEL "6"

/* ?1 is the account that acts, ?2 the key of the other one. */
#define OTHER "(SELECT id FROM accounts WHERE key = ?2 AND id <> ?1)"
#define MY(kind) "SELECT 1 FROM relations WHERE account = ?1 AND other = " OTHER " AND kind = " kind
#define THEIR(kind) "SELECT 1 FROM relations WHERE account = " OTHER " AND other = ?1 AND kind = " kind

/* The other one has asked: both rows become those of friends, since `now`. */
#define BEFRIEND_ME(now)                                                                                     \
    "INSERT INTO relations (account, other, kind, line, since_ms) SELECT ?1, r.account, " FRIEND             \
    ", '', " now " FROM relations r WHERE r.other = ?1 AND r.account = " OTHER " AND r.kind = " ASKED        \
    " ON CONFLICT (account, other) DO UPDATE SET kind = excluded.kind, line = '',"                           \
    " since_ms = excluded.since_ms"
#define BEFRIEND_THEM(now)                                                                                   \
    "UPDATE relations SET kind = " FRIEND ", line = '', since_ms = " now " WHERE account = " OTHER           \
    " AND other = ?1 AND kind = " ASKED
#define TOO_MANY_FRIENDS                                                                                     \
    "SELECT account FROM relations WHERE account IN (?1, " OTHER ") AND kind = " FRIEND                      \
    " GROUP BY account HAVING count(*) > 300"

_Static_assert(PEOPLE_ASKED == 1 && PEOPLE_FRIEND == 2 && PEOPLE_BLOCKED == 3 && PEOPLE_ASKING == 4 &&
                   PEOPLE_SETTING == 5 && PEOPLE_CHANNEL == 6,
               "the texts say so");
_Static_assert(PEOPLE_FRIENDS_MAX == 300 && PEOPLE_BLOCKED_MAX == 100 && PEOPLE_ASKED_MAX == 100 &&
                   PEOPLE_ASKING_MAX == 100,
               "the texts say so");

const struct store_operation PEOPLE_ASK = {
    .name = "people-ask",
    .writes = true,
    .values = 4,
    .steps = {
        {STEP_MUST, "SELECT id FROM accounts WHERE key = ?2 AND id <> ?1", ERR_NOT_FOUND},
        {STEP_NOT, MY(FRIEND), ERR_EXISTS},
        {STEP_NOT, MY(BLOCKED), ERR_DENIED},
        {STEP_RUN, BEFRIEND_ME("?4"), 0},
        {STEP_RUN, BEFRIEND_THEM("?4"), 0},
        {STEP_RUN,
         "INSERT INTO relations (account, other, kind, line, since_ms) SELECT ?1, a.id, " ASKED ", ?3, ?4"
         " FROM accounts a WHERE a.key = ?2 AND a.id <> ?1 ON CONFLICT (account, other) DO NOTHING",
         0},
        {STEP_NOT,
         "SELECT 1 WHERE (SELECT count(*) FROM relations WHERE account = ?1 AND kind = " ASKED ") > 100"
         " OR (SELECT count(*) FROM relations WHERE other = " OTHER " AND kind = " ASKED ") > 100"
         " OR EXISTS (" TOO_MANY_FRIENDS ")",
         ERR_FULL},
        {STEP_ROWS,
         "SELECT a.id, a.name, r.kind, r.since_ms,"
         " CASE WHEN r.since_ms = ?4 AND NOT EXISTS (" THEIR(
             BLOCKED) ") THEN 1 ELSE 0 END"
                      " FROM relations r JOIN accounts a ON a.id = r.other WHERE r.account = ?1 AND a.key = "
                      "?2",
         0},
    }};

const struct store_operation PEOPLE_ACCEPT = {
    .name = "people-accept",
    .writes = true,
    .values = 3,
    .steps = {{STEP_NOT, MY(BLOCKED), ERR_NOT_FOUND},
              {STEP_MUST, THEIR(ASKED), ERR_NOT_FOUND},
              {STEP_RUN, BEFRIEND_ME("?3"), 0},
              {STEP_RUN, BEFRIEND_THEM("?3"), 0},
              {STEP_NOT, TOO_MANY_FRIENDS, ERR_FULL},
              {STEP_ROWS, "SELECT id, name FROM accounts WHERE key = ?2", 0}}};

const struct store_operation PEOPLE_DECLINE = {
    .name = "people-decline",
    .writes = true,
    .values = 2,
    .steps = {{STEP_NOT, MY(BLOCKED), ERR_NOT_FOUND},
              {STEP_MUST, "DELETE FROM relations WHERE account = " OTHER " AND other = ?1 AND kind = " ASKED,
               ERR_NOT_FOUND},
              {STEP_ROWS, "SELECT id, name FROM accounts WHERE key = ?2", 0}}};

const struct store_operation PEOPLE_REMOVE = {
    .name = "people-remove",
    .writes = true,
    .values = 2,
    .steps = {
        {STEP_ROWS,
         "SELECT id, name, CASE WHEN EXISTS (" THEIR(BLOCKED) ") THEN 0 ELSE 1 END"
                                                              " FROM accounts WHERE key = ?2 AND id <> ?1",
         0},
        {STEP_MUST,
         "DELETE FROM relations WHERE account = ?1 AND other = " OTHER " AND kind IN (" ASKED ", " FRIEND ")",
         ERR_NOT_FOUND},
        {STEP_RUN, "DELETE FROM relations WHERE account = " OTHER " AND other = ?1 AND kind = " FRIEND, 0}}};

const struct store_operation PEOPLE_BLOCK = {
    .name = "people-block",
    .writes = true,
    .values = 3,
    .steps = {
        {STEP_MUST, "SELECT id FROM accounts WHERE key = ?2 AND id <> ?1", ERR_NOT_FOUND},
        {STEP_ROWS,
         "SELECT id, name, CASE WHEN EXISTS (" MY(FRIEND) ") THEN 1 ELSE 0 END FROM accounts WHERE key = ?2",
         0},
        {STEP_RUN,
         "INSERT INTO relations (account, other, kind, line, since_ms) SELECT ?1, a.id, " BLOCKED ", '', ?3"
         " FROM accounts a WHERE a.key = ?2 AND a.id <> ?1 ON CONFLICT (account, other) DO UPDATE"
         " SET kind = excluded.kind, line = '', since_ms = excluded.since_ms"
         " WHERE relations.kind <> excluded.kind",
         0},
        {STEP_RUN, "DELETE FROM relations WHERE account = " OTHER " AND other = ?1 AND kind = " FRIEND, 0},
        {STEP_NOT,
         "SELECT 1 WHERE (SELECT count(*) FROM relations WHERE account = ?1 AND kind = " BLOCKED ") > 100",
         ERR_FULL}}};

const struct store_operation PEOPLE_UNBLOCK = {
    .name = "people-unblock",
    .writes = true,
    .values = 2,
    .steps = {{STEP_MUST,
               "DELETE FROM relations WHERE account = ?1 AND other = " OTHER " AND kind = " BLOCKED,
               ERR_NOT_FOUND},
              {STEP_ROWS, "SELECT id, name FROM accounts WHERE key = ?2", 0}}};

const struct store_operation PEOPLE_LIST = {
    .name = "people-list",
    .values = 1,
    .steps = {{STEP_ROWS,
               "SELECT a.id, a.name, r.kind, r.line, r.since_ms,"
               " CASE WHEN r.kind = " FRIEND " THEN coalesce(p.seen_ms, 0) ELSE 0 END"
               " FROM relations r JOIN accounts a ON a.id = r.other LEFT JOIN people p ON p.account = r.other"
               " WHERE r.account = ?1 ORDER BY a.key",
               0},
              {STEP_ROWS,
               "SELECT a.id, a.name, " ASKING ", r.line, r.since_ms, 0"
               " FROM relations r JOIN accounts a ON a.id = r.account WHERE r.other = ?1 AND r.kind = " ASKED
               " AND NOT EXISTS (SELECT 1 FROM relations b WHERE b.account = ?1 AND b.other = r.account"
               " AND b.kind = " BLOCKED ") ORDER BY a.key",
               0}}};

const struct store_operation PEOPLE_OPEN = {
    .name = "people-open",
    .values = 1,
    .steps = {
        {STEP_ROWS, "SELECT " SETTING ", invisible FROM people WHERE account = ?1", 0},
        {STEP_ROWS,
         "SELECT kind, other FROM relations WHERE account = ?1 AND kind IN (" FRIEND ", " BLOCKED ")", 0},
        {STEP_ROWS, "SELECT " CHANNEL ", channel FROM room_members WHERE account = ?1 AND state = 1", 0}}};

const struct store_operation PEOPLE_SEEN = {
    .name = "people-seen",
    .writes = true,
    .values = 2,
    .steps = {{STEP_RUN,
               "INSERT INTO people (account, seen_ms, invisible) SELECT id, ?2, 0 FROM accounts WHERE id = ?1"
               " ON CONFLICT (account) DO UPDATE SET seen_ms = excluded.seen_ms"
               " WHERE people.seen_ms < excluded.seen_ms AND people.invisible = 0",
               0}}};

const struct store_operation PEOPLE_INVISIBLE = {
    .name = "people-invisible",
    .writes = true,
    .values = 3,
    .steps = {
        {STEP_RUN,
         "INSERT INTO people (account, seen_ms, invisible) SELECT id, ?3, ?2 FROM accounts WHERE id = ?1"
         " ON CONFLICT (account) DO UPDATE SET invisible = excluded.invisible, seen_ms ="
         " CASE WHEN people.invisible = excluded.invisible THEN people.seen_ms ELSE excluded.seen_ms END",
         0}}};

const struct store_operation PEOPLE_FIND = {
    .name = "people-find",
    .values = 2,
    .steps = {{STEP_ROWS, "SELECT id, name FROM accounts WHERE key = ?2 AND id <> ?1", 0}}};

const struct store_operation PEOPLE_DEVICES = {
    .name = "people-devices",
    .values = 5,
    .steps = {
        {STEP_MUST, "SELECT id FROM accounts WHERE key = ?2", ERR_NOT_FOUND},
        {STEP_ROWS,
         "SELECT d.device, d.certificate, d.expires_ms FROM devices d JOIN accounts a ON a.id = d.account"
         " WHERE a.key = ?2 AND d.device > ?3 AND d.expires_ms > ?4 AND NOT EXISTS (SELECT 1"
         " FROM relations r WHERE r.account = a.id AND r.other = ?1 AND r.kind = " BLOCKED ")"
         " ORDER BY d.device LIMIT ?5",
         0}}};
