/* sim.h - a world of devices in one process: real cores (src/core), virtual time, one seed.
 *
 * What is in which file:
 *   schedule.c  the events, by virtual time
 *   pipe.c      byte pipes between two devices: delay, room, stalls, cuts
 *   disk.c      what a device has made durable, what it is still writing, what a crash loses
 *   device.c    the shell of one core: carries out its actions, keeps its clock and its tick
 *   channel.c   channels, who is in them, and what everybody agrees was written there
 *   tracker.c   the tracker beside its core: presence, certificates, signalling, relay
 *   fault.c     what goes wrong: a list that is planned before the world begins
 *   hostile.c   devices that do not play by the rules; lies.c, insider.c: what they say
 *   tap.c       the crypto table of the devices: counts the messages on links, looks for what must not be
 * there check.c     what must hold, during the run and at its end activity.c  the table of what persons do;
 * each act_*.c is one of them, with checks of its own worlds.c    the table of worlds with a name world.c
 * sets a world up, runs it, sums it up Rules: one thread. Everything follows from the options: no clock, no
 * addresses, no sizes of the target.
 *
 * Dice: whatever can be left out (a fault, an activity, a device's sends) draws from a stream of its own
 * (dice_stream), so that leaving it out does not shift what the others do. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/buffer.h"
#include "core/node.h"
#include "core/probe.h"
#include "core/trace.h"
#include "memory.h"
#include "random.h"
#include "table.h"

enum {
    SIM_NODES_MAX = 16000, /* persons and hostile ones */
    SIM_MESSAGE_BYTES_MAX = 400,
    SIM_WINDOW_BYTES = 8, /* of the mark that no link may carry in the clear */
    SIM_ACTIVITIES_MAX = 16,
    SIM_FIGURES_MAX = 16,
    SIM_KINDS = 32, /* of messages that are counted one by one */
};

