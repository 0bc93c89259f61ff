/* router.h - from a path to a route. A tree of segments; literals win over ":name", that over "*name". */
#ifndef WEB_ROUTER_H
#define WEB_ROUTER_H

#include "base/err.h"
#include "base/slice.h"

enum {
    ROUTER_SEGMENTS_MAX = 32, /* of a path; longer ones match nothing but "*name" */
    ROUTER_PARAMS_MAX = 8,
};

/* One method of one path. The router keeps `target` and knows nothing of it. */
struct route {
    struct route *next; /* the next method of the same path */
    char *method;
    void *target;
    size_t param_count;
    char *params[ROUTER_PARAMS_MAX]; /* names, in the order of the path */
};

struct router {
    struct router_node *root;
};

struct router_match {
    const struct route *route;  /* NULL: the path or the method has none */
    const struct route *others; /* the methods of the path; NULL: the path has no route */
    /* Parts of the matched path, still encoded, in the order of route->params; as many as it has. */
    slice values[ROUTER_PARAMS_MAX];
};

/* ERR_EXISTS, ERR_INVALID (path), ERR_MEMORY. Copies the texts. */
int router_add(struct router *router, slice method, slice path, void *target) BASE_CHECKED;
/* `path` is still percent-encoded; literal segments are compared decoded. GET serves HEAD. */
void router_find(const struct router *router, slice method, slice path, struct router_match *out);
/* Calls visit for each route, in no order, and frees the router. */
void router_deinit(struct router *router, void (*visit)(void *target));

#endif
