/* rate.c - token buckets in shards: each with its own lock, its own addresses, and an order in which these
 * asked last. What stands for a zone and an address is a hash under a secret: nobody can aim at somebody
 * else's bucket, or fill one shard on purpose. */
#include "proxy/rate.h"

#include <stdlib.h>
#include <uv.h>

#include "base/sip.h"

enum { SHARDS = 64, SHARD_ENTRIES = RATE_ENTRIES_MAX / SHARDS, NO_ENTRY = SHARD_ENTRIES };

/* Tokens are counted in parts, so that a rate per second or per minute is a whole number of them each
 * millisecond: nothing is ever rounded, however long it goes on. */
static const uint64_t token_parts = (uint64_t)60 * 1000 * 1000 * 1000;

struct entry {
    uint64_t hash;
    uint64_t level; /* in parts of a token, as of at_ms */
    uint64_t at_ms;
    uint16_t next;         /* with the same head, or free */
    uint16_t newer, older; /* by when it asked last */
};

struct shard {
    uv_mutex_t lock;
    uint16_t used; /* entries 0 to used - 1 */
    uint16_t newest, oldest;
    uint16_t heads[SHARD_ENTRIES];
    struct entry entries[SHARD_ENTRIES];
};

struct rate_table {
    struct sip_secret secret;
    struct shard shards[SHARDS];
};

struct rate_table *rate_table_new(void)
{
    uint8_t secret[SIP_SECRET_BYTES];
    struct rate_table *table = calloc(1, sizeof *table);
    if (!table) return NULL;
    size_t made = 0;
    bool good = uv_random(NULL, NULL, secret, sizeof secret, 0, NULL) == 0;
    while (good && made < SHARDS && uv_mutex_init(&table->shards[made].lock) == 0)
        made++;
    if (made == SHARDS) {
        table->secret = sip_secret_of(secret);
        for (size_t s = 0; s < SHARDS; s++) {
            struct shard *shard = &table->shards[s];
            shard->newest = shard->oldest = NO_ENTRY;
            for (size_t i = 0; i < SHARD_ENTRIES; i++)
                shard->heads[i] = NO_ENTRY;
        }
        return table;
    }
    while (made > 0)
        uv_mutex_destroy(&table->shards[--made].lock);
    free(table);
    return NULL;
}

void rate_table_free(struct rate_table *table)
{
    if (!table) return;
    for (size_t s = 0; s < SHARDS; s++)
        uv_mutex_destroy(&table->shards[s].lock);
    free(table);
}

/* --- entries of a shard --- */

static uint16_t *head_of(struct shard *shard, uint64_t hash)
{
    return &shard->heads[hash % SHARD_ENTRIES];
}

static void leave_order(struct shard *shard, const struct entry *e)
{
    *(e->newer == NO_ENTRY ? &shard->newest : &shard->entries[e->newer].older) = e->older;
    *(e->older == NO_ENTRY ? &shard->oldest : &shard->entries[e->older].newer) = e->newer;
}

static void be_newest(struct shard *shard, uint16_t index)
{
    struct entry *e = &shard->entries[index];
    e->newer = NO_ENTRY;
    e->older = shard->newest;
    *(e->older == NO_ENTRY ? &shard->oldest : &shard->entries[e->older].newer) = index;
    shard->newest = index;
}

/* A place for a new one: a free one, or that of who asked longest ago. */
static uint16_t make_room(struct shard *shard)
{
    if (shard->used < SHARD_ENTRIES) return shard->used++;
    uint16_t index = shard->oldest;
    struct entry *e = &shard->entries[index];
    uint16_t *at = head_of(shard, e->hash);
    while (*at != index)
        at = &shard->entries[*at].next;
    *at = e->next;
    leave_order(shard, e);
    return index;
}

/* The bucket for this hash, which is the newest then; one that is not known is full. */
static struct entry *find(struct shard *shard, uint64_t hash, uint64_t full, uint64_t now_ms)
{
    uint16_t *head = head_of(shard, hash), index = *head;
    while (index != NO_ENTRY && shard->entries[index].hash != hash)
        index = shard->entries[index].next;
    if (index != NO_ENTRY) {
        if (index == shard->newest) return &shard->entries[index];
        leave_order(shard, &shard->entries[index]);
    } else {
        index = make_room(shard);
        shard->entries[index] = (struct entry){.hash = hash, .level = full, .at_ms = now_ms, .next = *head};
        *head = index;
    }
    be_newest(shard, index);
    return &shard->entries[index];
}

/* --- buckets --- */

static void fill(struct entry *e, uint64_t full, uint64_t parts_per_ms, uint64_t now_ms)
{
    if (e->level > full) e->level = full; /* a reload has lowered the burst */
    if (now_ms <= e->at_ms) return;       /* the clocks of two workers are not read at the same moment */
    uint64_t elapsed = now_ms - e->at_ms;
    e->at_ms = now_ms;
    if (elapsed > (full - e->level) / parts_per_ms)
        e->level = full;
    else
        e->level += elapsed * parts_per_ms;
}

bool rate_take(struct rate_table *table, const struct config_rate *rate, uint64_t zone,
               const uint8_t address[IP_BYTES], uint64_t now_ms, unsigned *out_wait_s)
{
    if (!(rate->per_s > 0)) return true;
    double exact = rate->per_s * (double)(token_parts / 1000) + 0.5;
    uint64_t parts_per_ms = exact<1 ? 1 : exact>(double) token_parts ? token_parts : (uint64_t)exact;
    uint64_t burst = rate->burst > RATE_BURST_MAX ? RATE_BURST_MAX : rate->burst;
    uint64_t full = (burst + 1) * token_parts;

    uint8_t what[sizeof zone + IP_BYTES] = {0};
    memcpy(what, &zone, sizeof zone);
    memcpy(what + sizeof zone, address, ip_is_v4(address) ? IP_BYTES : IP_BYTES / 2);
    uint64_t hash = sip_hash(table->secret, slice_of(what, sizeof what));

    struct shard *shard = &table->shards[hash >> 32 & (SHARDS - 1)];
    uv_mutex_lock(&shard->lock);
    struct entry *e = find(shard, hash, full, now_ms);
    fill(e, full, parts_per_ms, now_ms);
    bool may = e->level >= token_parts;
    uint64_t missing = may ? 0 : token_parts - e->level;
    if (may) e->level -= token_parts;
    uv_mutex_unlock(&shard->lock);

    if (may) return true;
    uint64_t wait_ms = missing / parts_per_ms + (missing % parts_per_ms > 0);
    uint64_t wait_s = wait_ms / 1000 + (wait_ms % 1000 > 0);
    *out_wait_s = wait_s > UINT32_MAX ? UINT32_MAX : (unsigned)wait_s;
    return false;
}
