/* sealed_test.c - sealed channels as the vectors have them: a real node takes what an independent program has
 * sealed, opens what is meant for it and nothing else, hears of channels, and is removed from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/native.h"
#include "peer.h"
#include "vectors.h"

enum { ENTRIES_MAX = 32 };

static const struct crypto *crypto;

/* A reading device, and what it was told. */
struct reader {
    struct node *node;
    struct peer peer;
    json_t *document;
    slice channel;
    uint8_t records[ENTRIES_MAX][NODE_RECORD_BYTES_MAX];
    size_t lens[ENTRIES_MAX]; /* of the author's entries, by seq - 1 */
    uint8_t author[ID_BYTES];
    enum session_state state;
    uint8_t session[NODE_SESSION_BYTES], line[NODE_LINE_BYTES_MAX];
    size_t line_len;
    unsigned unlocked, brought, removed;
};

static void watch(void *context, const struct action *a)
{
    struct reader *r = context;
    bool of_author =
        a->kind == ACTION_STORE && a->entry.id && memcmp(a->entry.author, r->author, ID_BYTES) == 0;
    if (of_author && a->entry.seq <= ENTRIES_MAX) {
        memcpy(r->records[a->entry.seq - 1], a->record.ptr, a->record.len);
        r->lens[a->entry.seq - 1] = a->record.len;
    }
    if (a->kind == ACTION_SESSION) {
        r->state = a->state;
        memcpy(r->session, a->session, sizeof r->session);
        r->line_len = a->text.len;
        if (a->text.len) memcpy(r->line, a->text.ptr, a->text.len);
    }
    r->unlocked += a->kind == ACTION_UNLOCKED;
    r->brought += a->kind == ACTION_CHANNEL && a->result == OK;
    r->removed += a->kind == ACTION_CHANNEL && a->result == ERR_DENIED;
}

/* A person's device with this seed and certificate, and a link to the other one, who speaks from the vectors.
 */
static struct reader *reader_open(slice seed, slice certificate, slice author_seed, slice author_certificate,
                                  json_t *document, slice channel)
{
    struct reader *r = calloc(1, sizeof *r);
    assert_non_null(r);
    struct node_config config = {.role = ROLE_PERSON};
    memcpy(config.identity_seed, seed.ptr, KEY_BYTES);
    usec now = vector_number(vectors_open("sealed.json"), "time_ms") * MILLISECONDS + 20 * SECONDS;
    assert_int_equal(node_create(&config, &allocator_libc, crypto, now, &r->node), OK);
    struct command certified = {.kind = COMMAND_CERTIFICATE, .bytes = certificate};
    assert_int_equal(node_command(r->node, &certified, now), 0);
    r->document = document;
    r->channel = channel;
    crypto->sign_public(crypto->context, r->author, author_seed.ptr);
    peer_open(&r->peer, r->node, crypto, 7, author_seed.ptr, author_certificate, now);
    r->peer.watch = watch;
    r->peer.context = r;
    return r;
}

static void reader_close(struct reader *r)
{
    peer_close(&r->peer);
    node_destroy(r->node);
    free(r);
}

static void look(struct reader *r, const json_t *item, bool at_the_end)
{
    uint64_t seq = vector_number(item, "seq"), kind = vector_number(item, "kind");
    struct entry_view view;
    slice record = slice_of(r->records[seq - 1], r->lens[seq - 1]);
    if (record.len == 0) fail_msg("not taken: %s", vector_text(item, "name"));
    assert_int_equal(node_view(r->node, record, &view), OK);
    assert_int_equal(view.kind, kind);
    bool late = json_is_true(json_object_get(item, "late")), has_body = json_object_get(item, "body") != NULL;
    bool locked = json_is_true(json_object_get(item, "locked")) || (late && !at_the_end);
    if (view.locked != locked) fail_msg("%s: %s", locked ? "opened" : "locked", vector_text(item, "name"));
    if (locked) assert_int_equal(view.body.len, 0);
    if (!locked && has_body && !slice_equal(view.body, vector_bytes(item, "body")))
        fail_msg("another body: %s", vector_text(item, "name"));
}

static void a_session_is_asked_for(struct reader *r, const json_t *item)
{
    slice line = vector_bytes(item, "line");
    assert_int_equal(r->state, SESSION_ASKING);
    assert_memory_equal(r->session, vector_bytes(item, "session").ptr, NODE_SESSION_BYTES);
    assert_true(slice_equal(slice_of(r->line, r->line_len), line));
    struct command answer = {
        .kind = COMMAND_ANSWER, .channel = r->channel.ptr, .session = r->session, .online = true};
    assert_true(node_command(r->node, &answer, r->peer.now) > 0);
    peer_pump(&r->peer);
    assert_int_equal(r->state, SESSION_OPEN);
}

static void a_conversation_is_read_as_it_was_sealed(void **state)
{
    (void)state;
    json_t *d = vectors_open("sealed.json"), *item, *spec = vector_get(d, "spec"),
           *feed = vector_get(d, "feed");
    slice authority = vector_bytes(d, "authority");
    struct reader *r = reader_open(vector_bytes(d, "reader_seed"), vector_bytes(d, "reader_certificate"),
                                   vector_bytes(d, "author_seed"), vector_bytes(d, "certificate"), d,
                                   vector_bytes(d, "channel"));
    struct channel_spec direct = {.type = CHANNEL_DIRECT,
                                  .authority = authority.ptr,
                                  .account = slice_text(vector_text(spec, "account")),
                                  .other = slice_text(vector_text(spec, "other"))};
    struct command open = {.kind = COMMAND_OPEN, .spec = &direct};
    assert_true(node_command(r->node, &open, r->peer.now) > 0);
    peer_pump(&r->peer);
    assert_true(peer_carry(&r->peer, r->channel.ptr));
    size_t i;
    json_array_foreach(feed, i, item)
    {
        assert_true(peer_entry(&r->peer, vector_bytes(item, "hex")));
        if (json_object_get(item, "line")) a_session_is_asked_for(r, item);
        look(r, item, false);
    }
    assert_true(r->unlocked > 0);
    json_array_foreach(feed, i, item)
    {
        look(r, item, true);
    }
    assert_int_equal(r->peer.warnings, 0);
    reader_close(r);
}

static void a_member_hears_of_a_channel_reads_it_and_is_removed(void **state)
{
    (void)state;
    json_t *d = vectors_open("sealed.json"), *p = vector_get(d, "private"), *feed = vector_get(p, "feed"),
           *item;
    struct reader *r = reader_open(vector_bytes(d, "author_seed"), vector_bytes(d, "certificate"),
                                   vector_bytes(d, "reader_seed"), vector_bytes(d, "reader_certificate"), p,
                                   vector_bytes(p, "channel"));
    assert_true(peer_say(&r->peer, vector_bytes(p, "introduce")));
    assert_int_equal(r->brought, 1);
    assert_true(peer_carry(&r->peer, r->channel.ptr));
    size_t i;
    json_array_foreach(feed, i, item)
    {
        assert_int_equal(r->removed, 0);
        assert_true(peer_entry(&r->peer, vector_bytes(item, "hex")));
        look(r, item, false);
    }
    assert_int_equal(r->removed, 1);
    reader_close(r);
}

int main(void)
{
    if (crypto_native_start() != OK) return 1;
    crypto = crypto_native();
    const struct CMUnitTest tests[] = {
        GOLDEN(a_conversation_is_read_as_it_was_sealed),
        GOLDEN(a_member_hears_of_a_channel_reads_it_and_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
