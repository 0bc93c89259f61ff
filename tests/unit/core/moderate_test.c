/* What moderators decide: entries of the authority's device, which everybody obeys whatever came first. */
#include "base/cbor.h"
#include "core/moderate.h"
#include "world.h"

#define TRACKER "the tracker"

static void certify_tracker(struct world *w)
{
    uint8_t certificate[512];
    int len = world_certificate(w, w->authority, TRACKER, certificate);
    struct command c = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, (size_t)len)};
    assert_int_equal(node_command(w->places[0].node, &c, w->now), OK);
}

/* The tracker, An and Binh, in #general. */
static struct world *three(void)
{
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    certify_tracker(w);
    world_add(w, 1, ROLE_PERSON, "an");
    world_add(w, 2, ROLE_PERSON, "binh");
    world_link(w, 1, 0, PATH_TRACKER);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    return w;
}

static int64_t decide_at(struct world *w, int place, const struct node_moderation *m)
{
    uint8_t body[1024];
    struct writer b = writer_of(body, sizeof body);
    moderation_write(m, &b);
    struct command c = {.kind = COMMAND_MODERATE, .channel = w->channel, .bytes = writer_slice(&b)};
    return node_command(w->places[place].node, &c, w->now);
}

static void decide(struct world *w, struct node_moderation m)
{
    m.by = SLICE("an");
    assert_true(decide_at(w, 0, &m) > 0);
    world_run(w, 100 * MILLISECONDS);
}

static uint64_t ms(const struct world *w)
{
    return w->now / MILLISECONDS;
}

static void only_the_replica_of_the_authority_decides(void **state)
{
    (void)state;
    struct world *w = three();
    struct node_moderation m = {.act = MODERATE_SLOW, .number = 10};
    assert_int_equal(decide_at(w, 1, &m), ERR_DENIED);
    uint8_t body[64];
    struct writer b = writer_of(body, sizeof body);
    moderation_write(&m, &b);
    struct command c = {
        .kind = COMMAND_SEND, .channel = w->channel, .entry_kind = ENTRY_MODERATE, .bytes = writer_slice(&b)};
    assert_int_equal(node_command(w->places[1].node, &c, w->now), ERR_INVALID);
    c = (struct command){.kind = COMMAND_MODERATE, .channel = w->channel, .bytes = SLICE("nonsense")};
    assert_int_equal(node_command(w->places[0].node, &c, w->now), ERR_INVALID);
    world_free(w);
}

/* Hidden everywhere, also for who comes later; shown again when that is decided. */
static void what_is_hidden_is_hidden_for_everybody_until_it_is_shown_again(void **state)
{
    (void)state;
    struct world *w = three();
    uint64_t from = ms(w);
    world_say(w, 1, "kept");
    world_say(w, 2, "rude");
    world_run(w, SECONDS);
    world_say(w, 2, "worse");
    world_run(w, SECONDS);
    int told = w->places[1].unlocked;
    decide(w, (struct node_moderation){
                  .act = MODERATE_HIDE, .account = SLICE("binh"), .from_ms = from, .until_ms = ms(w)});
    assert_true(w->places[1].unlocked > told);
    world_say(w, 2, "sorry");
    world_run(w, SECONDS);
    world_add(w, 3, ROLE_PERSON, "chi");
    world_link(w, 3, 1, PATH_DIRECT); /* not with the tracker */
    world_run(w, 10 * SECONDS);
    for (int place = 1; place <= 3; place++) {
        assert_int_equal(world_shows(w, place, "kept"), 1);
        assert_int_equal(world_shows(w, place, "rude"), 0);
        assert_int_equal(world_shows(w, place, "worse"), 0);
        assert_int_equal(world_shows(w, place, "sorry"), 1);
    }
    decide(w, (struct node_moderation){
                  .act = MODERATE_SHOW, .account = SLICE("binh"), .from_ms = from, .until_ms = from + 500});
    world_restart(w, 1);
    world_run(w, 2 * SECONDS);
    assert_int_equal(world_shows(w, 1, "rude"), 1);
    assert_int_equal(world_shows(w, 1, "worse"), 0);
    world_free(w);
}

static void one_entry_is_hidden_by_its_number(void **state)
{
    (void)state;
    struct world *w = three();
    world_say(w, 2, "one"); /* seq 2: the JOIN is 1 */
    world_say(w, 2, "two");
    world_run(w, SECONDS);
    struct node_moderation m = {
        .act = MODERATE_HIDE, .account = SLICE("binh"), .author = world_device(w, 2), .seq = 3};
    decide(w, m);
    assert_int_equal(world_shows(w, 1, "one"), 1);
    assert_int_equal(world_shows(w, 1, "two"), 0);
    m.act = MODERATE_SHOW;
    decide(w, m);
    assert_int_equal(world_shows(w, 1, "two"), 1);
    world_free(w);
}

