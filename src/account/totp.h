/* totp.h - one-time codes by the clock (RFC 6238 over RFC 4226): six digits, steps of 30 s, HMAC-SHA-1, which
 * is what every authenticator app takes.
 *
 * Rules: pure, but for totp_new_secret, which takes randomness from the system. Times are milliseconds since
 * 1970. A code that was right must be used up by the caller: its step, and those before it, are over. */
#ifndef ACCOUNT_TOTP_H
#define ACCOUNT_TOTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum {
    TOTP_SECRET_BYTES = 20, /* RFC 4226, 4: 160 bits */
    TOTP_SECRET_TEXT = 33,  /* in base 32, with NUL */
    TOTP_DIGITS = 6,
    TOTP_STEP_MS = 30000,
    TOTP_DRIFT_STEPS = 1, /* the clock of a phone may be this much off, each way */
    TOTP_URI_BYTES = 640,
};

void totp_new_secret(uint8_t out[TOTP_SECRET_BYTES]);
/* The code of a step, as a number of `digits` digits (6 to 8). */
uint32_t totp_code(slice secret, uint64_t step, unsigned digits);
/* Whether it is the code of now, or of a step of TOTP_DRIFT_STEPS around; *out_step is the step. Spaces in
 * the code are skipped. Takes the same time for every code of six digits. */
bool totp_matches(slice secret, slice code, uint64_t now_ms, uint64_t *out_step);
/* RFC 4648, without padding; out has room for (8 * len + 4) / 5 characters and NUL. */
void base32_write(slice bytes, char *out);
/* otpauth://totp/ISSUER:NAME?secret=...&issuer=ISSUER, as apps read it from a QR code. ERR_TOO_LARGE. */
int totp_uri(slice issuer, slice name, slice secret, char out[TOTP_URI_BYTES]) BASE_CHECKED;

#endif
