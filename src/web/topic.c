#include "web/topic.h"

#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/ws_deflate.h"
#include "web/deflate.h"
#include "web/socket.h"

enum { LONG_NAME = 255, CODE_BYTES = MAP_KEY_BYTES - 1, SLAB_BYTES = 8 * 1024, SLAB_FRAME_MAX = 1024 };

struct subscriptions {
    uint32_t len, cap;
    struct {
        uint32_t topic; /* index of the worker's list */
        uint32_t at;    /* index of that topic's sockets */
    } items[];
};

/* One frame, perhaps among others. */
struct frame {
    struct shared_bytes *owner; /* held; NULL: none */
    slice bytes;
};

struct publication {
    enum wr_message kind;
    uint8_t key[MAP_KEY_BYTES];
    struct frame plain;
    slice payload; /* within it */
};

/* A publication for several workers. */
struct parcel {
    atomic_uint owners; /* workers that have not had it, and who sends it */
    struct publication publication;
};

/* A short name is its own key, a longer one is told by its hash. False when it is no name. */
static bool key_of(const char *name, uint8_t key[MAP_KEY_BYTES])
{
    size_t len = name ? strnlen(name, TOPIC_NAME_MAX + 1) : 0;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    if (len == 0 || len > TOPIC_NAME_MAX) return false;
    memset(key, 0, MAP_KEY_BYTES);
    if (len <= CODE_BYTES) {
        key[0] = (uint8_t)len;
        memcpy(key + 1, name, len);
        return true;
    }
    key[0] = LONG_NAME;
    SHA256((const unsigned char *)name, len, digest);
    memcpy(key + 1, digest, CODE_BYTES);
    return true;
}

/* --- counts of all workers --- */

int topic_counts_init(struct topic_counts *counts, const uint8_t secret[16])
{
    map_init(&counts->by_key, &allocator_libc, UINT32_MAX, secret);
    return uv_mutex_init(&counts->lock);
}

void topic_counts_deinit(struct topic_counts *counts)
{
    map_deinit(&counts->by_key);
    uv_mutex_destroy(&counts->lock);
}

static int count_one_more(struct topic_counts *counts, const uint8_t key[MAP_KEY_BYTES])
{
    uint32_t count = 0;
    uv_mutex_lock(&counts->lock);
    map_get(&counts->by_key, key, &count);
    int rc = map_set(&counts->by_key, key, count + 1);
    uv_mutex_unlock(&counts->lock);
    return rc;
}

static void count_one_less(struct topic_counts *counts, const uint8_t key[MAP_KEY_BYTES])
{
    uint32_t count = 0;
    uv_mutex_lock(&counts->lock);
    if (map_get(&counts->by_key, key, &count) && count > 1)
        (void)!map_set(&counts->by_key, key, count - 1); /* replacing cannot fail */
    else
        map_remove(&counts->by_key, key);
    uv_mutex_unlock(&counts->lock);
}

static uint32_t count_of(struct topic_counts *counts, const uint8_t key[MAP_KEY_BYTES])
{
    uint32_t count = 0;
    uv_mutex_lock(&counts->lock);
    map_get(&counts->by_key, key, &count);
    uv_mutex_unlock(&counts->lock);
    return count;
}

size_t wr_subscribers(struct wr_app *app, const char *name)
{
    uint8_t key[MAP_KEY_BYTES];
    return key_of(name, key) ? count_of(&app->topic_counts, key) : 0;
}

/* --- the topics of a worker --- */

void topics_init(struct topics *t, const uint8_t secret[16])
{
    *t = (struct topics){0};
    atomic_init(&t->waiting_bytes, 0);
    map_init(&t->by_key, &allocator_libc, UINT32_MAX, secret);
}

void topics_deinit(struct topics *t)
{
    map_deinit(&t->by_key);
    free(t->list);
    shared_bytes_release(t->slab);
}

static struct topic *topic_find(struct topics *t, const uint8_t key[MAP_KEY_BYTES])
{
    uint32_t index;
    return map_get(&t->by_key, key, &index) ? &t->list[index] : NULL;
}

/* The array with room for one more element, perhaps at another place; it doubles. NULL without memory: then
 * it is as it was. */
