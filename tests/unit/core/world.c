#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cbor.h"

enum { TRACE_MAX = 64 * 1024 * 1024 };

struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(crypto_native_start(), OK);
    w->now = 1760000000 * SECONDS;
    memset(w->authority_seed, 0xA0, 32);
    crypto_native()->sign_public(NULL, w->authority, w->authority_seed);
    channel_id(crypto_native(), w->authority, SLICE("general"), w->channel);
    return w;
}

void world_free(struct world *w)
{
    for (int i = 0; i < PLACES; i++) {
        world_end(w, i);
        free(w->places[i].disk);
    }
    free(w);
}

const uint8_t *world_device(const struct world *w, int place)
{
    return node_device(w->places[place].node);
}

int world_certificate(const struct world *w, const uint8_t *device, const char *account, uint8_t out[512])
{
    struct certificate c = {.account = slice_text(account),
                            .device = device,
                            .issued_s = w->now / SECONDS - 10,
                            .expires_s = w->now / SECONDS + 86400};
    int len = certificate_write(crypto_native(), &c, w->authority_seed, out, 512);
    assert_true(len > 0);
    return len;
}

static void keep_trace(void *context, slice piece)
{
    struct buffer *trace = context;
    buffer_put(trace, piece);
    assert_false(trace->failed);
}

void world_end(struct world *w, int place)
{
    struct place *p = &w->places[place];
    struct replay_options options = {.allocator = &allocator_libc, .crypto = crypto_native()};
    struct replay *replay;
    struct replay_report report;
    if (!p->node) return;
    node_destroy(p->node);
    p->node = NULL;
    if (p->trace.len == 0) return; /* a node that the test made itself */
    assert_int_equal(replay_new(&options, &replay), OK);
    int rc = replay_feed(replay, buffer_slice(&p->trace));
    replay_end(replay, &report);
    if (rc < 0) print_error("place %d, call %d: %s\n", place, (int)report.differs, report.text);
    assert_int_equal(rc, OK);
    assert_true(report.complete);
    buffer_reset(&p->trace);
}

static void create(struct world *w, int place, enum node_role role)
{
    struct place *p = &w->places[place];
    struct node_config config = w->config;
    config.role = role;
    config.trace = keep_trace;
    config.trace_context = &p->trace;
    buffer_init(&p->trace, &allocator_libc, TRACE_MAX);
    memcpy(config.identity_seed, p->seed, 32);
    memset(config.random_seed, 0x10 + place, 32);
    memcpy(config.random_seed, &w->now, sizeof w->now);
    assert_int_equal(node_create(&config, p->allocator ? p->allocator : &allocator_libc,
                                 p->crypto ? p->crypto : crypto_native(), w->now, &p->node),
                     OK);
}

static void enter(struct world *w, int place, const char *account)
{
    struct place *p = &w->places[place];
    uint8_t certificate[512];
    int len = world_certificate(w, world_device(w, place), account, certificate);
    struct command c = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, (size_t)len)};
    assert_int_equal(node_command(p->node, &c, w->now), 0);
}

static void settle_in(struct world *w, int place, enum node_role role, const char *account)
{
    struct place *p = &w->places[place];
    memset(p->seed, place + 1, 32);
    if (role == ROLE_REPLICA) memcpy(p->seed, w->authority_seed, 32);
    p->disk = calloc(RECORDS, sizeof *p->disk);
    create(w, place, role);
    snprintf(p->name, sizeof p->name, "%s", account ? account : "");
    if (role == ROLE_PERSON) enter(w, place, account);
}

void world_enter(struct world *w, int place, const char *account)
{
    settle_in(w, place, ROLE_PERSON, account);
}

void world_add(struct world *w, int place, enum node_role role, const char *account)
{
    struct place *p = &w->places[place];
    settle_in(w, place, role, account);
    struct command join = {
        .kind = COMMAND_JOIN, .channel = w->channel, .device = w->authority, .bytes = SLICE("general")};
    assert_true(node_command(p->node, &join, w->now) >= 0);
    world_settle(w);
}

static int by_seq(const void *left, const void *right)
{
    const struct stored *a = *(const struct stored *const *)left, *b = *(const struct stored *const *)right;
    if (a->seq == 0 || b->seq == 0) return (a->seq > 0) - (b->seq > 0);
    int order = memcmp(a->channel, b->channel, 32);
    if (order == 0) order = memcmp(a->author, b->author, 32);
    return order ? order : (a->seq > b->seq) - (a->seq < b->seq);
}

