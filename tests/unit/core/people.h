/* people.h - set-ups that several tests share: persons at a tracker, their private channels and
 * conversations. */
#ifndef TEST_PEOPLE_H
#define TEST_PEOPLE_H

#include "world.h"

/* The tracker's replica at place 0 and a person of each of these accounts at 1 and up, in the channel
 * "general"; without links. The list ends with NULL. */
struct world *people_new(const char *const *accounts);
/* The same, each linked to the tracker, a second later. Links have the numbers 0 and up, by place. */
struct world *people_online(const char *const *accounts);

/* The world speaks of this channel from now on; nobody has opened it yet. */
struct channel_spec people_private(struct world *w, int founder);
struct channel_spec people_direct(struct world *w, const char *a, const char *b);
/* The founder opens a private channel and adds these accounts; two seconds later. The list ends with NULL. */
struct channel_spec people_found(struct world *w, int founder, const char *const *accounts);

#endif
