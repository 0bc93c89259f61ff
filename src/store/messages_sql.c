#include "store/messages_sql.h"

/* Kinds of entries, as core/node.h has them: 3 TEXT, 8 FILE, 10 MODERATE. */
#define INDEXED "(3, 8, 10)"
#define WORDS_OF_PERSONS "(3, 8)"

/* --- the index --- */

const struct store_operation STORE_INDEX_POSITION = {
    "index position", false, 1, {{STEP_ROWS, "SELECT position FROM index_position WHERE name = ?1", 0}}};

const struct store_operation STORE_INDEX_MOVED = {
    "index moved",
    true,
    2,
    {{STEP_RUN,
      "INSERT INTO index_position (name, position) VALUES (?1, ?2)"
      " ON CONFLICT (name) DO UPDATE SET position = ?2",
      0}}};

const struct store_operation STORE_INDEX_NEXT = {
    "index next",
    false,
    1,
    {{STEP_ROWS,
      "SELECT rowid, record FROM entries WHERE rowid > ?1 AND kind IN " INDEXED " ORDER BY rowid LIMIT 100",
      0}}};

const struct store_operation STORE_INDEX_END = {
    "index end", false, 0, {{STEP_ROWS, "SELECT COALESCE(MAX(rowid), 0) FROM entries", 0}}};

const struct store_operation STORE_INDEX_ADD = {
    "index add",
    true,
    11,
    {
        /* An entry that was replaced has another rowid. */
        {STEP_RUN,
         "INSERT INTO messages_words (messages_words, rowid, text) SELECT 'delete', id, text FROM messages"
         " WHERE channel = ?2 AND author = ?3 AND seq = ?4 AND id <> ?1 AND kind = 3 AND text IS NOT NULL",
         0},
        {STEP_RUN, "DELETE FROM messages WHERE channel = ?2 AND author = ?3 AND seq = ?4 AND id <> ?1", 0},
        {STEP_RUN,
         "INSERT INTO messages_words (rowid, text) SELECT ?1, ?10 WHERE ?5 = 3 AND ?10 IS NOT NULL"
         " AND NOT EXISTS (SELECT 1 FROM messages WHERE id = ?1)",
         0},
        /* What was decided to be hidden, and is not written down in the channel yet, is hidden. */
        {STEP_RUN,
         "INSERT INTO messages (id, channel, author, seq, kind, entry, time_ms, place_ms, account, text, "
         "hidden)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, CASE WHEN ?11 = 0 AND ?5 <> 10 AND EXISTS"
         " (SELECT 1 FROM room_orders o WHERE o.channel = ?2 AND o.kind = 7 AND ((o.account = ?9 AND"
         " o.author IS NULL AND ?7 BETWEEN o.from_ms AND o.until_ms) OR (o.author = ?3 AND o.number = ?4)))"
         " THEN 1 ELSE ?11 END) ON CONFLICT DO NOTHING",
         0},
    }};

const struct store_operation STORE_INDEX_MENTION = {
    "index mention",
    true,
    3,
    {
        {STEP_RUN,
         "INSERT INTO mentions (message, account) SELECT m.id, a.id FROM messages m, accounts a"
         " JOIN room_members r ON r.account = a.id AND r.channel = ?2 AND r.state = 1"
         " WHERE m.id = ?1 AND a.key = ?3 AND a.name <> m.account ON CONFLICT DO NOTHING",
         0},
        {STEP_ROWS,
         "SELECT n.account, r.name FROM mentions n JOIN accounts a ON a.id = n.account AND a.key = ?3"
         " JOIN rooms r ON r.channel = ?2 WHERE n.message = ?1",
         0},
    }};

/* --- direct conversations that the replica keeps --- */

#define NOT_KEPT(one, other)                                                                                 \
    "SELECT 1 FROM unkept_accounts u JOIN accounts a ON a.id = u.account WHERE a.name IN (" one ", " other ")"

const struct store_operation STORE_CONVERSATION_PUT = {
    "conversation put",
    true,
    3,
    {
        {STEP_RUN,
         "INSERT INTO conversations (channel, one, other) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", 0},
        {STEP_ROWS, NOT_KEPT("?2", "?3"), 0},
    }};

const struct store_operation STORE_CONVERSATIONS_PAGE = {
    "conversations page",
    false,
    1,
    {{STEP_ROWS,
      "SELECT d.channel, d.one, d.other, (SELECT COUNT(*) FROM entries e WHERE e.channel = d.channel),"
      " (SELECT COALESCE(SUM(LENGTH(e.record)), 0) FROM entries e WHERE e.channel = d.channel),"
      " (SELECT COALESCE(MAX(e.place_ms), 0) FROM entries e WHERE e.channel = d.channel),"
      " EXISTS (" NOT_KEPT("d.one", "d.other") "), d.trimmed FROM conversations d WHERE d.channel > ?1"
                                               " ORDER BY d.channel LIMIT 50",
      0}}};

