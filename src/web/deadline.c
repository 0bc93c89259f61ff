/* deadline.c - how long a connection may take for what it is doing. */
#include "web/answer.h"
#include "web/body.h"
#include "web/connection.h"
#include "web/intake.h"

/* How long the state may last, counted from since_ms; 0: as long as it wants. */
static uint64_t phase_ms(const struct connection *conn)
{
    const struct settings *settings = conn->worker->settings;
    switch ((enum connection_state)conn->state) {
    case CONNECTION_HEAD: /* a TLS handshake is no idleness */
        return conn->request || stream_opening(&conn->stream) ? settings->header_timeout_ms
                                                              : settings->idle_timeout_ms;
    case CONNECTION_BODY: return body_time_ms(conn->request);
    case CONNECTION_ANSWER:
        if (conn->request->flow.events) return conn->worker->app->config.event_beat_ms;
        return conn->request->flow.begun ? 0 : settings->answer_timeout_ms;
    case CONNECTION_SKIP: return settings->body_timeout_ms;
    case CONNECTION_LINGER: return CONNECTION_LINGER_MS;
    case CONNECTION_SOCKET:
    case CONNECTION_TUNNEL:
    case CONNECTION_CLOSED: break;
    }
    return 0;
}

/* When the client has not taken a byte for too long. */
static uint64_t stalled_until(const struct connection *conn)
{
    unsigned ms = conn->worker->settings->write_timeout_ms;
    return ms ? conn->sent_ms + ms : UINT64_MAX;
}

void connection_arm(struct connection *conn)
{
    struct net_loop *loop = &conn->worker->loop;
    uint64_t deadline_ms = UINT64_MAX;
    if (conn->state == CONNECTION_CLOSED) return;
    if (conn->state == CONNECTION_SOCKET) {
        deadline_ms = socket_deadline(conn->socket, net_loop_now(loop));
        if (!deadline_ms) return; /* the socket has ended */
    } else if (conn->state == CONNECTION_TUNNEL) {
        deadline_ms = conn->tunnel->events->deadline(conn->tunnel, net_loop_now(loop));
        if (!deadline_ms) return;
    } else {
        uint64_t phase = phase_ms(conn);
        if (phase) deadline_ms = conn->since_ms + phase;
    }
    if (conn->stalled && stalled_until(conn) < deadline_ms) deadline_ms = stalled_until(conn);
    if (deadline_ms == UINT64_MAX)
        wheel_remove(&loop->wheel, &conn->timer);
    else
        net_loop_deadline(loop, &conn->timer, deadline_ms);
}

/* A client that still sends has not read the answer yet perhaps: closing now would reset the connection, and
 * the answer would be lost on its way. */
static bool lingers_on(struct connection *conn)
{
    bool on = conn->heard && ++conn->lingers < CONNECTION_LINGERS_MAX;
    conn->heard = false;
    return on;
}

/* The phase has lasted too long. */
static void phase_expired(struct connection *conn, uint64_t now_ms)
{
    switch ((enum connection_state)conn->state) {
    case CONNECTION_HEAD:
        if (conn->request)
            connection_refuse(conn, 408, "the request came too slowly");
        else if (stream_queued(&conn->stream) == 0)
            connection_cut(conn);
        else
            conn->since_ms = now_ms; /* still taking its answer: not idle */
        break;
    case CONNECTION_BODY: connection_refuse(conn, 408, "the body came too slowly"); break;
    case CONNECTION_ANSWER:
        if (conn->request->flow.events)
            events_beat(conn->request);
        else
            connection_refuse(conn, 503, "the answer took too long; try again later");
        break;
    case CONNECTION_SKIP: connection_linger(conn); break;
    case CONNECTION_LINGER:
        if (stream_queued(&conn->stream) == 0 && !lingers_on(conn))
            connection_cut(conn);
        else
            conn->since_ms = now_ms;
        break;
    case CONNECTION_SOCKET:
    case CONNECTION_TUNNEL:
    case CONNECTION_CLOSED: break;
    }
}

/* True when the client has not taken a byte for too long. */
static bool write_expired(struct connection *conn, uint64_t now_ms)
{
    if (!conn->stalled) return false;
    uint64_t sent = stream_sent(&conn->stream);
    if (sent != conn->sent_bytes) {
        conn->sent_bytes = sent;
        conn->sent_ms = now_ms;
    }
    return stalled_until(conn) <= now_ms;
}

void connection_expired(struct wheel_entry *entry)
{
    struct connection *conn = LIST_ENTRY(entry, struct connection, timer);
    uint64_t now_ms = net_loop_now(&conn->worker->loop);
    if (write_expired(conn, now_ms)) {
        connection_cut(conn);
        return;
    }
    uint64_t phase = phase_ms(conn);
    if (phase && conn->since_ms + phase <= now_ms) phase_expired(conn, now_ms);
    connection_arm(conn);
}

void connection_watch_writing(struct connection *conn)
{
    size_t queued = stream_queued(&conn->stream);
    if (queued > 0 && !conn->stalled) {
        conn->stalled = true;
        conn->sent_bytes = stream_sent(&conn->stream);
        conn->sent_ms = net_loop_now(&conn->worker->loop);
        connection_arm(conn);
    }
    if (queued == 0) conn->stalled = false;
}
