/* client.c - the client's connections: made, kept, shared out. */
#include "web/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_client.h"
#include "web/tls.h"

void wr_client_config_init(struct wr_client_config *config)
{
    *config = (struct wr_client_config){.connections_per_host_max = 16,
                                        .waiting_max = 1024,
                                        .idle_timeout_ms = 30 * 1000,
                                        .connect_timeout_ms = 10 * 1000,
                                        .timeout_ms = 60 * 1000,
                                        .header_bytes_max = 64 * 1024,
                                        .body_bytes_max = 16 * 1024 * 1024,
                                        .redirects_max = 5};
}

static struct client_connection *connection_of(struct stream *stream)
{
    return LIST_ENTRY(stream, struct client_connection, stream);
}

struct tls_client *client_tls(struct wr_client *client)
{
    if (!client->tls) {
        struct tls_client_options options = {.protocols = "http/1.1"};
        client->tls = tls_client_new(&options);
    }
    return client->tls;
}

/* --- hosts --- */

struct client_host *client_host_of(struct wr_client *client, const struct url *url)
{
    for (struct list *n = client->hosts.next; n != &client->hosts; n = n->next) {
        struct client_host *host = LIST_ENTRY(n, struct client_host, node);
        if (host->port == url->port && host->secure == url->secure &&
            slice_equal_nocase(slice_text(host->name), url->host))
            return host;
    }
    struct client_host *host = url->host.len <= CLIENT_HOST_BYTES_MAX ? calloc(1, sizeof *host) : NULL;
    if (!host) return NULL;
    host->client = client;
    host->port = url->port;
    host->secure = url->secure;
    memcpy(host->name, url->host.ptr, url->host.len);
    list_init(&host->idle);
    list_init(&host->waiting);
    list_append(&client->hosts, &host->node);
    return host;
}

void client_host_changed(struct client_host *host)
{
    if (host->changing) return; /* a call that is being started failed: the loop below sees what is left */
    host->changing = true;
    while (!host->client->freed && !list_empty(&host->waiting) &&
           (!list_empty(&host->idle) || host->open < host->client->config.connections_per_host_max)) {
        struct wr_call *call = LIST_ENTRY(host->waiting.next, struct wr_call, host_node);
        list_remove(&call->host_node);
        call->host = NULL;
        host->client->waiting--;
        if (client_start(call, false) < 0)
            call_end_soon(call, WR_MEMORY, "there is no memory for a connection");
    }
    host->changing = false;
    if (host->open > 0 || !list_empty(&host->waiting)) return;
    list_remove(&host->node);
    free(host);
}

/* --- connections --- */

static void on_handle_closed(struct client_connection *conn)
{
    if (--conn->handles > 0) return;
    struct wr_client *client = conn->client;
    buffer_reset(&conn->in);
    free(conn);
    if (--client->connections == 0 && client->freed) free(client);
}

static void on_stream_closed(struct stream *stream)
{
    on_handle_closed(connection_of(stream));
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

/* Takes it from its host and its list. Its call is the caller's matter. */
void client_cut(struct client_connection *conn)
{
    if (conn->closing) return;
    conn->closing = true;
    struct client_host *host = conn->host;
    if (conn->call) conn->call->conn = NULL;
    conn->call = NULL;
    conn->host = NULL;
    list_remove(&conn->node);
    uv_close((uv_handle_t *)&conn->timer, on_timer_closed);
    stream_close(&conn->stream);
    host->open--;
    client_host_changed(host);
}

static void on_idle_over(uv_timer_t *timer)
{
    client_cut(timer->data);
}

/* The connection ends, and with it what its call waited for. */
static void lose(struct client_connection *conn, int result, const char *why, bool clean)
{
    struct wr_call *call = conn->call;
    if (call) conn->call->conn = NULL;
    conn->call = NULL;
    bool was_used = conn->used && conn->in.len == 0;
    client_cut(conn);
    if (!call) return;
    /* A server may close a kept connection just when it is used again; then the call is tried once more. */
    bool again = was_used && result == WR_CLOSED && call->state == CALL_HEAD && !call->head &&
                 !call->retried && call->interims == 0;
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
    bool may = false;
    for (size_t i = 0; i < sizeof idempotent / sizeof idempotent[0]; i++)
        may |= strcmp(call->method, idempotent[i]) == 0;
    if (again && may) {
        call->retried = true;
        if (client_start(call, true) == OK) return;
    }
    call_connection_lost(call, result, why, clean);
}

static void on_connect_over(uv_timer_t *timer)
{
    lose(timer->data, WR_SYSTEM, "the server did not answer in time", false);
}

static void on_opened(struct stream *stream)
{
    struct client_connection *conn = connection_of(stream);
    uv_timer_stop(&conn->timer);
    conn->open = true;
    if (conn->call)
        call_send(conn->call);
    else
        client_give_back(conn, true); /* its call was cancelled meanwhile */
}

static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    struct client_connection *conn = connection_of(stream);
    if (!conn->call) {
        client_cut(conn); /* an answer to no request */
        return;
    }
    call_received(conn->call, bytes, len);
}

