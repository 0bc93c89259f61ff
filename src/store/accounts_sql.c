/* The SQL of accounts; accounts_sql.h says what goes in and comes out. */
#include "store/accounts_sql.h"

/* The columns are those of enum account_column. */
#define ACCOUNT_SQL                                                                                          \
    "SELECT id, name, key, secret, role, disabled_ms, totp, totp_wanted, created_ms, seen_ms,"               \
    " (SELECT count(*) FROM recovery_codes WHERE account = accounts.id) FROM accounts"

/* Numbers are never given again: what others remember of a removed account must not fit a new one. */
#define INSERT_ACCOUNT(role)                                                                                 \
    "INSERT INTO accounts (id, name, key, secret, created_ms, role) VALUES (1 + coalesce((SELECT max(id)"    \
    " FROM (SELECT id FROM accounts UNION ALL SELECT id FROM removed_accounts) AS given), 0),"               \
    " ?1, ?2, ?3, ?4, " role ") RETURNING id"
#define NAME_IS_FREE                                                                                         \
    {STEP_NOT, "SELECT 1 FROM accounts WHERE key = ?2 UNION ALL SELECT 1 FROM retired_names WHERE key = ?2", \
     ERR_EXISTS}
/* ?1: the account that is about to lose the role, or itself. */
#define ANOTHER_ADMIN                                                                                        \
    {STEP_NOT,                                                                                               \
     "SELECT 1 FROM accounts a WHERE a.id = ?1 AND a.role = 1 AND NOT EXISTS"                                \
     " (SELECT 1 FROM accounts b WHERE b.role = 1 AND b.disabled_ms = 0 AND b.id <> a.id)",                  \
     ERR_WRONG_STATE}

/* --- one account --- */

const struct store_operation STORE_ACCOUNT_BY_KEY = {
    "account by key", false, 1, {{STEP_ROWS, ACCOUNT_SQL " WHERE key = ?1", 0}}};

const struct store_operation STORE_ACCOUNT_BY_ID = {
    "account by id", false, 1, {{STEP_ROWS, ACCOUNT_SQL " WHERE id = ?1", 0}}};

const struct store_operation STORE_REGISTER = {
    "register", true, 4, {NAME_IS_FREE, {STEP_ROWS, INSERT_ACCOUNT("0"), 0}}};

const struct store_operation STORE_REGISTER_INVITED = {
    "register with an invite",
    true,
    5,
    {{STEP_MUST,
      "UPDATE account_invites SET uses = uses + 1 WHERE code = ?5 AND expires_ms > ?4 AND revoked_ms = 0"
      " AND uses < uses_max",
      ERR_DENIED},
     NAME_IS_FREE,
     {STEP_ROWS, INSERT_ACCOUNT("0"), 0}}};

const struct store_operation STORE_REGISTER_ADMIN = {
    "register an administrator",
    true,
    5,
    {{STEP_MUST, "DELETE FROM tickets WHERE ticket = ?5 AND kind = 1 AND expires_ms > ?4", ERR_DENIED},
     NAME_IS_FREE,
     {STEP_RUN, "DELETE FROM tickets WHERE kind = 1", 0},
     {STEP_ROWS, INSERT_ACCOUNT("1"), 0}}};

const struct store_operation STORE_NAME_RELEASE = {
    "name release", true, 1, {{STEP_RUN, "DELETE FROM retired_names WHERE key = ?1", 0}}};

const struct store_operation STORE_NAME_RETIRED = {
    "name retired", false, 1, {{STEP_ROWS, "SELECT account FROM retired_names WHERE key = ?1", 0}}};

const struct store_operation STORE_PASSWORD_CHANGE = {
    "password change",
    true,
    4,
    {{STEP_MUST, "UPDATE accounts SET secret = ?3 WHERE id = ?1 AND secret = ?2", ERR_DENIED},
     {STEP_RUN, "DELETE FROM sessions WHERE account = ?1 AND token <> coalesce(?4, '')", 0},
     {STEP_RUN, "DELETE FROM tickets WHERE account = ?1", 0}}};

