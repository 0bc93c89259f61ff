/* page.h - the pages that the backend has of its own: without script, in one answer each, light and dark.
 *
 * Rules: page_init once, before the others; then any worker's thread. Texts are escaped here. */
#ifndef BACKEND_PAGE_H
#define BACKEND_PAGE_H

#include "base/err.h"
#include "base/slice.h"
#include "weaprous/weaprous.h"

/* Makes the policy that allows the pages their style and nothing else. */
void page_init(void);

/* The login form. message: why it is shown again; NULL: nothing. Not cached. */
void page_login(struct wr_request *request, int status, const char *message);
/* What somebody who is logged in sees when the folder (NULL: there is none) has no index.html. */
void page_home(struct wr_request *request, slice name, const char *folder);
/* There is nothing at this address; leads to the first page. */
void page_missing(struct wr_request *request);

#endif
