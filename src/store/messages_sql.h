/* messages_sql.h - operations on what was said: the index of entries, history, search, counters of what is
 * new, mentions, export.
 *
 * Written as channels_sql.h. Those that do not write are meant for a store of their own on the same database
 * (a reader), so that they are in nobody's way. A "place" in a channel is (place_ms, author, seq), the order
 * of display. */
#ifndef STORE_MESSAGES_SQL_H
#define STORE_MESSAGES_SQL_H

#include "store/operation.h"

enum {
    INDEX_BATCH = 100,
    HISTORY_PAGE_MAX = 200,
    SEARCH_PAGE_MAX = 50,
    EXPORT_PAGE = 500,
    UNREAD_MAX = 1000, /* more are counted as so many */
};

/* --- the index --- */

/* name -> position (no row: 0) */
extern const struct store_operation STORE_INDEX_POSITION;
/* name, position */
extern const struct store_operation STORE_INDEX_MOVED;
/* position -> rowid, record; at most INDEX_BATCH, those of kinds that are indexed */
extern const struct store_operation STORE_INDEX_NEXT;
/* -> the largest rowid of entries */
extern const struct store_operation STORE_INDEX_END;
/* rowid, channel, author, seq, kind, entry id, time, place, account, text or NULL, hidden */
extern const struct store_operation STORE_INDEX_ADD;
/* rowid, channel, key of an account -> account, name of the room. Who wrote it, or is not there, gets none.
 */
extern const struct store_operation STORE_INDEX_MENTION;

/* --- direct conversations that the replica keeps --- */

enum { CONVERSATIONS_PAGE = 50 };
/* channel, one account, the other -> a row when one of them does not want it to be kept */
extern const struct store_operation STORE_CONVERSATION_PUT;
/* after (a channel, or x''), -> channel, one, other, entries, bytes, newest place_ms, 1: not to be kept,
 * trimmed */
extern const struct store_operation STORE_CONVERSATIONS_PAGE;
/* channel -> the largest rowid of entries that is left. What was said there goes; the replica takes the
 * newest only. */
extern const struct store_operation STORE_CONVERSATION_TRIM;
/* The same, and nothing is left of it. */
extern const struct store_operation STORE_CONVERSATION_DROP;
/* account, 1: its conversations are kept */
extern const struct store_operation STORE_KEEP_SET;
/* account -> a row when its conversations are not kept */
extern const struct store_operation STORE_KEEP_NOT;

/* --- reading --- */

enum message_column {
    MESSAGE_CHANNEL,
    MESSAGE_AUTHOR,
    MESSAGE_SEQ,
    MESSAGE_KIND,
    MESSAGE_ENTRY,
    MESSAGE_TIME_MS,
    MESSAGE_PLACE_MS,
    MESSAGE_ACCOUNT,
    MESSAGE_TEXT, /* of a MODERATE entry: JSON */
    MESSAGE_HIDDEN,
    MESSAGE_ID,
    MESSAGE_MORE, /* search: an excerpt with \x02 before and \x03 after each hit; mentions: whether it was
                     seen */
};

/* All take: channel, account, admin, and then a place, limit -> message_column but MORE. ERR_NOT_FOUND;
 * ERR_DENIED: not a member; ERR_WRONG_STATE: not an open room, so nothing can be read here. */
extern const struct store_operation STORE_HISTORY_BEFORE; /* newest first */
extern const struct store_operation STORE_HISTORY_AFTER;  /* oldest first; also for export: hidden ones too */
/* words (as FTS5 takes them), account, channel or NULL, before (an id), limit -> message_column, newest first
 */
extern const struct store_operation STORE_SEARCH;

/* --- what is new --- */

/* account, its name -> channel, place_ms, author, seq of the marker (NULL: none), how many are new, how many
 * mentions were not seen; of its rooms and conversations */
extern const struct store_operation STORE_UNREAD;
/* account, its name, channel -> the same for one channel. No row: it is not in it. */
extern const struct store_operation STORE_UNREAD_IN;
/* account, its name, channel, place_ms, author, seq, 1 if the marker may go back. ERR_DENIED: not in it; fine
 * when the marker is further on. */
extern const struct store_operation STORE_MARK_READ;

/* account, before (an id), limit -> message_column, newest first */
extern const struct store_operation STORE_MENTIONS;
/* account, up to (an id): seen */
extern const struct store_operation STORE_MENTIONS_SEEN;
/* account -> how many were not seen */
extern const struct store_operation STORE_MENTIONS_NEW;

#endif
