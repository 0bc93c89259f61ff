/* POST /register, /login, /logout and GET /session.
 *
 * A request becomes an `attempt` that goes from step to step (database, password worker, database) and ends
 * in exactly one answer. */
#include "tracker/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/fold.h"
#include "base/utf8.h"
#include "tracker/socket.h"

struct attempt {
    struct tracker *tracker;
    struct wr_request *request;
    slice address, name, password; /* borrow the request */
    uint8_t key[FOLD_KEY_BYTES_MAX];
    size_t key_len;
    int64_t account;
    bool registering;
    char real_name[NODE_NAME_BYTES_MAX]; /* as registered */
    size_t real_name_len;
};

static slice attempt_key(const struct attempt *attempt)
{
    return slice_of(attempt->key, attempt->key_len);
}

static void attempt_refuse(struct attempt *attempt, int status, const char *message)
{
    const char *accept = wr_request_header(attempt->request, "Accept");
    if (status == 401 && accept && strstr(accept, "text/html"))
        pages_respond(attempt->tracker, attempt->request, 401);
    else
        wr_respond_error(attempt->request, status, message);
    free(attempt);
}

static void attempt_broke(struct attempt *attempt, int err)
{
    if (!attempt->registering)
        throttle_login_void(&attempt->tracker->throttle, attempt->address, attempt_key(attempt),
                            tracker_now_ms(attempt->tracker));
    tracker_store_failed(attempt->tracker, attempt->request, err);
    free(attempt);
}

/* Words for the errors of passwords_hash and passwords_verify. */
static void attempt_password_broke(struct attempt *attempt, int err)
{
    if (err == ERR_BUSY || err == ERR_MEMORY || err == ERR_CLOSED) {
        if (!attempt->registering)
            throttle_login_void(&attempt->tracker->throttle, attempt->address, attempt_key(attempt),
                                tracker_now_ms(attempt->tracker));
        wr_response_header(attempt->request, "Retry-After", "3");
        attempt_refuse(attempt, 503,
                       "Too many people are logging in at this moment: try again in a few seconds.");
    } else {
        attempt_refuse(attempt, 400, "The password is too long: at most 1024 bytes.");
    }
}

static void answer_in(struct tracker *tracker, struct wr_request *request, int result,
                      const struct session *session)
{
    if (result) {
        tracker_store_failed(tracker, request, result);
    } else if (wr_request_wants_json(request)) {
        wr_respond_json(request, 200,
                        json_pack("{s:s,s:s,s:s%}", "status", "success", "message", "Logged in.", "username",
                                  (const char *)session->name.ptr, session->name.len));
    } else {
        wr_respond_redirect(request, 302, "/");
    }
}

static void attempt_in(struct attempt *attempt)
{
    session_create(attempt->tracker, attempt->request, attempt->account,
                   slice_of(attempt->real_name, attempt->real_name_len), answer_in);
    free(attempt);
}

static void keep_name(struct attempt *attempt, slice name)
{
    attempt->real_name_len = name.len <= sizeof attempt->real_name ? name.len : 0;
    if (attempt->real_name_len) memcpy(attempt->real_name, name.ptr, attempt->real_name_len);
}

/* --- register --- */

static void registered(void *context, int result, const struct store_row *row)
{
    struct attempt *attempt = context;
    if (result == ERR_EXISTS) {
        attempt_refuse(attempt, 409, "This name is taken.");
    } else if (result) {
        attempt_broke(attempt, result);
    } else {
        attempt->account = row->account;
        keep_name(attempt, attempt->name);
        attempt_in(attempt);
    }
}

static void hashed(void *context, int result, slice hash)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_password_broke(attempt, result);
        return;
    }
    struct store_row row = {.name = attempt->name,
                            .key = attempt_key(attempt),
                            .secret = hash,
                            .time_ms = tracker_now_ms(attempt->tracker)};
    int err = store_submit(attempt->tracker->store, STORE_ACCOUNT_ADD, &row, registered, attempt);
    if (err) attempt_broke(attempt, err);
}

