/* The simulator as WebAssembly: one call runs one world and leaves its summary as text. What it does follows
 * from its arguments alone; tests/golden/sim-wasm.test.mjs compares it with the native program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sham.h"
#include "sim.h"

static char summary[1024];

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function);

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function)
{
    (void)expression, (void)file, (void)line, (void)function;
    __builtin_trap();
}

__attribute__((export_name("sim_summary"), used)) const char *sim_summary(void);
const char *sim_summary(void)
{
    return summary;
}

__attribute__((export_name("sim_world"), used)) uint32_t sim_world(uint32_t seed, uint32_t nodes,
                                                                   uint32_t seconds, uint32_t faults,
                                                                   uint32_t force);
/* Gives the length of the summary: the line that the native program prints for this seed, without the peak.
 */
uint32_t sim_world(uint32_t seed, uint32_t nodes, uint32_t seconds, uint32_t faults, uint32_t force)
{
    struct sim_options options = {.seed = seed,
                                  .nodes = nodes,
                                  .seconds = seconds,
                                  .faults = faults,
                                  .force = force != 0,
                                  .activities = UINT32_MAX,
                                  .crypto = &crypto_sham};
    struct sim_report r;
    (void)sim_run(&options, &r);
    return (uint32_t)sim_print(&options, &r, summary, sizeof summary);
}
