/* Step 3 of the schema: accounts. Numbers of roles, and of kinds of tickets, stand in accounts_sql.h.
 *
 * accounts: disabled_ms, 0 when it is not; seen_ms, the last login; totp, the secret, NULL when it is off;
 *     totp_wanted, one that was begun and not confirmed yet; totp_step, the last one that was used.
 * sessions: device, the last one that said hello in it.
 * devices: name is given by the person, label is what it calls itself.
 * revoked_devices: never certified again, also when the account is gone.
 * retired_names: of accounts that were deleted; entries stay signed with them. */
#define SCHEMA_ACCOUNTS                                                                                      \
    "ALTER TABLE accounts ADD COLUMN role INTEGER NOT NULL DEFAULT 0;"                                       \
    "ALTER TABLE accounts ADD COLUMN disabled_ms INTEGER NOT NULL DEFAULT 0;"                                \
    "ALTER TABLE accounts ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;"                                    \
    "ALTER TABLE accounts ADD COLUMN totp BLOB;"                                                             \
    "ALTER TABLE accounts ADD COLUMN totp_wanted BLOB;"                                                      \
    "ALTER TABLE accounts ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;"                                  \
    "CREATE INDEX accounts_with_role ON accounts(role) WHERE role > 0;"                                      \
    "ALTER TABLE sessions ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;"                                    \
    "ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';"                                      \
    "ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';"                                        \
    "ALTER TABLE sessions ADD COLUMN device BLOB;"                                                           \
    "ALTER TABLE devices ADD COLUMN name TEXT NOT NULL DEFAULT '';"                                          \
    "ALTER TABLE devices ADD COLUMN label TEXT NOT NULL DEFAULT '';"                                         \
    "ALTER TABLE devices ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;"                                     \
    "ALTER TABLE devices ADD COLUMN address TEXT NOT NULL DEFAULT '';"                                       \
    "CREATE TABLE revoked_devices (device BLOB PRIMARY KEY, account INTEGER NOT NULL,"                       \
    " revoked_ms INTEGER NOT NULL);"                                                                         \
    "CREATE INDEX revoked_devices_by_account ON revoked_devices(account);"                                   \
    "CREATE TABLE retired_names (key TEXT PRIMARY KEY, account INTEGER NOT NULL,"                            \
    " retired_ms INTEGER NOT NULL);"                                                                         \
    "CREATE TABLE recovery_codes (account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"       \
    " code BLOB NOT NULL, PRIMARY KEY (account, code)) WITHOUT ROWID;"                                       \
    "CREATE TABLE tickets (ticket BLOB PRIMARY KEY, kind INTEGER NOT NULL,"                                  \
    " account INTEGER REFERENCES accounts(id) ON DELETE CASCADE,"                                            \
    " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL);"                                            \
    "CREATE INDEX tickets_by_account ON tickets(account);"                                                   \
    "CREATE INDEX tickets_by_expiry ON tickets(expires_ms);"                                                 \
    "CREATE TABLE account_invites (id INTEGER PRIMARY KEY, code BLOB NOT NULL UNIQUE,"                       \
    " account INTEGER NOT NULL, note TEXT NOT NULL, created_ms INTEGER NOT NULL,"                            \
    " expires_ms INTEGER NOT NULL, uses_max INTEGER NOT NULL, uses INTEGER NOT NULL DEFAULT 0,"              \
    " revoked_ms INTEGER NOT NULL DEFAULT 0);"                                                               \
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, account INTEGER NOT NULL,"        \
    " name TEXT NOT NULL, what TEXT NOT NULL, about TEXT NOT NULL, detail TEXT NOT NULL,"                    \
    " address TEXT NOT NULL);"                                                                               \
    "CREATE INDEX audit_by_name ON audit(name, id);"                                                         \
    "CREATE INDEX audit_by_about ON audit(about, id);"                                                       \
    "CREATE INDEX audit_by_time ON audit(time_ms);"
