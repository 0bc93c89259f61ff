#include "tracker/reach.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "tracker/peers.h"
#include "tracker/presence.h"

static struct reach *reach_of(struct person *person)
{
    if (!person->reach) person->reach = calloc(1, sizeof *person->reach);
    return person->reach;
}

static void drop_if_empty(struct person *person)
{
    struct reach *reach = person->reach;
    if (!reach || reach->address_count || reach->talk_count) return;
    free(reach->talks);
    free(reach);
    person->reach = NULL;
}

void reach_free(struct person *person)
{
    if (!person->reach) return;
    free(person->reach->talks);
    free(person->reach);
    person->reach = NULL;
}

/* --- conversations --- */

bool reach_talks_with(const struct person *person, int64_t other)
{
    for (size_t i = 0; person->reach && i < person->reach->talk_count; i++) {
        if (person->reach->talks[i] == other) return true;
    }
    return false;
}

static int reach_talk(struct person *person, int64_t other, bool open)
{
    if (reach_talks_with(person, other) == open) return OK;
    struct reach *reach = reach_of(person);
    if (!reach) return ERR_MEMORY;
    if (open) {
        if (reach->talk_count == TALKS_WITH_MAX) return ERR_FULL;
        if (!reach->talks) reach->talks = malloc(TALKS_WITH_MAX * sizeof *reach->talks);
        if (reach->talks) reach->talks[reach->talk_count++] = other;
    } else {
        for (size_t i = 0; i < reach->talk_count; i++) {
            if (reach->talks[i] == other) reach->talks[i] = reach->talks[--reach->talk_count];
        }
    }
    bool kept = !open || reach->talks;
    drop_if_empty(person);
    return kept ? OK : ERR_MEMORY;
}

static int talk_here(struct tracker *tracker, struct person *person, int64_t account, bool open)
{
    struct person *other = person_find(tracker, account);
    const bool before[2] = {other && presence_sees(person, other), other && presence_sees(other, person)};
    int err = reach_talk(person, account, open);
    if (!err && other) presence_talk_changed(tracker, person, other, before);
    return err;
}

int presence_talk(struct tracker *tracker, struct person *person, int64_t account, bool open)
{
    uint8_t room[40];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_array(&w, 3);
    cbor_put_uint(&w, (uint64_t)person->account);
    cbor_put_uint(&w, (uint64_t)account);
    cbor_put_uint(&w, open);
    peers_publish(tracker, PEERS_TALK, writer_slice(&w));
    return talk_here(tracker, person, account, open);
}

void reach_talk_elsewhere(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)peer;
    struct cbor_reader r = {message, false};
    if (cbor_array(&r, 16) < 3) r.failed = true;
    int64_t account = (int64_t)cbor_uint(&r, INT64_MAX), other = (int64_t)cbor_uint(&r, INT64_MAX);
    bool open = cbor_uint(&r, 1);
    struct person *person = r.failed ? NULL : person_find(tracker, account);
    /* Without memory they do not see each other from here. */
    if (person && talk_here(tracker, person, other, open))
        tracker_log_some(tracker, LOG_PEERS, "a conversation is not known here");
}

void reach_end_talks(struct tracker *tracker, struct person *person)
{
    while (person->reach && person->reach->talk_count) {
        int err = talk_here(tracker, person, person->reach->talks[0], false);
        assert(!err);
    }
}

/* --- addresses --- */

static struct address *address_find(struct reach *reach, const char *ip, uint16_t port)
{
    for (size_t i = 0; i < reach->address_count; i++) {
        struct address *address = &reach->addresses[i];
        if (address->port == port && strcmp(address->ip, ip) == 0) return address;
    }
    return NULL;
}

static int address_add(struct tracker *tracker, int64_t account, slice name, const char *ip, uint16_t port)
{
    struct person *person = person_hold(tracker, account, name); /* released with the address */
    if (!person) return ERR_MEMORY;
    struct reach *reach = reach_of(person);
    int err = reach ? OK : ERR_MEMORY;
    bool known = !err && address_find(reach, ip, port);
    if (!err && !known && reach->address_count == ADDRESSES_MAX) err = ERR_FULL;
    if (err || known) {
        drop_if_empty(person);
        person_release(tracker, person);
        return err;
    }
    struct address *address = &reach->addresses[reach->address_count++];
    memcpy(address->ip, ip, strlen(ip) + 1);
    address->port = port;
    presence_reach_changed(tracker, person);
    return OK;
}

static void address_remove(struct tracker *tracker, int64_t account, const char *ip, uint16_t port)
{
    struct person *person = person_find(tracker, account);
    struct address *address = person && person->reach ? address_find(person->reach, ip, port) : NULL;
    if (!address) return;
    struct reach *reach = person->reach;
    *address = reach->addresses[--reach->address_count];
    drop_if_empty(person);
    presence_reach_changed(tracker, person);
    person_release(tracker, person);
}

int presence_address(struct tracker *tracker, int64_t account, slice name, const char *ip, uint16_t port,
                     bool there)
{
    if (strlen(ip) >= ADDRESS_IP_BYTES) return ERR_INVALID;
    if (there) return address_add(tracker, account, name, ip, port);
    address_remove(tracker, account, ip, port);
    return OK;
}
