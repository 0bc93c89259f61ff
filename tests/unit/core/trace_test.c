/* trace.h: what went into a node, given to another one, gives the same again; and a trace that is cut,
 * changed or no trace at all is told apart. */
#include "base/cbor.h"
#include "world.h"

enum { SAID_MAX = 64, CALLS_MAX = 20000 };

/* What a node did, as another one may be asked to do it again. */
struct seen {
    uint64_t seq[SAID_MAX];
    char text[SAID_MAX][64];
    size_t said;
    size_t sent_bytes, kinds[TRACE_KINDS];
    size_t end_of[CALLS_MAX], calls; /* not of the replay: filled by the tests that cut */
};

static void on_call(void *context, const struct trace_call *call)
{
    struct seen *seen = context;
    assert_in_range(call->kind, 0, TRACE_KINDS - 1);
    assert_int_equal(call->number, ++seen->calls);
    seen->kinds[call->kind]++;
}

static void on_action(void *context, const struct action *action)
{
    struct seen *seen = context;
    if (action->kind != ACTION_DELIVER || action->entry.kind != ENTRY_TEXT) return;
    assert_true(seen->said < SAID_MAX);
    struct cbor_reader r = cbor_reader_of(action->entry.body);
    cbor_array(&r, 8);
    slice text = cbor_bytes(&r, 63);
    memcpy(seen->text[seen->said], text.ptr, text.len);
    seen->seq[seen->said++] = action->entry.seq;
}

static void on_sent(void *context, uint32_t link, slice bytes)
{
    (void)link;
    ((struct seen *)context)->sent_bytes += bytes.len;
}

/* Goes on when something differs. */
static bool lenient;

static int replay_in(slice trace, size_t piece, const struct crypto *crypto, struct seen *seen,
                     struct replay_report *out)
{
    struct replay_options options = {.allocator = &allocator_libc,
                                     .crypto = crypto,
                                     .lenient = lenient,
                                     .call = on_call,
                                     .action = on_action,
                                     .sent = on_sent,
                                     .context = seen};
    struct replay *replay;
    *seen = (struct seen){0};
    assert_int_equal(replay_new(&options, &replay), OK);
    int rc = OK;
    for (size_t at = 0; rc == OK && at < trace.len; at += piece)
        rc = replay_feed(replay, slice_sub(trace, at, piece));
    replay_end(replay, out);
    return rc;
}

static int replay_all(slice trace, struct seen *seen, struct replay_report *out)
{
    return replay_in(trace, trace.len, crypto_native(), seen, out);
}

/* Two persons and the replica, a restart, lost links; the trace of place 1 is given away. */
static slice a_chat(struct world *w)
{
    char text[32];
    for (int i = 0; i < 3; i++)
        world_add(w, i, i == 0 ? ROLE_REPLICA : ROLE_PERSON, i == 1 ? "an" : "binh");
    int link = world_link(w, 1, 0, PATH_TRACKER);
    world_link(w, 2, 0, PATH_TRACKER);
    world_link(w, 1, 2, PATH_DIRECT);
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "message %d", i);
        assert_true(world_say(w, 1 + i % 2, text) > 0);
        world_run(w, 2 * SECONDS);
    }
    world_cut(w, link);
    world_run(w, 60 * SECONDS);
    return buffer_slice(&w->places[1].trace);
}

static void a_replay_does_the_same(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    slice trace = a_chat(w);
    assert_int_equal(replay_all(trace, &seen, &report), OK);
    const struct place *p = &w->places[1];
    size_t said = 0;
    for (size_t i = 0; i < p->deliveries; i++) {
        if (p->delivered[i].kind != ENTRY_TEXT) continue;
        assert_int_equal(p->delivered[i].seq, seen.seq[said]);
        assert_string_equal(p->delivered[i].text, seen.text[said]);
        said++;
    }
    assert_int_equal(said, 5);
    assert_int_equal(said, seen.said);
    assert_int_equal(report.bytes_out, seen.sent_bytes);
    assert_true(report.bytes_out > 1000 && report.bytes_in > 1000);
    assert_int_equal(report.calls, seen.calls);
    assert_false(report.complete); /* it is still there */
    assert_int_equal(report.cut, 0);
    assert_int_equal(report.ended, w->now);
    assert_true(seen.kinds[TRACE_CREATE] == 1 && seen.kinds[TRACE_RECEIVE] > 5 && seen.kinds[TRACE_TICK] > 5);
    world_free(w);
}

static void a_restart_is_in_the_trace(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    a_chat(w);
    world_restart(w, 1); /* replays the first life */
    assert_true(world_say(w, 1, "after the restart") > 0);
    world_settle(w);
    assert_int_equal(replay_all(buffer_slice(&w->places[1].trace), &seen, &report), OK);
    assert_true(seen.kinds[TRACE_RESTORE] >= 8);
    assert_int_equal(seen.said, 1);
    assert_string_equal(seen.text[0], "after the restart");
    world_free(w);
}

