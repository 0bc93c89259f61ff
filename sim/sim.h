/* sim.h - a world of devices in one process: real cores (src/core), virtual time, one seed.
 *
 * What is in which file:
 *   schedule.c  the events, by virtual time
 *   pipe.c      byte pipes between two devices: delay, room, stalls, cuts
 *   disk.c      what a device has made durable, what it is still writing, what a crash loses
 *   device.c    the shell of one core: carries out its actions, keeps its clock and its tick
 *   tracker.c   the tracker beside its core: presence, certificates, signalling, relay
 *   fault.c     what goes wrong, and who says what when
 *   hostile.c   devices that do not play by the rules
 *   check.c     what must hold, during the run and at its end
 *   world.c     sets it up, runs it, sums it up
 * Rules: one thread. Everything follows from the seed: no clock, no addresses, no sizes of the target. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "core/node.h"
#include "memory.h"
#include "random.h"

enum {
    SIM_DEVICES_MAX = 64,
    SIM_CHANNELS_MAX = 3,
    SIM_MESSAGE_BYTES_MAX = 400,
    SIM_WINDOW_BYTES = 8, /* of the mark that no link may carry in the clear */
};

/* Each is in or out for a whole run, by the seed: few faults at a time find other things than all at once. */
enum fault {
    FAULT_CUT = 1 << 0,       /* links break, one end may not notice */
    FAULT_STALL = 1 << 1,     /* one direction of a link stands still for a while */
    FAULT_PARTITION = 1 << 2, /* two groups of devices do not reach each other */
    FAULT_CRASH = 1 << 3,     /* devices lose their memory and what was not durable */
    FAULT_OUTAGE = 1 << 4,    /* the tracker is away for a while */
    FAULT_AMNESIA = 1 << 5,   /* the tracker loses its replica */
    FAULT_DISK_SLOW = 1 << 6,
    FAULT_DISK_FAILS = 1 << 7, /* stores fail for a while, reads now and then */
    FAULT_CLOCK = 1 << 8,      /* wrong, drifting and jumping clocks */
    FAULT_NO_DIRECT = 1 << 9,  /* some pairs find no direct way */
    FAULT_SLOW_PIPE = 1 << 10, /* little room, few bytes a second */
    FAULT_HOSTILE = 1 << 11,
    FAULT_TAMPER = 1 << 12, /* bits flip on the way */
    FAULT_LATE = 1 << 13,   /* some devices start late */
    FAULT_CHANNELS = 1 << 14,
    FAULT_ALL = (1 << 15) - 1,
};

struct sim_options {
    uint64_t seed;
    uint32_t nodes;   /* persons and hostile ones; 0: by the seed */
    uint32_t seconds; /* of faults; 0: by the seed */
    uint32_t faults;  /* bits of enum fault that are allowed */
    bool force;       /* all the allowed ones, not a choice by the seed */
    const struct crypto *crypto;
    /* For every line of the story, or NULL. */
    void (*tell)(void *context, const char *line);
    void *tell_context;
    uint64_t fail_at; /* this allocation of the device `fail_device` fails; 0 for none */
    uint32_t fail_device;
};

struct sim_report {
    bool failed;
    char message[SIM_MESSAGE_BYTES_MAX]; /* what was violated first */
    uint32_t nodes, channels, faults;
    uint64_t digest; /* over all actions, deliveries and bytes on links */
    uint64_t events, entries, deliveries, acknowledgements, link_bytes, links, crashes, closes, stores, reads,
        warnings;
    uint64_t converged_us; /* after the faults had stopped */
    uint64_t memory_peak;  /* bytes of the largest core; differs between targets, not in the digest */
    uint64_t allocations;  /* of the device `fail_device` */
};

/* Runs one world. ERR_CORRUPT when something did not hold (see the report), else OK. */
int sim_run(const struct sim_options *options, struct sim_report *out_report);

/* One line about the world, the same on every target; like snprintf. */
int sim_print(const struct sim_options *options, const struct sim_report *report, char *out, size_t room);

/* --- the rest is for the files of sim/ --- */

struct sim;

/* a, b, c are the event's own. */
typedef void event_run(struct sim *sim, uint32_t a, uint32_t b, uint64_t c);
struct event {
    usec at;
    uint64_t order;
    event_run *run;
    uint32_t a, b;
    uint64_t c;
};
void schedule_at(struct sim *sim, usec at, event_run *run, uint32_t a, uint32_t b, uint64_t c);
/* The next event not after `until`, with sim->now moved to it. */
bool schedule_next(struct sim *sim, usec until, struct event *out);