/* Each is in or out for a whole run, by the seed: few faults at a time find other things than all at once. */
enum fault {
    FAULT_CUT = 1 << 0,       /* links break, one end may not notice */
    FAULT_STALL = 1 << 1,     /* one direction of a link stands still for a while */
    FAULT_PARTITION = 1 << 2, /* groups of devices do not reach each other, or one way only */
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

struct sim;
struct device;
struct world;

struct sim_options {
    uint64_t seed;
    const struct world *world; /* NULL: mixed */
    uint32_t nodes;            /* persons and hostile ones; 0: by the world and the seed */
    uint32_t seconds;          /* of faults; 0: by the world and the seed */
    uint32_t messages;         /* of the chat, at most; 0: by the world and the seed */
    uint32_t faults;           /* bits of enum fault that are allowed */
    bool force;                /* all the allowed ones, not a choice by the seed */
    uint32_t activities;       /* bits by row of the table of activities; those that are allowed */
    bool force_activities;     /* all the allowed ones, not a choice by the seed */
    const struct crypto *crypto;
    /* Planned faults (by their number) that do not happen; ascending. Borrowed. */
    const uint32_t *skip;
    size_t skip_len;
    /* For every line of the story, or NULL. */
    void (*tell)(void *context, const char *line);
    void *context;
    uint64_t fail_at;   /* this allocation of the device `fail_device` fails; 0 for none */
    uint64_t fail_more; /* and so many after it */
    uint32_t fail_device;
    /* Gets the trace of this device, life by life (1, 2, 3 ...), or NULL. */
    void (*trace)(void *context, uint32_t life, slice piece);
    void *trace_context;
    uint32_t trace_device;
};

/* Something that an activity has measured: its name, its value in thousandths. */
struct sim_figure {
    const char *name;
    uint64_t thousandths;
};

struct sim_report {
    bool failed;
    char message[SIM_MESSAGE_BYTES_MAX]; /* what was violated first */
    uint32_t nodes, channels, faults, activities;
    uint32_t planned; /* faults in the list: numbers 0 to planned - 1 */
    uint32_t seconds; /* of faults */
    uint32_t written; /* messages of the chat that were allowed */
    uint64_t digest;  /* over all actions, deliveries and bytes on links */
    /* events: what was taken from the schedule and done: bytes that arrive, disks that answer, ticks that are
     * due, words of the tracker, acts of persons, faults. actions: what the cores asked for. */
    uint64_t events, actions, entries, deliveries, acknowledgements, link_bytes, links, crashes, closes,
        stores, reads, warnings;
    uint64_t messages[SIM_KINDS]; /* on links, by kind, as opened by who received them */
    /* To persons, until the faults are over: entries of others that were delivered, messages that brought
     * one, bytes that they read. */
    uint64_t fresh, copies, copy_bytes;
    /* Of entries that were written while the person was there: hops, and time since they were with their
     * author. */
    uint64_t hops_sum, hops_max, hops_count, delay_sum_us, delay_max_us;
    uint64_t recoveries, recovery_sum_us,
        recovery_max_us;                                 /* from the end of a partition until all is level */
    uint64_t busy_us, busy_bytes, quiet_us, quiet_bytes; /* on links: until all is level; and afterwards */
    uint64_t virtual_us;
    uint64_t converged_us;   /* after the faults had stopped */
    uint64_t memory_peak;    /* bytes of the largest core; differs between targets, not in the digest */
    uint64_t memory_median;  /* bytes of a person's core at the end; likewise */
    uint64_t allocations;    /* of the device `fail_device` */
    uint64_t probes[PROBES]; /* of all cores (core/probe.h) */
    struct sim_figure figures[SIM_FIGURES_MAX]; /* of activities */
    size_t figures_len;
};

/* Runs one world. ERR_CORRUPT when something did not hold (see the report), else OK. */
int sim_run(const struct sim_options *options, struct sim_report *out_report);

/* What the world came to in figures, in words or as one JSON object; like snprintf. cpu_us: how long it
 * took. */
int sim_figures(const struct sim_options *options, const struct sim_report *report, uint64_t cpu_us,
                bool json, char *out, size_t room);

/* One line about the world, the same on every target; like snprintf. */
int sim_print(const struct sim_options *options, const struct sim_report *report, char *out, size_t room);

/* --- the tables --- */

/* What a world is made of; a world's configure fills it, the options overrule it. */
struct setup {
    uint32_t persons, hostile;
    usec duration;                /* of faults and of what persons do */
    uint32_t faults, activities;  /* bits */
    uint32_t channels;            /* public ones */
    uint64_t messages;            /* of the chat */
    uint32_t speakers;            /* persons who write; 0: most of them, by the dice */
    usec pause_least, pause_most; /* between two messages of one person */
    bool quiet;                   /* channels are opened quietly: no JOIN before the first message */
    uint32_t presence;            /* how many others the tracker names to one device; 0: everybody */
    usec fault_pause;             /* between two faults, on average */
    usec start_spread;            /* persons start within it */
    usec settle_max;              /* how long it may take to become the same everywhere */
    uint32_t regions;             /* of the network: far from each other; 0: one */
    uint64_t file_bytes;          /* one file of this size; 0: some of any size, if there are files */
    bool same_account;            /* some devices belong to the account of the one before */
    /* Without faults, on average; 0: it may be as it is. */
    usec delay_mean_max;             /* from the author's disk to a device that is there */
    uint32_t copies_thousandths_max; /* of an entry for each device to which it was new */
    struct node_config node;         /* limits; identity, seed and role are filled in for each device */
};
struct world {
    const char *name, *brief;
    void (*configure)(struct sim *sim, struct setup *setup);
    void (*plan)(struct sim *sim); /* schedules what is peculiar to it; NULL for nothing */
};
extern const struct world sim_worlds[];
extern const size_t sim_worlds_len;
const struct world *world_of_name(const char *name); /* NULL when there is none */

/* What persons do, and what must hold of it. A row of the table in activity.c; any function may be NULL. An
 * activity keeps what it knows in sim->activity[row] and device->activity[row] (its own memory: `end` frees
 * it). It acts through device_command and device_done, at times that it schedules with schedule_at; the
 * functions of its events look at device->up and device->life themselves. */
struct activity {
    const char *name, *brief;
    uint32_t chance; /* in 1000 seeds of the mixed world */
    /* Before the world begins; devices and public channels are there, nothing has started. May add channels
     * (sim_channel_add, membership_add). Nothing is to be done after sim->faults_end but for what ends it. */
    void (*plan)(struct sim *sim);
    /* Limits of this device's core, before it is created. */
    void (*configure)(struct sim *sim, struct device *d, struct node_config *config);
    /* The core is there, restored and has its certificate (or will get it from its first socket). */
    void (*started)(struct sim *sim, struct device *d);
    /* The core is about to go; what was not durable is lost. */
    void (*stopped)(struct sim *sim, struct device *d);
    /* Every action of an honest device, after the general checks. Slices are good for the call. No commands
     * from here: schedule them. */
    void (*action)(struct sim *sim, struct device *d, const struct action *action);
    /* The faults are over (sim->calm is set). */
    void (*calm)(struct sim *sim);
    /* After the faults: false, and why when `why` is not NULL, as long as something is still to come. */
    bool (*converged)(struct sim *sim, char *why, size_t room);
    /* The world is over: last checks (skip them when sim->report.failed), then frees what it has. */
    void (*end)(struct sim *sim);
};
extern const struct activity *const sim_activities[];
extern const size_t sim_activities_len;
extern const struct activity activity_chat, activity_files, activity_session, activity_sealed,
    activity_history;
/* What a hostile device answers to a message about files: false when it is not one. */
bool files_lie(struct sim *sim, struct dice *dice, slice plain, struct writer *w);

/* --- the rest is for the files of sim/ --- */

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
    uint32_t pending; /* events that will look at it */
    usec since;
    struct dice dice;
    enum path path;
    bool tampered;   /* bits flip now and then, until the faults are over */
    uint32_t called; /* the device that the initiator asked for; another one may have answered */
    bool relayed;    /* dies with the tracker's sockets of both ends */
    bool cut;        /* nothing gets through any more */
    struct {
        uint32_t device, number;
        bool attached;
    } end[2];            /* 0 is the initiator */
    struct flow flow[2]; /* written by that end */
};

