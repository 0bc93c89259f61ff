#include "proxy/config.h"

const char *policy_name(enum policy policy)
{
    static const char *const names[] = {[POLICY_ROUND_ROBIN] = "round-robin",
                                        [POLICY_LEAST_CONN] = "least-conn",
                                        [POLICY_RANDOM_TWO] = "random-two",
                                        [POLICY_IP_HASH] = "ip-hash",
                                        [POLICY_STICKY] = "sticky"};
    return names[policy];
}
