#include "seeded.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

static void derive(const char *what, size_t i, uint8_t out[32])
{
    char text[64];
    int len = snprintf(text, sizeof text, "%s %zu", what, i);
    crypto_generichash(out, 32, (const uint8_t *)text, (unsigned long long)len, NULL, 0);
}

void seeded_name(size_t i, char out[SEEDED_NAME_BYTES])
{
    snprintf(out, SEEDED_NAME_BYTES, "d%zu", i);
}

void seeded_token(size_t i, uint8_t out[32])
{
    derive("session", i, out);
}

void seeded_cookie(size_t i, char out[SEEDED_COOKIE_BYTES])
{
    uint8_t token[32];
    seeded_token(i, token);
    memcpy(out, "session=", 8);
    hex_encode(slice_of(token, sizeof token), out + 8);
}

void seeded_key(size_t i, uint8_t out[KEY_BYTES])
{
    derive("device", i, out);
}