/* One entry on a disk: its record is what the archive has of it (truth.record) but for a piece in between. */
struct held {
    uint64_t id8; /* the first 8 bytes of its id */
    uint64_t place_ms;
    uint8_t *middle;
    uint16_t prefix, suffix, middle_len;
    uint8_t depth;
    bool durable : 1;
    bool ever : 1;  /* was durable at some time */
    bool shown : 1; /* delivered or restored in this life */
    bool owed : 1;  /* delivered in any life, and not wiped: must come back */
};
struct shelf { /* one feed on a disk; index is seq - 1 */
    uint32_t channel, author;
    struct held *held;
    uint32_t len, cap;
    uint64_t shown;              /* all up to here are shown */
    uint64_t shown_count;        /* those above included */
    uint64_t promised;           /* DELIVERED: this author's device said to hold so much of ours */
    uint64_t gap_from, gap_upto; /* GAP: these are missing; from > upto: none */
};
enum disk_kind { DISK_STORE, DISK_STORE_CHANNEL, DISK_READ };
struct disk_op {
    enum disk_kind kind;
    uint64_t token;
    uint32_t channel, author;
    uint64_t seq;
    struct held held; /* STORE */
    uint8_t *record;  /* STORE_CHANNEL */
    uint32_t record_len;
    int result;
    bool settled; /* became durable or failed; node_done is still to come */
};

/* What everybody agrees on, once an entry was stored or shown by somebody. */
struct truth {
    uint8_t id[ID_BYTES];
    uint64_t time_ms, body_hash;
    uint8_t *record; /* as it was first stored by somebody; NULL until then */
    uint32_t record_len;
    bool known, acknowledged, opened; /* opened: body_hash is that of the body in clear */
    usec acknowledged_at;
};
struct chronicle { /* of one feed */
    uint32_t channel, author;
    struct truth *truth;
    size_t len, cap;
    uint64_t known; /* the last one that somebody has seen: what everybody is to hold */
};
struct sim_channel {
    uint8_t id[ID_BYTES];
    struct channel_spec spec; /* points into the following */
    char name[32], account[2][16];
    uint8_t nonce[NODE_NONCE_BYTES];
    bool sealed;
    uint32_t *members; /* devices that are, were or will be in it; the tracker too */
    size_t members_len, members_cap;
    uint32_t *chronicles; /* numbers of its feeds */
    size_t chronicles_len, chronicles_cap;
};
/* A device in a channel. */
struct membership {
    uint32_t channel;
    bool member;    /* is to hold what the others hold */
    bool quiet;     /* writes no JOIN before its first message */
    bool on_demand; /* old entries come when it asks for them; see act_history.c */
    bool joins;     /* joins it by command (else: it will be brought, or an activity opens it) */
    usec joins_at;  /* not before */
    usec left_at;   /* 0: not */
    uint64_t newest_seen_ms;
    uint8_t *record; /* of the channel, on the disk */
    uint32_t record_len;
};