static void who_is_muted_does_not_write_and_is_not_shown(void **state)
{
    (void)state;
    struct world *w = three();
    uint64_t from = ms(w) + 1;
    decide(w, (struct node_moderation){
                  .act = MODERATE_MUTE, .account = SLICE("binh"), .from_ms = from, .until_ms = from + 60000});
    assert_int_equal(world_say(w, 2, "may I?"), ERR_DENIED);
    assert_true(world_say(w, 1, "quiet here") > 0);
    world_run(w, 10 * SECONDS);
    decide(w, (struct node_moderation){.act = MODERATE_UNMUTE,
                                       .account = SLICE("binh"),
                                       .from_ms = ms(w),
                                       .until_ms = UINT64_MAX / 1000});
    assert_true(world_say(w, 2, "thanks") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_shows(w, 1, "thanks"), 1);
    world_free(w);
}

static void slow_mode_and_the_end_are_obeyed_by_who_writes(void **state)
{
    (void)state;
    struct world *w = three();
    decide(w, (struct node_moderation){.act = MODERATE_SLOW, .number = 10});
    assert_true(world_say(w, 2, "one") > 0);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_say(w, 2, "two"), ERR_AGAIN);
    world_run(w, 6 * SECONDS);
    assert_true(world_say(w, 2, "two") > 0);
    decide(w, (struct node_moderation){.act = MODERATE_ROLE, .account = SLICE("an"), .number = 1});
    assert_true(world_say(w, 1, "one") > 0);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "two") > 0); /* a moderator */
    decide(w, (struct node_moderation){.act = MODERATE_CLOSE});
    assert_int_equal(world_say(w, 1, "three"), ERR_DENIED);
    world_free(w);
}

/* Who was away hears of the ban and of what came after it at one time, from somebody else. */
static void who_is_banned_counts_up_to_the_cut_and_is_not_carried_with(void **state)
{
    (void)state;
    struct world *w = three();
    world_say(w, 2, "before");
    world_run(w, SECONDS);
    int direct = world_link(w, 2, 1, PATH_DIRECT);
    world_run(w, SECONDS);
    decide(w, (struct node_moderation){.act = MODERATE_BAN, .account = SLICE("binh"), .text = SLICE("rude")});
    world_run(w, SECONDS);
    (void)world_say(w, 2, "after");
    world_say(w, 1, "he is gone");
    world_run(w, 10 * SECONDS);
    assert_int_equal(world_shows(w, 1, "before"), 1);
    assert_int_equal(world_shows(w, 0, "after") + world_shows(w, 1, "after"), 0);
    assert_int_equal(world_shows(w, 2, "he is gone"), 0);
    world_add(w, 3, ROLE_PERSON, "chi");
    world_link(w, 3, 0, PATH_TRACKER);
    world_link(w, 3, 2, PATH_DIRECT);
    world_run(w, 10 * SECONDS);
    assert_int_equal(world_shows(w, 3, "before"), 1);
    assert_int_equal(world_shows(w, 3, "after"), 0);
    /* It counts up to the end again, and what he said meanwhile, too. */
    decide(w, (struct node_moderation){.act = MODERATE_UNBAN, .account = SLICE("binh")});
    struct command join = {
        .kind = COMMAND_JOIN, .channel = w->channel, .device = w->authority, .bytes = SLICE("general")};
    assert_true(node_command(w->places[2].node, &join, w->now) >= 0);
    world_run(w, 20 * SECONDS);
    assert_true(world_say(w, 2, "back") > 0);
    world_run(w, 10 * SECONDS);
    assert_int_equal(world_shows(w, 1, "back"), 1);
    assert_int_equal(world_shows(w, 2, "he is gone"), 1);
    assert_int_equal(world_shows(w, 3, "back"), 1);
    (void)direct;
    world_free(w);
}

