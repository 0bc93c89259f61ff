/* A configuration of the proxy: whatever it is, it is told what is wrong, or means what it says. */
#include "config_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t warnings;
    (void)config_check(slice_of(data, size), "127.0.0.1", &warnings);
    return 0;
}
