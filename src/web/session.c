/* session.c - sessions in memory. One lock for all: what it guards takes less than a microsecond. */
#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "http/token.h"
#include "web/app.h"

enum { TOKEN_BYTES = 32, TOKEN_TEXT = 2 * TOKEN_BYTES, SESSIONS_MAX = 10 * 1000 * 1000 };

struct session {
    struct list node; /* in sessions->used, the one unused for longest first */
    uint8_t key[MAP_KEY_BYTES];
    uint32_t slot;
    uint64_t began_s, used_s;
    struct buffer values; /* name NUL value NUL, again and again */
};

struct wr_sessions {
    struct wr_sessions *next; /* of the app */
    struct wr_session_options options;
    char *cookie;
    uv_mutex_t lock; /* guards the rest */
    struct map by_key;
    struct session **slots;
    uint32_t slot_count, slot_cap;
    struct list used;
};

/* What a request knows of its session: looked up once, or begun or ended by it. */
struct session_link {
    struct session_link *next;
    struct wr_sessions *sessions;
    bool exists;
    uint8_t key[MAP_KEY_BYTES];
};

void wr_session_options_init(struct wr_session_options *options)
{
    *options = (struct wr_session_options){.cookie = "session",
                                           .lifetime_s = 12 * 3600,
                                           .lifetime_max_s = 30 * 24 * 3600,
                                           .sessions_max = 100 * 1000,
                                           .session_bytes_max = 4096};
}

static uint64_t now_s(void)
{
    return uv_hrtime() / 1000000000u;
}

/* --- the table; the lock is held --- */

static void drop(struct wr_sessions *s, struct session *session)
{
    map_remove(&s->by_key, session->key);
    list_remove(&session->node);
    /* The last slot moves into the hole, so that there is none. */
    struct session *last = s->slots[--s->slot_count];
    s->slots[session->slot] = last;
    if (last != session) {
        last->slot = session->slot;
        (void)!map_set(&s->by_key, last->key, last->slot); /* replacing cannot fail */
    }
    buffer_reset(&session->values);
    free(session);
}

static bool has_expired(const struct wr_sessions *s, const struct session *session, uint64_t now)
{
    return now - session->used_s >= s->options.lifetime_s ||
           now - session->began_s >= s->options.lifetime_max_s;
}

static void drop_expired(struct wr_sessions *s, uint64_t now)
{
    while (!list_empty(&s->used)) {
        struct session *oldest = LIST_ENTRY(s->used.next, struct session, node);
        if (now - oldest->used_s < s->options.lifetime_s) return;
        drop(s, oldest);
    }
}

static struct session *find(struct wr_sessions *s, const uint8_t key[MAP_KEY_BYTES])
{
    uint32_t slot;
    if (!map_get(&s->by_key, key, &slot)) return NULL;
    struct session *session = s->slots[slot];
    if (!has_expired(s, session, now_s())) return session;
    drop(s, session);
    return NULL;
}

static bool grow(struct wr_sessions *s)
{
    if (s->slot_count < s->slot_cap) return true;
    uint32_t cap = s->slot_cap ? s->slot_cap * 2 : 16;
    struct session **slots = realloc(s->slots, cap * sizeof(struct session *));
    if (!slots) return false;
    s->slots = slots;
    s->slot_cap = cap;
    return true;
}

static int add(struct wr_sessions *s, const uint8_t key[MAP_KEY_BYTES])
{
    uint64_t now = now_s();
    drop_expired(s, now);
    if (s->slot_count >= s->options.sessions_max) drop(s, LIST_ENTRY(s->used.next, struct session, node));
    struct session *session = grow(s) ? calloc(1, sizeof *session) : NULL;
    if (!session) return WR_MEMORY;
    memcpy(session->key, key, MAP_KEY_BYTES);
    session->slot = s->slot_count;
    session->began_s = session->used_s = now;
    buffer_init(&session->values, &allocator_libc, s->options.session_bytes_max);
    if (map_set(&s->by_key, key, session->slot) < 0) {
        free(session);
        return WR_MEMORY;
    }
    s->slots[s->slot_count++] = session;
    list_append(&s->used, &session->node);
    return WR_OK;
}

