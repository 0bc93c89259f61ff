#include "tracker/presence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"
#include "tracker/events.h"
#include "tracker/reach.h"
#include "tracker/socket.h"

/* A socket whose queue holds this much is told later, all at once. */
#define STALE_BYTES (1024 * 1024)

enum {
    LISTS_AT_ONCE = 32,   /* whole lists in one turn */
    COUNTS_AT_ONCE = 500, /* messages that tell how many there are, in one turn */
    COUNTS_PAUSE_MS = 10000,
};

/* --- who sees whom --- */

static bool share_a_channel(const struct person *a, const struct person *b)
{
    for (size_t i = 0; i < a->place_count; i++) {
        for (size_t k = 0; k < b->place_count; k++) {
            if (a->places[i].group == b->places[k].group) return true;
        }
    }
    return false;
}

static bool talk(const struct person *a, const struct person *b)
{
    return reach_talks_with(a, b->account) && reach_talks_with(b, a->account);
}

bool presence_sees(const struct person *viewer, const struct person *target)
{
    if (viewer == target) return true;
    if (!viewer->loaded || !target->loaded || person_blocks(viewer, target->account) ||
        person_blocks(target, viewer->account))
        return false;
    if (talk(viewer, target)) return true;
    if (target->invisible) return false;
    return (person_is_friend(viewer, target->account) && person_is_friend(target, viewer->account)) ||
           share_a_channel(viewer, target);
}

typedef void visit_person(void *context, struct person *other);

struct round {
    uint32_t mark;
    visit_person *visit;
    void *context;
};

static void go_to(const struct round *round, struct person *other)
{
    if (!other || other->mark == round->mark) return;
    other->mark = round->mark;
    round->visit(round->context, other);
}

/* Visits everybody who may see this person or be seen by it, one by one, itself first; not the members of
 * large channels. */
static void go_round(struct tracker *tracker, struct person *person, visit_person *visit, void *context)
{
    struct round round = {people_mark(tracker), visit, context};
    go_to(&round, person);
    for (size_t i = 0; i < person->relation_count; i++) {
        if (!(person->relations[i] & 1)) go_to(&round, person_find(tracker, person->relations[i] / 2));
    }
    for (size_t i = 0; person->reach && i < person->reach->talk_count; i++)
        go_to(&round, person_find(tracker, person->reach->talks[i]));
    for (size_t i = 0; i < person->place_count; i++) {
        const struct group *group = person->places[i].group;
        for (size_t k = 0; !group->large && k < group->count; k++)
            go_to(&round, group->members[k]);
    }
}

/* --- the messages --- */

static json_t *device_of(const struct seat *seat, bool online, uint64_t seen_ms)
{
    char device[ID_TEXT_BYTES];
    hex_encode(slice_of(seat->device, ID_BYTES), device);
    return json_pack("{s:s,s:s,s:s,s:s,s:I}", "device", device, "account", seat->person->name, "label",
                     seat->label ? seat->label : "", "status", online ? "online" : "offline", "seen_ms",
                     (json_int_t)seen_ms);
}

static json_t *addresses_of(const struct person *person)
{
    json_t *addresses = json_array();
    for (size_t i = 0; i < reach_addresses(person); i++) {
        const struct address *address = &person->reach->addresses[i];
        json_array_append_new(addresses, json_pack("{s:s,s:i}", "ip", address->ip, "port", address->port));
    }
    return addresses;
}

static json_t *person_of(const struct person *person, bool online, uint64_t seen_ms)
{
    return json_pack("{s:s,s:s,s:I,s:o}", "account", person->name, "status", online ? "online" : "offline",
                     "seen_ms", (json_int_t)seen_ms, "addresses",
                     online ? addresses_of(person) : json_array());
}

static json_t *message_of(bool full, json_t *devices)
{
    return json_pack("{s:s,s:b,s:o}", "type", "presence", "full", full, "devices", devices);
}

/* --- telling --- */

