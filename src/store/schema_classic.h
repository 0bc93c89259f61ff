/* Step 6 of the schema: classic.
 *
 *   announcements   where peers listen. account: 0 for a guest, who has announced a name without a login;
 *                   session: ends with it; device: that of the session's socket, when there was one.
 *   pool_peers      native peers that wait for a login. session: whose they are, NULL when they wait; ticket:
 *                   the hash of what that login was sent away with; peer_session: what the peer was given.
 *   guest_members   guests who have joined a channel.
 *   web_devices     by which the tracker writes what comes over a classic route. */
#define SCHEMA_CLASSIC                                                                                       \
    "CREATE TABLE announcements (account INTEGER NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL,"         \
    " username TEXT NOT NULL, session BLOB, device BLOB, announced_ms INTEGER NOT NULL,"                     \
    " expires_ms INTEGER NOT NULL, PRIMARY KEY (account, ip, port)) WITHOUT ROWID;"                          \
    "CREATE INDEX announcements_by_session ON announcements(session) WHERE session IS NOT NULL;"             \
    "CREATE INDEX announcements_by_expiry ON announcements(expires_ms);"                                     \
    "CREATE TABLE pool_peers (ip TEXT NOT NULL, port INTEGER NOT NULL, username TEXT NOT NULL,"              \
    " offered_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, account INTEGER, session BLOB,"              \
    " claim_expires_ms INTEGER NOT NULL DEFAULT 0, ticket BLOB, ticket_expires_ms INTEGER NOT NULL"          \
    " DEFAULT 0, peer_session BLOB, PRIMARY KEY (ip, port)) WITHOUT ROWID;"                                  \
    "CREATE INDEX pool_peers_by_session ON pool_peers(session) WHERE session IS NOT NULL;"                   \
    "CREATE INDEX pool_peers_by_ticket ON pool_peers(ticket) WHERE ticket IS NOT NULL;"                      \
    "CREATE TABLE guest_members (channel BLOB NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL,"            \
    " username TEXT NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (channel, ip, port)) WITHOUT ROWID;"  \
    "CREATE INDEX guest_members_by_expiry ON guest_members(expires_ms);"                                     \
    "CREATE INDEX entries_of_text ON entries(channel) WHERE kind = 3;"                                       \
    "CREATE TABLE web_devices (account INTEGER PRIMARY KEY, seed BLOB NOT NULL, device BLOB NOT NULL,"       \
    " created_ms INTEGER NOT NULL);"                                                                         \
    "CREATE TRIGGER session_ended_classic AFTER DELETE ON sessions BEGIN"                                    \
    " DELETE FROM announcements WHERE session = old.token;"                                                  \
    " DELETE FROM sessions WHERE token IN"                                                                   \
    " (SELECT peer_session FROM pool_peers WHERE session = old.token);"                                      \
    " UPDATE pool_peers SET account = NULL, session = NULL, ticket = NULL, peer_session = NULL"              \
    " WHERE session = old.token;"                                                                            \
    " END;"                                                                                                  \
    "CREATE TRIGGER account_removed_classic BEFORE DELETE ON accounts BEGIN"                                 \
    " DELETE FROM web_devices WHERE account = old.id;"                                                       \
    " DELETE FROM announcements WHERE account = old.id;"                                                     \
    " END;"
