/* history.c - asking for the newest entries first: when, whom, and what the shell hears of it. */
#include <string.h>

#include "core/state.h"

bool history_asking(const struct channel *c)
{
    return c->history.link != NONE;
}

static bool ask(struct node *n, struct channel *c, struct pipe *p, uint64_t before_ms, uint32_t count)
{
    uint8_t plain[64];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_recent(&w, c->id, before_ms, count);
    if (!pipe_control(n, p, writer_slice(&w))) return false;
    for (uint32_t i = 0; c->on_demand && i < c->authors_len; i++)
        c->authors[i].moved = false;
    c->history.link = p->slot;
    c->history.since = n->now;
    c->history.taken = 0;
    c->history.at = n->now + WANT_PATIENCE_US;
    timer_arm(n, TIMER_HISTORY, c->index, 0, c->history.at);
    return true;
}

/* --- COMMAND_HISTORY --- */

static void ready(struct node *n, struct history *h, int result)
{
    h->ended = true;
    h->result = result;
    if (h->open == 0) n->histories++;
}

/* It has taken too long. What is still under way is shown when it comes. */
static void ready_late(struct node *n, struct channel *c)
{
    struct history *h = &c->history;
    if (h->ended && h->open == 0) return; /* about to be told */
    h->ended = true;
    h->result = h->came > 0 ? OK : ERR_TIMEOUT;
    if (h->link != NONE && h->page == 0) h->page = HISTORY_LATE;
    n->histories++;
}

/* Asks the next member; without one the answer is there already. */
static void command_ask(struct node *n, struct channel *c)
{
    struct history *h = &c->history;
    if (h->token == 0 || h->ended || h->link != NONE) return;
    h->page = 0;
    while (h->tries < HISTORY_TRIES_MAX && h->tries < c->members_len) {
        h->tries++;
        c->member_next =
            (c->member_next + 1) % c->members_len; /* the next question begins with another one */
        struct pipe *p = n->pipes[c->members[c->member_next]];
        const struct share *s = share_of(p, c->index);
        if (h->tries > 1) PROBE(n, HISTORY_NEXT_MEMBER);
        if (s->vector && ask(n, c, p, 0, h->count)) return;
    }
    ready(n, h, h->came > 0 ? OK : h->result);
}

int history_command(struct node *n, const struct command *command, uint64_t *out_token)
{
    uint32_t channel;
    struct channel *c = channel_find(n, command->channel, &channel);
    if (!c || !c->carried || c->leaving) return ERR_NOT_FOUND;
    if (command->count == 0) return ERR_INVALID;
    if (c->history.token != 0) return ERR_BUSY;
    bool large = command->count > MESSAGE_RECENT_COUNT_MAX;
    struct history *h = &c->history;
    h->token = *out_token = ++n->tokens;
    h->count = large ? MESSAGE_RECENT_COUNT_MAX : command->count;
    h->came = h->tries = 0;
    h->ended = false;
    h->result = ERR_TIMEOUT;
    h->until = n->now + HISTORY_ANSWER_US;
    timer_arm(n, TIMER_HISTORY, channel, 0, h->until);
    command_ask(n, c);
    return OK;
}

bool history_next(struct node *n, struct action *out)
{
    if (n->histories == 0) return false;
    for (uint32_t i = 0; i < n->channels_len; i++) {
        struct history *h = &n->channels[i]->history;
        if (h->token == 0 || !h->ended || (h->open > 0 && h->until > n->now)) continue;
        out->kind = ACTION_HISTORY;
        out->channel = n->channels[i]->id;
        out->token = h->token;
        out->seq = h->came;
        out->result = h->result;
        h->token = 0;
        n->histories--;
        return true;
    }
    n->histories = 0;
    return false;
}

bool history_takes(const struct node *n, const struct channel *c, const uint8_t *from)
{
    uint32_t link = c->history.link;
    return link != NONE && memcmp(n->pipes[link]->link.device, from, ID_BYTES) == 0;
}

void history_stored(struct node *n, struct op *op, bool released)
{
    struct history *h = &n->channels[op->channel]->history;
    if (!op->recent) return;
    op->recent = false;
    h->open--;
    if (h->token == 0) return;
    h->came += released;
    if (h->open == 0 && h->ended) n->histories++;
}

/* --- catching up --- */

static bool catch_up(struct node *n, struct channel *c, uint32_t slot)
{
    if (!ask(n, c, n->pipes[slot], 0, HISTORY_SCREEN)) return false;
    c->history.page = 1;
    c->history.screens++;
    PROBE(n, CATCH_UP);
    return true;
}

