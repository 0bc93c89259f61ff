/* How others reach the server: port, certificate, addresses, name. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/server.h"

#define PATIENCE_MS 2000
#define DAYS_SOON 14

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_of(const char *ip, uint16_t port, union address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, ip, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    inet_pton(AF_INET6, ip, &out->v6.sin6_addr);
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    return sizeof out->v6;
}

/* A connection, or -1 with errno. */
static int dial(const char *ip, uint16_t port)
{
    union address address;
    socklen_t len = address_of(ip, port, &address);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    int failed = connect(fd, &address.any, len) ? errno : 0;
    if (failed == EINPROGRESS) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof failed;
        if (poll(&wait, 1, PATIENCE_MS) != 1)
            failed = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size))
            failed = errno;
    }
    if (!failed) return fd;
    close(fd);
    errno = failed;
    return -1;
}

/* Whether what listens there answers as a server of ours that is well. */
static bool answers(int fd)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[2048];
    size_t len = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1) return false;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (len < sizeof answer - 1 && poll(&wait, 1, PATIENCE_MS) == 1) {
        ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (n <= 0) break;
        len += (size_t)n;
    }
    answer[len] = '\0';
    return strncmp(answer, "HTTP/1.1 200", 12) == 0 && strstr(answer, "\"status\":\"success\"");
}

static void check_free(struct doctor *d)
{
    union address address;
    socklen_t len = address_of(d->server_ip, d->port, &address);
    int on = 1, fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int failed = fd < 0 || bind(fd, &address.any, len) ? errno : 0;
    if (fd >= 0) close(fd);
    if (!failed)
        doctor_say(d, VERDICT_GOOD, "port", NULL, "%s port %u is free; no server runs there", d->server_ip,
                   (unsigned)d->port);
    else if (failed == EACCES)
        doctor_say(
            d, VERDICT_BAD, "port",
            "choose a port from 1024 on, put the proxy before it, or give the program CAP_NET_BIND_SERVICE",
            "port %u is only for administrators", (unsigned)d->port);
    else if (failed == EADDRNOTAVAIL)
        doctor_say(d, VERDICT_BAD, "port", "choose one of `ip address` with --server-ip, or 0.0.0.0 for all",
                   "this computer has no address %s", d->server_ip);
    else
        doctor_say(d, VERDICT_BAD, "port", "find out who has it: ss -ltnp", "%s port %u cannot be used: %s",
                   d->server_ip, (unsigned)d->port, strerror(failed));
}

static void check_port(struct doctor *d)
{
    const char *ip = !server_is_any(d->server_ip)      ? d->server_ip
                     : strcmp(d->server_ip, "::") == 0 ? "::1"
                                                       : "127.0.0.1";
    int fd = dial(ip, d->port);
    if (fd < 0) {
        check_free(d);
        return;
    }
    d->answers = d->tls_cert || answers(fd);
    close(fd);
    if (d->tls_cert)
        doctor_say(d, VERDICT_GOOD, "port", NULL, "something listens on %s port %u", ip, (unsigned)d->port);
    else if (d->answers)
        doctor_say(d, VERDICT_GOOD, "port", NULL, "the server on %s port %u answers and is ready", ip,
                   (unsigned)d->port);
    else
        doctor_say(d, VERDICT_BAD, "port",
                   "find out who has it: ss -ltnp; or is it HTTPS? then name the certificate with --tls-cert",
                   "what listens on %s port %u does not answer as weaprous", ip, (unsigned)d->port);
}

/* --- certificate --- */

static void check_dates(struct doctor *d, X509 *certificate)
{
    static const char renew[] = "renew it, then send the server SIGHUP: it reads the files again";
    int days = 0, seconds = 0;
    if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate))) return;
    if (days < 0 || seconds < 0)
        doctor_say(d, VERDICT_BAD, "certificate", renew, "it ended %d days ago: browsers refuse it", -days);
    else
        doctor_say(d, days < DAYS_SOON ? VERDICT_WARNING : VERDICT_GOOD, "certificate", renew,
                   "good for %d more days", days);
    if (d->name && X509_check_host(certificate, d->name, 0, 0, NULL) != 1)
        doctor_say(d, VERDICT_BAD, "certificate", "get one that names it",
                   "it is not for %s: browsers refuse it", d->name);
}

static void check_certificate(struct doctor *d)
{
    struct wr_tls *tls;
    if (!d->tls_cert) return;
    if (!server_tls_complete("doctor", d->tls_cert, d->tls_key) ||
        server_tls(d->tls_cert, d->tls_key, &tls)) {
        doctor_say(d, VERDICT_BAD, "certificate", "see the line on stderr",
                   "HTTPS is not possible with these files");
        return;
    }
    wr_tls_free(tls);
    FILE *file = fopen(d->tls_cert, "r");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (file) fclose(file);
    if (certificate) check_dates(d, certificate);
    X509_free(certificate);
}

/* --- from outside --- */

static void check_addresses(struct doctor *d)
{
    char ips[SERVER_ADDRESSES_MAX][INET6_ADDRSTRLEN], url[SERVER_URL_BYTES];
    size_t count = server_addresses(true, ips), reached = 0;
    for (size_t i = 0; i < count && d->answers; i++) {
        int fd = dial(ips[i], d->port);
        if (fd < 0) continue;
        close(fd);
        reached++;
        server_url(url, d->tls_cert != NULL, ips[i], d->port);
        doctor_say(d, VERDICT_GOOD, "address", NULL,
                   "it listens at %s too (a firewall before this computer cannot be seen from here)", url);
    }
    if (count == 0)
        doctor_say(d, VERDICT_WARNING, "address", "connect it: ip link, ip address",
                   "this computer is in no network: nobody else can reach it");
    else if (d->answers && !reached)
        doctor_say(d, VERDICT_WARNING, "address", "fine behind a proxy; else start the server with --lan",
                   "it listens on %s only: nobody on another computer can reach it directly", d->server_ip);
}

static void check_name(struct doctor *d)
{
    char ips[SERVER_ADDRESSES_MAX][INET6_ADDRSTRLEN], found[INET6_ADDRSTRLEN], first[INET6_ADDRSTRLEN] = "";
    struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM};
    if (!d->name) return;
    int failed = getaddrinfo(d->name, NULL, &hints, &all);
    if (failed) {
        doctor_say(d, VERDICT_BAD, "name", "add an A or AAAA record for it where the domain is kept",
                   "%s: %s", d->name, gai_strerror(failed));
        return;
    }
    size_t count = server_addresses(true, ips);
    bool own = false;
    for (struct addrinfo *a = all; a; a = a->ai_next) {
        if (getnameinfo(a->ai_addr, a->ai_addrlen, found, sizeof found, NULL, 0, NI_NUMERICHOST)) continue;
        if (!first[0]) memcpy(first, found, sizeof first);
        for (size_t i = 0; i < count; i++)
            own = own || strcmp(ips[i], found) == 0;
        own = own || strncmp(found, "127.", 4) == 0 || strcmp(found, "::1") == 0;
    }
    freeaddrinfo(all);
    doctor_say(d, own ? VERDICT_GOOD : VERDICT_WARNING, "name",
               "fine behind NAT or a proxy that passes it on to this computer; else correct the record",
               "%s is %s%s", d->name, first,
               own ? ", this computer" : ", which is not an address of this computer");
}

void doctor_network(struct doctor *d)
{
    check_port(d);
    check_certificate(d);
    check_addresses(d);
    check_name(d);
}