void world_visit(struct world *w, int place, uint32_t number, int host, const char *text)
{
    struct place *p = &w->places[place];
    assert_null(p->node);
    *p = (struct place){.disk = calloc(RECORDS, sizeof *p->disk)};
    memset(p->seed, 0xE0, 32);
    memcpy(p->seed, &number, sizeof number);
    create(w, place, ROLE_PERSON);
    enter(w, place, "visitor");
    struct command join = {
        .kind = COMMAND_JOIN, .channel = w->channel, .device = w->authority, .bytes = SLICE("general")};
    assert_true(node_command(p->node, &join, w->now) >= 0);
    assert_true(world_say(w, place, text) > 0);
    world_settle(w);
    int link = world_link(w, place, host, PATH_DIRECT);
    world_run(w, 100 * MILLISECONDS);
    world_cut(w, link);
    world_end(w, place);
    free(p->disk);
    p->disk = NULL;
}

void world_restart(struct world *w, int place)
{
    struct place *p = &w->places[place];
    for (int i = 0; i < w->links_len; i++) {
        if (w->links[i].a == place || w->links[i].b == place) world_cut(w, i);
    }
    bool replica = memcmp(p->seed, w->authority_seed, 32) == 0;
    world_end(w, place);
    create(w, place, replica ? ROLE_REPLICA : ROLE_PERSON);
    p->held_len = 0;
    static const struct stored *sorted[RECORDS]; /* channel records first, then each feed by rising seq */
    for (size_t i = 0; i < p->records; i++)
        sorted[i] = &p->disk[i];
    qsort(sorted, p->records, sizeof *sorted, by_seq);
    p->corrupt = 0;
    for (size_t i = 0; i < p->records; i++) {
        int rc = node_restore(p->node, slice_of(sorted[i]->bytes, sorted[i]->len), w->now);
        assert_true(rc == OK || (rc == ERR_CORRUPT && p->lossy));
        p->corrupt += rc == ERR_CORRUPT;
    }
    if (!replica) enter(w, place, p->name);
}

int world_link(struct world *w, int a, int b, enum path path)
{
    int number = w->links_len++;
    assert_true(number < LINKS);
    w->links[number].a = a;
    w->links[number].b = b;
    w->links[number].up = true;
    struct node_link info = {.path = path, .initiator = true, .binding = SLICE("test")};
    assert_int_equal(node_link_up(w->places[a].node, (uint32_t)number, &info, w->now), OK);
    info.initiator = false;
    assert_int_equal(node_link_up(w->places[b].node, (uint32_t)number, &info, w->now), OK);
    return number;
}

void world_cut(struct world *w, int link)
{
    if (!w->links[link].up) return;
    w->links[link].up = false;
    node_link_down(w->places[w->links[link].a].node, (uint32_t)link, w->now);
    node_link_down(w->places[w->links[link].b].node, (uint32_t)link, w->now);
}

static int place_of(const struct world *w, const uint8_t *device)
{
    for (int i = 0; i < PLACES; i++) {
        if (w->places[i].node && memcmp(world_device(w, i), device, 32) == 0) return i;
    }
    return -1;
}

static void store(struct world *w, struct place *p, const struct action *a)
{
    struct stored *s = NULL;
    const uint8_t *author = a->entry.author;
    for (size_t i = 0; author && i < p->records && !s; i++) { /* written again */
        struct stored *at = &p->disk[i];
        if (at->seq == a->entry.seq && memcmp(at->channel, a->entry.channel, 32) == 0 &&
            memcmp(at->author, author, 32) == 0)
            s = at;
    }
    assert_true(s || p->records < RECORDS);
    if (!s) s = &p->disk[p->records++];
    if (a->entry.author) assert_true(a->entry.account.len > 0); /* whoever is stored has a name */
    memcpy(s->bytes, a->record.ptr, a->record.len);
    s->len = a->record.len;
    memcpy(s->channel, a->entry.channel, 32);
    if (a->entry.author) memcpy(s->author, a->entry.author, 32);
    s->seq = a->entry.seq;
    node_done(p->node, a->token, OK, SLICE_EMPTY, w->now);
}

static void on_store(struct world *w, struct place *p, const struct action *a)
{
    if (p->hold_stores)
        p->held[p->held_len++] = a->token;
    else if (p->fail_every > 0 && ++p->stores % p->fail_every == 0)
        node_done(p->node, a->token, ERR_IO, SLICE_EMPTY, w->now);
    else if (p->store_result != OK)
        node_done(p->node, a->token, p->store_result, SLICE_EMPTY, w->now);
    else
        store(w, p, a);
}

