/* presence.h - who is told that a device has come or gone. Private to src/tracker.
 *
 * Somebody is seen by the own devices; by friends; by who shares a channel; and by who is in a conversation
 * with them that both have opened (reach.h). Not by anybody who is blocked, in either direction, and not
 * while one does not want to be seen, but by own devices and in such conversations.
 *
 * In a channel with more than PRESENCE_LARGE devices online that is not told to each of them, because 15,000
 * that come back at once would be 225,000,000 messages: who comes is introduced to PRESENCE_INTRODUCED of the
 * others, everybody is told now and then how many there are, and the list is asked for in pages.
 * docs/decisions/0026-presence.md.
 *
 * Rules: as person.h. */
#ifndef TRACKER_PRESENCE_H
#define TRACKER_PRESENCE_H

#include "tracker/person.h"

enum {
    /* A device takes at most some 600 bytes of JSON, so this many stay below the 64 KiB of a frame. */
    PRESENCE_DEVICES_MAX = 96,
    PRESENCE_LARGE = 200,       /* devices online; above this a channel is large, ... */
    PRESENCE_SMALL_AGAIN = 150, /* ... and at this it is small again */
    PRESENCE_INTRODUCED = 16,
};

/* Whether the one is told of the other, and may reach its devices. */
bool presence_sees(const struct person *viewer, const struct person *target);

/* The device is online: it gets the list as soon as the database has said what its account may see. The seat
 * holds the person from now on. */
void presence_came(struct tracker *tracker, struct seat *seat, struct person *person);
/* It is online no longer. Nothing when the seat is none. */
void presence_went(struct tracker *tracker, struct seat *seat);
/* The same device has another seat now, or is about to have one: nobody is told that it went. */
void presence_replaced(struct tracker *tracker, struct seat *seat);
/* The socket takes more again. */
void presence_drained(struct tracker *tracker, struct seat *seat);

/* News to all sockets and outlets of a person that are here; len bytes of JSON. */
void presence_tell(struct tracker *tracker, struct person *person, const char *text, size_t len);

/* --- for person.c --- */

/* Those who see a person now. */
struct audience {
    struct person **people;
    size_t count;
};
void presence_audience(struct tracker *tracker, struct person *person, struct audience *out);
/* It was read from the database; `before` saw it until then (freed here). */
void presence_loaded(struct tracker *tracker, struct person *person, struct audience *before);
/* Does a part of what waits; true when more does. */
bool presence_due(struct tracker *tracker);

/* --- for reach.c and events.c --- */

/* What counts as being here has changed: an address, an outlet, a conversation. */
void presence_reach_changed(struct tracker *tracker, struct person *person);
/* A conversation of the two was begun or has ended; before: whether the first saw the other, and the other
 * way. */
void presence_talk_changed(struct tracker *tracker, struct person *person, struct person *other,
                           const bool before[2]);
/* The list, as one message after the other. */
void presence_list_for(struct tracker *tracker, struct person *viewer,
                       bool (*take)(void *context, json_t *message), void *context, const struct seat *but);

/* --- for calls --- */

/* How an account is, as a person sees it: {"status", "devices", "addresses"}; "offline" with nothing when it
 * may not know. */
json_t *presence_of_account(struct tracker *tracker, const struct person *viewer, int64_t account);
/* People of a channel who are here, by account number from `after` on: an array of {"account", "devices"};
 * *after is the last one, 0 when there are no more. */
json_t *presence_page(const struct person *viewer, const struct group *group, size_t limit, int64_t *after);
/* {"channel", "online", "devices"}: how many there are, and some of them. */
json_t *presence_introduction(const struct person *viewer, const struct group *group);
/* How many people of the channel are seen to be here. */
static inline uint32_t presence_count(const struct group *group)
{
    return group->count - group->hidden;
}

#endif
