/* sham.h - a crypto table without cryptography, for large worlds: about as fast as memcpy, collision-free in
 * practice, the same on every target. Anybody could forge with it; nobody in a simulation does. */
#ifndef SIM_SHAM_H
#define SIM_SHAM_H

#include "core/crypto.h"

extern const struct crypto crypto_sham;

#endif
