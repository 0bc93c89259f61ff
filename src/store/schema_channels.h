/* Step 5 of the schema: channels.
 *
 * A "room" is what the tracker knows about a channel that has a name here: its policy, its people, its rules.
 * What is said there are entries, in the tables of step 1.
 *   rooms           policy: enum room_policy. key: the folded name, NULL when the name is free again.
 *                   nonce: of the spec of a sealed channel. members: how many (kept by triggers).
 *   room_members    state: enum room_state. role: enum room_role.
 *   room_orders     what the replica is to write into the channel because of a change here, in the same
 *                   transaction as the change; gone when the entry is durable. kind: enum room_order.
 *   room_invites    token: what stands in the link. uses_max 0: no limit.
 *   messages        one row for each entry of a person, with the text where the channel is public: what
 *                   history, search, counters and export read. It lags behind `entries`; index_position says
 *                   how far it has come (id: the rowid of entries). account: name by the certificate.
 *   messages_words  the full-text index of texts; kept by the operations, for SQLite lets no trigger do it
 * when the schema is not trusted. read_markers    how far somebody has read. mentions        of whom a
 * message speaks. conversations   sealed channels without a room that the replica keeps: direct ones, and
 * whose they are. trimmed: the replica has let go of what was old, and takes the newest only. unkept_accounts
 * whose direct conversations the replica does not keep. */
#define SCHEMA_CHANNELS                                                                                      \
    "CREATE TABLE rooms (id INTEGER PRIMARY KEY, channel BLOB NOT NULL UNIQUE, name TEXT NOT NULL,"          \
    " key TEXT UNIQUE, policy INTEGER NOT NULL, secret TEXT NOT NULL DEFAULT '',"                            \
    " topic TEXT NOT NULL DEFAULT '', slow_s INTEGER NOT NULL DEFAULT 0, nonce BLOB,"                        \
    " everybody INTEGER NOT NULL DEFAULT 0, members INTEGER NOT NULL DEFAULT 0,"                             \
    " creator INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,"                                      \
    " closed_ms INTEGER NOT NULL DEFAULT 0);"                                                                \
    "CREATE TABLE room_members (channel BLOB NOT NULL REFERENCES rooms(channel) ON DELETE CASCADE,"          \
    " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, state INTEGER NOT NULL,"           \
    " role INTEGER NOT NULL DEFAULT 0, muted_until_ms INTEGER NOT NULL DEFAULT 0,"                           \
    " since_ms INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '',"                                             \
    " PRIMARY KEY (channel, account)) WITHOUT ROWID;"                                                        \
    "CREATE INDEX room_members_by_account ON room_members(account, channel);"                                \
    "CREATE INDEX room_members_by_state ON room_members(channel, state, role);"                              \
    "CREATE TRIGGER room_member_in AFTER INSERT ON room_members WHEN new.state = 1 BEGIN"                    \
    " UPDATE rooms SET members = members + 1 WHERE channel = new.channel; END;"                              \
    "CREATE TRIGGER room_member_out AFTER DELETE ON room_members WHEN old.state = 1 BEGIN"                   \
    " UPDATE rooms SET members = members - 1 WHERE channel = old.channel; END;"                              \
    "CREATE TRIGGER room_member_changed AFTER UPDATE OF state ON room_members WHEN new.state <> old.state"   \
    " BEGIN UPDATE rooms SET members = members + (new.state = 1) - (old.state = 1)"                          \
    " WHERE channel = new.channel; END;"                                                                     \
    "CREATE TRIGGER room_for_everybody AFTER INSERT ON accounts BEGIN"                                       \
    " INSERT INTO room_members (channel, account, state, since_ms)"                                          \
    " SELECT channel, new.id, 1, new.created_ms FROM rooms WHERE everybody = 1 AND closed_ms = 0; END;"      \
    "CREATE TABLE room_orders (id INTEGER PRIMARY KEY AUTOINCREMENT, channel BLOB NOT NULL,"                 \
    " kind INTEGER NOT NULL, by TEXT NOT NULL, account TEXT NOT NULL DEFAULT '',"                            \
    " from_ms INTEGER NOT NULL DEFAULT 0, until_ms INTEGER NOT NULL DEFAULT 0,"                              \
    " number INTEGER NOT NULL DEFAULT 0, text TEXT NOT NULL DEFAULT '', author BLOB);"                       \
    "CREATE TRIGGER account_leaves_rooms BEFORE DELETE ON accounts BEGIN"                                    \
    " INSERT INTO room_orders (channel, kind, by, account) SELECT channel, 3, old.name, old.name"            \
    " FROM room_members WHERE account = old.id AND state = 1; END;"                                          \
    "CREATE TABLE room_invites (id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE,"                         \
    " channel BLOB NOT NULL REFERENCES rooms(channel) ON DELETE CASCADE,"                                    \
    " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, created_ms INTEGER NOT NULL,"      \
    " expires_ms INTEGER NOT NULL, uses_max INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0);"             \
    "CREATE INDEX room_invites_by_channel ON room_invites(channel);"                                         \
    "CREATE INDEX room_invites_by_account ON room_invites(account);"                                         \
    "CREATE TABLE messages (id INTEGER PRIMARY KEY, channel BLOB NOT NULL, author BLOB NOT NULL,"            \
    " seq INTEGER NOT NULL, kind INTEGER NOT NULL, entry BLOB NOT NULL, time_ms INTEGER NOT NULL,"           \
    " place_ms INTEGER NOT NULL, account TEXT NOT NULL, text TEXT, hidden INTEGER NOT NULL DEFAULT 0,"       \
    " UNIQUE (channel, author, seq));"                                                                       \
    "CREATE INDEX messages_by_place ON messages(channel, place_ms, author, seq);"                            \
    "CREATE VIRTUAL TABLE messages_words USING fts5(text, content='messages', content_rowid='id',"           \
    " tokenize=\"unicode61 remove_diacritics 2\");"                                                          \
    "CREATE TABLE index_position (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;"          \
    "CREATE TABLE read_markers (account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"         \
    " channel BLOB NOT NULL, place_ms INTEGER NOT NULL, author BLOB NOT NULL, seq INTEGER NOT NULL,"         \
    " PRIMARY KEY (account, channel)) WITHOUT ROWID;"                                                        \
    "CREATE TABLE mentions (message INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,"             \
    " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, seen INTEGER NOT NULL DEFAULT 0,"  \
    " PRIMARY KEY (account, message)) WITHOUT ROWID;"                                                        \
    "CREATE INDEX mentions_by_message ON mentions(message);"                                                 \
    "CREATE TABLE conversations (channel BLOB PRIMARY KEY, one TEXT NOT NULL, other TEXT NOT NULL,"          \
    " trimmed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"                                                    \
    "CREATE INDEX conversations_by_one ON conversations(one);"                                               \
    "CREATE INDEX conversations_by_other ON conversations(other);"                                           \
    "CREATE TABLE unkept_accounts (account INTEGER PRIMARY KEY REFERENCES accounts(id) ON DELETE CASCADE);"
