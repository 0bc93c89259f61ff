#include "tracker/call.h"

const struct call_row channel_calls[] = {
    {0},
};