struct segment {
    struct segment *next;
    usec ready;
    size_t len, at; /* at: consumed so far */
    uint8_t bytes[];
};
/* One direction. */
struct flow {
    struct segment *head, *tail;
    size_t queued, room;         /* bytes on the way, at most */
    usec latency, jitter, ready; /* ready: of the last segment */
    uint64_t bytes_per_s;
    usec stalled_until;
    bool blocked; /* the reader said ERR_BUSY */
    bool starved; /* the writer had more than there was room for */
    uint8_t last[SIM_WINDOW_BYTES - 1];
    uint64_t bytes;
};
struct pipe {
    uint32_t id;
    enum path path;
    bool tampered; /* bits flip now and then, until the faults are over */
    bool relayed;  /* dies with the tracker's sockets of both ends */
    bool cut;      /* nothing gets through any more */
    struct {
        uint32_t device, number;
        bool attached;
    } end[2];            /* 0 is the initiator */
    struct flow flow[2]; /* written by that end */
};

/* One entry on a disk. */
struct held {
    uint8_t id[ID_BYTES];
    uint64_t time_ms, place_ms;
    uint8_t *record;
    uint32_t record_len;
    bool durable;
};
struct shelf { /* one feed on a disk; index is seq - 1 */
    struct held *held;
    size_t len, cap;
    uint64_t shown;    /* delivered or restored up to here, in this life */
    uint64_t deepest;  /* delivered up to here in any life: must come back */
    uint64_t ever;     /* was durable without a gap up to here, at some time */
    uint64_t promised; /* DELIVERED: this author's device said to hold so much of ours */
    enum path path;    /* PEER: how this author's device is linked; channel 0 only */
    uint64_t rtt_us;
};
enum disk_kind { DISK_STORE, DISK_STORE_CHANNEL, DISK_READ };
struct disk_op {
    enum disk_kind kind;
    uint64_t token;
    uint32_t channel, author;
    uint64_t seq;
    struct held held; /* STORE */
    usec due;         /* durable from here on */
    int result;
    bool settled; /* became durable or failed; node_done is still to come */
};

/* What everybody agrees on, once an entry was shown to somebody. */
struct truth {
    uint8_t id[ID_BYTES];
    uint64_t time_ms, body_hash;
    bool known, acknowledged;
};
struct chronicle {
    struct truth *truth;
    size_t len, cap;
};

struct sent { /* a SEND whose DELIVER has not come */
    uint64_t token, body_hash;
    uint32_t channel;
};

enum device_kind { DEVICE_TRACKER, DEVICE_PERSON, DEVICE_HOSTILE };
struct port { /* one link of a device */
    uint32_t number, pipe;
    uint8_t side;
    bool writable, opened;
    enum path path;
    uint32_t other;
};
struct device {
    enum device_kind kind;
    uint32_t index;
    uint8_t seed[KEY_BYTES], id[ID_BYTES];
    char account[16];
    uint32_t channels;               /* bits: member of */
    usec joins_at[SIM_CHANNELS_MAX]; /* not before */
    usec left_at[SIM_CHANNELS_MAX];  /* 0: not */
    bool up;
    uint32_t life; /* counts starts; events of earlier lives are dropped */
    usec down_until;
    struct node *node;
    struct memory memory;
    /* Clock: what the shell reads is base_local plus the time since base_true, times 1 + drift. */
    usec base_true, base_local, last_local;
    int64_t drift_ppm;
    uint64_t tick_serial;
    usec tick_deadline;
    uint32_t busy_ticks;
    usec busy_since;
    /* Links */
    struct port *ports;
    size_t ports_len, ports_cap;
    uint32_t next_number;
    /* Disk */
    struct disk_op *ops;
    size_t ops_len, ops_cap;
    struct shelf shelves[SIM_CHANNELS_MAX][SIM_DEVICES_MAX];
    uint8_t *channel_records[SIM_CHANNELS_MAX];
    uint32_t channel_record_len[SIM_CHANNELS_MAX];
    usec disk_due, disk_full_until;
    uint64_t last_token;
    /* Tracker socket and what its presence said */
    bool socket_wanted, socket_up;
    uint32_t socket_pipe;
    uint64_t online;     /* bits */
    uint64_t dialing[2]; /* bits by device: [0] direct, [1] relay */
    uint64_t connects;   /* that were asked for in this life */
    usec connects_since;
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t certificate_len;
    struct sent *sent;
    size_t sent_len, sent_cap;
    uint64_t newest_seen_ms[SIM_CHANNELS_MAX];
    struct hostile *hostile;
    uint64_t reach; /* bits: a direct way exists */
    uint32_t group; /* of the partition */
};

