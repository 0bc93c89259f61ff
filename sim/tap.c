/* The crypto table that the devices are given: the one of the options, but for what is to be seen here.
 * Messages on links are counted by kind, and every key that ever sealed a body or a box is remembered: none
 * may be in a message before it is sealed for its link, nor on a disk. The inner functions use no context. */
#include "sim.h"

#include <stdlib.h>

#include "base/cbor.h"
#include "core/message.h"

enum { WINDOW = 8, BLOOM_WORDS = 1024 };

static uint32_t bloom_bit(uint64_t word)
{
    return (uint32_t)(word * 0x9fb21c651e98df25u >> 48); /* of 64 Ki */
}

/* The words at its first eight places: wherever a key stands, one of them is at a place that is divided by
 * eight, and only those are looked at. */
static void remember(struct sim *sim, const uint8_t key[KEY_BYTES])
{
    struct tap *tap = &sim->tap;
    if (!tap->bloom) tap->bloom = must_alloc(BLOOM_WORDS * sizeof *tap->bloom);
    if (table_get(&tap->keys, word_of(key)) != UINT32_MAX) return;
    for (size_t i = 0; i < WINDOW; i++) {
        uint64_t word = word_of(key + i);
        uint32_t bit = bloom_bit(word);
        tap->bloom[bit / 64] |= UINT64_C(1) << bit % 64;
        table_put(&tap->keys, word, 1);
    }
}

bool tap_has_key(const struct sim *sim, slice bytes)
{
    const struct tap *tap = &sim->tap;
    for (size_t at = 0; tap->bloom && at + WINDOW <= bytes.len; at += WINDOW) {
        uint64_t word = word_of(bytes.ptr + at);
        uint32_t bit = bloom_bit(word);
        if ((tap->bloom[bit / 64] >> bit % 64 & 1) && table_get(&tap->keys, word) != UINT32_MAX) return true;
    }
    return false;
}

static bool tap_open(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                     slice associated, slice sealed)
{
    struct sim *sim = context;
    bool good = sim->tap.inner->open(sim->tap.inner->context, out, key, counter, associated, sealed);
    if (!good || associated.len > 0) return good; /* of a handshake */
    struct cbor_reader r = {slice_of(out, sealed.len - TAG_BYTES), false};
    uint64_t count = cbor_array(&r, 1000), kind = cbor_uint(&r, UINT64_MAX);
    if (r.failed || count == 0) return true;
    if (kind == MESSAGE_ENTRY && !sim->calm && sim->reader != UINT32_MAX &&
        sim->devices[sim->reader].kind == DEVICE_PERSON) {
        sim->report.copies++;
        sim->report.copy_bytes += sealed.len;
    }
    sim->report.messages[kind < SIM_KINDS ? kind : SIM_KINDS - 1]++;
    return true;
}

static void tap_seal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                     slice associated, slice plain)
{
    struct sim *sim = context;
    /* A box for one device is sealed with what it is about, as is a handshake; messages of links are not. */
    if (associated.len == 0 && tap_has_key(sim, plain))
        sim_fail(sim, "a key of a sealed channel is in a message of a link");
    sim->tap.inner->seal(sim->tap.inner->context, out, key, counter, associated, plain);
}

static void tap_xseal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                      const uint8_t nonce[NONCE_BYTES], slice associated, slice plain)
{
    struct sim *sim = context;
    remember(sim, key);
    sim->tap.inner->xseal(sim->tap.inner->context, out, key, nonce, associated, plain);
}

void tap_init(struct sim *sim, const struct crypto *inner)
{
    sim->tap.inner = inner;
    sim->tap.table = *inner;
    sim->tap.table.context = sim;
    sim->tap.table.open = tap_open;
    sim->tap.table.seal = tap_seal;
    sim->tap.table.xseal = tap_xseal;
}

void tap_free(struct sim *sim)
{
    free(sim->tap.bloom);
    table_free(&sim->tap.keys);
}
