/* person.h - the accounts of which somebody is here: what they have to do with each other, and their devices.
 *
 * A person is made when its first socket comes (here or at another process), is read from the database once,
 * and goes when the last one has gone. What is kept of it is small, because there may be 20,000: friends and
 * blocked accounts as sorted numbers, channels as places in groups, and what few people use in a block of its
 * own.
 *
 * What the database says may change, here or by another process: person_changed reads it again, and then
 * presence.c tells anew who sees whom.
 *
 * Rules
 *   Thread: the tracker's.
 *   Life:   person_hold and person_release come in pairs; a seat holds its person.
 *   Bounds: PEOPLE_FRIENDS_MAX and PEOPLE_BLOCKED_MAX relations, ROOMS_OF_ACCOUNT_MAX groups, SEATS_MAX. */
#ifndef TRACKER_PERSON_H
#define TRACKER_PERSON_H

#include "tracker/peers.h"
#include "tracker/state.h"

enum { SEATS_MAX = 256 }; /* devices of one account that are online at one time */

struct person;
struct outlet; /* events.c */
struct reach;  /* reach.h */

/* A device that is online: part of a client, or of a remote. */
struct seat {
    struct person *person; /* NULL: not online */
    struct seat *next;     /* of the same person */
    char *label;           /* NULL: none */
    uint32_t client;       /* number of the socket; 0: it is at another process */
    uint8_t device[ID_BYTES];
    bool shown; /* others have been told, as far as they may know */
    bool stale; /* missed changes: gets the whole list anew */
};

/* The people of one channel who are here. */
struct group {
    struct group *next;
    uint8_t id[ID_BYTES];
    struct person **members; /* by account */
    uint32_t count, cap;
    uint32_t places; /* that lead here, of people who are here or are about to be */
    uint32_t seats;  /* of all members */
    uint32_t hidden; /* of the members: those who are invisible */
    bool large;      /* its members are not told of each other one by one */
    bool counted;    /* how many there are has changed since that was told */
    uint64_t told_ms;
    uint32_t telling; /* so many of the members are still to be told */
};
struct place {
    struct group *group;
    bool in; /* somebody of this account is here, so it is among the members */
};

struct person {
    int64_t account;
    struct person *next; /* in its bucket */
    struct seat *seats;
    struct outlet *outlets; /* ways that news go out on besides sockets */
    struct reach *reach;    /* NULL: nothing of it */
    int64_t *relations;     /* 2 x account, + 1 when blocked; rising */
    struct place *places;
    uint64_t seen_ms; /* when it was here last, while it is not */
    uint32_t holds, mark;
    uint16_t relation_count, place_count, seat_count;
    uint8_t name_len;
    bool loaded, loading, again; /* again: what is being read has changed meanwhile */
    bool invisible;
    bool here;         /* somebody is, and the groups know */
    bool seen_due;     /* seen_ms is known here only: it is to be written, or ... */
    bool seen_writing; /* ... on its way */
    char name[];       /* with NUL */
};

struct people; /* of a tracker */

int people_open(struct tracker *tracker) BASE_CHECKED;
/* Before the store is closed: when everybody was here last is written. */
void people_stop(struct tracker *tracker);
void people_close(struct tracker *tracker);

/* The person of this account, made when there is none, and held. NULL: no memory. */
struct person *person_hold(struct tracker *tracker, int64_t account, slice name);
void person_release(struct tracker *tracker, struct person *person);
/* NULL: nobody of this account is known to be here. */
struct person *person_find(const struct tracker *tracker, int64_t account);
/* Visits all: start with *at = 0, *person = NULL. */
struct person *person_next(const struct tracker *tracker, size_t *at, struct person *last);

/* What the database says of this account has changed: relations, channels, whether it wants to be seen. Tells
 * the other processes. */
void people_changed(struct tracker *tracker, int64_t account);
peers_handler people_changed_elsewhere;
/* presence_due is to be called after so many milliseconds, or before. */
void people_wake(struct tracker *tracker, uint64_t ms);

/* people_calls.c: adds the list of friends to the answer of a login. For accounts_config.greet. */
void people_greet(void *tracker, int64_t account, account_greeted *done, void *token);

bool person_is_friend(const struct person *person, int64_t other);
bool person_blocks(const struct person *person, int64_t other);
/* The group of that channel, or NULL; among the places of the person. */
struct group *person_group(const struct person *person, const uint8_t channel[ID_BYTES]);

/* Somebody is here now, or nobody any more: into the groups, or out of them. For presence.c. */
void person_arrive(struct tracker *tracker, struct person *person);
void person_depart(struct tracker *tracker, struct person *person);
/* The first member whose account is at least this one. */
uint32_t group_from(const struct group *group, int64_t account);
/* All groups: the next one after `last`, NULL: the first. */
struct group *group_next(const struct tracker *tracker, struct group *last);
/* A number that no person has as its mark. */
uint32_t people_mark(struct tracker *tracker);

#endif
