/* trace_text.h - the calls of a trace and what came of them, as lines for people. Secrets are left out: keys
 * and seeds, and bytes that are not text. */
#ifndef CLI_TRACE_TEXT_H
#define CLI_TRACE_TEXT_H

#include <stdio.h>

#include "core/trace.h"

struct trace_text {
    FILE *out;
    usec began; /* of the first call; times are printed since then */
};

void trace_text_call(struct trace_text *text, const struct trace_call *call);
void trace_text_action(struct trace_text *text, const struct action *action);
void trace_text_sent(struct trace_text *text, uint32_t link, slice bytes);

#endif