static void renew(struct wr_sessions *s, struct session *session)
{
    session->used_s = now_s();
    list_remove(&session->node);
    list_append(&s->used, &session->node);
}

/* --- values --- */

/* One text of values: up to its NUL, which is there. */
static slice text_next(slice *rest)
{
    const uint8_t *end = memchr(rest->ptr, 0, rest->len);
    slice text = slice_of(rest->ptr, (size_t)(end - rest->ptr));
    *rest = slice_sub(*rest, text.len + 1, rest->len);
    return text;
}

/* Where name and value lie; false when there is none. */
static bool value_find(const struct session *session, slice name, size_t *out_at, slice *out_value)
{
    slice rest = buffer_slice(&session->values);
    while (rest.len > 0) {
        *out_at = session->values.len - rest.len;
        slice n = text_next(&rest), v = text_next(&rest);
        if (!slice_equal(n, name)) continue;
        *out_value = v;
        return true;
    }
    return false;
}

static int value_set(struct session *session, slice name, const char *value)
{
    struct buffer *values = &session->values;
    size_t at, old_len = 0;
    slice old;
    if (value_find(session, name, &at, &old)) old_len = name.len + old.len + 2;
    if (value) {
        size_t new_len = name.len + strlen(value) + 2;
        if (values->len - old_len + new_len > values->max) return WR_FULL;
        if (old_len < new_len && buffer_reserve(values, new_len - old_len) < 0) {
            values->failed = false;
            return WR_MEMORY;
        }
    }
    if (old_len > 0) {
        memmove(values->ptr + at, values->ptr + at + old_len, values->len - at - old_len);
        values->len -= old_len;
    }
    if (!value) return WR_OK;
    buffer_put(values, slice_of(name.ptr, name.len + 1)); /* with its NUL */
    buffer_put(values, slice_of(value, strlen(value) + 1));
    return WR_OK;
}

/* --- from a request to its session --- */

static void key_of(slice token, uint8_t key[MAP_KEY_BYTES])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(token.ptr, token.len, digest);
    memcpy(key, digest, MAP_KEY_BYTES);
}

/* NULL without memory. */
static struct session_link *link_of(struct wr_sessions *s, struct wr_request *r)
{
    for (struct session_link *l = r->sessions; l; l = l->next) {
        if (l->sessions == s) return l;
    }
    struct session_link *l = arena_take(&r->arena, sizeof *l);
    if (!l) return NULL;
    *l = (struct session_link){.next = r->sessions, .sessions = s};
    r->sessions = l;
    const char *token = wr_request_cookie(r, s->cookie);
    if (!token || strlen(token) != TOKEN_TEXT) return l;
    l->exists = true;
    key_of(slice_text(token), l->key);
    return l;
}

/* Locks, and returns the session of the request with the lock held; NULL without one, unlocked. */
static struct session *lock_session(struct wr_sessions *s, struct wr_request *r)
{
    struct session_link *l = link_of(s, r);
    if (!l || !l->exists) return NULL;
    uv_mutex_lock(&s->lock);
    struct session *session = find(s, l->key);
    if (session) return session;
    l->exists = false;
    uv_mutex_unlock(&s->lock);
    return NULL;
}

static void set_cookie(struct wr_sessions *s, struct wr_request *r, const char *token, int64_t max_age_s)
{
    struct wr_cookie cookie = {.name = s->cookie,
                               .value = token,
                               .max_age_s = max_age_s,
                               .http_only = true,
                               .secure = strcmp(wr_request_scheme(r), "https") == 0,
                               .same_site = s->options.strict ? WR_SAME_SITE_STRICT : WR_SAME_SITE_LAX};
    wr_response_cookie(r, &cookie);
}

