#include "kit.h"

#include <openssl/pem.h>
#include <signal.h>
#include <unistd.h>

enum { GUARD_MS = 60000 };

static char folder[64];

const char *kit_folder(void)
{
    if (!folder[0]) {
        strcpy(folder, "/tmp/weaprous-net-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    return folder;
}

static void run(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_true(len > 0 && (size_t)len < sizeof command);
    if (system(command) != 0) fail_msg("%s", command);
}

void kit_clean(void)
{
    if (folder[0]) run("rm -rf '%s'", folder);
    folder[0] = 0;
}

const char *kit_path(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", kit_folder(), name);
    return path;
}

void kit_certificate(const char *name, const char *kind, const char *names)
{
    const char *key = strcmp(kind, "ec") == 0    ? "ec -pkeyopt ec_paramgen_curve:P-256"
                      : strcmp(kind, "rsa") == 0 ? "rsa:2048"
                                                 : "ed25519";
    run("openssl req -x509 -newkey %s -nodes -keyout '%s/%s.key' -out '%s/%s.pem' -subj '/CN=%s' "
        "-addext 'subjectAltName=%s' -days 30 >/dev/null 2>&1",
        key, kit_folder(), name, kit_folder(), name, name, names);
}

void kit_expire(const char *name)
{
    char file_name[64];
    snprintf(file_name, sizeof file_name, "%s.key", name);
    FILE *file = fopen(kit_path(file_name), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    snprintf(file_name, sizeof file_name, "%s.pem", name);
    file = fopen(kit_path(file_name), "r+");
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate), -86400);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    rewind(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(ftruncate(fileno(file), ftell(file)), 0);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

struct tls_server *kit_server(const char *first, ...)
{
    struct tls_server_options options = {
        .protocols = "http/1.1", .session_lifetime_s = 3600, .plain_answer = SLICE(KIT_PLAIN_ANSWER)};
    struct tls_server *server = tls_server_new(&options);
    assert_non_null(server);
    va_list names;
    va_start(names, first);
    for (const char *name = first; name; name = va_arg(names, const char *)) {
        char pem[64], key[64];
        snprintf(pem, sizeof pem, "%s.pem", name);
        snprintf(key, sizeof key, "%s.key", name);
        if (tls_server_certificate(server, kit_path(pem), kit_path(key)) < 0)
            fail_msg("%s", tls_server_error(server));
    }
    va_end(names);
    assert_int_equal(tls_server_prepare(server), OK);
    return server;
}

struct tls_client *kit_client(const char *trusted)
{
    struct tls_client_options options = {.protocols = "http/1.1"};
    struct tls_client *client = tls_client_new(&options);
    assert_non_null(client);
    if (!trusted) return client;
    char pem[64];
    snprintf(pem, sizeof pem, "%s.pem", trusted);
    if (tls_client_trust(client, kit_path(pem)) < 0) fail_msg("%s", tls_client_error(client));
    return client;
}

/* --- ends --- */

static struct end *end_of(struct stream *stream)
{
    return LIST_ENTRY(stream, struct end, stream);
}

static void on_opened(struct stream *stream)
{
    end_of(stream)->opened++;
}

static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    struct end *e = end_of(stream);
    for (size_t i = 0; i < len; i++) {
        if (e->keep && e->text_len + 1 < sizeof e->text) e->text[e->text_len++] = (char)bytes[i];
        if (!e->keep && bytes[i] != kit_byte(e->received + i))
            fail_msg("byte %zu is not the right one", e->received + i);
        bytes[i] = 0; /* they may be changed */
    }
    e->received += len;
    if (e->pause_at && e->received >= e->pause_at) {
        stream_read(stream, false);
        e->pause_at = 0;
    }
}

static void on_ended(struct stream *stream)
{
    end_of(stream)->ended++;
}

static void on_failed(struct stream *stream, int uv_error)
{
    struct end *e = end_of(stream);
    e->failed++;
    e->error = uv_error;
    snprintf(e->failure, sizeof e->failure, "%s", stream_failure(stream, uv_error));
    stream_close(stream);
}

static void on_nothing(struct stream *stream)
{
    (void)stream;
}

static void on_spliced(struct stream *stream, size_t len)
{
    end_of(stream)->received += len;
    end_of(stream)->spliced += len;
}

static void on_closed(struct stream *stream)
{
    end_of(stream)->closed++;
}

const struct stream_events end_events = {.opened = on_opened,
                                         .received = on_received,
                                         .ended = on_ended,
                                         .failed = on_failed,
                                         .woken = on_nothing,
                                         .flushed = on_nothing,
                                         .spliced = on_spliced,
                                         .closed = on_closed};

void end_put(struct end *e, size_t n)
{
    uint8_t piece[40000];
    while (n > 0) {
        size_t len = n < sizeof piece ? n : sizeof piece;
        for (size_t i = 0; i < len; i++)
            piece[i] = kit_byte(e->sent + i);
        assert_int_equal(stream_put(&e->stream, slice_of(piece, len)), OK);
        e->sent += len;
        n -= len;
    }
}

/* --- the world --- */

static bool on_ready(struct listener *listener)
{
    struct world *w = listener->owner;
    struct end *e = w->accept_into;
    if (!e) return false;
    w->accept_into = NULL;
    memset(e, 0, sizeof *e);
    e->world = w;
    assert_int_equal(stream_accept(&e->stream, &w->loop, listener, &end_events), 0);
    w->accepted++;
    return true;
}

static void on_trouble(struct listener *listener, int uv_error)
{
    struct world *w = listener->owner;
    *(uv_error ? &w->troubles : &w->recoveries) += 1;
}

static void on_listener_closed(struct listener *listener)
{
    struct world *w = listener->owner;
    w->listener_closed = true;
}

static void on_expired(struct wheel_entry *entry)
{
    (void)entry;
}

static void on_tick(uv_timer_t *timer)
{
    struct world *w = timer->data;
    w->late = uv_now(&w->loop.uv) > w->guarded_ms + GUARD_MS;
}

void world_open(struct world *w, struct tls_server *secure)
{
    world_open_deferred(w, secure, 0);
}

void world_open_deferred(struct world *w, struct tls_server *secure, int defer_s)
{
    signal(SIGPIPE, SIG_IGN); /* as wr_app_new does */
    memset(w, 0, sizeof *w);
    w->accept_into = &w->server;
    assert_int_equal(net_loop_init(&w->loop, on_expired), 0);
    uv_timer_init(&w->loop.uv, &w->guard);
    w->guard.data = w;
    w->listener = (struct listener){
        .ready = on_ready, .owner = w, .secure = secure, .trouble = on_trouble, .closed = on_listener_closed};
    struct listener_options options = {.ip = "127.0.0.1", .backlog = 64, .defer_s = defer_s};
    assert_int_equal(listener_open(&w->listener, &w->loop, &options), 0);
}

static void end_close(struct world *w, struct end *e)
{
    if (!e->world || e->closed) return;
    stream_close(&e->stream);
    WORLD_UNTIL(w, e->closed);
}

void world_close(struct world *w)
{
    end_close(w, &w->client);
    end_close(w, &w->server);
    listener_close(&w->listener);
    WORLD_UNTIL(w, w->listener_closed);
    uv_close((uv_handle_t *)&w->guard, NULL);
    net_loop_deinit(&w->loop);
}

void world_guard(struct world *w)
{
    uv_update_time(&w->loop.uv);
    w->guarded_ms = uv_now(&w->loop.uv);
    /* Also so that a turn has an end in which nothing else happens. */
    if (!uv_is_active((uv_handle_t *)&w->guard)) uv_timer_start(&w->guard, on_tick, 10, 10);
}

bool world_turn(struct world *w)
{
    uv_run(&w->loop.uv, UV_RUN_ONCE);
    return !w->late;
}

void world_connect(struct world *w, struct tls_client *secure, const char *as)
{
    struct stream_target target = {.host = as, .port = w->listener.port, .tls = secure};
    memset(&w->client, 0, sizeof w->client);
    w->client.world = w;
    w->accept_into = &w->server;
    int before = w->accepted;
    assert_int_equal(stream_connect(&w->client.stream, &w->loop, &target, &end_events), OK);
    WORLD_UNTIL(w, w->client.failed || (w->client.opened && w->accepted > before));
    if (secure && w->client.opened) WORLD_UNTIL(w, w->server.failed || w->server.opened);
}
