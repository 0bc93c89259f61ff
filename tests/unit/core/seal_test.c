/* What is said in sealed channels is for all devices of all members, and for nobody else. With the real
 * cryptography; looks into nodes (core/state.h) for their keys. */
#include "people.h"

#include "core/identity.h"
#include "core/state.h"

static const char *const accounts[] = {"", "an", "an", "binh", "binh", "chi"};

static void arrive(struct world *w, int place)
{
    world_enter(w, place, accounts[place]);
    world_link(w, place, 0, PATH_TRACKER);
}

/* The tracker (0), An (1, 2), Binh (3, 4), Chi (5); who is in `come` (bits) is linked to the tracker. */
static struct world *people(unsigned come)
{
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    for (int i = 1; i < PLACES; i++)
        if (come & 1u << i) arrive(w, i);
    world_run(w, SECONDS);
    return w;
}

/* An's private channel with Binh and Chi in it. */
static struct channel_spec found(struct world *w)
{
    static const char *const members[] = {"binh", "chi", NULL};
    return people_found(w, 1, members);
}

static struct channel *channel_at(const struct world *w, int place)
{
    uint32_t index;
    struct channel *c = channel_find(w->places[place].node, w->channel, &index);
    assert_non_null(c);
    return c;
}

static uint32_t keys_at(const struct world *w, int place)
{
    const struct keyring *ring = channel_at(w, place)->keys;
    uint32_t open = 0;
    for (uint32_t i = 0; i < ring->epochs_len; i++)
        open += ring->epochs[i]->open;
    return open;
}

static uint32_t entries_of_kind(const struct world *w, int place, uint32_t kind)
{
    uint32_t count = 0;
    for (size_t i = 0; i < w->places[place].deliveries; i++) {
        const struct delivery *d = &w->places[place].delivered[i];
        count += d->kind == kind && memcmp(d->channel, w->channel, 32) == 0;
    }
    return count;
}

/* The newest stored record of this kind in the channel. */
static slice newest_record(const struct world *w, int place, uint32_t kind)
{
    const struct place *p = &w->places[place];
    for (size_t i = p->records; i-- > 0;) {
        enum record_kind which;
        struct arrival arrival;
        struct channel_record unused;
        struct entry e;
        slice record = slice_of(p->disk[i].bytes, p->disk[i].len), wire;
        if (p->disk[i].seq == 0 || memcmp(p->disk[i].channel, w->channel, 32) != 0) continue;
        assert_int_equal(record_parse(record, &which, &wire, &arrival, &unused), OK);
        assert_int_equal(entry_parse(wire, &e), OK);
        if (e.kind == kind) return record;
    }
    fail();
    return SLICE_EMPTY;
}

static void forge(struct world *w, int place, uint32_t kind, slice body)
{
    uint64_t token;
    struct channel *c = channel_at(w, place);
    struct node *n = w->places[place].node;
    bool covers = seal_covers(c, kind);
    struct roster *roster = c->roster;
    if (covers) c->roster = NULL; /* writes it as it is */
    assert_int_equal(feed_append(n, c->index, kind, body, &token), OK);
    c->roster = roster;
}

/* Ends a node to which things were done behind the back of its trace. */
static void end_untraced(struct world *w, int place)
{
    node_destroy(w->places[place].node);
    w->places[place].node = NULL;
    buffer_reset(&w->places[place].trace);
}

static void all_devices_of_all_members_read_it(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    for (int i = 1; i < PLACES; i++) {
        char text[32];
        snprintf(text, sizeof text, "said at %d", i);
        assert_true(world_say(w, i, text) > 0);
        world_run(w, SECONDS);
        for (int k = 1; k < PLACES; k++) {
            assert_int_equal(world_heard(w, k, text), 1); /* at once, not locked first */
            assert_int_equal(world_shows(w, k, text), 1);
        }
        assert_int_equal(world_shows(w, 0, text), 0);
    }
    assert_int_equal(keys_at(w, 5), 1); /* one epoch was enough */
    assert_int_equal(keys_at(w, 0), 0);
    world_free(w);
}

static void who_is_removed_reads_nothing_that_follows(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    assert_true(world_say(w, 1, "for binh too") > 0);
    world_run(w, SECONDS);
    uint32_t before = keys_at(w, 3);
    assert_true(world_member(w, 1, "binh", false) > 0);
    assert_true(world_say(w, 1, "without binh") > 0); /* in the same moment: under a new key already */
    world_run(w, 2 * SECONDS);
    assert_true(world_say(w, 5, "chi without binh") > 0);
    world_run(w, 2 * SECONDS);
    for (int k = 1; k < PLACES; k++) {
        bool member = k != 3 && k != 4;
        assert_int_equal(world_shows(w, k, "for binh too"), 1);
        assert_int_equal(world_shows(w, k, "without binh"), member);
        assert_int_equal(world_shows(w, k, "chi without binh"), member);
    }
    assert_int_equal(keys_at(w, 3), before);
    assert_int_equal(keys_at(w, 4), before);
    /* Binh cheats: somebody hands him what was stored. */
    struct entry_view view;
    slice record = newest_record(w, 2, ENTRY_TEXT);
    assert_int_equal(node_view(w->places[2].node, record, &view), OK);
    assert_false(view.locked);
    assert_int_equal(node_view(w->places[3].node, record, &view), OK);
    assert_true(view.locked);
    assert_int_equal(view.body.len, 0);
    world_free(w);
}

