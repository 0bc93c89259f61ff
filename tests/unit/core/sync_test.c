/* Islands above a gap: the newest comes first, gaps are told and filled from anybody, and nothing of it is
 * lost by cuts, restarts and disks that fail. */
#include "attacker.h"

#include "core/message.h"

enum { MANY = 400 };

static void say_many(struct world *w, int place, int from, int count)
{
    char text[32];
    for (int i = from; i < from + count; i++) {
        snprintf(text, sizeof text, "message %d", i);
        assert_true(world_say(w, place, text) > 0);
        world_settle(w);
        if (i % 50 == 0) world_run(w, 100 * MILLISECONDS);
    }
    world_run(w, SECONDS);
}

/* Whether place has heard each of them once. */
static bool heard_all(const struct world *w, int place, int count)
{
    char text[32];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "message %d", i);
        int times = world_heard(w, place, text);
        assert_true(times <= 1);
        if (times == 0) return false;
    }
    return true;
}

/* A replica and a person, 3, who hold MANY entries of person 1, who has gone. */
static struct world *with_history(void)
{
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    world_add(w, 3, ROLE_PERSON, "chi");
    int first = world_link(w, 1, 0, PATH_TRACKER), second = world_link(w, 3, 1, PATH_DIRECT);
    world_run(w, SECONDS);
    say_many(w, 1, 0, MANY);
    assert_int_equal(w->places[1].acknowledged[0], MANY + 1);
    assert_int_equal(w->places[1].acknowledged[3], MANY + 1);
    world_cut(w, first);
    world_cut(w, second);
    return w;
}

static void the_newest_come_first(void **state)
{
    (void)state;
    struct world *w = with_history();
    world_add(w, 2, ROLE_PERSON, "binh");
    size_t before = w->places[2].deliveries;
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 5 * SECONDS);
    const struct delivery *d = &w->places[2].delivered[before];
    uint64_t newest = 0;
    size_t at = 0;
    while (at < w->places[2].deliveries - before && d[at].seq != MANY + 1)
        at++;
    assert_true(at <= 3); /* JOINs before it, for without them there are no names */
    for (size_t i = 1; i < 60; i++)
        newest += d[at + i].seq == MANY + 1 - i;
    assert_true(newest >= 58);
    assert_true(w->places[2].gaps[1].told >= 2); /* it opened and closed */
    assert_true(w->places[2].gaps[1].from > w->places[2].gaps[1].upto);
    assert_true(heard_all(w, 2, MANY));
    world_free(w);
}

/* Person 2 has an island of what came before the link broke. */
static struct world *with_island(void)
{
    struct world *w = with_history();
    world_add(w, 2, ROLE_PERSON, "binh");
    int link = world_link(w, 2, 0, PATH_TRACKER);
    w->links[link].cut_after[1] = 30000;
    world_run(w, SECONDS);
    assert_false(w->links[link].up);
    assert_true(w->places[2].gaps[1].from <= w->places[2].gaps[1].upto);
    assert_int_equal(world_heard(w, 2, "message 399"), 1);
    assert_int_equal(world_heard(w, 2, "message 5"), 0);
    return w;
}

static void a_gap_is_filled_by_somebody_else(void **state)
{
    (void)state;
    struct world *w = with_island();
    uint64_t upto = w->places[2].gaps[1].upto;
    int told = w->places[2].gaps[1].told;
    world_link(w, 2, 3, PATH_DIRECT);
    world_run(w, 3 * SECONDS);
    assert_true(heard_all(w, 2, MANY));
    assert_true(w->places[2].gaps[1].told > told + 1); /* it shrank, then it closed */
    assert_true(w->places[2].gaps[1].from > w->places[2].gaps[1].upto && upto > 2);
    world_free(w);
}

