/* seeded.h - accounts that a measurement puts into the database by itself, since Argon2id would take minutes
 * for thousands: who number `i` (from 1) is follows from the number alone, so every program knows it.
 * bench-presence writes them (`seed`). */
#ifndef BENCH_SEEDED_H
#define BENCH_SEEDED_H

#include "core/node.h"

enum { SEEDED_NAME_BYTES = 16, SEEDED_COOKIE_BYTES = 80 };

void seeded_name(size_t i, char out[SEEDED_NAME_BYTES]);
void seeded_token(size_t i, uint8_t out[32]); /* of its session */
void seeded_cookie(size_t i, char out[SEEDED_COOKIE_BYTES]);
void seeded_key(size_t i, uint8_t out[KEY_BYTES]); /* the seed of its device */

#endif
