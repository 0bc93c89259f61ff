/* shrink.h - makes a world that fails smaller, as long as it fails in the same way, so that a person can read
 * its story. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim.h"

/* Leaves out planned faults, kinds of faults, activities, messages, devices and time, greedily, until nothing
 * more can go or so much processor time is over. On return *options describes the smallest world that was
 * found, and *report how it fails; options->skip is allocated anew when it changes (never freed here). Gives
 * the number of worlds that were tried. `report`: of the world as it is in *options. */
uint32_t shrink(struct sim_options *options, struct sim_report *report, unsigned seconds);

#endif
