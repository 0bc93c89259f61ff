/* checker.h - for tests: servers that answer as they are told, and somebody who checks them. */
#ifndef TESTS_PROXY_CHECKER_H
#define TESTS_PROXY_CHECKER_H

#include <stdatomic.h>

#include "../web/world.h"
#include "proxy/health.h"
#include "scene.h"

enum { INTERVAL_MS = 20, PATIENT_MS = 20000, IMPATIENT_MS = 150, WAIT_MS = 20000 };

/* A worker of an app, on which the checks go on; the scene has the configuration. */
extern struct checker {
    struct world world;
    struct scene scene;
    struct group *group; /* at work */
    struct health *health;
    pthread_mutex_t lock;
    char told[1024]; /* "up: why", "down: why", the last one; guarded */
    atomic_uint changes;
    int done; /* what was posted */
} c;

/* One server at 127.0.0.1; change c.scene.config before checker_run. */
void checker_init(uint16_t port);
/* Makes c.group, unless there is one. */
void checker_run(void);
/* Checks c.group from now on. */
void checker_set(void);
void checker_end(void);

void pause_ms(long ms);
/* Waits until what was told last is this. */
void told(const char *text);
void until(const atomic_uint *count, unsigned at_least);

enum { SILENT = -1 };

/* A server with /healthz, which is one that checks should ask. */
extern struct server {
    struct world world;
    atomic_int status; /* what it answers, or SILENT */
    atomic_uint asked, elsewhere, strange, open, open_max;
    char host[64]; /* that Host should be */
} s;

/* Returns the port. */
uint16_t server_new(int status, const struct wr_tls *tls);
/* Again after world_end(&s.world), on this port. */
uint16_t server_begin(uint16_t port, const struct wr_tls *tls);

#endif