static void an_island_comes_back_after_a_restart(void **state)
{
    (void)state;
    struct world *w = with_island();
    struct place *p = &w->places[2];
    uint64_t from = p->gaps[1].from, upto = p->gaps[1].upto;
    size_t before = p->deliveries;
    p->gaps[1].told = 0;
    world_restart(w, 2);
    world_settle(w);
    assert_int_equal(p->gaps[1].told, 1);
    assert_true(p->gaps[1].from == from && p->gaps[1].upto == upto);
    assert_true(p->deliveries == before); /* what was restored is not delivered again */
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 3 * SECONDS);
    assert_true(heard_all(w, 2, MANY));
    world_restart(w, 2); /* the island's records are now in the middle */
    world_link(w, 2, 0, PATH_TRACKER);
    before = p->deliveries;
    world_run(w, 3 * SECONDS);
    assert_true(p->deliveries == before);
    world_free(w);
}

static void interrupted_at_any_byte_it_goes_on(void **state)
{
    (void)state;
    struct world *w = with_history();
    world_add(w, 2, ROLE_PERSON, "binh");
    int rounds = 0;
    for (; !heard_all(w, 2, MANY); rounds++) {
        assert_true(rounds < 150);
        int link = world_link(w, 2, rounds % 2 ? 0 : 3, PATH_DIRECT);
        w->links[link].cut_after[1] = 1200 + 371 * (rounds % 17);
        world_run(w, 100 * MILLISECONDS);
        world_cut(w, link);
        if (rounds % 5 == 4) world_restart(w, 2);
    }
    assert_true(rounds > 10);
    world_restart(w, 2);
    assert_int_equal(w->places[2].gaps[1].from, w->places[2].gaps[1].upto + 1);
    world_free(w);
}

static void what_is_above_a_gap_is_acknowledged_as_that(void **state)
{
    (void)state;
    struct world *w = with_island();
    world_link(w, 2, 1, PATH_DIRECT);
    world_settle(w); /* no time passes: it has not said more yet than what it had */
    assert_true(w->places[1].acknowledged_from[2] > 1);
    assert_int_equal(w->places[1].acknowledged[2], MANY + 1);
    world_run(w, 3 * SECONDS);
    assert_int_equal(w->places[1].acknowledged_from[2], 1);
    assert_int_equal(w->places[1].acknowledged[2], MANY + 1);
    assert_true(heard_all(w, 2, MANY));
    world_free(w);
}

static void new_entries_reach_whoever_has_a_gap_at_once(void **state)
{
    (void)state;
    struct world *w = with_island();
    w->places[1].read_result = ERR_IO; /* the old ones cannot be had from it */
    world_restart(w, 1);
    world_link(w, 2, 1, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(w->places[2].gaps[1].from <= w->places[2].gaps[1].upto);
    for (int i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "fresh %d", i);
        assert_true(world_say(w, 1, text) > 0);
        world_settle(w);
        assert_int_equal(world_heard(w, 2, text), 1);
    }
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 60 * SECONDS);
    assert_true(heard_all(w, 2, MANY));
    world_free(w);
}

/* Stores fail in the middle of what is taken downwards, and some behind them do not; then the power goes. */
static void leftovers_of_failed_stores_do_not_count(void **state)
{
    (void)state;
    struct world *w = with_island();
    struct place *p = &w->places[2];
    int link = world_link(w, 2, 0, PATH_TRACKER);
    p->lossy = true;
    p->fail_every = 7;
    w->links[link].cut_after[1] = 20000;
    world_run(w, 50 * MILLISECONDS);
    p->fail_every = 0;
    world_restart(w, 2);
    world_settle(w);
    uint64_t from = p->gaps[1].from, upto = p->gaps[1].upto;
    assert_true(from <= upto && upto < MANY);
    for (size_t i = 0; i < p->deliveries; i++) { /* what was shown is not lost again */
        const struct delivery *d = &p->delivered[i];
        if (memcmp(d->author, world_device(w, 1), 32) == 0) assert_true(d->seq < from || d->seq > upto);
    }
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 5 * SECONDS);
    assert_true(heard_all(w, 2, MANY));
    assert_true(p->gaps[1].from > p->gaps[1].upto);
    p->lossy = false;
    world_restart(w, 2);
    assert_int_equal(p->corrupt, 0);
    world_free(w);
}