static void tell_seats(struct tracker *tracker, struct person *person, const char *text, size_t len,
                       const struct seat *but, bool presence)
{
    for (struct seat *seat = person->seats; seat; seat = seat->next) {
        struct client *client = seat->client ? handles_get(&tracker->clients, seat->client) : NULL;
        if (!client || seat == but || client->phase != CLIENT_ONLINE) continue;
        if (presence && !seat->shown) continue; /* gets the whole list soon */
        if (presence && wr_socket_queued(client->socket) > STALE_BYTES)
            seat->stale = true;
        else
            client_send_text(client, text, len);
    }
}

void presence_tell(struct tracker *tracker, struct person *person, const char *text, size_t len)
{
    tell_seats(tracker, person, text, len, NULL, false);
    outlets_take(tracker, person, text, len);
}

struct change {
    struct tracker *tracker;
    struct person *person;
    const struct seat *seat; /* which is not told of itself */
    char *text;
    size_t len;
};

static void tell_viewer(void *context, struct person *viewer)
{
    const struct change *change = context;
    bool itself = viewer == change->person && !change->seat;
    if (itself || !presence_sees(viewer, change->person)) return;
    tell_seats(change->tracker, viewer, change->text, change->len, change->seat, true);
    outlets_take(change->tracker, viewer, change->text, change->len);
}

/* Tells everybody who sees the person; takes the message. */
static void tell_all(struct tracker *tracker, struct person *person, const struct seat *seat, json_t *message)
{
    struct change change = {.tracker = tracker, .person = person, .seat = seat};
    change.text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    change.len = slice_text(change.text).len;
    json_decref(message);
    if (change.text) go_round(tracker, person, tell_viewer, &change);
    free(change.text);
}

/* A device, and its person when that came or went with it. seat NULL: only the person. */
static json_t *news_of(struct tracker *tracker, const struct person *person, const struct seat *seat,
                       bool online, bool with_person)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    json_t *devices = json_array();
    if (seat) json_array_append_new(devices, device_of(seat, online, now_ms));
    json_t *message = message_of(false, devices);
    if (with_person && message)
        json_object_set_new(message, "people",
                            json_pack("[o]", person_of(person, person->here || online, now_ms)));
    return message;
}

/* --- the whole list, to one --- */

struct listing {
    struct person *viewer;
    const struct seat *but;
    json_t *devices, *people;
    uint64_t now_ms;
    bool full; /* no part has gone yet */
    bool ended;
    bool (*take)(void *context, json_t *message);
    void *context;
};

static void send_part(struct listing *listing)
{
    json_t *message = message_of(listing->full, listing->devices);
    if (message && json_array_size(listing->people)) json_object_set(message, "people", listing->people);
    json_decref(listing->people);
    listing->full = false;
    listing->ended = !listing->take(listing->context, message);
    listing->devices = json_array();
    listing->people = json_array();
}

static void list_person(void *context, struct person *other)
{
    struct listing *listing = context;
    if (!other->here || !presence_sees(listing->viewer, other)) return;
    if (!listing->ended && reach_addresses(other))
        json_array_append_new(listing->people, person_of(other, true, listing->now_ms));
    for (const struct seat *seat = other->seats; seat && !listing->ended; seat = seat->next) {
        if (seat != listing->but && seat->shown)
            json_array_append_new(listing->devices, device_of(seat, true, listing->now_ms));
        if (json_array_size(listing->devices) >= PRESENCE_DEVICES_MAX) send_part(listing);
    }
}

/* How many are in large channels, and some of them, from a random one on. */
json_t *presence_introduction(const struct person *viewer, const struct group *group)
{
    char channel[ID_TEXT_BYTES];
    uint32_t start;
    json_t *devices = json_array();
    hex_encode(slice_of(group->id, ID_BYTES), channel);
    crypto_native_random(&start, sizeof start);
    for (uint32_t i = 0; i < group->count && i < 4 * PRESENCE_INTRODUCED; i++) {
        const struct person *other = group->members[(start % group->count + i) % group->count];
        if (other == viewer || !other->seats || !presence_sees(viewer, other)) continue;
        json_array_append_new(devices, device_of(other->seats, true, 0));
        if (json_array_size(devices) == PRESENCE_INTRODUCED) break;
    }
    return json_pack("{s:s,s:i,s:o}", "channel", channel, "online", (int)presence_count(group), "devices",
                     devices);
}

