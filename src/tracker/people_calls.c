#include "tracker/call.h"

const struct call_row people_calls[] = {
    {0},
};
