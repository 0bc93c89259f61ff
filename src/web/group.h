/* group.h - routes under one prefix, and the filters that go for them.
 *
 * Each group holds its own filters and, flat, all that go for its routes, in the order in which they are
 * called: those before the handler from the outer group to the inner one, those behind it the other way
 * round. So a request walks one array, and asks one length when there is none.
 *
 * Rules: made and changed before the workers run, constant afterwards. */
#ifndef WEB_GROUP_H
#define WEB_GROUP_H

#include "base/err.h"
#include "weaprous/weaprous.h"

enum { GROUP_PREFIX_BYTES_MAX = 1024 };

struct filter {
    wr_filter before; /* one of the two */
    wr_after_filter after;
    void *context;
};

struct filter_list {
    struct filter *at;
    size_t len;
};

struct wr_group {
    struct wr_app *app;
    struct wr_group *parent; /* NULL: the root */
    struct wr_group *next;   /* in the order they were made: parents before children */
    char *prefix;            /* of all its parents too; "" or "/a/b" */
    struct filter_list own_before, own_after;
    struct filter_list before, after; /* what goes for its routes, in the order of the calls */
};

/* The root of an app; nothing is allocated. */
void group_init(struct wr_group *root, struct wr_app *app);
/* Frees the root's filters and all groups that were made. */
void group_deinit(struct wr_group *root);

/* The path of a route or folder of the group: prefix and path, on the heap; NULL without memory. */
char *group_path(const struct wr_group *group, const char *path);

/* Calls the filters in front, from the one that is due. True when all have let the request go on; else it has
 * been answered, or a filter goes on later. */
bool group_before(struct wr_request *request);
/* Calls the filters behind. */
void group_after(struct wr_request *request, int status);

#endif
