/* call.h - what people and programs ask of the tracker: one table of operations, and two ways to reach it.
 *
 *     over the socket   {"type":"friend-ask","id":7,"account":"binh"}  ->  {"type":"friend-ask","id":7,
 *                       "status":"success", ...}
 *     over HTTP         POST /call/friend-ask with the fields as JSON or as a form, and the session cookie
 *                       ->  200 {"status":"success", ...}
 *
 * Both end in the same handler. A refusal is {"status":"error","code":403,"message":"..."}, over HTTP with
 * that status. docs/api.md lists the operations.
 *
 * Rules
 *   Thread: the tracker's.
 *   Life:   a handler answers exactly once, by call_answer, call_refuse or call_failed, now or later; that
 *           frees the call. Until then the call, its fields, and what they point to stay, also when whoever
 *           asked has gone (the answer goes nowhere then).
 *   Who:    the row says who may call at all; what depends on the data (is she a moderator there?) is decided
 *           by the operation of the store, in the same transaction. */
#ifndef TRACKER_CALL_H
#define TRACKER_CALL_H

#include "account/fold.h"
#include "store/operation.h"
#include "tracker/state.h"

enum call_who {
    CALL_PERSON, /* anybody who is logged in */
    CALL_ADMIN,
    CALL_DEVICE, /* over a socket that has said hello */
};

struct call;
typedef void call_handler(struct call *call);

struct call_row {
    const char *type;
    call_handler *run;
    enum call_who who;
};

/* For call_run: the status as HTTP has it, and the answer, which it takes (NULL: no memory). */
typedef void call_answered(void *context, int status, json_t *answer);
typedef void call_asked(struct call *call, int result, const struct store_rows *rows);

struct call {
    struct tracker *tracker;
    const struct call_row *row;
    json_t *fields;
    /* who asks */
    int64_t account;
    int role;
    char name[NODE_NAME_BYTES_MAX + 1];
    uint8_t session[SESSION_HASH_BYTES];
    uint8_t device[ID_BYTES]; /* when has_device */
    bool has_device;
    char address[64]; /* text of the IP address */

    void *state; /* the handler's own, from malloc: freed with the call */

    /* private to call.c */
    struct wr_request *request; /* over HTTP; else ... */
    uint32_t client;            /* ... the number of the socket, and ... */
    bool counted;               /* (it is one of its calls that are under way) */
    json_int_t id;              /* ... of the request there; or else for call_run: */
    call_answered *answered;
    void *answered_context;
    call_asked *asked;
};

/* --- the fields; when one is not right these answer (400, with its name) and give false --- */

/* Text in UTF-8 without control characters, of min to max letters; it borrows from the fields. */
bool call_text(struct call *call, const char *field, size_t min, size_t max, slice *out);
/* As call_text; SLICE_EMPTY when the field is not there. */
bool call_text_maybe(struct call *call, const char *field, size_t max, slice *out);
/* An integer, also as text ("after=12" of a form). `otherwise` when the field is not there. */
bool call_number(struct call *call, const char *field, int64_t min, int64_t max, int64_t otherwise,
                 int64_t *out);
/* true / false, also as text; false when the field is not there. */
bool call_flag(struct call *call, const char *field, bool *out);
/* An id of a device or a channel: 64 hexadecimal digits. */
bool call_id(struct call *call, const char *field, uint8_t out[ID_BYTES]);
/* The name of an account, folded as the key by which accounts are found. */
bool call_account_key(struct call *call, const char *field, uint8_t out_key[FOLD_KEY_BYTES_MAX], slice *out);

/* --- the answer --- */

/* `more` (may be NULL) is an object whose fields are added; takes it. */
void call_answer(struct call *call, json_t *more);
/* status: 400, 403, 404, 409, 413, 429 ... */
void call_refuse(struct call *call, int status, const char *message);
/* The words for an error of the store that has no better explanation. */
void call_failed(struct call *call, int err);
/* Runs an operation of the store; `asked` gets what became of it. When it cannot even be queued, the call has
 * been answered. */
void call_ask(struct call *call, const struct store_operation *operation, const struct store_value *values,
              size_t count, call_asked *asked);
/* For call_ask: answers with success, or call_failed. */
void call_done(struct call *call, int result, const struct store_rows *rows);

/* Runs a call of the table for a person who is logged in: who is in `person` (account, role, name, session,
 * address). Takes the fields. answered is called once, perhaps before this returns. */
void call_run(struct tracker *tracker, const struct call *person, const char *type, json_t *fields,
              call_answered *answered, void *context);

/* --- the two faces --- */

/* Adds POST /call/{type}. ERR_MEMORY. */
int calls_open(struct tracker *tracker) BASE_CHECKED;
/* Of a text frame; false when there is no such type. Keeps a reference to message. */
bool calls_message(struct client *client, const char *type, json_t *message, json_int_t id);

/* The tables, each in the file of its area; they end with a row without a type. */
extern const struct call_row account_calls[], people_calls[], channel_calls[], admin_calls[];

#endif
