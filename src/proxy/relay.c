/* relay.c - a client's connection and a server's that speak another protocol than HTTP by now: bytes go both
 * ways, each side waits for the other. */
#include <stdlib.h>

#include "proxy/exchange.h"

enum { RELAY_HALF_MS = 10000 }; /* how long one direction may go on alone without a byte */

struct relay {
    struct tunnel tunnel; /* the client's side */
    struct server_connection *server;
    struct forward *forward;
    struct site *site;
    struct group *group;
    uint64_t moved_ms; /* when bytes came last */
    uint32_t idle_ms, send_ms;
    size_t buffer;
    bool client_ended, server_ended;
    bool server_held; /* the client is slower */
};

static struct relay *relay_of(struct tunnel *tunnel)
{
    return LIST_ENTRY(tunnel, struct relay, tunnel);
}

/* Ends both sides; what is queued for the client is still sent. */
static void relay_close(struct relay *relay)
{
    struct forward *f = relay->forward;
    struct site *site = relay->site;
    upstream_end(relay->server->upstream);
    server_close(relay->server);
    tunnel_close(&relay->tunnel, false);
    forward_serve_waiting(f, relay->group);
    free(relay);
    site_release(site);
}

/* Both have said all: true when it is closed, false when the server has not been sent everything yet. */
static bool close_when_done(struct relay *relay)
{
    if (!relay->client_ended || !relay->server_ended || stream_queued(&relay->server->stream) > 0)
        return false;
    relay_close(relay);
    return true;
}

static void on_received(struct tunnel *tunnel, uint8_t *bytes, size_t len)
{
    struct relay *relay = relay_of(tunnel);
    struct stream *server = &relay->server->stream;
    relay->moved_ms = forward_now(relay->forward);
    if (stream_put_now(server, slice_of(bytes, len)) < 0)
        relay_close(relay);
    else if (stream_queued(server) >= relay->buffer) {
        tunnel_pause(tunnel, true);
        connection_arm(tunnel->conn);
    }
}

static void on_ended(struct tunnel *tunnel)
{
    struct relay *relay = relay_of(tunnel);
    if (relay->client_ended) return;
    relay->client_ended = true;
    stream_finish(&relay->server->stream);
    if (!close_when_done(relay)) connection_arm(tunnel->conn);
}

static void on_flushed(struct tunnel *tunnel)
{
    struct relay *relay = relay_of(tunnel);
    if (!relay->server_held || stream_queued(&tunnel->conn->stream) > relay->buffer / 2) return;
    relay->server_held = false;
    stream_read(&relay->server->stream, true);
}

static void on_gone(struct tunnel *tunnel)
{
    relay_close(relay_of(tunnel));
}

static uint64_t on_deadline(struct tunnel *tunnel, uint64_t now_ms)
{
    struct relay *relay = relay_of(tunnel);
    bool half = relay->client_ended || relay->server_ended;
    uint64_t limit_ms = half && relay->idle_ms > RELAY_HALF_MS ? RELAY_HALF_MS : relay->idle_ms;
    if (tunnel->paused && stream_was_reset(&tunnel->conn->stream)) {
        relay_close(relay);
        return 0;
    }
    if (tunnel->paused && relay->send_ms < limit_ms) limit_ms = relay->send_ms;
    if (relay->moved_ms < relay->server->since_ms) relay->moved_ms = relay->server->since_ms;
    uint64_t end_ms = relay->moved_ms + limit_ms, look_ms = now_ms + EXCHANGE_LOOK_MS;
    if (end_ms > now_ms) return tunnel->paused && look_ms < end_ms ? look_ms : end_ms;
    relay_close(relay);
    return 0;
}

static const struct tunnel_events events = {.received = on_received,
                                            .ended = on_ended,
                                            .flushed = on_flushed,
                                            .gone = on_gone,
                                            .stop = on_gone,
                                            .deadline = on_deadline};

void relay_received(struct relay *relay, uint8_t *bytes, size_t len)
{
    struct stream *client = &relay->tunnel.conn->stream;
    relay->moved_ms = forward_now(relay->forward);
    if (stream_put_now(client, slice_of(bytes, len)) < 0) {
        relay_close(relay);
        return;
    }
    if (stream_queued(client) < relay->buffer) return;
    relay->server_held = true;
    stream_read(&relay->server->stream, false);
}

void relay_ended(struct relay *relay)
{
    relay->server_ended = true;
    if (close_when_done(relay)) return;
    stream_finish(&relay->tunnel.conn->stream);
    connection_arm(relay->tunnel.conn);
}

void relay_failed(struct relay *relay)
{
    relay_close(relay);
}

void relay_flushed(struct relay *relay)
{
    if (close_when_done(relay)) return;
    if (relay->tunnel.paused && stream_queued(&relay->server->stream) <= relay->buffer / 2)
        tunnel_pause(&relay->tunnel, false);
}

void relay_begin(struct exchange *x, slice rest)
{
    struct wr_request *r = x->request;
    struct relay *relay = calloc(1, sizeof *relay);
    wr_request_set_user(r, NULL);
    if (!relay) {
        exchange_cancel(x);
        wr_respond_abort(r);
        return;
    }
    *relay = (struct relay){.tunnel = {.events = &events},
                            .server = x->conn,
                            .forward = x->forward,
                            .site = site_hold(x->site),
                            .group = x->group,
                            .moved_ms = forward_now(x->forward),
                            .idle_ms = x->location->tunnel_ms,
                            .send_ms = x->location->send_ms,
                            .buffer = x->location->buffer};
    x->conn->use = SERVER_RELAY;
    x->conn->relay = relay;
    x->conn = NULL; /* the server is still busy: upstream_end comes with the end of the relay */
    exchange_note(x);
    wheel_remove(&relay->forward->wheel, &relay->server->timer);
    exchange_free(x);
    intake_tunnel(r, &relay->tunnel);
    if (rest.len > 0) relay_received(relay, (uint8_t *)(uintptr_t)rest.ptr, rest.len);
}
