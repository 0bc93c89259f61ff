/* events.c - server-sent events: an answer in pieces without an end. */
#include "http/response.h"
#include "web/answer.h"
#include "web/connection.h"

static bool has_line_end(slice text)
{
    return slice_find(text, '\n') < text.len || slice_find(text, '\r') < text.len;
}

/* The connection goes without the request; the program is told when `tell` is true. */
static void leave(struct wr_request *r, bool tell)
{
    struct connection *conn = r->conn;
    bool whole = pieces_put_end(r) == OK;
    answer_detach(r);
    if (whole)
        connection_linger(conn);
    else
        connection_cut(conn);
    if (tell) request_lost(r);
}

int wr_respond_events(struct wr_request *r)
{
    wr_response_header(r, "Cache-Control", "no-store");
    wr_response_header(r, "X-Accel-Buffering", "no");
    int rc = wr_respond_begin(r, 200, "text/event-stream", -1);
    if (rc < 0) return rc;
    /* HEAD has got all that it wants. When the server stops, an empty stream makes the browser come again,
     * where an error would make it give up. */
    if (!answer_has_body(r) || wr_stopping(r->app)) {
        leave(r, false);
        return WR_CLOSED;
    }
    r->flow.events = true;
    r->conn->since_ms = net_loop_now(&r->worker->loop);
    connection_arm(r->conn);
    if (r->conn->ended) connection_resume(r->conn); /* it has half-closed already: it has gone */
    return WR_OK;
}

/* Takes the next line off; lines end with LF, CR or CR LF. */
static bool next_line(slice *rest, slice *out)
{
    if (!rest->ptr) return false;
    size_t end = 0;
    while (end < rest->len && rest->ptr[end] != '\n' && rest->ptr[end] != '\r')
        end++;
    *out = slice_sub(*rest, 0, end);
    if (end == rest->len) {
        *rest = SLICE_EMPTY;
        return true;
    }
    bool pair = rest->ptr[end] == '\r' && end + 1 < rest->len && rest->ptr[end + 1] == '\n';
    *rest = slice_sub(*rest, end + (pair ? 2 : 1), rest->len);
    return true;
}

static void write_field(struct writer *w, slice name, slice value)
{
    writer_put(w, name);
    writer_put(w, SLICE(": "));
    writer_put(w, value);
    writer_byte(w, '\n');
}

static size_t field_size(slice name, slice value)
{
    return name.len + 2 + value.len + 1;
}

struct event {
    slice name, id, data;
    bool has_name, has_id;
};

static size_t event_size(const struct event *e)
{
    size_t size = 1;
    slice rest = e->data, line;
    if (e->has_id) size += field_size(SLICE("id"), e->id);
    if (e->has_name) size += field_size(SLICE("event"), e->name);
    while (next_line(&rest, &line))
        size += field_size(SLICE("data"), line);
    return size;
}

static void event_write(struct writer *w, const struct event *e)
{
    slice rest = e->data, line;
    if (e->has_id) write_field(w, SLICE("id"), e->id);
    if (e->has_name) write_field(w, SLICE("event"), e->name);
    while (next_line(&rest, &line))
        write_field(w, SLICE("data"), line);
    writer_byte(w, '\n');
}

int64_t wr_event_send(struct wr_request *r, const char *event, const char *id, const char *data)
{
    struct event e = {.name = slice_text(event),
                      .id = slice_text(id),
                      .data = slice_text(data),
                      .has_name = event,
                      .has_id = id};
    if (has_line_end(e.name) || has_line_end(e.id)) return WR_INVALID;
    uint8_t *room;
    size_t size = event_size(&e);
    int64_t rc = pieces_room(r, size, &room);
    if (!room) return rc;
    struct writer w = writer_of(room, size);
    event_write(&w, &e);
    r->conn->since_ms = net_loop_now(&r->worker->loop);
    return pieces_filled(r);
}

const char *wr_request_last_event(struct wr_request *r)
{
    return wr_request_header(r, "Last-Event-ID");
}

void events_beat(struct wr_request *r)
{
    r->conn->since_ms = net_loop_now(&r->worker->loop);
    /* Who has not taken what was sent before is watched by the write timeout. */
    if (stream_queued(&r->conn->stream) == 0) (void)wr_respond_write(r, ":\n\n", 3);
}

void events_stop(struct wr_request *r)
{
    leave(r, true);
}
