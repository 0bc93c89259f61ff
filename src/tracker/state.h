/* state.h - what the files of the tracker share, private to src/tracker.
 *
 * tracker.c opens and closes; pages.c and src/account answer HTTP; socket.c runs the WebSocket and hands its
 * messages to presence.c, signal.c, relay.c and replica.c. */
#ifndef TRACKER_STATE_H
#define TRACKER_STATE_H

#include <uv.h>

#include "base/map.h"
#include "base/rates.h"
#include "core/node.h"
#include "store/store.h"
#include "tracker/handles.h"
#include "account/accounts.h"
#include "account/ticket.h"
#include "tracker/tracker.h"

enum {
    ID_TEXT_BYTES = 2 * ID_BYTES + 1, /* an id in hexadecimal, with NUL */
    RELAYS_PER_CLIENT_MAX = 1024,
    RELAYS_OF_TWO_MAX = 8, /* between the same two sockets, so that nobody takes all of another one's */
    /* A socket whose queue holds this much gets no more until it has drained; who sends to it is paused. */
    QUEUE_BYTES_HIGH = 256 * 1024,
    QUEUE_BYTES_MAX = 4 * 1024 * 1024,
    /* Relayed bytes may fill this much of it, however many send at once: so nobody pushes another one out. */
    QUEUE_BYTES_RELAY = 2 * 1024 * 1024,
    TEXT_BYTES_MAX = 64 * 1024,
    BINARY_BYTES_MAX = 64 * 1024 + 4,
    LOG_KINDS = 8,
    HOSTED_MAX = 64, /* channels */
};

#define CERTIFICATE_LIFE_MS ((uint64_t)180 * 86400 * 1000)
#define CHANNEL_NAME "general"

struct classic;
struct bus;
struct client;
struct holder;
struct ice;
struct outlets;
struct people;
struct port;
struct remotes;
struct web_job;

struct hosted {
    slice name;
    uint8_t id[ID_BYTES];
    char id_text[ID_TEXT_BYTES];
    char name_room[NODE_NAME_BYTES_MAX];
};

/* What is logged at most once a minute. */
enum log_kind { LOG_STORE, LOG_REPLICA, LOG_HELLO, LOG_PEERS };

struct tracker {
    struct tracker_config config;
    struct wr_app *app;
    uv_loop_t *loop;
    uint64_t clock_us; /* the last time that was given out, and ... */
    uint64_t clock_ns; /* ... uv_hrtime then */

    uint8_t seed[KEY_BYTES]; /* secret */
    uint8_t device[ID_BYTES];
    char device_text[ID_TEXT_BYTES];
    struct hosted channels[HOSTED_MAX]; /* the first is CHANNEL_NAME */
    size_t channel_count;

    struct store *store;
    uv_async_t store_wake;
    uv_timer_t node_timer, quota_timer, housekeeping_timer;
    bool handles_open;
    bool stopping;

    struct accounts *accounts;
    struct classic *classic;  /* classic.h */
    struct web_job *web_jobs; /* webdevice.c: under way */
    unsigned web_count;
    struct channels *rooms;    /* channels.h */
    struct ice *ice;           /* ice.h */
    struct bucket relay_total; /* of all accounts together */
    struct {                   /* for /metrics */
        uint64_t relay_bytes, relay_waits, signals, turned_away;
    } counts;
    struct rates relay_quota; /* by account, in bytes */
    struct rates audit_rate;  /* by account; audit.c */
    unsigned audit_left_out;
    char admin_ticket[TICKET_TEXT]; /* "" when there is an administrator */
    struct handles clients, relays;
    size_t check_at;   /* whose session is looked at next */
    unsigned houses;   /* how often house was kept */
    struct map online; /* device -> client number */

    struct node *node;     /* NULL: another process has the replica, or nobody */
    struct handles ports;  /* the node's links, by number */
    struct port *writable; /* the node has something for them, and they have room */
    unsigned held_count;   /* ports with bytes that the node could not take yet */
    bool pumping;

    /* The other processes: peers.h. bus is NULL when it is alone. */
    struct bus *bus;
    char *bus_folder;
    struct handles bridges, jobs;
    struct remotes *remotes;
    struct holder *holder;
    uint64_t turn;

    struct people *people;   /* person.h */
    struct outlets *outlets; /* events.h */
    size_t list_at;          /* who gets the whole list next, when lists_wait */
    bool lists_wait;

    struct bucket admission; /* admission.h, as the next one */
    uint64_t turns_us;       /* when the last one who was turned away may come again */

    struct measures *measures;

    uint64_t logged_ms[LOG_KINDS];
    unsigned not_logged[LOG_KINDS];
};

/* Microseconds, or milliseconds, since 1970; never backwards. */
uint64_t tracker_now_us(struct tracker *tracker);
static inline uint64_t tracker_now_ms(struct tracker *tracker)
{
    return tracker_now_us(tracker) / 1000;
}
void tracker_log(struct tracker *tracker, enum wr_log_level level, const char *form, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what may happen often: once a minute, with the number of those that were left out. */
void tracker_log_some(struct tracker *tracker, enum log_kind kind, const char *form, ...)
    __attribute__((format(printf, 3, 4)));

/* --- pages.c --- */

int pages_open(struct tracker *tracker) BASE_CHECKED;
/* The page with a status, or its one-line stand-in. */
void pages_respond(struct tracker *tracker, struct wr_request *request, int status);

#endif
