/* rewrite.h - the head of a request as a server gets it, and of an answer as the client gets it: written anew
 * from the parsed form (RFC 9110 7.6, RFC 9112 6, RFC 7239).
 *
 * What goes for one connection only stays behind: Connection and what it names, Keep-Alive, Proxy-Connection,
 * TE, Transfer-Encoding, Upgrade, Expect. Fields that are for the server itself (Authorization, Cookie,
 * Content-*, Cache-Control ..., rewrite_fields.c) are passed on even when Connection names them, which RFC
 * 9110 7.6.1 forbids to senders: nobody can strip with it what the server goes by.
 *
 * Host, Content-Length, X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP, Forwarded, X-Request-Id and Via are
 * ours; of what came of them only a trusted proxy's word stays, at the left of our own. Other X-Forwarded-*,
 * X-Original-URL and X-Rewrite-URL are passed on for trusted proxies only. Fields that differ from these only
 * by '_' for '-' are dropped, and so are Proxy (of which CGI makes HTTP_PROXY) and Proxy-Authorization (for
 * another proxy). Upgrades to HTTP itself (h2c) are not passed on: they would be a way past this proxy.
 *
 * proxy_set_header takes the place of any of these but those that frame the message or go for the connection
 * (Connection, Keep-Alive, TE, Trailer, Transfer-Encoding, Upgrade, Expect, Content-Length), which are ours
 * alone. One without value removes the field; without Host the server's own is sent.
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
    slice path; /* of rewrite_normal_path, for "*" that; sent when the server has a path of its own, or could
                   take the path as it came for another one */
    slice server_authority; /* "host:port" */
    slice host;             /* as the client named it: host[:port]; may be empty */
    slice told_host;        /* what a trusted proxy says that the client named; empty: `host` */
    slice scheme;           /* "http" or "https", of the client */
    slice address;          /* of the client as text, which a trusted proxy may have told */
    uint16_t port;          /* of the client; 0: not known */
    slice peer;             /* of the other side of the connection, as text */
    uint16_t local_port;    /* that it came to */
    bool trusted;           /* the other side is a trusted proxy: what it says of forwarding is added to */
    bool trust_forwarded;   /* what it says is Forwarded, and X-Forwarded-For may be anybody's; else the other
                               way round. The one is then made of `address` */
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
/* True for OPTIONS and TRACE with "Max-Forwards: 0": they are answered here (RFC 9110 7.6.2). */
bool rewrite_ends_here(const struct http_head *head, slice bytes);
/* True when it asks for a protocol that is passed on. */
bool rewrite_upgrades(const struct http_head *head, slice bytes);
/* Whether a trailer field is passed on, either way: not what http_trailer_allowed refuses, and nothing that
 * this proxy says itself in the head, which some servers would believe in a trailer. */
bool rewrite_trailer_passes(slice name);
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

/* The path that locations are looked up with. Percent-decodes it, once, "%2F" as well, then takes out "." and
 * ".." segments and doubled slashes: "/admin", "/%61dmin", "//admin", "/x/../admin", "/x/%2e%2e/admin" and
 * "/x%2f..%2fadmin" are one. A backslash is a character like others, and so is what follows a ';'.
 *
 * A server without a path of its own gets the path as it came, escapes and all; but when it has dot segments
 * in any of these spellings, or begins with two slashes, the normal path, encoded again: else it could be one
 * path for us and another for the server.
 *
 * out: room for path.len + 1; a NUL follows. "*" stays as it is. ERR_MALFORMED: a bad escape, a NUL, a way
 * above the root, "..;" (".." to some servers). */
int rewrite_normal_path(slice path, uint8_t *out, size_t *out_len) BASE_CHECKED;

#endif
