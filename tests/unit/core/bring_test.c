/* Entries of a device that has no node: composed and handed in by who holds its seed. */
#include "base/cbor.h"
#include "world.h"

static const uint8_t web[KEY_BYTES] = {0x77};

static const uint8_t *web_device(void)
{
    static uint8_t device[ID_BYTES];
    crypto_native()->sign_public(NULL, device, web);
    return device;
}

static int compose(struct world *w, uint32_t kind, slice body, uint8_t *room, size_t *out_len)
{
    struct node_draft draft = {.channel = w->channel, .seed = web, .kind = kind, .body = body};
    struct writer out = writer_of(room, NODE_RECORD_BYTES_MAX);
    int rc = node_compose(w->places[0].node, &draft, w->now, &out);
    *out_len = out.len;
    return rc;
}

static int64_t bring(struct world *w, slice wire)
{
    struct command c = {.kind = COMMAND_BRING, .channel = w->channel, .bytes = wire};
    return node_command(w->places[0].node, &c, w->now);
}

static int64_t write_entry(struct world *w, uint32_t kind, slice body)
{
    uint8_t room[NODE_RECORD_BYTES_MAX];
    size_t len;
    int rc = compose(w, kind, body, room, &len);
    return rc < 0 ? rc : bring(w, slice_of(room, len));
}

static int64_t join(struct world *w, const char *account)
{
    uint8_t certificate[512], body[520];
    int len = world_certificate(w, web_device(), account, certificate);
    struct writer b = writer_of(body, sizeof body);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, slice_of(certificate, (size_t)len));
    return write_entry(w, ENTRY_JOIN, writer_slice(&b));
}

static int64_t say(struct world *w, const char *text)
{
    uint8_t body[128];
    struct writer b = writer_of(body, sizeof body);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, slice_text(text));
    return write_entry(w, ENTRY_TEXT, writer_slice(&b));
}

static uint64_t top(struct world *w)
{
    uint64_t seq;
    return node_author(w->places[0].node, w->channel, web_device(), &seq) ? seq : 0;
}

static struct world *tracker_and_member(void)
{
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    return w;
}

static void what_is_brought_reaches_the_members_in_its_place(void **state)
{
    (void)state;
    struct world *w = tracker_and_member();
    assert_int_equal(say(w, "too early"), ERR_WRONG_STATE);
    assert_true(join(w, "binh") > 0);
    assert_int_equal(join(w, "binh"), ERR_WRONG_STATE);
    int64_t token = say(w, "one");
    assert_true(token > 0);
    world_run(w, 100 * MILLISECONDS); /* what a device writes first may wait for a round of HAVE */
    assert_int_equal(world_heard(w, 1, "one"), 1);
    struct delivery *d = &w->places[1].delivered[w->places[1].deliveries - 1];
    assert_string_equal(d->account, "binh");
    assert_int_equal(d->seq, 2);
    struct delivery *own = &w->places[0].delivered[w->places[0].deliveries - 1];
    assert_int_equal(own->token, token);
    assert_int_equal(own->path, PATH_NONE);
    /* The member's clock and the tracker's go on together: what is written later stands later. */
    w->now += 1;
    assert_true(world_say(w, 1, "an answer") > 0);
    world_settle(w);
    assert_true(say(w, "two") > 0);
    world_run(w, 100 * MILLISECONDS);
    assert_int_equal(world_heard(w, 1, "two"), 1);
    world_free(w);
}

