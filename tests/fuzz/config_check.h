/* config_check.h - what must hold for any bytes that are read as a configuration of the proxy; for the fuzz
 * target and the unit tests. */
#ifndef FUZZ_CONFIG_CHECK_H
#define FUZZ_CONFIG_CHECK_H

#include "proxy/config.h"

/* Aborts, with the place, when something does not hold: problems in order, with places that are in the file
 * and texts that can be shown; the structure as config.h says; what is dumped reads as the same, and dumps as
 * the same; hosts and paths are found as by looking at each. True when it was a configuration, with the
 * number of warnings. host: what $HOST means. */
bool config_check(slice text, const char *host, size_t *out_warnings);
/* True when both mean the same. */
bool config_same(const struct config *a, const struct config *b);

#endif
