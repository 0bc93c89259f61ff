/* listener.h - accepts TCP connections. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/err.h"
#include "net/loop.h"

struct listener;
struct tls_server;

/* A connection is ready: call stream_accept for it, or return false to leave it (and all that follow) in the
 * kernel's queue until listener_resume. */
typedef bool (*listener_ready)(struct listener *listener);

struct listener {
    uv_tcp_t tcp;
    listener_ready ready;
    void *owner;
    struct tls_server *secure; /* what is accepted speaks TLS; NULL: not. Borrowed until `closed` */
    uint16_t port;
    bool held; /* a connection waits that `ready` did not want */
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

/* Fill in ready, owner, secure, trouble, closed before. 0 or a libuv error; when it fails after the handle
 * was made, `closed` still comes: *out_made says so. */
int listener_open(struct listener *listener, struct net_loop *loop, const struct listener_options *options,
                  bool *out_made) BASE_CHECKED;
void listener_resume(struct listener *listener);
void listener_close(struct listener *listener);

#endif
