#include "core/keyring.h"

#include <string.h>

#include "core/identity.h"
#include "core/recheck.h"
#include "core/state.h"

/* --- tables --- */

int keyring_new(struct node *n, struct keyring **out)
{
    struct keyring *ring = alloc_new(n->allocator, sizeof *ring);
    if (!ring) return ERR_MEMORY;
    map_init(&ring->by_id, n->allocator, EPOCHS_MAX, n->map_secret);
    map_init(&ring->by_device, n->allocator, HOLDERS_MAX, n->map_secret);
    map_init(&ring->by_entry, n->allocator, HANDINGS_MAX, n->map_secret);
    *out = ring;
    return OK;
}

static void epoch_free(struct node *n, struct epoch *e)
{
    alloc_free(n->allocator, e->given, e->given_cap);
    wipe(e, sizeof *e);
    alloc_free(n->allocator, e, sizeof *e);
}

static void handing_free(struct node *n, struct handing *h)
{
    alloc_free(n->allocator, h->holders, h->holders_cap * sizeof *h->holders);
}

void keyring_free(struct node *n, struct keyring *ring)
{
    if (!ring) return;
    for (uint32_t i = 0; i < ring->epochs_len; i++)
        epoch_free(n, ring->epochs[i]);
    for (uint32_t i = 0; i < ring->handings_len; i++)
        handing_free(n, &ring->handings[i]);
    alloc_free(n->allocator, ring->handings, ring->handings_cap * sizeof *ring->handings);
    for (uint32_t i = 0; i < ring->holders_len; i++)
        alloc_free(n->allocator, ring->holders[i].certificate, ring->holders[i].certificate_len);
    alloc_free(n->allocator, ring->epochs, ring->epochs_cap * sizeof *ring->epochs);
    alloc_free(n->allocator, ring->holders, ring->holders_cap * sizeof *ring->holders);
    map_deinit(&ring->by_id);
    map_deinit(&ring->by_device);
    map_deinit(&ring->by_entry);
    alloc_free(n->allocator, ring, sizeof *ring);
}

struct epoch *keyring_epoch(const struct keyring *ring, const uint8_t id[EPOCH_ID_BYTES])
{
    uint8_t key[MAP_KEY_BYTES] = {0};
    uint32_t index;
    memcpy(key, id, EPOCH_ID_BYTES);
    return map_get(&ring->by_id, key, &index) ? ring->epochs[index] : NULL;
}

static int epoch_add(struct node *n, struct keyring *ring, const uint8_t id[EPOCH_ID_BYTES],
                     struct epoch **out)
{
    uint8_t key[MAP_KEY_BYTES] = {0};
    if (ring->epochs_len >= EPOCHS_MAX) return ERR_FULL;
    int rc = grow(n->allocator, (void **)&ring->epochs, &ring->epochs_cap, ring->epochs_len + 1,
                  sizeof *ring->epochs);
    struct epoch *e = rc == OK ? alloc_new(n->allocator, sizeof *e) : NULL;
    if (!e) return ERR_MEMORY;
    memcpy(key, id, EPOCH_ID_BYTES);
    rc = map_set(&ring->by_id, key, ring->epochs_len);
    if (rc < 0) {
        epoch_free(n, e);
        return rc;
    }
    memcpy(e->id, id, EPOCH_ID_BYTES);
    e->index = ring->epochs_len;
    e->maker = NONE;
    ring->epochs[ring->epochs_len++] = e;
    *out = e;
    return OK;
}

int keyring_holder(struct node *n, struct keyring *ring, const uint8_t *device, uint32_t *out_holder)
{
    if (map_get(&ring->by_device, device, out_holder)) return OK;
    int rc = grow(n->allocator, (void **)&ring->holders, &ring->holders_cap, ring->holders_len + 1,
                  sizeof *ring->holders);
    if (rc == OK) rc = map_set(&ring->by_device, device, ring->holders_len);
    if (rc < 0) return rc;
    struct holder *h = &ring->holders[ring->holders_len];
    *h = (struct holder){.author = NONE};
    memcpy(h->device, device, ID_BYTES);
    *out_holder = ring->holders_len++;
    return OK;
}

