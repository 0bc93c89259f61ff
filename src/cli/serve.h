/* serve.h - what `weaprous up` and `weaprous tracker` have in common: a tracker, from its options to its end.
 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli/args.h"
#include "tracker/tracker.h"

struct serve_options {
    const char *server_ip, *host, *data, *trace;
    const char *tls_cert, *tls_key, *trusted_proxies;
    const char *registration, *page_origins;
    const char *access_log, *log_file, *metrics_from;
    const char *ice_servers, *turn_secret;
    uint64_t port, relay_rate, relay_total;
    uint64_t keep_mb, keep_days; /* of direct conversations; 0: the defaults */
    bool lan;                    /* listen on all addresses */
    bool classroom, verbose;
    bool shared; /* with other processes of the same data folder; else alone */
};

#define SERVE_RELAY_RATE ((uint64_t)TRACKER_RELAY_BYTES_PER_SECOND)
/* Rows of the table of arguments that both have. */
#define SERVE_ARGS(options)                                                                                   \
    {                                                                                                         \
        "data", ARG_TEXT, &(options)->data, "DIR", "folder for everything that is kept (default ./data)",     \
        0,      0},                                                                                           \
        {"tls-cert", ARG_TEXT, &(options)->tls_cert, "FILE", "certificate and its chain (PEM): serves HTTPS", \
         0,          0},                                                                                      \
        {"tls-key", ARG_TEXT, &(options)->tls_key, "FILE", "its key (PEM)", 0, 0},                            \
        {"trusted-proxies",                                                                                   \
         ARG_TEXT,                                                                                            \
         &(options)->trusted_proxies,                                                                         \
         "LIST",                                                                                              \
         "reverse proxies whose X-Forwarded-For and -Proto are believed:\n"                                   \
         "addresses and networks (127.0.0.1,10.0.0.0/8)",                                                     \
         0,                                                                                                   \
         0},                                                                                                  \
        {"relay-rate",                                                                                        \
         ARG_NUMBER,                                                                                          \
         &(options)->relay_rate,                                                                              \
         "BYTES",                                                                                             \
         "bytes per second that one account may send through the relay, when\n"                               \
         "browsers cannot reach each other directly (default 4194304)",                                       \
         1,                                                                                                   \
         (uint64_t)1 << 40},                                                                                  \
        {"relay-total",                                                                                       \
         ARG_NUMBER,                                                                                          \
         &(options)->relay_total,                                                                             \
         "BYTES",                                                                                             \
         "the same for all accounts together (default 67108864)",                                             \
         1,                                                                                                   \
         (uint64_t)1 << 40},                                                                                  \
        {"ice-servers",                                                                                       \
         ARG_TEXT,                                                                                            \
         &(options)->ice_servers,                                                                             \
         "LIST",                                                                                              \
         "STUN and TURN servers for browsers, or a file with them:\n"                                         \
         "stun:host:3478,turn:host:3478?transport=udp",                                                       \
         0,                                                                                                   \
         0},                                                                                                  \
        {"turn-secret",                                                                                       \
         ARG_TEXT,                                                                                            \
         &(options)->turn_secret,                                                                             \
         "FILE",                                                                                              \
         "the secret that the TURN servers share (coturn: static-auth-secret)",                               \
         0,                                                                                                   \
         0},                                                                                                  \
        {"registration",                                                                                      \
         ARG_TEXT,                                                                                            \
         &(options)->registration,                                                                            \
         "WHO",                                                                                               \
         "who may make an account: open (everybody, the default), invite\n"                                   \
         "(with an invite of an administrator) or closed",                                                    \
         0,                                                                                                   \
         0},                                                                                                  \
        {"page-origins",                                                                                      \
         ARG_TEXT,                                                                                            \
         &(options)->page_origins,                                                                            \
         "LIST",                                                                                              \
         "pages of other sites that may use this server for whoever is logged\n"                              \
         "in: https://chat.example,http://localhost:3000",                                                    \
         0,                                                                                                   \
         0},                                                                                                  \
        {"classroom",                                                                                         \
         ARG_FLAG,                                                                                            \
         &(options)->classroom,                                                                               \
         NULL,                                                                                                \
         "for courses only: adds the account admin with the password\n"                                       \
         "\"password\", and the five channels",                                                               \
         0,                                                                                                   \
         0},                                                                                                  \
        {"trace",                                                                                             \
         ARG_TEXT,                                                                                            \
         &(options)->trace,                                                                                   \
         "FILE",                                                                                              \
         "record everything that goes into the replica in a new file, for\n\"weaprous trace\"; it then "      \
         "holds "                                                                                             \
         "the secret key of the server",                                                                      \
         0,                                                                                                   \
         0},                                                                                                  \
        {"access-log",                                                                                        \
         ARG_TEXT,                                                                                            \
         &(options)->access_log,                                                                              \
         "FILE",                                                                                              \
         "one line for each request, as Apache and nginx write them\n(- for standard output)",                \
         0,                                                                                                   \
         0},                                                                                                  \
        {"log",                                                                                               \
         ARG_TEXT,                                                                                            \
         &(options)->log_file,                                                                                \
         "FILE",                                                                                              \
         "trouble, instead of on standard error; SIGHUP opens both files\nanew, after they were rotated",     \
         0,                                                                                                   \
         0},                                                                                                  \
        {"metrics-from",                                                                                      \
         ARG_TEXT,                                                                                            \
         &(options)->metrics_from,                                                                            \
         "LIST",                                                                                              \
         "networks whose computers may look at /metrics, besides this one\n(10.0.0.0/8,192.0.2.7)",           \
         0,                                                                                                   \
         0},                                                                                                  \
        {"keep-mb",                                                                                           \
         ARG_NUMBER,                                                                                          \
         &(options)->keep_mb,                                                                                 \
         "MB",                                                                                                \
         "how much of one direct conversation is kept, encrypted, for who is\naway (default 64); of a "       \
         "larger "                                                                                            \
         "one the newest messages",                                                                           \
         1,                                                                                                   \
         1 << 20},                                                                                            \
        {"keep-days",                                                                                         \
         ARG_NUMBER,                                                                                          \
         &(options)->keep_days,                                                                               \
         "DAYS",                                                                                              \
         "how long after its last message all of it is kept (default 365)",                                   \
         1,                                                                                                   \
         36500},                                                                                              \
        {"verbose", ARG_FLAG, &(options)->verbose, NULL, "log what goes well too", 0, 0}

/* Opens the data folder and a tracker, calls started(options, port, known) when it listens, and serves until
 * a signal ends it. known: the account with the known password is there. Returns the exit status. */
int serve(const struct serve_options *options,
          void (*started)(const struct serve_options *options, uint16_t port, bool known));

#endif
