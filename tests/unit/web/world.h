/* world.h - an app that serves on a thread of its own, and clients made of blocking sockets. */
#ifndef TESTS_WEB_WORLD_H
#define TESTS_WEB_WORLD_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weaprous/weaprous.h"

enum { READ_MAX = 256 * 1024 };

struct world {
    struct wr_app *app;
    pthread_t thread;
    char logged[512]; /* the last line of the log */
};

/* Makes the app; add routes, then world_run. Short timeouts are the test's business. */
void world_init(struct world *w, struct wr_config *config);
void world_run(struct world *w);
/* Stops, joins, frees. */
void world_end(struct world *w);

int client_connect(const struct world *w);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *bytes, size_t len);
/* Reads until the server closes or `ms` are over; a NUL-terminated text in static memory. *out_ms, when not
 * NULL, says how long it took; *out_closed whether it closed. */
const char *client_read(int fd, int ms, int *out_ms, bool *out_closed);
/* Exactly len bytes. */
void client_read_exact(int fd, void *out, size_t len);
/* One request on a connection of its own ("GET / HTTP/1.1\r\n" and further fields; Host and Connection: close
 * are added), the whole answer. */
const char *ask(const struct world *w, const char *head);

void assert_starts(const char *text, const char *start);
void assert_has(const char *text, const char *part);
void assert_has_not(const char *text, const char *part);
/* Waits until *count, which another thread changes, is `value`. */
void wait_for(const int *count, int value);

/* The whole file, in static memory; empty when there is none. */
const char *file_text(const char *name);

#endif
