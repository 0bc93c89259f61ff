/* wanted.h - what a request says about the form of the answer: conditions, ranges, codings. For files, on
 * disk and compiled in. */
#ifndef WEB_WANTED_H
#define WEB_WANTED_H

#include "http/condition.h"
#include "web/app.h"

enum coding { CODING_IDENTITY, CODING_BR, CODING_GZIP, CODINGS };
#define CODING_ABSENT UINT64_MAX

/* ptr NULL: the field is not there. Borrows from the request. */
struct wanted {
    struct http_conditions conditions;
    slice range, if_range, accept_encoding;
    bool conditional; /* one of the conditions is there */
};

/* Reads the fields in one pass. */
void wanted_read(struct wr_request *request, struct wanted *out);
/* The time, as the Date of the answer will have it. */
int64_t wanted_now_s(const struct wr_request *request);
/* What the conditions say to a GET or HEAD of this representation; HTTP_PROCEED for other methods, whose
 * effect is not the representation's. */
enum http_condition wanted_evaluate(struct wr_request *request, const struct wanted *wanted, slice etag,
                                    int64_t modified_s);
/* The coding of the greatest weight; of equal ones the smallest. `sizes` in bytes, CODING_ABSENT for what
 * there is not; identity always is, and is sent also to those who refuse it: better than nothing. */
enum coding coding_choose(slice accept_encoding, const uint64_t sizes[CODINGS]);

#endif
