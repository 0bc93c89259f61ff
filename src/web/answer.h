/* answer.h - an answer in the making: status, head fields, and a body of pieces, which are copied, borrowed,
 * shared or ranges of files. */
#ifndef WEB_ANSWER_H
#define WEB_ANSWER_H

#include "net/shared.h"
#include "web/app.h"

enum answer_piece_kind {
    ANSWER_COPY,
    ANSWER_CONSTANT, /* the bytes live as long as the app */
    ANSWER_SHARED,
    ANSWER_FILE,
};

struct answer_piece {
    enum answer_piece_kind kind;
    slice bytes;                 /* COPY, CONSTANT */
    struct shared_bytes *shared; /* all of them; held while they are sent */
    struct shared_file *file;    /* held while it is sent */
    uint64_t offset, len;        /* of the file */
};

struct answer {
    int status;
    slice content_type; /* empty: none; valid */
    /* Fields besides those that were added to the request, as lines, valid. One that was added to the request
     * too gives way, but Vary. */
    slice fields;
    uint32_t replaces; /* fields for all answers, by index, that `fields` has */
    const struct answer_piece *pieces;
    size_t count;
};

/* The library says these itself (wr_response_header). */
bool answer_owns_field(slice name);

/* Sends it and releases the request. */
void respond_answer(struct wr_request *request, const struct answer *answer);
/* Answers 404. */
void respond_missing(struct wr_request *request);
/* Answers OPTIONS with 204, other methods with 405; Allow lists the routes' methods; GET and HEAD too when
 * `file` is true. */
void respond_other_method(struct wr_request *request, const struct route *routes, bool file);

/* --- the steps of it, for answers that come in pieces --- */

/* Calls the filters behind and judges status and fields. False: one is not valid, which was logged; then
 * answer_broken takes the place of head and body. */
bool answer_check(struct wr_request *request, int status);
/* Queues a whole 500 instead. An error: that is not possible (any more). */
int answer_broken(struct wr_request *request) BASE_CHECKED;
/* Queues the head, without the pieces; the request must have its connection. length: of the body,
 * HTTP_NO_LENGTH when it is not known before. ERR_MEMORY. */
int answer_head(struct wr_request *request, const struct answer *answer, uint64_t length) BASE_CHECKED;
/* False: HEAD, 204, 304. */
bool answer_has_body(const struct wr_request *request);
/* The answer is queued, or could not be (rc is an error): the connection goes on, or ends. Releases the
 * request. */
void answer_done(struct wr_request *request, int rc);
/* Takes the request from its connection: what the program still does with the handle goes nowhere. */
void answer_detach(struct wr_request *request);

/* --- pieces.c: for events.c --- */

/* Room for a piece of an answer that was begun; fill it, then pieces_filled. *out_room NULL: nothing is to be
 * written, the result is what wr_respond_write returns. */
int64_t pieces_room(struct wr_request *request, size_t len, uint8_t **out_room);
int64_t pieces_filled(struct wr_request *request);
/* Queues what ends the body. ERR_WRONG_STATE: bytes are missing; ERR_MEMORY. */
int pieces_put_end(struct wr_request *request) BASE_CHECKED;

/* --- pieces.c, events.c: what the connection tells an answer that was begun --- */

/* Some of it has left. */
void pieces_flushed(struct wr_request *request);
/* A deadline of server-sent events has come. */
void events_beat(struct wr_request *request);
/* The server stops: ends them; the program is told as if the client had gone. */
void events_stop(struct wr_request *request);

#endif