const struct store_operation STORE_PASSWORD_RESET = {
    "password reset",
    true,
    3,
    {{STEP_MUST,
      "UPDATE accounts SET secret = ?3 WHERE disabled_ms = 0 AND id ="
      " (SELECT account FROM tickets WHERE ticket = ?1 AND kind = 2 AND expires_ms > ?2)",
      ERR_DENIED},
     {STEP_ROWS, "SELECT a.id, a.name FROM tickets t JOIN accounts a ON a.id = t.account WHERE t.ticket = ?1",
      0},
     {STEP_RUN, "DELETE FROM sessions WHERE account = (SELECT account FROM tickets WHERE ticket = ?1)", 0},
     {STEP_RUN, "DELETE FROM tickets WHERE account = (SELECT account FROM tickets WHERE ticket = ?1)", 0}}};

/* What stays of an account that its owner, or an administrator, deletes. */
#define RETIRE_ACCOUNT                                                                                       \
    {STEP_RUN,                                                                                               \
     "INSERT INTO retired_names (key, account, retired_ms) SELECT key, id, ?2 FROM accounts WHERE id = ?1"   \
     " ON CONFLICT DO NOTHING",                                                                              \
     0},                                                                                                     \
        {STEP_RUN,                                                                                           \
         "INSERT INTO revoked_devices (device, account, revoked_ms) SELECT device, account, ?2 FROM devices" \
         " WHERE account = ?1 ON CONFLICT DO NOTHING",                                                       \
         0},                                                                                                 \
        {STEP_RUN, "DELETE FROM accounts WHERE id = ?1", 0}

const struct store_operation STORE_ACCOUNT_DELETE = {
    "account delete",
    true,
    3,
    {{STEP_MUST, "SELECT 1 FROM accounts WHERE id = ?1 AND secret = ?3", ERR_DENIED},
     ANOTHER_ADMIN,
     RETIRE_ACCOUNT}};

const struct store_operation STORE_ACCOUNT_EXPEL = {
    "account expel",
    true,
    2,
    {{STEP_MUST, "SELECT 1 FROM accounts WHERE id = ?1", ERR_NOT_FOUND}, ANOTHER_ADMIN, RETIRE_ACCOUNT}};

const struct store_operation STORE_ROLE_SET = {
    "role set",
    true,
    2,
    {{STEP_MUST, "UPDATE accounts SET role = ?2 WHERE id = ?1", ERR_NOT_FOUND},
     {STEP_MUST, "SELECT 1 FROM accounts WHERE role = 1 AND disabled_ms = 0", ERR_WRONG_STATE}}};

const struct store_operation STORE_ACCOUNT_DISABLE = {
    "account disable",
    true,
    2,
    {ANOTHER_ADMIN,
     {STEP_MUST, "UPDATE accounts SET disabled_ms = ?2 WHERE id = ?1", ERR_NOT_FOUND},
     {STEP_RUN, "DELETE FROM sessions WHERE account = ?1", 0},
     {STEP_RUN, "DELETE FROM tickets WHERE account = ?1", 0}}};

const struct store_operation STORE_ACCOUNT_ENABLE = {
    "account enable",
    true,
    1,
    {{STEP_MUST, "UPDATE accounts SET disabled_ms = 0 WHERE id = ?1", ERR_NOT_FOUND}}};

/* --- sessions --- */

