/* The heads that the proxy writes: the first byte says whether what follows is a request or an answer, the
 * second one what the proxy knows besides. */
#include <stdint.h>

#include "rewrite_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    slice text = slice_of(data + 2, size - 2);
    (void)(data[0] & 1 ? rewrite_check_answer(text, data[1]) : rewrite_check_request(text, data[1]));
    return 0;
}
