#include "web/change.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/connection.h"
#include "web/listen.h"
#include "web/tls.h"

/* What becomes of a place. */
struct change_place {
    struct place *place;         /* held */
    struct tls_server *secure;   /* held; NULL: without TLS */
    struct app_listener **fresh; /* of each worker, until it has it; NULL: they are there already */
    uint16_t https_port;
    bool leaves;
};

struct app_change {
    struct wr_app *app;
    unsigned owners;           /* atomic: workers that have not followed */
    struct settings *settings; /* NULL: they stay */
    bool exact;                /* the app listens there and nowhere else */
    struct change_place *places;
    size_t place_count;
    struct post **posts; /* to each worker */
};

static void place_drop(const struct change_place *p, unsigned workers)
{
    for (unsigned i = 0; p->fresh && i < workers; i++) {
        if (p->fresh[i]) listen_discard(p->fresh[i]);
    }
    free(p->fresh);
    tls_server_release(p->secure);
    place_release(p->place);
}

static void change_free(struct app_change *c)
{
    for (size_t i = 0; i < c->place_count; i++)
        place_drop(&c->places[i], c->app->worker_count);
    free(c->places);
    free(c->posts);
    settings_release(c->settings);
    free(c);
}

void app_abandon(struct app_change *c)
{
    if (!c) return;
    for (unsigned i = 0; c->posts && i < c->app->worker_count; i++)
        free(c->posts[i]);
    change_free(c);
}

/* --- what each worker does --- */

static void apply_settings(struct wr_worker *worker, struct settings *settings)
{
    struct settings *old = worker->settings;
    worker->settings = settings_hold(settings);
    bool same = settings_trust_same(old, settings);
    for (struct list *n = worker->connections.next; !same && n != &worker->connections; n = n->next) {
        struct connection *conn = LIST_ENTRY(n, struct connection, node);
        conn->proxied = !conn->outgoing && settings_trusts(settings, conn->address);
    }
    settings_release(old);
}

static void apply_place(struct wr_worker *worker, const struct change_place *p)
{
    struct app_listener *l;
    if (p->fresh) {
        l = p->fresh[worker->index];
        p->fresh[worker->index] = NULL;
        listen_begin(l);
    } else if ((l = listen_find(worker, p->place)) && p->leaves) {
        listener_retire(&l->listener);
    } else if (l) {
        listen_set(l, p->secure, p->https_port);
    }
}

static void apply(struct wr_worker *worker, void *change)
{
    struct app_change *c = change;
    if (c->settings) apply_settings(worker, c->settings);
    for (size_t i = 0; i < c->place_count; i++)
        apply_place(worker, &c->places[i]);
    if (__atomic_sub_fetch(&c->owners, 1, __ATOMIC_ACQ_REL) == 0) change_free(c);
}

/* --- committing --- */

static void commit_places(struct wr_app *app, const struct app_change *c)
{
    uint16_t first = 0;
    for (size_t i = 0; i < c->place_count; i++) {
        const struct change_place *p = &c->places[i];
        if (!p->leaves && first == 0) first = p->place->port;
        p->place->leaving = p->leaves;
        if (!p->fresh) continue;
        list_append(&app->places, &place_hold(p->place)->node);
    }
    if (c->exact || app->port == 0) __atomic_store_n(&app->port, first, __ATOMIC_RELAXED);
}

void app_commit(struct app_change *c)
{
    struct wr_app *app = c->app;
    const unsigned workers = app->worker_count;
    c->owners = workers;
    commit_places(app, c);
    if (c->settings) {
        settings_release(app->settings);
        app->settings = settings_hold(c->settings);
    }
    for (unsigned i = 0; i < workers; i++) { /* the last one frees the change */
        struct post *post = c->posts[i];
        if (app->running) {
            worker_post(app->workers[i], post);
        } else {
            free(post);
            apply(app->workers[i], c);
        }
    }
}

/* --- preparing: places --- */

