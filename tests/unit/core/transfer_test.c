/* Files arrive byte for byte, from whoever has them, whatever goes wrong on the way. */
#include "swarm.h"

#define LEAF ((uint64_t)NODE_LEAF_BYTES)

static struct swarm *pair(void)
{
    struct swarm *w = swarm_new(2);
    swarm_link(w, 0, 1);
    swarm_run(w, SECONDS / 2);
    return w;
}

static void sizes_around_the_borders_of_leaves_arrive(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0,    1,        100,          16384,        16385,        LEAF - 1,
                                     LEAF, LEAF + 1, 2 * LEAF - 1, 2 * LEAF + 1, 9 * LEAF + 77};
    struct swarm *w = pair();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int file = swarm_file(w, sizes[i]);
        swarm_hold(w, 0, file);
        assert_int_equal(swarm_fetch(w, 1, file), 0);
    }
    for (int file = 0; file < w->originals_len; file++) {
        assert_true(swarm_until_done(w, 1, file, 20 * SECONDS));
        assert_int_equal(w->devices[0].copies[file].state, FILE_SERVING);
        assert_int_equal(w->devices[1].copies[file].leaves, w->originals[file].leaves);
        for (uint32_t leaf = 0; leaf < w->originals[file].leaves; leaf++)
            assert_int_equal(w->devices[1].copies[file].writes[leaf], 1);
    }
    swarm_free(w);
}

static void a_file_that_is_held_later_is_found(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 3 * LEAF);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 2 * SECONDS);
    assert_int_equal(w->devices[1].copies[file].state, FILE_WAITING);
    swarm_hold(w, 0, file);
    assert_true(swarm_until_done(w, 1, file, 2 * SECONDS));
    swarm_free(w);
}

/* Who has more of a file does not matter: all give what they have. */
static void several_sources_are_used_at_once(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(5);
    int file = swarm_file(w, 64 * LEAF);
    for (int i = 0; i < 4; i++) {
        swarm_link(w, i, 4);
        w->devices[i].rate = 1000000;
        swarm_hold(w, i, file);
    }
    swarm_run(w, SECONDS / 2);
    usec began = w->now;
    assert_int_equal(swarm_fetch(w, 4, file), 0);
    assert_true(swarm_until_done(w, 4, file, 60 * SECONDS));
    assert_in_range(w->now - began, 1 * SECONDS, 2 * SECONDS); /* 4 MiB of 4 MB/s; one of them needs 4.2 s */
    for (int i = 0; i < 4; i++)
        assert_in_range(w->devices[i].data_sent, 10 * LEAF, 24 * LEAF);
    swarm_free(w);
}

/* The first bad leaf is the last one that is taken from a device; the others go on. */
static void a_lying_source_is_dropped_after_its_first_bad_leaf(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(3);
    w->devices[0].lies = true;
    swarm_restart(w, 0);
    int file = swarm_file(w, 20 * LEAF + 5);
    swarm_link(w, 0, 2);
    swarm_hold(w, 0, file);
    swarm_run(w, SECONDS / 2);
    assert_int_equal(swarm_fetch(w, 2, file), 0);
    swarm_run(w, 3 * SECONDS);
    assert_int_equal(w->devices[2].copies[file].leaves, 0);
    assert_int_equal(w->devices[2].copies[file].state, FILE_WAITING);
    assert_int_equal(w->devices[2].warnings, 1);              /* in words, once */
    assert_in_range(w->devices[0].data_sent, LEAF, 4 * LEAF); /* what was asked for before the first came */
    swarm_cut(w, 0);                                          /* it comes again: it is still known */
    uint64_t sent = w->devices[0].data_sent;
    swarm_link(w, 0, 2);
    swarm_run(w, 3 * SECONDS);
    assert_int_equal(w->devices[0].data_sent, sent);
    swarm_link(w, 1, 2);
    swarm_hold(w, 1, file);
    assert_true(swarm_until_done(w, 2, file, 10 * SECONDS));
    swarm_free(w);
}

