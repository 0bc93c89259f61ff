/* rewrite_fields.h - the fields that the proxy has a say in, and how the others go through. For rewrite_*.c.
 *
 * Names are told apart by their length and first letter before they are compared. A name that is one of these
 * but for '_' in the place of '-' is FIELD_DISGUISED: to CGI, WSGI and their kin both spellings are one
 * variable, so that a client could say with one what it may not say with the other. */
#ifndef PROXY_REWRITE_FIELDS_H
#define PROXY_REWRITE_FIELDS_H

#include "base/buffer.h"
#include "http/lines.h"
#include "proxy/config.h"

enum field_kind {
    FIELD_OTHER,
    FIELD_DISGUISED,
    FIELD_HOP,    /* Keep-Alive, Proxy-Connection, Transfer-Encoding, Expect, HTTP2-Settings */
    FIELD_SECRET, /* Proxy-Authorization: for another proxy than us; Proxy: what CGI makes HTTP_PROXY of */
    FIELD_CONNECTION,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_UPGRADE,
    FIELD_HOST,
    FIELD_LENGTH,
    FIELD_VIA,
    FIELD_MAX_FORWARDS,
    FIELD_FORWARDED,
    FIELD_X_FOR, /* X-Forwarded-For */
    FIELD_X_PROTO,
    FIELD_X_HOST,
    FIELD_X_PORT,
    FIELD_X_REAL_IP,
    FIELD_X_REQUEST_ID,
    FIELD_X_CLAIM, /* other X-Forwarded-*, X-Original-URL, X-Rewrite-URL: what only a proxy may say */
    FIELD_DATE,
    FIELD_KINDS
};

enum field_kind field_kind(slice name);
/* Whether a protocol of Upgrade is passed on. HTTP itself is not: it would make a way past this proxy. */
bool protocol_passes(slice protocol);
/* True for names that differ only by case, and by '_' for '-'. */
bool field_same_name(slice a, slice b);

/* Options of Connection that name fields; further ones are passed over: no sender has so many, and looking
 * for them must not cost what a client likes. */
enum { FIELD_NOMINATED_MAX = 32 };

/* The fields of one head, and what was seen of them. */
struct field_pass {
    slice bytes; /* that the spans are of; delimiters in it may be NULs */
    const struct http_field *fields;
    size_t count;
    uint32_t held;                          /* kinds that are not passed on, a bit for each */
    const struct config_location *location; /* what it sets is not passed on; NULL: nothing */
    /* --- results --- */
    uint32_t seen, repeated;     /* kinds, a bit for each */
    uint16_t first[FIELD_KINDS]; /* where the first one is, of those seen */
    size_t nominated_count;
    slice nominated[FIELD_NOMINATED_MAX];
};

static inline uint32_t field_bit(enum field_kind kind)
{
    return UINT32_C(1) << kind;
}

/* Writes all fields that are neither held nor set by the location nor named by Connection, as they were. */
void fields_write(struct field_pass *pass, struct writer *out);
/* Writes the values of all fields of this kind that have one, joined with ", ". False: there was none. */
bool fields_join(const struct field_pass *pass, enum field_kind kind, struct writer *out);
/* The value of the only field of this kind; empty when there is none, or there are several. */
slice fields_only(const struct field_pass *pass, enum field_kind kind);
/* "Name: value" and the line end. Inline: most names are constants, which then need no call to be copied. */
static inline void field_write(struct writer *out, slice name, slice value)
{
    writer_put(out, name);
    writer_put(out, SLICE(": "));
    writer_put(out, value);
    writer_put(out, SLICE("\r\n"));
}

#endif
