/* listen.h - where an app listens, and how many connections it takes.
 *
 * An app listens at places; at each place each worker has a socket of its own, and the kernel spreads
 * connections over them. */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include <sys/socket.h>

#include "net/listener.h"
#include "web/app.h"

struct connection;

struct place {
    struct list node; /* in app->places */
    unsigned owners;  /* atomic: the list, and the listeners there */
    struct sockaddr_storage address;
    char ip[64];     /* as it was given */
    uint16_t wanted; /* port; 0: the system chose */
    uint16_t port;
    bool leaving; /* its listeners close, or have closed */
};

/* What one worker has at a place. */
struct app_listener {
    struct listener listener;
    struct list node; /* in worker->listeners */
    struct wr_worker *worker;
    struct place *place; /* held */
    uint16_t
        https_port; /* what comes without TLS is sent there; 0: nowhere, unless the whole app does that */
    int fd;         /* until listen_begin */
};

/* A libuv error when ip is not an address. */
int place_new(const char *ip, uint16_t port, struct place **out) BASE_CHECKED;
struct place *place_hold(struct place *place);
void place_release(struct place *place);

/* A socket for the worker, which connections may wait at from now on; on any thread. shared: the other
 * workers, or other places, have sockets for (a part of) the same address; joins: it is not the first of
 * these. 0 or a libuv error. */
int listen_open(struct wr_worker *worker, struct place *place, bool shared, bool joins,
                struct app_listener **out) BASE_CHECKED;
/* Begins to accept; on the worker's thread. */
void listen_begin(struct app_listener *l);
/* Instead of that. */
void listen_discard(struct app_listener *l);
/* For connections from now on. Holds `secure`, which may be NULL. */
void listen_set(struct app_listener *l, struct tls_server *secure, uint16_t https_port);
/* NULL when the worker has (had) none. */
struct app_listener *listen_find(struct wr_worker *worker, const struct place *place);
/* Words for wr_app_error, and the public code. */
int listen_failed(struct wr_app *app, const char *ip, uint16_t port, int uv_error);

/* Where connections from it are sent that come without TLS; 0: nowhere. */
uint16_t listen_https_port(struct listener *listener);

/* Accepts again, when there is room and a connection waits. */
void listen_resume(struct wr_worker *worker);
/* Closes the listeners of a worker. */
void listen_close(struct wr_worker *worker);

/* One more connection of the app; false when it has too many: the worker is woken when there is room again.
 */
bool listen_count(struct wr_worker *worker);
void listen_uncount(struct wr_worker *worker);
/* One more of its address, when these are counted; false when that has too many. */
bool listen_count_address(struct connection *conn);
void listen_uncount_address(struct wr_app *app, const uint8_t address[16]);

#endif
