#include "tracker/person.h"

#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "crypto/native.h"
#include "store/people_sql.h"
#include "tracker/peers.h"
#include "tracker/presence.h"
#include "tracker/reach.h"

enum {
    LOADS_MAX = 256, /* read from the database at one time */
    BUCKETS_MIN = 64,
    RETRY_MS = 1000,
    TURN_MS = 20,
    SEEN_AT_ONCE = 512, /* written at one time */
    SEEN_PAUSE_MS = 1000,
};

struct people {
    struct person **buckets;
    size_t bucket_count, count; /* a power of two */
    uint64_t secret;
    struct group *groups;
    uint32_t mark;
    unsigned loads; /* under way */
    bool loads_wait, seen_wait;
    unsigned seen_writes; /* under way */
    uv_timer_t timer;
    bool ended;
};

/* --- the table --- */

static size_t bucket_of(const struct people *people, int64_t account)
{
    uint64_t x = ((uint64_t)account ^ people->secret) * 0x9e3779b97f4a7c15u;
    return (size_t)(x >> 32) & (people->bucket_count - 1);
}

struct person *person_find(const struct tracker *tracker, int64_t account)
{
    const struct people *people = tracker->people;
    struct person *person = people->buckets[bucket_of(people, account)];
    while (person && person->account != account)
        person = person->next;
    return person;
}

struct person *person_next(const struct tracker *tracker, size_t *at, struct person *last)
{
    const struct people *people = tracker->people;
    struct person *person = last ? last->next : NULL;
    while (!person && *at < people->bucket_count)
        person = people->buckets[(*at)++];
    return person;
}

/* Without memory the chains just grow longer. */
static void grow(struct people *people)
{
    struct people bigger = *people;
    bigger.bucket_count = 2 * people->bucket_count;
    bigger.buckets = calloc(bigger.bucket_count, sizeof *bigger.buckets);
    if (!bigger.buckets) return;
    for (size_t i = 0; i < people->bucket_count; i++) {
        struct person *person = people->buckets[i], *next;
        for (; person; person = next) {
            struct person **bucket = &bigger.buckets[bucket_of(&bigger, person->account)];
            next = person->next;
            person->next = *bucket;
            *bucket = person;
        }
    }
    free(people->buckets);
    *people = bigger;
}

static void insert(struct people *people, struct person *person)
{
    if (people->count++ >= people->bucket_count) grow(people);
    struct person **bucket = &people->buckets[bucket_of(people, person->account)];
    person->next = *bucket;
    *bucket = person;
}

static void drop_places(struct tracker *tracker, struct person *person);

static void person_free(struct tracker *tracker, struct person *person)
{
    struct people *people = tracker->people;
    struct person **link = &people->buckets[bucket_of(people, person->account)];
    while (*link != person)
        link = &(*link)->next;
    *link = person->next;
    people->count--;
    drop_places(tracker, person);
    reach_free(person);
    free(person->relations);
    free(person);
}

uint32_t people_mark(struct tracker *tracker)
{
    return ++tracker->people->mark;
}

/* --- relations --- */

