/* throttle.h - who may try a password now.
 *
 * Two buckets stand before a password check, both in tokens of one attempt, given back when it succeeds:
 *   by address: 20 at once, then one in 3 s. IPv6 counts by /64, which is what one customer has.
 *   by name:    50 at once, then one in 5 s: only many addresses together can use it up, and what they reach
 *               is 17,000 guesses a day. An address that has logged in under this name before (since the
 *               start of the program) is not held up by it, so nobody is locked out of their own account at
 *               home, and anybody else for seconds.
 * A refused attempt takes nothing: 10,000 of them cost 10,000 look-ups, and no password is checked.
 * Registration has a bucket by address: 300 at once, then one a second.
 * Codes of the second step have one by account: 8 wrong ones at once, then one in 2 minutes, which is 720
 * guesses a day at three codes in a million; only who knows the password gets there.
 *
 * Rules: as rates.h. */
#ifndef ACCOUNT_THROTTLE_H
#define ACCOUNT_THROTTLE_H

#include "base/rates.h"

struct throttle {
    struct rates addresses, names, known, registrations, codes;
};

int throttle_init(struct throttle *throttle, const struct allocator *allocator,
                  const uint8_t secret[16]) BASE_CHECKED;
void throttle_deinit(struct throttle *throttle);

/* 0: go on, the attempt is counted. Else milliseconds to wait; nothing is counted. `address` is the text of
 * an IP address, `key` the folded name. */
uint64_t throttle_login(struct throttle *throttle, slice address, slice key, uint64_t now_ms);
/* The attempt was a good one. */
void throttle_login_good(struct throttle *throttle, slice address, slice key, uint64_t now_ms);
/* The attempt ended without a verdict (the server was busy): it does not count. */
void throttle_login_void(struct throttle *throttle, slice address, slice key, uint64_t now_ms);
/* As throttle_login, for a code of the second step. */
uint64_t throttle_code(struct throttle *throttle, int64_t account, uint64_t now_ms);
/* It was right, or got no verdict: it does not count. */
void throttle_code_void(struct throttle *throttle, int64_t account, uint64_t now_ms);
uint64_t throttle_register(struct throttle *throttle, slice address, uint64_t now_ms);

#endif
