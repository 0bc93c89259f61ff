/* node_restore: any sequence of records is taken or refused in words, and the node works afterwards. */
#include <stdlib.h>
#include <string.h>

#include "node_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    slice input = slice_of(data, size);
    world_open(&w);
    while (input.len > 0) {
        int rc = node_restore(w.node, take_piece(&input), w.now);
        if (rc != OK && err_class_of(rc) != ERR_CLASS_SYSTEM && err_class_of(rc) != ERR_CLASS_LIMIT) abort();
    }
    world_join(&w);
    world_link(&w, true);
    struct command send = {
        .kind = COMMAND_SEND, .channel = w.channel, .entry_kind = ENTRY_TEXT, .bytes = SLICE("\x81\x41x")};
    (void)!node_command(w.node, &send, w.now);
    world_drain(&w);
    w.now += 20 * SECONDS;
    node_tick(w.node, w.now);
    world_drain(&w);
    world_close(&w);
    return 0;
}
