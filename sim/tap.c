/* The crypto table that the devices are given: the one of the options, but for the opening of link messages,
 * which is counted by kind. Everything else goes straight to the inner functions, which use no context. */
#include "sim.h"

#include "base/cbor.h"
#include "core/message.h"

static bool tap_open(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                     slice associated, slice sealed)
{
    struct sim *sim = context;
    bool good = sim->tap.inner->open(sim->tap.inner->context, out, key, counter, associated, sealed);
    if (!good || associated.len > 0) return good; /* of a handshake */
    struct cbor_reader r = {slice_of(out, sealed.len - TAG_BYTES), false};
    uint64_t count = cbor_array(&r, 1000), kind = cbor_uint(&r, UINT64_MAX);
    if (r.failed || count == 0) return true;
    if (kind == MESSAGE_ENTRY && !sim->calm && sim->reader != UINT32_MAX &&
        sim->devices[sim->reader].kind == DEVICE_PERSON) {
        sim->report.copies++;
        sim->report.copy_bytes += sealed.len;
    }
    sim->report.messages[kind < SIM_KINDS ? kind : SIM_KINDS - 1]++;
    return true;
}

void tap_init(struct sim *sim, const struct crypto *inner)
{
    sim->tap.inner = inner;
    sim->tap.table = *inner;
    sim->tap.table.context = sim;
    sim->tap.table.open = tap_open;
}