static void a_liar_among_many_costs_one_leaf(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(4);
    w->devices[0].lies = true;
    swarm_restart(w, 0);
    int file = swarm_file(w, 100 * LEAF);
    for (int i = 0; i < 3; i++) {
        swarm_link(w, i, 3);
        swarm_hold(w, i, file);
        w->devices[i].rate = 2000000;
    }
    swarm_run(w, SECONDS / 2);
    assert_int_equal(swarm_fetch(w, 3, file), 0);
    assert_true(swarm_until_done(w, 3, file, 10 * SECONDS));
    assert_in_range(w->devices[0].data_sent, LEAF, 4 * LEAF);
    assert_int_equal(w->devices[3].warnings, 1);
    swarm_free(w);
}

/* Wherever it is cut off: nothing that was on the disk comes again. */
static void a_transfer_resumes_after_a_restart_of_either_side(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        for (int steps = 1; steps < 60; steps += 7) {
            struct swarm *w = pair();
            int file = swarm_file(w, 40 * LEAF - 9);
            w->devices[0].rate = 4000000;
            swarm_hold(w, 0, file);
            assert_int_equal(swarm_fetch(w, 1, file), 0);
            for (int i = 0; i < steps; i++)
                swarm_step(w);
            uint64_t before = w->devices[1].copies[file].leaves;
            swarm_restart(w, who);
            if (who == 0)
                swarm_hold(w, 0, file);
            else
                assert_int_equal(swarm_fetch(w, 1, file), 0);
            swarm_link(w, 0, 1);
            assert_true(swarm_until_done(w, 1, file, 10 * SECONDS));
            for (uint32_t leaf = 0; leaf < 40; leaf++)
                assert_int_equal(w->devices[1].copies[file].writes[leaf], 1);
            assert_in_range(before, 0, 40);
            swarm_free(w);
        }
    }
}

static void a_bitmap_is_checked(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 13 * LEAF);
    const struct original *o = &w->originals[file];
    uint8_t bitmap[3] = {0xFF, 0x1F, 0};
    struct command c = {.kind = COMMAND_FILE_FETCH, .channel = w->channel, .root = o->root, .size = o->size};
    struct node *n = w->devices[1].node;
    c.bytes = slice_of(bitmap, 1);
    assert_int_equal(node_command(n, &c, w->now), ERR_INVALID);
    c.bytes = slice_of(bitmap, 3);
    assert_int_equal(node_command(n, &c, w->now), ERR_INVALID);
    bitmap[1] = 0x3F; /* a leaf that the file does not have */
    c.bytes = slice_of(bitmap, 2);
    assert_int_equal(node_command(n, &c, w->now), ERR_INVALID);
    c.size = TREE_SIZE_MAX + 1;
    c.bytes = SLICE_EMPTY;
    assert_int_equal(node_command(n, &c, w->now), ERR_TOO_LARGE);
    c.size = 0; /* the root is not that of nothing */
    assert_int_equal(node_command(n, &c, w->now), ERR_INVALID);
    c.size = o->size;
    c.channel = o->root; /* no such channel */
    assert_int_equal(node_command(n, &c, w->now), ERR_NOT_FOUND);
    assert_int_equal(swarm_command(w, 1, COMMAND_FILE_PAUSE, file, true), ERR_NOT_FOUND);
    assert_int_equal(swarm_command(w, 1, COMMAND_FILE_DROP, file, true), ERR_NOT_FOUND);
    bitmap[1] = 0x1F; /* everything is here */
    c.channel = w->channel;
    c.bytes = slice_of(bitmap, 2);
    assert_int_equal(node_command(n, &c, w->now), 0);
    w->originals[file].size++;
    assert_int_equal(swarm_command(w, 1, COMMAND_FILE_FETCH, file, true), ERR_EXISTS);
    w->originals[file].size--;
    swarm_step(w);
    assert_int_equal(w->devices[1].copies[file].state, FILE_DONE);
    swarm_free(w);
}

