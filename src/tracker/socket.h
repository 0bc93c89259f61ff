/* socket.h - one browser's WebSocket at the tracker: docs/protocol/tracker-socket.md. Private to src/tracker.
 *
 * socket.c owns the life of a `struct client` and turns frames into calls of the other files; those use the
 * functions here to answer and to hold a sender back. A client is in tracker->clients under its number from
 * the upgrade to the close; in tracker->online under its device from the end of hello. */
#ifndef TRACKER_SOCKET_H
#define TRACKER_SOCKET_H

#include "base/buffer.h"
#include "tracker/peers.h"
#include "tracker/presence.h"
#include "tracker/replica.h"
#include "tracker/state.h"

enum client_phase {
    CLIENT_GREETED, /* welcome was sent */
    CLIENT_PROVING, /* hello came, the certificate is on its way to the disk */
    CLIENT_ONLINE,
    CLIENT_LEAVING, /* the close has begun */
};

/* Why a client is not being read from at this moment. */
enum client_pause {
    PAUSE_QUOTA = 1,   /* its account has used up the relay's quota */
    PAUSE_SLOW = 2,    /* whom it sends to takes no more: slow_relay */
    PAUSE_REPLICA = 4, /* the node is busy, or nobody has it; `held` waits for it */
    PAUSE_ANSWERS = 8, /* it does not take the answers it has asked for */
    PAUSE_CALLS = 16,  /* CALLS_MAX of its calls are under way */
};

enum { CALLS_MAX = 32 };

struct signal_attempt;

struct client {
    struct tracker *tracker;
    struct wr_socket *socket;
    uint32_t number;
    uint8_t phase;  /* enum client_phase */
    uint8_t role;   /* enum account_role */
    uint8_t pauses; /* of enum client_pause */
    uint8_t calls;  /* under way: call.h */
    bool link_waits;
    bool announced; /* its session has said where its peer listens: classic.h */

    int64_t account;
    struct person *person; /* held from the upgrade on */
    struct seat seat;      /* its device; before hello the nonce stands there (client_nonce) */
    uint8_t session[HASH_BYTES];
    uint64_t since_ms;
    uint64_t turn; /* remote.h */

    /* The link to the replica, replica_link.c: at most one of these two and link_waits. */
    struct port *port;
    struct bridge *bridge;
    struct client_more *more; /* never NULL */
};

/* What an idle socket does not need: made by client_more, gone when it is all empty again. */
struct client_more {
    uint32_t slow_relay;
    uint32_t *relays; /* numbers */
    size_t relay_count, relay_cap;

    struct signal_attempt *attempts; /* newest first */
    size_t attempt_count, held_bytes;

    struct buffer
        held;       /* first bytes of the link to the replica, while it leads nowhere; then PAUSE_REPLICA */
    size_t untaken; /* came over the bridge, and is still in the queue of the socket */
};

/* NULL: no memory. */
struct client_more *client_more(struct client *client);
void client_less(struct client *client);
static inline uint8_t *client_nonce(struct client *client)
{
    return client->seat.device;
}
/* Whether the name of a device may have this letter: nothing that cannot be seen or turns the line around. */
bool label_takes(uint32_t point);
/* The id of its device; returns out. */
const char *client_device(const struct client *client, char out[ID_TEXT_BYTES]);

int sockets_open(struct tracker *tracker) BASE_CHECKED;
/* Ends the sockets of this session, at all processes. */
void sockets_log_out(struct tracker *tracker, const uint8_t session[HASH_BYTES]);
/* Says goodbye to all. */
void sockets_goodbye(struct tracker *tracker);
/* Looks at the sessions of some more sockets and ends those whose session is over, or was ended by a program
 * beside this one (`weaprous user`). */
void sockets_check_sessions(struct tracker *tracker);
/* Sessions of this account have ended, or its role has changed: its sockets are looked at, at all processes.
 */
void sockets_account_changed(struct tracker *tracker, int64_t account);
peers_handler sockets_account_changed_elsewhere;
/* Sessions of this account have ended, or its role has changed: its sockets are looked at, at all processes.
 */
void sockets_account_changed(struct tracker *tracker, int64_t account);
peers_handler sockets_account_changed_elsewhere;
/* Its device has connected again, elsewhere. */
void socket_replaced(struct client *client);
peers_handler sockets_logged_out_elsewhere;
/* Who is online here under this device; NULL when nobody is. */
struct client *sockets_online(struct tracker *tracker, const uint8_t device[ID_BYTES]);

/* Takes the reference to json. False when the client has gone or was ended for being too slow. */
bool client_send(struct client *client, json_t *json);
bool client_send_text(struct client *client, const char *text, size_t len);
/* The one answer to a request. `more` (may be NULL) is an object whose fields are added; takes it. */
void client_answer(struct client *client, const char *type, json_int_t id, json_t *more);
void client_refuse(struct client *client, const char *type, json_int_t id, const char *message);
/* The same with a code, as HTTP has them. */
void client_refuse_with(struct client *client, const char *type, json_int_t id, int code,
                        const char *message);
/* Ends the socket with code 1008: the form was broken. */
void client_fail(struct client *client, const char *reason);
/* Goodbye in words, then the close. */
void client_goodbye(struct client *client, const char *reason, const char *message, int code);
bool client_is_full(const struct client *client);
void client_pause(struct client *client, enum client_pause why);
void client_resume(struct client *client, enum client_pause why);

/* Where a device is online: one of the two. */
struct receiver {
    struct client *here;
    const struct remote *there; /* at another process */
};
/* Reads "to" of a message: that device, online and not the sender. Else it refuses the request. */
bool client_receiver(struct client *client, const json_t *message, const char *type, json_int_t id,
                     struct receiver *out);

/* --- signal.c --- */

void signal_message(struct client *client, const json_t *message, json_int_t id);
void signal_forget(struct client *client);
/* Forgets attempts of all that nothing was heard of for a while. */
void signals_forget_old(struct tracker *tracker);
peers_handler signal_from_peer;

/* --- relay.c --- */

void relay_open_message(struct client *client, const json_t *message, json_int_t id);
/* text: why, or NULL. */
void relay_close_message(struct client *client, uint32_t number, const char *text);
void relay_bytes(struct client *client, uint32_t number, slice frame);
/* Ends all relays of a client that leaves; lets go who waited for it. */
void relay_forget(struct client *client);
/* The client's queue has drained. */
void relay_drained(struct client *client);
/* Takes the bytes from the account's quota; when that is used up, the client is paused. */
void relay_charge(struct client *client, size_t bytes);
void relay_quota_due(uv_timer_t *timer);

#endif