static void a_new_device_reads_the_history_of_its_account(void **state)
{
    (void)state;
    struct world *w = people(0x2e); /* without Binh's second device */
    found(w);
    assert_true(world_say(w, 1, "old") > 0);
    world_run(w, SECONDS);
    assert_true(world_member(w, 1, "nobody", true) > 0);
    assert_true(world_member(w, 1, "nobody", false) > 0); /* makes the next one write under a new key */
    world_run(w, SECONDS);
    assert_true(world_say(w, 5, "less old") > 0);
    world_run(w, SECONDS);
    assert_int_equal(keys_at(w, 3), 2);
    arrive(w, 4);
    world_run(w, 300 * MILLISECONDS); /* Binh's other device does it at once */
    assert_int_equal(keys_at(w, 4), 2);
    world_run(w, SECONDS);
    assert_int_equal(world_shows(w, 4, "old"), 1);
    assert_int_equal(world_shows(w, 4, "less old"), 1);
    assert_true(w->places[4].unlocked > 0);
    world_run(w, 60 * SECONDS); /* nobody does it again: a KEY entry for each epoch, and one for each key */
    uint32_t entries = entries_of_kind(w, 5, ENTRY_KEY);
    assert_int_equal(entries, 4);
    world_free(w);
}

static void others_help_when_the_account_has_no_other_device(void **state)
{
    (void)state;
    struct world *w = people(0x2e);
    found(w);
    assert_true(world_say(w, 1, "old") > 0);
    world_run(w, SECONDS);
    for (int i = 0; i < w->links_len; i++)
        if (w->links[i].a == 3) world_cut(w, i);
    arrive(w, 4);
    world_run(w, 2 * SECONDS);
    assert_int_equal(keys_at(w, 4), 0); /* they wait for Binh's first device */
    world_run(w, 10 * SECONDS);
    assert_int_equal(world_shows(w, 4, "old"), 1);
    assert_int_equal(entries_of_kind(w, 5, ENTRY_KEY), 2); /* one of them was enough */
    world_free(w);
}

static void a_new_account_reads_from_then_on(void **state)
{
    (void)state;
    struct world *w = people(0x1e);
    struct channel_spec spec = people_private(w, 1);
    assert_true(world_open(w, 1, &spec) > 0);
    assert_true(world_say(w, 1, "between us") > 0);
    world_run(w, SECONDS);
    assert_true(world_member(w, 1, "binh", true) > 0);
    assert_true(world_member(w, 1, "binh", false) > 0);
    assert_true(world_say(w, 1, "a second key") > 0);
    assert_true(world_member(w, 1, "binh", true) > 0);
    world_run(w, 5 * SECONDS);
    assert_true(world_say(w, 1, "with binh") > 0);
    world_run(w, SECONDS);
    for (int i = 3; i < 5; i++) {
        assert_int_equal(world_shows(w, i, "between us"), 0);
        assert_int_equal(world_shows(w, i, "with binh"), 1);
        assert_int_equal(keys_at(w, i), 1);
    }
    world_free(w);
}

static void relate_all(struct world *w, int place)
{
    world_relate(w, place, "an", RELATION_FRIEND);
    world_relate(w, place, "binh", RELATION_FRIEND);
}

static void a_direct_conversation_waits_for_who_is_away(void **state)
{
    (void)state;
    struct world *w = people(0x02);
    struct channel_spec spec = people_direct(w, "binh", "an");
    assert_true(world_open(w, 1, &spec) > 0);
    relate_all(w, 1);
    assert_true(world_say(w, 1, "are you there?") > 0);
    world_run(w, SECONDS);
    arrive(w, 3);
    relate_all(w, 3);
    world_run(w, 3 * SECONDS);
    assert_int_equal(w->places[3].introduced, 1);
    assert_int_equal(world_shows(w, 3, "are you there?"), 1);
    assert_int_equal(w->places[3].unlocked, 1);
    assert_true(world_say(w, 3, "now I am") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_shows(w, 1, "now I am"), 1);
    arrive(w, 5);
    arrive(w, 2);
    relate_all(w, 2);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_shows(w, 2, "are you there?"), 1);
    assert_int_equal(world_shows(w, 2, "now I am"), 1);
    assert_int_equal(w->places[5].introduced, 0);
    world_free(w);
}

/* The tracker has told of Binh's device: the key waits for it, also when nobody else is there any more. */
static void a_named_device_needs_nobody(void **state)
{
    (void)state;
    struct world *w = people(0x02);
    struct channel_spec spec = people_direct(w, "binh", "an");
    uint8_t certificate[512], other[512], seed[32], device[32];
    memset(seed, 4, 32); /* of place 3 */
    crypto_native()->sign_public(NULL, device, seed);
    int len = world_certificate(w, device, "binh", certificate);
    struct command named = {.kind = COMMAND_DEVICE, .bytes = slice_of(certificate, (size_t)len)};
    assert_int_equal(node_command(w->places[1].node, &named, w->now), 0);
    memset(seed, 77, 32);
    crypto_native()->sign_public(NULL, device, seed);
    len = world_certificate(w, device, "chi", other);
    named.bytes = slice_of(other, (size_t)len);
    assert_int_equal(node_command(w->places[1].node, &named, w->now), 0);
    named.bytes = slice_of(other, (size_t)len - 1);
    assert_int_equal(node_command(w->places[1].node, &named, w->now), ERR_MALFORMED);
    assert_true(world_open(w, 1, &spec) > 0);
    relate_all(w, 1);
    assert_true(world_say(w, 1, "are you there?") > 0);
    world_run(w, SECONDS);
    assert_int_equal(channel_at(w, 1)->keys->holders_len, 2); /* not Chi's */
    world_cut(w, 0);
    world_end(w, 1);
    arrive(w, 3);
    relate_all(w, 3);
    world_run(w, SECONDS);
    assert_int_equal(world_shows(w, 3, "are you there?"), 1);
    world_free(w);
}

