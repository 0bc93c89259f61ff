/* Who asks, what for, and the answer. */
#include "tracker/classic.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/pool.h"
#include "tracker/socket.h"

static const struct classic_route routes[] = {
    {"POST", "/submit-info", classic_announce, ERRAND_NAMED, true},
    {"POST", "/add-list", classic_announce, ERRAND_NAMED, true},
    {"GET", "/get-list", classic_list, ERRAND_READER, false},
    {"POST", "/register-peer-pool", pool_offer, ERRAND_PEER, false},
    {"POST", "/verify-ticket", pool_verify, ERRAND_PEER, false},
    {"GET", "/get-all-channels", classic_channels, ERRAND_READER, false},
    {"POST", "/create-channel", classic_create, ERRAND_PERSON, false},
    {"POST", "/join-channel", classic_join, ERRAND_NAMED, false},
    {"POST", "/leave-channel", classic_leave, ERRAND_NAMED, false},
    {"POST", "/get-channel-messages", classic_messages, ERRAND_READER, false},
    {"POST", "/send-channel-message", classic_send, ERRAND_NAMED, false},
};

/* --- the answer --- */

static void errand_free(struct errand *errand)
{
    json_decref(errand->list);
    json_decref(errand->guests);
    free(errand->state);
    free(errand);
}

void errand_json(struct errand *errand, int status, json_t *json)
{
    wr_response_header(errand->request, "Cache-Control", "no-store");
    if (json)
        wr_respond_json(errand->request, status, json);
    else
        accounts_failed(errand->tracker->accounts, errand->request, ERR_MEMORY);
    errand_free(errand);
}

void errand_done(struct errand *errand, const char *message)
{
    errand_json(errand, 200, json_pack("{s:s,s:s}", "status", "success", "message", message));
}

void errand_refuse(struct errand *errand, int status, const char *message)
{
    const char *word = errand->route->failure ? "failure" : "error";
    errand_json(errand, status, json_pack("{s:s,s:s}", "status", word, "message", message));
}

void errand_failed(struct errand *errand, int err)
{
    int status;
    const char *message = accounts_failure(err, &status);
    if (err == ERR_BUSY || err == ERR_FULL) wr_response_header(errand->request, "Retry-After", "3");
    if (err != ERR_CLOSED)
        tracker_log_some(errand->tracker, LOG_STORE, "a request failed (%s): %s", errand->route->path,
                         err_text(err));
    errand_refuse(errand, status, message);
}

void errand_ask(struct errand *errand, const struct store_operation *operation,
                const struct store_value *values, size_t count, store_asked *asked)
{
    int err = store_ask(errand->tracker->store, operation, values, count, asked, errand);
    if (err) errand_failed(errand, err);
}

void errand_call(struct errand *errand, const char *type, json_t *fields, call_answered *answered)
{
    struct call person = {.account = errand->account, .role = errand->role};
    memcpy(person.name, errand->name, sizeof person.name);
    memcpy(person.session, errand->session, sizeof person.session);
    snprintf(person.address, sizeof person.address, "%s", wr_request_address(errand->request));
    call_run(errand->tracker, &person, type, fields, answered, errand);
}

/* --- the fields --- */

bool errand_text(struct errand *errand, const char *field, slice *out)
{
    const json_t *value = json_object_get(wr_request_fields(errand->request), field);
    const char *text = wr_request_field(errand->request, field);
    if (!text || (json_is_string(value) && strlen(text) != json_string_length(value))) return false;
    *out = slice_text(text);
    return true;
}

static bool is_there(struct errand *errand, const char *field)
{
    const json_t *value = json_object_get(wr_request_fields(errand->request), field);
    return value && !json_is_null(value) && (!json_is_string(value) || json_string_length(value) > 0);
}

/* An IP address in its usual spelling. "Any address" stands for the one that the request came from. */
static bool read_ip(struct errand *errand, slice text, char out[INET6_ADDRSTRLEN])
{
    char address[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (text.len >= sizeof address) return false;
    memcpy(address, text.ptr, text.len + 1); /* with the NUL */
    int family = inet_pton(AF_INET, address, bytes) == 1    ? AF_INET
                 : inet_pton(AF_INET6, address, bytes) == 1 ? AF_INET6
                                                            : AF_UNSPEC;
    if (family == AF_UNSPEC) return false;
    static const uint8_t any[16];
    if (memcmp(bytes, any, family == AF_INET ? 4 : 16) == 0) {
        snprintf(out, INET6_ADDRSTRLEN, "%s", wr_request_address(errand->request));
        return true;
    }
    return inet_ntop(family, bytes, out, INET6_ADDRSTRLEN) != NULL;
}

static bool read_port(slice text, uint16_t *out)
{
    unsigned long port = 0;
    if (text.len < 1 || text.len > 5) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        port = port * 10 + (unsigned long)(text.ptr[i] - '0');
    }
    *out = (uint16_t)port;
    return port >= 1 && port <= 65535;
}