/* Looking first saves hashing a password for a name that is taken. */
static void name_looked_up(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct attempt *attempt = context;
    if (!result) {
        attempt_refuse(attempt, 409, "This name is taken.");
    } else if (result != ERR_NOT_FOUND) {
        attempt_broke(attempt, result);
    } else {
        int err = passwords_hash(&attempt->tracker->passwords, attempt->password, hashed, attempt);
        if (err) attempt_password_broke(attempt, err);
    }
}

/* --- log in --- */

static void verified(void *context, int result, slice hash)
{
    (void)hash;
    struct attempt *attempt = context;
    if (result == ERR_AUTH) {
        attempt_refuse(attempt, 401, "The name or the password is wrong.");
    } else if (result) {
        attempt_password_broke(attempt, result);
    } else {
        throttle_login_good(&attempt->tracker->throttle, attempt->address, attempt_key(attempt),
                            tracker_now_ms(attempt->tracker));
        attempt_in(attempt);
    }
}

static void account_found(void *context, int result, const struct store_row *row)
{
    struct attempt *attempt = context;
    if (result && result != ERR_NOT_FOUND) {
        attempt_broke(attempt, result);
        return;
    }
    if (!result) {
        attempt->account = row->account;
        keep_name(attempt, row->name);
    }
    slice hash = result ? SLICE_EMPTY : row->secret;
    int err = passwords_verify(&attempt->tracker->passwords, attempt->password, hash, verified, attempt);
    if (err) attempt_password_broke(attempt, err);
}

/* --- both --- */

/* A field as bytes; refuses what is missing and what hides bytes behind a NUL. */
static bool text_field(struct wr_request *request, const char *name, slice *out)
{
    const json_t *field = json_object_get(wr_request_fields(request), name);
    const char *text = json_string_value(field);
    if (!text) text = wr_request_field(request, name);
    if (!text || (field && json_is_string(field) && strlen(text) != json_string_length(field))) return false;
    *out = slice_text(text);
    return true;
}

static void too_fast(struct attempt *attempt, uint64_t wait_ms, const char *what)
{
    char seconds[24], message[160];
    uint64_t wait_s = (wait_ms + 999) / 1000;
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)wait_s);
    snprintf(message, sizeof message, "Too many %s: try again in %s s.", what, seconds);
    wr_response_header(attempt->request, "Retry-After", seconds);
    attempt_refuse(attempt, 429, message);
}

/* The checks that cost nothing; NULL when the attempt was answered. */
static struct attempt *attempt_begin(struct wr_request *request, struct tracker *tracker, bool registering)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt) {
        wr_respond_error(request, 503, "The server is out of memory.");
        return NULL;
    }
    attempt->tracker = tracker;
    attempt->request = request;
    attempt->registering = registering;
    attempt->address = slice_text(wr_request_address(request));
    wr_response_header(request, "Cache-Control", "no-store");

    int status = 400;
    const char *problem = NULL;
    if (!wr_request_same_origin(request))
        status = 403, problem = "This form was sent by another site.";
    else if (!text_field(request, "username", &attempt->name) ||
             !text_field(request, "password", &attempt->password))
        problem = "Send a username and a password, as JSON or as a form.";
    else
        problem = name_problem(attempt->name);
    if (!problem && attempt->password.len > PASSWORD_BYTES_MAX)
        problem = "The password is too long: at most 1024 bytes.";
    if (!problem && registering && utf8_length(attempt->password) < PASSWORD_LETTERS_MIN)
        problem = "The password is too short: at least 8 characters.";
    int key_len = problem ? 0 : fold_name(attempt->name, attempt->key);
    if (!problem && key_len < 0) problem = "This name cannot be used.";
    if (problem) {
        attempt_refuse(attempt, status, problem);
        return NULL;
    }
    attempt->key_len = (size_t)key_len;
    return attempt;
}

