#include "tracker/pool.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

enum { TOKEN_TEXT_BYTES = 2 * SESSION_TOKEN_BYTES + 1 };

/* A ticket, or the token of a session: as src/account makes them. */
static void new_token(char out_text[TOKEN_TEXT_BYTES], uint8_t out_hash[SESSION_HASH_BYTES])
{
    uint8_t token[SESSION_TOKEN_BYTES];
    randombytes_buf(token, sizeof token);
    hex_encode(slice_of(token, sizeof token), out_text);
    crypto_generichash(out_hash, SESSION_HASH_BYTES, token, sizeof token, NULL, 0);
    sodium_memzero(token, sizeof token);
}

/* --- who may --- */

enum trust { TRUST_NONE, TRUST_OPEN /* --classroom */, TRUST_SECRET };

static bool secret_is(const char *wanted, slice given)
{
    uint8_t a[32], b[32];
    crypto_generichash(a, sizeof a, (const uint8_t *)wanted, strlen(wanted), NULL, 0);
    crypto_generichash(b, sizeof b, given.ptr, given.len, NULL, 0);
    return sodium_memcmp(a, b, sizeof a) == 0;
}

/* TRUST_NONE: the errand has been refused. */
static enum trust trust_of(struct errand *errand)
{
    static const char bearer[] = "Bearer ";
    const struct tracker_config *config = &errand->tracker->config;
    const char *header = wr_request_header(errand->request, "Authorization");
    slice given = SLICE_EMPTY;
    if (header && strncmp(header, bearer, sizeof bearer - 1) == 0)
        given = slice_text(header + sizeof bearer - 1);
    else
        (void)errand_text(errand, "secret", &given);
    if (given.len && config->pool_secret && secret_is(config->pool_secret, given)) return TRUST_SECRET;
    if (!given.len && config->classroom) return TRUST_OPEN;
    if (!given.len) wr_response_header(errand->request, "WWW-Authenticate", "Bearer");
    errand_refuse(errand, given.len ? 403 : 401,
                  given.len
                      ? "This is not the secret of the pool."
                      : "Send the secret of the pool (the file pool-secret in the server's data folder) as "
                        "\"secret\", or as Authorization: Bearer.");
    return TRUST_NONE;
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0 || strncmp(ip, "::ffff:127.", 11) == 0;
}

/* From this computer itself, and not from somebody else through a proxy that we were not told of. */
static bool is_own(struct errand *errand)
{
    static const char *const fields[] = {"X-Forwarded-For", "Forwarded", "Via"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (wr_request_header(errand->request, fields[i])) return false;
    }
    return is_loopback(wr_request_address(errand->request));
}

/* --- offering --- */

static void offered(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result == ERR_EXISTS)
        errand_refuse(errand, 409, "This peer is in the pool already.");
    else if (result == ERR_FULL)
        errand_refuse(errand, 503, "The pool is full.");
    else if (result)
        errand_failed(errand, result);
    else
        errand_done(errand, "This peer is in the pool.");
}

static bool is_set(struct errand *errand, const char *field)
{
    slice text;
    return json_is_true(json_object_get(wr_request_fields(errand->request), field)) ||
           (errand_text(errand, field, &text) &&
            (slice_equal(text, SLICE("true")) || slice_equal(text, SLICE("1"))));
}

static void taken_back(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result)
        errand_failed(errand, result);
    else
        errand_done(errand, "This peer is not in the pool any more.");
}

static void offer(struct errand *errand, slice name)
{
    int64_t now_ms = (int64_t)tracker_now_ms(errand->tracker);
    const struct store_value values[] = {store_text(slice_text(errand->ip)), store_number(errand->port),
                                         store_text(name), store_number(now_ms),
                                         store_number(now_ms + POOL_OFFER_MS)};
    if (is_set(errand, "leave"))
        errand_ask(errand, &CLASSIC_POOL_TAKE_BACK, values, 2, taken_back);
    else
        errand_ask(errand, is_set(errand, "renew") ? &CLASSIC_POOL_RENEW : &CLASSIC_POOL_OFFER, values, 5,
                   offered);
}

void pool_offer(struct errand *errand)
{
    slice name;
    enum trust trust = trust_of(errand);
    int there = trust == TRUST_NONE ? -1 : errand_address(errand, "ip", "port");
    if (there < 0) return;
    const char *from = wr_request_address(errand->request);
    const char *problem =
        errand_text(errand, "username", &name) ? name_problem(name) : "Send a \"username\".";
    if (there == 0)
        errand_refuse(errand, 400, "Send \"ip\" and \"port\": where the peer listens.");
    else if (problem)
        errand_refuse(errand, 400, problem);
    else if (trust == TRUST_OPEN && !is_own(errand) && strcmp(from, errand->ip) != 0)
        errand_refuse(errand, 403,
                      "Without the secret of the pool a peer can only offer the address that it comes from.");
    else
        offer(errand, name);
}

