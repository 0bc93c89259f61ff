/* node_receive before anything is known of the other side: raw bytes in pieces, and time that passes. */
#include "node_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    slice input = slice_of(data, size);
    world_open(&w);
    world_join(&w);
    world_link(&w, false);
    while (input.len > 0 && w.linked) {
        uint8_t step = take_byte(&input);
        slice piece = slice_sub(input, 0, step);
        input = slice_sub(input, piece.len, input.len);
        world_bytes(&w, piece);
        if (step < 16) {
            w.now += step * SECONDS;
            node_tick(w.node, w.now);
            world_drain(&w);
        }
    }
    world_close(&w);
    return 0;
}
