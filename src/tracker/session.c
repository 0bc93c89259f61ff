/* Sessions: a random token in a cookie, its hash in the store. */
#include "tracker/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"

struct lookup {
    struct tracker *tracker;
    struct wr_request *request;
    session_found *found;
    struct session session;
    char name[NODE_NAME_BYTES_MAX];
    char token[2 * SESSION_TOKEN_BYTES + 1]; /* of a new session */
};

static void token_hash(const uint8_t token[SESSION_TOKEN_BYTES], uint8_t out_hash[HASH_BYTES])
{
    const struct crypto *crypto = crypto_native();
    crypto->hash(crypto->context, out_hash, HASH_BYTES, slice_of(token, SESSION_TOKEN_BYTES));
}

bool session_hash(struct wr_request *request, uint8_t out_hash[HASH_BYTES])
{
    uint8_t token[SESSION_TOKEN_BYTES];
    const char *cookie = wr_request_cookie(request, "session");
    if (!cookie || hex_decode(slice_text(cookie), token, sizeof token)) return false;
    token_hash(token, out_hash);
    return true;
}

static void looked_up(void *context, int result, const struct store_row *row)
{
    struct lookup *lookup = context;
    if (!result) {
        lookup->session.account = row->account;
        lookup->session.name = row->name;
        lookup->session.expires_ms = row->expires_ms;
    }
    lookup->found(lookup->tracker, lookup->request, result, result ? NULL : &lookup->session);
    free(lookup);
}

void session_check(struct tracker *tracker, struct wr_request *request, session_found *found)
{
    uint8_t hash[HASH_BYTES];
    if (!session_hash(request, hash)) {
        found(tracker, request, ERR_NOT_FOUND, NULL);
        return;
    }
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) {
        found(tracker, request, ERR_MEMORY, NULL);
        return;
    }
    lookup->tracker = tracker;
    lookup->request = request;
    lookup->found = found;
    memcpy(lookup->session.hash, hash, sizeof hash);
    struct store_row row = {.token = hash, .time_ms = tracker_now_ms(tracker)};
    int err = store_submit(tracker->store, STORE_SESSION_GET, &row, looked_up, lookup);
    if (err) {
        free(lookup);
        found(tracker, request, err, NULL);
    }
}

static void put_cookies(struct wr_request *request, const char *token, int64_t life_s)
{
    struct wr_cookie session = {.name = "session",
                                .value = token,
                                .max_age_s = life_s,
                                .http_only = true,
                                .same_site = WR_SAME_SITE_LAX};
    struct wr_cookie hint = {
        .name = "auth", .value = life_s ? "true" : "", .max_age_s = life_s, .same_site = WR_SAME_SITE_LAX};
    wr_response_cookie(request, &session);
    wr_response_cookie(request, &hint);
}

void session_forget(struct wr_request *request)
{
    put_cookies(request, "", 0);
}

static void created(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct lookup *lookup = context;
    if (!result) put_cookies(lookup->request, lookup->token, (int64_t)(SESSION_LIFE_MS / 1000));
    lookup->found(lookup->tracker, lookup->request, result, result ? NULL : &lookup->session);
    free(lookup);
}

void session_create(struct tracker *tracker, struct wr_request *request, int64_t account, slice name,
                    session_found *found)
{
    uint8_t token[SESSION_TOKEN_BYTES];
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup || name.len > sizeof lookup->name) {
        free(lookup);
        found(tracker, request, ERR_MEMORY, NULL);
        return;
    }
    crypto_native_random(token, sizeof token);
    hex_encode(slice_of(token, sizeof token), lookup->token);
    lookup->tracker = tracker;
    lookup->request = request;
    lookup->found = found;
    memcpy(lookup->name, name.ptr, name.len);
    uint64_t now_ms = tracker_now_ms(tracker);
    lookup->session = (struct session){
        .account = account, .name = slice_of(lookup->name, name.len), .expires_ms = now_ms + SESSION_LIFE_MS};
    token_hash(token, lookup->session.hash);
    struct store_row row = {.token = lookup->session.hash,
                            .account = account,
                            .time_ms = now_ms,
                            .expires_ms = lookup->session.expires_ms};
    int err = store_submit(tracker->store, STORE_SESSION_ADD, &row, created, lookup);
    if (err) {
        free(lookup);
        found(tracker, request, err, NULL);
    }
}

void session_renew(struct tracker *tracker, struct wr_request *request, const struct session *session)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    if (session->expires_ms > now_ms + SESSION_LIFE_MS / 2) return;
    struct store_row row = {.token = session->hash, .expires_ms = now_ms + SESSION_LIFE_MS};
    /* Nobody waits for it: when it fails, the next visit tries again. */
    if (store_submit(tracker->store, STORE_SESSION_EXTEND, &row, NULL, NULL)) return;
    put_cookies(request, wr_request_cookie(request, "session"), (int64_t)(SESSION_LIFE_MS / 1000));
}