struct sent { /* a SEND whose DELIVER has not come */
    uint64_t token, body_hash;
    uint32_t channel;
};

enum device_kind { DEVICE_TRACKER, DEVICE_PERSON, DEVICE_HOSTILE };
struct port {        /* one link of a device */
    uint32_t number; /* 0: free */
    uint32_t pipe, other, next_free;
    uint8_t side;
    bool writable;
    enum path path;
};
struct acquaintance { /* what a device was told about another one */
    uint32_t other;
    bool online;     /* by the tracker */
    uint8_t dialing; /* bits: 1 direct, 2 relay */
    enum path path;  /* by PEER */
    usec linked_at;  /* when it came from PATH_NONE to another one */
    uint64_t rtt_us;
};
struct device {
    enum device_kind kind;
    uint32_t index;
    struct dice dice; /* of its shell and disk */
    uint8_t seed[KEY_BYTES], id[ID_BYTES];
    char account[16];
    struct membership *memberships;
    size_t memberships_len, memberships_cap;
    bool up;
    uint32_t life; /* counts starts; events of earlier lives are dropped */
    usec started_at;
    struct node *node;
    struct memory memory;
    struct buffer trace; /* of this life, when it is to be replayed */
    /* Clock: what the shell reads is base_local plus the time since base_true, times 1 + drift. */
    usec base_true, base_local, last_local;
    int64_t drift_ppm;
    usec tick_deadline; /* for which a tick is scheduled, UINT64_MAX: none */
    uint64_t tick_serial;
    uint32_t busy_ticks;
    usec busy_since;
    /* Links */
    struct port *ports;
    size_t ports_len, ports_cap, ports_live;
    uint32_t ports_free; /* slot + 1 */
    uint32_t port_serial;
    uint32_t *writable; /* numbers of ports that have something to say */
    size_t writable_len, writable_cap;
    uint32_t *blocked; /* numbers of ports whose bytes the core would not take yet */
    size_t blocked_len, blocked_cap;
    /* Disk */
    struct disk_op *ops;
    size_t ops_len, ops_cap;
    struct shelf *shelves; /* in the order in which they came to be */
    size_t shelves_len, shelves_cap;
    struct table shelf_of;
    usec disk_due, disk_full_until;
    bool disk_dying; /* some of what it is given is lost, until the device stops */
    /* Tracker socket and what its presence said */
    bool socket_wanted, socket_up;
    uint32_t socket_pipe;
    struct acquaintance *known;
    size_t known_len, known_cap;
    struct table known_of;
    uint32_t *told; /* devices that were told that this one is online */
    size_t told_len, told_cap;
    uint64_t connects; /* that were asked for in this life */
    usec connects_since;
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t certificate_len;
    struct sent *sent;
    size_t sent_len, sent_cap;
    struct hostile *hostile;
    bool *warned;           /* by device: WARNINGs that named it, in any life; NULL: none yet */
    bool expired;           /* HOSTILE: its certificate is out of date */
    uint32_t group, region; /* of a partition; of the network */
    bool cut_off;           /* reaches nobody */
    void *activity[SIM_ACTIVITIES_MAX];
};

struct planned { /* a fault */
    usec at;
    enum fault fault;
    uint64_t argument; /* by the world; 0: by the dice */
};

/* What the devices' crypto table sees. */
struct tap {
    const struct crypto *inner;
    struct crypto table; /* what the cores are given */
    struct table keys;   /* pieces of 8 bytes of those that have sealed a body or a box */
    uint64_t *bloom;     /* of the same; NULL: none yet */
};

