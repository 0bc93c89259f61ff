/* config.h - what the configuration file of the proxy says: read, checked, written again.
 *
 * A file is a list of directives "name arguments;" and blocks "name arguments { ... }". What is said at the
 * top goes for all hosts, what a host block says for its paths, unless they say otherwise; the structures
 * below have that resolved already. docs/proxy.md is the reference.
 *
 * Rules: constant after config_read; all texts belong to the configuration. No I/O but reading the file. */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include "base/buffer.h"
#include "http/ip.h"

enum {
    CONFIG_BYTES_MAX = 1024 * 1024, /* of a file */
    CONFIG_SERVERS_MAX = 64,        /* of one group: a set of them fits into 64 bits */
    CONFIG_PROBLEMS_MAX = 50,       /* further ones are counted, not told */
};

enum policy {
    POLICY_ROUND_ROBIN, /* smooth weighted */
    POLICY_LEAST_CONN,
    POLICY_RANDOM_TWO,
    POLICY_IP_HASH,
    POLICY_STICKY, /* by a cookie of ours */
};
/* "round-robin" ...; static. */
const char *policy_name(enum policy policy);

/* One proxy_pass. */
struct config_server {
    const char *host; /* a name, or an address without brackets */
    uint16_t port;
    bool tls;           /* https:// */
    const char *path;   /* still encoded; takes the place of the prefix of its group; NULL: nothing does */
    unsigned weight;    /* 1 to 1000 */
    unsigned max_conns; /* at the same time; 0: no limit */
    bool backup;        /* only when no other one is up */
    unsigned line;      /* where the file says it */
};

/* The servers that requests are spread over, and how. Hosts whose paths say nothing else share one. */
struct config_group {
    const char *name;   /* the first name of its host, and the path when that has servers of its own */
    const char *prefix; /* of the block that names the servers: "/" for a host, else that of the path */
    const struct config_server *servers;
    size_t server_count; /* 1 to CONFIG_SERVERS_MAX */
    enum policy policy;
    const char *cookie; /* POLICY_STICKY: its name */
    /* health_check; path NULL: none */
    const char *check_path, *check_host; /* Host of the check; NULL: the server's */
    uint32_t check_interval_ms, check_timeout_ms;
    unsigned check_fall, check_rise;
    /* circuit_breaker: so many failures in a row, then so long no requests but one to try */
    unsigned breaker_fails; /* 0: none */
    uint32_t breaker_pause_ms;
    uint32_t slow_start_ms; /* 0: none */
    unsigned queue_max;     /* requests that wait while all servers are at max_conns, of each worker */
    uint32_t queue_ms;
    unsigned keepalive;  /* idle connections kept for each server, by each worker */
    uint32_t idle_ms;    /* how long */
    const char *ca_file; /* proxy_tls; NULL: the system's authorities */
    bool insecure;       /* any certificate is taken */
};

/* A value with variables: pieces in turn. */
enum config_variable {
    VARIABLE_NONE,          /* the text */
    VARIABLE_HOST,          /* $host: as the client named it, with its port */
    VARIABLE_REMOTE_ADDR,   /* $remote_addr */
    VARIABLE_REMOTE_PORT,   /* $remote_port */
    VARIABLE_SCHEME,        /* $scheme */
    VARIABLE_REQUEST_ID,    /* $request_id */
    VARIABLE_PROXY_HOST,    /* $proxy_host: host:port of the server */
    VARIABLE_FORWARDED_FOR, /* $proxy_add_x_forwarded_for */
    VARIABLE_HTTP,          /* $http_name: the field that the client sent; text is its name with hyphens */
};
struct config_piece {
    enum config_variable variable;
    const char *text;
};
/* proxy_set_header. No pieces: the field is not sent. Never one that frames a message or is about a single
 * connection. */
struct config_field {
    const char *name;
    const struct config_piece *pieces;
    size_t piece_count;
};

/* rate_limit: per address of clients; `burst` more at once. per_s 0: none. */
struct config_rate {
    double per_s;
    unsigned burst;
};

