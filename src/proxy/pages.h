/* pages.h - what the proxy itself answers: a page, or JSON for who wants that, that says in words what
 * happened and what can be done about it. */
#ifndef PROXY_PAGES_H
#define PROXY_PAGES_H

#include "base/slice.h"
#include "weaprous/weaprous.h"

/* Answers and so releases the request. `what`: a sentence without markup for people ("No server behind
 * \"chat.example\" answers at the moment."), escaped here. request_id may be empty. retry_after_s 0: none. */
void page_respond(struct wr_request *request, int status, const char *what, slice request_id,
                  unsigned retry_after_s);

#endif
