/* kit.h - for the tests of this folder: certificates, and two ends of TLS or of a connection. */
#ifndef TESTS_NET_KIT_H
#define TESTS_NET_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/listener.h"
#include "net/stream.h"
#include "net/tls.h"

#define KIT_PLAIN_ANSWER "HTTP/1.1 400 Bad Request\r\n\r\n"

/* A folder for this test program; removed by kit_clean. */
const char *kit_folder(void);
void kit_clean(void);
/* "FOLDER/name" in one of a few static buffers. */
const char *kit_path(const char *name);
/* Makes FOLDER/name.pem and FOLDER/name.key: self-signed. kind: "ec", "rsa", "ed25519"; names as in
 * subjectAltName: "DNS:a.test,IP:127.0.0.1". */
void kit_certificate(const char *name, const char *kind, const char *names);
/* Makes its last day yesterday (which the openssl command does not do). */
void kit_expire(const char *name);
/* A server with the certificates FOLDER/NAME.pem of the names given, up to NULL; ready for connections. */
struct tls_server *kit_server(const char *first, ...);
/* A client that trusts FOLDER/trusted.pem; NULL: whom the system trusts. */
struct tls_client *kit_client(const char *trusted);

/* The byte at place i of what tests send. */
static inline uint8_t kit_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) + (i >> 16) * 7);
}

/* --- a loop with a server and its clients --- */

struct end {
    struct stream stream;
    struct world *world;
    size_t received, sent; /* bytes of the pattern; what went elsewhere by a splice counts as received */
    size_t spliced;
    bool keep; /* received bytes go to `text` too */
    char text[512];
    size_t text_len;
    int opened, ended, failed, closed;
    int error;
    char failure[128];
    size_t pause_at; /* reading stops when this much has come; 0: never */
};

struct world {
    struct net_loop loop;
    struct listener listener;
    struct end server, client; /* the ends of the connection of most tests */
    struct end *accept_into;
    int troubles, recoveries;
    int accepted;
    bool listener_closed, late;
    uv_timer_t guard;
    uint64_t guarded_ms;
};

/* Listens on 127.0.0.1. */
void world_open(struct world *w, struct tls_server *secure);
/* The kernel keeps connections back until their first bytes. */
void world_open_deferred(struct world *w, struct tls_server *secure, int defer_s);
void world_close(struct world *w);
/* client connects to server, both are open. `as`: the name the client asks for. */
void world_connect(struct world *w, struct tls_client *secure, const char *as);
/* Runs the loop until the expression is true; fails after a long time. */
#define WORLD_UNTIL(w, expression)                                                                           \
    do {                                                                                                     \
        world_guard(w);                                                                                      \
        while (!(expression))                                                                                \
            assert_true(world_turn(w));                                                                      \
    } while (0)
void world_guard(struct world *w);
bool world_turn(struct world *w);

/* Puts n bytes of the pattern; every byte that an end receives is compared with the pattern. */
void end_put(struct end *e, size_t n);
extern const struct stream_events end_events;

#endif