static void on_ended(struct stream *stream)
{
    lose(connection_of(stream), WR_CLOSED, "the server closed the connection", true);
}

static void on_failed(struct stream *stream, int uv_error)
{
    struct client_connection *conn = connection_of(stream);
    char why[200];
    snprintf(why, sizeof why, "%s", stream_failure(stream, uv_error));
    lose(conn, conn->open ? WR_CLOSED : WR_SYSTEM, why, false);
}

static void on_nothing(struct stream *stream)
{
    (void)stream;
}

static const struct stream_events events = {.opened = on_opened,
                                            .received = on_received,
                                            .ended = on_ended,
                                            .failed = on_failed,
                                            .woken = on_nothing,
                                            .flushed = on_nothing,
                                            .closed = on_stream_closed};

static int connect_to(struct client_host *host, struct wr_call *call)
{
    struct wr_client *client = host->client;
    struct stream_target target = {.host = host->name, .port = host->port};
    if (host->secure && !(target.tls = client_tls(client))) return ERR_MEMORY;
    struct client_connection *conn = calloc(1, sizeof *conn);
    if (!conn) return ERR_MEMORY;
    conn->host = host;
    conn->client = client;
    list_init(&conn->node);
    buffer_init(&conn->in, &allocator_libc, 2 * HTTP_HEAD_BYTES_MAX + LOOP_READ_BYTES);
    int rc = stream_connect(&conn->stream, &client->worker->loop, &target, &events);
    if (rc < 0) {
        free(conn);
        return rc;
    }
    conn->handles = 2;
    client->connections++;
    host->open++;
    uv_timer_init(&client->worker->loop.uv, &conn->timer);
    conn->timer.data = conn;
    uv_timer_start(&conn->timer, on_connect_over, client->config.connect_timeout_ms, 0);
    conn->call = call;
    call->conn = conn;
    return OK;
}

int client_start(struct wr_call *call, bool fresh)
{
    struct wr_client *client = call->client;
    struct client_host *host = client_host_of(client, &call->parts);
    if (!host) return ERR_MEMORY;
    call->state = CALL_HEAD;
    if (!fresh && !list_empty(&host->idle)) {
        struct client_connection *conn = LIST_ENTRY(host->idle.next, struct client_connection, node);
        list_remove(&conn->node);
        uv_timer_stop(&conn->timer);
        conn->call = call;
        call->conn = conn;
        call_send(call);
        return OK;
    }
    if (fresh || host->open < client->config.connections_per_host_max) {
        int rc = connect_to(host, call);
        if (rc < 0) client_host_changed(host);
        return rc;
    }
    if (client->waiting >= client->config.waiting_max) return ERR_FULL;
    call->state = CALL_WAITING;
    call->host = host;
    list_append(&host->waiting, &call->host_node);
    client->waiting++;
    return OK;
}

void client_give_back(struct client_connection *conn, bool keep)
{
    struct client_host *host = conn->host;
    if (conn->call) conn->call->conn = NULL;
    conn->call = NULL;
    conn->used = true;
    buffer_reset(&conn->in);
    if (!keep || conn->client->freed) {
        client_cut(conn);
        return;
    }
    stream_read(&conn->stream, true);
    conn->node.next = host->idle.next; /* in front: the one used last is the least likely to be closed */
    conn->node.prev = &host->idle;
    host->idle.next->prev = &conn->node;
    host->idle.next = &conn->node;
    uv_timer_start(&conn->timer, on_idle_over, conn->client->config.idle_timeout_ms, 0);
    client_host_changed(host);
}

/* --- life --- */

struct wr_client *wr_client_new(struct wr_worker *worker, const struct wr_client_config *config)
{
    struct wr_client *client = calloc(1, sizeof *client);
    if (!client) return NULL;
    client->worker = worker;
    if (config)
        client->config = *config;
    else
        wr_client_config_init(&client->config);
    if (client->config.connections_per_host_max == 0) client->config.connections_per_host_max = 1;
    if (client->config.tls) client->tls = tls_client_of(client->config.tls);
    list_init(&client->hosts);
    list_init(&client->calls);
    list_init(&client->openings);
    return client;
}

void wr_client_free(struct wr_client *client)
{
    if (!client) return;
    client->freed = true;
    client->connections++; /* so that it stays while it is being taken apart */
    while (!list_empty(&client->calls))
        call_end(LIST_ENTRY(client->calls.next, struct wr_call, node), WR_CLOSED, "the client was freed");
    client_cut_openings(client);
    /* Without calls all connections are idle; a host goes with its last one. */
    while (!list_empty(&client->hosts)) {
        struct client_host *host = LIST_ENTRY(client->hosts.next, struct client_host, node);
        assert(!list_empty(&host->idle));
        client_cut(LIST_ENTRY(host->idle.next, struct client_connection, node));
    }
    tls_client_release(client->tls);
    client->tls = NULL;
    if (--client->connections == 0) free(client);
}