/* A rowid that is free again may be given again: the index must not be ahead of it. */
#define FORGET_ENTRIES                                                                                       \
    {STEP_RUN, "DELETE FROM entries WHERE channel = ?1", 0},                                                 \
        {STEP_RUN, "DELETE FROM messages WHERE channel = ?1", 0},                                            \
        {STEP_RUN,                                                                                           \
         "UPDATE index_position SET position = (SELECT COALESCE(MAX(rowid), 0) FROM entries)"                \
         " WHERE position > (SELECT COALESCE(MAX(rowid), 0) FROM entries)",                                  \
         0}
#define LAST_ROWID {STEP_ROWS, "SELECT COALESCE(MAX(rowid), 0) FROM entries", 0}

const struct store_operation STORE_CONVERSATION_TRIM = {
    "conversation trim",
    true,
    1,
    {
        FORGET_ENTRIES,
        {STEP_RUN, "UPDATE conversations SET trimmed = 1 WHERE channel = ?1", 0},
        LAST_ROWID,
    }};

const struct store_operation STORE_CONVERSATION_DROP = {
    "conversation drop",
    true,
    1,
    {
        FORGET_ENTRIES,
        {STEP_RUN, "DELETE FROM conversations WHERE channel = ?1", 0},
        {STEP_RUN, "DELETE FROM channels WHERE channel = ?1", 0},
        LAST_ROWID,
    }};

const struct store_operation STORE_KEEP_SET = {
    "keep set",
    true,
    2,
    {
        {STEP_RUN, "DELETE FROM unkept_accounts WHERE account = ?1 AND ?2 = 1", 0},
        {STEP_RUN, "INSERT INTO unkept_accounts (account) SELECT ?1 WHERE ?2 = 0 ON CONFLICT DO NOTHING", 0},
    }};

const struct store_operation STORE_KEEP_NOT = {
    "keep not", false, 1, {{STEP_ROWS, "SELECT 1 FROM unkept_accounts WHERE account = ?1", 0}}};

/* --- reading --- */

#define COLUMNS                                                                                              \
    "m.channel, m.author, m.seq, m.kind, m.entry, m.time_ms, m.place_ms, m.account, m.text, m.hidden, m.id"
#define READABLE                                                                                             \
    {STEP_MUST, "SELECT 1 FROM rooms WHERE channel = ?1", ERR_NOT_FOUND},                                    \
        {STEP_MUST,                                                                                          \
         "SELECT 1 WHERE ?3 = 1 OR EXISTS (SELECT 1 FROM room_members WHERE channel = ?1 AND account = ?2"   \
         " AND state = 1)",                                                                                  \
         ERR_DENIED},                                                                                        \
    {                                                                                                        \
        STEP_MUST, "SELECT 1 FROM rooms WHERE channel = ?1 AND nonce IS NULL", ERR_WRONG_STATE               \
    }

const struct store_operation STORE_HISTORY_BEFORE = {
    "history before",
    false,
    7,
    {
        READABLE,
        {STEP_ROWS,
         "SELECT " COLUMNS
         " FROM messages m WHERE m.channel = ?1 AND (m.place_ms, m.author, m.seq) < (?4, ?5, ?6)"
         " AND m.hidden = 0 ORDER BY m.place_ms DESC, m.author DESC, m.seq DESC LIMIT ?7",
         0},
    }};

const struct store_operation STORE_HISTORY_AFTER = {
    "history after",
    false,
    7,
    {
        READABLE,
        {STEP_ROWS,
         "SELECT " COLUMNS
         " FROM messages m WHERE m.channel = ?1 AND (m.place_ms, m.author, m.seq) > (?4, ?5, ?6)"
         " AND m.hidden = 0 ORDER BY m.place_ms, m.author, m.seq LIMIT ?7",
         0},
    }};

/* SQLite's own full-text index; another engine has other words for it. */
const struct store_operation STORE_SEARCH = {
    "search",
    false,
    5,
    {{STEP_ROWS,
      "SELECT " COLUMNS ", snippet(messages_words, 0, char(2), char(3), '…', 24) FROM messages_words"
      " JOIN messages m ON m.id = messages_words.rowid"
      " JOIN room_members r ON r.channel = m.channel AND r.account = ?2 AND r.state = 1"
      " WHERE messages_words MATCH ?1 AND m.hidden = 0 AND (?3 IS NULL OR m.channel = ?3)"
      " AND messages_words.rowid < ?4 ORDER BY messages_words.rowid DESC LIMIT ?5",
      0}}};

/* --- what is new --- */

