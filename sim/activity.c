/* The table of what persons do. A new one is a file act_NAME.c and a row here (at the end: a row's number is
 * its bit in --activities). */
#include "sim.h"

const struct activity *const sim_activities[] = {
    &activity_chat, &activity_files, &activity_session, &activity_sealed, &activity_history,
};
const size_t sim_activities_len = sizeof sim_activities / sizeof sim_activities[0];

bool activity_on(const struct sim *sim, size_t row)
{
    return sim->report.activities >> row & 1;
}

static size_t row_of(const struct activity *activity)
{
    size_t row = 0;
    while (sim_activities[row] != activity)
        row++;
    return row;
}

void **activity_state(struct sim *sim, const struct activity *activity)
{
    return &sim->activity[row_of(activity)];
}

void **activity_state_of(struct device *d, const struct activity *activity)
{
    return &d->activity[row_of(activity)];
}

#define EACH(sim, row, member)                                                                               \
    for (size_t row = 0; row < sim_activities_len; row++)                                                    \
        if (activity_on(sim, row) && sim_activities[row]->member)

void activities_plan(struct sim *sim)
{
    EACH(sim, i, plan) sim_activities[i]->plan(sim);
}

void activities_configure(struct sim *sim, struct device *d, struct node_config *config)
{
    EACH(sim, i, configure) sim_activities[i]->configure(sim, d, config);
}

void activities_started(struct sim *sim, struct device *d)
{
    EACH(sim, i, started) sim_activities[i]->started(sim, d);
}

void activities_stopped(struct sim *sim, struct device *d)
{
    if (sim->over) return; /* what they knew is gone */
    EACH(sim, i, stopped) sim_activities[i]->stopped(sim, d);
}

void activities_action(struct sim *sim, struct device *d, const struct action *action)
{
    EACH(sim, i, action) sim_activities[i]->action(sim, d, action);
}

void activities_calm(struct sim *sim)
{
    EACH(sim, i, calm) sim_activities[i]->calm(sim);
}

bool activities_converged(struct sim *sim, char *why, size_t room)
{
    EACH(sim, i, converged)
    if (!sim_activities[i]->converged(sim, why, room)) return false;
    return true;
}

void activities_end(struct sim *sim)
{
    EACH(sim, i, end) sim_activities[i]->end(sim);
    sim->over = true;
}
