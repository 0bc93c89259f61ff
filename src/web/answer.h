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

/* Sends it and releases the request. */
void respond_answer(struct wr_request *request, const struct answer *answer);

#endif