int keyring_joined(struct node *n, struct keyring *ring, const uint8_t *device)
{
    uint32_t index;
    int rc = keyring_holder(n, ring, device, &index);
    if (rc < 0) return rc == ERR_FULL ? OK : rc;
    if (ring->holders[index].unknown) ring->unknown--;
    ring->holders[index].unknown = false;
    ring->review = true;
    return OK;
}

int keyring_certified(struct node *n, struct channel *c, slice bytes)
{
    struct certificate certificate;
    uint32_t index;
    if (certificate_parse(n->crypto, bytes, &certificate) < 0) return OK;
    if (memcmp(certificate.authority, c->authority, ID_BYTES) != 0) return OK;
    if (!certificate_current(&certificate, n->now)) return OK; /* the device was lost, perhaps */
    if (!member_is(c, certificate.account)) return OK;
    int rc = keyring_holder(n, c->keys, certificate.device, &index);
    if (rc < 0) return rc == ERR_FULL ? OK : rc;
    struct holder *h = &c->keys->holders[index];
    if (h->certificate) return OK;
    uint8_t *copy = alloc_new(n->allocator, bytes.len);
    if (!copy) return ERR_MEMORY;
    memcpy(copy, bytes.ptr, bytes.len);
    h->certificate = copy;
    h->certificate_len = (uint16_t)bytes.len;
    h->account = slice_of(copy + (certificate.account.ptr - bytes.ptr), certificate.account.len);
    c->keys->review = true;
    return OK;
}

bool epoch_given(const struct epoch *e, uint32_t holder)
{
    return holder / 8 < e->given_cap && (e->given[holder / 8] >> (holder % 8) & 1) != 0;
}

/* Adds what the handing has given to its epoch, if its entry counts. */
static int count(struct node *n, struct channel *c, const struct handing *h)
{
    struct epoch *e = c->keys->epochs[h->epoch];
    uint32_t author = author_find(c, h->author);
    int rc = OK;
    if (author == NONE || !member_counts(c, author, h->seq)) return OK;
    for (uint32_t i = 0; i < h->holders_len && rc == OK; i++) {
        uint32_t at = h->holders[i];
        rc = grow(n->allocator, (void **)&e->given, &e->given_cap, at / 8 + 1, 1);
        if (rc == OK) e->given[at / 8] |= (uint8_t)(1 << at % 8);
    }
    return rc;
}

int keyring_recount(struct node *n, struct channel *c)
{
    struct keyring *ring = c->keys;
    int rc = OK;
    for (uint32_t i = 0; i < ring->epochs_len; i++)
        if (ring->epochs[i]->given) memset(ring->epochs[i]->given, 0, ring->epochs[i]->given_cap);
    for (uint32_t i = 0; i < ring->handings_len && rc == OK; i++)
        rc = count(n, c, &ring->handings[i]);
    return rc;
}

uint32_t keyring_number(const struct keyring *ring)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < ring->epochs_len; i++)
        if (ring->epochs[i]->open && ring->epochs[i]->number > number) number = ring->epochs[i]->number;
    return number;
}

/* --- ids and boxes --- */

/* The first half of H("weaprous.epoch.1" | channel | [number, roster, created_ms] | key). */
static void epoch_id(const struct crypto *crypto, const struct channel *c, const struct epoch *e,
                     const uint8_t key[KEY_BYTES], uint8_t out[EPOCH_ID_BYTES])
{
    uint8_t rest[ID_BYTES + 32 + KEY_BYTES], hash[HASH_BYTES];
    struct writer w = writer_of(rest, sizeof rest);
    writer_put(&w, slice_of(c->id, ID_BYTES));
    cbor_put_array(&w, 3);
    cbor_put_uint(&w, e->number);
    cbor_put_uint(&w, e->roster);
    cbor_put_uint(&w, e->created_ms);
    writer_put(&w, slice_of(key, KEY_BYTES));
    hash_joined(crypto, SLICE("weaprous.epoch.1"), writer_slice(&w), SLICE_EMPTY, hash);
    memcpy(out, hash, EPOCH_ID_BYTES);
    wipe(rest, sizeof rest);
}

