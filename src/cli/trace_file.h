/* trace_file.h - a trace (core/trace.h) on its way into a file, by a thread of its own, so that a slow disk
 * holds nobody up before FILE_HELD_MAX bytes wait. Then it is waited for, at most some seconds; after that,
 * or when the disk says no, the trace ends there, with one complaint, and the program goes on.
 *
 * The file holds the secrets of the node. It is made anew, for its owner only (mode 0600). */
#ifndef CLI_TRACE_FILE_H
#define CLI_TRACE_FILE_H

#include "base/err.h"
#include "base/slice.h"

struct trace_file;

/* ERR_EXISTS (no file is overwritten), ERR_IO, ERR_MEMORY; any error has been complained about. */
int trace_file_open(const char *path, struct trace_file **out_file) BASE_CHECKED;
/* For node_config.trace; context: the trace_file. From one thread. */
void trace_file_write(void *context, slice piece);
/* Waits for the disk. NULL is allowed. */
void trace_file_close(struct trace_file *file);

#endif