static void a_hundred_authors_are_compared_by_digest(void **state)
{
    (void)state;
    struct world *w = world_new();
    char text[32];
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    int link = world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "visitor %d", (int)i);
        world_visit(w, 5, i, 0, text);
    }
    world_run(w, SECONDS);
    world_cut(w, link);
    world_visit(w, 5, 100, 0, "visitor 100"); /* of these two the other one does not know */
    world_visit(w, 5, 101, 1, "visitor 101");
    world_run(w, SECONDS);
    link = world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 1, "visitor 100"), 1);
    assert_int_equal(world_heard(w, 0, "visitor 101"), 1);
    for (int i = 0; i < 2; i++) /* handshake, digest, two vectors of a few; not 100 times 40 bytes */
        assert_in_range(w->links[link].bytes_of[i], 2048, 4600);
    assert_true(world_say(w, 1, "level") > 0); /* and who is level is pushed to */
    world_settle(w);
    assert_int_equal(world_heard(w, 0, "level"), 1);
    world_add(w, 2, ROLE_PERSON, "binh"); /* whose vector is small is asked for a digest, too */
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 2 * SECONDS);
    for (int i = 0; i <= 101; i++) {
        snprintf(text, sizeof text, "visitor %d", i);
        assert_int_equal(world_heard(w, 2, text), 1);
    }
    world_free(w);
}

/* --- who does not play by the rules --- */

static const uint8_t zeros[32];

/* The last RECENT_END in what the victim said. */
static bool recent_end(const struct attacker *a, uint64_t *out_oldest_ms, uint64_t *out_more)
{
    struct cbor_reader all = cbor_reader_of(slice_of(a->said, a->said_len));
    bool found = false;
    while (!cbor_done(&all) && !all.failed) {
        struct cbor_reader r = all;
        (void)cbor_array(&r, 32);
        if (cbor_uint(&r, UINT64_MAX) == MESSAGE_RECENT_END) {
            (void)cbor_fixed(&r, ID_BYTES);
            *out_oldest_ms = cbor_uint(&r, UINT64_MAX);
            *out_more = cbor_uint(&r, 1);
            found = !r.failed;
        }
        cbor_skip(&all, 1);
    }
    return found;
}

/* RECENT_END does not promise what could not be read. */
static void what_cannot_be_read_was_not_given(void **state)
{
    (void)state;
    struct world *w = victim();
    uint8_t plain[64];
    uint64_t oldest_ms = 0, more = 0;
    for (int i = 0; i < 20; i++) {
        assert_true(world_say(w, 1, "text") > 0);
        world_run(w, SECONDS);
    }
    uint64_t newest_ms = (w->now - SECONDS) / MILLISECONDS;
    for (int reads = 0; reads < 2; reads++) {
        world_restart(w, 1); /* nothing is in memory */
        w->places[1].read_result = reads ? OK : ERR_IO;
        struct attacker *a = attack(w, true);
        struct writer m = writer_of(plain, sizeof plain);
        message_write_recent(&m, w->channel, 0, 10);
        attacker_send(a, writer_slice(&m));
        for (int i = 0; i < 20; i++) {
            world_settle(w);
            attacker_take(a);
        }
        assert_true(recent_end(a, &oldest_ms, &more));
        assert_int_equal(more, 1);
        assert_int_equal(oldest_ms >= newest_ms, !reads);
        link_deinit(&a->link);
        free(a);
    }
    world_free(w);
}

struct chain { /* of the attacker's own entries */
    uint8_t wire[12][600], id[12][32];
    size_t len[12];
};

static void write_chain(struct attacker *a, struct chain *c)
{
    uint8_t body[600];
    a->step_ms = 1000;
    c->len[1] = attacker_entry(a, ENTRY_JOIN, 1, zeros, attacker_join(a, body), c->wire[1], c->id[1]);
    for (uint32_t seq = 2; seq < 12; seq++) {
        char text[16];
        int len = snprintf(text, sizeof text,
                           "\x81\x46"
                           "text%02d",
                           (int)seq);
        c->len[seq] = attacker_entry(a, ENTRY_TEXT, seq, c->id[seq - 1], slice_of(text, (size_t)len),
                                     c->wire[seq], c->id[seq]);
    }
}