struct sim {
    struct sim_options options;
    struct sim_report report;
    struct dice dice;
    const struct crypto *crypto;
    usec now, faults_end;
    bool calm; /* faults are over */
    struct event *heap;
    size_t heap_len, heap_cap;
    uint64_t event_order;
    struct pipe **pipes;
    size_t pipes_len, pipes_cap;
    struct device devices[SIM_DEVICES_MAX];
    uint32_t devices_len; /* 0 is the tracker */
    uint32_t channels_len;
    uint8_t channels[SIM_CHANNELS_MAX][ID_BYTES];
    struct chronicle chronicles[SIM_CHANNELS_MAX][SIM_DEVICES_MAX];
    uint32_t faults;
    bool partitioned;
    uint64_t messages_left;
    uint8_t *scratch;
};

/* world.c */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_tell(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool sim_has(const struct sim *sim, enum fault fault)
{
    return (sim->faults & (uint32_t)fault) != 0;
}
void digest_number(struct sim *sim, uint64_t value);
void digest_bytes(struct sim *sim, slice bytes);
uint64_t bytes_hash(slice bytes);
uint32_t device_of_id(const struct sim *sim, const uint8_t *id); /* UINT32_MAX when unknown */
uint32_t channel_of_id(const struct sim *sim, const uint8_t *id);

/* pipe.c */
struct pipe *pipe_new(struct sim *sim, enum path path, uint32_t initiator, uint32_t acceptor);
void pipe_write(struct sim *sim, struct pipe *pipe, uint32_t side, slice bytes);
size_t pipe_room(const struct pipe *pipe, uint32_t side);
/* This end lets go; the other one hears of it after what is on the way, or never (`silent`). */
void pipe_leave(struct sim *sim, struct pipe *pipe, uint32_t side, bool silent);
/* The network drops it, with all that is on the way. */
void pipe_cut(struct sim *sim, struct pipe *pipe, bool silent);
void pipe_stall(struct sim *sim, struct pipe *pipe, uint32_t side, usec duration);
/* Lets the reader of this flow read what is there. */
void pipe_pump(struct sim *sim, uint32_t pipe, uint32_t side);
void pipe_free_all(struct sim *sim);

/* disk.c */
void disk_store(struct sim *sim, struct device *d, const struct action *action);
void disk_read(struct sim *sim, struct device *d, const struct action *action);
void disk_crash(struct sim *sim, struct device *d);
void disk_wipe(struct sim *sim, struct device *d);
/* Gives everything durable to node_restore. False when there was no memory: the start has to be repeated. */
bool disk_restore(struct sim *sim, struct device *d);

/* device.c */
void device_start(struct sim *sim, struct device *d);
void device_stop(struct sim *sim, struct device *d, bool silent);
usec device_clock(struct sim *sim, struct device *d);
uint32_t device_attach(struct sim *sim, struct device *d, struct pipe *pipe, uint32_t side);
/* Bytes for the device; how many it took. */
size_t device_receive(struct sim *sim, struct device *d, struct pipe *pipe, uint32_t side, slice bytes);
void device_hung_up(struct sim *sim, struct device *d, struct pipe *pipe, uint32_t side);
void device_drain(struct sim *sim, struct device *d);
int64_t device_command(struct sim *sim, struct device *d, const struct command *command);
struct port *device_port(struct device *d, uint32_t number);

/* tracker.c */
void tracker_dial(struct sim *sim, struct device *d);
/* Joins what the device is a member of and may join by now. */
void join_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2);
void tracker_started(struct sim *sim, struct device *tracker);
void tracker_socket_lost(struct sim *sim, struct device *d);
void tracker_connect(struct sim *sim, struct device *d, uint32_t other, enum path path);
bool network_allows(const struct sim *sim, const struct device *a, const struct device *b);

/* fault.c */
void fault_plan(struct sim *sim);
void fault_stop(struct sim *sim);
void send_something(struct sim *sim, struct device *d);

/* hostile.c */
void hostile_new(struct sim *sim, struct device *d);
void hostile_free(struct device *d);
void hostile_act(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2);
void hostile_attached(struct sim *sim, struct device *d, struct port *port, struct pipe *pipe);
size_t hostile_receive(struct sim *sim, struct device *d, struct port *port, slice bytes);
void hostile_lost(struct device *d, uint32_t number);

/* check.c */
void check_action(struct sim *sim, struct device *d, const struct action *action);
void check_link_bytes(struct sim *sim, struct pipe *pipe, uint32_t side, slice bytes);
void check_restored(struct sim *sim, struct device *d);
/* Whether all members hold the same, and all of it. Says why not when `why` is not NULL. */
bool check_converged(struct sim *sim, char *why, size_t room);
void check_end(struct sim *sim);
/* The mark at the start of every text; SIM_WINDOW_BYTES bytes. */
extern const uint8_t check_mark[SIM_WINDOW_BYTES];

#endif