/* On demand: a member that may hold something of the newest and was not asked yet, or long ago. */
static uint32_t next_due(struct node *n, struct channel *c)
{
    usec at = NEVER;
    for (uint32_t k = 0; k < c->members_len; k++) {
        uint32_t slot = c->members[(c->member_next + k) % c->members_len];
        struct share *s = share_of(n->pipes[slot], c->index);
        if (s->due && !s->overflow && !screen_ahead(c, s)) s->due = false;
        if (!s->due || c->leaving) continue;
        if (s->due_at > n->now) {
            if (s->due_at < at) at = s->due_at;
            continue;
        }
        s->due_pause = s->due_pause == 0 ? HISTORY_REST_US : s->due_pause * 2;
        if (s->due_pause > DOUBT_MAX_US) s->due_pause = DOUBT_MAX_US;
        s->due_at = n->now + s->due_pause;
        return slot;
    }
    if (at != NEVER) timer_arm(n, TIMER_HISTORY, c->index, 0, at);
    return NONE;
}

/* Nothing is under way any more: what was put off goes on. */
static void go_on(struct node *n, struct channel *c)
{
    struct history *h = &c->history;
    h->link = NONE;
    h->page = 0;
    command_ask(n, c);
    if (h->link != NONE) return;
    uint32_t next = c->on_demand ? next_due(n, c) : h->next;
    h->next = NONE;
    if (next != NONE && catch_up(n, c, next)) return;
    if (c->on_demand) screen_fill(n, c);
    want_next(n, c->index);
}

/* The member that was to bring the newest, or about to be asked for them, is silent or gone. */
static void ask_another(struct node *n, struct channel *c)
{
    struct history *h = &c->history;
    h->next = NONE;
    if (c->on_demand) return; /* each of them is asked, if need be */
    for (uint32_t k = 0; k < c->members_len && k < WANT_PROBES && h->screens < HISTORY_TRIES_MAX; k++) {
        c->member_next = (c->member_next + 1) % c->members_len;
        uint32_t slot = c->members[c->member_next];
        if (slot == h->link || !share_of(n->pipes[slot], c->index)->vector) continue;
        PROBE(n, CATCH_UP_ELSEWHERE);
        h->next = slot;
        return;
    }
}

void history_consider(struct node *n, struct pipe *p, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    struct history *h = &c->history;
    struct share *s = share_of(p, channel);
    bool far = !c->on_demand && (s->missing > HISTORY_FAR || s->overflow) && !c->leaving;
    s->missing = 0;
    if (c->on_demand) {
        screen_measure(c);
        s->due = true; /* if it is ahead then */
        s->due_at = n->now;
        s->due_pause = 0;
    }
    if (far && (h->link == NONE || h->page == 0) && h->next == NONE) {
        h->screens = 0;
        h->next = p->slot;
    }
    /* When somebody is being asked: what is missing then goes on. */
    if (h->link == NONE) go_on(n, c);
}

void history_on_end(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct history *h = c ? &c->history : NULL;
    if (!h || h->link != p->slot) {
        pipe_glitch(n, p);
        return;
    }
    h->link = NONE;
    struct share *s = share_of(p, channel);
    if (!m->more) s->overflow = false;
    if (c->on_demand) screen_settle(c, s, m->before_ms, m->more);
    if (h->page > 0) s->due = false;
    bool more = h->page > 0 && m->more && !c->on_demand && h->token == 0;
    bool many = s->overflow || c->behind_len > HISTORY_AUTHORS;
    uint32_t count = h->page == 1 ? HISTORY_SECOND : MESSAGE_RECENT_COUNT_MAX;
    if (more && h->taken > 0 && (h->page == 1 || many) && ask(n, c, p, m->before_ms + 1, count)) {
        h->page++;
        PROBE(n, CATCH_UP_MORE);
        return;
    }
    if (h->page == 0 && h->token != 0) {
        if (m->more || h->came + h->open > 0)
            ready(n, h, OK);
        else
            h->result = ERR_NOT_FOUND; /* here; perhaps the next one has more */
    }
    go_on(n, c);
}

void history_unlinked(struct node *n, struct pipe *p, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    struct history *h = &c->history;
    bool asked = h->link == p->slot;
    if (h->next == p->slot || (asked && h->page > 0)) ask_another(n, c);
    if (asked) go_on(n, c);
}

void history_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    if (c->history.token != 0 && c->history.until <= n->now)
        ready_late(n, c);
    else if (c->history.token != 0)
        timer_arm(n, TIMER_HISTORY, channel, 0, c->history.until);
    if (c->history.link == NONE) {
        if (c->on_demand) go_on(n, c);
        return;
    }
    usec heard = n->pipes[c->history.link]->entry_at + WANT_PATIENCE_US;
    if (heard > c->history.at && c->history.since + WANT_PATIENCE_MAX_US > n->now) c->history.at = heard;
    if (c->history.at > n->now)
        timer_arm(n, TIMER_HISTORY, channel, 0, c->history.at);
    else {
        PROBE(n, RECENT_SILENT);
        if (c->history.page > 0) ask_another(n, c);
        go_on(n, c);
    }
}