static void pause_stops_both_ways_and_goes_on(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct swarm *w = pair();
        int file = swarm_file(w, 60 * LEAF);
        w->devices[0].rate = 2000000;
        swarm_hold(w, 0, file);
        assert_int_equal(swarm_fetch(w, 1, file), 0);
        swarm_run(w, SECONDS);
        assert_int_equal(swarm_command(w, who, COMMAND_FILE_PAUSE, file, true), 0);
        swarm_run(w, SECONDS / 2); /* what was on its way */
        uint64_t sent = w->devices[0].data_sent, leaves = w->devices[1].copies[file].leaves;
        assert_in_range(leaves, 1, 59);
        assert_int_equal(w->devices[who].copies[file].state, FILE_PAUSED);
        if (who == 0) assert_int_equal(w->devices[1].copies[file].state, FILE_WAITING);
        swarm_run(w, 40 * SECONDS);
        assert_int_equal(w->devices[0].data_sent, sent);
        assert_int_equal(w->devices[1].copies[file].leaves, leaves);
        assert_int_equal(swarm_command(w, who, COMMAND_FILE_PAUSE, file, false), 0);
        assert_true(swarm_until_done(w, 1, file, 5 * SECONDS));
        for (uint32_t leaf = 0; leaf < 60; leaf++)
            assert_int_equal(w->devices[1].copies[file].writes[leaf], 1);
        swarm_free(w);
    }
}

static void cancelled_files_are_forgotten_on_both_sides(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 60 * LEAF), other = swarm_file(w, 10 * LEAF);
    w->devices[0].rate = 2000000;
    swarm_hold(w, 0, file);
    swarm_hold(w, 0, other);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, SECONDS);
    assert_int_equal(swarm_command(w, 1, COMMAND_FILE_DROP, file, true), 0);
    swarm_run(w, SECONDS / 2);
    uint64_t sent = w->devices[0].data_sent;
    swarm_run(w, 40 * SECONDS);
    assert_int_equal(w->devices[0].data_sent, sent);
    assert_int_equal(swarm_fetch(w, 1, other), 0); /* the link is as good as before */
    assert_true(swarm_until_done(w, 1, other, 5 * SECONDS));
    assert_int_equal(swarm_fetch(w, 1, file), 0); /* and the file can be had again */
    swarm_run(w, SECONDS / 2);
    assert_int_equal(swarm_command(w, 0, COMMAND_FILE_DROP, file, true), 0);
    swarm_run(w, SECONDS);
    assert_int_equal(w->devices[1].copies[file].state, FILE_WAITING);
    swarm_hold(w, 0, file);
    assert_true(swarm_until_done(w, 1, file, 5 * SECONDS));
    swarm_free(w);
}

static void a_full_disk_pauses_in_words_and_holds_no_memory(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 100 * LEAF);
    struct device *d = &w->devices[1];
    swarm_hold(w, 0, file);
    size_t before = d->bytes_used;
    d->write_result = ERR_DISK_FULL;
    d->writes_left = 20;
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 5 * SECONDS);
    assert_int_equal(d->copies[file].state, FILE_PAUSED);
    assert_int_equal(d->copies[file].result, ERR_DISK_FULL);
    assert_non_null(strstr(d->copies[file].text, "disk is full"));
    assert_int_equal(d->copies[file].leaves, 20);
    assert_true(d->bytes_used < before + LEAF); /* the tables, but no leaf */
    swarm_say(w, 1);                            /* everything else goes on */
    swarm_run(w, SECONDS);
    assert_int_equal(w->devices[0].talks, 1);
    d->write_result = OK;
    assert_int_equal(swarm_command(w, 1, COMMAND_FILE_PAUSE, file, false), 0);
    assert_true(swarm_until_done(w, 1, file, 5 * SECONDS));
    assert_int_equal(d->copies[file].result, OK);
    for (uint32_t leaf = 0; leaf < 100; leaf++)
        assert_int_equal(d->copies[file].writes[leaf], 1);
    swarm_free(w);
}

