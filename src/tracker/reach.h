/* reach.h - what only some people have: addresses at which native peers of theirs listen, and conversations
 * in which they want to be seen. Private to src/tracker.
 *
 * A conversation counts when both sides have said it: then each sees the other, also when they are no friends
 * and share no channel. It ends when one of them says so, or has gone.
 *
 * Rules: as person.h. Bounds: below; ERR_FULL. */
#ifndef TRACKER_REACH_H
#define TRACKER_REACH_H

#include "tracker/person.h"

enum {
    ADDRESSES_MAX = 4,   /* of one account */
    TALKS_WITH_MAX = 64, /* accounts, of one */
    ADDRESS_IP_BYTES = 46,
};

struct address {
    char ip[ADDRESS_IP_BYTES];
    uint16_t port;
};

struct reach {
    struct address addresses[ADDRESSES_MAX];
    size_t address_count;
    int64_t *talks; /* accounts */
    size_t talk_count;
};

/* A native peer of this account listens there (or not any more); everybody who sees the account is told at
 * once. It counts as being here. ERR_FULL, ERR_MEMORY. */
int presence_address(struct tracker *tracker, int64_t account, slice name, const char *ip, uint16_t port,
                     bool there) BASE_CHECKED;

bool reach_talks_with(const struct person *person, int64_t other);
/* The person wants to be seen by that account, or not any more; both are told what that changes. ERR_FULL,
 * ERR_MEMORY; ending what is not there is fine. */
int presence_talk(struct tracker *tracker, struct person *person, int64_t account, bool open) BASE_CHECKED;
peers_handler reach_talk_elsewhere;
void reach_end_talks(struct tracker *tracker, struct person *person);
void reach_free(struct person *person);
static inline size_t reach_addresses(const struct person *person)
{
    return person->reach ? person->reach->address_count : 0;
}

#endif