int errand_address(struct errand *errand, const char *ip_field, const char *port_field)
{
    slice ip, port;
    char message[160];
    if (!is_there(errand, ip_field) && !is_there(errand, port_field)) return 0;
    if (!errand_text(errand, ip_field, &ip) || !read_ip(errand, ip, errand->ip)) {
        snprintf(message, sizeof message, "\"%s\" must be an IP address.", ip_field);
    } else if (!errand_text(errand, port_field, &port) || !read_port(port, &errand->port)) {
        snprintf(message, sizeof message, "\"%s\" must be a port, 1 to 65535.", port_field);
    } else {
        return 1;
    }
    errand_refuse(errand, 400, message);
    return -1;
}

/* --- who asks --- */

static bool same_name(slice left, slice right)
{
    uint8_t a[FOLD_KEY_BYTES_MAX], b[FOLD_KEY_BYTES_MAX];
    if (name_problem(left) || name_problem(right)) return false;
    int a_len = fold_name(left, a), b_len = fold_name(right, b);
    return a_len > 0 && a_len == b_len && memcmp(a, b, (size_t)a_len) == 0;
}

static void begin_person(struct errand *errand, const struct session *session)
{
    slice claimed;
    errand->account = errand->writer = session->account;
    errand->role = session->role;
    memcpy(errand->session, session->hash, sizeof errand->session);
    memcpy(errand->name, session->name.ptr, session->name.len); /* at most ACCOUNT_NAME_BYTES_MAX */
    if (!is_there(errand, "username") || errand->route->who == ERRAND_PEER ||
        (errand_text(errand, "username", &claimed) && same_name(claimed, session->name))) {
        errand->route->run(errand);
        return;
    }
    char message[256];
    snprintf(message, sizeof message, "You are logged in as %s: \"username\" must be that name, or left out.",
             errand->name);
    errand_refuse(errand, 403, message);
}

static void guest_looked_up(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    if (!result && rows->count) errand->writer = store_at(rows, 0, 0)->number;
    if (result == ERR_DENIED)
        errand_refuse(errand, 401, "This name belongs to an account: log in to use it.");
    else if (result)
        errand_failed(errand, result);
    else
        errand->route->run(errand);
}

/* With --classroom only. */
static void begin_guest(struct errand *errand)
{
    slice name;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (!is_there(errand, "username")) {
        if (errand->route->who == ERRAND_READER)
            errand->route->run(errand);
        else
            errand_refuse(errand, 401, "Log in, or send a \"username\".");
        return;
    }
    const char *problem =
        errand_text(errand, "username", &name) ? name_problem(name) : "\"username\" must be a text.";
    int len = problem ? ERR_INVALID : fold_name(name, key);
    if (len < 0) {
        errand_refuse(errand, 400, problem ? problem : "This name cannot be used.");
        return;
    }
    errand->guest = true;
    memcpy(errand->name, name.ptr, name.len);
    const struct store_value values[] = {store_text(slice_of(key, (size_t)len))};
    errand_ask(errand, &CLASSIC_GUEST, values, 1, guest_looked_up);
}

static void session_known(void *context, struct wr_request *request, int result,
                          const struct session *session)
{
    struct errand *errand = context;
    (void)request;
    if (!result)
        begin_person(errand, session);
    else if (result != ERR_NOT_FOUND)
        errand_failed(errand, result);
    else if (errand->tracker->config.classroom && errand->route->who != ERRAND_PERSON)
        begin_guest(errand);
    else
        errand_refuse(errand, 401, "You are not logged in.");
}

static void requested(struct wr_request *request, void *context)
{
    const struct classic_binding *binding = context;
    struct tracker *tracker = binding->tracker;
    struct errand *errand = calloc(1, sizeof *errand);
    if (!errand) {
        accounts_failed(tracker->accounts, request, ERR_MEMORY);
        return;
    }
    errand->tracker = tracker;
    errand->request = request;
    errand->route = binding->route;
    if (!accounts_origin_good(tracker->accounts, request))
        errand_refuse(errand, 403, "This request was sent by a page of another site.");
    else if (!wr_request_fields(request))
        errand_refuse(errand, 400, "Send the fields as a form or as a JSON object.");
    else if (errand->route->who == ERRAND_PEER)
        errand->route->run(errand);
    else
        session_check(tracker->accounts, request, session_known, errand);
}

/* --- the table --- */

_Static_assert(sizeof routes / sizeof routes[0] == CLASSIC_ROUTES, "CLASSIC_ROUTES");

enum { HOUSES_PER_MINUTE = 12 };

void classic_housekeeping(struct tracker *tracker)
{
    classic_fade(tracker);
    if (tracker->classic->houses++ % HOUSES_PER_MINUTE == 0) classic_keep_announced(tracker);
}

int classic_open(struct tracker *tracker)
{
    struct classic *classic = calloc(1, sizeof *classic);
    tracker->classic = classic;
    if (!classic) return ERR_MEMORY;
    for (size_t i = 0; i < CLASSIC_ROUTES; i++) {
        struct classic_binding *binding = &classic->bindings[i];
        *binding = (struct classic_binding){tracker, &routes[i]};
        if (wr_route(tracker->app, routes[i].method, routes[i].path, requested, binding)) return ERR_MEMORY;
    }
    return OK;
}

void classic_close(struct tracker *tracker)
{
    free(tracker->classic);
}
