/* Logging in, registering, a new password: from the request to the first step, and from the last one to the
 * answer. */
#include "account/attempt.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char attempt_wrong[] = "The name or the password is wrong.";

/* --- the answer, on the request's thread --- */

static void refuse(struct accounts *accounts, struct wr_request *request, int status, const char *message,
                   const char *needs, const char *ticket)
{
    const char *accept = wr_request_header(request, "Accept");
    if (accept && strstr(accept, "text/html")) {
        accounts->config.page(accounts->config.context, request, status, message);
        return;
    }
    json_t *answer = json_pack("{s:s,s:s}", "status", "error", "message", message);
    if (answer && needs) json_object_set_new(answer, "needs", json_string(needs));
    if (answer && ticket[0]) json_object_set_new(answer, "ticket", json_string(ticket));
    wr_respond_json(request, status, answer);
}

static void answer_good(struct attempt *attempt)
{
    struct wr_request *request = attempt->request;
    const struct accounts_config *config = &attempt->accounts->config;
    bool reset = attempt->kind == ATTEMPT_RESET;
    if (!reset) session_cookies(attempt->accounts, request, attempt->token);
    const char *location = attempt->location[0] ? attempt->location
                           : reset              ? config->after_logout
                                                : config->after_login;
    if (!wr_request_wants_json(request)) {
        wr_respond_redirect(request, 302, location);
        return;
    }
    json_t *answer = json_pack("{s:s,s:s,s:s,s:s,s:s}", "status", "success", "message",
                               reset ? "Your password was changed: log in with it." : "Logged in.",
                               "username", attempt->info.name, "role",
                               attempt->info.role == ROLE_ADMIN ? "admin" : "person", "redirect", location);
    if (answer && attempt->more) json_object_update(answer, attempt->more);
    wr_respond_json(request, 200, answer);
}

static void attempt_free(struct attempt *attempt)
{
    json_decref(attempt->more);
    sodium_memzero(attempt, sizeof *attempt);
    free(attempt);
}

static void attempt_answer(struct wr_worker *worker, void *argument)
{
    (void)worker;
    struct attempt *attempt = argument;
    char seconds[24];
    if (attempt->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)attempt->retry_after_s);
        wr_response_header(attempt->request, "Retry-After", seconds);
    }
    if (attempt->err)
        accounts_failed(attempt->accounts, attempt->request, attempt->err);
    else if (attempt->status)
        refuse(attempt->accounts, attempt->request, attempt->status, attempt->message, attempt->needs,
               attempt->login_ticket);
    else
        answer_good(attempt);
    attempt_free(attempt);
}

/* --- the steps, at home --- */

void attempt_end(struct attempt *attempt)
{
    accounts_back(attempt->accounts, attempt->request, attempt_answer, attempt);
}

void attempt_refuse(struct attempt *attempt, int status, const char *message)
{
    attempt->status = status;
    attempt->message = message;
    attempt_end(attempt);
}

/* It ends without a verdict about the password. */
static void attempt_void(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    if (attempt->counted)
        throttle_login_void(&accounts->throttle, attempt->address, attempt_key(attempt),
                            accounts_now_ms(accounts));
    attempt->counted = false;
}

void attempt_broke(struct attempt *attempt, int err)
{
    attempt_void(attempt);
    attempt->err = err;
    attempt_end(attempt);
}

void attempt_password_broke(struct attempt *attempt, int err)
{
    if (err == ERR_TOO_LARGE) { /* looked at before, so it is the hash */
        attempt_broke(attempt, ERR_CORRUPT);
        return;
    }
    attempt_void(attempt);
    attempt->retry_after_s = 3;
    attempt_refuse(attempt, 503,
                   "Too many people are logging in at this moment: try again in a few seconds.");
}

void attempt_too_fast(struct attempt *attempt, uint64_t wait_ms, const char *what)
{
    attempt->retry_after_s = (wait_ms + 999) / 1000;
    snprintf(attempt->words, sizeof attempt->words, "Too many %s: try again in %llu s.", what,
             (unsigned long long)attempt->retry_after_s);
    attempt_refuse(attempt, 429, attempt->words);
}

void attempt_event(const struct attempt *attempt, const char *what, const char *detail)
{
    const struct account_info *info = &attempt->info;
    accounts_event(attempt->accounts, what, info->account, slice_text(info->name), detail, attempt->address);
}

void attempt_ask(struct attempt *attempt, const struct store_operation *operation,
                 const struct store_value *values, size_t count, store_asked *done)
{
    int err = store_ask(attempt->accounts->config.store, operation, values, count, done, attempt);
    if (err) attempt_broke(attempt, err);
}

/* --- the session --- */

static void landed(void *argument, const char *location)
{
    struct attempt *attempt = argument;
    if (location && strlen(location) < sizeof attempt->location)
        memcpy(attempt->location, location, strlen(location) + 1);
    attempt_end(attempt);
}

static void greeted(void *token, json_t *more)
{
    struct attempt *attempt = token;
    const struct accounts_config *config = &attempt->accounts->config;
    attempt->more = more;
    if (config->landing)
        config->landing(config->context, attempt->info.account, attempt->session, landed, attempt);
    else
        attempt_end(attempt);
}