static void *grown(void *array, uint32_t len, uint32_t *cap, size_t head, size_t element)
{
    if (len < *cap) return array;
    uint32_t more = *cap ? *cap * 2 : 1;
    void *bigger = more > *cap ? realloc(array, head + more * element) : NULL;
    if (bigger) *cap = more;
    return bigger;
}

/* A free place in the list, or a negative WR_ result. */
static int64_t place_new(struct topics *t)
{
    if (t->first_free) {
        uint32_t index = t->first_free - 1;
        t->first_free = t->list[index].next_free;
        return index;
    }
    struct topic *list = grown(t->list, t->len, &t->cap, 0, sizeof *list);
    if (!list) return WR_MEMORY;
    t->list = list;
    return t->len++;
}

static void place_free(struct topics *t, uint32_t index)
{
    struct topic *topic = &t->list[index];
    free(topic->sockets);
    *topic = (struct topic){.next_free = t->first_free};
    t->first_free = index + 1;
}

/* The topic with this key, made when there is none; NULL without memory. */
static struct topic *topic_make(struct topics *t, const uint8_t key[MAP_KEY_BYTES])
{
    struct topic *topic = topic_find(t, key);
    if (topic) return topic;
    int64_t index = place_new(t);
    if (index < 0) return NULL;
    topic = &t->list[index];
    *topic = (struct topic){0};
    memcpy(topic->key, key, MAP_KEY_BYTES);
    if (map_set(&t->by_key, key, (uint32_t)index) == OK) return topic;
    place_free(t, (uint32_t)index);
    return NULL;
}

static void topic_drop_if_empty(struct topics *t, struct topic *topic)
{
    if (topic->len > 0) return;
    map_remove(&t->by_key, topic->key);
    place_free(t, (uint32_t)(topic - t->list));
}

/* --- subscribing --- */

/* Which of the socket's subscriptions this topic is; len when none. */
static uint32_t subscription_find(const struct subscriptions *subs, uint32_t topic)
{
    uint32_t i = 0;
    while (subs && i < subs->len && subs->items[i].topic != topic)
        i++;
    return i;
}

static bool make_room(struct wr_socket *s, struct topic *topic)
{
    uint32_t len = s->topics ? s->topics->len : 0, cap = s->topics ? s->topics->cap : 0;
    struct subscriptions *subs = grown(s->topics, len, &cap, sizeof *subs, sizeof subs->items[0]);
    if (!subs) return false;
    s->topics = subs;
    subs->len = len;
    subs->cap = cap;
    struct wr_socket **sockets = grown(topic->sockets, topic->len, &topic->cap, 0, sizeof *sockets);
    if (!sockets) return false;
    topic->sockets = sockets;
    return true;
}

static int subscribe(struct wr_socket *s, struct topics *t, struct topic *topic)
{
    uint32_t index = (uint32_t)(topic - t->list);
    if (s->topics && subscription_find(s->topics, index) < s->topics->len) return WR_OK;
    if (s->topics && s->topics->len >= TOPICS_OF_SOCKET_MAX) return WR_FULL;
    if (!make_room(s, topic) || count_one_more(&s->conn->worker->app->topic_counts, topic->key) < 0)
        return WR_MEMORY;
    s->topics->items[s->topics->len].topic = index;
    s->topics->items[s->topics->len++].at = topic->len;
    topic->sockets[topic->len++] = s;
    return WR_OK;
}

int wr_subscribe(struct wr_socket *s, const char *name)
{
    uint8_t key[MAP_KEY_BYTES];
    struct topics *t = &s->conn->worker->topics;
    if (s->closing) return WR_CLOSED;
    if (!key_of(name, key)) return WR_INVALID;
    struct topic *topic = topic_make(t, key);
    if (!topic) return WR_MEMORY;
    int rc = subscribe(s, t, topic);
    topic_drop_if_empty(t, topic);
    return rc;
}

