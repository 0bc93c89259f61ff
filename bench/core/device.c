#include "device.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *counted_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    struct counter *m = context;
    if (size == 0) {
        free(ptr);
        if (ptr) m->used -= old_size, m->blocks--;
        return NULL;
    }
    void *next = realloc(ptr, size);
    if (!next) return NULL;
    if (!ptr) m->blocks++;
    m->used += size - (ptr ? old_size : 0);
    if (m->used > m->peak) m->peak = m->used;
    return next;
}

static slice copy(slice bytes)
{
    uint8_t *p = bench_alloc(bytes.len, 1);
    memcpy(p, bytes.ptr, bytes.len);
    return slice_of(p, bytes.len);
}

static struct disk_author *disk_author(struct device *d, const uint8_t *device)
{
    uint32_t index;
    if (map_get(&d->by_author, device, &index)) return &d->authors[index];
    if (d->authors_len == d->authors_cap) {
        d->authors_cap = d->authors_cap ? 2 * d->authors_cap : 64;
        d->authors = realloc(d->authors, d->authors_cap * sizeof *d->authors);
        if (!d->authors) bench_die("out of memory");
    }
    if (map_set(&d->by_author, device, d->authors_len) < 0) bench_die("out of memory");
    struct disk_author *a = &d->authors[d->authors_len++];
    *a = (struct disk_author){0};
    memcpy(a->device, device, ID_BYTES);
    return a;
}

static slice *disk_slot(struct device *d, const uint8_t *device, uint64_t seq)
{
    struct disk_author *a = disk_author(d, device);
    if (seq > a->cap) {
        uint32_t cap = a->cap ? a->cap : 16;
        while (cap < seq)
            cap *= 2;
        a->records = realloc(a->records, cap * sizeof *a->records);
        if (!a->records) bench_die("out of memory");
        memset(a->records + a->cap, 0, (cap - a->cap) * sizeof *a->records);
        a->cap = cap;
    }
    if (seq > a->len) a->len = (uint32_t)seq;
    return &a->records[seq - 1];
}

static void store(struct device *d, const struct action *a)
{
    bool entry = a->entry.id != NULL;
    d->stored += entry;
    if (!d->keeps) return;
    slice *slot = entry ? disk_slot(d, a->entry.author, a->entry.seq) : &d->channel_record;
    free((void *)(uintptr_t)slot->ptr);
    *slot = copy(a->record);
}

static void act(struct device *d, const struct action *a, usec now)
{
    uint64_t last_ms = d->corpus->first_ms + (uint64_t)(d->corpus->len - 1) * 1000;
    switch (a->kind) {
    case ACTION_STORE:
        store(d, a);
        node_done(d->node, a->token, OK, SLICE_EMPTY, now);
        break;
    case ACTION_READ: {
        slice *slot = disk_slot(d, a->entry.author, a->entry.seq);
        d->read++;
        node_done(d->node, a->token, slot->len ? OK : ERR_NOT_FOUND, *slot, now);
        break;
    }
    case ACTION_DELIVER:
        d->delivered++;
        if (a->entry.time_ms <= last_ms && a->entry.time_ms + (uint64_t)d->late * 1000 > last_ms)
            d->delivered_late++;
        break;
    case ACTION_WRITABLE: d->writable = true; break;
    case ACTION_CLOSE: d->closed++; break;
    case ACTION_WARNING: d->warnings++; break;
    default: break;
    }
}

void device_pump(struct device *d, usec now)
{
    struct action a;
    while (node_next(d->node, &a))
        act(d, &a, now);
}

void device_records(const struct device *d, bool (*visit)(void *context, slice record), void *context)
{
    if (d->channel_record.len && !visit(context, d->channel_record)) return;
    for (uint32_t i = 0; i < d->authors_len; i++) {
        for (uint32_t seq = 0; seq < d->authors[i].len; seq++) {
            slice record = d->authors[i].records[seq];
            if (record.len && !visit(context, record)) return;
        }
    }
}

struct restore {
    struct device *device;
    usec now;
};

static bool restore_one(void *context, slice record)
{
    struct restore *r = context;
    if (node_restore(r->device->node, record, r->now) < 0) bench_die("a record does not fit");
    return true;
}

static void command(struct device *d, const struct command *c, usec now)
{
    if (node_command(d->node, c, now) < 0) bench_die("a command was refused");
    device_pump(d, now);
}

void device_secrets(uint32_t author, const struct corpus *c, uint8_t identity_seed[KEY_BYTES],
                    uint8_t random_seed[KEY_BYTES])
{
    memset(random_seed, (int)(author & 0xff), KEY_BYTES);
    memset(identity_seed, (int)(author & 0x7f), KEY_BYTES);
    if (author < c->authors_len) memcpy(identity_seed, c->authors[author].seed, KEY_BYTES);
}

void device_open(struct device *d, const struct corpus *c, uint32_t author, bool keeps,
                 const struct device *from, usec now)
{
    static const uint8_t secret[16] = {1};
    struct node_config config = {.role = ROLE_PERSON};
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t certificate_len;
    *d = (struct device){.corpus = c, .keeps = keeps};
    d->memory.allocator = (struct allocator){&d->memory, counted_resize};
    map_init(&d->by_author, &allocator_libc, NODE_AUTHORS_MAX, secret);
    device_secrets(author, c, config.identity_seed, config.random_seed);
    if (author < c->authors_len) {
        memcpy(certificate, c->authors[author].certificate, c->authors[author].certificate_len);
        certificate_len = c->authors[author].certificate_len;
    } else {
        corpus_certify(c, "newcomer", config.identity_seed, certificate, sizeof certificate,
                       &certificate_len);
    }
    if (node_create(&config, &d->memory.allocator, c->crypto, now, &d->node) < 0)
        bench_die("no node could be made");
    if (from) {
        struct restore r = {d, now};
        uint64_t before = cpu_now();
        device_records(from, restore_one, &r);
        d->cpu_ns = cpu_now() - before;
    }
    struct command certified = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, certificate_len)};
    struct command join = {
        .kind = COMMAND_JOIN, .channel = c->channel, .device = c->tracker, .bytes = SLICE("general")};
    command(d, &certified, now);
    command(d, &join, now);
}

void device_close(struct device *d)
{
    node_destroy(d->node);
    free((void *)(uintptr_t)d->channel_record.ptr);
    for (uint32_t i = 0; i < d->authors_len; i++) {
        for (uint32_t seq = 0; seq < d->authors[i].len; seq++)
            free((void *)(uintptr_t)d->authors[i].records[seq].ptr);
        free(d->authors[i].records);
    }
    free(d->authors);
    map_deinit(&d->by_author);
}
