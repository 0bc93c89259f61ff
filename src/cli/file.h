/* file.h - a whole file that somebody named. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "base/buffer.h"

/* Reads at most max_mib MiB, of standard input for "-"; `out` becomes initialised, also on error. Any error
 * has been complained about: ERR_IO, ERR_TOO_LARGE, ERR_MEMORY. */
int file_read(const char *path, unsigned max_mib, struct buffer *out) BASE_CHECKED;

#endif