static void send(struct attacker *a, const struct chain *c, int seq)
{
    attacker_send_entry(a, slice_of(c->wire[seq], c->len[seq]));
    world_settle(a->w);
}

static void islands_grow_at_their_ends_only(void **state)
{
    (void)state;
    static struct chain c;
    struct attacker *a = attack(victim(), true);
    write_chain(a, &c);
    send(a, &c, 5); /* nobody knows his name */
    assert_int_equal(world_heard(a->w, 1, "text05"), 0);
    static const int order[] = {1, 8, 4, 10, 7, 9, 6, 3, 2, 2, 8, 11};
    static const int heard[] = {0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0}; /* 4, 10, 3: next to nothing */
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        char text[16];
        send(a, &c, order[i]);
        snprintf(text, sizeof text, "text%02d", order[i]);
        if (order[i] > 1) assert_int_equal(world_heard(a->w, 1, text), heard[i]);
    }
    static const int rest[] = {5, 4, 3, 10, 11};
    for (size_t i = 0; i < 5; i++)
        send(a, &c, rest[i]);
    for (int seq = 2; seq < 12; seq++) {
        char text[16];
        snprintf(text, sizeof text, "text%02d", seq);
        assert_int_equal(world_heard(a->w, 1, text), 1);
    }
    world_run(a->w, 5 * SECONDS);
    assert_int_equal(world_heard(a->w, 2, "text11"), 1); /* and it is handed on, whole */
    assert_int_equal(world_heard(a->w, 2, "text03"), 1);
    assert_int_equal(a->w->places[1].warnings, 0);
    still_works(a->w);
    attacker_free(a);
}

static void two_chains_that_meet_in_a_gap_are_a_fork(void **state)
{
    (void)state;
    static struct chain c;
    uint8_t other[600], id[32];
    struct attacker *a = attack(victim(), true);
    struct place *p = &a->w->places[1];
    write_chain(a, &c);
    send(a, &c, 1);
    send(a, &c, 5);
    send(a, &c, 4);
    assert_int_equal(p->warnings, 0);
    size_t len = attacker_entry(a, ENTRY_TEXT, 3, c.id[2], SLICE("\x81\x45other"), other, id);
    attacker_send_entry(a, slice_of(other, len)); /* not the one that 4 follows */
    world_settle(a->w);
    assert_int_equal(world_heard(a->w, 1, "other"), 0);
    assert_int_equal(p->warnings, 1);
    send(a, &c, 2);
    send(a, &c, 3);
    world_run(a->w, SECONDS);
    for (int seq = 2; seq <= 5; seq++) {
        char text[16];
        snprintf(text, sizeof text, "text%02d", seq);
        assert_int_equal(world_heard(a->w, 1, text), 1);
    }
    assert_int_equal(p->warnings, 1);
    world_restart(a->w, 1);
    assert_int_equal(p->corrupt, 0);
    attacker_free(a);
}

/* A second branch below the island, which is later than it: it is shown, and there again after a restart. */
static void what_is_below_a_gap_may_be_later(void **state)
{
    (void)state;
    static struct chain c;
    uint8_t other[600];
    struct attacker *a = attack(victim(), true);
    struct place *p = &a->w->places[1];
    write_chain(a, &c);
    send(a, &c, 1);
    send(a, &c, 5);
    a->step_ms = 60000;
    size_t len = attacker_entry(a, ENTRY_TEXT, 2, c.id[1], SLICE("\x81\x45other"), other, NULL);
    attacker_send_entry(a, slice_of(other, len));
    world_settle(a->w);
    assert_int_equal(world_heard(a->w, 1, "other"), 1);
    world_restart(a->w, 1);
    world_settle(a->w);
    assert_int_equal(p->corrupt, 0);
    assert_int_equal(world_shows(a->w, 1, "other"), 1);
    assert_int_equal(world_shows(a->w, 1, "text05"), 1);
    attacker_free(a);
}

