/* upstream.c - which servers there are: made with the groups that name them, shared by those over reloads. */
#include "proxy/upstream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sip.h"
#include "net/tls_client.h"
#include "proxy/upstream_state.h"

const uint64_t upstream_bucket_us[UPSTREAM_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000,
};

/* Not secrets: the same names must give the same values on each start, and in each proxy. */
static const struct sip_secret name_key = {0x6e616d65206f6620, 0x6120736572766572};
static const struct sip_secret sticky_key = {0x7768657265206974, 0x2068617320626565};

void registry_init(struct registry *registry, unsigned worker_count)
{
    *registry = (struct registry){.worker_count = worker_count};
}

void registry_deinit(struct registry *registry)
{
    if (registry->first) abort(); /* a group has not been freed: somebody may still use its servers */
}

/* --- TLS to servers --- */

/* Everything that decides whom is trusted: also what is in the file of authorities, so that a reload takes a
 * new one. ERR_IO when that cannot be read. */
static int tls_hash(const struct config_group *config, uint64_t *out)
{
    uint64_t hash = config->insecure;
    FILE *file = config->ca_file ? fopen(config->ca_file, "re") : NULL;
    if (config->ca_file && !file) return ERR_IO;
    if (file) {
        char bytes[4096];
        size_t len;
        while ((len = fread(bytes, 1, sizeof bytes, file)) > 0)
            hash = sip_hash((struct sip_secret){hash, len}, slice_of(bytes, len));
        int failed = ferror(file);
        fclose(file);
        if (failed) return ERR_IO;
        hash = sip_hash((struct sip_secret){hash, 1}, slice_text(config->ca_file));
    }
    *out = hash;
    return OK;
}

/* One that a server has already, else a new one: the authorities take time to read, and memory. */
static int tls_for(struct registry *registry, const struct config_group *config, uint64_t hash,
                   struct tls_client **out)
{
    for (struct upstream *u = registry->first; u; u = u->next) {
        if (!u->client_tls || u->tls_hash != hash) continue;
        *out = tls_client_hold(u->client_tls);
        return OK;
    }
    const struct tls_client_options options = {.protocols = "http/1.1", .insecure = config->insecure};
    struct tls_client *tls = tls_client_new(&options);
    if (!tls) return ERR_MEMORY;
    int rc = config->ca_file ? tls_client_trust(tls, config->ca_file) : OK;
    if (rc == OK) {
        *out = tls;
        return OK;
    }
    snprintf(registry->why, sizeof registry->why, "%s", tls_client_error(tls));
    tls_client_release(tls);
    return rc == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID;
}

/* --- servers --- */

static void upstream_free(struct upstream *u)
{
    tls_client_release(u->client_tls);
    uv_mutex_destroy(&u->why_lock);
    free(u->group_name);
    free(u->host);
    free(u->authority);
    free(u);
}

static char *authority_of(const struct config_server *config)
{
    size_t size = strlen(config->host) + sizeof "[]:65535";
    char *text = malloc(size);
    bool v6 = strchr(config->host, ':') != NULL;
    if (text) snprintf(text, size, v6 ? "[%s]:%u" : "%s:%u", config->host, (unsigned)config->port);
    return text;
}

static uint64_t name_hash(struct sip_secret key, const struct config_server *config, const char *authority)
{
    key.k1 ^= config->tls;
    return sip_hash(key, slice_text(authority));
}

static struct upstream *upstream_new(const char *group_name, const struct config_server *config)
{
    struct upstream *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    if (uv_mutex_init(&u->why_lock) < 0) {
        free(u);
        return NULL;
    }
    u->group_name = strdup(group_name);
    u->host = strdup(config->host);
    u->authority = authority_of(config);
    if (!u->group_name || !u->host || !u->authority) {
        upstream_free(u);
        return NULL;
    }
    u->port = config->port;
    u->tls = config->tls;
    u->name_hash = name_hash(name_key, config, u->authority);
    return u;
}

/* The same for all that may be the same server. */
static uint64_t key_of(const char *group_name, const struct config_server *config, uint64_t tls)
{
    uint64_t place = sip_hash((struct sip_secret){config->port, config->tls}, slice_text(config->host));
    return sip_hash((struct sip_secret){place, tls}, slice_text(group_name));
}

