/* origins.h - pages of other web sites that may use this server in the name of who is logged in (CORS), and
 * the one answer to: may this request change something?
 *
 * A page is known by its Origin (RFC 6454), which browsers send and pages cannot choose. Without a list only
 * the server's own pages may; a program, which sends no Origin, may always, for it has no cookies of somebody
 * else.
 *
 * Rules: set up before the app runs; then read by any thread. */
#ifndef ACCOUNT_ORIGINS_H
#define ACCOUNT_ORIGINS_H

#include "base/err.h"
#include "base/slice.h"
#include "weaprous/weaprous.h"

enum { ORIGINS_MAX = 16, ORIGIN_BYTES_MAX = 280 };

struct origins {
    size_t count;
    char texts[ORIGINS_MAX][ORIGIN_BYTES_MAX + 1];
};

/* list: "https://a.example,http://b.example:8080"; NULL or empty: none. NULL, or a sentence about what is
 * wrong with it (static). */
const char *origins_read(struct origins *origins, const char *list);
/* Of a page of ours, of one in the list, or of a program. */
bool origins_good(const struct origins *origins, struct wr_request *request);
/* Whether a page in the list sent it. */
bool origins_foreign(const struct origins *origins, struct wr_request *request);
/* Answers preflights and tells browsers that these pages may read the answers: a filter of the whole app. The
 * list is borrowed for its life. ERR_MEMORY. */
int origins_open(const struct origins *origins, struct wr_app *app) BASE_CHECKED;

#endif
