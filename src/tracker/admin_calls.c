#include "tracker/call.h"

const struct call_row admin_calls[] = {
    {0},
};
