#include "account/ticket.h"

#include <sodium.h>

#include "base/hex.h"

static void hash(slice bytes, uint8_t out[TICKET_HASH_BYTES])
{
    crypto_generichash(out, TICKET_HASH_BYTES, bytes.ptr, bytes.len, NULL, 0);
}

void ticket_new(char out_text[TICKET_TEXT], uint8_t out_hash[TICKET_HASH_BYTES])
{
    uint8_t bytes[TICKET_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    hex_encode(slice_of(bytes, sizeof bytes), out_text);
    hash(slice_of(bytes, sizeof bytes), out_hash);
    sodium_memzero(bytes, sizeof bytes);
}

bool ticket_hash(slice text, uint8_t out_hash[TICKET_HASH_BYTES])
{
    uint8_t bytes[TICKET_BYTES];
    if (hex_decode(text, bytes, sizeof bytes)) return false;
    hash(slice_of(bytes, sizeof bytes), out_hash);
    return true;
}

/* Those that cannot be confused. */
static const char letters[] = "23456789abcdefghjkmnpqrstvwxyz";
enum { LETTERS = sizeof letters - 1 };

void code_new(char out_text[CODE_TEXT], uint8_t out_hash[TICKET_HASH_BYTES])
{
    char plain[CODE_LETTERS];
    char *p = out_text;
    for (int i = 0; i < CODE_LETTERS; i++) {
        plain[i] = letters[randombytes_uniform(LETTERS)];
        if (i && i % 4 == 0) *p++ = '-';
        *p++ = plain[i];
    }
    *p = '\0';
    hash(slice_of(plain, sizeof plain), out_hash);
    sodium_memzero(plain, sizeof plain);
}

static bool is_letter(char c)
{
    for (int i = 0; i < LETTERS; i++) {
        if (letters[i] == c) return true;
    }
    return false;
}

bool code_hash(slice text, uint8_t out_hash[TICKET_HASH_BYTES])
{
    char plain[CODE_LETTERS];
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c == ' ' || c == '-') continue;
        if (len == CODE_LETTERS || !is_letter(c)) return false;
        plain[len++] = c;
    }
    if (len != CODE_LETTERS) return false;
    hash(slice_of(plain, sizeof plain), out_hash);
    return true;
}
