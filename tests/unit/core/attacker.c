#include "attacker.h"

#include "core/identity.h"
#include "core/message.h"

void attacker_give(struct attacker *a, slice bytes)
{
    size_t used = 0;
    a->error = node_receive(a->w->places[1].node, ATTACKER_LINK, bytes, a->w->now, &used);
}

void attacker_take(struct attacker *a)
{
    static uint8_t bytes[65536], scratch[LINK_FRAME_BYTES_MAX];
    world_settle(a->w);
    size_t n;
    while ((n = node_transmit(a->w->places[1].node, ATTACKER_LINK, bytes, sizeof bytes, a->w->now)) > 0) {
        slice rest = slice_of(bytes, n), message;
        while (link_next(&a->link, &rest, scratch, &message) == OK) {
            if (a->said_len + message.len > sizeof a->said) a->said_len = 0;
            if (message.len) memcpy(a->said + a->said_len, message.ptr, message.len);
            a->said_len += message.len;
        }
    }
}

void attacker_greet(struct attacker *a)
{
    uint8_t bytes[4096];
    struct writer w = writer_of(bytes, sizeof bytes);
    while (link_greets(&a->link))
        assert_int_equal(link_greet(&a->link, &a->self, &w), OK);
    if (w.len) attacker_give(a, writer_slice(&w));
}

void attacker_send(struct attacker *a, slice plain)
{
    static uint8_t bytes[LINK_FRAME_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    assert_int_equal(link_seal(&a->link, plain, &w), OK);
    attacker_give(a, writer_slice(&w));
}

void attacker_send_entry(struct attacker *a, slice wire)
{
    static uint8_t plain[LINK_MESSAGE_BYTES_MAX];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_entry(&w, wire);
    attacker_send(a, writer_slice(&w));
}

void attacker_send_have(struct attacker *a, const uint8_t *author, uint32_t seq)
{
    uint8_t plain[128];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_have(&w, a->w->channel, 0, 1);
    message_write_pair(&w, author, seq);
    attacker_send(a, writer_slice(&w));
}

void attacker_connect(struct attacker *a)
{
    uint8_t secret[32], ephemeral[32], plain[64];
    memset(ephemeral, 0x55, 32);
    identity_noise_secret(crypto_native(), a->seed, secret);
    link_deinit(&a->link);
    assert_int_equal(
        link_init(&a->link, &allocator_libc, crypto_native(), true, SLICE_EMPTY, secret, ephemeral), OK);
    if (a->versions) a->link.versions = a->versions;
    struct node_link info = {.path = PATH_DIRECT};
    assert_int_equal(node_link_up(a->w->places[1].node, ATTACKER_LINK, &info, a->w->now), OK);
    for (int i = 0; i < 3; i++)
        attacker_greet(a), attacker_take(a);
    assert_int_equal(a->link.state, LINK_OPEN);
    struct writer carry = writer_of(plain, sizeof plain);
    message_write_carry(&carry, a->w->channel, true, 0);
    attacker_send(a, writer_slice(&carry));
    attacker_take(a);
}

static struct attacker *attacker_new(struct world *w, const uint8_t *authority, const char *account)
{
    struct attacker *a = calloc(1, sizeof *a);
    const struct crypto *c = crypto_native();
    a->w = w;
    a->step_ms = 1;
    memset(a->seed, 0x66, 32);
    c->sign_public(NULL, a->device, a->seed);
    struct certificate names = {.account = slice_text(account),
                                .device = a->device,
                                .issued_s = w->now / SECONDS - 10,
                                .expires_s = w->now / SECONDS + 86400};
    int len = authority ? certificate_write(c, &names, authority, a->certificate, sizeof a->certificate) : 0;
    assert_true(len >= 0);
    a->certificate_len = (size_t)len;
    a->self =
        (struct link_self){a->device, a->seed, ROLE_PERSON, slice_of(a->certificate, a->certificate_len)};
    return a;
}

struct attacker *attack_as(struct world *w, const uint8_t *authority, const char *account)
{
    struct attacker *a = attacker_new(w, authority, account);
    attacker_connect(a);
    return a;
}

struct attacker *attack_later(struct world *w, uint8_t versions)
{
    struct attacker *a = attacker_new(w, w->authority_seed, "later");
    a->versions = versions;
    attacker_connect(a);
    return a;
}

struct attacker *attack(struct world *w, bool certified)
{
    return attack_as(w, certified ? w->authority_seed : NULL, "mallory");
}

void attacker_free(struct attacker *a)
{
    link_deinit(&a->link);
    world_free(a->w);
    free(a);
}

size_t attacker_entry(struct attacker *a, uint32_t kind, uint32_t seq, const uint8_t *prev, slice body,
                      uint8_t *out, uint8_t *out_id)
{
    struct entry e = {.kind = kind,
                      .channel = a->w->channel,
                      .author = a->device,
                      .prev = prev,
                      .seq = seq,
                      .time_ms = a->w->now / 1000 + seq * a->step_ms,
                      .body = body},
                 back;
    struct writer w = writer_of(out, NODE_RECORD_BYTES_MAX);
    assert_int_equal(entry_write(crypto_native(), &e, a->seed, &w), OK);
    assert_int_equal(entry_parse(writer_slice(&w), &back), OK);
    if (out_id) entry_id(crypto_native(), &back, out_id);
    return w.len;
}

slice attacker_join(const struct attacker *a, uint8_t *room)
{
    struct writer w = writer_of(room, 600);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(a->certificate, a->certificate_len));
    return writer_slice(&w);
}

struct world *victim(void)
{
    struct world *w = world_new();
    world_add(w, 1, ROLE_PERSON, "an");
    world_add(w, 2, ROLE_PERSON, "binh");
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    return w;
}

void still_works(struct world *w)
{
    int before = world_heard(w, 1, "all is well");
    assert_true(world_say(w, 2, "all is well") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 1, "all is well"), before + 1);
}
