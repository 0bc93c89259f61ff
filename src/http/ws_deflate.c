#include "http/ws_deflate.h"
#include "http/param.h"
#include "http/token.h"

enum { BITS_MIN = 8 }; /* of the protocol */

/* The parameters of one offer or answer; bits are 0 when not given. */
struct terms {
    uint8_t server_bits, client_bits;
    bool server_fresh, client_fresh;
    bool has_client_bits; /* client_max_window_bits was there, perhaps without a value */
};

static uint8_t bits_or_all(uint8_t bits)
{
    return bits ? bits : WS_DEFLATE_BITS_MAX;
}

static uint8_t smaller(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* 8 to 15 in decimal without leading zeros, which may be quoted (7.1.2.1). */
static bool bits_parse(const struct param *p, uint8_t *out)
{
    uint64_t bits;
    if (p->value.len == 0 || p->value.ptr[0] == '0') return false;
    if (!slice_to_u64(p->value, WS_DEFLATE_BITS_MAX, &bits) || bits < BITS_MIN) return false;
    *out = (uint8_t)bits;
    return true;
}

static bool take_flag(const struct param *p, bool *flag)
{
    if (*flag || p->has_value) return false;
    *flag = true;
    return true;
}

static bool take_param(const struct param *p, struct terms *t)
{
    if (slice_equal_nocase(p->name, SLICE("server_no_context_takeover")))
        return take_flag(p, &t->server_fresh);
    if (slice_equal_nocase(p->name, SLICE("client_no_context_takeover")))
        return take_flag(p, &t->client_fresh);
    if (slice_equal_nocase(p->name, SLICE("server_max_window_bits")))
        return t->server_bits == 0 && bits_parse(p, &t->server_bits);
    if (slice_equal_nocase(p->name, SLICE("client_max_window_bits"))) {
        if (t->has_client_bits) return false;
        t->has_client_bits = true;
        return !p->has_value || bits_parse(p, &t->client_bits);
    }
    return false;
}

/* False when the element is not permessage-deflate with parameters as they must be. */
static bool terms_read(slice element, struct terms *out)
{
    struct terms t = {0};
    struct param p;
    int rc;
    if (!slice_equal_nocase(param_value(&element), SLICE("permessage-deflate"))) return false;
    while ((rc = param_next(&element, &p)) == OK) {
        if (!take_param(&p, &t)) return false;
    }
    *out = t;
    return rc == ERR_CLOSED;
}

bool ws_deflate_accept(slice field, const struct ws_deflate *wish, struct ws_deflate *out)
{
    slice element;
    for (int i = 0; i < WS_DEFLATE_OFFERS_MAX && list_next(&field, &element); i++) {
        struct terms t;
        if (!terms_read(element, &t)) continue;
        uint8_t server_bits = smaller(bits_or_all(t.server_bits), bits_or_all(wish->server_bits));
        if (server_bits < WS_DEFLATE_BITS_MIN) continue;
        uint8_t client_bits = WS_DEFLATE_BITS_MAX;
        if (t.has_client_bits)
            client_bits = smaller(bits_or_all(t.client_bits), bits_or_all(wish->client_bits));
        *out = (struct ws_deflate){.server_bits = server_bits,
                                   .client_bits = client_bits,
                                   .server_fresh = t.server_fresh || wish->server_fresh,
                                   .client_fresh = t.client_fresh || wish->client_fresh};
        return true;
    }
    return false;
}

static void put_bits(struct writer *w, slice name, uint8_t bits)
{
    writer_put(w, SLICE("; "));
    writer_put(w, name);
    writer_byte(w, '=');
    writer_u64(w, bits);
}

static void put_terms(struct writer *w, const struct ws_deflate *d, bool bare_client_bits)
{
    uint8_t server_bits = bits_or_all(d->server_bits), client_bits = bits_or_all(d->client_bits);
    writer_put(w, SLICE("permessage-deflate"));
    if (d->server_fresh) writer_put(w, SLICE("; server_no_context_takeover"));
    if (d->client_fresh) writer_put(w, SLICE("; client_no_context_takeover"));
    if (server_bits < WS_DEFLATE_BITS_MAX) put_bits(w, SLICE("server_max_window_bits"), server_bits);
    if (client_bits < WS_DEFLATE_BITS_MAX)
        put_bits(w, SLICE("client_max_window_bits"), client_bits);
    else if (bare_client_bits)
        writer_put(w, SLICE("; client_max_window_bits"));
}

void ws_deflate_write(struct writer *w, const struct ws_deflate *agreed)
{
    put_terms(w, agreed, false);
}

void ws_deflate_offer_write(struct writer *w, const struct ws_deflate *wish)
{
    put_terms(w, wish, true);
}

int ws_deflate_answer_read(slice field, const struct ws_deflate *wish, struct ws_deflate *out)
{
    slice element, another;
    struct terms t;
    if (!list_next(&field, &element)) return ERR_NOT_FOUND;
    if (!terms_read(element, &t) || list_next(&field, &another)) return ERR_PROTOCOL;
    if (t.has_client_bits && t.client_bits == 0) return ERR_PROTOCOL; /* 7.1.2.2: with a value in an answer */
    uint8_t server_bits = bits_or_all(t.server_bits), client_bits = bits_or_all(t.client_bits);
    if (server_bits > bits_or_all(wish->server_bits)) return ERR_PROTOCOL;
    if (t.has_client_bits && client_bits > bits_or_all(wish->client_bits)) return ERR_PROTOCOL;
    if (wish->server_fresh && !t.server_fresh) return ERR_PROTOCOL;
    *out = (struct ws_deflate){.server_bits = server_bits,
                               .client_bits = smaller(client_bits, bits_or_all(wish->client_bits)),
                               .server_fresh = t.server_fresh,
                               .client_fresh = t.client_fresh || wish->client_fresh};
    return OK;
}
