#include "account/totp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

void totp_new_secret(uint8_t out[TOTP_SECRET_BYTES])
{
    randombytes_buf(out, TOTP_SECRET_BYTES);
}

uint32_t totp_code(slice secret, uint64_t step, unsigned digits)
{
    uint8_t counter[8], mac[EVP_MAX_MD_SIZE] = {0};
    unsigned len = 0;
    for (int i = 0; i < 8; i++)
        counter[i] = (uint8_t)(step >> (56 - 8 * i));
    HMAC(EVP_sha1(), secret.ptr, (int)secret.len, counter, sizeof counter, mac, &len);
    /* Dynamic truncation, RFC 4226, 5.3. */
    const uint8_t *p = mac + (mac[19] & 15);
    uint32_t number = ((uint32_t)p[0] & 127) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    uint32_t limit = 1;
    for (unsigned i = 0; i < digits; i++)
        limit *= 10;
    return number % limit;
}

static bool read_digits(slice code, uint32_t *out)
{
    unsigned digits = 0;
    *out = 0;
    for (size_t i = 0; i < code.len; i++) {
        if (code.ptr[i] == ' ') continue;
        if (code.ptr[i] < '0' || code.ptr[i] > '9' || ++digits > TOTP_DIGITS) return false;
        *out = *out * 10 + (uint32_t)(code.ptr[i] - '0');
    }
    return digits == TOTP_DIGITS;
}

bool totp_matches(slice secret, slice code, uint64_t now_ms, uint64_t *out_step)
{
    uint32_t given;
    bool found = false;
    uint64_t now = now_ms / TOTP_STEP_MS;
    if (!read_digits(code, &given)) return false;
    for (uint64_t step = now - TOTP_DRIFT_STEPS; step != now + TOTP_DRIFT_STEPS + 1; step++) {
        uint32_t right = totp_code(secret, step, TOTP_DIGITS);
        bool same = sodium_memcmp(&given, &right, sizeof given) == 0;
        if (same) *out_step = step; /* the latest one, if two have the same code */
        found |= same;
    }
    return found;
}

void base32_write(slice bytes, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.ptr[i];
        count += 8;
        for (; count >= 5; count -= 5)
            *out++ = letters[bits >> (count - 5) & 31];
    }
    if (count) *out++ = letters[bits << (5 - count) & 31];
    *out = '\0';
}

static void put_encoded(struct writer *w, slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_';
        uint8_t escaped[3] = {'%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
        writer_put(w, plain ? slice_of(&text.ptr[i], 1) : slice_of(escaped, 3));
    }
}

int totp_uri(slice issuer, slice name, slice secret, char out[TOTP_URI_BYTES])
{
    char text[TOTP_SECRET_TEXT];
    if (secret.len > TOTP_SECRET_BYTES) return ERR_TOO_LARGE;
    struct writer w = writer_of((uint8_t *)out, TOTP_URI_BYTES - 1);
    base32_write(secret, text);
    writer_put(&w, SLICE("otpauth://totp/"));
    put_encoded(&w, issuer);
    writer_put(&w, SLICE(":"));
    put_encoded(&w, name);
    writer_put(&w, SLICE("?secret="));
    writer_put(&w, slice_text(text));
    writer_put(&w, SLICE("&issuer="));
    put_encoded(&w, issuer);
    sodium_memzero(text, sizeof text);
    if (w.failed) return ERR_TOO_LARGE;
    out[w.len] = '\0';
    return OK;
}
