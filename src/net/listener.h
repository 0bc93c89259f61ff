/* listener.h - accepts TCP connections.
 *
 * When the system has no descriptor or memory for another connection, it stops accepting, says so once, and
 * tries again every LISTENER_RETRY_MS: connections wait in the kernel's queue meanwhile, and nothing spins.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <netinet/in.h>

#include "base/err.h"
#include "net/loop.h"

struct listener;
struct tls_server;

enum {
    LISTENER_RETRY_MS = 200,
    LISTENER_TURN_MAX = 128, /* accepted in a turn of the loop; then what came before has its turn */
};

/* A connection is ready: call stream_accept for it, or return false to leave it (and all that follow) until
 * listener_resume. */
typedef bool (*listener_ready)(struct listener *listener);

struct listener {
    uv_poll_t poll;
    uv_timer_t retry;
    listener_ready ready;
    void *owner;
    struct tls_server *secure; /* what is accepted speaks TLS; NULL: not. Borrowed until `closed` */
    int fd;
    int accepted;             /* the connection that is ready, or -1 */
    struct sockaddr_in6 peer; /* its address; of IPv4 it is a sockaddr_in */
    uint16_t port;
    bool deferred; /* what is accepted has bytes already */
    bool held;     /* `ready` did not want it */
    bool retiring; /* closes when nothing waits any more */
    bool troubled; /* `trouble` was told */
    int handles;   /* that are not closed */
    /* Connections cannot be accepted for now (an error of libuv's), or can be again (0). */
    void (*trouble)(struct listener *listener, int uv_error);
    void (*closed)(struct listener *listener);
};

struct listener_options {
    const char *ip;
    uint16_t port; /* 0: the system chooses */
    int backlog;
    /* The kernel keeps a connection back until its first bytes are there (TCP_DEFER_ACCEPT), for protocols
     * where the client speaks first. 0: off. */
    int defer_s;
    bool shared; /* several listeners have this address, the kernel spreads connections over them
                    (SO_REUSEPORT) */
    bool joins;  /* not the first of them: the address may be in use */
};

/* Fill in ready, owner, secure, trouble, closed before. 0 or a libuv error: then nothing was begun, and
 * `closed` does not come. "::" also takes IPv4. */
int listener_open(struct listener *listener, struct net_loop *loop,
                  const struct listener_options *options) BASE_CHECKED;
/* The two halves of it. A listening descriptor (or a libuv error), on any thread; and accepting, on the
 * loop's: then the descriptor is the listener's, unless it fails. */
int listener_socket(const struct listener_options *options) BASE_CHECKED;
int listener_begin(struct listener *listener, struct net_loop *loop, int fd, bool deferred) BASE_CHECKED;
/* An IP address and port for bind(2); a libuv error when it is none. What is not used is zero. */
int listener_address(const char *ip, uint16_t port, struct sockaddr_storage *out,
                     socklen_t *out_len) BASE_CHECKED;
/* Of a descriptor that is bound; 0 when it is not. */
uint16_t listener_bound_port(int fd);

void listener_resume(struct listener *listener);
/* Accepts what waits in the kernel's queue, then closes. */
void listener_retire(struct listener *listener);
/* What is ready is dropped. */
void listener_close(struct listener *listener);

/* For stream_accept: the descriptor of the connection that is ready is the caller's. */
int listener_take(struct listener *listener);

#endif
