#include "proxy/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "net/list.h"
#include "proxy/health.h"

struct name {
    struct list node;
    struct resolver *resolver;
    uv_getaddrinfo_t lookup;
    bool running, dropped;
    uint64_t last_ms, next_ms; /* last 0: never */
    struct upstream **users;
    size_t count, room;
    char host[];
};

struct resolver {
    uv_timer_t timer;
    struct list names;
    unsigned running; /* lookups, of dropped names too */
    bool closed;
};

struct resolver *resolver_new(uv_loop_t *loop)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    list_init(&r->names);
    uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    return r;
}

static void name_free(struct name *name)
{
    list_remove(&name->node);
    free(name->users);
    free(name);
}

/* Nobody is told what it finds any more. */
static void name_drop(struct name *name)
{
    list_remove(&name->node);
    name->dropped = true;
    if (name->running)
        uv_cancel((uv_req_t *)&name->lookup); /* without effect when a thread has begun */
    else
        name_free(name);
}

static void names_drop(struct list *names)
{
    while (!list_empty(names))
        name_drop(LIST_ENTRY(names->next, struct name, node));
}

static void free_if_done(struct resolver *r)
{
    if (r->closed && r->running == 0) free(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct resolver *r = handle->data;
    r->closed = true;
    free_if_done(r);
}

void resolver_free(struct resolver *r)
{
    if (!r) return;
    names_drop(&r->names);
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

/* --- looking up --- */

static bool address_of(const struct sockaddr *any, uint8_t out[IP_BYTES])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (any->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &((const struct sockaddr_in *)(const void *)any)->sin_addr, 4);
    } else if (any->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)any)->sin6_addr, IP_BYTES);
    } else {
        return false;
    }
    return true;
}

static unsigned take_addresses(const struct addrinfo *found, uint8_t out[UPSTREAM_ADDRESSES_MAX][IP_BYTES])
{
    unsigned count = 0;
    for (; found && count < UPSTREAM_ADDRESSES_MAX; found = found->ai_next) {
        if (!address_of(found->ai_addr, out[count])) continue;
        unsigned same = 0;
        while (same < count && memcmp(out[same], out[count], IP_BYTES) != 0)
            same++;
        count += same == count;
    }
    return count;
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct name *name = LIST_ENTRY(request, struct name, lookup);
    struct resolver *r = name->resolver;
    uint8_t addresses[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    unsigned count = status == 0 ? take_addresses(found, addresses) : 0;
    if (found) uv_freeaddrinfo(found);
    name->running = false;
    r->running--;
    if (name->dropped) {
        name_free(name);
        free_if_done(r);
        return;
    }
    for (size_t i = 0; count > 0 && i < name->count; i++)
        upstream_set_addresses(name->users[i], addresses, count);
}

static void look_up(struct name *name, uint64_t now_ms)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct resolver *r = name->resolver;
    name->last_ms = now_ms;
    name->next_ms = now_ms + HEALTH_RESOLVE_MS;
    for (size_t i = 0; i < name->count; i++)
        atomic_store_explicit(&name->users[i]->lookup, false, memory_order_relaxed);
    if (uv_getaddrinfo(r->timer.loop, &name->lookup, on_found, name->host, NULL, &hints) < 0) return;
    name->running = true;
    r->running++;
}

static bool asked_for(const struct name *name)
{
    for (size_t i = 0; i < name->count; i++)
        if (atomic_load_explicit(&name->users[i]->lookup, memory_order_relaxed)) return true;
    return false;
}

static void on_tick(uv_timer_t *timer)
{
    struct resolver *r = timer->data;
    uint64_t now = uv_now(timer->loop);
    for (struct list *n = r->names.next; n != &r->names && r->running < RESOLVE_RUNNING_MAX; n = n->next) {
        struct name *name = LIST_ENTRY(n, struct name, node);
        if (name->running) continue;
        bool due = now >= name->next_ms || (now >= name->last_ms + RESOLVE_AGAIN_MS && asked_for(name));
        if (due) look_up(name, now);
    }
}

/* --- which names --- */

static struct name *find(const struct list *names, const char *host)
{
    for (struct list *n = names->next; n != names; n = n->next) {
        struct name *name = LIST_ENTRY(n, struct name, node);
        if (strcmp(name->host, host) == 0) return name;
    }
    return NULL;
}

static struct name *name_new(struct resolver *r, struct list *names, const char *host)
{
    size_t len = strlen(host);
    struct name *name = calloc(1, sizeof *name + len + 1);
    if (!name) return NULL;
    memcpy(name->host, host, len);
    name->resolver = r;
    const struct name *old = find(&r->names, host);
    if (old && !old->running) {
        name->last_ms = old->last_ms;
        name->next_ms = old->next_ms;
    }
    list_append(names, &name->node);
    return name;
}

static int add_user(struct resolver *r, struct list *names, struct upstream *u)
{
    struct name *name = find(names, u->host);
    if (!name) name = name_new(r, names, u->host);
    if (!name) return ERR_MEMORY;
    if (name->count == name->room) {
        size_t room = name->room ? name->room * 2 : 4;
        struct upstream **users = realloc(name->users, room * sizeof *users);
        if (!users) return ERR_MEMORY;
        name->users = users;
        name->room = room;
    }
    name->users[name->count++] = u;
    if (atomic_load_explicit(&u->address_count, memory_order_relaxed) == 0) name->next_ms = 0;
    return OK;
}

/* An IPv6 address may have a zone, which is looked up when it is connected to. */
static bool is_name(const char *host)
{
    uint8_t address[IP_BYTES];
    return !strchr(host, ':') && ip_parse(slice_text(host), address) < 0;
}

int resolver_set(struct resolver *r, struct group *const *groups, size_t count)
{
    struct list names;
    list_init(&names);
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < groups[i]->count; m++) {
            struct upstream *u = groups[i]->members[m].upstream;
            if (!is_name(u->host) || add_user(r, &names, u) == OK) continue;
            names_drop(&names);
            return ERR_MEMORY;
        }
    }
    names_drop(&r->names);
    while (!list_empty(&names)) {
        struct list *node = names.next;
        list_remove(node);
        list_append(&r->names, node);
    }
    if (list_empty(&r->names))
        uv_timer_stop(&r->timer);
    else
        uv_timer_start(&r->timer, on_tick, 0, RESOLVE_TICK_MS);
    return OK;
}
