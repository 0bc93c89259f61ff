/* rewrite_check.h - what must hold for every head that the proxy writes anew, whatever came: for the fuzz
 * target proxy_rewrite and the unit tests. A head for which it does not hold ends the process. */
#ifndef TESTS_REWRITE_CHECK_H
#define TESTS_REWRITE_CHECK_H

#include "base/slice.h"

/* What the proxy knows besides the head: a bit for each. */
enum {
    CHECK_TRUSTED = 1,
    CHECK_TRUST_FORWARDED = 2,
    CHECK_MOVED = 4, /* the server has a path of its own */
    CHECK_SET = 8,   /* the location sets fields */
    CHECK_UPGRADE = 16,
    CHECK_V6 = 32,
    CHECK_TOLD_HOST = 64,
    CHECK_HEAD = 128, /* of an answer: it is one to HEAD */
    CHECK_CLOSE = 1,  /* of an answer: the connection to the client ends */
    CHECK_OLD = 2,    /* of an answer: the client speaks HTTP/1.0 */
};

/* False: the parser, or the normal form of the path, refuses it; then the proxy does too. */
bool rewrite_check_request(slice text, unsigned options);
bool rewrite_check_answer(slice text, unsigned options);

#endif