static void it_counts_when_it_is_durable_and_a_failed_one_leaves_its_place_to_the_next(void **state)
{
    (void)state;
    struct world *w = tracker_and_member();
    assert_true(join(w, "binh") > 0);
    world_settle(w);
    w->places[0].hold_stores = true;
    assert_true(say(w, "held") > 0);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_heard(w, 1, "held"), 0);
    assert_int_equal(world_heard(w, 0, "held"), 0);
    assert_int_equal(top(w), 2);
    assert_true(say(w, "behind it") > 0);
    world_settle(w);
    assert_int_equal(w->places[0].held_len, 2);
    node_done(w->places[0].node, w->places[0].held[0], ERR_DISK_FULL, SLICE_EMPTY, w->now);
    node_done(w->places[0].node, w->places[0].held[1], OK, SLICE_EMPTY, w->now);
    w->places[0].hold_stores = false;
    world_run(w, 5 * SECONDS);
    assert_int_equal(top(w), 1);
    assert_true(say(w, "after it") > 0);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_heard(w, 1, "held"), 0);
    assert_int_equal(world_heard(w, 1, "behind it"), 0);
    assert_int_equal(world_heard(w, 1, "after it"), 1);
    world_free(w);
}

static void the_feed_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct world *w = tracker_and_member();
    assert_true(join(w, "binh") > 0);
    assert_true(say(w, "before") > 0);
    world_settle(w);
    world_restart(w, 0);
    assert_int_equal(top(w), 2);
    world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    assert_true(say(w, "after") > 0);
    world_settle(w);
    assert_int_equal(world_heard(w, 1, "before"), 1);
    assert_int_equal(world_heard(w, 1, "after"), 1);
    world_free(w);
}

static void only_the_next_entry_of_the_chain_is_taken(void **state)
{
    (void)state;
    struct world *w = tracker_and_member();
    uint8_t first[NODE_RECORD_BYTES_MAX], second[NODE_RECORD_BYTES_MAX];
    size_t first_len, second_len;
    static const uint8_t body[] = {0x81, 0x41, 'a'}, other[] = {0x81, 0x41, 'b'};
    assert_true(join(w, "binh") > 0);
    world_settle(w);
    assert_int_equal(compose(w, ENTRY_TEXT, slice_of(body, 3), first, &first_len), OK);
    assert_int_equal(compose(w, ENTRY_TEXT, slice_of(other, 3), second, &second_len), OK);
    assert_true(bring(w, slice_of(first, first_len)) > 0);
    assert_int_equal(bring(w, slice_of(second, second_len)), ERR_WRONG_STATE); /* the same place */
    assert_int_equal(bring(w, slice_of(first, first_len)), ERR_WRONG_STATE);   /* again */
    world_run(w, 100 * MILLISECONDS);
    assert_int_equal(world_heard(w, 1, "a"), 1);
    assert_int_equal(world_heard(w, 1, "b"), 0);

    assert_int_equal(compose(w, ENTRY_TEXT, slice_of(other, 3), second, &second_len), OK);
    second[second_len - 1] ^= 1;
    assert_int_equal(bring(w, slice_of(second, second_len)), ERR_SIGNATURE);
    assert_true(bring(w, SLICE("nonsense")) < 0);
    struct command nowhere = {
        .kind = COMMAND_BRING, .channel = web_device(), .bytes = slice_of(second, second_len)};
    assert_int_equal(node_command(w->places[0].node, &nowhere, w->now), ERR_NOT_FOUND);
    world_free(w);
}

static void a_certificate_of_another_device_or_authority_opens_nothing(void **state)
{
    (void)state;
    struct world *w = tracker_and_member();
    uint8_t certificate[512], body[520];
    int len = world_certificate(w, world_device(w, 1), "an", certificate);
    struct writer b = writer_of(body, sizeof body);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, slice_of(certificate, (size_t)len));
    assert_int_equal(write_entry(w, ENTRY_JOIN, writer_slice(&b)), ERR_PROTOCOL);
    assert_int_equal(top(w), 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_brought_reaches_the_members_in_its_place),
        cmocka_unit_test(it_counts_when_it_is_durable_and_a_failed_one_leaves_its_place_to_the_next),
        cmocka_unit_test(the_feed_goes_on_after_a_restart),
        cmocka_unit_test(only_the_next_entry_of_the_chain_is_taken),
        cmocka_unit_test(a_certificate_of_another_device_or_authority_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