static bool is_any(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ((const struct sockaddr_in *)address)->sin_addr.s_addr == htonl(INADDR_ANY);
    return memcmp(&((const struct sockaddr_in6 *)address)->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

static bool same_address(const struct place *a, const struct place *b)
{
    return memcmp(&a->address, &b->address, sizeof a->address) == 0;
}

/* Whether both would have connections to the same address. */
static bool overlap(const struct place *a, const struct place *b)
{
    return a->port != 0 && a->port == b->port &&
           (same_address(a, b) || is_any(&a->address) || is_any(&b->address));
}

static bool has_place(const struct app_change *c, const struct place *place)
{
    for (size_t i = 0; i < c->place_count; i++) {
        if (c->places[i].place == place) return true;
    }
    return false;
}

/* The kernel lets several sockets of this program have one address; nobody else may have it. */
static bool is_ours(const struct app_change *c, const struct place *place)
{
    for (size_t i = 0; i < c->place_count; i++) {
        if (overlap(c->places[i].place, place)) return true;
    }
    for (struct list *n = c->app->places.next; n != &c->app->places; n = n->next) {
        if (overlap(LIST_ENTRY(n, struct place, node), place)) return true;
    }
    return false;
}

static bool is_named_twice(const struct app_change *c, const struct place *place)
{
    for (size_t i = 0; i < c->place_count && place->wanted != 0; i++) {
        const struct place *other = c->places[i].place;
        if (same_address(other, place) && other->port == place->port) return true;
    }
    return false;
}

/* The place where the app listens already, if there is one. */
static struct place *kept_place(const struct app_change *c, const struct place *place)
{
    for (struct list *n = c->app->places.next; n != &c->app->places; n = n->next) {
        struct place *old = LIST_ENTRY(n, struct place, node);
        bool same = same_address(old, place) && (old->wanted == place->wanted || old->port == place->wanted);
        if (same && !old->leaving && !has_place(c, old)) return old;
    }
    return NULL;
}

/* The sockets of all workers. 0 or a libuv error. */
static int open_all(const struct app_change *c, struct change_place *p)
{
    struct wr_app *app = c->app;
    bool shared = c->exact || app->worker_count > 1, joins = c->exact && is_ours(c, p->place);
    p->fresh = calloc(app->worker_count, sizeof(struct app_listener *));
    if (!p->fresh) return UV_ENOMEM;
    for (unsigned i = 0; i < app->worker_count; i++) {
        int rc = listen_open(app->workers[i], p->place, shared, joins || i > 0, &p->fresh[i]);
        if (rc < 0) return rc;
        listen_set(p->fresh[i], p->secure, p->https_port);
    }
    return 0;
}

static int trouble(struct wr_app *app, const struct app_listen *wanted, const char *why)
{
    snprintf(app->error, sizeof app->error, "cannot listen on %s port %u: %s", wanted->ip, wanted->port, why);
    return WR_INVALID;
}

/* Fills in the next place, for which there is room. */
static int add_wanted(struct app_change *c, const struct app_listen *wanted)
{
    struct wr_app *app = c->app;
    struct change_place p = {.https_port = wanted->redirect_https};
    int rc = place_new(wanted->ip, wanted->port, &p.place);
    if (rc < 0) return listen_failed(app, wanted->ip, wanted->port, rc);
    if (is_named_twice(c, p.place)) {
        place_release(p.place);
        return trouble(app, wanted, "it is named twice");
    }
    p.secure = wanted->tls ? tls_server_of(wanted->tls) : NULL;
    if (wanted->tls && !p.secure) {
        char why[200];
        snprintf(why, sizeof why, "TLS: %s", wr_tls_error(wanted->tls));
        place_release(p.place);
        return trouble(app, wanted, why);
    }
    struct place *old = c->exact ? kept_place(c, p.place) : NULL;
    if (old) {
        place_release(p.place);
        p.place = place_hold(old);
    } else {
        rc = open_all(c, &p);
    }
    if (rc == 0)
        c->places[c->place_count++] = p;
    else
        place_drop(&p, app->worker_count);
    return rc < 0 ? listen_failed(app, wanted->ip, wanted->port, rc) : WR_OK;
}

/* What has left is forgotten. Returns how many places are left. */
static size_t sweep(struct wr_app *app)
{
    size_t count = 0;
    for (struct list *n = app->places.next, *next; n != &app->places; n = next) {
        struct place *place = LIST_ENTRY(n, struct place, node);
        next = n->next;
        if (place->leaving && __atomic_load_n(&place->owners, __ATOMIC_ACQUIRE) == 1) {
            list_remove(n);
            place_release(place);
        } else {
            count++;
        }
    }
    return count;
}

static int prepare_places(struct app_change *c, const struct app_listen *wanted, size_t count)
{
    struct wr_app *app = c->app;
    c->exact = true;
    c->places = calloc(sweep(app) + count + 1, sizeof *c->places);
    if (!c->places) return WR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        int rc = add_wanted(c, &wanted[i]);
        if (rc != WR_OK) return rc;
    }
    for (struct list *n = app->places.next; n != &app->places; n = n->next) {
        struct place *place = LIST_ENTRY(n, struct place, node);
        if (place->leaving || has_place(c, place)) continue;
        c->places[c->place_count++] = (struct change_place){.place = place_hold(place), .leaves = true};
    }
    return WR_OK;
}

/* --- preparing: settings --- */

/* The access log, opened when it is another than now. */
static int prepare_log(struct wr_app *app, struct settings *s, const struct app_settings *wanted)
{
    struct log_sink *now = app->settings->access;
    s->timed = true;
    if (now && now->file.format == wanted->access_format && strcmp(now->file.path, wanted->access_log) == 0) {
        s->access = log_sink_hold(now);
        return WR_OK;
    }
    int rc = log_sink_open(app->log, wanted->access_format, wanted->access_log, &s->access);
    if (rc != WR_OK || !app->running || log_start(app->log) == WR_OK) return rc;
    snprintf(app->error, sizeof app->error, "the thread that writes the log could not be started");
    return WR_SYSTEM;
}

static int prepare_settings(struct app_change *c, const struct app_settings *wanted)
{
    struct wr_config config = c->app->config; /* for what is not among them */
    config.header_timeout_ms = wanted->header_timeout_ms;
    config.body_timeout_ms = wanted->body_timeout_ms;
    config.idle_timeout_ms = wanted->idle_timeout_ms;
    config.answer_timeout_ms = wanted->answer_timeout_ms;
    config.write_timeout_ms = wanted->write_timeout_ms;
    config.header_bytes_max = wanted->header_bytes_max;
    config.connections_max = wanted->connections_max;
    config.connections_per_address_max = wanted->connections_per_address_max;
    c->settings = settings_new(&config);
    if (!c->settings) return WR_MEMORY;
    c->settings->timed = wanted->timed;
    int rc = settings_trust(c->settings, c->app, wanted->trusted_proxies, wanted->proxy_fields);
    return rc == WR_OK && wanted->access_log ? prepare_log(c->app, c->settings, wanted) : rc;
}

void app_settings_of(const struct wr_app *app, struct app_settings *out)
{
    const struct settings *s = app->settings;
    *out = (struct app_settings){
        .header_timeout_ms = s->header_timeout_ms,
        .body_timeout_ms = s->body_timeout_ms,
        .idle_timeout_ms = s->idle_timeout_ms,
        .answer_timeout_ms = s->answer_timeout_ms,
        .write_timeout_ms = s->write_timeout_ms,
        .header_bytes_max = s->limits.header_bytes_max,
        .connections_max = s->connections_max,
        .connections_per_address_max = s->connections_per_address_max,
        .trusted_proxies = s->trusted_text,
        .proxy_fields = s->trusted_kind == FORWARDED_STANDARD ? WR_FORWARDED : WR_X_FORWARDED,
        .access_log = s->access ? s->access->file.path : NULL,
        .access_format = s->access ? s->access->file.format : WR_LOG_COMBINED,
        .timed = s->timed,
    };
}

/* --- preparing: the whole --- */

static int prepare_posts(struct app_change *c)
{
    c->posts = calloc(c->app->worker_count, sizeof(struct post *));
    for (unsigned i = 0; c->posts && i < c->app->worker_count; i++) {
        c->posts[i] = worker_post_new(apply, c);
        if (!c->posts[i]) return WR_MEMORY;
    }
    return c->posts ? WR_OK : WR_MEMORY;
}

/* NULL, with *rc: none is possible. */
static struct app_change *change_new(struct wr_app *app, int *rc)
{
    assert(!app->running || wr_worker_here() == app->workers[0]);
    struct app_change *c = calloc(1, sizeof *c);
    if (c) c->app = app;
    *rc = c ? prepare_posts(c) : WR_MEMORY;
    if (*rc == WR_OK) return c;
    snprintf(app->error, sizeof app->error, "out of memory");
    app_abandon(c);
    return NULL;
}

int app_prepare(struct wr_app *app, const struct app_settings *settings, const struct app_listen *wanted,
                size_t count, struct app_change **out)
{
    int rc;
    if (wr_stopping(app)) {
        snprintf(app->error, sizeof app->error, "the server is stopping");
        return WR_CLOSED;
    }
    struct app_change *c = change_new(app, &rc);
    if (!c) return rc;
    if (settings) rc = prepare_settings(c, settings);
    if (rc == WR_OK && wanted) rc = prepare_places(c, wanted, count);
    if (rc == WR_OK)
        *out = c;
    else
        app_abandon(c);
    if (rc == WR_MEMORY) snprintf(app->error, sizeof app->error, "out of memory");
    return rc;
}

/* --- in one step --- */

int app_set_listeners(struct wr_app *app, const struct app_listen *wanted, size_t count)
{
    struct app_change *c;
    int rc = app_prepare(app, NULL, wanted, count, &c);
    if (rc == WR_OK) app_commit(c);
    return rc;
}

int app_set_settings(struct wr_app *app, const struct app_settings *settings)
{
    struct app_change *c;
    int rc = app_prepare(app, settings, NULL, 0, &c);
    if (rc == WR_OK) app_commit(c);
    return rc;
}

int wr_listen(struct wr_app *app, const char *ip, uint16_t port, const struct wr_tls *tls)
{
    struct app_listen wanted = {.ip = ip, .port = port, .tls = tls};
    int rc;
    if (app->running) return trouble(app, &wanted, "the server runs already");
    struct app_change *c = change_new(app, &rc);
    if (!c) return rc;
    c->places = calloc(1, sizeof *c->places);
    rc = c->places ? add_wanted(c, &wanted) : WR_MEMORY;
    if (rc != WR_OK) {
        app_abandon(c);
        return rc;
    }
    app_commit(c);
    return WR_OK;
}