static void who_leaves_gets_no_more_keys_until_he_is_back(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    struct channel_spec spec = found(w);
    assert_true(world_say(w, 1, "all") > 0);
    world_run(w, SECONDS);
    struct command leave = {.kind = COMMAND_LEAVE, .channel = w->channel};
    assert_true(node_command(w->places[5].node, &leave, w->now) > 0);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "not chi") > 0);
    world_run(w, SECONDS);
    assert_int_equal(keys_at(w, 1), 2);
    assert_int_equal(keys_at(w, 5), 1);
    assert_true(world_open(w, 5, &spec) > 0);
    world_run(w, 10 * SECONDS);
    assert_int_equal(keys_at(w, 5), 2); /* he is a member all the time */
    assert_int_equal(world_shows(w, 5, "not chi"), 1);
    world_free(w);
}

static void keys_grow_old(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config.epoch_age_us = 3600 * SECONDS;
    world_add(w, 0, ROLE_REPLICA, NULL);
    for (int i = 1; i < PLACES; i++)
        arrive(w, i);
    found(w);
    for (int hour = 0; hour < 3; hour++) {
        for (int i = 1; i < PLACES; i++) {
            assert_true(world_say(w, i, "text") > 0);
            world_run(w, 600 * SECONDS);
        }
        world_run(w, 600 * SECONDS);
    }
    assert_int_equal(keys_at(w, 4), 3);
    assert_int_equal(world_shows(w, 4, "text"), 15);
    world_free(w);
}

static void cut_off(struct world *w, int place)
{
    for (int i = 0; i < w->links_len; i++)
        if (w->links[i].a == place || w->links[i].b == place) world_cut(w, i);
}

/* Chi had a key from Binh, and thinks that all have it; but what Binh wrote does not count any more. */
static void what_a_removed_member_handed_out_is_handed_out_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config.epoch_age_us = 3600 * SECONDS;
    world_add(w, 0, ROLE_REPLICA, NULL);
    for (int i = 1; i < PLACES; i++)
        arrive(w, i);
    found(w);
    assert_true(world_say(w, 1, "early") > 0);
    world_run(w, 4000 * SECONDS);
    cut_off(w, 1);
    cut_off(w, 2);
    assert_true(world_say(w, 3, "binh's words") > 0); /* under a key that he makes */
    world_run(w, SECONDS);
    assert_true(world_say(w, 5, "chi's words") > 0); /* under the same key */
    world_run(w, SECONDS);
    assert_int_equal(entries_of_kind(w, 5, ENTRY_KEY), 2);
    assert_true(world_member(w, 1, "binh", false) > 0);
    world_link(w, 1, 0, PATH_TRACKER);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    for (int i = 1; i < PLACES; i++) {
        if (i == 3 || i == 4) continue;
        assert_int_equal(world_shows(w, i, "binh's words"), 0);
        assert_int_equal(world_shows(w, i, "chi's words"), 1);
    }
    world_free(w);
}

static void keys_come_back_from_the_disk(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    for (int i = 0; i < 3; i++) {
        assert_true(world_say(w, 1 + i, "text") > 0);
        world_run(w, SECONDS);
        assert_true(world_member(w, 1, "dung", i % 2 == 0) > 0);
        world_run(w, SECONDS);
    }
    uint32_t keys = keys_at(w, 5), entries = entries_of_kind(w, 5, ENTRY_KEY);
    assert_true(keys > 1);
    for (int i = 0; i < PLACES; i++)
        world_restart(w, i);
    for (int i = 1; i < PLACES; i++)
        world_link(w, i, 0, PATH_TRACKER);
    world_run(w, 60 * SECONDS);
    for (int i = 1; i < PLACES; i++) {
        assert_int_equal(keys_at(w, i), keys);
        assert_int_equal(world_shows(w, i, "text"), 3);
    }
    assert_true(world_say(w, 4, "after") > 0);
    world_run(w, SECONDS);
    for (int i = 1; i < PLACES; i++)
        assert_int_equal(world_shows(w, i, "after"), 1);
    /* Dung, who was removed, makes one new key due, at most; nothing is handed out again. */
    assert_true(entries_of_kind(w, 5, ENTRY_KEY) <= entries + 1);
    world_free(w);
}

/* --- what the tracker sees --- */

struct seen {
    struct crypto table;
    uint8_t *bytes;
    size_t len, cap;
};

static void keep(struct seen *s, slice bytes)
{
    if (s->len + bytes.len > s->cap) {
        s->cap = 2 * (s->len + bytes.len);
        s->bytes = realloc(s->bytes, s->cap);
        assert_non_null(s->bytes);
    }
    memcpy(s->bytes + s->len, bytes.ptr, bytes.len);
    s->len += bytes.len;
}

/* Everything that comes over a link, after it was decrypted. */
static bool seen_open(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                      slice associated, slice sealed)
{
    struct seen *s = context;
    if (!crypto_native()->open(NULL, out, key, counter, associated, sealed)) return false;
    keep(s, slice_of(out, sealed.len - TAG_BYTES));
    return true;
}

