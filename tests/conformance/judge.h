/* judge.h - compares what came back on one connection with a case of the table, as it comes.
 *
 * Beside what the table says, every answer must be well-formed: one Date, one right Content-Length where
 * there may be one and none where there may not, Connection: close on the last answer before the end and on
 * no other, Allow with 405, Upgrade with 426. */
#ifndef TESTS_CONFORMANCE_JUDGE_H
#define TESTS_CONFORMANCE_JUDGE_H

#include "table.h"

enum judgement {
    JUDGE_MORE,  /* more must come */
    JUDGE_SEND,  /* the step is to be sent: send it, and call judge_sent */
    JUDGE_DONE,  /* all that was promised has come */
    JUDGE_WRONG, /* something else has come; `why` */
};

struct judge {
    const struct table_case *c;
    size_t step;
    size_t at;            /* bytes that are judged */
    struct buffer normal; /* what came, without dates and optional answers: must not depend on the cuts */
    char why[400];
};

void judge_init(struct judge *j, const struct table_case *c);
void judge_deinit(struct judge *j);
/* all: what has come so far. */
enum judgement judge_look(struct judge *j, slice all);
/* The step that was asked for is sent. */
void judge_sent(struct judge *j);

#endif
