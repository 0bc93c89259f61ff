/* The table of worlds with a name. A world says what it consists of (configure) and what is peculiar to its
 * course (plan); the first one is the default. */
#include "sim.h"

#include <string.h>

/* Anything: few or many, each fault and each activity in or out by the seed. */
static void mixed(struct sim *sim, struct setup *setup)
{
    struct dice *dice = &sim->dice;
    uint64_t kind = dice_below(dice, 100);
    uint32_t nodes = (uint32_t)(kind < 65   ? dice_between(dice, 2, 6)
                                : kind < 92 ? dice_between(dice, 7, 15)
                                            : dice_between(dice, 16, 50));
    if (sim->options.nodes) nodes = sim->options.nodes;
    uint64_t hostile = 1 + dice_below(dice, nodes / 3);
    setup->hostile = (setup->faults & FAULT_HOSTILE) && nodes >= 3 ? (uint32_t)hostile : 0;
    setup->persons = nodes - setup->hostile;
    setup->duration = dice_between(dice, 20, 120) * SECONDS;
    setup->channels = setup->faults & FAULT_CHANNELS ? 3 : 1;
    setup->messages = dice_between(dice, 10, 300);
    setup->same_account = dice_chance(dice, 500);
}

static void pair(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 2;
    setup->faults &= (uint32_t)~FAULT_HOSTILE;
}

static void class_of_30(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 30;
    setup->messages = 600;
    setup->faults &= (uint32_t)~FAULT_HOSTILE;
}

/* Thousands in one channel of whom a few write. */
static void large(struct setup *setup, uint32_t persons, uint32_t speakers)
{
    setup->persons = persons;
    setup->speakers = speakers;
    setup->messages = 100;
    setup->quiet = true;
    setup->presence = 32;
    setup->start_spread = 20 * SECONDS;
    setup->faults = 0;
    setup->activities &= 1;
    setup->delay_mean_max = 750 * MILLISECONDS;
    setup->copies_thousandths_max = 1250;
}

static void channel_1000(struct sim *sim, struct setup *setup)
{
    (void)sim;
    large(setup, 1000, 20);
}

static void channel_10000(struct sim *sim, struct setup *setup)
{
    (void)sim;
    large(setup, 10000, 20);
}

static void outage(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 20;
    setup->messages = 400;
    setup->duration = 180 * SECONDS;
    setup->faults &= FAULT_CUT | FAULT_CRASH | FAULT_NO_DIRECT | FAULT_DISK_SLOW;
}

static void outage_plan(struct sim *sim)
{
    fault_add(sim, sim->now + 30 * SECONDS, FAULT_OUTAGE, 120);
}

static void churn(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 30;
    setup->messages = 400;
    setup->duration = 180 * SECONDS;
    setup->faults &= FAULT_CUT | FAULT_CRASH | FAULT_NO_DIRECT | FAULT_DISK_SLOW | FAULT_LATE;
}

/* Half of the persons start anew within each minute. */
static void churn_plan(struct sim *sim)
{
    struct dice dice = dice_stream(sim->options.seed, 20, 0);
    for (usec minute = sim->now; minute < sim->faults_end; minute += 60 * SECONDS)
        for (uint32_t i = 1; i <= sim->setup.persons; i++) {
            usec at = minute + dice_below(&dice, 60 * SECONDS);
            if (dice_chance(&dice, 500)) fault_add(sim, at, FAULT_CRASH, i);
        }
}

/* Disks that hang while so much is written that a core has more under way than it allows: its links wait. */
static void backlog(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 6;
    setup->messages = 12000;
    setup->pause_least = 5 * MILLISECONDS;
    setup->pause_most = 40 * MILLISECONDS;
    setup->faults &= FAULT_CUT | FAULT_CRASH | FAULT_NO_DIRECT;
    setup->activities = 1;
}

static void backlog_plan(struct sim *sim)
{
    for (uint32_t i = 0; i < 3; i++)
        fault_add(sim, sim->now + (8 + 15 * i) * SECONDS, FAULT_DISK_SLOW, 1 + i);
}

/* Everybody comes within two seconds into a channel where some have written. */
static void crowd(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 200;
    setup->speakers = 10;
    setup->messages = 300;
    setup->presence = 32;
    setup->duration = 60 * SECONDS;
    setup->faults = 0;
    setup->activities &= 1;
    setup->delay_mean_max = 500 * MILLISECONDS;
    setup->copies_thousandths_max = 1250;
}

static void regions(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 24;
    setup->regions = 3;
    setup->messages = 400;
    setup->duration = 240 * SECONDS;
    setup->faults &= FAULT_CUT | FAULT_NO_DIRECT | FAULT_DISK_SLOW | FAULT_CLOCK;
}

static void regions_plan(struct sim *sim)
{
    for (uint32_t i = 0; i < 3; i++) /* one region after the other is on its own for 40 seconds */
        fault_add(sim, sim->now + (20 + 70 * i) * SECONDS, FAULT_PARTITION, 40 << 8 | 1u << i);
}

static void hostile_20(struct sim *sim, struct setup *setup)
{
    (void)sim;
    setup->persons = 20;
    setup->hostile = 5;
    setup->messages = 300;
    setup->faults |= FAULT_HOSTILE;
}

/* One file of 8 MiB from one to fifty. Faults only when they are asked for (--faults). */
static void swarm(struct sim *sim, struct setup *setup)
{
    setup->persons = 51;
    setup->messages = 100;
    setup->start_spread = 5 * SECONDS;
    setup->duration = 60 * SECONDS;
    setup->file_bytes = UINT64_C(8) << 20;
    setup->activities = 3;
    if (!sim->options.force) setup->faults = 0;
}

const struct world sim_worlds[] = {
    {"mixed", "2 to 50 devices; faults and activities by the seed", mixed, NULL},
    {"pair", "two persons", pair, NULL},
    {"class", "30 persons", class_of_30, NULL},
    {"channel-1000", "1,000 persons in one channel, 20 of them write", channel_1000, NULL},
    {"channel-10000", "10,000 persons in one channel, 20 of them write", channel_10000, NULL},
    {"outage", "20 persons, the tracker is away for two of three minutes", outage, outage_plan},
    {"churn", "30 persons, half of them start anew in each minute", churn, churn_plan},
    {"backlog", "6 persons, 12,000 messages, and disks that hang for 20 seconds", backlog, backlog_plan},
    {"crowd", "200 persons come within two seconds", crowd, NULL},
    {"regions", "three regions, each cut off for a while", regions, regions_plan},
    {"hostile", "20 persons and 5 who break the rules", hostile_20, NULL},
    {"swarm", "one file from one to 50", swarm, NULL},
};
const size_t sim_worlds_len = sizeof sim_worlds / sizeof sim_worlds[0];

const struct world *world_of_name(const char *name)
{
    for (size_t i = 0; i < sim_worlds_len; i++)
        if (strcmp(sim_worlds[i].name, name) == 0) return &sim_worlds[i];
    return NULL;
}