void presence_list_for(struct tracker *tracker, struct person *viewer,
                       bool (*take)(void *context, json_t *message), void *context, const struct seat *but)
{
    struct listing listing = {.viewer = viewer,
                              .but = but,
                              .devices = json_array(),
                              .people = json_array(),
                              .now_ms = tracker_now_ms(tracker),
                              .full = true,
                              .take = take,
                              .context = context};
    go_round(tracker, viewer, list_person, &listing);
    if (!listing.ended &&
        (listing.full || json_array_size(listing.devices) || json_array_size(listing.people)))
        send_part(&listing);
    json_decref(listing.devices);
    json_decref(listing.people);
    for (size_t i = 0; i < viewer->place_count && !listing.ended; i++) {
        const struct group *group = viewer->places[i].group;
        if (!group->large) continue;
        json_t *message = presence_introduction(viewer, group);
        if (message) json_object_set_new(message, "type", json_string("introduction"));
        listing.ended = !take(context, message);
    }
}

static bool take_for_client(void *context, json_t *message)
{
    return client_send(context, message);
}

static void send_list(struct tracker *tracker, struct seat *seat)
{
    struct client *client = seat->client ? handles_get(&tracker->clients, seat->client) : NULL;
    seat->stale = false;
    if (client && client->phase == CLIENT_ONLINE)
        presence_list_for(tracker, seat->person, take_for_client, client, seat);
}

void presence_drained(struct tracker *tracker, struct seat *seat)
{
    if (seat->person && seat->shown && seat->stale) send_list(tracker, seat);
}

/* --- large channels --- */

static void make_stale(struct tracker *tracker, struct person *person)
{
    for (struct seat *seat = person->seats; seat; seat = seat->next)
        seat->stale = seat->client != 0;
    tracker->lists_wait = true;
    tracker->list_at = 0;
    people_wake(tracker, 1);
}

/* Becoming large, or small again, changes what all its members know: they get the list anew, a few at a time.
 */
static void look_at_groups(struct tracker *tracker, const struct person *person)
{
    for (size_t i = 0; i < person->place_count; i++) {
        struct group *group = person->places[i].group;
        bool large = group->seats > (group->large ? PRESENCE_SMALL_AGAIN : PRESENCE_LARGE);
        if (group->large && group->counted) people_wake(tracker, COUNTS_PAUSE_MS);
        if (large == group->large) continue;
        group->large = large;
        for (uint32_t k = 0; k < group->count; k++)
            make_stale(tracker, group->members[k]);
    }
}

static bool resend_lists(struct tracker *tracker)
{
    unsigned sent = 0;
    struct client *client;
    while (sent < LISTS_AT_ONCE) {
        client = handles_next(&tracker->clients, &tracker->list_at);
        if (!client) {
            tracker->list_at = 0;
            tracker->lists_wait = false;
            return false;
        }
        struct seat *seat = &client->seat;
        if (!seat->person || !seat->shown || !seat->stale ||
            wr_socket_queued(client->socket) > STALE_BYTES) /* presence_drained */
            continue;
        sent++;
        send_list(tracker, seat);
    }
    return true;
}

static void tell_count(struct tracker *tracker, struct group *group, uint32_t from, uint32_t to)
{
    char channel[ID_TEXT_BYTES], text[160];
    hex_encode(slice_of(group->id, ID_BYTES), channel);
    int len = snprintf(text, sizeof text, "{\"type\":\"online\",\"channel\":\"%s\",\"online\":%u}", channel,
                       (unsigned)presence_count(group));
    for (uint32_t i = from; i < to; i++)
        presence_tell(tracker, group->members[i], text, (size_t)len);
}

