#include "cli/server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "account/classroom.h"
#include "cli/cli.h"

void server_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void server_log(void *context, enum wr_log_level level, const char *text)
{
    static const char *const names[] = {"INFO", "WARN", "ERROR"};
    const bool *verbose = context;
    if (level == WR_LOG_INFO && !*verbose) return;
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    fprintf(stderr, "%s %s %s\n", stamp, names[level], text);
}

/* --- addresses --- */

bool server_is_any(const char *ip)
{
    return strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

size_t server_addresses(bool with_v6, char out[SERVER_ADDRESSES_MAX][INET6_ADDRSTRLEN])
{
    uv_interface_address_t *all;
    int count;
    size_t found = 0;
    if (uv_interface_addresses(&all, &count)) return 0;
    for (int family = 0; family < (with_v6 ? 2 : 1); family++) {
        for (int i = 0; i < count && found < SERVER_ADDRESSES_MAX; i++) {
            const uv_interface_address_t *a = &all[i];
            bool v6 = a->address.address4.sin_family == AF_INET6;
            if (a->is_internal || v6 != (family == 1)) continue;
            if (v6 && IN6_IS_ADDR_LINKLOCAL(&a->address.address6.sin6_addr)) continue;
            int failed = v6 ? uv_ip6_name(&a->address.address6, out[found], INET6_ADDRSTRLEN)
                            : uv_ip4_name(&a->address.address4, out[found], INET6_ADDRSTRLEN);
            found += !failed;
        }
    }
    uv_free_interface_addresses(all, count);
    return found;
}

void server_url(char out[SERVER_URL_BYTES], bool tls, const char *ip, uint16_t port)
{
    const char *open = strchr(ip, ':') ? "[" : "", *close = open[0] ? "]" : "",
               *scheme = tls ? "https" : "http";
    if (port == (tls ? 443 : 80))
        snprintf(out, SERVER_URL_BYTES, "%s://%s%s%s/", scheme, open, ip, close);
    else
        snprintf(out, SERVER_URL_BYTES, "%s://%s%s%s:%u/", scheme, open, ip, close, (unsigned)port);
}

void server_print_addresses(const char *ip, uint16_t port, bool tls)
{
    char addresses[SERVER_ADDRESSES_MAX][INET6_ADDRSTRLEN], url[SERVER_URL_BYTES];
    bool any = server_is_any(ip);
    server_url(url, tls, any ? "127.0.0.1" : ip, port);
    printf("    %s\n", url);
    size_t count = any ? server_addresses(strcmp(ip, "::") == 0, addresses) : 0;
    for (size_t i = 0; i < count; i++) {
        server_url(url, tls, addresses[i], port);
        printf("    %s   for others in this network\n", url);
    }
}

/* --- the classroom --- */

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int server_classroom(const char *database, bool wanted, bool *out_known)
{
    struct store *store;
    char why[STORE_WHY_BYTES];
    enum classroom_account account = CLASSROOM_NO_ACCOUNT;
    struct store_options options = {.path = database};
    *out_known = false;
    if (!wanted && access(database, F_OK)) return OK; /* a new one */
    int err = store_open(&options, &store, why);
    if (err) {
        complain("%s", why);
        return err;
    }
    err = wanted ? classroom_add(store, wall_ms(), &account) : classroom_look(store, &account);
    store_close(store);
    if (err) complain("The accounts in %s cannot be read or changed: %s.", database, err_text(err));
    *out_known = account == CLASSROOM_KNOWN_PASSWORD;
    return err;
}

void server_print_classroom(bool wanted, bool known, const char *data)
{
    FILE *out = wanted ? stdout : stderr;
    if (wanted)
        fputs("\n*** CLASSROOM: for a course, never for a server that strangers can reach. ***\n", out);
    if (known)
        fprintf(out,
                "*** Everybody can log in as \"" CLASSROOM_NAME "\" with the password \"" CLASSROOM_PASSWORD
                "\". ***\nTo end that: weaprous user passwd " CLASSROOM_NAME " --data %s\n",
                data);
    else if (wanted)
        fputs("The account \"" CLASSROOM_NAME "\" has a password of its own, which stays.\n", out);
    if (wanted) {
        fputs("Channels: general", out);
        for (size_t i = 0; i < CLASSROOM_CHANNELS; i++)
            fprintf(out, ", %s", classroom_channels[i]);
        fputs(".\n", out);
    }
    fflush(out);
}

bool server_tls_complete(const char *command, const char *cert, const char *key)
{
    if (!cert == !key) return true;
    complain("weaprous %s: --tls-cert and --tls-key are only of use together.", command);
    return false;
}

int server_tls(const char *cert, const char *key, struct wr_tls **out_tls)
{
    *out_tls = NULL;
    if (!cert) return OK;
    struct wr_tls *tls = wr_tls_new(NULL);
    if (!tls || wr_tls_certificate(tls, cert, key)) {
        complain("HTTPS is not possible: %s.", tls ? wr_tls_error(tls) : "out of memory");
        wr_tls_free(tls);
        return ERR_INVALID;
    }
    *out_tls = tls;
    return OK;
}

void server_tls_reload(struct wr_tls *tls)
{
    if (tls && wr_tls_reload(tls)) complain("The certificate stays as it was: %s.", wr_tls_error(tls));
}

static void on_end(uv_signal_t *signal, int number)
{
    (void)number;
    struct server_signals *signals = signal->data;
    signals->end(signals->context);
}

static void on_reload(uv_signal_t *signal, int number)
{
    (void)number;
    struct server_signals *signals = signal->data;
    if (signals->terminal && !isatty(STDIN_FILENO)) { /* it was closed */
        uv_signal_stop(signal);
        signals->end(signals->context);
    } else {
        signals->reload(signals->context);
    }
}

void server_signals_start(struct server_signals *signals, uv_loop_t *loop)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    signals->terminal = isatty(STDIN_FILENO);
    for (size_t i = 0; i < 3; i++) {
        uv_signal_t *handle = &signals->handles[i];
        uv_signal_init(loop, handle);
        handle->data = signals;
        if (numbers[i] == SIGHUP)
            uv_signal_start(handle, on_reload, numbers[i]);
        else
            uv_signal_start_oneshot(handle, on_end, numbers[i]);
    }
}

void server_signals_stop(struct server_signals *signals)
{
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&signals->handles[i], NULL);
}
