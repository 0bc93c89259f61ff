/* server.h - what the subcommands that serve have in common. */
#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "weaprous/weaprous.h"

enum { SERVER_ADDRESSES_MAX = 8, SERVER_URL_BYTES = 128 };

/* One descriptor for each connection: takes what the system gives. */
void server_raise_descriptors(void);
/* For wr_config.log: one line on stderr; context: a bool, whether what goes well is logged too. */
void server_log(void *context, enum wr_log_level level, const char *text);

/* "0.0.0.0" or "::". */
bool server_is_any(const char *ip);
/* The addresses of this computer that others in its networks can use, IPv4 first. */
size_t server_addresses(bool with_v6, char out[SERVER_ADDRESSES_MAX][INET6_ADDRSTRLEN]);
/* "http://127.0.0.1:8080/", without the port that the scheme has anyway. */
void server_url(char out[SERVER_URL_BYTES], bool tls, const char *ip, uint16_t port);
/* A line on stdout for each URL that a listener has. */
void server_print_addresses(const char *ip, uint16_t port, bool tls);

/* What a server does on SIGINT and SIGTERM (end, once: the second one ends the program at once), and on
 * SIGHUP (reload; but when its terminal was closed it ends). Fill in end, reload, context. */
struct server_signals {
    void (*end)(void *context);
    void (*reload)(void *context);
    void *context;
    bool terminal; /* it was started on one */
    uv_signal_t handles[3];
};
void server_signals_start(struct server_signals *signals, uv_loop_t *loop);
/* The handles are closed by the loop's next turn. */
void server_signals_stop(struct server_signals *signals);

/* False, with a complaint, when only one of the two files was named. */
bool server_tls_complete(const char *command, const char *cert, const char *key);
/* *out_tls is NULL without a certificate. ERR_INVALID, complained about. */
int server_tls(const char *cert, const char *key, struct wr_tls **out_tls) BASE_CHECKED;
/* Reads the files again; complains when they are not good. NULL is allowed. */
void server_tls_reload(struct wr_tls *tls);

/* Before the server opens the database: adds what the courses expect when it is wanted, and in any case looks
 * whether the account with the known password is there; *out_known. Any error has been complained about. */
int server_classroom(const char *database, bool wanted, bool *out_known) BASE_CHECKED;
/* Says it loudly, after the start: on stdout when it was wanted, else on stderr. */
void server_print_classroom(bool wanted, bool known, const char *data);

#endif