struct sim {
    struct sim_options options;
    struct sim_report report;
    struct setup setup;
    const struct world *world;
    struct dice dice; /* of the set-up and of the network between devices */
    const struct crypto *crypto;
    struct tap tap;
    usec now, began, faults_end;
    bool calm; /* faults are over */
    bool over; /* activities have come to their end */
    struct event *heap;
    size_t heap_len, heap_cap;
    uint64_t event_order, idle; /* idle: events that found nothing to do; they do not count */
    struct pipe **pipes;
    size_t pipes_len, pipes_cap;
    uint32_t *pipes_free;
    size_t pipes_free_len, pipes_free_cap;
    struct device *devices; /* 0 is the tracker */
    uint32_t devices_len;
    struct table device_by_id;
    struct sim_channel *channels;
    uint32_t channels_len;
    size_t channels_cap;
    struct chronicle *chronicles;
    size_t chronicles_len, chronicles_cap;
    struct table chronicle_of;
    uint32_t faults;
    struct planned *plan;
    size_t plan_len, plan_cap;
    uint8_t (*nobodies)[ID_BYTES]; /* that were dialled */
    size_t nobodies_len, nobodies_cap;
    bool partitioned, one_way;
    uint32_t reader;       /* the device whose core is reading, UINT32_MAX: none */
    struct recovery {      /* of the last partition */
        usec since;        /* 0: none is being waited for */
        uint64_t *targets; /* by chronicle: how much was known then */
        size_t len;
        uint32_t unsettled;
    } recovery;
    uint32_t unsettled; /* a device that had not everything when last looked at */
    uint8_t *scratch, *record;
    void *activity[SIM_ACTIVITIES_MAX];
};

/* world.c */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_tell(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool sim_has(const struct sim *sim, enum fault fault)
{
    return (sim->faults & (uint32_t)fault) != 0;
}
void digest_number(struct sim *sim, uint64_t value);
uint64_t bytes_hash(slice bytes);
uint32_t device_of_id(const struct sim *sim, const uint8_t *id); /* UINT32_MAX when unknown */

/* activity.c: calls them all. */
bool activity_on(const struct sim *sim, size_t row);
/* Where the activity keeps what it knows of the whole world, and of one device. */
void **activity_state(struct sim *sim, const struct activity *activity);
void **activity_state_of(struct device *d, const struct activity *activity);
void activities_plan(struct sim *sim);
void activities_configure(struct sim *sim, struct device *d, struct node_config *config);
void activities_started(struct sim *sim, struct device *d);
void activities_stopped(struct sim *sim, struct device *d);
void activities_action(struct sim *sim, struct device *d, const struct action *action);
void activities_calm(struct sim *sim);
bool activities_converged(struct sim *sim, char *why, size_t room);
void activities_end(struct sim *sim);

/* trace.c */
void trace_configure(struct sim *sim, struct device *d, struct node_config *config);
/* The node is gone. */
void trace_check(struct sim *sim, struct device *d);

/* channel.c */
/* A channel with this spec (its slices are copied) and the id that follows from it; who is in it is said with
 * membership_add. */
uint32_t sim_channel_add(struct sim *sim, const struct channel_spec *spec, const uint8_t id[ID_BYTES]);
uint32_t channel_of_id(const struct sim *sim, const uint8_t *id); /* UINT32_MAX when unknown */
/* The device is in the channel from now on. joins: it is to say COMMAND_JOIN or OPEN when it is on the
 * tracker's socket. The pointer is good until the next membership of this device. */
struct membership *membership_add(struct sim *sim, uint32_t channel, struct device *d, bool joins);
struct membership *membership_of(const struct device *d, uint32_t channel); /* NULL when it never was */
bool is_member(const struct device *d, uint32_t channel);
/* The feed of an author in a channel; NULL when nobody has anything of it. */
struct chronicle *chronicle_of(const struct sim *sim, uint32_t channel, uint32_t author);
struct truth *truth_of(struct sim *sim, uint32_t channel, uint32_t author, uint64_t seq);
struct truth *truth_find(const struct sim *sim, uint32_t channel, uint32_t author, uint64_t seq);
void sim_channels_free(struct sim *sim);

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
struct shelf *shelf_of(struct device *d, uint32_t channel, uint32_t author); /* made when it is not there */
struct shelf *shelf_find(const struct device *d, uint32_t channel, uint32_t author); /* or NULL */
struct held *held_find(const struct shelf *shelf, uint64_t seq); /* NULL when nothing was ever held there */
/* The record of a held entry, in sim->record. */
slice held_record(struct sim *sim, const struct shelf *shelf, uint64_t seq);
void held_hide(struct shelf *shelf, uint64_t seq);
void held_show(struct shelf *shelf, uint64_t seq);
void disk_store(struct sim *sim, struct device *d, const struct action *action);
void disk_read(struct sim *sim, struct device *d, const struct action *action);
void disk_crash(struct sim *sim, struct device *d);
void disk_wipe(struct sim *sim, struct device *d);
void disk_free(struct device *d);
/* When a disk answers that begins now, by the faults that there are. */
usec disk_delay(struct sim *sim, struct device *d);
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
/* Actions may come before it returns; see device_send for what that means. */
int64_t device_command(struct sim *sim, struct device *d, const struct command *command);
/* COMMAND_SEND whose DELIVER is checked: the token. */
int64_t device_send(struct sim *sim, struct device *d, uint32_t channel, uint32_t kind, slice body);
/* node_done, and what follows from it. */
void device_done(struct sim *sim, struct device *d, uint64_t token, int result, slice bytes);
struct port *device_port(const struct device *d, uint32_t number);
void device_writable(struct device *d, struct port *port);
struct acquaintance *acquaintance_of(struct device *d, uint32_t other); /* made when it is not there */
struct acquaintance *acquaintance_find(const struct device *d, uint32_t other);

/* tracker.c */
void tracker_dial(struct sim *sim, struct device *d);
/* Joins what the device is a member of and may join by now. */
void join_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2);
void tracker_started(struct sim *sim, struct device *tracker);
void tracker_socket_lost(struct sim *sim, struct device *d);
void tracker_connect(struct sim *sim, struct device *d, uint32_t other, enum path path);
/* A signal came: away from the tracker, two devices find each other by an offer and its answer. */
void tracker_signalled(struct sim *sim, struct device *d, const uint8_t *from, slice bytes);
/* To a device that there is not: somebody has made it up. */
void tracker_connect_nobody(struct sim *sim, struct device *d, const uint8_t *id, enum path path);
/* Whether bytes of a get to b now, and those of b to a. */
bool network_allows(const struct sim *sim, const struct device *a, const struct device *b);
bool network_carries(const struct sim *sim, const struct device *from, const struct device *to);

