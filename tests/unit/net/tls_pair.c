#include "tls_pair.h"

bool tls_pair_carry(struct tls_side *from, struct tls_side *to, size_t step)
{
    bool moved = false;
    while (from->tls->wire.bytes > 0 && to->rc == OK) {
        const struct chunk *c = from->tls->wire.first;
        size_t n = c->len < step ? c->len : step, len;
        uint8_t *cipher = to->room + TLS_HEADROOM_BYTES;
        if (n > sizeof to->room - TLS_HEADROOM_BYTES) n = sizeof to->room - TLS_HEADROOM_BYTES;
        memcpy(cipher, c->ptr, n);
        chunk_consume(&from->pool, &from->tls->wire, n);
        to->rc = tls_open(to->tls, to->room, slice_of(cipher, n), &len);
        assert_true(to->text_len + len <= sizeof to->text);
        memcpy(to->text + to->text_len, to->room, len);
        to->text_len += len;
        moved = true;
    }
    return moved;
}

void tls_pair_talk(struct tls_pair *p, size_t step)
{
    bool moved = true;
    while (moved) {
        moved = tls_pair_carry(&p->client, &p->server, step);
        moved = tls_pair_carry(&p->server, &p->client, step) || moved;
    }
}

void tls_pair_begin(struct tls_pair *p, struct tls_client *client, struct tls_server *server,
                    const char *host)
{
    memset(p, 0, sizeof *p);
    p->client.tls = tls_new_client(client, host, 443, &p->client.pool);
    p->server.tls = tls_new_server(server, &p->server.pool);
    assert_non_null(p->client.tls);
    assert_non_null(p->server.tls);
}

void tls_pair_end(struct tls_pair *p)
{
    tls_free(p->client.tls);
    tls_free(p->server.tls);
    chunk_pool_deinit(&p->client.pool);
    chunk_pool_deinit(&p->server.pool);
}

void tls_pair_say(struct tls_side *s, const uint8_t *bytes, size_t len)
{
    size_t max = tls_sealed_max(len);
    uint8_t *room = malloc(max);
    assert_non_null(room);
    struct writer out = writer_of(room, max);
    assert_int_equal(tls_seal(s->tls, slice_of(bytes, len), &out), OK);
    assert_int_equal(chunk_put(&s->pool, &s->tls->wire, writer_slice(&out)), OK);
    free(room);
}
