#include "tracker/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "tracker/presence.h"

enum { LOOK_MS = 500 };

struct event {
    char *text; /* a JSON object */
    size_t len;
};

struct outlet {
    struct outlet *next;      /* of the tracker */
    struct outlet *next_here; /* of the same person */
    struct tracker *tracker;
    struct person *person;
    uint8_t session[SESSION_HASH_BYTES];
    bool listed;
    uint64_t first; /* number of the oldest event that is kept */
    size_t count, bytes, start;
    struct event events[OUTLET_EVENTS_MAX];
    struct wr_request *waiting; /* NULL: nobody */
    uint64_t after;             /* what it has */
    uint64_t until_ms;          /* of the wait, or of the outlet's life */
};

struct outlets {
    struct outlet *first;
    size_t count;
    uv_timer_t timer;
    bool ended;
};

/* --- the ring --- */

static void drop_oldest(struct outlet *outlet)
{
    struct event *event = &outlet->events[outlet->start];
    outlet->bytes -= event->len;
    free(event->text);
    outlet->start = (outlet->start + 1) % OUTLET_EVENTS_MAX;
    outlet->first++;
    outlet->count--;
}

static void keep(struct outlet *outlet, const char *text, size_t len)
{
    char *copy = len < OUTLET_BYTES_MAX ? malloc(len) : NULL;
    if (copy) memcpy(copy, text, len);
    while (outlet->count &&
           (!copy || outlet->count == OUTLET_EVENTS_MAX || outlet->bytes + len > OUTLET_BYTES_MAX))
        drop_oldest(outlet);
    if (!copy) { /* one is missing: so all before it are, too */
        outlet->first++;
        return;
    }
    outlet->events[(outlet->start + outlet->count++) % OUTLET_EVENTS_MAX] = (struct event){copy, len};
    outlet->bytes += len;
}

static uint64_t newest(const struct outlet *outlet)
{
    return outlet->first + outlet->count - 1;
}

static void put_event(struct buffer *out, uint64_t number, slice rest)
{
    char head[40];
    int len =
        snprintf(head, sizeof head, "%s{\"n\":%llu,", out->len > 1 ? "," : "", (unsigned long long)number);
    buffer_put(out, slice_of(head, (size_t)len));
    buffer_put(out, rest);
}

/* All after that number; with a gap it begins by saying so. */
static void put_events(struct buffer *out, const struct outlet *outlet, uint64_t after)
{
    buffer_put(out, SLICE("["));
    bool lost = after && (after + 1 < outlet->first || after > newest(outlet));
    if (lost) put_event(out, outlet->first - 1, SLICE("\"type\":\"lost\"}"));
    uint64_t from = lost || after < outlet->first ? outlet->first : after + 1;
    for (uint64_t n = from; n <= newest(outlet); n++) {
        const struct event *event =
            &outlet->events[(outlet->start + (size_t)(n - outlet->first)) % OUTLET_EVENTS_MAX];
        put_event(out, n, slice_of(event->text + 1, event->len - 1));
    }
    buffer_put(out, SLICE("]"));
}

/* --- requests --- */

static void answer(struct outlet *outlet)
{
    struct wr_request *request = outlet->waiting;
    struct buffer text;
    if (!request) return;
    outlet->waiting = NULL;
    outlet->until_ms = tracker_now_ms(outlet->tracker) + OUTLET_SILENCE_MS;
    buffer_init(&text, &allocator_libc, 2 * OUTLET_BYTES_MAX);
    put_events(&text, outlet, outlet->after);
    wr_response_header(request, "Cache-Control", "no-store");
    if (text.failed)
        wr_respond_error(request, 503, "The server is out of memory.");
    else
        wr_respond_bytes(request, 200, "application/json", buffer_slice(&text).ptr, text.len);
    buffer_reset(&text);
}

void outlets_take(struct tracker *tracker, struct person *person, const char *text, size_t len)
{
    (void)tracker;
    for (struct outlet *outlet = person->outlets; outlet; outlet = outlet->next_here) {
        if (!outlet->listed) continue;
        keep(outlet, text, len);
        answer(outlet);
    }
}

static bool take_message(void *context, json_t *message)
{
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    if (text) keep(context, text, strlen(text));
    free(text);
    json_decref(message);
    return text != NULL;
}

void outlets_list(struct tracker *tracker, struct person *person)
{
    for (struct outlet *outlet = person->outlets; outlet; outlet = outlet->next_here) {
        if (outlet->listed) continue;
        outlet->listed = true;
        presence_list_for(tracker, person, take_message, outlet, NULL);
        answer(outlet);
    }
}

void outlets_stale(struct person *person)
{
    for (struct outlet *outlet = person->outlets; outlet; outlet = outlet->next_here)
        outlet->listed = false;
}

/* --- coming and going --- */

static struct outlet *find(const struct tracker *tracker, const uint8_t session[SESSION_HASH_BYTES])
{
    struct outlet *outlet = tracker->outlets->first;
    while (outlet && memcmp(outlet->session, session, SESSION_HASH_BYTES) != 0)
        outlet = outlet->next;
    return outlet;
}

static size_t count_of(const struct person *person)
{
    size_t count = 0;
    for (const struct outlet *outlet = person->outlets; outlet; outlet = outlet->next_here)
        count++;
    return count;
}

static void outlet_free(struct outlet *outlet)
{
    while (outlet->count)
        drop_oldest(outlet);
    free(outlet);
}