static void claims_of_islands_that_cannot_be(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint8_t plain[4096];
    const uint8_t *an = world_device(a->w, 1);
    static const uint32_t spans[][2] = {{1, 1},
                                        {2, UINT32_C(0xFFFFFFF0)},
                                        {1000, 2000},
                                        {UINT32_C(0xFFFFFFF0), UINT32_C(0xFFFFFFF0)},
                                        {5, 4}};
    for (size_t i = 0; i < 4; i++) {
        struct writer w = writer_of(plain, sizeof plain);
        message_write_hold(&w, a->w->channel, 1);
        message_write_span(&w, an, spans[i][0], spans[i][1]);
        attacker_send(a, writer_slice(&w));
        w = writer_of(plain, sizeof plain);
        message_write_recent(&w, a->w->channel, i, 4096);
        attacker_send(a, writer_slice(&w));
        world_run(a->w, 10 * SECONDS);
        assert_int_equal(a->error, OK);
    }
    struct writer w = writer_of(plain, sizeof plain);
    message_write_recent_end(&w, a->w->channel, 0, true); /* nobody has asked */
    attacker_send(a, writer_slice(&w));
    static const uint8_t sums[DIGEST_BYTES];
    for (int i = 0; i < 3; i++) {
        w = writer_of(plain, sizeof plain);
        message_write_digest(&w, a->w->channel, slice_of(sums, sizeof sums));
        attacker_send(a, writer_slice(&w));
        world_run(a->w, SECONDS);
    }
    assert_int_equal(a->error, OK);
    still_works(a->w);
    w = writer_of(plain, sizeof plain);
    message_write_hold(&w, a->w->channel, 1);
    message_write_span(&w, an, spans[4][0], spans[4][1]);
    attacker_send(a, writer_slice(&w));
    assert_int_equal(a->error, ERR_MALFORMED);
    attacker_free(a);
}

static void false_receipts_are_not_believed(void **state)
{
    (void)state;
    struct attacker *a = attack(victim(), true);
    uint8_t plain[512], signature[64] = {1};
    struct ledger_row row;
    uint64_t own;
    attacker_greet(a);
    struct message m = {.channel = a->w->channel,
                        .author = world_device(a->w, 1),
                        .device = world_device(a->w, 2),
                        .from = 1,
                        .upto = 1,
                        .time_ms = 1,
                        .signature = signature};
    assert_true(world_say(a->w, 1, "one more") > 0);
    world_run(a->w, SECONDS);
    world_cut(a->w, 0);
    assert_true(world_say(a->w, 1, "which he does not have") > 0);
    world_run(a->w, SECONDS);
    m.upto = 3;
    struct writer w = writer_of(plain, sizeof plain);
    message_write_receipt(&w, &m);
    attacker_send(a, writer_slice(&w));
    assert_int_equal(a->error, ERR_SIGNATURE);
    for (uint32_t i = 0; node_ledger(a->w->places[1].node, a->w->channel, i, &row, &own); i++)
        assert_true(row.seq < 3 && own == 3);
    attacker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_come_first),
        cmocka_unit_test(a_gap_is_filled_by_somebody_else),
        cmocka_unit_test(an_island_comes_back_after_a_restart),
        cmocka_unit_test(interrupted_at_any_byte_it_goes_on),
        cmocka_unit_test(what_is_above_a_gap_is_acknowledged_as_that),
        cmocka_unit_test(new_entries_reach_whoever_has_a_gap_at_once),
        cmocka_unit_test(leftovers_of_failed_stores_do_not_count),
        cmocka_unit_test(a_hundred_authors_are_compared_by_digest),
        cmocka_unit_test(what_cannot_be_read_was_not_given),
        cmocka_unit_test(islands_grow_at_their_ends_only),
        cmocka_unit_test(two_chains_that_meet_in_a_gap_are_a_fork),
        cmocka_unit_test(what_is_below_a_gap_may_be_later),
        cmocka_unit_test(claims_of_islands_that_cannot_be),
        cmocka_unit_test(false_receipts_are_not_believed),
    };
    return cmocka_run_group_tests_name("core/sync", tests, NULL, NULL);
}
