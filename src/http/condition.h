/* condition.h - conditional requests (RFC 9110 13): whether a request is carried out, and entity tags.
 *
 * Rules: nothing allocates; no clock: the time is an argument. A field that cannot be read counts as absent
 * where the RFC says so (dates, 13.1.3 and 13.1.4) and matches nothing else. */
#ifndef HTTP_CONDITION_H
#define HTTP_CONDITION_H

#include "base/slice.h"

/* The fields as sent (several of one name joined with commas); ptr NULL: absent. */
struct http_conditions {
    slice if_match, if_unmodified_since, if_none_match, if_modified_since;
};

/* What is known of the representation that would be sent, or changed. */
struct http_validators {
    slice etag;         /* with its quotes, a weak one with W/; empty: none */
    int64_t modified_s; /* Last-Modified in seconds since 1970; negative: none */
    bool missing;       /* there is no representation now (If-Match: *, If-None-Match: *) */
};

enum http_condition {
    HTTP_PROCEED = 0,
    HTTP_NOT_MODIFIED = 304,        /* answer so, with the fields of 15.4.5, without a body */
    HTTP_PRECONDITION_FAILED = 412, /* answer so */
};

/* In the order of 13.2.2. `method` decides whether a failed If-None-Match is 304 (GET, HEAD) or 412. Ask only
 * when the answer without conditions would be 2xx (13.2.1), and before Range is looked at. */
enum http_condition http_condition_evaluate(const struct http_conditions *conditions,
                                            const struct http_validators *validators, slice method,
                                            int64_t now_s);

/* An entity tag in quotes, perhaps with W/ before it (8.8.3). */
bool etag_valid(slice etag);
bool etag_is_weak(slice etag);
enum etag_comparison { ETAG_WEAK, ETAG_STRONG }; /* 8.8.3.2 */
bool etag_equal(slice a, slice b, enum etag_comparison comparison);
/* True when a list of entity tags, as in If-Match or If-None-Match, has one that equals `etag`, or is "*".
 * Reading ends at the first thing that is no entity tag. */
bool etag_list_has(slice field, slice etag, enum etag_comparison comparison);

#endif
