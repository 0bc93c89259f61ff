#include "http/ip.h"

#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

/* Four numbers up to 255 without leading zeros, which some readers take for octal. */
static bool read_v4(slice text, uint8_t out[4])
{
    slice octet;
    uint64_t number;
    size_t count = 0;
    for (; slice_split(&text, '.', &octet); count++) {
        if (count == 4 || (octet.len > 1 && octet.ptr[0] == '0') || !slice_to_u64(octet, 255, &number))
            return false;
        out[count] = (uint8_t)number;
    }
    return count == 4;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One to four digits. */
static bool read_group(slice text, uint8_t out[2])
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 4) return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.ptr[i]);
        if (digit < 0) return false;
        value = value << 4 | (unsigned)digit;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return true;
}

/* Eight groups, a run of which may be "::", the last two perhaps an IPv4 address. */
static bool read_v6(slice text, uint8_t out[IP_BYTES])
{
    enum { NO_GAP = IP_BYTES + 1 };
    uint8_t bytes[IP_BYTES];
    size_t n = 0, gap = NO_GAP;
    if (slice_starts(text, SLICE("::"))) {
        gap = 0;
        text = slice_sub(text, 2, text.len);
    }
    while (text.len > 0) {
        size_t len = slice_find(text, ':');
        if (len == text.len && slice_find(text, '.') < len) {
            if (n > IP_BYTES - 4 || !read_v4(text, bytes + n)) return false;
            n += 4;
            break;
        }
        if (n == IP_BYTES || !read_group(slice_sub(text, 0, len), bytes + n)) return false;
        n += 2;
        if (len == text.len) break;
        text = slice_sub(text, len + 1, text.len);
        if (text.len == 0) return false; /* a single colon at the end */
        if (text.ptr[0] != ':') continue;
        if (gap != NO_GAP) return false;
        gap = n;
        text = slice_sub(text, 1, text.len);
    }
    if (gap == NO_GAP ? n != IP_BYTES : n > IP_BYTES - 2) return false;
    if (gap == NO_GAP) gap = n;
    memset(out, 0, IP_BYTES);
    memcpy(out, bytes, gap);
    memcpy(out + IP_BYTES - (n - gap), bytes + gap, n - gap);
    return true;
}

int ip_parse(slice text, uint8_t out[IP_BYTES])
{
    uint8_t v4[4];
    if (slice_find(text, ':') < text.len) return read_v6(text, out) ? OK : ERR_MALFORMED;
    if (!read_v4(text, v4)) return ERR_MALFORMED;
    memcpy(out, v4_prefix, sizeof v4_prefix);
    memcpy(out + sizeof v4_prefix, v4, sizeof v4);
    return OK;
}

bool ip_is_v4(const uint8_t address[IP_BYTES])
{
    return memcmp(address, v4_prefix, sizeof v4_prefix) == 0;
}

/* The bits of byte i that a prefix of so many bits covers. */
static uint8_t mask_of(unsigned bits, unsigned i)
{
    unsigned covered = bits > 8 * i ? bits - 8 * i : 0;
    return covered >= 8 ? 0xFF : (uint8_t)(0xFF00 >> covered);
}

int ip_network_parse(slice text, struct ip_network *out)
{
    struct ip_network network = {.bits = 8 * IP_BYTES};
    size_t slash = slice_find(text, '/');
    slice address = slice_sub(text, 0, slash), bits = slice_sub(text, slash + 1, text.len);
    if (ip_parse(address, network.address) < 0) return ERR_MALFORMED;
    if (slash < text.len) {
        unsigned max = slice_find(address, ':') < address.len ? 128 : 32;
        uint64_t number;
        if ((bits.len > 1 && bits.ptr[0] == '0') || !slice_to_u64(bits, max, &number)) return ERR_MALFORMED;
        network.bits = (uint8_t)(128 - max + number);
    }
    for (unsigned i = 0; i < IP_BYTES; i++) {
        if (network.address[i] & ~mask_of(network.bits, i)) return ERR_MALFORMED;
    }
    *out = network;
    return OK;
}

bool ip_network_has(const struct ip_network *network, const uint8_t address[IP_BYTES])
{
    for (unsigned i = 0; i < IP_BYTES && 8 * i < network->bits; i++) {
        if ((address[i] & mask_of(network->bits, i)) != network->address[i]) return false;
    }
    return true;
}

bool ip_networks_have(const struct ip_network *networks, size_t count, const uint8_t address[IP_BYTES])
{
    for (size_t i = 0; i < count; i++) {
        if (ip_network_has(&networks[i], address)) return true;
    }
    return false;
}
