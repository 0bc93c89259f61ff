/* request.h - what the fields of a request head mean together: Host, body length, persistence. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "http/head.h"

/* Splits the target (RFC 9112 3.2) into path, query and authority. 0 or an HTTP status. */
int http_target_parse(slice bytes, struct http_head *head);
/* Reads the fields that decide about framing and connection. 0 or an HTTP status; *out_why is then a static
 * sentence. */
int http_head_check(slice bytes, const struct http_limits *limits, struct http_head *head,
                    const char **out_why);

#endif
