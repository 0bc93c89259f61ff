#include "tracker/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "tracker/socket.h"

static const struct call_row *const tables[] = {account_calls, people_calls, channel_calls, admin_calls};

static const struct call_row *row_of(const char *type)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct call_row *row = tables[i]; row->type; row++) {
            if (strcmp(row->type, type) == 0) return row;
        }
    }
    return NULL;
}

/* --- the answer --- */

/* So that one socket does not fill the queue of the store, or the memory, with what it asks for. */
static void count_call(struct client *client, struct call *call)
{
    call->counted = true;
    if (++client->calls >= CALLS_MAX) client_pause(client, PAUSE_CALLS);
}

static void call_end(struct call *call)
{
    struct client *client = call->counted ? handles_get(&call->tracker->clients, call->client) : NULL;
    if (client && client->calls-- == CALLS_MAX) client_resume(client, PAUSE_CALLS);
    json_decref(call->fields);
    free(call->state);
    free(call);
}

static void to_request(struct call *call, int status, json_t *answer)
{
    wr_response_header(call->request, "Cache-Control", "no-store");
    if (answer)
        wr_respond_json(call->request, status, answer);
    else
        accounts_failed(call->tracker->accounts, call->request, ERR_MEMORY);
}

void call_answer(struct call *call, json_t *more)
{
    struct client *client = handles_get(&call->tracker->clients, call->client);
    if (call->request) {
        json_t *answer = json_pack("{s:s}", "status", "success");
        if (answer && more) json_object_update(answer, more);
        json_decref(more);
        to_request(call, 200, answer);
    } else if (call->answered) {
        json_t *answer = json_pack("{s:s}", "status", "success");
        if (answer && more) json_object_update(answer, more);
        json_decref(more);
        call->answered(call->answered_context, 200, answer);
    } else if (client && client->phase != CLIENT_LEAVING) {
        client_answer(client, call->row->type, call->id, more);
    } else {
        json_decref(more);
    }
    call_end(call);
}

void call_refuse(struct call *call, int status, const char *message)
{
    struct client *client = handles_get(&call->tracker->clients, call->client);
    if (call->request)
        to_request(call, status,
                   json_pack("{s:s,s:i,s:s}", "status", "error", "code", status, "message", message));
    else if (call->answered)
        call->answered(call->answered_context, status,
                       json_pack("{s:s,s:s}", "status", "error", "message", message));
    else if (client && client->phase != CLIENT_LEAVING)
        client_refuse_with(client, call->row->type, call->id, status, message);
    call_end(call);
}

void call_failed(struct call *call, int err)
{
    if (call->request) {
        accounts_failed(call->tracker->accounts, call->request, err);
        call_end(call);
        return;
    }
    int status;
    const char *message = accounts_failure(err, &status);
    if (err != ERR_CLOSED)
        tracker_log_some(call->tracker, LOG_STORE, "a request failed (%s): %s", call->row->type,
                         err_text(err));
    call_refuse(call, status, message);
}

static void call_stored(void *context, int result, const struct store_rows *rows)
{
    struct call *call = context;
    call->asked(call, result, rows);
}

void call_ask(struct call *call, const struct store_operation *operation, const struct store_value *values,
              size_t count, call_asked *asked)
{
    call->asked = asked;
    int err = store_ask(call->tracker->store, operation, values, count, call_stored, call);
    if (err) call_failed(call, err);
}

void call_done(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result)
        call_failed(call, result);
    else
        call_answer(call, NULL);
}

/* --- the fields --- */

static bool refuse_field(struct call *call, const char *field, const char *what)
{
    char message[160];
    snprintf(message, sizeof message, "\"%s\" must be %s.", field, what);
    call_refuse(call, 400, message);
    return false;
}

static bool letters_between(slice text, size_t min, size_t max)
{
    size_t letters = 0;
    uint32_t point;
    while (text.len) {
        if (utf8_next(&text, &point) || (point < 0x20 && point != '\n' && point != '\t') || point == 0x7f)
            return false;
        if (++letters > max) return false;
    }
    return letters >= min;
}

bool call_text(struct call *call, const char *field, size_t min, size_t max, slice *out)
{
    char what[64];
    const json_t *value = json_object_get(call->fields, field);
    *out = slice_of(json_string_value(value), json_string_length(value));
    if (json_is_string(value) && letters_between(*out, min, max)) return true;
    snprintf(what, sizeof what, "a text of %zu to %zu characters", min, max);
    return refuse_field(call, field, what);
}

bool call_text_maybe(struct call *call, const char *field, size_t max, slice *out)
{
    *out = SLICE_EMPTY;
    return json_object_get(call->fields, field) ? call_text(call, field, 0, max, out) : true;
}

bool call_number(struct call *call, const char *field, int64_t min, int64_t max, int64_t otherwise,
                 int64_t *out)
{
    char what[96], *end;
    const json_t *value = json_object_get(call->fields, field);
    const char *text = json_string_value(value);
    *out = otherwise;
    if (!value) return true;
    bool good = json_is_integer(value);
    *out = json_integer_value(value);
    if (text && json_string_length(value) <= 20) {
        *out = strtoll(text, &end, 10);
        good = end != text && *end == '\0';
    }
    if (good && *out >= min && *out <= max) return true;
    snprintf(what, sizeof what, "a number from %lld to %lld", (long long)min, (long long)max);
    return refuse_field(call, field, what);
}

