#include "tracker/audit.h"

#include <stdio.h>
#include <string.h>

#include "store/accounts_sql.h"

enum { ACCOUNTS = 4096, TEXT_BYTES = 256 };

/* An account may do 100 things at once, then one a minute; likewise all failed logins together. */
static const struct rate rate = {1.0 / 60, 100};

int audit_open(struct tracker *tracker, const uint8_t secret[16])
{
    return rates_init(&tracker->audit_rate, &allocator_libc, ACCOUNTS, rate, secret);
}

void audit_close(struct tracker *tracker)
{
    if (tracker->audit_rate.slots) rates_deinit(&tracker->audit_rate);
}

struct event {
    int64_t account;
    int role;
    slice name, what, about, detail, address;
    bool failure;
};

/* Whole letters, as many as fit. */
static slice cut(slice text)
{
    size_t len = text.len <= TEXT_BYTES ? text.len : TEXT_BYTES;
    while (len && len < text.len && (text.ptr[len] & 0xC0) == 0x80)
        len--;
    return slice_sub(text, 0, len);
}

/* Whether there is room for it. Administrators are always written down. */
static bool take_place(struct tracker *tracker, const struct event *event)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    int64_t whose = event->failure ? 0 : event->account;
    uint64_t key = rates_key(&tracker->audit_rate, slice_of(&whose, sizeof whose));
    if (event->role == ROLE_ADMIN) return true;
    if (rates_wait_ms(&tracker->audit_rate, key, now_ms)) {
        tracker->audit_left_out++;
        return false;
    }
    rates_take(&tracker->audit_rate, key, 1, now_ms);
    return true;
}

static void write_down(struct tracker *tracker, const struct event *event)
{
    char detail[TEXT_BYTES + 64];
    slice words = cut(event->detail);
    if (!take_place(tracker, event)) return;
    int len = snprintf(detail, sizeof detail, "%.*s", (int)words.len, (const char *)words.ptr);
    if (tracker->audit_left_out)
        len = snprintf(detail, sizeof detail, "%.*s%s(%u others before it were not written)", (int)words.len,
                       (const char *)words.ptr, words.len ? " " : "", tracker->audit_left_out);
    tracker->audit_left_out = 0;
    const struct store_value values[] = {store_number((int64_t)tracker_now_ms(tracker)),
                                         store_number(event->account),
                                         store_text(cut(event->name)),
                                         store_text(cut(event->what)),
                                         store_text(cut(event->about)),
                                         store_text(slice_of(detail, (size_t)len)),
                                         store_text(cut(event->address))};
    int err = store_ask(tracker->store, &STORE_AUDIT_ADD, values, 7, NULL, NULL);
    if (err && err != ERR_CLOSED)
        tracker_log_some(tracker, LOG_STORE, "something was not written into the audit log: %s",
                         err_text(err));
}

void audit(struct tracker *tracker, int64_t account, const char *what, const char *about, const char *detail)
{
    const struct event event = {.account = account,
                                .what = slice_text(what),
                                .about = slice_text(about),
                                .detail = slice_text(detail)};
    write_down(tracker, &event);
}

void audit_call(const struct call *call, const char *what, slice about, const char *detail)
{
    const struct event event = {.account = call->account,
                                .role = call->role,
                                .name = slice_text(call->name),
                                .what = slice_text(what),
                                .about = about,
                                .detail = slice_text(detail),
                                .address = slice_text(call->address)};
    write_down(call->tracker, &event);
}

void audit_event(void *context, const struct account_event *told)
{
    const struct event event = {.account = told->account,
                                .name = told->name,
                                .what = slice_text(told->what),
                                .detail = slice_text(told->detail),
                                .address = told->address,
                                .failure = strcmp(told->what, "login-failed") == 0};
    write_down(context, &event);
}

void audit_keep_house(struct tracker *tracker)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    uint64_t oldest_ms = now_ms > AUDIT_LIFE_MS ? now_ms - AUDIT_LIFE_MS : 0;
    const struct store_value purge[] = {store_number((int64_t)oldest_ms), store_number(AUDIT_ROWS_MAX)};
    const struct store_value now[] = {store_number((int64_t)now_ms)};
    int err = store_ask(tracker->store, &STORE_AUDIT_PURGE, purge, 2, NULL, NULL);
    if (!err) err = store_ask(tracker->store, &STORE_TICKETS_PURGE, now, 1, NULL, NULL);
    if (err)
        tracker_log_some(tracker, LOG_STORE, "old rows of the audit log were not removed: the store is busy");
}