static void session_begun(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct attempt *attempt = context;
    const struct accounts_config *config = &attempt->accounts->config;
    if (result == ERR_DENIED) { /* removed, disabled or given another password in this moment */
        attempt_refuse(attempt, 401, attempt_wrong);
        return;
    }
    if (result) {
        attempt_broke(attempt, result);
        return;
    }
    attempt_event(attempt, attempt->kind == ATTEMPT_REGISTER ? "register" : "login", "");
    if (attempt->has_old && config->logged_out) config->logged_out(config->context, attempt->old);
    if (config->greet)
        config->greet(config->context, attempt->info.account, greeted, attempt);
    else
        greeted(attempt, NULL);
}

void attempt_in(struct attempt *attempt)
{
    uint64_t now_ms = accounts_now_ms(attempt->accounts);
    const char *secret = attempt->info.secret; /* "" after registering */
    session_new(attempt->token, attempt->session);
    const struct store_value values[] = {store_id(attempt->session),
                                         store_number(attempt->info.account),
                                         store_number((int64_t)now_ms),
                                         store_number((int64_t)(now_ms + SESSION_LIFE_MS)),
                                         store_text(attempt->address),
                                         store_text(slice_text(attempt->agent)),
                                         store_id(attempt->has_old ? attempt->old : NULL),
                                         secret[0] ? store_text(slice_text(secret))
                                                   : (struct store_value){.type = STORE_NULL}};
    attempt_ask(attempt, &STORE_SESSION_BEGIN, values, 8, session_begun);
}

static void attempt_begin(void *argument)
{
    struct attempt *attempt = argument;
    if (attempt->accounts->stopped)
        attempt_broke(attempt, ERR_CLOSED);
    else if (attempt->kind == ATTEMPT_REGISTER)
        register_begin(attempt);
    else if (attempt->kind == ATTEMPT_RESET)
        reset_begin(attempt);
    else
        login_begin(attempt);
}

/* --- the request --- */

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

/* The fields that take the place of others, or go with them. */
static const char *read_extras(struct attempt *attempt)
{
    slice ticket = SLICE_EMPTY, invite = SLICE_EMPTY;
    struct wr_request *request = attempt->request;
    text_field(request, "code", &attempt->code);
    if (text_field(request, "ticket", &ticket) && ticket.len) {
        attempt->has_ticket = ticket_hash(ticket, attempt->ticket);
        if (!attempt->has_ticket) return "This link is not complete: copy all of it.";
    }
    if (text_field(request, "invite", &invite) && invite.len) {
        attempt->has_invite = code_hash(invite, attempt->invite);
        if (!attempt->has_invite && attempt->kind == ATTEMPT_REGISTER)
            return "This is not an invite: it has 16 letters and digits.";
    }
    return NULL;
}

static const char *read_name(struct attempt *attempt)
{
    const char *problem = name_problem(attempt->name);
    if (problem) return problem;
    int len = fold_name(attempt->name, attempt->key);
    attempt->key_len = len < 0 ? 0 : (size_t)len;
    return len < 0 ? "This name cannot be used." : NULL;
}

/* The checks that cost nothing: a sentence about what is wrong, or NULL. */
static const char *attempt_problem(struct attempt *attempt, int *out_status)
{
    *out_status = 400;
    struct wr_request *request = attempt->request;
    if (!accounts_origin_good(attempt->accounts, request)) {
        *out_status = 403;
        return "This form was sent by another site.";
    }
    const char *problem = read_extras(attempt);
    if (problem) return problem;
    bool login = attempt->kind == ATTEMPT_LOGIN, reset = attempt->kind == ATTEMPT_RESET;
    if (login && attempt->has_ticket) return attempt->code.len ? NULL : "Send the code, too.";
    if (reset && !attempt->has_ticket) return "Send the ticket of the link, too.";
    if ((!reset && !text_field(request, "username", &attempt->name)) ||
        !text_field(request, "password", &attempt->password))
        return "Send a username and a password, as JSON or as a form.";
    if (!reset) problem = read_name(attempt);
    if (!problem && !login) problem = new_password_problem(attempt->password);
    if (!problem && attempt->password.len > PASSWORD_BYTES_MAX) problem = password_problem(attempt->password);
    return problem;
}

static void keep_agent(struct attempt *attempt)
{
    const char *agent = wr_request_header(attempt->request, "User-Agent");
    size_t len = 0;
    for (; agent && agent[len] && len < AGENT_BYTES_MAX; len++)
        attempt->agent[len] = agent[len] >= ' ' && agent[len] < 0x7f ? agent[len] : '?';
}

void attempt_make(struct accounts *accounts, struct wr_request *request, enum attempt_kind kind)
{
    int status;
    wr_response_header(request, "Cache-Control", "no-store");
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt) {
        accounts_failed(accounts, request, ERR_MEMORY);
        return;
    }
    attempt->accounts = accounts;
    attempt->request = request;
    attempt->kind = kind;
    attempt->address = slice_text(wr_request_address(request));
    attempt->has_old = session_hash(request, attempt->old);
    keep_agent(attempt);
    const char *problem = attempt_problem(attempt, &status);
    int err = problem ? OK : accounts_home(accounts, attempt_begin, attempt);
    if (!problem && !err) return;
    attempt_free(attempt);
    if (problem)
        refuse(accounts, request, status, problem, NULL, "");
    else
        accounts_failed(accounts, request, err);
}