bool call_flag(struct call *call, const char *field, bool *out)
{
    const json_t *value = json_object_get(call->fields, field);
    const char *text = json_string_value(value);
    *out = json_is_true(value) || (text && strcmp(text, "true") == 0);
    if (!value || json_is_boolean(value) || *out || (text && strcmp(text, "false") == 0)) return true;
    return refuse_field(call, field, "true or false");
}

bool call_id(struct call *call, const char *field, uint8_t out[ID_BYTES])
{
    const json_t *value = json_object_get(call->fields, field);
    if (json_is_string(value) &&
        !hex_decode(slice_of(json_string_value(value), json_string_length(value)), out, ID_BYTES))
        return true;
    return refuse_field(call, field, "an id: 64 hexadecimal digits");
}

bool call_account_key(struct call *call, const char *field, uint8_t out_key[FOLD_KEY_BYTES_MAX], slice *out)
{
    const json_t *value = json_object_get(call->fields, field);
    slice name = slice_of(json_string_value(value), json_string_length(value));
    int len = json_is_string(value) && !name_problem(name) ? fold_name(name, out_key) : -1;
    if (len < 0) return refuse_field(call, field, "the name of an account");
    *out = slice_of(out_key, (size_t)len);
    return true;
}

/* --- over the socket --- */

static void run(struct call *call)
{
    if (call->row->who == CALL_ADMIN && call->role < ROLE_ADMIN)
        call_refuse(call, 403, "Only an administrator may do this.");
    else if (call->row->who == CALL_DEVICE && !call->has_device)
        call_refuse(call, 403, "This is for a device: over the socket, after hello.");
    else
        call->row->run(call);
}

bool calls_message(struct client *client, const char *type, json_t *message, json_int_t id)
{
    const struct call_row *row = row_of(type);
    if (!row) return false;
    struct call *call = client->phase == CLIENT_ONLINE ? calloc(1, sizeof *call) : NULL;
    if (!call) {
        client_refuse(client, type, id,
                      client->phase == CLIENT_ONLINE ? "The server is out of memory." : "Say hello first.");
        return true;
    }
    *call = (struct call){.tracker = client->tracker,
                          .row = row,
                          .fields = json_incref(message),
                          .account = client->account,
                          .role = client->role,
                          .has_device = true,
                          .client = client->number,
                          .id = id};
    snprintf(call->name, sizeof call->name, "%s", client->person->name);
    memcpy(call->session, client->session, sizeof call->session);
    memcpy(call->device, client->seat.device, sizeof call->device);
    snprintf(call->address, sizeof call->address, "%s", wr_socket_address(client->socket));
    count_call(client, call);
    run(call);
    return true;
}

/* --- for other parts of the tracker --- */

void call_run(struct tracker *tracker, const struct call *person, const char *type, json_t *fields,
              call_answered *answered, void *context)
{
    const struct call_row *row = row_of(type);
    struct call *call = row && fields ? calloc(1, sizeof *call) : NULL;
    if (!call) {
        json_decref(fields);
        answered(context, 503, NULL);
        return;
    }
    *call = *person;
    call->tracker = tracker;
    call->row = row;
    call->fields = fields;
    call->state = NULL;
    call->request = NULL;
    call->counted = false;
    call->answered = answered;
    call->answered_context = context;
    run(call);
}

/* --- over HTTP --- */

static void session_known(void *context, struct wr_request *request, int result,
                          const struct session *session)
{
    struct call *call = context;
    call->request = request;
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 401, "You are not logged in.");
    } else if (result) {
        call_failed(call, result);
    } else {
        call->account = session->account;
        call->role = session->role;
        memcpy(call->session, session->hash, sizeof call->session);
        memcpy(call->name, session->name.ptr, session->name.len); /* at most ACCOUNT_NAME_BYTES_MAX */
        snprintf(call->address, sizeof call->address, "%s", wr_request_address(request));
        run(call);
    }
}

static void post_call(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    const struct call_row *row = row_of(wr_request_param(request, "type"));
    json_t *fields = wr_request_fields(request);
    if (!row) {
        wr_respond_error(request, 404, "This server does not know this type of call.");
        return;
    }
    if (!accounts_origin_good(tracker->accounts, request)) {
        wr_respond_error(request, 403, "This request was sent by a page of another site.");
        return;
    }
    if (!fields) {
        wr_respond_error(request, 400, "Send the fields as a JSON object or as a form.");
        return;
    }
    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        accounts_failed(tracker->accounts, request, ERR_MEMORY);
        return;
    }
    *call = (struct call){.tracker = tracker, .row = row, .fields = json_incref(fields), .request = request};
    session_check(tracker->accounts, request, session_known, call);
}

int calls_open(struct tracker *tracker)
{
    return wr_route(tracker->app, "POST", "/call/:type", post_call, tracker) ? ERR_MEMORY : OK;
}
