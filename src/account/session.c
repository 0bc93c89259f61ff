/* Sessions: a random token in a cookie, its hash in the store. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/state.h"
#include "base/hex.h"

#define SEEN_EVERY_MS ((uint64_t)10 * 60 * 1000)

static void token_hash(const uint8_t token[SESSION_TOKEN_BYTES], uint8_t out_hash[SESSION_HASH_BYTES])
{
    crypto_generichash(out_hash, SESSION_HASH_BYTES, token, SESSION_TOKEN_BYTES, NULL, 0);
}

void session_new(char out_token[SESSION_TOKEN_TEXT], uint8_t out_hash[SESSION_HASH_BYTES])
{
    uint8_t token[SESSION_TOKEN_BYTES];
    randombytes_buf(token, sizeof token);
    hex_encode(slice_of(token, sizeof token), out_token);
    token_hash(token, out_hash);
}

bool session_hash(struct wr_request *request, uint8_t out_hash[SESSION_HASH_BYTES])
{
    uint8_t token[SESSION_TOKEN_BYTES];
    const char *cookie = wr_request_cookie(request, "session");
    if (!cookie || hex_decode(slice_text(cookie), token, sizeof token)) return false;
    token_hash(token, out_hash);
    return true;
}

/* Lax: other sites' forms come without it. A page that the server was told of sits on another site and would
 * get none at all; it gets one that is sent from everywhere, and the check of Origin stands alone then.
 * Browsers take such a cookie over https only. */
void session_cookies(const struct accounts *accounts, struct wr_request *request, const char *token)
{
    bool secure = strcmp(wr_request_scheme(request), "https") == 0;
    bool foreign = secure && origins_foreign(&accounts->origins, request);
    struct wr_cookie session = {.name = "session",
                                .value = token ? token : "",
                                .max_age_s = token ? (int64_t)(SESSION_LIFE_MS / 1000) : 0,
                                .http_only = true,
                                .secure = secure,
                                .same_site = foreign ? WR_SAME_SITE_NONE : WR_SAME_SITE_LAX};
    struct wr_cookie hint = session;
    hint.name = "auth";
    hint.value = token ? "true" : "";
    hint.http_only = false; /* pages read it; it opens nothing */
    wr_response_cookie(request, &session);
    wr_response_cookie(request, &hint);
}

/* --- looking one up --- */

struct lookup {
    struct accounts *accounts;
    struct wr_request *request;
    session_found *found;
    void *context;
    int result;
    struct session session;
    char name[ACCOUNT_NAME_BYTES_MAX], address[64];
};

/* That it is in use, once in a while; nobody waits for it. */
static void note_seen(const struct lookup *lookup, uint64_t seen_ms)
{
    if (lookup->session.now_ms < seen_ms + SEEN_EVERY_MS) return;
    const struct store_value values[] = {store_id(lookup->session.hash),
                                         store_number((int64_t)lookup->session.now_ms),
                                         store_text(slice_text(lookup->address))};
    (void)!store_ask(lookup->accounts->config.store, &STORE_SESSION_SEEN, values, 3, NULL, NULL);
}

static void lookup_tell(struct wr_worker *worker, void *argument)
{
    (void)worker;
    struct lookup *lookup = argument;
    lookup->found(lookup->context, lookup->request, lookup->result, lookup->result ? NULL : &lookup->session);
    free(lookup);
}

static void lookup_end(struct lookup *lookup, int result)
{
    lookup->result = result;
    accounts_back(lookup->accounts, lookup->request, lookup_tell, lookup);
}

static void looked_up(void *context, int result, const struct store_row *row)
{
    struct lookup *lookup = context;
    if (!result && row->name.len > sizeof lookup->name) result = ERR_CORRUPT;
    if (!result) {
        memcpy(lookup->name, row->name.ptr, row->name.len);
        lookup->session.name = slice_of(lookup->name, row->name.len);
        lookup->session.account = row->account;
        lookup->session.role = row->role;
        lookup->session.expires_ms = row->expires_ms;
        if (!lookup->accounts->stopped) note_seen(lookup, row->seen_ms);
    }
    lookup_end(lookup, result);
}

static void look_up(void *argument)
{
    struct lookup *lookup = argument;
    lookup->session.now_ms = accounts_now_ms(lookup->accounts);
    struct store_row row = {.token = lookup->session.hash, .time_ms = lookup->session.now_ms};
    int err = lookup->accounts->stopped
                  ? ERR_CLOSED
                  : store_submit(lookup->accounts->config.store, STORE_SESSION_GET, &row, looked_up, lookup);
    if (err) lookup_end(lookup, err);
}

void session_look_up(struct accounts *accounts, struct wr_request *request,
                     const uint8_t hash[SESSION_HASH_BYTES], session_found *found, void *context)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    int err = lookup ? OK : ERR_MEMORY;
    if (lookup) {
        *lookup =
            (struct lookup){.accounts = accounts, .request = request, .found = found, .context = context};
        memcpy(lookup->session.hash, hash, sizeof lookup->session.hash);
        snprintf(lookup->address, sizeof lookup->address, "%s", wr_request_address(request));
        err = accounts_home(accounts, look_up, lookup);
    }
    if (err) {
        free(lookup);
        found(context, request, err, NULL);
    }
}

void session_check(struct accounts *accounts, struct wr_request *request, session_found *found, void *context)
{
    uint8_t hash[SESSION_HASH_BYTES];
    if (session_hash(request, hash))
        session_look_up(accounts, request, hash, found, context);
    else
        found(context, request, ERR_NOT_FOUND, NULL);
}

/* --- renewing one --- */

struct renewal {
    struct accounts *accounts;
    uint8_t hash[SESSION_HASH_BYTES];
    uint64_t expires_ms;
};

static void renew(void *argument)
{
    struct renewal *renewal = argument;
    struct store_row row = {.token = renewal->hash, .expires_ms = renewal->expires_ms};
    /* Nobody waits for it: when it fails, the next visit tries again. */
    int err = renewal->accounts->stopped
                  ? ERR_CLOSED
                  : store_submit(renewal->accounts->config.store, STORE_SESSION_EXTEND, &row, NULL, NULL);
    if (err && err != ERR_CLOSED) renewal->accounts->config.trouble(renewal->accounts->config.context, err);
    free(renewal);
}

void session_renew(struct accounts *accounts, struct wr_request *request, const struct session *session)
{
    if (session->expires_ms > session->now_ms + SESSION_LIFE_MS / 2) return;
    struct renewal *renewal = calloc(1, sizeof *renewal);
    if (!renewal) return;
    *renewal = (struct renewal){.accounts = accounts, .expires_ms = session->now_ms + SESSION_LIFE_MS};
    memcpy(renewal->hash, session->hash, sizeof renewal->hash);
    if (accounts_home(accounts, renew, renewal)) {
        free(renewal);
        return;
    }
    session_cookies(accounts, request, wr_request_cookie(request, "session"));
}
