#include "web/router.h"

#include <stdlib.h>
#include <string.h>

#include "http/token.h"
#include "http/url.h"

struct router_node {
    struct router_node *next; /* sibling */
    struct router_node *children;
    struct router_node *param; /* ":name" */
    struct router_node *rest;  /* "*name" */
    struct route *routes;
    slice segment; /* owned */
};

static char *copy_text(slice text)
{
    char *copy = malloc(text.len + 1);
    if (!copy) return NULL;
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

static slice without_slashes(slice path)
{
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    return slice_starts(path, SLICE("/")) ? slice_sub(path, 1, path.len) : path;
}

static struct router_node *node_new(void)
{
    return calloc(1, sizeof(struct router_node));
}

static struct router_node *child_of(struct router_node *node, slice segment)
{
    for (struct router_node *c = node->children; c; c = c->next) {
        if (slice_equal(c->segment, segment)) return c;
    }
    return NULL;
}

/* The child for one segment of a pattern, made when it is not there. */
static struct router_node *descend(struct router_node *node, slice segment)
{
    struct router_node **where = segment.ptr[0] == ':'   ? &node->param
                                 : segment.ptr[0] == '*' ? &node->rest
                                                         : NULL;
    if (where) {
        if (!*where) *where = node_new();
        return *where;
    }
    struct router_node *child = child_of(node, segment);
    if (child) return child;
    child = node_new();
    if (!child) return NULL;
    child->segment = slice_of(copy_text(segment), segment.len);
    if (!child->segment.ptr) {
        free(child);
        return NULL;
    }
    child->next = node->children;
    node->children = child;
    return child;
}

static void route_free(struct route *route)
{
    for (size_t i = 0; i < route->param_count; i++)
        free(route->params[i]);
    free(route->method);
    free(route);
}

/* Walks the pattern, gathers the parameter names. */
static int place(struct router *router, slice path, struct route *route, struct router_node **out_node)
{
    if (!slice_starts(path, SLICE("/"))) return ERR_INVALID;
    struct router_node *node = router->root;
    slice rest = without_slashes(path), segment;
    size_t segments = 0;
    bool last = false;
    while (rest.len > 0 && slice_split(&rest, '/', &segment)) {
        if (last || segment.len == 0 || ++segments > ROUTER_SEGMENTS_MAX) return ERR_INVALID;
        if (segment.ptr[0] == ':' || segment.ptr[0] == '*') {
            last = segment.ptr[0] == '*';
            slice name = slice_sub(segment, 1, segment.len);
            if (!token_valid(name) || route->param_count == ROUTER_PARAMS_MAX) return ERR_INVALID;
            if (!(route->params[route->param_count] = copy_text(name))) return ERR_MEMORY;
            route->param_count++;
        }
        if (!(node = descend(node, segment))) return ERR_MEMORY;
    }
    *out_node = node;
    return OK;
}

static const struct route *method_find(const struct route *routes, slice method)
{
    for (const struct route *r = routes; r; r = r->next) {
        if (slice_equal(slice_text(r->method), method)) return r;
    }
    return NULL;
}

int router_add(struct router *router, slice method, slice path, void *target)
{
    if (!token_valid(method)) return ERR_INVALID;
    if (!router->root && !(router->root = node_new())) return ERR_MEMORY;
    struct route *route = calloc(1, sizeof *route);
    if (!route) return ERR_MEMORY;
    struct router_node *node = NULL;
    int rc = place(router, path, route, &node);
    if (rc == OK && method_find(node->routes, method)) rc = ERR_EXISTS;
    if (rc == OK && !(route->method = copy_text(method))) rc = ERR_MEMORY;
    if (rc < 0) {
        route_free(route);
        return rc;
    }
    route->target = target;
    struct route **end = &node->routes;
    while (*end)
        end = &(*end)->next;
    *end = route;
    return OK;
}

struct walk {
    slice segments[ROUTER_SEGMENTS_MAX];
    size_t count;
    slice tail;   /* what follows the last of the segments */
    bool encoded; /* some of the path is percent-encoded */
    slice values[ROUTER_PARAMS_MAX];
};

static bool segment_is(const struct walk *w, slice segment, slice literal)
{
    if (!w->encoded) return slice_equal(segment, literal);
    uint8_t decoded[512];
    size_t len;
    if (segment.len > sizeof decoded || url_decode(segment, false, decoded, &len) < 0) return false;
    return slice_equal(slice_of(decoded, len), literal);
}

/* From segment `at` to the end of the path. */
static slice tail_from(const struct walk *w, size_t at)
{
    const uint8_t *end = w->tail.ptr + w->tail.len;
    const uint8_t *start = at < w->count ? w->segments[at].ptr : w->tail.ptr;
    return slice_of(start, (size_t)(end - start));
}

static const struct router_node *match(const struct router_node *node, struct walk *w, size_t at,
                                       size_t params)
{
    if (at == w->count && w->tail.len == 0 && node->routes) return node;
    if (at < w->count) {
        slice segment = w->segments[at];
        for (const struct router_node *c = node->children; c; c = c->next) {
            if (!segment_is(w, segment, c->segment)) continue;
            const struct router_node *found = match(c, w, at + 1, params);
            if (found) return found;
        }
        if (node->param && segment.len > 0 && params < ROUTER_PARAMS_MAX) {
            w->values[params] = segment;
            const struct router_node *found = match(node->param, w, at + 1, params + 1);
            if (found) return found;
        }
    }
    if (node->rest && params < ROUTER_PARAMS_MAX) {
        w->values[params] = tail_from(w, at);
        return node->rest->routes ? node->rest : NULL;
    }
    return NULL;
}

void router_find(const struct router *router, slice method, slice path, struct router_match *out)
{
    out->route = out->others = NULL;
    if (!router->root || !slice_starts(path, SLICE("/"))) return;
    struct walk w; /* only as much of it is filled as the path has segments */
    w.count = 0;
    w.encoded = slice_find(path, '%') < path.len;
    slice rest = without_slashes(path);
    w.tail = slice_of(rest.ptr + rest.len, 0);
    while (rest.len > 0 && w.count < ROUTER_SEGMENTS_MAX && slice_split(&rest, '/', &w.segments[w.count]))
        w.count++;
    if (rest.len > 0) w.tail = rest;
    const struct router_node *node = match(router->root, &w, 0, 0);
    if (!node) return;
    out->others = node->routes;
    out->route = method_find(node->routes, method);
    if (!out->route && slice_equal(method, SLICE("HEAD")))
        out->route = method_find(node->routes, SLICE("GET"));
    if (out->route) memcpy(out->values, w.values, out->route->param_count * sizeof(slice));
}

static void node_free(struct router_node *node, void (*visit)(void *target))
{
    if (!node) return;
    while (node->routes) {
        struct route *route = node->routes;
        node->routes = route->next;
        visit(route->target);
        route_free(route);
    }
    while (node->children) {
        struct router_node *child = node->children;
        node->children = child->next;
        node_free(child, visit);
    }
    node_free(node->param, visit);
    node_free(node->rest, visit);
    free((void *)(uintptr_t)node->segment.ptr);
    free(node);
}

void router_deinit(struct router *router, void (*visit)(void *target))
{
    node_free(router->root, visit);
    router->root = NULL;
}
