/* trace_file.h - traces of simulated devices as files, for main.c. */
#ifndef SIM_TRACE_FILE_H
#define SIM_TRACE_FILE_H

#include <stdio.h>

#include "core/trace.h"

/* One file for each life: PATH, PATH.2, PATH.3 ... */
struct trace_file {
    const char *path;
    FILE *file;
    uint32_t life;
};

/* For sim_options.trace. Ends the program when a file cannot be written. */
void trace_file_put(struct trace_file *trace, uint32_t life, slice piece);
void trace_file_end(struct trace_file *trace);
/* Replays a file; says in a line how it went. False when it differs. */
bool trace_file_replay(const char *path, const struct crypto *crypto);

#endif