/* fault.c */
/* One more fault in the list. argument: which device or how long, as `fault.c` says; 0: by its dice. */
void fault_add(struct sim *sim, usec at, enum fault fault, uint64_t argument);
void fault_plan(struct sim *sim);
void fault_stop(struct sim *sim);
void start_event(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2);
void stop_for_a_while(struct sim *sim, struct device *d, usec duration);
/* It runs on, but reaches nobody, and nobody reaches it. */
void cut_off_for_a_while(struct sim *sim, struct device *d, usec duration);

/* hostile.c */
void hostile_new(struct sim *sim, struct device *d);
void hostile_free(struct device *d);
void hostile_act(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2);
void hostile_attached(struct sim *sim, struct device *d, struct port *port, struct pipe *pipe);
size_t hostile_receive(struct sim *sim, struct device *d, struct port *port, slice bytes);
void hostile_lost(struct device *d, uint32_t number);

/* figures.c */
/* The network is whole again: from now on it is measured how long it takes until everybody has everything. */
void recovery_begin(struct sim *sim);
void sim_figure(struct sim *sim, const char *name, uint64_t thousandths);

/* tap.c */
void tap_init(struct sim *sim, const struct crypto *inner);
void tap_free(struct sim *sim);
/* Whether a key that seals bodies or boxes stands in these bytes. */
bool tap_has_key(const struct sim *sim, slice bytes);

/* check.c */
static inline bool honest(const struct device *d)
{
    return d->kind != DEVICE_HOSTILE;
}
void check_action(struct sim *sim, struct device *d, const struct action *action);
void check_link_bytes(struct sim *sim, struct pipe *pipe, uint32_t side, slice bytes);
void check_restored(struct sim *sim, struct device *d);
/* What is shown, or was restored, fits what it was put behind or before. */
void check_chain(struct sim *sim, const struct device *d, const struct shelf *shelf, uint64_t seq);
/* Whether the device shows everything of this channel. */
bool check_holds_all(const struct sim *sim, const struct device *d, uint32_t channel, char *why, size_t room);
/* Whether all members hold the same, and all of it. Says why not when `why` is not NULL. */
bool check_converged(struct sim *sim, char *why, size_t room);
void check_end(struct sim *sim);
/* The mark at the start of every text; SIM_WINDOW_BYTES bytes. */
extern const uint8_t check_mark[SIM_WINDOW_BYTES];
/* True when `bytes` contain the mark. */
bool check_marked(slice bytes);

#endif