int keyring_make(struct node *n, struct channel *c, struct epoch **out)
{
    PROBE(n, EPOCH_MADE);
    struct epoch fresh = {.created_ms = n->now / MILLISECONDS, .roster = c->roster->number};
    uint32_t number = keyring_number(c->keys);
    fresh.number = number == UINT32_MAX ? number : number + 1;
    if (fresh.number < c->roster->epoch_floor) fresh.number = c->roster->epoch_floor;
    random_bytes(&n->random, fresh.key, KEY_BYTES);
    epoch_id(n->crypto, c, &fresh, fresh.key, fresh.id);
    int rc = epoch_add(n, c->keys, fresh.id, out);
    if (rc == OK) {
        fresh.open = true;
        fresh.index = (*out)->index;
        fresh.maker = NONE;
        **out = fresh;
    }
    wipe(&fresh, sizeof fresh);
    return rc;
}

/* The ephemeral X25519 secret of a KEY entry: H("weaprous.ephemeral.1" | key | salt). */
static void ephemeral_of(const struct crypto *crypto, const uint8_t key[KEY_BYTES], const uint8_t *salt,
                         uint8_t out[KEY_BYTES])
{
    hash_joined(crypto, SLICE("weaprous.ephemeral.1"), slice_of(key, KEY_BYTES),
                slice_of(salt, EPOCH_SALT_BYTES), out);
}

/* The key of one box: H("weaprous.box.1" | shared | ephemeral public key | device). False when there is no
 * good secret between the two. */
static bool box_key(const struct crypto *crypto, const uint8_t secret[KEY_BYTES], const uint8_t *other,
                    const uint8_t *ephemeral, const uint8_t *device, uint8_t out[KEY_BYTES])
{
    uint8_t shared[KEY_BYTES], ends[KEY_BYTES + ID_BYTES];
    bool good = crypto->exchange(crypto->context, shared, secret, other);
    memcpy(ends, ephemeral, KEY_BYTES);
    memcpy(ends + KEY_BYTES, device, ID_BYTES);
    if (good)
        hash_joined(crypto, SLICE("weaprous.box.1"), slice_of(shared, KEY_BYTES), slice_of(ends, sizeof ends),
                    out);
    wipe(shared, sizeof shared);
    return good;
}

/* channel | epoch id */
static slice box_about(const struct channel *c, const uint8_t *id, uint8_t room[ID_BYTES + EPOCH_ID_BYTES])
{
    memcpy(room, c->id, ID_BYTES);
    memcpy(room + ID_BYTES, id, EPOCH_ID_BYTES);
    return slice_of(room, ID_BYTES + EPOCH_ID_BYTES);
}

/* The box for a device, made by who has the key. False when there can be none. */
static bool box_make(const struct node *n, const struct channel *c, const struct epoch *e,
                     const uint8_t secret[KEY_BYTES], const uint8_t *ephemeral, const uint8_t *device,
                     uint8_t out[EPOCH_BOX_BYTES])
{
    const struct crypto *crypto = n->crypto;
    uint8_t other[KEY_BYTES], key[KEY_BYTES], about[ID_BYTES + EPOCH_ID_BYTES];
    if (!crypto->box_public(crypto->context, other, device)) return false;
    if (!box_key(crypto, secret, other, ephemeral, device, key)) return false;
    crypto->seal(crypto->context, out, key, 0, box_about(c, e->id, about), slice_of(e->key, KEY_BYTES));
    wipe(key, sizeof key);
    return true;
}

/* The key in the box for this device, if it is the one that the entry promises. */
static bool box_open(const struct node *n, const struct channel *c, struct epoch *e, const uint8_t *ephemeral,
                     const uint8_t *box)
{
    const struct crypto *crypto = n->crypto;
    uint8_t key[KEY_BYTES], about[ID_BYTES + EPOCH_ID_BYTES], id[EPOCH_ID_BYTES], found[KEY_BYTES];
    if (!box_key(crypto, n->box_secret, ephemeral, ephemeral, n->device, key)) return false;
    bool good = crypto->open(crypto->context, found, key, 0, box_about(c, e->id, about),
                             slice_of(box, EPOCH_BOX_BYTES));
    if (good) {
        epoch_id(crypto, c, e, found, id);
        good = memcmp(id, e->id, EPOCH_ID_BYTES) == 0;
    }
    if (good) {
        memcpy(e->key, found, KEY_BYTES);
        e->open = true;
    }
    wipe(key, sizeof key);
    wipe(found, sizeof found);
    return good;
}

