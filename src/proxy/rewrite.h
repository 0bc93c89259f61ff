/* rewrite.h - the head of a request as a server gets it, and of an answer as the client gets it: written anew
 * from the parsed form (RFC 9110 7.6, RFC 9112 6, RFC 7239).
 *
 * What goes for one connection only stays behind: Connection and what it names, Keep-Alive, Proxy-Connection,
 * TE, Transfer-Encoding, Upgrade, Expect. Host, Content-Length, X-Forwarded-For, -Proto, -Host, -Port,
 * Forwarded, X-Request-Id and Via are ours; fields that differ from these only by '_' for '-' are dropped.
 *
 * Rules: no I/O, no clock, no allocation. */
#ifndef PROXY_REWRITE_H
#define PROXY_REWRITE_H

#include "http/head.h"
#include "http/response_head.h"
#include "proxy/config.h"

enum {
    REWRITE_ID_BYTES = 32,      /* of a request id that we make: hexadecimal digits */
    REWRITE_ID_BYTES_MAX = 128, /* of one that is believed */
    REWRITE_FIXED_BYTES = 1024, /* room for what we add, besides what the bounds below count */
};

struct rewrite_request {
    const struct http_head *head;
    slice bytes; /* that its spans are of */
    const struct config_location *location;
    const struct config_server *server;
    slice path; /* decoded, without dot segments; of use only when the server has a path of its own */
    slice server_authority; /* "host:port" */
    slice host;             /* as the client named it: host[:port]; may be empty */
    slice scheme;           /* "http" or "https", of the client */
    slice address;          /* of the client as text, which a trusted proxy may have told */
    uint16_t port;          /* of the client; 0: not known */
    slice peer;             /* of the other side of the connection, as text */
    uint16_t local_port;    /* that it came to */
    bool trusted;           /* the other side is a trusted proxy: what it says of forwarding is added to */
    slice request_id;
    slice pseudonym;     /* of this proxy, for Via */
    enum http_body body; /* how the body is framed: NONE, LENGTH, CHUNKED */
    uint64_t content_length;
    bool upgrade; /* Upgrade is passed on */
};

/* How much room rewrite_request takes at most. */
size_t rewrite_request_bound(const struct rewrite_request *in);
/* ERR_FULL: more than the bound (not reached); ERR_MALFORMED: the path cannot be brought under the path of
 * the server. */
int rewrite_request(const struct rewrite_request *in, struct writer *out) BASE_CHECKED;
/* True when the request has been here before: its Via names this proxy. */
bool rewrite_loops(const struct http_head *head, slice bytes, slice pseudonym);
/* The value of X-Request-Id that a trusted proxy sent, when it is one that we pass on (letters, digits and
 * "-_.:=+/", at most REWRITE_ID_BYTES_MAX); else empty. */
slice rewrite_request_id(const struct http_head *head, slice bytes);

/* How the client learns where the body ends. */
enum answer_framing {
    ANSWER_FRAMING_NONE,
    ANSWER_FRAMING_LENGTH,
    ANSWER_FRAMING_CHUNKED,
    ANSWER_FRAMING_CLOSE
};

struct rewrite_answer {
    const struct http_response_head *head;
    slice bytes;
    enum answer_framing
        framing;      /* with NONE a Content-Length that the server sent is passed on (HEAD, 304) */
    bool close;       /* Connection: close */
    bool keep_alive;  /* Connection: keep-alive, for HTTP/1.0 */
    bool upgrade;     /* 101: Upgrade is passed on */
    slice date;       /* for when the server sent none */
    slice request_id; /* empty: none */
    slice fields;     /* further ones, each with its CR LF (a cookie of ours); may be empty */
};

size_t rewrite_answer_bound(const struct rewrite_answer *in);
/* ERR_FULL: more than the bound (not reached). */
int rewrite_answer(const struct rewrite_answer *in, struct writer *out) BASE_CHECKED;

/* Percent-decodes a path and takes out "." and ".." segments and doubled slashes: what locations are looked
 * up with. out: room for path.len + 1. ERR_MALFORMED: a bad escape, a NUL, or a way above the root. */
int rewrite_normal_path(slice path, uint8_t *out, size_t *out_len) BASE_CHECKED;

#endif