/* Whoever is stopped in the midst of writing leaves such a file. */
static void a_trace_may_be_cut_anywhere(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    slice trace = a_chat(w);
    uint64_t calls = 0;
    for (size_t len = 1; len < trace.len; len += 1 + len / 40) {
        assert_int_equal(replay_all(slice_sub(trace, 0, len), &seen, &report), OK);
        assert_true(report.calls >= calls);
        assert_true(report.cut < 20000);
        calls = report.calls;
    }
    assert_true(calls > 50);
    world_free(w);
}

static void pieces_do_not_matter(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report whole, pieces;
    slice trace = a_chat(w);
    assert_int_equal(replay_all(trace, &seen, &whole), OK);
    assert_int_equal(replay_in(trace, 7, crypto_native(), &seen, &pieces), OK);
    assert_memory_equal(&whole, &pieces, sizeof whole);
    world_free(w);
}

/* Only reads: finds where the call `number` begins and ends. */
static void bounds_of(slice trace, uint64_t number, size_t *out_from, size_t *out_len)
{
    struct cbor_reader r = cbor_reader_of(trace);
    for (uint64_t i = 1; i < number; i++)
        cbor_skip(&r, 1);
    *out_from = trace.len - r.rest.len;
    cbor_skip(&r, 1);
    assert_false(r.failed);
    *out_len = trace.len - r.rest.len - *out_from;
}

struct wanted {
    enum trace_kind kind;
    size_t bytes_min;
    uint64_t number;
};

static void find_call(void *context, const struct trace_call *call)
{
    struct wanted *wanted = context;
    size_t len = call->kind == TRACE_COMMAND ? call->command.bytes.len : call->bytes.len;
    if (!wanted->number && call->kind == wanted->kind && len >= wanted->bytes_min)
        wanted->number = call->number;
}

static uint64_t call_of(slice trace, enum trace_kind kind, size_t bytes_min)
{
    struct wanted wanted = {kind, bytes_min, 0};
    struct replay_options options = {
        .allocator = &allocator_libc, .call = find_call, .context = &wanted}; /* without crypto: reads only */
    struct replay_report report;
    struct replay *replay;
    assert_int_equal(replay_new(&options, &replay), OK);
    assert_int_equal(replay_feed(replay, trace), OK);
    replay_end(replay, &report);
    assert_true(wanted.number > 0 && report.actions == 0);
    return wanted.number;
}

static void a_changed_input_is_found_at_its_call(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    slice trace = a_chat(w);
    uint8_t *copy = malloc(trace.len);
    assert_non_null(copy);
    const enum trace_kind kinds[] = {TRACE_RECEIVE, TRACE_COMMAND, TRACE_DONE};
    const size_t least[] = {200, 10, 0};
    for (int i = 0; i < 3; i++) {
        size_t from, len;
        uint64_t number = call_of(trace, kinds[i], least[i]);
        memcpy(copy, trace.ptr, trace.len);
        bounds_of(trace, number, &from, &len);
        /* The last byte of what came or of what was said; the token of what was done. */
        copy[from + len - (kinds[i] == TRACE_DONE ? 3 : 1)] ^= 1;
        assert_int_equal(replay_all(slice_of(copy, trace.len), &seen, &report), ERR_CORRUPT);
        /* At once, or when what follows from it is given out. */
        assert_in_range(report.differs, number, number + 3);
        uint64_t differs = report.differs;
        lenient = true;
        assert_int_equal(replay_all(slice_of(copy, trace.len), &seen, &report), OK);
        lenient = false;
        assert_int_equal(report.differs, differs);
        assert_true(report.calls > differs + 10);
    }
    free(copy);
    world_free(w);
}

static void what_is_no_trace_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    slice trace = a_chat(w);
    assert_int_equal(replay_all(SLICE("SQLite format 3"), &seen, &report), ERR_CORRUPT);
    assert_int_equal(replay_all(SLICE("\x83\x07\x00\x00"), &seen, &report), ERR_CORRUPT); /* TICK first */
    assert_int_equal(replay_all(SLICE(""), &seen, &report), OK);
    assert_int_equal(report.calls, 0);

    struct buffer other;
    buffer_init(&other, &allocator_libc, 1 << 20);
    buffer_put(&other, trace);
    size_t name = 0;
    while (memcmp(other.ptr + name, TRACE_NAME, sizeof TRACE_NAME - 1) != 0)
        name++;
    other.ptr[name + sizeof TRACE_NAME - 1] = TRACE_FORMAT + 1;
    assert_int_equal(replay_all(buffer_slice(&other), &seen, &report), ERR_VERSION);
    other.ptr[name + sizeof TRACE_NAME - 1] = TRACE_FORMAT;
    other.ptr[name] ^= 1;
    assert_int_equal(replay_all(buffer_slice(&other), &seen, &report), ERR_CORRUPT);
    buffer_reset(&other);
    world_free(w);
}

