/* memory_test.c - any one allocation of a core may fail: nothing crashes, nothing leaks, and once memory is
 * there again, nothing is missing anywhere. Small worlds of the simulator, one run for each allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "simulator/sham.h"
#include "simulator/sim.h"

enum { SEEDS = 2, CHAT = 1, ALL_ACTIVITIES = 0x1f };

/* Runs the world once for every `stride`-th allocation of the device. */
static void every_allocation_fails_once(uint64_t seed, uint32_t nodes, uint32_t faults, uint32_t activities,
                                        uint32_t device, uint64_t stride)
{
    struct sim_options options = {.seed = seed,
                                  .nodes = nodes,
                                  .seconds = 20,
                                  .faults = faults,
                                  .force = true,
                                  .activities = activities,
                                  .force_activities = true,
                                  .crypto = &crypto_sham,
                                  .fail_device = device};
    struct sim_report report;
    assert_int_equal(sim_run(&options, &report), OK);
    uint64_t allocations = report.allocations, entries = report.entries;
    assert_true(allocations > 50 && entries > nodes);
    for (uint64_t n = 1; n <= allocations; n += stride) {
        options.fail_at = n;
        if (sim_run(&options, &report) != OK)
            fail_msg("sim --seed %llu --nodes %u --seconds 20 --faults %x --activities %x --fail %u:%llu: %s",
                     (unsigned long long)seed, nodes, faults, activities, device, (unsigned long long)n,
                     report.message);
    }
}

static void a_person_without_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 100 + SEEDS; seed++)
        every_allocation_fails_once(seed, 2, 0, CHAT, 1, 1);
}

static void a_replica_without_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 200 + SEEDS; seed++)
        every_allocation_fails_once(seed, 2, 0, CHAT, 0, 1);
}

static void a_person_without_memory_among_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 300; seed < 300 + SEEDS; seed++)
        every_allocation_fails_once(seed, 4, FAULT_CRASH | FAULT_CUT | FAULT_DISK_FAILS | FAULT_CHANNELS,
                                    ALL_ACTIVITIES, 2, 19);
}

static void a_replica_without_memory_among_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 400; seed < 400 + SEEDS; seed++)
        every_allocation_fails_once(seed, 4, FAULT_OUTAGE | FAULT_CUT | FAULT_DISK_FAILS | FAULT_HOSTILE,
                                    ALL_ACTIVITIES, 0, 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_without_memory),
        cmocka_unit_test(a_replica_without_memory),
        cmocka_unit_test(a_person_without_memory_among_faults),
        cmocka_unit_test(a_replica_without_memory_among_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
