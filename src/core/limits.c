#include "core/limits.h"

#include <string.h>

#include "core/message.h"
#include "core/state.h"

/* What one costs, and how much may come at once: a rate of 1 / cost and a burst of depth / cost. */
#define MESSAGE_US 200 /* 5,000 a second, 50,000 at once */
#define MESSAGES_DEPTH_US (10 * SECONDS)
#define BYTES_IN_US 8 /* 8 MB a second, 64 MB at once */
#define BYTES_DEPTH_US (8 * SECONDS)
#define COSTLY_US 1000 /* 1,000 a second, 20,000 at once */
#define DEAR_US 4000   /* 250 a second, 5,000 at once: these look at all authors of a channel */
#define COSTLY_DEPTH_US (20 * SECONDS)
#define USELESS_US 1000 /* 1,000 a second, 50,000 at once, fewer of large ones */
#define USELESS_DEPTH_US (50 * SECONDS)
#define ODD_US (10 * SECONDS) /* 100 at once, then one in 10 seconds */
#define ODD_DEPTH_US (100 * ODD_US)
#define BAN_US (10 * SECONDS)
#define BAN_MAX_US (600 * SECONDS)
#define BAN_MEMORY_US (600 * SECONDS) /* how long the next one is longer than the last */

static bool take(struct allowance *a, usec now, usec cost, usec depth)
{
    if (a->full_at < now) a->full_at = now;
    if (a->full_at - now > depth - cost) return false;
    a->full_at += cost;
    return true;
}

/* Beyond what every message costs. */
static usec price_of(uint64_t kind)
{
    switch (kind) {
    case MESSAGE_RECENT:
    case MESSAGE_DIGEST: return DEAR_US;
    case MESSAGE_CARRY:
    case MESSAGE_RECEIPT:
    case MESSAGE_INTRODUCE:
    case MESSAGE_SIGNAL:
    case MESSAGE_SHUFFLE: return COSTLY_US;
    default: return 0;
    }
}

static void too_much(struct node *n, struct pipe *p, const char *text)
{
    limits_ban(n, p);
    pipe_close(n, p, ERR_FULL, text);
}

bool limits_message(struct node *n, struct pipe *p, uint64_t kind, size_t len)
{
    struct limits *l = &p->limits;
    if (kind == MESSAGE_ENTRY || kind == MESSAGE_FILE_DATA) return true;
    if (take(&l->messages, n->now, MESSAGE_US, MESSAGES_DEPTH_US) &&
        take(&l->bytes, n->now, len / BYTES_IN_US, BYTES_DEPTH_US) &&
        take(&l->costly, n->now, price_of(kind), COSTLY_DEPTH_US))
        return true;
    too_much(n, p, "more messages came over this link than a device needs to send");
    return false;
}

void limits_useless(struct node *n, struct pipe *p, size_t len)
{
    usec cost = USELESS_US + len / BYTES_IN_US;
    if (take(&p->limits.useless, n->now, cost, USELESS_DEPTH_US)) return;
    too_much(n, p, "too many messages came over this link that are here already, or do not fit");
}

bool limits_odd(struct node *n, struct pipe *p)
{
    return take(&p->limits.odd, n->now, ODD_US, ODD_DEPTH_US);
}

/* --- who is left outside --- */

/* The device's row, else the one whose time was over first. */
static struct ban *ban_of(struct bans *bans, const uint8_t *device, bool *out_known)
{
    struct ban *oldest = &bans->bans[0];
    *out_known = true;
    for (uint32_t i = 0; i < BANS_MAX; i++) {
        struct ban *b = &bans->bans[i];
        if (b->pause > 0 && memcmp(b->device, device, ID_BYTES) == 0) return b;
        if (b->until < oldest->until) oldest = b;
    }
    *out_known = false;
    return oldest;
}

void limits_ban(struct node *n, const struct pipe *p)
{
    bool again;
    if (!p->open_done) return; /* who it is was never proved */
    struct ban *b = ban_of(&n->bans, p->link.device, &again);
    again = again && n->now < b->until + BAN_MEMORY_US;
    b->pause = !again ? BAN_US : b->pause < BAN_MAX_US / 2 ? b->pause * 2 : BAN_MAX_US;
    b->until = n->now + b->pause;
    memcpy(b->device, p->link.device, ID_BYTES);
}

bool limits_banned(const struct node *n, const uint8_t *device)
{
    for (uint32_t i = 0; i < BANS_MAX; i++) {
        const struct ban *b = &n->bans.bans[i];
        if (n->now < b->until && memcmp(b->device, device, ID_BYTES) == 0) return true;
    }
    return false;
}
