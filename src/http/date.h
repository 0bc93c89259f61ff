/* date.h - the date format of HTTP (IMF-fixdate, RFC 9110 5.6.7). */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stdint.h>

enum { HTTP_DATE_BYTES = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* seconds since 1970, not negative, before the year 10000. Writes HTTP_DATE_BYTES characters and a NUL. */
void http_date_write(int64_t seconds, char out[HTTP_DATE_BYTES + 1]);

#endif