static size_t relation_at(const struct person *person, int64_t wanted)
{
    size_t low = 0, high = person->relation_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (person->relations[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_relation(const struct person *person, int64_t wanted)
{
    size_t at = relation_at(person, wanted);
    return at < person->relation_count && person->relations[at] == wanted;
}

bool person_is_friend(const struct person *person, int64_t other)
{
    return has_relation(person, 2 * other);
}

bool person_blocks(const struct person *person, int64_t other)
{
    return has_relation(person, 2 * other + 1);
}

/* --- groups --- */

struct group *group_next(const struct tracker *tracker, struct group *last)
{
    return last ? last->next : tracker->people->groups;
}

struct group *person_group(const struct person *person, const uint8_t channel[ID_BYTES])
{
    for (size_t i = 0; i < person->place_count; i++) {
        if (memcmp(person->places[i].group->id, channel, ID_BYTES) == 0) return person->places[i].group;
    }
    return NULL;
}

static struct group *group_of(struct people *people, const uint8_t id[ID_BYTES])
{
    struct group *group = people->groups;
    while (group && memcmp(group->id, id, ID_BYTES) != 0)
        group = group->next;
    if (group) return group;
    group = calloc(1, sizeof *group);
    if (!group) return NULL;
    memcpy(group->id, id, ID_BYTES);
    group->next = people->groups;
    people->groups = group;
    return group;
}

static void group_release(struct people *people, struct group *group)
{
    struct group **link = &people->groups;
    if (--group->places) return;
    while (*link != group)
        link = &(*link)->next;
    *link = group->next;
    free(group->members);
    free(group);
}

uint32_t group_from(const struct group *group, int64_t account)
{
    uint32_t low = 0, high = group->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (group->members[middle]->account < account)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool enter(struct person *person, struct place *place)
{
    struct group *group = place->group;
    if (group->count == group->cap) {
        uint32_t cap = group->cap ? 2 * group->cap : 4;
        struct person **members = realloc(group->members, cap * sizeof *members);
        if (!members) return false;
        group->members = members;
        group->cap = cap;
    }
    uint32_t at = group_from(group, person->account);
    memmove(group->members + at + 1, group->members + at, (group->count - at) * sizeof *group->members);
    group->members[at] = person;
    group->count++;
    group->seats += person->seat_count;
    group->hidden += person->invisible;
    group->counted = true;
    place->in = true;
    return true;
}

static void leave(struct person *person, struct place *place)
{
    struct group *group = place->group;
    if (!place->in) return;
    uint32_t at = group_from(group, person->account);
    group->count--;
    memmove(group->members + at, group->members + at + 1, (group->count - at) * sizeof *group->members);
    group->seats -= person->seat_count;
    group->hidden -= person->invisible;
    group->counted = true;
    place->in = false;
}

/* Without memory a person is in fewer groups than it might: it sees less. */
void person_arrive(struct tracker *tracker, struct person *person)
{
    (void)tracker;
    person->here = true;
    for (size_t i = 0; i < person->place_count; i++) {
        if (!person->places[i].in && !enter(person, &person->places[i])) return;
    }
}

void person_depart(struct tracker *tracker, struct person *person)
{
    person->here = false;
    for (size_t i = 0; i < person->place_count; i++)
        leave(person, &person->places[i]);
    if (!person->invisible) {
        person->seen_ms = tracker_now_ms(tracker);
        person->seen_due = true;
    }
}

static void drop_places(struct tracker *tracker, struct person *person)
{
    for (size_t i = 0; i < person->place_count; i++) {
        leave(person, &person->places[i]);
        group_release(tracker->people, person->places[i].group);
    }
    free(person->places);
    person->places = NULL;
    person->place_count = 0;
}

/* --- reading it from the database --- */

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void add_place(struct tracker *tracker, struct person *person, const uint8_t channel[ID_BYTES])
{
    if (person_group(person, channel)) return;
    struct group *group = group_of(tracker->people, channel);
    if (!group) return;
    group->places++;
    person->places[person->place_count++] = (struct place){group, false};
}

static size_t count_kinds(const struct store_rows *rows, int64_t a, int64_t b)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        int64_t kind = store_at(rows, i, 0)->number;
        count += kind == a || kind == b;
    }
    return count;
}

/* Takes what the rows say. False: no memory, nothing has changed. */
static bool take_rows(struct tracker *tracker, struct person *person, const struct store_rows *rows)
{
    size_t relation_count = count_kinds(rows, PEOPLE_FRIEND, PEOPLE_BLOCKED);
    size_t place_count = count_kinds(rows, PEOPLE_CHANNEL, PEOPLE_CHANNEL);
    int64_t *relations = relation_count ? malloc(relation_count * sizeof *relations) : NULL;
    struct place *places = place_count ? malloc(place_count * sizeof *places) : NULL;
    if ((relation_count && !relations) || (place_count && !places)) {
        free(relations);
        free(places);
        return false;
    }
    drop_places(tracker, person);
    free(person->relations);
    person->relations = relations;
    person->places = places;
    person->relation_count = 0;
    person->invisible = false;
    for (size_t i = 0; i < rows->count; i++) {
        int64_t kind = store_at(rows, i, 0)->number;
        const struct store_value *value = store_at(rows, i, 1);
        if (kind == PEOPLE_SETTING) person->invisible = value->number != 0;
        if (kind == PEOPLE_FRIEND) relations[person->relation_count++] = 2 * value->number;
        if (kind == PEOPLE_BLOCKED) relations[person->relation_count++] = 2 * value->number + 1;
        if (kind == PEOPLE_CHANNEL && value->bytes.len == ID_BYTES)
            add_place(tracker, person, value->bytes.ptr);
    }
    if (relations) qsort(relations, relation_count, sizeof *relations, compare_numbers);
    return true;
}

struct loading {
    struct tracker *tracker;
    struct person *person;
};

static void loaded(void *context, int result, const struct store_rows *rows)
{
    struct loading *loading = context;
    struct tracker *tracker = loading->tracker;
    struct person *person = loading->person;
    free(loading);
    tracker->people->loads--;
    person->loading = false;
    if (!result && !tracker->stopping) {
        struct audience before = {0};
        if (person->loaded) presence_audience(tracker, person, &before);
        if (take_rows(tracker, person, rows)) {
            person->loaded = true;
            if (person->here) person_arrive(tracker, person);
            presence_loaded(tracker, person, &before);
        } else {
            free(before.people);
            person->again = true;
        }
    } else if (result && result != ERR_CLOSED) {
        tracker_log_some(tracker, LOG_STORE, "what an account may see was not read: %s", err_text(result));
        person->again = true;
    }
    if (person->again) tracker->people->loads_wait = true;
    person_release(tracker, person);
    if (tracker->people->loads_wait) people_wake(tracker, result ? RETRY_MS : 1);
}

/* False: not now. */
static bool load(struct tracker *tracker, struct person *person)
{
    struct people *people = tracker->people;
    if (people->loads >= LOADS_MAX) return false;
    struct loading *loading = malloc(sizeof *loading);
    if (!loading) return false;
    *loading = (struct loading){tracker, person};
    const struct store_value values[] = {store_number(person->account)};
    if (store_ask(tracker->store, &PEOPLE_OPEN, values, 1, loaded, loading)) {
        free(loading);
        return false;
    }
    person->loading = true;
    person->again = false;
    person->holds++;
    people->loads++;
    return true;
}

static void read_again(struct tracker *tracker, struct person *person)
{
    person->again = true;
    if (person->loading || load(tracker, person)) return;
    tracker->people->loads_wait = true;
    people_wake(tracker, RETRY_MS / 10);
}

static void load_more(struct tracker *tracker)
{
    struct person *person = NULL;
    tracker->people->loads_wait = false;
    for (size_t at = 0; (person = person_next(tracker, &at, person));) {
        if (!person->again || person->loading) continue;
        if (load(tracker, person)) continue;
        tracker->people->loads_wait = true;
        return;
    }
}

/* --- when somebody was here last --- */

struct seen_write {
    struct tracker *tracker;
    int64_t account;
    uint64_t seen_ms;
};

/* Until now it was known here only: what was asked of the database before has been answered before. */
static void seen_written(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct seen_write write = *(struct seen_write *)context;
    struct tracker *tracker = write.tracker;
    free(context);
    tracker->people->seen_writes--;
    if (result && result != ERR_CLOSED)
        tracker_log_some(tracker, LOG_STORE, "when somebody was here was not kept: %s", err_text(result));
    struct person *person = tracker->people->ended ? NULL : person_find(tracker, write.account);
    if (!person) return;
    person->seen_writing = false;
    if (person->seen_ms == write.seen_ms) person->seen_due = false;
    if (person->seen_due) { /* it has come and gone meanwhile */
        tracker->people->seen_wait = true;
        people_wake(tracker, SEEN_PAUSE_MS);
    } else if (!person->holds) {
        person_free(tracker, person);
    }
}

static bool write_seen(struct tracker *tracker, struct person *person)
{
    const struct store_value values[] = {store_number(person->account),
                                         store_number((int64_t)person->seen_ms)};
    struct seen_write *write = tracker->people->seen_writes < SEEN_AT_ONCE ? malloc(sizeof *write) : NULL;
    if (!write) return false;
    *write = (struct seen_write){tracker, person->account, person->seen_ms};
    if (store_ask(tracker->store, &PEOPLE_SEEN, values, 2, seen_written, write)) {
        free(write);
        return false;
    }
    tracker->people->seen_writes++;
    person->seen_writing = true;
    return true;
}

/* Whoever is here again needs no writing: what counts is when it leaves. */
static void write_all_seen(struct tracker *tracker)
{
    struct people *people = tracker->people;
    people->seen_wait = false;
    for (size_t i = 0; i < people->bucket_count; i++) {
        struct person *person = people->buckets[i], *next;
        for (; person; person = next) {
            next = person->next;
            if (person->here) person->seen_due = false;
            if (person->seen_due && !person->seen_writing && !write_seen(tracker, person)) {
                people->seen_wait = true;
                return;
            }
            if (!person->holds && !person->seen_due) person_free(tracker, person);
        }
    }
}

static void due(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    if (tracker->people->loads_wait) load_more(tracker);
    if (tracker->people->seen_wait) write_all_seen(tracker);
    if (presence_due(tracker)) people_wake(tracker, TURN_MS);
    if (tracker->people->loads_wait) people_wake(tracker, RETRY_MS);
    if (tracker->people->seen_wait) people_wake(tracker, SEEN_PAUSE_MS / 10);
}

void people_wake(struct tracker *tracker, uint64_t ms)
{
    uv_timer_t *timer = &tracker->people->timer;
    if (tracker->people->ended || (uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= ms))
        return;
    uv_timer_start(timer, due, ms, 0);
}

/* --- holding --- */

struct person *person_hold(struct tracker *tracker, int64_t account, slice name)
{
    struct person *person = person_find(tracker, account);
    if (!person) {
        size_t len = name.len <= UINT8_MAX ? name.len : UINT8_MAX;
        person = calloc(1, sizeof *person + len + 1);
        if (!person) return NULL;
        person->account = account;
        if (len) memcpy(person->name, name.ptr, len);
        person->name_len = (uint8_t)len;
        insert(tracker->people, person);
    }
    person->holds++;
    if (!person->loaded && !person->loading && !person->again) read_again(tracker, person);
    return person;
}

static void people_changed_here(struct tracker *tracker, int64_t account)
{
    struct person *person = person_find(tracker, account);
    if (person && (person->loaded || person->loading)) read_again(tracker, person);
}

/* Who has left stays until that is written; those who leave together are written together. */
void person_release(struct tracker *tracker, struct person *person)
{
    if (--person->holds) return;
    if (person->seen_due && !tracker->people->ended) {
        tracker->people->seen_wait = true;
        people_wake(tracker, SEEN_PAUSE_MS);
    } else {
        person_free(tracker, person);
    }
}

void people_changed(struct tracker *tracker, int64_t account)
{
    uint8_t room[16];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_uint(&w, (uint64_t)account);
    peers_publish(tracker, PEERS_PERSON, writer_slice(&w));
    people_changed_here(tracker, account);
}

void people_changed_elsewhere(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)peer;
    struct cbor_reader r = {message, false};
    int64_t account = (int64_t)cbor_uint(&r, INT64_MAX);
    if (!r.failed) people_changed_here(tracker, account);
}

/* --- start and end --- */

int people_open(struct tracker *tracker)
{
    struct people *people = calloc(1, sizeof *people);
    if (!people) return ERR_MEMORY;
    people->buckets = calloc(BUCKETS_MIN, sizeof *people->buckets);
    if (!people->buckets) {
        free(people);
        return ERR_MEMORY;
    }
    people->bucket_count = BUCKETS_MIN;
    crypto_native_random(&people->secret, sizeof people->secret);
    uv_timer_init(tracker->loop, &people->timer);
    people->timer.data = tracker;
    tracker->people = people;
    return OK;
}

/* Everybody has left, or is about to. */
void people_stop(struct tracker *tracker)
{
    struct people *people = tracker->people;
    if (!people || people->ended) return;
    people->ended = true;
    uv_close((uv_handle_t *)&people->timer, NULL);
    struct person *person = NULL;
    for (size_t at = 0; (person = person_next(tracker, &at, person));) {
        if (person->here) person_depart(tracker, person);
        const struct store_value values[] = {store_number(person->account),
                                             store_number((int64_t)person->seen_ms)};
        if (person->seen_due && store_ask(tracker->store, &PEOPLE_SEEN, values, 2, NULL, NULL)) return;
        person->seen_due = false;
    }
}

void people_close(struct tracker *tracker)
{
    struct people *people = tracker->people;
    if (!people) return;
    for (size_t i = 0; i < people->bucket_count; i++) {
        while (people->buckets[i])
            person_free(tracker, people->buckets[i]);
    }
    free(people->buckets);
    free(people);
    tracker->people = NULL;
}
