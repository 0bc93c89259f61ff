/* vectors.h - reading the vectors of this folder in a test. Everything stays until vectors_close; a missing
 * file or member ends the test. */
#ifndef GOLDEN_VECTORS_H
#define GOLDEN_VECTORS_H

#include <jansson.h>

#include "base/slice.h"

/* `name` of the vectors folder, for instance "cbor.json". */
json_t *vectors_open(const char *name);
/* A cmocka teardown: drops the documents and every slice that was given out. */
int vectors_close(void **state);
/* A test that reads vectors; <cmocka.h> must be included. */
#define GOLDEN(test) cmocka_unit_test_teardown(test, vectors_close)

json_t *vector_get(const json_t *object, const char *key);
const char *vector_text(const json_t *object, const char *key);
uint64_t vector_number(const json_t *object, const char *key);
/* The bytes of a hexadecimal member. */
slice vector_bytes(const json_t *object, const char *key);

#endif