/* A private channel that the authority has founded: it says who is a member, and reads nothing. */
static void a_channel_of_the_authority_is_sealed_from_it(void **state)
{
    (void)state;
    static const uint8_t nonce[NODE_NONCE_BYTES] = {5};
    struct world *w = three();
    struct channel_spec spec = {
        .type = CHANNEL_PRIVATE, .authority = w->authority, .founder = w->authority, .nonce = nonce};
    world_use(w, &spec);
    assert_true(world_open(w, 0, &spec) >= 0);
    assert_true(world_member(w, 0, "an", true) > 0);
    assert_true(world_member(w, 0, "binh", true) > 0);
    world_run(w, 5 * SECONDS);
    assert_true(world_say(w, 1, "between us") > 0);
    world_run(w, 10 * SECONDS);
    assert_int_equal(world_shows(w, 2, "between us"), 1);
    assert_int_equal(world_shows(w, 0, "between us"), 0);
    slice account;
    assert_true(node_member(w->places[1].node, w->channel, 0, &account));
    assert_true(slice_equal(account, SLICE("an"))); /* the tracker is none */
    decide(w, (struct node_moderation){
                  .act = MODERATE_HIDE, .account = SLICE("an"), .from_ms = 0, .until_ms = ms(w)});
    assert_int_equal(world_shows(w, 2, "between us"), 0);
    /* Removed and added again in one go: the later word holds. */
    assert_true(world_member(w, 0, "binh", false) > 0);
    assert_true(world_member(w, 0, "binh", true) > 0);
    assert_true(world_member(w, 0, "an", false) > 0);
    world_run(w, 5 * SECONDS);
    assert_true(world_say(w, 2, "alone") > 0);
    world_run(w, 10 * SECONDS);
    assert_int_equal(world_shows(w, 1, "alone"), 0);
    assert_true(w->places[1].excluded > 0);
    /* After a restart the replica goes on in its feed. */
    world_restart(w, 0);
    certify_tracker(w);
    assert_true(world_member(w, 0, "an", true) > 0);
    world_link(w, 1, 0, PATH_TRACKER);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    assert_int_equal(world_shows(w, 1, "alone"), 1); /* who comes in reads what was said */
    world_free(w);
}

/* The decisions arrive in every order; the same comes out. */
static void what_holds_does_not_depend_on_the_order_of_arrival(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct world *w = three();
        uint64_t from = ms(w);
        world_say(w, 2, "text");
        world_run(w, SECONDS);
        world_restart(w, 1); /* cuts its link */
        struct node_moderation m = {
            .act = MODERATE_HIDE, .account = SLICE("binh"), .from_ms = from, .until_ms = ms(w)};
        for (int i = 0; i < 80; i++) {
            m.act = i % 2 ? MODERATE_SHOW : MODERATE_HIDE;
            decide(w, m);
        }
        if (order) m.act = MODERATE_HIDE;
        decide(w, m);
        world_link(w, 1, 0, PATH_TRACKER); /* the newest come first, above a gap */
        world_run(w, 20 * SECONDS);
        assert_int_equal(world_shows(w, 1, "text"), order ? 0 : 1);
        world_restart(w, 1);
        assert_int_equal(world_shows(w, 1, "text"), order ? 0 : 1);
        world_free(w);
    }
}

static void a_body_in_another_form_means_nothing(void **state)
{
    (void)state;
    uint8_t room[256];
    struct moderate_body out;
    struct node_moderation m = {.act = MODERATE_HIDE,
                                .by = SLICE("an"),
                                .account = SLICE("binh"),
                                .from_ms = 1,
                                .until_ms = 2,
                                .number = 3,
                                .text = SLICE("why"),
                                .author = room,
                                .seq = 9};
    memset(room, 7, sizeof room);
    uint8_t author[ID_BYTES] = {1};
    m.author = author;
    struct writer w = writer_of(room, sizeof room);
    moderation_write(&m, &w);
    assert_int_equal(moderate_parse(writer_slice(&w), &out), OK);
    assert_int_equal(out.act, MODERATE_HIDE);
    assert_int_equal(out.pairs_left, 1);
    assert_true(slice_equal(out.text, SLICE("why")));
    for (size_t len = 0; len < w.len; len++)
        assert_int_equal(moderate_parse(slice_of(room, len), &out), ERR_MALFORMED);
    room[w.len] = 0;
    assert_int_equal(moderate_parse(slice_of(room, w.len + 1), &out), ERR_MALFORMED);
    room[0] = 0x89; /* one more element */
    assert_int_equal(moderate_parse(slice_of(room, w.len + 1), &out), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_replica_of_the_authority_decides),
        cmocka_unit_test(what_is_hidden_is_hidden_for_everybody_until_it_is_shown_again),
        cmocka_unit_test(one_entry_is_hidden_by_its_number),
        cmocka_unit_test(who_is_muted_does_not_write_and_is_not_shown),
        cmocka_unit_test(slow_mode_and_the_end_are_obeyed_by_who_writes),
        cmocka_unit_test(who_is_banned_counts_up_to_the_cut_and_is_not_carried_with),
        cmocka_unit_test(a_channel_of_the_authority_is_sealed_from_it),
        cmocka_unit_test(what_holds_does_not_depend_on_the_order_of_arrival),
        cmocka_unit_test(a_body_in_another_form_means_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