/* Gives it the first id that is free; the list is in their order. */
static void enter(struct registry *registry, struct upstream *u)
{
    struct upstream **chain = &registry->chains[u->key % REGISTRY_CHAINS];
    struct upstream *before = registry->dense, *after = before ? before->next : registry->first;
    u->id = before ? before->id + 1 : 0;
    for (; after && after->id == u->id; after = after->next) {
        before = after;
        u->id++;
    }
    u->previous = before;
    u->next = after;
    *(before ? &before->next : &registry->first) = u;
    if (after) after->previous = u;
    registry->dense = u;
    u->chain = *chain;
    *chain = u;
    if (u->id >= registry->id_count) registry->id_count = u->id + 1;
}

static void release(struct registry *registry, struct upstream *u)
{
    if (--u->owners > 0) return;
    struct upstream **at = &registry->chains[u->key % REGISTRY_CHAINS];
    while (*at != u)
        at = &(*at)->chain;
    *at = u->chain;
    *(u->previous ? &u->previous->next : &registry->first) = u->next;
    if (u->next) u->next->previous = u->previous;
    if (registry->dense && u->id <= registry->dense->id) registry->dense = u->previous;
    upstream_free(u);
}

static struct upstream *find(const struct registry *registry, uint64_t key, const char *group_name,
                             const struct config_server *config, uint64_t tls)
{
    for (struct upstream *u = registry->chains[key % REGISTRY_CHAINS]; u; u = u->chain)
        if (u->key == key && u->port == config->port && u->tls == config->tls && u->tls_hash == tls &&
            strcmp(u->host, config->host) == 0 && strcmp(u->group_name, group_name) == 0)
            return u;
    return NULL;
}

/* The server that this is about, with an owner more. tls: what its TLS is known by. */
static int take(struct registry *registry, const struct config_group *group,
                const struct config_server *config, uint64_t tls, struct upstream **out)
{
    uint64_t key = key_of(group->name, config, tls);
    struct upstream *u = find(registry, key, group->name, config, tls);
    if (!u) {
        u = upstream_new(group->name, config);
        if (!u) return ERR_MEMORY;
        int rc = config->tls ? tls_for(registry, group, tls, &u->client_tls) : OK;
        if (rc < 0) {
            upstream_free(u);
            return rc;
        }
        u->tls_hash = tls;
        u->key = key;
        enter(registry, u);
    }
    u->owners++;
    *out = u;
    return OK;
}

/* What the TLS of all its servers is known by; without TLS nothing is read. */
static int group_tls(struct registry *registry, const struct config_group *group, uint64_t *out)
{
    bool any = false;
    for (size_t i = 0; i < group->server_count; i++)
        any |= group->servers[i].tls;
    *out = 0;
    if (!any || tls_hash(group, out) == OK) return OK;
    snprintf(registry->why, sizeof registry->why, "%s: %s", group->ca_file, strerror(errno));
    return ERR_INVALID;
}

/* --- groups --- */

/* Each worker begins its rounds with another server: else those would come for the first one all at once. */
static void begin_rounds(const struct registry *registry, struct group *group)
{
    struct candidate candidates[CONFIG_SERVERS_MAX];
    for (size_t i = 0; i < group->count; i++) {
        const struct config_server *server = group->members[i].config;
        candidates[i] = (struct candidate){.weight = server->weight * 256, .usable = !server->backup};
    }
    for (unsigned worker = 1; worker < registry->worker_count; worker++) {
        group->rotations[worker] = group->rotations[worker - 1];
        (void)balance_round_robin(&group->rotations[worker], candidates, group->count);
    }
}

