/* world.h - a few nodes in one process, with perfect pipes and a disk each, for unit tests. Time stands still
 * unless world_run moves it. (sim/ has the worlds with faults.) */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "core/node.h"
#include "core/trace.h"
#include "crypto/native.h"

enum { PLACES = 6, RECORDS = 1500, DELIVERIES = 3000, LINKS = 256 };

struct stored {
    uint8_t bytes[NODE_RECORD_BYTES_MAX];
    size_t len;
    uint8_t channel[32], author[32];
    uint64_t seq;
};

struct delivery {
    uint8_t channel[32], author[32];
    uint64_t seq, token;
    uint32_t kind;
    bool locked, withdrawn;
    enum path path;
    uint8_t from[32];
    char account[32];
    char text[64];
};

/* The last SESSION. */
struct session_seen {
    enum session_state state;
    enum session_reason reason;
    uint8_t id[NODE_SESSION_BYTES];
    char account[32], line[NODE_LINE_BYTES_MAX + 1];
    uint64_t until_ms;
    int count, questions; /* SESSIONs, and those with state ASKING, that came in all */
};

struct place {
    struct node *node;
    const struct crypto *crypto;       /* NULL: the native one */
    const struct allocator *allocator; /* NULL: the C library's */
    uint8_t seed[32];
    char name[32]; /* account */
    struct stored *disk;
    size_t records;
    struct delivery delivered[DELIVERIES];
    size_t deliveries;
    uint64_t acknowledged[PLACES]; /* DELIVERED by the device of that place */
    uint64_t acknowledged_from[PLACES];
    enum path acknowledged_path[PLACES];
    struct {
        uint64_t from, upto; /* the last GAP about the device of that place; from > upto: none */
        int told;
    } gaps[PLACES];
    int64_t history_token; /* of the last HISTORY */
    uint64_t history_came;
    int history_result;
    bool lossy;                         /* restore may leave out records, after stores that failed ... */
    int corrupt;                        /* ... so many */
    int introduced, excluded, unlocked; /* CHANNEL, with a result other than OK, UNLOCKED */
    struct session_seen session;
    int closes, last_close, warnings, connects;
    int calls[64]; /* CONNECTs over DIRECT: places, -1 for other devices; a test may take them out */
    size_t calls_len;
    int called; /* ... all that there were */
    int signals;
    char signal[64]; /* the last one */
    uint8_t signal_from[32];
    char last_text[256];
    enum path peer_path[PLACES], connect_path;
    char stranger[64]; /* account in the last PEER of a device that is no place */
    int store_result;  /* what STOREs end with */
    int fail_every;    /* ... and each so many-th of them fails */
    int stores;
    int read_result;  /* what READs end with */
    bool hold_stores; /* STOREs stay open */
    uint64_t held[64];
    size_t held_len;
    struct buffer trace; /* of the node's life; must replay the same at its end, in every test */
};

struct world {
    usec now;
    struct node_config config; /* of every node that is made, but for its role and seeds */
    struct place places[PLACES];
    uint8_t authority_seed[32], authority[32], channel[32];
    struct {
        int a, b; /* places; the link's number is its index at both */
        bool up, cut;
        long bytes_of[2];
        long cut_after[2]; /* so many bytes of this side get through, then the link breaks; 0: all */
    } links[LINKS];
    int links_len;
};

struct world *world_new(void);
void world_free(struct world *w);
/* Ends the node of this place and replays its trace: the same must come out. */
void world_end(struct world *w, int place);
/* Place 0 is the tracker's replica when role says so; others are persons with a certificate, joined. */
void world_add(struct world *w, int place, enum node_role role, const char *account);
/* A person with a certificate, in no channel yet. */
void world_enter(struct world *w, int place, const char *account);
void world_restart(struct world *w, int place);
/* A pipe from a to b, a the initiator; returns its number. */
int world_link(struct world *w, int a, int b, enum path path);
void world_cut(struct world *w, int link);
/* Somebody new, at a free place, says something to the device at `host` and is gone for ever. */
void world_visit(struct world *w, int place, uint32_t number, int host, const char *text);
/* Moves bytes and actions until nothing moves. */
void world_settle(struct world *w);
/* Lets time pass, in steps to the next deadline. */
void world_run(struct world *w, usec time);
/* Says, hears and stores in this channel from now on; its id is put into w->channel. */
void world_use(struct world *w, const struct channel_spec *spec);
int64_t world_open(struct world *w, int place, const struct channel_spec *spec);
int64_t world_member(struct world *w, int place, const char *account, bool on);
void world_relate(struct world *w, int place, const char *account, enum relation relation);
/* What the records of this place show now in w->channel, by node_view: how often this text, unlocked. */
int world_shows(struct world *w, int place, const char *text);
int64_t world_say(struct world *w, int place, const char *text);
/* How often place has this text in its deliveries. */
int world_heard(const struct world *w, int place, const char *text);
const uint8_t *world_device(const struct world *w, int place);
int world_certificate(const struct world *w, const uint8_t *device, const char *account, uint8_t out[512]);

#endif