/* A path of a host. A host with servers has at least "/"; one with paths only may be without. */
struct config_location {
    const char *prefix; /* "/api": that and what is below; "/api/": what is below */
    const struct config_group *group;
    unsigned group_index;              /* of it in config->groups */
    const struct config_field *fields; /* of the host too; the last one of a name goes */
    size_t field_count;
    uint32_t connect_ms; /* timeout connect: until a connection to a server is there */
    uint32_t read_ms;    /* timeout read: the server is silent */
    uint32_t send_ms;    /* timeout send: the server, or the client, takes nothing */
    uint32_t tunnel_ms;  /* timeout idle: of WebSockets and other upgraded connections */
    uint64_t max_body;   /* 0: no limit */
    size_t buffer;       /* bytes on their way, in each direction, before the one that sends must wait; also
                            how much of a request's body is kept to send it again */
    unsigned retries;    /* further servers that are tried */
    struct config_rate rate;
    bool implied; /* the "/" of the host, which no block names */
    unsigned line;
};

struct config_host {
    const char *const *names; /* lower case; "name:port", "name", "*.name", "*.name:port"; "default" */
    size_t name_count;
    bool is_default;
    const struct config_location *locations; /* the longest prefix first */
    size_t location_count;
    unsigned line;
};

struct config_certificate {
    const char *cert, *key; /* files */
};
struct config_listen {
    const char *ip;
    uint16_t port;
    const struct config_certificate *certificates; /* none: without TLS */
    size_t certificate_count;
    uint16_t redirect; /* everything is sent to https on this port; 0: not */
    unsigned line;
};

struct config {
    const struct config_host *hosts;
    size_t host_count;
    const struct config_group *groups;
    size_t group_count;
    const struct config_listen *listens; /* may be none: then the command line says it */
    size_t listen_count;
    const char *access_log; /* a file, "-": stdout; NULL: none */
    bool access_json;
    const char *trusted_proxies; /* as wr_trust_proxies takes it; NULL: nobody */
    bool trust_forwarded;        /* their Forwarded is read, not X-Forwarded-* */
    uint32_t client_idle_ms;     /* client_timeout idle, header, body: of connections to clients */
    uint32_t client_header_ms, client_body_ms;
    size_t header_bytes_max;
    unsigned connections_max;
    const struct config_index *index; /* of the names of hosts */
    struct config_memory *memory;     /* of all this */
};

/* Something that the reader has to say about the file. */
struct config_problem {
    bool warning;          /* it can be used nevertheless */
    unsigned line, column; /* from 1; the column counts characters */
    char text[240];
};

struct config_options {
    const char *name; /* of the file, in messages */
    const char *host; /* what $HOST and {{HOST}} mean */
};

/* Reads a configuration. OK with *out (there may be warnings); ERR_MALFORMED; ERR_MEMORY. problems: room for
 * CONFIG_PROBLEMS_MAX, in the order of the file; *out_count may be larger. */
int config_read(slice text, const struct config_options *options, struct config **out,
                struct config_problem *problems, size_t *out_count) BASE_CHECKED;
/* NULL is allowed. */
void config_free(struct config *config);
/* Writes a problem as it is shown: "proxy.conf:3:15: error: ...", the line, and where in it. */
void config_problem_write(struct buffer *out, const struct config_options *options, slice text,
                          const struct config_problem *problem);
/* The configuration in its canonical form: reading it again gives the same one. */
void config_dump(const struct config *config, struct buffer *out);

/* config_find.c */

/* The host block for what the client named: "name:port" first, then "name", "*.name" (the longest), then the
 * default; NULL when there is none. authority: host[:port], any case; secure: what port it has without one.
 */
const struct config_host *config_find_host(const struct config *config, slice authority, bool secure);
/* The location for a decoded path without dot segments: the one of the longest prefix; NULL when the host has
 * none for it. */
const struct config_location *config_find_location(const struct config_host *host, slice path);

#endif
