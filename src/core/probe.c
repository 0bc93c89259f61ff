#include "core/probe.h"

#include "core/state.h"

uint64_t node_probe(const struct node *n, enum probe probe)
{
    return n->probes[probe];
}

const char *probe_name(enum probe probe)
{
    static const char *const names[] = {
#define X(name) #name,
        PROBE_TABLE(X)
#undef X
    };
    return probe < PROBES ? names[probe] : "?";
}
