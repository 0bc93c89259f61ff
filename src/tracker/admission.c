#include "tracker/admission.h"

#include <stdio.h>

#include "crypto/native.h"

static const struct rate pace = {ADMISSION_PER_S, ADMISSION_BURST};

static uint32_t chance(uint32_t below)
{
    uint32_t number;
    crypto_native_random(&number, sizeof number);
    return number % below;
}

static bool is_busy(struct tracker *tracker)
{
    struct store_stats stats;
    store_stats(tracker->store, &stats);
    return stats.waiting > ADMISSION_STORE_WAITING;
}

/* Milliseconds until the turns that were handed out are over. */
static uint32_t turns_ms(const struct tracker *tracker, uint64_t now_ms)
{
    uint64_t until_ms = tracker->turns_us / 1000;
    return until_ms > now_ms ? (uint32_t)(until_ms - now_ms) : 0;
}

uint32_t admission_wait_ms(struct tracker *tracker)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    if (!is_busy(tracker) && bucket_wait_ms(&tracker->admission, &pace, 1, now_ms) == 0) {
        bucket_take(&tracker->admission, &pace, 1, now_ms);
        return 0;
    }
    tracker->counts.turned_away++;
    if (tracker->turns_us < now_ms * 1000) tracker->turns_us = now_ms * 1000;
    tracker->turns_us += 1000000 / ADMISSION_PER_S;
    return turns_ms(tracker, now_ms) + 1 + chance(ADMISSION_JITTER_MS);
}

uint32_t admission_guess_ms(struct tracker *tracker)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    if (!is_busy(tracker) && bucket_wait_ms(&tracker->admission, &pace, 1, now_ms) == 0) return 0;
    return 1 + chance(turns_ms(tracker, now_ms) + ADMISSION_JITTER_MS);
}

uint32_t admission_spread_ms(size_t count)
{
    return 500 + chance((uint32_t)(count * 1000 / ADMISSION_PER_S) + ADMISSION_JITTER_MS);
}

void admission_refuse(struct wr_request *request, uint32_t retry_ms)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", (unsigned)(retry_ms / 1000 + 1));
    wr_response_header(request, "Retry-After", seconds);
    wr_response_header(request, "Cache-Control", "no-store");
    wr_respond_json(request, 503,
                    json_pack("{s:s,s:s,s:i}", "status", "error", "message",
                              "Many are connecting at this moment: try again after retry_ms.", "retry_ms",
                              (int)retry_ms));
}