bool keyring_hears(const struct node *n, struct holder *h)
{
    uint8_t unused[KEY_BYTES];
    if (!h->deaf) h->deaf = !n->crypto->box_public(n->crypto->context, unused, h->device);
    return !h->deaf;
}

/* --- KEY entries: [id, number, roster, created_ms, salt, ephemeral, [device, box, ...], [certificate, ...]]
 * --- */

enum { KEY_BOXES_MAX = 512, KEY_CERTIFICATES_MAX = 64, KEY_HEAD_BYTES = 160 };

struct key_entry {
    struct epoch about; /* id, number, roster, created_ms */
    const uint8_t *salt, *ephemeral;
    struct cbor_reader boxes, certificates;
    uint64_t boxes_len, certificates_len;
};

static bool parse(slice body, struct key_entry *out)
{
    struct cbor_reader r = {body, false};
    struct key_entry k = {0};
    uint64_t count = cbor_array(&r, 16);
    const uint8_t *id = cbor_fixed(&r, EPOCH_ID_BYTES);
    k.about.number = (uint32_t)cbor_uint(&r, UINT32_MAX);
    k.about.roster = (uint32_t)cbor_uint(&r, UINT32_MAX);
    k.about.created_ms = cbor_uint(&r, UINT64_MAX / 1000);
    k.salt = cbor_fixed(&r, EPOCH_SALT_BYTES);
    k.ephemeral = cbor_fixed(&r, KEY_BYTES);
    uint64_t items = cbor_array(&r, 2 * KEY_BOXES_MAX);
    k.boxes = r;
    k.boxes_len = items / 2;
    for (uint64_t i = 0; i < k.boxes_len && !r.failed; i++) {
        (void)cbor_fixed(&r, ID_BYTES);
        (void)cbor_fixed(&r, EPOCH_BOX_BYTES);
    }
    k.certificates_len = cbor_array(&r, KEY_CERTIFICATES_MAX);
    k.certificates = r;
    for (uint64_t i = 0; i < k.certificates_len && !r.failed; i++)
        (void)cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
    if (r.failed || count < 8 || items % 2) return false;
    cbor_skip(&r, count - 8);
    if (!cbor_done(&r)) return false;
    memcpy(k.about.id, id, EPOCH_ID_BYTES);
    *out = k;
    return true;
}

/* Nobody fills the table so that others have no room for theirs. */
static bool made_too_many(const struct node *n, const struct channel *c, uint32_t author)
{
    slice account = member_account(c, author);
    uint32_t count = 0;
    if (author == c->self || slice_equal(account, n->account)) return false;
    for (uint32_t i = 0; i < c->keys->epochs_len; i++) {
        uint32_t maker = c->keys->epochs[i]->maker;
        count += maker != NONE && slice_equal(member_account(c, maker), account);
    }
    return count >= EPOCHS_ACCOUNT_MAX;
}

/* The epoch that the entry is about. Of one whose key is not here nothing is known for sure: what the entry
 * says is tried with its box. */
static int epoch_of(struct node *n, struct channel *c, const struct entry *entry, const struct key_entry *k,
                    struct epoch **out)
{
    uint32_t author = author_find(c, entry->author);
    int rc = OK;
    *out = keyring_epoch(c->keys, k->about.id);
    if (!*out) {
        if (author == NONE || made_too_many(n, c, author)) return ERR_FULL;
        rc = epoch_add(n, c->keys, k->about.id, out);
        if (rc == OK) (*out)->maker = author;
    }
    if (rc == OK && !(*out)->open) {
        (*out)->number = k->about.number;
        (*out)->roster = k->about.roster;
        (*out)->created_ms = k->about.created_ms;
    }
    return rc;
}

static bool open_own(const struct node *n, const struct channel *c, const struct key_entry *k,
                     struct epoch *e)
{
    struct cbor_reader r = k->boxes;
    for (uint64_t i = 0; i < k->boxes_len && !e->open; i++) {
        const uint8_t *device = cbor_fixed(&r, ID_BYTES), *box = cbor_fixed(&r, EPOCH_BOX_BYTES);
        if (memcmp(device, n->device, ID_BYTES) == 0 && box_open(n, c, e, k->ephemeral, box)) return true;
    }
    return false;
}