const struct store_operation STORE_SESSION_BEGIN = {
    "session begin",
    true,
    8,
    {{STEP_RUN, "DELETE FROM sessions WHERE token = ?7", 0},
     {STEP_MUST,
      "INSERT INTO sessions (token, account, created_ms, seen_ms, expires_ms, address, agent)"
      " SELECT ?1, id, ?3, ?3, ?4, ?5, ?6 FROM accounts WHERE id = ?2 AND disabled_ms = 0"
      " AND (?8 IS NULL OR secret = ?8)",
      ERR_DENIED},
     {STEP_RUN,
      "DELETE FROM sessions WHERE account = ?2 AND token <> ?1 AND token IN (SELECT token FROM sessions"
      " WHERE account = ?2 ORDER BY created_ms DESC LIMIT 1000 OFFSET 500)",
      0},
     {STEP_RUN, "UPDATE accounts SET seen_ms = ?3 WHERE id = ?2", 0}}};

const struct store_operation STORE_SESSION_SEEN = {
    "session seen",
    true,
    3,
    {{STEP_RUN, "UPDATE sessions SET seen_ms = ?2, address = ?3 WHERE token = ?1", 0}}};

const struct store_operation STORE_SESSIONS_AND_DEVICES = {
    "sessions and devices",
    false,
    3,
    {{STEP_ROWS,
      "SELECT 0, token, created_ms, seen_ms, expires_ms, address, agent, '', device FROM sessions"
      " WHERE account = ?1 AND expires_ms > ?2 ORDER BY created_ms DESC, token LIMIT ?3",
      0},
     {STEP_ROWS,
      "SELECT 1, device, issued_ms, seen_ms, expires_ms, address, name, label, NULL FROM devices"
      " WHERE account = ?1 ORDER BY seen_ms DESC, device LIMIT ?3",
      0}}};

const struct store_operation STORE_SESSION_END = {
    "session end",
    true,
    2,
    {{STEP_MUST, "DELETE FROM sessions WHERE account = ?1 AND token = ?2", ERR_NOT_FOUND}}};

const struct store_operation STORE_SESSIONS_END = {
    "sessions end",
    true,
    2,
    {{STEP_ROWS, "DELETE FROM sessions WHERE account = ?1 AND token <> coalesce(?2, '') RETURNING token",
      0}}};

/* --- devices --- */

const struct store_operation STORE_DEVICE_SEEN = {
    "device seen",
    true,
    5,
    {{STEP_RUN,
      "UPDATE devices SET label = ?3, seen_ms = ?4, address = ?5 WHERE device = ?1 AND account ="
      " (SELECT account FROM sessions WHERE token = ?2)",
      0},
     {STEP_RUN, "UPDATE sessions SET device = ?1, seen_ms = ?4, address = ?5 WHERE token = ?2", 0},
     {STEP_ROWS, "SELECT name FROM devices WHERE device = ?1", 0}}};

const struct store_operation STORE_DEVICE_RENAME = {
    "device rename",
    true,
    3,
    {{STEP_MUST, "UPDATE devices SET name = ?3 WHERE account = ?1 AND device = ?2", ERR_NOT_FOUND}}};

const struct store_operation STORE_DEVICE_END = {
    "device end",
    true,
    3,
    {{STEP_MUST,
      "INSERT INTO revoked_devices (device, account, revoked_ms) SELECT device, account, ?3 FROM devices"
      " WHERE account = ?1 AND device = ?2",
      ERR_NOT_FOUND},
     {STEP_RUN, "DELETE FROM sessions WHERE account = ?1 AND device = ?2", 0},
     {STEP_RUN, "DELETE FROM devices WHERE account = ?1 AND device = ?2", 0}}};

/* --- tickets --- */

const struct store_operation STORE_TICKET_ADD = {
    "ticket add",
    true,
    5,
    {{STEP_RUN,
      "INSERT INTO tickets (ticket, kind, account, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)", 0}}};

const struct store_operation STORE_TICKET_LOOK = {
    "ticket look",
    false,
    3,
    {{STEP_ROWS, "SELECT account FROM tickets WHERE ticket = ?1 AND kind = ?2 AND expires_ms > ?3", 0}}};