int group_new(struct registry *registry, const struct config_group *config, struct group **out,
              const char **out_why)
{
    snprintf(registry->why, sizeof registry->why, "out of memory");
    *out_why = registry->why;
    struct group *group = calloc(1, sizeof *group);
    if (!group) return ERR_MEMORY;
    group->config = config;
    group->rotations = calloc(registry->worker_count, sizeof *group->rotations);
    uint64_t tls = 0;
    int rc = group->rotations ? group_tls(registry, config, &tls) : ERR_MEMORY;
    for (size_t i = 0; rc == OK && i < config->server_count; i++) {
        const struct config_server *server = &config->servers[i];
        struct upstream *u;
        rc = take(registry, config, server, server->tls ? tls : 0, &u);
        if (rc < 0) break;
        group->members[group->count++] = (struct member){u, server};
        group->has_backup |= server->backup;
        group->names[i] = u->name_hash;
        snprintf(group->sticky[i], sizeof group->sticky[i], "%016" PRIx64,
                 name_hash(sticky_key, server, u->authority));
    }
    if (rc < 0) {
        group_free(registry, group);
        return rc;
    }
    begin_rounds(registry, group);
    *out = group;
    return OK;
}

void group_free(struct registry *registry, struct group *group)
{
    if (!group) return;
    for (size_t i = 0; i < group->count; i++)
        release(registry, group->members[i].upstream);
    free(group->rotations);
    free(group);
}

void registry_use(struct registry *registry, struct group *const *groups, size_t count, uint64_t now_ms)
{
    for (struct upstream *u = registry->first; u; u = u->next)
        u->named = false;
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < groups[i]->count; m++) {
            struct upstream *u = groups[i]->members[m].upstream;
            u->named = true;
            upstream_adopt(registry, groups[i], u, now_ms);
        }
    }
    for (struct upstream *u = registry->first; u; u = u->next)
        atomic_store_explicit(&u->retired, !u->named, memory_order_relaxed);
}

/* --- counts --- */

#define COUNT(what, n) atomic_fetch_add_explicit(&(what), (n), memory_order_relaxed)

void upstream_begin(struct upstream *u)
{
    COUNT(u->active, 1);
    COUNT(u->requests, 1);
}

void upstream_answered(struct upstream *u, int status, uint64_t latency_ns)
{
    if (status >= 100 && status < 600) COUNT(u->answers[status / 100 - 1], 1);
    COUNT(u->latency_ns, latency_ns);
    size_t bucket = 0;
    while (bucket < UPSTREAM_BUCKETS && latency_ns > upstream_bucket_us[bucket] * 1000)
        bucket++;
    COUNT(u->latencies[bucket], 1);
}

void upstream_end(struct upstream *u)
{
    atomic_fetch_sub_explicit(&u->active, 1, memory_order_relaxed);
}

bool upstream_is_to_blame(int uv_error)
{
    return uv_error != UV_EMFILE && uv_error != UV_ENFILE && uv_error != UV_ENOMEM &&
           uv_error != UV_ENOBUFS && uv_error != UV_EADDRNOTAVAIL;
}

/* --- its name --- */

unsigned upstream_addresses(struct upstream *u, uint8_t out[UPSTREAM_ADDRESSES_MAX][IP_BYTES])
{
    if (atomic_load_explicit(&u->address_count, memory_order_relaxed) == 0) return 0; /* the usual case */
    uv_mutex_lock(&u->why_lock);
    unsigned count = atomic_load_explicit(&u->address_count, memory_order_relaxed), turn = u->address_turn++;
    for (unsigned i = 0; i < count; i++)
        memcpy(out[i], u->addresses[(turn + i) % count], IP_BYTES);
    uv_mutex_unlock(&u->why_lock);
    return count;
}

void upstream_set_addresses(struct upstream *u, const uint8_t (*addresses)[IP_BYTES], unsigned count)
{
    if (count > UPSTREAM_ADDRESSES_MAX) count = UPSTREAM_ADDRESSES_MAX;
    uv_mutex_lock(&u->why_lock);
    memcpy(u->addresses, addresses, count * sizeof u->addresses[0]);
    atomic_store_explicit(&u->address_count, count, memory_order_relaxed);
    uv_mutex_unlock(&u->why_lock);
}

void upstream_why(struct upstream *u, char out[UPSTREAM_WHY_BYTES])
{
    uv_mutex_lock(&u->why_lock);
    memcpy(out, u->why, UPSTREAM_WHY_BYTES);
    uv_mutex_unlock(&u->why_lock);
}