/* Of one channel `c`, whose marker is in `k`, since `since`. */
#define NEW_IN(c, since)                                                                                     \
    "(SELECT COUNT(*) FROM (SELECT 1 FROM messages m WHERE m.channel = " c                                   \
    " AND (m.place_ms, m.author, m.seq) > (COALESCE(k.place_ms, " since "), COALESCE(k.author, x''),"        \
    " COALESCE(k.seq, 0)) AND m.kind IN " WORDS_OF_PERSONS                                                   \
    " AND m.hidden = 0 AND m.account <> ?2 LIMIT 1000))"
#define MENTIONS_IN(c)                                                                                       \
    "(SELECT COUNT(*) FROM mentions n JOIN messages m ON m.id = n.message WHERE n.account = ?1"              \
    " AND n.seen = 0 AND m.channel = " c " AND m.hidden = 0)"
#define MARKER(c) " LEFT JOIN read_markers k ON k.account = ?1 AND k.channel = " c
#define ROOMS_NEW                                                                                            \
    "SELECT r.channel, k.place_ms, k.author, k.seq, " NEW_IN("r.channel", "r.since_ms") ", " MENTIONS_IN(    \
        "r.channel") " FROM room_members r" MARKER("r.channel") " WHERE r.account = ?1 AND r.state = 1"
#define TALKS_NEW                                                                                            \
    "SELECT d.channel, k.place_ms, k.author, k.seq, " NEW_IN(                                                \
        "d.channel",                                                                                         \
        "0") ", 0 FROM conversations d" MARKER("d.channel") " WHERE (d.one = ?2 OR d.other = ?2)"

const struct store_operation STORE_UNREAD = {
    "unread", false, 2, {{STEP_ROWS, ROOMS_NEW " LIMIT 500", 0}, {STEP_ROWS, TALKS_NEW " LIMIT 499", 0}}};

const struct store_operation STORE_UNREAD_IN = {
    "unread in",
    false,
    3,
    {{STEP_ROWS, ROOMS_NEW " AND r.channel = ?3", 0}, {STEP_ROWS, TALKS_NEW " AND d.channel = ?3", 0}}};

const struct store_operation STORE_MARK_READ = {
    "mark read",
    true,
    7,
    {
        {STEP_MUST,
         "SELECT 1 WHERE EXISTS (SELECT 1 FROM room_members WHERE channel = ?3 AND account = ?1 AND state = "
         "1)"
         " OR EXISTS (SELECT 1 FROM conversations WHERE channel = ?3 AND (one = ?2 OR other = ?2))",
         ERR_DENIED},
        {STEP_RUN,
         "INSERT INTO read_markers (account, channel, place_ms, author, seq) VALUES (?1, ?3, ?4, ?5, ?6)"
         " ON CONFLICT (account, channel) DO UPDATE SET place_ms = ?4, author = ?5, seq = ?6 WHERE ?7 = 1"
         " OR (?4, ?5, ?6) > (read_markers.place_ms, read_markers.author, read_markers.seq)",
         0},
        /* What was read was seen. */
        {STEP_RUN,
         "UPDATE mentions SET seen = 1 WHERE account = ?1 AND seen = 0 AND ?7 = 0 AND message IN"
         " (SELECT m.id FROM messages m JOIN read_markers k ON k.account = ?1 AND k.channel = ?3"
         " WHERE m.channel = ?3 AND (m.place_ms, m.author, m.seq) <= (k.place_ms, k.author, k.seq)"
         " AND m.id IN (SELECT message FROM mentions WHERE account = ?1 AND seen = 0))",
         0},
    }};

const struct store_operation STORE_MENTIONS = {
    "mentions",
    false,
    3,
    {{STEP_ROWS,
      "SELECT " COLUMNS ", n.seen FROM mentions n JOIN messages m ON m.id = n.message"
      " JOIN room_members r ON r.channel = m.channel AND r.account = ?1 AND r.state = 1"
      " WHERE n.account = ?1 AND n.message < ?2 AND m.hidden = 0 ORDER BY n.message DESC LIMIT ?3",
      0}}};

const struct store_operation STORE_MENTIONS_SEEN = {
    "mentions seen",
    true,
    2,
    {{STEP_RUN, "UPDATE mentions SET seen = 1 WHERE account = ?1 AND message <= ?2 AND seen = 0", 0}}};

const struct store_operation STORE_MENTIONS_NEW = {"mentions new",
                                                   false,
                                                   1,
                                                   {{STEP_ROWS,
                                                     "SELECT COUNT(*) FROM mentions n JOIN messages m ON "
                                                     "m.id = n.message WHERE n.account = ?1 AND n.seen = 0"
                                                     " AND m.hidden = 0",
                                                     0}}};