static void other_public(void *context, uint8_t public_key[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    memcpy(public_key, seed, KEY_BYTES);
}

static void other_crypto_is_noticed(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    struct crypto other = *crypto_native();
    other.sign_public = other_public;
    slice trace = a_chat(w);
    assert_int_equal(replay_in(trace, trace.len, &other, &seen, &report), ERR_AUTH);
    world_free(w);
}

static void nothing_comes_after_the_end(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    world_add(w, 1, ROLE_PERSON, "an");
    struct buffer copy;
    buffer_init(&copy, &allocator_libc, 1 << 20);
    struct buffer *trace = &w->places[1].trace;
    node_destroy(w->places[1].node);
    w->places[1].node = NULL;
    buffer_put(&copy, buffer_slice(trace));
    assert_int_equal(replay_all(buffer_slice(&copy), &seen, &report), OK);
    assert_true(report.complete);
    buffer_put(&copy, SLICE("\x83\x07\x00\x00"));
    assert_int_equal(replay_all(buffer_slice(&copy), &seen, &report), ERR_CORRUPT);
    buffer_reset(&copy);
    buffer_reset(trace);
    world_free(w);
}

static void what_is_too_long_ends_the_trace_and_not_the_node(void **state)
{
    (void)state;
    struct world *w = world_new();
    static struct seen seen;
    struct replay_report report;
    world_add(w, 1, ROLE_PERSON, "an");
    uint8_t *bytes = calloc(1, TRACE_BYTES_MAX + 1);
    assert_non_null(bytes);
    struct command c = {.kind = COMMAND_SEND,
                        .channel = w->channel,
                        .entry_kind = ENTRY_TEXT,
                        .bytes = slice_of(bytes, TRACE_BYTES_MAX + 1)};
    assert_int_equal(node_command(w->places[1].node, &c, w->now), ERR_TOO_LARGE);
    size_t len = w->places[1].trace.len;
    assert_true(world_say(w, 1, "goes on") > 0);
    world_settle(w);
    assert_int_equal(world_heard(w, 1, "goes on"), 1);
    assert_int_equal(w->places[1].trace.len, len);
    assert_int_equal(replay_all(buffer_slice(&w->places[1].trace), &seen, &report), ERR_FULL);
    assert_int_equal(seen.kinds[TRACE_LOST], 1);
    free(bytes);
    buffer_reset(&w->places[1].trace); /* it cannot be replayed to the end */
    world_free(w);
}

struct starving {
    int left;
};

static void *starving_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    struct starving *s = context;
    if (size > 0 && s->left-- <= 0) return NULL;
    return allocator_libc.resize(allocator_libc.context, ptr, old_size, size);
}

static void keep(void *context, slice piece)
{
    buffer_put(context, piece);
}

/* What no replay can repeat is said. */
static void hunger_ends_the_trace(void **state)
{
    (void)state;
    static struct seen seen;
    struct replay_report report;
    assert_int_equal(crypto_native_start(), OK);
    struct starving starving = {3};
    struct allocator allocator = {&starving, starving_resize};
    struct buffer trace;
    buffer_init(&trace, &allocator_libc, 1 << 20);
    struct node_config config = {.trace = keep, .trace_context = &trace};
    struct node *node;
    assert_int_equal(node_create(&config, &allocator, crypto_native(), 1000, &node), OK);
    struct node_link info = {.path = PATH_DIRECT, .initiator = true};
    int rc = OK;
    for (uint32_t link = 1; rc == OK && link < 10; link++)
        rc = node_link_up(node, link, &info, 1000 + link);
    assert_int_equal(rc, ERR_MEMORY);
    node_tick(node, 5000);
    node_destroy(node);
    assert_int_equal(replay_all(buffer_slice(&trace), &seen, &report), ERR_FULL);
    assert_int_equal(seen.kinds[TRACE_LINK_UP], report.calls - 2); /* all that were tried; CREATE and LOST */
    buffer_reset(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_does_the_same),
        cmocka_unit_test(a_restart_is_in_the_trace),
        cmocka_unit_test(a_trace_may_be_cut_anywhere),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(a_changed_input_is_found_at_its_call),
        cmocka_unit_test(what_is_no_trace_is_refused),
        cmocka_unit_test(other_crypto_is_noticed),
        cmocka_unit_test(nothing_comes_after_the_end),
        cmocka_unit_test(what_is_too_long_ends_the_trace_and_not_the_node),
        cmocka_unit_test(hunger_ends_the_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