/* The socket's i-th subscription ends; the last one of the topic and the last one of the socket move up. */
static void leave(struct wr_socket *s, uint32_t i)
{
    struct wr_worker *worker = s->conn->worker;
    struct topics *t = &worker->topics;
    uint32_t index = s->topics->items[i].topic, at = s->topics->items[i].at;
    struct topic *topic = &t->list[index];
    struct wr_socket *last = topic->sockets[--topic->len];
    topic->sockets[at] = last;
    last->topics->items[subscription_find(last->topics, index)].at = at;
    s->topics->items[i] = s->topics->items[--s->topics->len];
    count_one_less(&worker->app->topic_counts, topic->key);
    topic_drop_if_empty(t, topic);
}

void wr_unsubscribe(struct wr_socket *s, const char *name)
{
    uint8_t key[MAP_KEY_BYTES];
    struct topics *t = &s->conn->worker->topics;
    struct topic *topic = key_of(name, key) ? topic_find(t, key) : NULL;
    if (!topic || !s->topics) return;
    uint32_t i = subscription_find(s->topics, (uint32_t)(topic - t->list));
    if (i < s->topics->len) leave(s, i);
}

void topic_leave_all(struct wr_socket *s)
{
    while (s->topics && s->topics->len > 0)
        leave(s, s->topics->len - 1);
    free(s->topics);
    s->topics = NULL;
}

/* --- frames --- */

/* Room for a frame: at the end of the slab when there is one and the frame is small. NULL without memory. */
static uint8_t *frame_room(struct topics *t, size_t len, struct frame *out)
{
    if (!t || len > SLAB_FRAME_MAX) {
        out->owner = shared_bytes_new(len);
        return out->owner ? out->owner->bytes : NULL;
    }
    if (!t->slab || len > t->slab->len - t->slab_used) {
        shared_bytes_release(t->slab);
        t->slab = shared_bytes_new(SLAB_BYTES);
        t->slab_used = 0;
    }
    if (!t->slab) return NULL;
    out->owner = shared_bytes_hold(t->slab);
    uint8_t *room = t->slab->bytes + t->slab_used;
    t->slab_used += len;
    return room;
}

static bool frame_make(struct topics *t, enum wr_message kind, bool compressed, slice payload,
                       struct frame *out)
{
    uint8_t head[WS_FRAME_HEAD_MAX];
    struct ws_frame frame = {
        .fin = true, .rsv1 = compressed, .opcode = kind == WR_TEXT ? WS_TEXT : WS_BINARY, .len = payload.len};
    size_t head_len = ws_frame_write(&frame, head);
    uint8_t *room = frame_room(t, head_len + payload.len, out);
    if (!room) return false;
    memcpy(room, head, head_len);
    if (payload.len) memcpy(room + head_len, payload.ptr, payload.len);
    out->bytes = slice_of(room, head_len + payload.len);
    return true;
}

/* The compressed frame, once for all sockets of this worker. */
struct packing {
    struct frame frame; /* without an owner: it is not to be had */
    bool tried;
};

static const struct frame *packed_frame(struct packing *packing, struct wr_worker *worker,
                                        const struct publication *p)
{
    slice packed;
    if (!packing->tried) {
        const struct wr_bytes payload = {p->payload.ptr, p->payload.len};
        packing->tried = true;
        if (deflater_pack(worker->deflater, &payload, 1, payload.len, WS_DEFLATE_BITS_MAX, &packed) == OK &&
            !frame_make(&worker->topics, p->kind, true, packed, &packing->frame))
            packing->frame.owner = NULL;
        deflater_pack_done(worker->deflater);
    }
    return packing->frame.owner ? &packing->frame : &p->plain;
}

/* --- publishing --- */

static int64_t send_to(struct wr_socket *s, const struct publication *p, struct packing *packing)
{
    const struct frame *frame = &p->plain;
    size_t len = p->payload.len;
    /* What a client sends is masked for it alone. */
    if (socket_masks(s)) return wr_socket_send(s, p->kind, p->payload.ptr, len);
    if (s->window_bits && len >= socket_handlers(s)->compress_bytes_min && deflater_fits(len, s->window_bits))
        frame = packed_frame(packing, s->conn->worker, p);
    return socket_send_shared(s, frame->owner, frame->bytes);
}