/* A device that is named in a box; NONE when there is no room for more who are nobody's. */
static int named(struct node *n, struct channel *c, const uint8_t *device, uint32_t *out)
{
    struct keyring *ring = c->keys;
    *out = NONE;
    if (map_get(&ring->by_device, device, out)) return OK;
    if (ring->unknown >= HOLDERS_UNKNOWN_MAX) return OK;
    int rc = keyring_holder(n, ring, device, out);
    if (rc == OK) {
        ring->holders[*out].unknown = true;
        ring->unknown++;
    }
    return rc == ERR_FULL ? OK : rc;
}

/* Notes whom the entry gives its epoch; check: only those whose box is good. */
static int note_given(struct node *n, struct channel *c, const struct key_entry *k, bool check,
                      struct handing *h)
{
    const struct epoch *e = c->keys->epochs[h->epoch];
    uint8_t secret[KEY_BYTES], expected[EPOCH_BOX_BYTES];
    struct cbor_reader r = k->boxes;
    uint32_t holder;
    int rc = OK;
    if (check) ephemeral_of(n->crypto, e->key, k->salt, secret);
    for (uint64_t i = 0; i < k->boxes_len && rc == OK; i++) {
        const uint8_t *device = cbor_fixed(&r, ID_BYTES), *box = cbor_fixed(&r, EPOCH_BOX_BYTES);
        rc = named(n, c, device, &holder);
        if (rc < 0 || holder == NONE) continue;
        if (check && (!box_make(n, c, e, secret, k->ephemeral, device, expected) ||
                      memcmp(expected, box, sizeof expected) != 0)) {
            PROBE(n, BOX_FALSE);
            continue;
        }
        rc = grow(n->allocator, (void **)&h->holders, &h->holders_cap, h->holders_len + 1, sizeof holder);
        if (rc == OK) h->holders[h->holders_len++] = holder;
    }
    if (check) wipe(secret, sizeof secret);
    return rc;
}

/* author and seq of a KEY entry; the ids of devices are keys, of which 28 bytes tell them apart. */
static void entry_key(const uint8_t *author, uint32_t seq, uint8_t out[MAP_KEY_BYTES])
{
    memcpy(out, author, ID_BYTES);
    for (int i = 0; i < 4; i++)
        out[ID_BYTES - 4 + i] = (uint8_t)(seq >> 8 * i);
}

struct handing *keyring_handing(const struct keyring *ring, const uint8_t *author, uint32_t seq)
{
    uint8_t key[MAP_KEY_BYTES];
    uint32_t index;
    entry_key(author, seq, key);
    return map_get(&ring->by_entry, key, &index) ? &ring->handings[index] : NULL;
}

static int handing_add(struct node *n, struct keyring *ring, const struct entry *entry,
                       const struct handing *h)
{
    uint8_t key[MAP_KEY_BYTES];
    int rc = grow(n->allocator, (void **)&ring->handings, &ring->handings_cap, ring->handings_len + 1,
                  sizeof *ring->handings);
    entry_key(entry->author, entry->seq, key);
    if (rc == OK) rc = map_set(&ring->by_entry, key, ring->handings_len);
    if (rc == OK) ring->handings[ring->handings_len++] = *h;
    return rc;
}

static int hand(struct node *n, struct channel *c, const struct entry *entry, const struct key_entry *k,
                const struct epoch *e)
{
    struct keyring *ring = c->keys;
    bool own = memcmp(entry->author, n->device, ID_BYTES) == 0;
    bool now = e->open && n->started && (own || recheck_at_once(n, c, k->boxes_len));
    struct handing h = {.seq = entry->seq, .epoch = e->index, .believed = !own && !now};
    memcpy(h.author, entry->author, ID_BYTES);
    int rc = note_given(n, c, k, !own && now, &h);
    if (rc == OK) rc = count(n, c, &h);
    if (rc == OK) rc = handing_add(n, ring, entry, &h);
    if (rc == OK)
        ring->believed += h.believed;
    else
        handing_free(n, &h);
    return rc == ERR_FULL ? OK : rc;
}