static bool contains(const struct seen *s, slice needle)
{
    for (size_t i = 0; i + needle.len <= s->len; i++)
        if (s->bytes[i] == needle.ptr[0] && memcmp(s->bytes + i, needle.ptr, needle.len) == 0) return true;
    return false;
}

static void the_tracker_sees_no_text_and_no_key(void **state)
{
    (void)state;
    static const char *const texts[] = {"a secret of An's", "a secret of Binh's", "a secret for two"};
    struct world *w = world_new();
    struct seen seen = {.table = *crypto_native()};
    seen.table.context = &seen;
    seen.table.open = seen_open;
    w->places[0].crypto = &seen.table;
    world_add(w, 0, ROLE_REPLICA, NULL);
    for (int i = 1; i < PLACES; i++)
        arrive(w, i);
    struct channel_spec spec = found(w);
    assert_true(world_say(w, 1, texts[0]) > 0);
    world_run(w, SECONDS);
    assert_true(world_member(w, 1, "chi", false) > 0);
    assert_true(world_say(w, 3, texts[1]) > 0);
    world_run(w, SECONDS);
    struct channel_spec both = people_direct(w, "an", "binh");
    assert_true(world_open(w, 1, &both) > 0);
    relate_all(w, 1);
    assert_true(world_say(w, 1, texts[2]) > 0);
    world_run(w, 5 * SECONDS);
    for (size_t i = 0; i < w->places[0].records; i++)
        keep(&seen, slice_of(w->places[0].disk[i].bytes, w->places[0].disk[i].len));
    assert_true(seen.len > 10000);
    assert_true(contains(&seen, slice_of(w->channel, 32))); /* the search finds what is there */
    for (int i = 0; i < 3; i++)
        assert_false(contains(&seen, slice_of(texts[i], 12)));
    for (int k = 0; k < 2; k++) {
        world_use(w, k == 0 ? &spec : &both);
        for (int i = 1; i < PLACES; i++) {
            const struct node *n = w->places[i].node;
            assert_false(contains(&seen, slice_of(n->box_secret, KEY_BYTES)));
            assert_false(contains(&seen, slice_of(w->places[i].seed, KEY_BYTES)));
            if (k == 1 && i == 5) continue; /* not his */
            const struct keyring *ring = channel_at(w, i)->keys;
            assert_true(ring->epochs_len > 0);
            for (uint32_t e = 0; e < ring->epochs_len; e++) {
                if (!ring->epochs[e]->open) continue;
                assert_false(contains(&seen, slice_of(ring->epochs[e]->key, KEY_BYTES)));
                assert_true(contains(&seen, slice_of(ring->epochs[e]->id, EPOCH_ID_BYTES)));
            }
        }
    }
    free(seen.bytes);
    world_free(w);
}

/* --- memory --- */

struct watched {
    struct allocator table;
    const uint8_t *secret;
    size_t leaks;
};

static void *watch(void *context, void *ptr, size_t old_size, size_t size)
{
    struct watched *s = context;
    for (size_t i = 0; s->secret && ptr && i + KEY_BYTES <= old_size; i++)
        s->leaks += memcmp((const uint8_t *)ptr + i, s->secret, KEY_BYTES) == 0;
    return allocator_libc.resize(allocator_libc.context, ptr, old_size, size);
}

static void keys_are_wiped(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct watched watched = {.table = {.context = &watched, .resize = watch}};
    w->places[1].allocator = &watched.table;
    world_add(w, 0, ROLE_REPLICA, NULL);
    for (int i = 1; i < PLACES; i++)
        arrive(w, i);
    found(w);
    assert_true(world_say(w, 3, "text") > 0);
    world_run(w, SECONDS);
    uint8_t key[KEY_BYTES];
    memcpy(key, channel_at(w, 1)->keys->epochs[0]->key, KEY_BYTES);
    watched.secret = key;
    assert_true(world_member(w, 1, "chi", false) > 0);
    for (int i = 0; i < 20; i++) { /* tables of epochs grow */
        assert_true(world_member(w, 1, "chi", i % 2 == 0) > 0);
        assert_true(world_say(w, 1, "text") > 0);
        world_run(w, SECONDS);
    }
    assert_true(channel_at(w, 1)->keys->epochs_len > 5);
    end_untraced(w, 1);
    assert_int_equal(watched.leaks, 0);
    world_free(w);
}

/* --- what members may do wrong --- */

static void a_bad_box_is_made_good_by_others(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    struct channel *c = channel_at(w, 3);
    struct node *n = w->places[3].node;
    struct epoch *e;
    uint32_t holders[8], len = 0, at = 0;
    uint8_t body[NODE_BODY_BYTES_MAX];
    struct writer b = writer_of(body, sizeof body);
    assert_int_equal(keyring_make(n, c, &e), OK);
    for (uint32_t i = 0; i < c->keys->holders_len; i++)
        holders[len++] = i;
    assert_int_equal(len, 5);
    keyring_write(n, c, e, holders, len, &at, &b);
    assert_int_equal(at, 5);
    /* Chi's box is spoiled. */
    uint8_t *box = body;
    while (memcmp(box, world_device(w, 5), 32) != 0)
        box++;
    box[32 + 2 + 7] ^= 1;
    forge(w, 3, ENTRY_KEY, writer_slice(&b));
    world_run(w, 100 * MILLISECONDS);
    assert_int_equal(keys_at(w, 1), 1);
    assert_int_equal(keys_at(w, 5), 0);
    assert_true(world_say(w, 1, "under this key") > 0); /* An sees that Chi has none, and gives it first */
    world_run(w, SECONDS);
    assert_int_equal(world_shows(w, 5, "under this key"), 1);
    assert_int_equal(keys_at(w, 5), 1);
    end_untraced(w, 3);
    world_free(w);
}