/* Sends it to the subscribers of this worker. */
static void deliver(struct wr_worker *worker, const struct publication *p, const struct wr_socket *except)
{
    struct packing packing = {0};
    struct topic *topic = topic_find(&worker->topics, p->key);
    /* Backwards: one that is closed leaves, and the last one, who has had it, takes its place. */
    for (uint32_t i = topic ? topic->len : 0; i-- > 0;) {
        struct wr_socket *s = topic->sockets[i];
        if (s == except) continue;
        int64_t rc = send_to(s, p, &packing);
        if (rc == WR_FULL)
            wr_socket_close(s, WR_CLOSE_POLICY, "too many messages wait for you");
        else if (rc < 0 && rc != WR_CLOSED)
            wr_socket_close(s, WR_CLOSE_ERROR, "out of memory");
    }
    shared_bytes_release(packing.frame.owner);
}

static void parcel_release(struct parcel *parcel)
{
    if (atomic_fetch_sub_explicit(&parcel->owners, 1, memory_order_acq_rel) != 1) return;
    shared_bytes_release(parcel->publication.plain.owner);
    free(parcel);
}

static size_t parcel_bytes(const struct parcel *parcel)
{
    return sizeof *parcel + parcel->publication.plain.bytes.len;
}

static void on_parcel(struct wr_worker *worker, void *argument)
{
    struct parcel *parcel = argument;
    atomic_fetch_sub_explicit(&worker->topics.waiting_bytes, parcel_bytes(parcel), memory_order_relaxed);
    deliver(worker, &parcel->publication, NULL);
    parcel_release(parcel);
}

/* WR_FULL, WR_MEMORY; WR_CLOSED: its sockets have gone. */
static int post_to(struct wr_worker *worker, struct parcel *parcel)
{
    size_t bytes = parcel_bytes(parcel);
    atomic_size_t *waiting = &worker->topics.waiting_bytes;
    if (atomic_fetch_add_explicit(waiting, bytes, memory_order_relaxed) > TOPIC_WAITING_BYTES_MAX) {
        atomic_fetch_sub_explicit(waiting, bytes, memory_order_relaxed);
        return WR_FULL;
    }
    atomic_fetch_add_explicit(&parcel->owners, 1, memory_order_relaxed);
    int rc = wr_worker_post(worker, on_parcel, parcel);
    if (rc < 0) {
        atomic_fetch_sub_explicit(waiting, bytes, memory_order_relaxed);
        parcel_release(parcel);
    }
    return rc;
}

/* Hands it to all workers but one. */
static int post_to_others(struct wr_app *app, const struct wr_worker *here, const struct publication *p)
{
    int rc = WR_OK;
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel) return WR_MEMORY;
    parcel->publication = *p;
    shared_bytes_hold(p->plain.owner);
    atomic_init(&parcel->owners, 1);
    for (unsigned i = 0; i < app->worker_count; i++) {
        int posted = app->workers[i] == here ? WR_OK : post_to(app->workers[i], parcel);
        if (posted == WR_FULL || posted == WR_MEMORY) rc = posted;
    }
    parcel_release(parcel);
    return rc;
}

int wr_publish(struct wr_app *app, const char *name, enum wr_message kind, const void *bytes, size_t len,
               struct wr_socket *except)
{
    struct publication p = {.kind = kind};
    slice payload = slice_of(bytes, len);
    struct wr_worker *here = wr_worker_here();
    if (!key_of(name, p.key) || (kind == WR_TEXT && !utf8_valid(payload))) return WR_INVALID;
    if (here && here->app != app) here = NULL;
    const struct topic *topic = here ? topic_find(&here->topics, p.key) : NULL;
    bool others =
        (app->worker_count > 1 || !here) && count_of(&app->topic_counts, p.key) > (topic ? topic->len : 0);
    if (!topic && !others) return WR_OK;
    if (!frame_make(here ? &here->topics : NULL, kind, false, payload, &p.plain)) return WR_MEMORY;
    p.payload = slice_of(p.plain.bytes.ptr + p.plain.bytes.len - len, len);
    int rc = others ? post_to_others(app, here, &p) : WR_OK;
    if (topic) deliver(here, &p, except);
    shared_bytes_release(p.plain.owner);
    return rc;
}