/* Members who come or go meanwhile may miss it once, or hear it twice. */
static bool tell_counts(struct tracker *tracker)
{
    bool more = false;
    uint64_t now_ms = tracker_now_ms(tracker);
    for (struct group *group = NULL; (group = group_next(tracker, group));) {
        if (group->large && group->counted && now_ms >= group->told_ms + COUNTS_PAUSE_MS) {
            group->counted = false;
            group->told_ms = now_ms;
            group->telling = group->count;
        }
        if (!group->telling) continue;
        uint32_t to = group->telling < group->count ? group->telling : group->count;
        uint32_t from = to > COUNTS_AT_ONCE ? to - COUNTS_AT_ONCE : 0;
        tell_count(tracker, group, from, to);
        group->telling = from;
        more = more || from;
    }
    return more;
}

bool presence_due(struct tracker *tracker)
{
    bool more = tracker->lists_wait && resend_lists(tracker);
    return tell_counts(tracker) || more;
}

/* --- coming and going --- */

static void count_seats(struct person *person, int change)
{
    person->seat_count = (uint16_t)(person->seat_count + change);
    for (size_t i = 0; i < person->place_count; i++) {
        struct group *group = person->places[i].group;
        if (person->places[i].in) group->seats = (uint32_t)((int64_t)group->seats + change);
    }
}

static bool is_here(const struct person *person)
{
    return person->seats || person->outlets || reach_addresses(person);
}

static void show(struct tracker *tracker, struct person *person, bool arrived)
{
    for (struct seat *seat = person->seats; seat; seat = seat->next) {
        if (seat->shown) continue;
        seat->shown = true;
        send_list(tracker, seat);
        tell_all(tracker, person, seat, news_of(tracker, person, seat, true, arrived));
        arrived = false;
    }
    outlets_list(tracker, person);
    if (arrived) tell_all(tracker, person, NULL, news_of(tracker, person, NULL, true, true));
}

/* After a change of what makes the person be here. */
static void settle(struct tracker *tracker, struct person *person, const struct seat *gone)
{
    bool was = person->here, is = is_here(person);
    if (!person->loaded) return;
    if (is && !was) person_arrive(tracker, person);
    if (!is && was) {
        person->here = false;
        tell_all(tracker, person, gone, news_of(tracker, person, gone, false, true));
        reach_end_talks(tracker, person);
        person_depart(tracker, person);
    } else if (gone) {
        tell_all(tracker, person, gone, news_of(tracker, person, gone, false, false));
    }
    if (is) show(tracker, person, !was);
    look_at_groups(tracker, person);
}

void presence_came(struct tracker *tracker, struct seat *seat, struct person *person)
{
    seat->person = person;
    seat->shown = seat->stale = false;
    seat->next = person->seats;
    person->seats = seat;
    person->holds++;
    count_seats(person, 1);
    settle(tracker, person, NULL);
}

static void unlink_seat(struct seat *seat)
{
    struct seat **link = &seat->person->seats;
    while (*link != seat)
        link = &(*link)->next;
    *link = seat->next;
    count_seats(seat->person, -1);
}

void presence_went(struct tracker *tracker, struct seat *seat)
{
    struct person *person = seat->person;
    if (!person) return;
    unlink_seat(seat);
    settle(tracker, person, seat->shown ? seat : NULL);
    seat->person = NULL;
    person_release(tracker, person);
}

void presence_replaced(struct tracker *tracker, struct seat *seat)
{
    struct person *person = seat->person;
    if (!person) return;
    unlink_seat(seat);
    seat->person = NULL;
    person_release(tracker, person);
}

void presence_reach_changed(struct tracker *tracker, struct person *person)
{
    bool was = person->here;
    settle(tracker, person, NULL);
    if (was && person->here) tell_all(tracker, person, NULL, news_of(tracker, person, NULL, true, true));
}

/* --- what an account may see has changed --- */

static void tell_one(struct tracker *tracker, struct person *viewer, struct person *person, bool online);

void presence_talk_changed(struct tracker *tracker, struct person *person, struct person *other,
                           const bool before[2])
{
    bool after[2] = {presence_sees(person, other), presence_sees(other, person)};
    if (after[0] != before[0] && other->here) tell_one(tracker, person, other, after[0]);
    if (after[1] != before[1] && person->here) tell_one(tracker, other, person, after[1]);
}