static void other_errors_of_the_disk_are_tried_again(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 10 * LEAF);
    struct device *d = &w->devices[1];
    swarm_hold(w, 0, file);
    d->write_result = ERR_IO;
    d->writes_left = 4;
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 2 * SECONDS);
    assert_int_equal(d->copies[file].leaves, 4);
    d->write_result = OK;
    uint64_t sent = w->devices[0].data_sent;
    assert_true(swarm_until_done(w, 1, file, 5 * SECONDS));
    assert_int_equal(w->devices[0].data_sent, sent); /* the bytes were kept */
    int lasting = swarm_file(w, 3 * LEAF);
    swarm_hold(w, 0, lasting);
    d->write_result = ERR_IO;
    d->writes_left = 0;
    assert_int_equal(swarm_fetch(w, 1, lasting), 0);
    swarm_run(w, 120 * SECONDS);
    assert_int_equal(d->copies[lasting].state, FILE_PAUSED);
    assert_int_equal(d->copies[lasting].result, ERR_IO);
    swarm_free(w);
}

/* Only what is on the disk counts and is offered to others. */
static void what_is_not_durable_is_not_announced(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(3);
    int file = swarm_file(w, 8 * LEAF);
    int first = swarm_link(w, 0, 1);
    swarm_hold(w, 0, file);
    w->devices[1].hold_writes = true;
    swarm_run(w, SECONDS / 2);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 2 * SECONDS);
    assert_int_equal(w->devices[1].held_len, 8);
    swarm_cut(w, first);
    swarm_link(w, 1, 2);
    assert_int_equal(swarm_fetch(w, 2, file), 0);
    swarm_run(w, 2 * SECONDS);
    assert_int_equal(w->devices[1].copies[file].leaves, 0);
    assert_int_equal(w->devices[2].copies[file].sources, 0);
    w->devices[1].hold_writes = false;
    swarm_write_held(w, 1, OK);
    assert_true(swarm_until_done(w, 1, file, SECONDS));
    assert_true(swarm_until_done(w, 2, file, 2 * SECONDS));
    swarm_free(w);
}

static void a_file_that_changed_on_the_disk_is_not_served(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(3);
    int file = swarm_file(w, 8 * LEAF);
    swarm_link(w, 0, 1);
    swarm_link(w, 1, 2);
    swarm_hold(w, 0, file);
    swarm_run(w, SECONDS / 2);
    w->devices[0].copies[file].bytes[3 * LEAF] ^= 1;
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 5 * SECONDS);
    assert_int_equal(w->devices[0].copies[file].state, FILE_PAUSED);
    assert_int_equal(w->devices[0].copies[file].result, ERR_CORRUPT);
    assert_int_equal(w->devices[1].warnings, 0); /* nobody was given anything false */
    w->devices[0].copies[file].bytes[3 * LEAF] ^= 1;
    assert_int_equal(swarm_command(w, 0, COMMAND_FILE_PAUSE, file, false), 0);
    assert_true(swarm_until_done(w, 1, file, 5 * SECONDS));
    /* A receiver's copy goes bad: that leaf is fetched again. */
    w->devices[1].copies[file].bytes[5 * LEAF + 7] ^= 1;
    assert_int_equal(swarm_fetch(w, 2, file), 0);
    assert_true(swarm_until_done(w, 2, file, 10 * SECONDS));
    assert_true(swarm_until_done(w, 1, file, 10 * SECONDS));
    assert_int_equal(w->devices[1].copies[file].writes[5], 2);
    swarm_free(w);
}

static void a_read_that_fails_for_a_while_is_asked_for_again(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 8 * LEAF);
    swarm_hold(w, 0, file);
    w->devices[0].read_result = ERR_IO;
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 3 * SECONDS);
    assert_int_equal(w->devices[1].copies[file].leaves, 0);
    w->devices[0].read_result = OK;
    assert_true(swarm_until_done(w, 1, file, 30 * SECONDS));
    swarm_free(w);
}

/* A source that falls silent is left for another one. */
static void a_silent_source_is_left(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(3);
    int file = swarm_file(w, 30 * LEAF);
    for (int i = 0; i < 2; i++) {
        swarm_link(w, i, 2);
        swarm_hold(w, i, file);
        w->devices[i].rate = 1000000;
    }
    swarm_run(w, SECONDS / 2);
    assert_int_equal(swarm_fetch(w, 2, file), 0);
    swarm_run(w, SECONDS / 4);
    w->devices[0].rate = 1; /* nothing more comes, but the link is up */
    assert_true(swarm_until_done(w, 2, file, 10 * SECONDS));
    swarm_free(w);
}

