/* config_kit.h - configurations in tests: read from a text, with what the reader says about it. */
#ifndef TESTS_CONFIG_KIT_H
#define TESTS_CONFIG_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/config.h"

#define KIT_HOST "192.168.56.103" /* what $HOST means */

/* Reads it; fails when there is anything to say about it. To be freed with config_free. */
struct config *kit_config(const char *text);
/* The same, of bytes with this many warnings. */
struct config *kit_config_with(slice text, size_t warnings);
/* All that is said about a text, a line for each problem: "3:15: error: ..."; belongs to the kit. */
const char *kit_problems(slice text);
/* The dump of a configuration; belongs to the kit. */
const char *kit_dump(const struct config *config);
/* A file of the repository; *out_text is to be freed. */
slice kit_file(const char *path, char **out_text);

#endif
