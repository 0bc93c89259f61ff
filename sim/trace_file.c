#include "trace_file.h"

#include <stdlib.h>

static _Noreturn void give_up(const char *path)
{
    perror(path);
    exit(1);
}

void trace_file_put(struct trace_file *trace, uint32_t life, slice piece)
{
    char path[4096];
    if (!trace->file || life != trace->life) {
        trace_file_end(trace);
        snprintf(path, sizeof path, life > 1 ? "%s.%u" : "%s", trace->path, life);
        trace->file = fopen(path, "wb");
        trace->life = life;
        if (!trace->file) give_up(path);
    }
    if (fwrite(piece.ptr, 1, piece.len, trace->file) != piece.len) give_up(trace->path);
}

void trace_file_end(struct trace_file *trace)
{
    if (trace->file && fclose(trace->file)) give_up(trace->path);
    trace->file = NULL;
}

bool trace_file_replay(const char *path, const struct crypto *crypto)
{
    static uint8_t piece[65536];
    struct replay_options options = {.allocator = &allocator_libc, .crypto = crypto};
    struct replay_report report;
    struct replay *replay;
    FILE *file = fopen(path, "rb");
    size_t got;
    int rc = OK;
    if (!file) give_up(path);
    if (replay_new(&options, &replay) < 0) abort();
    while (rc == OK && (got = fread(piece, 1, sizeof piece, file)) > 0)
        rc = replay_feed(replay, slice_of(piece, got));
    fclose(file);
    replay_end(replay, &report);
    printf("%s: %llu calls, %llu actions, %llu bytes out: %s\n", path, (unsigned long long)report.calls,
           (unsigned long long)report.actions, (unsigned long long)report.bytes_out,
           rc == OK ? "the same" : report.text);
    if (report.differs) printf("%s differs at call %llu\n", path, (unsigned long long)report.differs);
    return rc == OK && report.calls > 0;
}