static void on_read(struct world *w, struct place *p, const struct action *a)
{
    if (p->read_result != OK) {
        node_done(p->node, a->token, p->read_result, SLICE_EMPTY, w->now);
        return;
    }
    for (size_t i = 0; i < p->records; i++) {
        struct stored *s = &p->disk[i];
        if (s->seq != a->entry.seq || memcmp(s->author, a->entry.author, 32) != 0 ||
            memcmp(s->channel, a->entry.channel, 32) != 0)
            continue;
        node_done(p->node, a->token, OK, slice_of(s->bytes, s->len), w->now);
        return;
    }
    node_done(p->node, a->token, ERR_NOT_FOUND, SLICE_EMPTY, w->now);
}

static void text_of(const struct entry_view *e, char out[64])
{
    struct cbor_reader r = {e->body, false};
    out[0] = 0;
    if (e->kind == ENTRY_TEXT && cbor_array(&r, 8) > 0) {
        slice text = cbor_bytes(&r, 20000);
        snprintf(out, 64, "%.*s", (int)text.len, (const char *)text.ptr);
    }
}

static void on_deliver(struct place *p, const struct action *a)
{
    assert_true(p->deliveries < DELIVERIES);
    struct delivery *d = &p->delivered[p->deliveries++];
    memcpy(d->author, a->entry.author, 32);
    memcpy(d->from, a->entry.from, 32);
    d->seq = a->entry.seq;
    d->token = a->token;
    d->kind = a->entry.kind;
    d->path = a->entry.path;
    snprintf(d->account, sizeof d->account, "%.*s", (int)a->entry.account.len,
             (const char *)a->entry.account.ptr);
    memcpy(d->channel, a->entry.channel, 32);
    d->locked = a->entry.locked;
    d->withdrawn = a->entry.withdrawn;
    text_of(&a->entry, d->text);
}

static bool pump(struct world *w, int place, uint32_t link)
{
    static uint8_t bytes[65536];
    bool a_side = w->links[link].a == place, moved = false;
    int other = a_side ? w->links[link].b : w->links[link].a;
    for (;;) {
        size_t n = node_transmit(w->places[place].node, link, bytes, sizeof bytes, w->now), used = 0;
        if (n == 0) return moved;
        moved = true;
        long *passed = &w->links[link].bytes_of[a_side ? 0 : 1],
             limit = w->links[link].cut_after[a_side ? 0 : 1];
        *passed += (long)n;
        if (!w->links[link].up) continue;
        bool breaks = limit > 0 && *passed > limit;
        if (breaks) n -= (size_t)(*passed - limit);
        int rc = node_receive(w->places[other].node, link, slice_of(bytes, n), w->now, &used);
        assert_true(rc != ERR_BUSY);
        if (breaks) {
            world_cut(w, (int)link);
            return true;
        }
    }
}

static void on_session(struct session_seen *s, const struct action *a)
{
    s->count++;
    s->questions += a->state == SESSION_ASKING;
    s->state = a->state;
    s->reason = a->reason;
    s->until_ms = a->until_ms;
    memcpy(s->id, a->session, sizeof s->id);
    snprintf(s->account, sizeof s->account, "%.*s", (int)a->account.len, (const char *)a->account.ptr);
    snprintf(s->line, sizeof s->line, "%.*s", (int)a->text.len, (const char *)a->text.ptr);
}

