/* lines.h - what heads of requests and of answers have in common: lines that end with CR LF, looked at once
 * however the input is cut, and field lines (RFC 9112 2.2, 5). */
#ifndef HTTP_LINES_H
#define HTTP_LINES_H

#include "http/head.h"

struct http_scan {
    size_t at;   /* first byte not looked at yet */
    size_t line; /* where the current line begins */
};

#endif