static void add_viewer(void *context, struct person *other)
{
    struct audience *audience = context;
    audience->people[audience->count++] = other;
}

void presence_audience(struct tracker *tracker, struct person *person, struct audience *out)
{
    size_t max = 1 + person->relation_count + (person->reach ? person->reach->talk_count : 0);
    for (size_t i = 0; i < person->place_count; i++)
        max += person->places[i].group->large ? 0 : person->places[i].group->count;
    *out = (struct audience){.people = malloc(max * sizeof(struct person *))};
    if (out->people) go_round(tracker, person, add_viewer, out);
    size_t seeing = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (presence_sees(out->people[i], person)) out->people[seeing++] = out->people[i];
    }
    out->count = seeing;
}

/* Tells one person that all devices of another one came, or went. */
static void tell_one(struct tracker *tracker, struct person *viewer, struct person *person, bool online)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    json_t *devices = json_array();
    for (const struct seat *seat = person->seats; seat; seat = seat->next)
        json_array_append_new(devices, device_of(seat, online, now_ms));
    json_t *message = message_of(false, devices);
    if (message) json_object_set_new(message, "people", json_pack("[o]", person_of(person, online, now_ms)));
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    size_t len = slice_text(text).len;
    if (text) {
        tell_seats(tracker, viewer, text, len, NULL, true);
        outlets_take(tracker, viewer, text, len);
    }
    free(text);
    json_decref(message);
}

static bool is_in(const struct audience *audience, const struct person *person)
{
    for (size_t i = 0; i < audience->count; i++) {
        if (audience->people[i] == person) return true;
    }
    return false;
}

void presence_loaded(struct tracker *tracker, struct person *person, struct audience *before)
{
    struct audience after = {0};
    if (!before->people) { /* for the first time, or there is no memory to be exact */
        make_stale(tracker, person);
        settle(tracker, person, NULL);
        return;
    }
    presence_audience(tracker, person, &after);
    for (size_t i = 0; i < before->count; i++) {
        if (before->people[i] != person && !is_in(&after, before->people[i]))
            tell_one(tracker, before->people[i], person, false);
    }
    for (size_t i = 0; i < after.count; i++) {
        if (after.people[i] != person && !is_in(before, after.people[i]))
            tell_one(tracker, after.people[i], person, true);
    }
    free(after.people);
    free(before->people);
    settle(tracker, person, NULL);
    make_stale(tracker, person); /* it may see others than before, too */
    outlets_stale(person);
    outlets_list(tracker, person);
}

/* --- for calls --- */

static json_t *devices_of(const struct person *person)
{
    json_t *devices = json_array();
    for (const struct seat *seat = person->seats; seat; seat = seat->next) {
        char device[ID_TEXT_BYTES];
        hex_encode(slice_of(seat->device, ID_BYTES), device);
        json_array_append_new(
            devices, json_pack("{s:s,s:s}", "device", device, "label", seat->label ? seat->label : ""));
    }
    return devices;
}

json_t *presence_of_account(struct tracker *tracker, const struct person *viewer, int64_t account)
{
    const struct person *person = person_find(tracker, account);
    bool seen = person && person->here && viewer && presence_sees(viewer, person);
    return json_pack("{s:s,s:o,s:o}", "status", seen ? "online" : "offline", "devices",
                     seen ? devices_of(person) : json_array(), "addresses",
                     seen ? addresses_of(person) : json_array());
}

json_t *presence_page(const struct person *viewer, const struct group *group, size_t limit, int64_t *after)
{
    json_t *people = json_array();
    uint32_t i = group_from(group, *after + 1);
    for (; i < group->count && json_array_size(people) < limit; i++) {
        const struct person *person = group->members[i];
        *after = person->account;
        if (!presence_sees(viewer, person)) continue;
        json_array_append_new(people,
                              json_pack("{s:s,s:o}", "account", person->name, "devices", devices_of(person)));
    }
    if (i == group->count) *after = 0;
    return people;
}