/* Between two frames with bytes of files a chat message never waits for a third. */
static void a_chat_message_waits_behind_one_frame_at_most(void **state)
{
    (void)state;
    static uint8_t bytes[NODE_TRANSMIT_ROOM];
    struct swarm *w = pair();
    int file = swarm_file(w, 100 * LEAF);
    w->devices[0].rate = 1000000;
    swarm_hold(w, 0, file);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, SECONDS / 2);
    for (int i = 0; i < 5; i++) {
        swarm_say(w, 0);
        struct action a;
        while (node_next(w->devices[0].node, &a)) {
            if (a.kind == ACTION_STORE) node_done(w->devices[0].node, a.token, OK, SLICE_EMPTY, w->now);
        }
        size_t len = node_transmit(w->devices[0].node, 0, bytes, sizeof bytes, w->now);
        assert_in_range(len, 1, 16 * 1024); /* the message, which is short, and not a piece of the file */
        size_t used;
        assert_int_equal(node_receive(w->devices[1].node, 0, slice_of(bytes, 0), w->now, &used), OK);
        /* (It was on the way behind what the pipe holds: it is given back to the pipe in order.) */
        for (int k = 0; k < 200 && w->links[0].flight_len[0] > 0; k++) {
            size_t flight = w->links[0].flight_len[0];
            w->links[0].flight_len[0] = 0;
            assert_int_equal(
                node_receive(w->devices[1].node, 0, slice_of(w->links[0].flight[0], flight), w->now, &used),
                OK);
            assert_int_equal(used, flight);
        }
        assert_int_equal(node_receive(w->devices[1].node, 0, slice_of(bytes, len), w->now, &used), OK);
        swarm_step(w);
        assert_int_equal(w->devices[1].talks, i + 1);
        w->links[0].writable[0] = true;
        swarm_run(w, SECONDS / 4);
    }
    assert_true(swarm_until_done(w, 1, file, 20 * SECONDS));
    swarm_free(w);
}

/* More files than are fetched at one time, most of which nobody has: those that are there come all the same.
 */
static void files_that_nobody_has_make_room_for_others(void **state)
{
    (void)state;
    struct swarm *w = pair();
    for (int i = 0; i < SWARM_FILES; i++) {
        int file = swarm_file(w, LEAF + (uint64_t)i);
        if (file >= SWARM_FILES - 4) swarm_hold(w, 0, file);
        assert_int_equal(swarm_fetch(w, 1, file), 0);
    }
    swarm_run(w, SECONDS);
    for (int file = SWARM_FILES - 4; file < SWARM_FILES; file++)
        assert_true(swarm_until_done(w, 1, file, 60 * SECONDS));
    swarm_hold(w, 0, 0); /* and one that comes later does not wait for ever */
    assert_true(swarm_until_done(w, 1, 0, 90 * SECONDS));
    swarm_free(w);
}

/* Two who are linked to the sender only: each gets all of it, though the sender would rather not. */
static void receivers_that_do_not_reach_each_other_get_everything(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(3);
    int file = swarm_file(w, 60 * LEAF);
    swarm_link(w, 0, 1);
    swarm_link(w, 0, 2);
    swarm_hold(w, 0, file);
    swarm_run(w, SECONDS / 2);
    usec began = w->now;
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    assert_int_equal(swarm_fetch(w, 2, file), 0);
    assert_true(swarm_until_done(w, 1, file, 30 * SECONDS));
    assert_true(swarm_until_done(w, 2, file, 30 * SECONDS));
    assert_true(w->now - began < 10 * SECONDS);
    swarm_free(w);
}