struct counting {
    struct crypto table;
    uint32_t boxes;
};

static bool count_box(void *context, uint8_t box_key[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    struct counting *counting = context;
    counting->boxes++;
    return crypto_native()->box_public(NULL, box_key, public_key);
}

static uint32_t believed_at(const struct world *w, int place)
{
    return channel_at(w, place)->keys->believed;
}

/* A start looks at no box, however many there are; they are looked at little by little, also where reading
 * fails for a while. */
static void boxes_are_looked_at_after_the_start(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    for (int i = 0; i < 4; i++) {
        assert_true(world_say(w, 1, "text") > 0);
        world_run(w, SECONDS);
        assert_true(world_member(w, 1, "dung", i % 2 == 0) > 0);
        world_run(w, SECONDS);
    }
    struct place *chi = &w->places[5];
    uint32_t entries = entries_of_kind(w, 5, ENTRY_KEY);
    struct counting counting = {.table = *crypto_native()};
    counting.table.context = &counting;
    counting.table.box_public = count_box;
    chi->crypto = &counting.table;
    chi->read_result = ERR_IO;
    assert_true(entries > 1);
    world_restart(w, 5);
    assert_int_equal(counting.boxes, 0);
    assert_int_equal(believed_at(w, 5), entries);
    world_run(w, 30 * SECONDS);
    assert_int_equal(believed_at(w, 5), entries);
    chi->read_result = OK;
    world_run(w, (10 + entries) * SECONDS);
    assert_int_equal(believed_at(w, 5), 0);
    assert_int_equal(counting.boxes, 5 * entries);
    world_end(w, 5);
    world_free(w);
}

/* What was found false before a restart is so again after it. */
static void a_bad_box_is_bad_after_a_restart(void **state)
{
    (void)state;
    uint8_t body[NODE_BODY_BYTES_MAX];
    struct world *w = people(0x3e);
    found(w);
    struct channel *c = channel_at(w, 3);
    uint32_t holders[8], len = 0, at = 0, chi;
    struct epoch *e;
    struct writer b = writer_of(body, sizeof body);
    assert_int_equal(keyring_make(w->places[3].node, c, &e), OK);
    while (len < c->keys->holders_len)
        holders[len] = len, len++;
    keyring_write(w->places[3].node, c, e, holders, len, &at, &b);
    uint8_t *box = body;
    while (memcmp(box, world_device(w, 5), 32) != 0)
        box++;
    box[32 + 2 + 7] ^= 1;
    forge(w, 3, ENTRY_KEY, writer_slice(&b));
    world_settle(w);
    for (int i = 0; i < w->links_len; i++)
        world_cut(w, i);
    end_untraced(w, 3);
    world_restart(w, 1);
    assert_int_equal(believed_at(w, 1), 1);
    world_run(w, SECONDS);
    const struct keyring *ring = channel_at(w, 1)->keys;
    assert_int_equal(ring->believed, 0);
    assert_int_equal(keyring_holder(w->places[1].node, channel_at(w, 1)->keys, world_device(w, 5), &chi), OK);
    assert_true(ring->epochs[0]->open);
    assert_false(epoch_given(ring->epochs[0], chi));
    world_free(w);
}

/* A member cannot have others spend all their time on boxes: what exceeds a burst is looked at later. */
static void many_boxes_are_looked_at_in_their_time(void **state)
{
    (void)state;
    enum { ENTRIES = 30, BOXES = 150 };
    static const uint8_t zeros[EPOCH_BOX_BYTES];
    uint8_t body[NODE_BODY_BYTES_MAX];
    struct counting counting = {.table = *crypto_native()};
    counting.table.context = &counting;
    counting.table.box_public = count_box;
    struct world *w = people(0);
    w->places[1].crypto = &counting.table;
    for (int i = 1; i < PLACES; i++)
        arrive(w, i);
    world_run(w, SECONDS);
    found(w);
    assert_true(world_say(w, 3, "text") > 0);
    world_run(w, SECONDS);
    const struct epoch *e = channel_at(w, 3)->keys->epochs[0];
    struct writer b = writer_of(body, sizeof body);
    cbor_put_array(&b, 8);
    cbor_put_bytes(&b, slice_of(e->id, EPOCH_ID_BYTES));
    cbor_put_uint(&b, e->number);
    cbor_put_uint(&b, e->roster);
    cbor_put_uint(&b, e->created_ms);
    cbor_put_bytes(&b, slice_of(zeros, EPOCH_SALT_BYTES));
    cbor_put_bytes(&b, slice_of(zeros, KEY_BYTES));
    cbor_put_array(&b, 2 * BOXES);
    for (int i = 0; i < BOXES; i++) {
        cbor_put_bytes(&b, slice_of(world_device(w, 5), 32));
        cbor_put_bytes(&b, slice_of(zeros, sizeof zeros));
    }
    cbor_put_array(&b, 0);
    assert_false(b.failed);
    counting.boxes = 0;
    for (int i = 0; i < ENTRIES; i++)
        forge(w, 3, ENTRY_KEY, writer_slice(&b));
    world_run(w, 500 * MILLISECONDS);
    assert_in_range(counting.boxes, 1000, 1500);
    assert_true(believed_at(w, 1) > 0);
    world_run(w, 60 * SECONDS);
    assert_int_equal(believed_at(w, 1), 0);
    assert_int_equal(counting.boxes, ENTRIES * BOXES);
    end_untraced(w, 3);
    world_free(w);
}

/* Chi makes an epoch, as if it knew of more removals than there were, and gives it to all but himself. */
static void plant(struct world *w, uint32_t roster, usec ahead, uint8_t out_id[EPOCH_ID_BYTES])
{
    struct channel *c = channel_at(w, 5);
    struct node *n = w->places[5].node;
    struct epoch *e;
    uint32_t holders[8], len = 0, at = 0, number = c->roster->number;
    uint8_t body[NODE_BODY_BYTES_MAX];
    struct writer b = writer_of(body, sizeof body);
    usec now = n->now;
    c->roster->number = roster;
    n->now += ahead;
    assert_int_equal(keyring_make(n, c, &e), OK);
    c->roster->number = number;
    n->now = now;
    for (uint32_t i = 0; i < c->keys->holders_len; i++)
        if (memcmp(c->keys->holders[i].device, n->device, ID_BYTES) != 0) holders[len++] = i;
    keyring_write(n, c, e, holders, len, &at, &b);
    forge(w, 5, ENTRY_KEY, writer_slice(&b));
    memcpy(out_id, e->id, EPOCH_ID_BYTES);
    world_run(w, SECONDS);
    assert_true(keyring_epoch(channel_at(w, 1)->keys, out_id)->open);
}

static void nobody_leaves_a_key_of_his_behind(void **state)
{
    (void)state;
    static const uint32_t rosters[] = {2, 3, 4, UINT32_MAX}; /* the removal of Chi will be the third */
    for (size_t i = 0; i < sizeof rosters / sizeof *rosters; i++) {
        struct world *w = people(0x3e);
        uint8_t id[EPOCH_ID_BYTES];
        found(w);
        plant(w, rosters[i], 0, id);
        assert_true(world_member(w, 1, "chi", false) > 0);
        world_run(w, SECONDS);
        for (int k = 1; k < 5; k++) {
            assert_true(world_say(w, k, "behind Chi's back") > 0);
            world_run(w, SECONDS);
            slice record = newest_record(w, k, ENTRY_TEXT);
            for (size_t at = 0; at + EPOCH_ID_BYTES <= record.len; at++)
                assert_memory_not_equal(record.ptr + at, id, EPOCH_ID_BYTES);
        }
        assert_int_equal(world_shows(w, 4, "behind Chi's back"), 4);
        end_untraced(w, 5);
        world_free(w);
    }
}

static void no_key_is_for_ever(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    uint8_t id[EPOCH_ID_BYTES];
    found(w);
    plant(w, 2, (usec)10 * 365 * 86400 * SECONDS, id);
    assert_true(world_say(w, 1, "text") > 0);
    world_run(w, SECONDS);
    slice record = newest_record(w, 1, ENTRY_TEXT);
    for (size_t at = 0; at + EPOCH_ID_BYTES <= record.len; at++)
        assert_memory_not_equal(record.ptr + at, id, EPOCH_ID_BYTES);
    assert_int_equal(world_shows(w, 4, "text"), 1);
    end_untraced(w, 5);
    world_free(w);
}

/* KEY entries of Chi's about epochs that there are not, and one holder of many. */
static void nobody_fills_the_table_of_epochs(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    struct channel *c = channel_at(w, 1);
    struct node *n = w->places[1].node;
    uint8_t body[512], zeros[64] = {0};
    for (uint32_t i = 0; i < EPOCHS_MAX + 10; i++) {
        struct entry e = {.kind = ENTRY_KEY, .channel = c->id, .author = world_device(w, 5), .seq = 10 + i};
        struct writer b = writer_of(body, sizeof body);
        uint8_t id[EPOCH_ID_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
        bool opened = false;
        cbor_put_array(&b, 8);
        cbor_put_bytes(&b, slice_of(id, sizeof id));
        for (int k = 0; k < 3; k++)
            cbor_put_uint(&b, 1);
        cbor_put_bytes(&b, slice_of(zeros, EPOCH_SALT_BYTES));
        cbor_put_bytes(&b, slice_of(zeros, KEY_BYTES));
        cbor_put_array(&b, 2);
        cbor_put_bytes(&b, slice_of(world_device(w, 5), ID_BYTES));
        cbor_put_bytes(&b, slice_of(zeros, EPOCH_BOX_BYTES));
        cbor_put_array(&b, 0);
        e.body = writer_slice(&b);
        assert_int_equal(keyring_learn(n, c, &e, &opened), OK);
        assert_int_equal(keyring_learn(n, c, &e, &opened), OK); /* counts once */
    }
    assert_int_equal(c->keys->epochs_len, EPOCHS_ACCOUNT_MAX);
    assert_int_equal(c->keys->handings_len, EPOCHS_ACCOUNT_MAX);
    assert_true(world_say(w, 1, "there is room for others") > 0);
    assert_true(world_say(w, 4, "there is room for others") > 0);
    world_run(w, SECONDS);
    for (int k = 1; k < PLACES; k++)
        assert_int_equal(world_shows(w, k, "there is room for others"), 2);
    end_untraced(w, 1);
    world_free(w);
}

static void nonsense_in_key_entries_is_passed_over(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    assert_true(world_say(w, 1, "before") > 0);
    world_run(w, SECONDS);
    slice record = newest_record(w, 1, ENTRY_KEY), wire;
    enum record_kind which;
    struct arrival arrival;
    struct channel_record unused;
    struct entry e;
    assert_int_equal(record_parse(record, &which, &wire, &arrival, &unused), OK);
    assert_int_equal(entry_parse(wire, &e), OK);
    uint8_t body[NODE_BODY_BYTES_MAX];
    size_t len = e.body.len;
    for (size_t cut = 0; cut < len; cut += 1 + cut / 4) { /* every start of a good one */
        memcpy(body, e.body.ptr, len);
        forge(w, 3, ENTRY_KEY, slice_of(body, cut ? cut : 1));
    }
    for (size_t spot = 0; spot < len; spot += 5) { /* a bit of it changed */
        memcpy(body, e.body.ptr, len);
        body[spot] ^= 0x40;
        forge(w, 3, ENTRY_KEY, slice_of(body, len));
        world_run(w, 10 * MILLISECONDS);
    }
    world_run(w, 30 * SECONDS);
    assert_int_equal(keys_at(w, 5), 1);
    assert_true(world_say(w, 5, "after") > 0);
    assert_true(world_say(w, 3, "after") > 0);
    world_run(w, SECONDS);
    for (int i = 1; i < PLACES; i++) {
        assert_int_equal(world_shows(w, i, "before"), 1);
        assert_int_equal(world_shows(w, i, "after"), 2);
    }
    end_untraced(w, 3);
    world_free(w);
}

static void what_is_not_sealed_well_stays_locked(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    assert_true(world_say(w, 1, "good") > 0);
    world_run(w, SECONDS);
    slice record = newest_record(w, 1, ENTRY_TEXT), wire;
    enum record_kind which;
    struct arrival arrival;
    struct channel_record unused;
    struct entry e;
    struct entry_view view;
    assert_int_equal(record_parse(record, &which, &wire, &arrival, &unused), OK);
    assert_int_equal(entry_parse(wire, &e), OK);
    uint8_t body[NODE_BODY_BYTES_MAX];
    memcpy(body, e.body.ptr, e.body.len);
    size_t before = w->places[5].deliveries;
    forge(w, 3, ENTRY_TEXT, slice_of(body, e.body.len)); /* another's words: bound to their place */
    uint8_t clear[] = {0x81, 0x44, 't', 'e', 'x', 't'};
    forge(w, 3, ENTRY_TEXT, slice_of(clear, sizeof clear));
    for (size_t cut = 1; cut < e.body.len; cut++)
        forge(w, 3, ENTRY_TEXT, slice_of(body, cut));
    world_run(w, 5 * SECONDS);
    assert_int_equal(w->places[5].deliveries, before + 1 + e.body.len);
    for (size_t i = before; i < w->places[5].deliveries; i++)
        assert_true(w->places[5].delivered[i].locked);
    assert_int_equal(world_shows(w, 5, "text"), 0);
    /* In the record itself: nonce, text, tag, and each of the other fields. */
    for (size_t spot = 0; spot < record.len; spot++) {
        uint8_t changed[NODE_RECORD_BYTES_MAX];
        memcpy(changed, record.ptr, record.len);
        changed[spot] ^= 1;
        int rc = node_view(w->places[5].node, slice_of(changed, record.len), &view);
        bool of_arrival = spot < (size_t)(e.fields.ptr - record.ptr),
             of_signature = e.signature <= record.ptr + spot;
        if (rc == OK && !of_arrival && !of_signature && view.kind == ENTRY_TEXT) assert_true(view.locked);
    }
    assert_int_equal(node_view(w->places[5].node, record, &view), OK);
    assert_false(view.locked);
    end_untraced(w, 3);
    world_free(w);
}

static void the_node_writes_its_own_kinds_itself(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    static const uint32_t kinds[] = {ENTRY_JOIN, ENTRY_LEAVE, ENTRY_KEY, ENTRY_MEMBER, ENTRY_SESSION};
    struct command c = {.kind = COMMAND_SEND, .channel = w->channel, .bytes = SLICE("\x80")};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        c.entry_kind = kinds[i];
        assert_int_equal(node_command(w->places[1].node, &c, w->now), ERR_INVALID);
    }
    static uint8_t large[NODE_BODY_BYTES_MAX + 1];
    c.entry_kind = ENTRY_REACTION;
    c.bytes = slice_of(large, SEAL_BODY_BYTES_MAX + 1);
    assert_int_equal(node_command(w->places[1].node, &c, w->now), ERR_TOO_LARGE);
    assert_int_equal(keys_at(w, 1), 0);
    c.bytes = slice_of(large, SEAL_BODY_BYTES_MAX);
    assert_true(node_command(w->places[1].node, &c, w->now) > 0);
    c.entry_kind = 4711; /* of a later version: sealed too */
    assert_true(node_command(w->places[1].node, &c, w->now) > 0);
    world_run(w, SECONDS);
    const struct delivery *d = &w->places[5].delivered[w->places[5].deliveries - 1];
    assert_int_equal(d->kind, 4711);
    assert_false(d->locked);
    d = &w->places[0].delivered[w->places[0].deliveries - 1];
    assert_true(d->locked);
    world_free(w);
}

static void many_devices_need_several_entries(void **state)
{
    (void)state;
    struct world *w = people(0x0a);
    struct channel_spec spec = people_private(w, 1);
    enum { MANY = 300 };
    assert_true(world_open(w, 1, &spec) > 0);
    assert_true(world_member(w, 1, "binh", true) > 0);
    world_run(w, SECONDS);
    for (int i = 0; i < MANY; i++) {
        uint8_t seed[32] = {(uint8_t)i, (uint8_t)(i >> 8), 3}, device[32], certificate[512];
        crypto_native()->sign_public(NULL, device, seed);
        int len = world_certificate(w, device, "binh", certificate);
        struct command named = {.kind = COMMAND_DEVICE, .bytes = slice_of(certificate, (size_t)len)};
        assert_int_equal(node_command(w->places[1].node, &named, w->now), 0);
    }
    assert_true(world_say(w, 1, "text") > 0);
    world_run(w, SECONDS);
    struct channel *c = channel_at(w, 3);
    assert_int_equal(c->keys->holders_len, MANY + 2);
    for (uint32_t i = 0; i < c->keys->holders_len; i++)
        assert_true(epoch_given(c->keys->epochs[0], i));
    assert_true(entries_of_kind(w, 3, ENTRY_KEY) >= 5);
    assert_int_equal(world_shows(w, 3, "text"), 1);
    uint32_t entries = entries_of_kind(w, 3, ENTRY_KEY);
    assert_true(world_say(w, 3, "nobody lacks it") > 0);
    world_run(w, 60 * SECONDS);
    assert_int_equal(entries_of_kind(w, 1, ENTRY_KEY), entries);
    world_free(w);
}

static void four_hundred_accounts_are_members(void **state)
{
    (void)state;
    struct world *w = people(0x0a);
    struct channel_spec spec = people_private(w, 1);
    assert_true(world_open(w, 1, &spec) > 0);
    char account[32];
    for (int i = 0; i < 400; i++) {
        snprintf(account, sizeof account, "member-%03d", (i * 37) % 400);
        assert_true(world_member(w, 1, account, true) > 0);
        world_settle(w);
    }
    assert_true(world_member(w, 1, "binh", true) > 0);
    world_run(w, 5 * SECONDS);
    slice row;
    assert_true(node_member(w->places[3].node, w->channel, 401, &row));
    assert_true(slice_equal(row, SLICE("member-399")));
    assert_false(node_member(w->places[3].node, w->channel, 402, &row));
    world_free(w);
}

static void lines_are_sealed_for_members(void **state)
{
    (void)state;
    struct world *w = people(0x3e);
    found(w);
    uint8_t sealed[256], room[256];
    struct writer s = writer_of(sealed, sizeof sealed);
    slice line;
    struct channel *c = channel_at(w, 1);
    struct node *n = w->places[1].node;
    assert_int_equal(seal_line(n, c, SLICE("a line"), &s), ERR_WRONG_STATE);
    assert_int_equal(seal_ready(n, c), OK);
    assert_int_equal(seal_line(n, c, SLICE("a line"), &s), OK);
    world_run(w, SECONDS);
    const uint8_t *an = world_device(w, 1);
    assert_true(seal_open_line(w->places[5].node, channel_at(w, 5), an, writer_slice(&s), room, &line));
    assert_true(slice_equal(line, SLICE("a line")));
    assert_false(seal_open_line(w->places[0].node, channel_at(w, 0), an, writer_slice(&s), room, &line));
    assert_false(seal_open_line(w->places[5].node, channel_at(w, 5), world_device(w, 2), writer_slice(&s),
                                room, &line));
    struct writer small = writer_of(sealed, 40);
    assert_int_equal(seal_line(n, c, SLICE("a line"), &small), ERR_FULL);
    end_untraced(w, 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_devices_of_all_members_read_it),
        cmocka_unit_test(who_is_removed_reads_nothing_that_follows),
        cmocka_unit_test(a_new_device_reads_the_history_of_its_account),
        cmocka_unit_test(others_help_when_the_account_has_no_other_device),
        cmocka_unit_test(a_new_account_reads_from_then_on),
        cmocka_unit_test(a_direct_conversation_waits_for_who_is_away),
        cmocka_unit_test(a_named_device_needs_nobody),
        cmocka_unit_test(who_leaves_gets_no_more_keys_until_he_is_back),
        cmocka_unit_test(keys_grow_old),
        cmocka_unit_test(what_a_removed_member_handed_out_is_handed_out_again),
        cmocka_unit_test(keys_come_back_from_the_disk),
        cmocka_unit_test(the_tracker_sees_no_text_and_no_key),
        cmocka_unit_test(keys_are_wiped),
        cmocka_unit_test(a_bad_box_is_made_good_by_others),
        cmocka_unit_test(boxes_are_looked_at_after_the_start),
        cmocka_unit_test(a_bad_box_is_bad_after_a_restart),
        cmocka_unit_test(many_boxes_are_looked_at_in_their_time),
        cmocka_unit_test(nobody_leaves_a_key_of_his_behind),
        cmocka_unit_test(no_key_is_for_ever),
        cmocka_unit_test(nobody_fills_the_table_of_epochs),
        cmocka_unit_test(nonsense_in_key_entries_is_passed_over),
        cmocka_unit_test(what_is_not_sealed_well_stays_locked),
        cmocka_unit_test(the_node_writes_its_own_kinds_itself),
        cmocka_unit_test(many_devices_need_several_entries),
        cmocka_unit_test(four_hundred_accounts_are_members),
        cmocka_unit_test(lines_are_sealed_for_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