const struct store_operation STORE_TICKET_TAKE = {
    "ticket take",
    true,
    3,
    {{STEP_MUST, "DELETE FROM tickets WHERE ticket = ?1 AND kind = ?2 AND expires_ms > ?3", ERR_DENIED}}};

const struct store_operation STORE_ADMIN_CLAIM = {
    "admin claim",
    true,
    3,
    {{STEP_MUST, "DELETE FROM tickets WHERE ticket = ?1 AND kind = 1 AND expires_ms > ?2", ERR_DENIED},
     {STEP_MUST, "UPDATE accounts SET role = 1 WHERE id = ?3 AND disabled_ms = 0", ERR_DENIED},
     {STEP_RUN, "DELETE FROM tickets WHERE kind = 1", 0}}};

const struct store_operation STORE_ADMIN_LOOK = {
    "admin look",
    false,
    0,
    {{STEP_ROWS, "SELECT id FROM accounts WHERE role = 1 AND disabled_ms = 0 LIMIT 1", 0}}};

const struct store_operation STORE_TICKETS_PURGE = {
    "tickets purge", true, 1, {{STEP_RUN, "DELETE FROM tickets WHERE expires_ms <= ?1", 0}}};

/* --- the second step of a login --- */

#define DROP_CODES {STEP_RUN, "DELETE FROM recovery_codes WHERE account = ?1", 0}

const struct store_operation STORE_TOTP_WANT = {
    "totp want",
    true,
    2,
    {{STEP_MUST, "UPDATE accounts SET totp_wanted = ?2 WHERE id = ?1 AND totp IS NULL", ERR_EXISTS}}};

const struct store_operation STORE_TOTP_CONFIRM = {
    "totp confirm",
    true,
    13,
    {{STEP_MUST,
      "UPDATE accounts SET totp = totp_wanted, totp_wanted = NULL, totp_step = ?3"
      " WHERE id = ?1 AND totp IS NULL AND totp_wanted = ?2",
      ERR_DENIED},
     DROP_CODES,
     {STEP_RUN,
      "INSERT INTO recovery_codes (account, code) VALUES (?1, ?4), (?1, ?5), (?1, ?6), (?1, ?7), (?1, ?8),"
      " (?1, ?9), (?1, ?10), (?1, ?11), (?1, ?12), (?1, ?13)",
      0}}};

const struct store_operation STORE_TOTP_TAKE = {
    "totp take",
    true,
    2,
    {{STEP_MUST, "UPDATE accounts SET totp_step = ?2 WHERE id = ?1 AND totp IS NOT NULL AND totp_step < ?2",
      ERR_EXISTS}}};

const struct store_operation STORE_TOTP_END = {
    "totp end",
    true,
    1,
    {{STEP_MUST, "UPDATE accounts SET totp = NULL, totp_wanted = NULL WHERE id = ?1 AND totp IS NOT NULL",
      ERR_NOT_FOUND},
     DROP_CODES}};

const struct store_operation STORE_RECOVERY_TAKE = {
    "recovery code take",
    true,
    2,
    {{STEP_MUST, "DELETE FROM recovery_codes WHERE account = ?1 AND code = ?2", ERR_NOT_FOUND}}};

const struct store_operation STORE_RECOVERY_RENEW = {
    "recovery codes renew",
    true,
    11,
    {{STEP_MUST, "SELECT 1 FROM accounts WHERE id = ?1 AND totp IS NOT NULL", ERR_NOT_FOUND},
     DROP_CODES,
     {STEP_RUN,
      "INSERT INTO recovery_codes (account, code) VALUES (?1, ?2), (?1, ?3), (?1, ?4), (?1, ?5), (?1, ?6),"
      " (?1, ?7), (?1, ?8), (?1, ?9), (?1, ?10), (?1, ?11)",
      0}}};

/* --- invites for accounts --- */

const struct store_operation STORE_ACCOUNT_INVITE_ADD = {
    "account invite add",
    true,
    6,
    {{STEP_ROWS,
      "INSERT INTO account_invites (code, account, note, created_ms, expires_ms, uses_max)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
      0}}};

