/* status.h - status codes and their phrases (RFC 9110 15). */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

/* Never NULL; static. */
const char *http_status_text(int status);

#endif
