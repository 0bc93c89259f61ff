/* classic.h - the classic routes: what scripts, curl and the pages of the P2P chat courses rely on.
 * docs/api.md, part 1, says what goes over the wire. Private to src/tracker.
 *
 * A request becomes an "errand": who asks, what for, from where; it goes from step to step and ends in
 * exactly one answer. Who asks is a person   with a session: the account of the session counts, and a
 * `username` in the body has to be its name; a guest    with --classroom, without a session: a `username`
 * that is no account's. What a guest writes is signed by the tracker's account "guest" and bears the name as
 * a mark; nobody     with --classroom, without a session and a name: may look at lists. */
#ifndef TRACKER_CLASSIC_H
#define TRACKER_CLASSIC_H

#include <netinet/in.h>

#include "account/classroom.h"
#include "account/fold.h"
#include "store/classic_sql.h"
#include "tracker/call.h"
#include "tracker/state.h"

enum {
    CLASSIC_LIST_MAX = 20000,  /* peers in one answer */
    CLASSIC_FADING_MAX = 1024, /* sessions whose socket has ended; those beyond fade with time */
    CLASSIC_ROUTES = 11,
};
/* How long an announcement lasts after the last sign of life, and after the socket of its session has ended.
 */
#define ANNOUNCED_MS ((int64_t)30 * 60 * 1000)
#define ANNOUNCED_HEARTBEATS_MS ((uint64_t)60 * 1000)

struct errand;
typedef void errand_handler(struct errand *errand);

enum errand_who {
    ERRAND_NAMED,  /* a person, or a guest */
    ERRAND_READER, /* with --classroom also nobody */
    ERRAND_PERSON,
    ERRAND_PEER, /* a native peer, with the secret of the pool */
};

struct classic_route {
    const char *method, *path;
    errand_handler *run;
    enum errand_who who;
    bool failure; /* says "failure" where others say "error" */
};

struct errand {
    struct tracker *tracker;
    struct wr_request *request;
    const struct classic_route *route;
    int64_t account; /* 0: a guest, or nobody */
    int64_t writer;  /* the account that signs: the same, or that of guests */
    int role;
    bool guest;
    char name[NODE_NAME_BYTES_MAX + 1]; /* of a person or a guest; else "" */
    uint8_t session[SESSION_HASH_BYTES];
    /* where its peer listens, when it said so */
    char ip[INET6_ADDRSTRLEN];
    uint16_t port;
    json_t *list; /* an answer that comes in pages */
    json_t *guests;
    void *state; /* the handler's own, from malloc: freed with the errand */
    uint8_t channel[ID_BYTES];
    bool sealed, member;
    errand_handler *found, *then; /* the next steps */
    int64_t after, limit;         /* of messages */
    bool has_after;
};

struct classic_binding {
    struct tracker *tracker;
    const struct classic_route *route;
};

struct classic {
    struct classic_binding bindings[CLASSIC_ROUTES];
    struct {
        uint8_t session[SESSION_HASH_BYTES];
        uint64_t gone_ms;
    } fading[CLASSIC_FADING_MAX]; /* oldest first */
    size_t fading_count;
    unsigned houses;
};

/* --- classic.c --- */

int classic_open(struct tracker *tracker) BASE_CHECKED;
void classic_close(struct tracker *tracker);
/* Every five seconds. */
void classic_housekeeping(struct tracker *tracker);

/* Each ends the errand. json may be NULL (no memory). */
void errand_json(struct errand *errand, int status, json_t *json);
void errand_done(struct errand *errand, const char *message);
void errand_refuse(struct errand *errand, int status, const char *message);
void errand_failed(struct errand *errand, int err);
/* Runs a call of the table for the errand's person. Takes the fields. */
void errand_call(struct errand *errand, const char *type, json_t *fields, call_answered *answered);
/* Runs an operation of the store; asked gets what became of it, with the errand as its context. */
void errand_ask(struct errand *errand, const struct store_operation *operation,
                const struct store_value *values, size_t count, store_asked *asked);

/* A text field of the body, without a NUL in it; false: it is not there, or no such text. */
bool errand_text(struct errand *errand, const char *field, slice *out);
/* ip and port of the body, into the errand: 1 when they are there, 0 when neither is, -1: refused (400). */
int errand_address(struct errand *errand, const char *ip_field, const char *port_field);
/* Notes where the errand's peer listens; asked runs after it. */
void errand_announce(struct errand *errand, store_asked *asked);

/* --- classic_peers.c --- */

errand_handler classic_announce, classic_list;
/* A socket has ended: what its session has announced goes after two heartbeats, if it does not come back. */
void classic_socket_gone(struct client *client);
/* Open sockets keep alive what their sessions have announced. */
void classic_keep_announced(struct tracker *tracker);
void classic_fade(struct tracker *tracker);

/* --- classic_rooms.c --- */

errand_handler classic_channels, classic_create, classic_join, classic_leave;
/* Finds the channel that the body names, as the errand's person sees it; `found` runs when it is there and
 * she is not banned from it. */
void classic_find_room(struct errand *errand, errand_handler *found);
/* The same, and before `then` runs it is noted where the peer listens, when the body says so. */
void classic_begin(struct errand *errand, errand_handler *then);

/* --- classic_messages.c --- */

errand_handler classic_messages, classic_send;

#endif