const struct store_operation STORE_ACCOUNT_INVITES = {
    "account invites",
    false,
    2,
    {{STEP_ROWS,
      "SELECT i.id, a.name, i.note, i.created_ms, i.expires_ms, i.uses_max, i.uses, i.revoked_ms"
      " FROM account_invites i LEFT JOIN accounts a ON a.id = i.account WHERE ?1 = 0 OR i.id < ?1"
      " ORDER BY i.id DESC LIMIT ?2",
      0}}};

const struct store_operation STORE_ACCOUNT_INVITE_REVOKE = {
    "account invite revoke",
    true,
    2,
    {{STEP_MUST, "UPDATE account_invites SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms = 0",
      ERR_NOT_FOUND}}};

const struct store_operation STORE_ACCOUNT_INVITE_LOOK = {
    "account invite look",
    false,
    2,
    {{STEP_ROWS,
      "SELECT id FROM account_invites WHERE code = ?1 AND expires_ms > ?2 AND revoked_ms = 0"
      " AND uses < uses_max",
      0}}};

/* --- for administrators --- */

const struct store_operation STORE_ACCOUNTS_PAGE = {
    "accounts page",
    false,
    4,
    {{STEP_ROWS,
      "SELECT id, name, key, role, disabled_ms, created_ms, seen_ms,"
      " (SELECT count(*) FROM sessions WHERE account = accounts.id AND expires_ms > ?4),"
      " (SELECT count(*) FROM devices WHERE account = accounts.id),"
      " CASE WHEN totp IS NULL THEN 0 ELSE 1 END FROM accounts"
      " WHERE key LIKE '%' || ?1 || '%' ESCAPE '\\' AND key > ?2 ORDER BY key LIMIT ?3",
      0}}};

/* By channel and device, which the primary key finds, instead of through all entries. */
const struct store_operation STORE_ACCOUNT_STORAGE = {
    "account storage",
    false,
    1,
    {{STEP_ROWS,
      "SELECT count(*), coalesce(sum(length(e.record)), 0) FROM devices d CROSS JOIN channels c"
      " JOIN entries e ON e.channel = c.channel AND e.author = d.device WHERE d.account = ?1",
      0}}};

const struct store_operation STORE_FIGURES = {
    "figures",
    false,
    1,
    {{STEP_ROWS,
      "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM accounts WHERE role = 1),"
      " (SELECT count(*) FROM accounts WHERE disabled_ms > 0),"
      " (SELECT count(*) FROM sessions WHERE expires_ms > ?1), (SELECT count(*) FROM devices),"
      " (SELECT count(*) FROM channels)",
      0}}};

const struct store_operation STORE_AUDIT_ADD = {
    "audit add",
    true,
    7,
    {{STEP_RUN,
      "INSERT INTO audit (time_ms, account, name, what, about, detail, address)"
      " VALUES (?1, ?2, CASE WHEN ?3 <> '' THEN ?3 ELSE coalesce((SELECT name FROM accounts WHERE id = ?2), "
      "'') END,"
      " ?4, ?5, ?6, ?7)",
      0}}};

const struct store_operation STORE_AUDIT_PAGE = {
    "audit page",
    false,
    4,
    {{STEP_ROWS,
      "SELECT id, time_ms, name, what, about, detail, address FROM audit"
      " WHERE (?1 = 0 OR id < ?1) AND (?3 = '' OR name = ?3 OR about = ?3) AND (?4 = '' OR what = ?4)"
      " ORDER BY id DESC LIMIT ?2",
      0}}};

const struct store_operation STORE_AUDIT_PURGE = {
    "audit purge",
    true,
    2,
    {{STEP_RUN, "DELETE FROM audit WHERE time_ms < ?1 OR id <= (SELECT max(id) FROM audit) - ?2", 0}}};
