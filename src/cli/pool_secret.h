/* pool_secret.h - what a native peer shows when it offers itself to the pool (tracker/pool.h): the text in
 * the file pool-secret of the data folder, which its owner alone can read. Made at the first start; an
 * operator may put another one there. */
#ifndef CLI_POOL_SECRET_H
#define CLI_POOL_SECRET_H

#include "base/err.h"

enum { POOL_SECRET_BYTES_MIN = 16, POOL_SECRET_BYTES_MAX = 256 };

/* Several processes may do this at once. Any error has been complained about. */
int pool_secret_open(const char *folder, char out[POOL_SECRET_BYTES_MAX + 1]) BASE_CHECKED;

#endif