static bool act(struct world *w, int place)
{
    struct place *p = &w->places[place];
    struct action a;
    bool moved = false;
    while (p->node && node_next(p->node, &a)) {
        moved = true;
        switch (a.kind) {
        case ACTION_STORE: on_store(w, p, &a); break;
        case ACTION_READ: on_read(w, p, &a); break;
        case ACTION_DELIVER: on_deliver(p, &a); break;
        case ACTION_DELIVERED: {
            int who = place_of(w, a.device);
            if (who < 0) break;
            p->acknowledged[who] = a.seq;
            p->acknowledged_from[who] = a.from;
            p->acknowledged_path[who] = a.path;
            break;
        }
        case ACTION_CONNECT:
            p->connects++;
            p->connect_path = a.path;
            if (a.path != PATH_DIRECT) break;
            p->called++;
            if (p->calls_len < 64) p->calls[p->calls_len++] = place_of(w, a.device);
            break;
        case ACTION_SIGNAL:
            p->signals++;
            memcpy(p->signal_from, a.device, 32);
            snprintf(p->signal, sizeof p->signal, "%.*s", (int)a.record.len, (const char *)a.record.ptr);
            break;
        case ACTION_CLOSE: {
            int number = (int)a.link;
            p->closes++;
            p->last_close = a.result;
            snprintf(p->last_text, sizeof p->last_text, "%.*s", (int)a.text.len, (const char *)a.text.ptr);
            if (number < w->links_len) world_cut(w, number);
            break;
        }
        case ACTION_PEER: {
            int who = place_of(w, a.device);
            if (who >= 0)
                p->peer_path[who] = a.path;
            else
                snprintf(p->stranger, sizeof p->stranger, "%.*s", (int)a.account.len,
                         (const char *)a.account.ptr);
            break;
        }
        case ACTION_SESSION: on_session(&p->session, &a); break;
        case ACTION_WRITABLE:
            if ((int)a.link < w->links_len) pump(w, place, a.link); /* others belong to the test */
            break;
        case ACTION_GAP: {
            int who = place_of(w, a.device);
            if (who < 0) break;
            p->gaps[who].from = a.from;
            p->gaps[who].upto = a.seq;
            p->gaps[who].told++;
            break;
        }
        case ACTION_HISTORY:
            p->history_token = (int64_t)a.token;
            p->history_came = a.seq;
            p->history_result = a.result;
            break;
        case ACTION_CHANNEL:
            p->introduced += a.result == OK;
            p->excluded += a.result != OK;
            break;
        case ACTION_UNLOCKED: p->unlocked++; break;
        case ACTION_WARNING:
            p->warnings++;
            snprintf(p->last_text, sizeof p->last_text, "%.*s", (int)a.text.len, (const char *)a.text.ptr);
            break;
        default: break;
        }
    }
    return moved;
}

void world_settle(struct world *w)
{
    bool moved = true;
    for (int round = 0; moved; round++) {
        assert_true(round < 10000);
        moved = false;
        for (int i = 0; i < PLACES; i++)
            moved = act(w, i) || moved;
    }
}

void world_run(struct world *w, usec time)
{
    usec end = w->now + time;
    world_settle(w);
    for (int steps = 0; w->now < end; steps++) {
        assert_true(steps < 100000);
        usec next = end;
        for (int i = 0; i < PLACES; i++) {
            if (w->places[i].node && node_deadline(w->places[i].node) < next)
                next = node_deadline(w->places[i].node);
        }
        if (next > w->now) w->now = next;
        for (int i = 0; i < PLACES; i++) {
            if (w->places[i].node) node_tick(w->places[i].node, w->now);
        }
        world_settle(w);
    }
}

void world_use(struct world *w, const struct channel_spec *spec)
{
    assert_int_equal(channel_spec_id(crypto_native(), spec, w->channel), OK);
}

int64_t world_open(struct world *w, int place, const struct channel_spec *spec)
{
    struct command c = {.kind = COMMAND_OPEN, .spec = spec};
    return node_command(w->places[place].node, &c, w->now);
}

int64_t world_member(struct world *w, int place, const char *account, bool on)
{
    struct command c = {
        .kind = COMMAND_MEMBER, .channel = w->channel, .bytes = slice_text(account), .online = on};
    return node_command(w->places[place].node, &c, w->now);
}

void world_relate(struct world *w, int place, const char *account, enum relation relation)
{
    struct command c = {.kind = COMMAND_RELATION, .bytes = slice_text(account), .relation = relation};
    assert_int_equal(node_command(w->places[place].node, &c, w->now), 0);
}

int world_shows(struct world *w, int place, const char *text)
{
    struct place *p = &w->places[place];
    int count = 0;
    for (size_t i = 0; i < p->records; i++) {
        struct entry_view view;
        char shown[64];
        if (p->disk[i].seq == 0 || memcmp(p->disk[i].channel, w->channel, 32) != 0) continue;
        assert_int_equal(node_view(p->node, slice_of(p->disk[i].bytes, p->disk[i].len), &view), OK);
        text_of(&view, shown);
        count += strcmp(shown, text) == 0 && !view.locked && !view.withdrawn;
    }
    return count;
}

int64_t world_say(struct world *w, int place, const char *text)
{
    uint8_t body[256];
    struct writer b = writer_of(body, sizeof body);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, slice_text(text));
    struct command c = {
        .kind = COMMAND_SEND, .channel = w->channel, .entry_kind = ENTRY_TEXT, .bytes = writer_slice(&b)};
    return node_command(w->places[place].node, &c, w->now);
}

int world_heard(const struct world *w, int place, const char *text)
{
    int count = 0;
    for (size_t i = 0; i < w->places[place].deliveries; i++) {
        count += strcmp(w->places[place].delivered[i].text, text) == 0;
    }
    return count;
}