int wr_session_start(struct wr_sessions *s, struct wr_request *r)
{
    uint8_t bytes[TOKEN_BYTES];
    char token[TOKEN_TEXT + 1];
    struct session_link *l = link_of(s, r);
    if (!l || uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL) < 0) return WR_MEMORY;
    hex_encode(slice_of(bytes, sizeof bytes), token);
    uint8_t key[MAP_KEY_BYTES];
    key_of(slice_text(token), key);
    uv_mutex_lock(&s->lock);
    struct session *old = l->exists ? find(s, l->key) : NULL;
    if (old) drop(s, old);
    int rc = add(s, key);
    uv_mutex_unlock(&s->lock);
    l->exists = rc == WR_OK;
    if (rc != WR_OK) return rc;
    memcpy(l->key, key, sizeof key);
    set_cookie(s, r, token, s->options.lifetime_max_s);
    return WR_OK;
}

bool wr_session_exists(struct wr_sessions *s, struct wr_request *r)
{
    struct session *session = lock_session(s, r);
    if (!session) return false;
    renew(s, session);
    uv_mutex_unlock(&s->lock);
    return true;
}

const char *wr_session_get(struct wr_sessions *s, struct wr_request *r, const char *key)
{
    struct session *session = lock_session(s, r);
    if (!session) return NULL;
    size_t at;
    slice value;
    const char *copy =
        value_find(session, slice_text(key), &at, &value) ? arena_text(&r->arena, value) : NULL;
    renew(s, session);
    uv_mutex_unlock(&s->lock);
    return copy;
}

int wr_session_set(struct wr_sessions *s, struct wr_request *r, const char *key, const char *value)
{
    struct session *session = lock_session(s, r);
    if (!session) return WR_INVALID;
    int rc = value_set(session, slice_text(key), value);
    uv_mutex_unlock(&s->lock);
    return rc;
}

void wr_session_end(struct wr_sessions *s, struct wr_request *r)
{
    struct session *session = lock_session(s, r);
    if (!session) return;
    drop(s, session);
    uv_mutex_unlock(&s->lock);
    link_of(s, r)->exists = false;
    set_cookie(s, r, "", 0);
}

size_t wr_session_end_all(struct wr_sessions *s, const char *key, const char *value)
{
    size_t ended = 0, at;
    slice found;
    uv_mutex_lock(&s->lock);
    for (uint32_t i = s->slot_count; i-- > 0;) {
        struct session *session = s->slots[i];
        if (!value_find(session, slice_text(key), &at, &found) || !slice_equal(found, slice_text(value)))
            continue;
        drop(s, session); /* puts the last one here, which was looked at before */
        ended++;
    }
    uv_mutex_unlock(&s->lock);
    return ended;
}

size_t wr_session_count(struct wr_sessions *s)
{
    uv_mutex_lock(&s->lock);
    drop_expired(s, now_s());
    size_t count = s->slot_count;
    uv_mutex_unlock(&s->lock);
    return count;
}

/* --- life --- */

struct wr_sessions *wr_sessions_new(struct wr_app *app, const struct wr_session_options *options)
{
    uint8_t secret[16];
    if (app->running) return NULL;
    struct wr_sessions *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    if (options)
        s->options = *options;
    else
        wr_session_options_init(&s->options);
    if (s->options.sessions_max == 0 || s->options.sessions_max > SESSIONS_MAX)
        s->options.sessions_max = SESSIONS_MAX;
    s->cookie = token_valid(slice_text(s->options.cookie)) ? strdup(s->options.cookie) : NULL;
    if (!s->cookie || uv_random(NULL, NULL, secret, sizeof secret, 0, NULL) < 0 ||
        uv_mutex_init(&s->lock) < 0) {
        free(s->cookie);
        free(s);
        return NULL;
    }
    list_init(&s->used);
    map_init(&s->by_key, &allocator_libc, s->options.sessions_max, secret);
    s->next = app->sessions;
    app->sessions = s;
    return s;
}

void sessions_free(struct wr_sessions *s)
{
    while (s) {
        struct wr_sessions *next = s->next;
        while (s->slot_count > 0)
            drop(s, s->slots[s->slot_count - 1]);
        map_deinit(&s->by_key);
        uv_mutex_destroy(&s->lock);
        free(s->slots);
        free(s->cookie);
        free(s);
        s = next;
    }
}