int keyring_learn(struct node *n, struct channel *c, const struct entry *entry, bool *out_opened)
{
    struct key_entry k;
    struct epoch *e;
    /* Entries come twice: when they are written here and when they are stored. */
    if (!parse(entry->body, &k) || keyring_handing(c->keys, entry->author, entry->seq))
        return OK; /* or it means nothing, to everybody */
    for (uint64_t i = 0; i < k.certificates_len; i++) {
        int rc = keyring_certified(n, c, cbor_bytes(&k.certificates, NODE_CERTIFICATE_BYTES_MAX));
        if (rc < 0) return rc;
    }
    int rc = epoch_of(n, c, entry, &k, &e);
    if (rc < 0) return rc == ERR_FULL ? OK : rc;
    bool own = memcmp(entry->author, n->device, ID_BYTES) == 0;
    bool opened = open_own(n, c, &k, e);
    if (opened) PROBE(n, KEYS_CAME);
    if (opened && !own) *out_opened = true;
    c->keys->review = true;
    rc = hand(n, c, entry, &k, e);
    if (e->open) recheck_soon(n, c);
    return rc;
}

int keyring_check(struct node *n, struct channel *c, struct handing *h, slice body, uint64_t *out_boxes)
{
    struct keyring *ring = c->keys;
    struct key_entry k;
    uint32_t before = h->holders_len;
    int rc = OK;
    *out_boxes = 0;
    if (parse(body, &k)) {
        h->holders_len = 0;
        *out_boxes = k.boxes_len;
        rc = note_given(n, c, &k, true, h);
    }
    if (rc < 0) return rc;
    h->believed = false;
    ring->believed--;
    ring->recount = ring->recount || h->holders_len < before;
    return OK;
}

void keyring_write(struct node *n, const struct channel *c, const struct epoch *e, const uint32_t *holders,
                   uint32_t holders_len, uint32_t *at, struct writer *w)
{
    const struct keyring *ring = c->keys;
    uint8_t salt[EPOCH_SALT_BYTES], secret[KEY_BYTES], ephemeral[KEY_BYTES], box[EPOCH_BOX_BYTES];
    uint32_t from = *at, to = from, certificates = 0;
    for (size_t room = KEY_HEAD_BYTES; to < holders_len && to - from < KEY_BOXES_MAX; to++) {
        const struct holder *h = &ring->holders[holders[to]];
        room += 2 + ID_BYTES + 2 + EPOCH_BOX_BYTES + (h->certificate ? 3 + (size_t)h->certificate_len : 0);
        if (room > NODE_BODY_BYTES_MAX || certificates == KEY_CERTIFICATES_MAX) break;
        certificates += h->certificate != NULL;
    }
    *at = to;
    random_bytes(&n->random, salt, sizeof salt);
    ephemeral_of(n->crypto, e->key, salt, secret);
    n->crypto->exchange_public(n->crypto->context, ephemeral, secret);
    cbor_put_array(w, 8);
    cbor_put_bytes(w, slice_of(e->id, EPOCH_ID_BYTES));
    cbor_put_uint(w, e->number);
    cbor_put_uint(w, e->roster);
    cbor_put_uint(w, e->created_ms);
    cbor_put_bytes(w, slice_of(salt, sizeof salt));
    cbor_put_bytes(w, slice_of(ephemeral, sizeof ephemeral));
    cbor_put_array(w, 2 * (uint64_t)(to - from));
    for (uint32_t i = from; i < to; i++) {
        const uint8_t *device = ring->holders[holders[i]].device;
        bool made = box_make(n, c, e, secret, ephemeral, device, box);
        if (!made) memset(box, 0, sizeof box); /* keyring_hears has ruled this out */
        cbor_put_bytes(w, slice_of(device, ID_BYTES));
        cbor_put_bytes(w, slice_of(box, sizeof box));
    }
    cbor_put_array(w, certificates);
    for (uint32_t i = from; i < to; i++) {
        const struct holder *h = &ring->holders[holders[i]];
        if (h->certificate) cbor_put_bytes(w, slice_of(h->certificate, h->certificate_len));
    }
    wipe(secret, sizeof secret);
}
