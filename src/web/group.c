/* group.c - route groups and filters. */
#include "web/group.h"

#include <stdlib.h>
#include <string.h>

#include "web/connection.h"

/* --- life --- */

void group_init(struct wr_group *root, struct wr_app *app)
{
    static char no_prefix[1];
    *root = (struct wr_group){.app = app, .prefix = no_prefix};
}

static void free_filters(struct wr_group *group)
{
    free(group->own_before.at);
    free(group->own_after.at);
    free(group->before.at);
    free(group->after.at);
}

void group_deinit(struct wr_group *root)
{
    free_filters(root);
    while (root->next) {
        struct wr_group *group = root->next;
        root->next = group->next;
        free_filters(group);
        free(group->prefix);
        free(group);
    }
}

static bool prefix_valid(slice prefix)
{
    if (prefix.len == 0) return true;
    if (prefix.ptr[0] != '/' || prefix.ptr[prefix.len - 1] == '/' || prefix.len > GROUP_PREFIX_BYTES_MAX)
        return false;
    /* Segments as router_add takes them, but none that swallows what follows. */
    slice rest = slice_sub(prefix, 1, prefix.len), segment;
    while (slice_split(&rest, '/', &segment)) {
        if (segment.len == 0 || segment.ptr[0] == '*') return false;
        if (segment.ptr[0] == ':' && segment.len == 1) return false;
    }
    return true;
}

char *group_path(const struct wr_group *group, const char *path)
{
    size_t a_len = strlen(group->prefix), b_len = strlen(path);
    char *text = malloc(a_len + b_len + 1);
    if (!text) return NULL;
    memcpy(text, group->prefix, a_len);
    memcpy(text + a_len, path, b_len + 1);
    return text;
}

/* --- filters --- */

static bool list_copy(struct filter_list *to, const struct filter_list *first,
                      const struct filter_list *second)
{
    size_t len = first->len + second->len;
    struct filter *at = len ? malloc(len * sizeof *at) : NULL;
    if (len && !at) return false;
    for (size_t i = 0; i < len; i++)
        at[i] = i < first->len ? first->at[i] : second->at[i - first->len];
    free(to->at);
    *to = (struct filter_list){at, len};
    return true;
}

/* Outer filters stand first in front of a handler and last behind it. */
static bool flatten(struct wr_group *group)
{
    static const struct filter_list none;
    const struct wr_group *parent = group->parent;
    return list_copy(&group->before, parent ? &parent->before : &none, &group->own_before) &&
           list_copy(&group->after, &group->own_after, parent ? &parent->after : &none);
}

static int add_filter(struct wr_group *group, struct filter_list *own, struct filter filter)
{
    if (group->app->running) return WR_INVALID;
    struct filter *at = realloc(own->at, (own->len + 1) * sizeof *at);
    if (!at) return WR_MEMORY;
    own->at = at;
    own->at[own->len++] = filter;
    /* What stands below it has them too; parents come before their children. */
    for (struct wr_group *g = &group->app->root; g; g = g->next) {
        if (!flatten(g)) return WR_MEMORY;
    }
    return WR_OK;
}

int wr_before(struct wr_group *group, wr_filter filter, void *context)
{
    if (!filter) return WR_INVALID;
    return add_filter(group, &group->own_before, (struct filter){.before = filter, .context = context});
}

int wr_after(struct wr_group *group, wr_after_filter filter, void *context)
{
    if (!filter) return WR_INVALID;
    return add_filter(group, &group->own_after, (struct filter){.after = filter, .context = context});
}

bool group_before(struct wr_request *r)
{
    const struct filter_list *list = &r->group->before;
    const struct connection *conn = r->conn;
    while (r->filters_done < list->len) {
        const struct filter *filter = &list->at[r->filters_done++];
        r->filter = FILTER_CALLED;
        bool on = filter->before(r, filter->context);
        if (conn->request != r) return false; /* answered: the handle is gone */
        if (!on && r->filter == FILTER_CALLED) {
            r->filter = FILTER_WAITS;
            return false;
        }
        r->filter = FILTER_NONE;
    }
    return true;
}

void group_after(struct wr_request *r, int status)
{
    const struct filter_list *list = &r->group->after;
    for (size_t i = 0; i < list->len; i++)
        list->at[i].after(r, status, list->at[i].context);
}

/* --- groups --- */

struct wr_group *wr_root(struct wr_app *app)
{
    return &app->root;
}

struct wr_group *wr_group(struct wr_app *app, struct wr_group *parent, const char *prefix)
{
    if (!parent) parent = &app->root;
    if (!prefix || !prefix_valid(slice_text(prefix)) || app->running) return NULL;
    struct wr_group *group = calloc(1, sizeof *group);
    if (!group) return NULL;
    group->app = app;
    group->parent = parent;
    group->prefix = group_path(parent, prefix);
    if (!group->prefix || !flatten(group)) {
        free_filters(group);
        free(group->prefix);
        free(group);
        return NULL;
    }
    struct wr_group *last = &app->root;
    while (last->next)
        last = last->next;
    last->next = group;
    return group;
}