/* --- claiming --- */

struct claim {
    struct tracker *tracker;
    void (*land)(void *argument, const char *location);
    void *argument;
    char ticket[TOKEN_TEXT_BYTES];
};

static void claimed(void *context, int result, const struct store_rows *rows)
{
    struct claim *claim = context;
    char location[256];
    bool any = !result && rows->count == 1;
    if (result && result != ERR_CLOSED)
        tracker_log_some(claim->tracker, LOG_STORE, "a peer of the pool was not claimed: %s",
                         err_text(result));
    if (any) {
        slice ip = store_at(rows, 0, 0)->bytes;
        bool six = ip.len && memchr(ip.ptr, ':', ip.len);
        int len =
            snprintf(location, sizeof location, "http://%s%.*s%s:%d/?ticket=%s", six ? "[" : "", (int)ip.len,
                     (const char *)ip.ptr, six ? "]" : "", (int)store_at(rows, 0, 1)->number, claim->ticket);
        any = len > 0 && (size_t)len < sizeof location;
    }
    claim->land(claim->argument, any ? location : NULL);
    sodium_memzero(location, sizeof location);
    sodium_memzero(claim->ticket, sizeof claim->ticket);
    free(claim);
}

void pool_landing(void *context, int64_t account, const uint8_t session[SESSION_HASH_BYTES],
                  void (*land)(void *argument, const char *location), void *argument)
{
    struct tracker *tracker = context;
    uint8_t hash[SESSION_HASH_BYTES];
    struct claim *claim = calloc(1, sizeof *claim);
    if (!claim) {
        land(argument, NULL);
        return;
    }
    *claim = (struct claim){.tracker = tracker, .land = land, .argument = argument};
    new_token(claim->ticket, hash);
    int64_t now_ms = (int64_t)tracker_now_ms(tracker);
    const struct store_value values[] = {
        store_number(account), store_id(session), store_number(now_ms + POOL_CLAIM_MS),
        store_number(now_ms),  store_id(hash),    store_number(now_ms + POOL_TICKET_MS)};
    int err = store_ask(tracker->store, &CLASSIC_POOL_CLAIM, values, 6, claimed, claim);
    if (err) claimed(claim, err, NULL);
}

/* --- checking a ticket --- */

static void verified(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    if (result == ERR_NOT_FOUND || (!result && rows->count != 1)) {
        errand_refuse(errand, 401,
                      "This ticket is not good: it was used, has expired, or is for another peer.");
        return;
    }
    if (result) {
        errand_failed(errand, result);
        return;
    }
    slice name = store_at(rows, 0, 1)->bytes;
    json_t *answer =
        json_pack("{s:s,s:s%}", "status", "success", "username", (const char *)name.ptr, name.len);
    if (answer && errand->state) {
        json_object_set_new(answer, "session", json_string(errand->state));
        json_object_set_new(answer, "expires_s", json_integer(POOL_CLAIM_MS / 1000));
    }
    if (errand->state) sodium_memzero(errand->state, TOKEN_TEXT_BYTES);
    errand_json(errand, 200, answer);
}

static bool ticket_of(struct errand *errand, uint8_t out_hash[SESSION_HASH_BYTES])
{
    slice text;
    uint8_t ticket[SESSION_TOKEN_BYTES];
    if (!errand_text(errand, "ticket", &text) || hex_decode(text, ticket, sizeof ticket)) return false;
    crypto_generichash(out_hash, SESSION_HASH_BYTES, ticket, sizeof ticket, NULL, 0);
    return true;
}

/* Who has the secret is the operator's own peer: it gets a session for the person, which ends with the one
 * that the login has made. Others learn the name only. */
void pool_verify(struct errand *errand)
{
    uint8_t ticket[SESSION_HASH_BYTES], session[SESSION_HASH_BYTES];
    enum trust trust = trust_of(errand);
    if (trust == TRUST_NONE || errand_address(errand, "ip", "port") < 0) return;
    if (!ticket_of(errand, ticket)) {
        errand_refuse(errand, 400, "\"ticket\" must be what the address of the page had behind ?ticket=.");
        return;
    }
    int64_t now_ms = (int64_t)tracker_now_ms(errand->tracker);
    struct store_value values[6] = {store_id(ticket), store_text(slice_text(errand->ip)),
                                    store_number(errand->port), store_number(now_ms)};
    if (trust == TRUST_OPEN) {
        errand_ask(errand, &CLASSIC_POOL_TICKET, values, 4, verified);
        return;
    }
    errand->state = calloc(1, TOKEN_TEXT_BYTES);
    if (!errand->state) {
        errand_failed(errand, ERR_MEMORY);
        return;
    }
    new_token(errand->state, session);
    values[4] = store_id(session);
    values[5] = store_number(now_ms + POOL_CLAIM_MS);
    errand_ask(errand, &CLASSIC_POOL_TICKET_SESSION, values, 6, verified);
}
