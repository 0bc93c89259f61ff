#include "tracker/call.h"

const struct call_row account_calls[] = {
    {0},
};