/* NULL: too many, or no memory. */
static struct outlet *outlet_new(struct tracker *tracker, const struct session *session)
{
    struct outlets *outlets = tracker->outlets;
    if (outlets->count >= OUTLETS_MAX) return NULL;
    struct person *person = person_hold(tracker, session->account, session->name);
    if (!person) return NULL;
    struct outlet *outlet = count_of(person) < OUTLETS_OF_ACCOUNT_MAX ? calloc(1, sizeof *outlet) : NULL;
    if (!outlet) {
        person_release(tracker, person);
        return NULL;
    }
    /* Numbers go on rising over a restart. */
    *outlet = (struct outlet){.next = outlets->first,
                              .next_here = person->outlets,
                              .tracker = tracker,
                              .person = person,
                              .first = tracker_now_ms(tracker) * 1000};
    memcpy(outlet->session, session->hash, sizeof outlet->session);
    outlets->first = outlet;
    outlets->count++;
    person->outlets = outlet;
    return outlet;
}

static void outlet_end(struct outlet *outlet)
{
    struct tracker *tracker = outlet->tracker;
    struct person *person = outlet->person;
    struct outlet **link = &tracker->outlets->first;
    while (*link != outlet)
        link = &(*link)->next;
    *link = outlet->next;
    for (link = &person->outlets; *link != outlet;)
        link = &(*link)->next_here;
    *link = outlet->next_here;
    tracker->outlets->count--;
    answer(outlet);
    outlet_free(outlet);
    if (!tracker->stopping) presence_reach_changed(tracker, person);
    person_release(tracker, person);
}

static void look(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    uint64_t now_ms = tracker_now_ms(tracker);
    struct outlet *outlet = tracker->outlets->first, *next;
    for (; outlet; outlet = next) {
        next = outlet->next;
        if (now_ms < outlet->until_ms) continue;
        if (outlet->waiting)
            answer(outlet);
        else
            outlet_end(outlet);
    }
    if (!tracker->outlets->first) uv_timer_stop(timer);
}

/* --- the route --- */

static bool number_of(struct wr_request *request, const char *name, uint64_t max, uint64_t *out)
{
    const char *text = wr_request_query(request, name);
    char *end;
    if (!text) return true;
    if (text[0] < '0' || text[0] > '9' || strlen(text) > 18) return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && *out <= max;
}

static void gone(struct wr_request *request, void *context)
{
    struct outlet *outlet = context;
    if (outlet->waiting == request) answer(outlet);
}

static void poll(struct outlet *outlet, struct wr_request *request, uint64_t after, uint64_t wait_s)
{
    answer(outlet); /* an older request of the same session */
    outlet->waiting = request;
    outlet->after = after;
    outlet->until_ms = tracker_now_ms(outlet->tracker) + wait_s * 1000;
    bool news = after && (after + 1 < outlet->first || after > newest(outlet));
    news = news || (outlet->count && after < newest(outlet));
    if (news || !wait_s)
        answer(outlet);
    else
        wr_request_on_gone(request, gone, outlet);
}

static void session_known(void *context, struct wr_request *request, int result,
                          const struct session *session)
{
    struct tracker *tracker = context;
    uint64_t after = 0, wait_s = OUTLET_WAIT_S;
    if (result == ERR_NOT_FOUND) {
        wr_respond_error(request, 401, "You are not logged in.");
        return;
    }
    if (!result && tracker->stopping) result = ERR_CLOSED;
    if (result) {
        accounts_failed(tracker->accounts, request, result);
        return;
    }
    if (!number_of(request, "after", INT64_MAX, &after) ||
        !number_of(request, "wait", OUTLET_WAIT_S_MAX, &wait_s)) {
        wr_respond_error(request, 400,
                         "\"after\" is the number of the last event you have, \"wait\" 0 to 55 s.");
        return;
    }
    struct outlet *outlet = find(tracker, session->hash);
    bool is_new = !outlet;
    if (!outlet) outlet = outlet_new(tracker, session);
    if (!outlet) {
        wr_respond_error(request, 503, "Too many clients are waiting for events: try again later.");
        return;
    }
    if (is_new) outlet->until_ms = tracker_now_ms(tracker) + OUTLET_SILENCE_MS;
    if (!uv_is_active((uv_handle_t *)&tracker->outlets->timer))
        uv_timer_start(&tracker->outlets->timer, look, LOOK_MS, LOOK_MS);
    session_renew(tracker->accounts, request, session);
    poll(outlet, request, after, wait_s);
    if (is_new) presence_reach_changed(tracker, outlet->person);
}

static void get_events(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    if (!accounts_origin_good(tracker->accounts, request))
        wr_respond_error(request, 403, "This request was sent by a page of another site.");
    else
        session_check(tracker->accounts, request, session_known, tracker);
}

/* --- start and end --- */

int outlets_open(struct tracker *tracker)
{
    struct outlets *outlets = calloc(1, sizeof *outlets);
    if (!outlets) return ERR_MEMORY;
    uv_timer_init(tracker->loop, &outlets->timer);
    outlets->timer.data = tracker;
    tracker->outlets = outlets;
    return wr_route(tracker->app, "GET", "/events", get_events, tracker) ? ERR_MEMORY : OK;
}

void outlets_log_out(struct tracker *tracker, const uint8_t session[SESSION_HASH_BYTES])
{
    struct outlet *outlet = tracker->outlets ? find(tracker, session) : NULL;
    if (outlet) outlet_end(outlet);
}

void outlets_stop(struct tracker *tracker)
{
    struct outlet *outlet = tracker->outlets ? tracker->outlets->first : NULL;
    for (; outlet; outlet = outlet->next)
        answer(outlet);
}

void outlets_close(struct tracker *tracker)
{
    struct outlets *outlets = tracker->outlets;
    if (!outlets || outlets->ended) return;
    while (outlets->first)
        outlet_end(outlets->first);
    outlets->ended = true;
    uv_close((uv_handle_t *)&outlets->timer, NULL);
}
