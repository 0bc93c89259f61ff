#include "account/throttle.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/buffer.h"

#define SLOTS 16384

static const struct rate address_rate = {1.0 / 3, 20};
static const struct rate name_rate = {1.0 / 5, 50};
/* Marks that fade: a pair is known for as long as its bucket is not full again, 30 days. */
static const struct rate known_rate = {1.0 / (30.0 * 86400), 1};
static const struct rate registration_rate = {1, 300};
static const struct rate code_rate = {1.0 / 120, 8};

int throttle_init(struct throttle *t, const struct allocator *allocator, const uint8_t secret[16])
{
    *t = (struct throttle){.addresses = {.slots = NULL}};
    int err = rates_init(&t->addresses, allocator, SLOTS, address_rate, secret);
    if (!err) err = rates_init(&t->names, allocator, SLOTS, name_rate, secret);
    if (!err) err = rates_init(&t->known, allocator, SLOTS, known_rate, secret);
    if (!err) err = rates_init(&t->registrations, allocator, SLOTS, registration_rate, secret);
    if (!err) err = rates_init(&t->codes, allocator, SLOTS, code_rate, secret);
    if (err) throttle_deinit(t);
    return err;
}

void throttle_deinit(struct throttle *t)
{
    struct rates *all[] = {&t->addresses, &t->names, &t->known, &t->registrations, &t->codes};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i]->slots) rates_deinit(all[i]);
    }
}

static uint64_t address_key(const struct rates *rates, slice address)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    slice zone = slice_sub(address, 0, slice_find(address, '%'));
    if (zone.len < sizeof text) {
        memcpy(text, zone.ptr, zone.len);
        text[zone.len] = '\0';
        static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        if (inet_pton(AF_INET, text, bytes) == 1) return rates_key(rates, slice_of(bytes, 4));
        if (inet_pton(AF_INET6, text, bytes) == 1)
            return memcmp(bytes, mapped, 12) == 0 ? rates_key(rates, slice_of(bytes + 12, 4))
                                                  : rates_key(rates, slice_of(bytes, 8));
    }
    return rates_key(rates, address);
}

static uint64_t pair_key(const struct rates *rates, slice address, slice key)
{
    uint8_t room[512];
    struct writer w = writer_of(room, sizeof room);
    uint64_t hash = address_key(rates, address);
    writer_put(&w, slice_of(&hash, sizeof hash));
    writer_put(&w, key);
    return rates_key(rates, writer_slice(&w));
}

uint64_t throttle_login(struct throttle *t, slice address, slice key, uint64_t now_ms)
{
    uint64_t by_address = address_key(&t->addresses, address), by_name = rates_key(&t->names, key);
    uint64_t wait = rates_wait_ms(&t->addresses, by_address, now_ms);
    if (wait) return wait;
    bool known = rates_wait_ms(&t->known, pair_key(&t->known, address, key), now_ms) > 0;
    if (!known) wait = rates_wait_ms(&t->names, by_name, now_ms);
    if (wait) return wait;
    rates_take(&t->addresses, by_address, 1, now_ms);
    rates_take(&t->names, by_name, 1, now_ms);
    return 0;
}

void throttle_login_void(struct throttle *t, slice address, slice key, uint64_t now_ms)
{
    rates_take(&t->addresses, address_key(&t->addresses, address), -1, now_ms);
    rates_take(&t->names, rates_key(&t->names, key), -1, now_ms);
}

void throttle_login_good(struct throttle *t, slice address, slice key, uint64_t now_ms)
{
    throttle_login_void(t, address, key, now_ms);
    uint64_t pair = pair_key(&t->known, address, key);
    if (!rates_wait_ms(&t->known, pair, now_ms)) rates_take(&t->known, pair, 1, now_ms);
}

uint64_t throttle_code(struct throttle *t, int64_t account, uint64_t now_ms)
{
    uint64_t key = rates_key(&t->codes, slice_of(&account, sizeof account));
    uint64_t wait = rates_wait_ms(&t->codes, key, now_ms);
    if (!wait) rates_take(&t->codes, key, 1, now_ms);
    return wait;
}

void throttle_code_void(struct throttle *t, int64_t account, uint64_t now_ms)
{
    rates_take(&t->codes, rates_key(&t->codes, slice_of(&account, sizeof account)), -1, now_ms);
}

uint64_t throttle_register(struct throttle *t, slice address, uint64_t now_ms)
{
    uint64_t key = address_key(&t->registrations, address);
    uint64_t wait = rates_wait_ms(&t->registrations, key, now_ms);
    if (!wait) rates_take(&t->registrations, key, 1, now_ms);
    return wait;
}
