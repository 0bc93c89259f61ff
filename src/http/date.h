/* date.h - the dates of HTTP (RFC 9110 5.6.7): the one form that is written, the three that are read. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include "base/err.h"
#include "base/slice.h"

enum { HTTP_DATE_BYTES = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* seconds since 1970, not negative, before the year 10000. Writes HTTP_DATE_BYTES characters and a NUL. */
void http_date_write(int64_t seconds, char out[HTTP_DATE_BYTES + 1]);

/* Reads IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT"), RFC 850 ("Sunday, 06-Nov-94 08:49:37 GMT") or asctime
 * ("Sun Nov  6 08:49:37 1994"), each exactly in its form; else ERR_MALFORMED. *out_seconds since 1970,
 * negative before. now_s decides the century of a year of two digits: not more than 50 years ahead. The day
 * must exist; that it fell on that weekday is not checked. */
int http_date_parse(slice text, int64_t now_s, int64_t *out_seconds) BASE_CHECKED;

#endif