static void who_leaves_the_channel_serves_no_more(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 60 * LEAF);
    w->devices[0].rate = 1000000;
    swarm_hold(w, 0, file);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, SECONDS);
    struct command leave = {.kind = COMMAND_LEAVE, .channel = w->channel};
    assert_true(node_command(w->devices[0].node, &leave, w->now) > 0);
    swarm_run(w, 2 * SECONDS);
    uint64_t sent = w->devices[0].data_sent;
    assert_in_range(w->devices[1].copies[file].leaves, 1, 59);
    swarm_run(w, 10 * SECONDS);
    assert_int_equal(w->devices[0].data_sent, sent);
    assert_int_equal(w->devices[1].copies[file].state, FILE_WAITING);
    swarm_free(w);
}

static void reports_come_a_few_times_a_second(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 200 * LEAF);
    w->devices[0].rate = 2000000;
    swarm_hold(w, 0, file);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    assert_true(swarm_until_done(w, 1, file, 30 * SECONDS)); /* 6.6 s */
    assert_in_range(w->devices[1].copies[file].reports, 10, 40);
    swarm_free(w);
}

/* The offerer uploads little more than once, each receiver in turn serves others, and memory is bounded. */
static void one_file_for_fifty_is_uploaded_little_more_than_once(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(51);
    int file = swarm_file(w, 64 * LEAF);
    swarm_mesh(w, 12);
    for (int i = 0; i < 51; i++)
        w->devices[i].rate = 1000000;
    swarm_run(w, 3 * SECONDS);
    swarm_hold(w, 0, file);
    for (int i = 0; i < 51; i++)
        w->devices[i].bytes_most = w->devices[i].bytes_used;
    for (int i = 1; i < 51; i++)
        assert_int_equal(swarm_fetch(w, i, file), 0);
    usec began = w->now;
    for (int i = 1; i < 51; i++)
        assert_true(swarm_until_done(w, i, file, 120 * SECONDS));
    uint64_t most = 0;
    for (int i = 1; i < 51; i++) {
        if (w->devices[i].data_sent > most) most = w->devices[i].data_sent;
        for (uint32_t leaf = 0; leaf < 64; leaf++)
            assert_int_equal(w->devices[i].copies[file].writes[leaf], 1);
        assert_true(w->devices[i].bytes_most < 12 << 20);
    }
    print_message("sender %.2f times the file, busiest receiver %.2f, %.1f s (once: 4.2 s)\n",
                  (double)w->devices[0].data_sent / (64.0 * (double)LEAF),
                  (double)most / (64.0 * (double)LEAF), (double)(w->now - began) / 1e6);
    assert_true(w->devices[0].data_sent <= 64 * LEAF * 13 / 10);
    swarm_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_around_the_borders_of_leaves_arrive),
        cmocka_unit_test(a_file_that_is_held_later_is_found),
        cmocka_unit_test(several_sources_are_used_at_once),
        cmocka_unit_test(a_lying_source_is_dropped_after_its_first_bad_leaf),
        cmocka_unit_test(a_liar_among_many_costs_one_leaf),
        cmocka_unit_test(a_transfer_resumes_after_a_restart_of_either_side),
        cmocka_unit_test(a_bitmap_is_checked),
        cmocka_unit_test(pause_stops_both_ways_and_goes_on),
        cmocka_unit_test(cancelled_files_are_forgotten_on_both_sides),
        cmocka_unit_test(a_full_disk_pauses_in_words_and_holds_no_memory),
        cmocka_unit_test(other_errors_of_the_disk_are_tried_again),
        cmocka_unit_test(what_is_not_durable_is_not_announced),
        cmocka_unit_test(a_file_that_changed_on_the_disk_is_not_served),
        cmocka_unit_test(a_read_that_fails_for_a_while_is_asked_for_again),
        cmocka_unit_test(a_silent_source_is_left),
        cmocka_unit_test(a_chat_message_waits_behind_one_frame_at_most),
        cmocka_unit_test(files_that_nobody_has_make_room_for_others),
        cmocka_unit_test(receivers_that_do_not_reach_each_other_get_everything),
        cmocka_unit_test(who_leaves_the_channel_serves_no_more),
        cmocka_unit_test(reports_come_a_few_times_a_second),
        cmocka_unit_test(one_file_for_fifty_is_uploaded_little_more_than_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
