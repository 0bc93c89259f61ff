#include "shrink.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

struct shrinking {
    struct sim_options best;
    struct sim_report failure;
    uint32_t *skip; /* of best; as long as there are planned faults */
    uint32_t tried;
    clock_t until;
};

static bool over(const struct shrinking *s)
{
    return clock() >= s->until;
}

/* The same words, whatever the numbers in them. */
static bool same_failure(const char *a, const char *b)
{
    for (;;) {
        while (isdigit((unsigned char)*a))
            a++;
        while (isdigit((unsigned char)*b))
            b++;
        if (*a != *b) return false;
        if (!*a) return true;
        a++, b++;
    }
}

/* Keeps the world when it fails in the same way. */
static bool attempt(struct shrinking *s, const struct sim_options *options)
{
    struct sim_report report;
    if (over(s)) return false;
    s->tried++;
    if (sim_run(options, &report) == OK || !same_failure(report.message, s->failure.message)) return false;
    s->best = *options;
    s->failure = report;
    return true;
}

/* --- planned faults: leaves out pieces of the plan, large ones first --- */

static bool is_skipped(const struct sim_options *o, uint32_t number)
{
    for (size_t i = 0; i < o->skip_len; i++)
        if (o->skip[i] == number) return true;
    return false;
}

/* best with from..upto left out as well; its list is allocated. */
static struct sim_options without(const struct shrinking *s, uint32_t from, uint32_t upto, uint32_t planned)
{
    struct sim_options o = s->best;
    uint32_t *skip = must_alloc((planned + 1) * sizeof *skip);
    o.skip_len = 0;
    for (uint32_t i = 0; i < planned; i++)
        if ((i >= from && i < upto) || is_skipped(&s->best, i)) skip[o.skip_len++] = i;
    o.skip = skip;
    return o;
}

static bool drop_faults(struct shrinking *s)
{
    bool progress = false;
    uint32_t planned = s->failure.planned;
    for (uint32_t size = planned; size > 0; size /= 2)
        for (uint32_t from = 0; from < planned && !over(s); from += size) {
            uint32_t upto = from + size < planned ? from + size : planned;
            struct sim_options o = without(s, from, upto, planned);
            bool more = o.skip_len > s->best.skip_len;
            if (more && attempt(s, &o)) {
                free(s->skip);
                s->skip = (uint32_t *)o.skip;
                progress = true;
            } else {
                free((uint32_t *)o.skip);
            }
        }
    return progress;
}

/* --- all else --- */

static bool drop_bits(struct shrinking *s, bool activities)
{
    bool progress = false;
    for (uint32_t bit = 1; bit != 0 && !over(s); bit <<= 1) {
        struct sim_options o = s->best;
        uint32_t now = activities ? s->failure.activities : s->failure.faults;
        if (!(now & bit)) continue;
        if (activities)
            o.activities = now & ~bit, o.force_activities = true;
        else
            o.faults = now & ~bit, o.force = true;
        progress = attempt(s, &o) || progress;
    }
    return progress;
}

/* The least value of one field with which it still fails. Small worlds take little time, so it begins with
 * them: fewer of something is not always a part of more. */
static bool less_of(struct shrinking *s, size_t field, uint32_t now, uint32_t least)
{
    for (uint32_t value = least; value < now && !over(s); value += 1 + value / 3) {
        struct sim_options o = s->best;
        *(uint32_t *)(void *)((uint8_t *)&o + field) = value;
        if (attempt(s, &o)) return true;
    }
    return false;
}

uint32_t shrink(struct sim_options *options, struct sim_report *report, unsigned seconds)
{
    struct shrinking s = {
        .best = *options, .failure = *report, .until = clock() + (clock_t)seconds * CLOCKS_PER_SEC};
    s.best.tell = NULL;
    for (bool progress = true; progress && !over(&s);) {
        progress = less_of(&s, offsetof(struct sim_options, nodes), s.failure.nodes, 2);
        progress = drop_bits(&s, true) || progress;
        progress = drop_bits(&s, false) || progress;
        progress = less_of(&s, offsetof(struct sim_options, seconds), s.failure.seconds, 1) || progress;
        progress = less_of(&s, offsetof(struct sim_options, messages), s.failure.written, 1) || progress;
        progress = drop_faults(&s) || progress;
    }
    s.best.tell = options->tell;
    while (s.best.skip_len > 0 && s.best.skip[s.best.skip_len - 1] >= s.failure.planned)
        s.best.skip_len--; /* of a longer plan */
    *options = s.best;
    *report = s.failure;
    return s.tried;
}