static void post_register(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    struct attempt *attempt = attempt_begin(request, tracker, true);
    if (!attempt) return;
    uint64_t wait_ms = throttle_register(&tracker->throttle, attempt->address, tracker_now_ms(tracker));
    if (wait_ms) {
        too_fast(attempt, wait_ms, "new accounts from this address");
        return;
    }
    struct store_row row = {.key = attempt_key(attempt)};
    int err = store_submit(tracker->store, STORE_ACCOUNT_GET, &row, name_looked_up, attempt);
    if (err) attempt_broke(attempt, err);
}

static void post_login(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    struct attempt *attempt = attempt_begin(request, tracker, false);
    if (!attempt) return;
    uint64_t wait_ms =
        throttle_login(&tracker->throttle, attempt->address, attempt_key(attempt), tracker_now_ms(tracker));
    if (wait_ms) {
        too_fast(attempt, wait_ms, "failed attempts to log in");
        return;
    }
    struct store_row row = {.key = attempt_key(attempt)};
    int err = store_submit(tracker->store, STORE_ACCOUNT_GET, &row, account_found, attempt);
    if (err) attempt_broke(attempt, err);
}

/* --- log out, who am I --- */

struct leaving {
    struct tracker *tracker;
    struct wr_request *request;
    uint8_t hash[HASH_BYTES];
};

static void logged_out(struct wr_request *request)
{
    session_forget(request);
    if (wr_request_wants_json(request))
        wr_respond_json(request, 200, json_pack("{s:s,s:s}", "status", "success", "message", "Logged out."));
    else
        wr_respond_redirect(request, 302, "/login");
}

static void session_removed(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct leaving *leaving = context;
    if (result) {
        tracker_store_failed(leaving->tracker, leaving->request, result);
    } else {
        sockets_log_out(leaving->tracker, leaving->hash);
        logged_out(leaving->request);
    }
    free(leaving);
}

static void post_logout(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    uint8_t hash[HASH_BYTES];
    wr_response_header(request, "Cache-Control", "no-store");
    if (!wr_request_same_origin(request)) {
        wr_respond_error(request, 403, "This form was sent by another site.");
        return;
    }
    if (!session_hash(request, hash)) {
        logged_out(request);
        return;
    }
    struct leaving *leaving = calloc(1, sizeof *leaving);
    if (!leaving) {
        tracker_store_failed(tracker, request, ERR_MEMORY);
        return;
    }
    *leaving = (struct leaving){.tracker = tracker, .request = request};
    memcpy(leaving->hash, hash, sizeof hash);
    struct store_row row = {.token = hash};
    int err = store_submit(tracker->store, STORE_SESSION_REMOVE, &row, session_removed, leaving);
    if (err) {
        free(leaving);
        tracker_store_failed(tracker, request, err);
    }
}

static void session_answer(struct tracker *tracker, struct wr_request *request, int result,
                           const struct session *session)
{
    wr_response_header(request, "Cache-Control", "no-store");
    if (!result) {
        session_renew(tracker, request, session);
        uint64_t now_ms = tracker_now_ms(tracker);
        wr_respond_json(request, 200,
                        json_pack("{s:s,s:s%,s:I}", "status", "success", "username",
                                  (const char *)session->name.ptr, session->name.len, "expires_s",
                                  (json_int_t)((session->expires_ms - now_ms) / 1000)));
    } else if (result == ERR_NOT_FOUND) {
        wr_respond_error(request, 401, "You are not logged in.");
    } else {
        tracker_store_failed(tracker, request, result);
    }
}

static void get_session(struct wr_request *request, void *context)
{
    session_check(context, request, session_answer);
}

int accounts_open(struct tracker *tracker)
{
    if (wr_route(tracker->app, "POST", "/register", post_register, tracker) ||
        wr_route(tracker->app, "POST", "/login", post_login, tracker) ||
        wr_route(tracker->app, "POST", "/logout", post_logout, tracker) ||
        wr_route(tracker->app, "GET", "/session", get_session, tracker))
        return ERR_MEMORY;
    return OK;
}
