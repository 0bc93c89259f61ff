/* dispatch.c - from a complete head to what answers: the route, its filters, its handler; or the library. */
#include "web/answer.h"
#include "web/body.h"
#include "web/connection.h"
#include "web/proxy.h"

static void bad_escape(struct wr_request *r)
{
    wr_respond_error(r, 400, "the address has a bad percent escape");
}

static bool take_params(struct wr_request *r, const struct router_match *match)
{
    r->param_names = (const char *const *)match->route->params;
    for (size_t i = 0; i < match->route->param_count; i++) {
        r->params[i] = request_path_decoded(r, match->values[i]);
        if (!r->params[i]) return false;
    }
    r->param_count = match->route->param_count;
    return true;
}

static slice trimmed_path(const struct wr_request *r)
{
    slice path = slice_text(r->path);
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* False: a parameter has a bad escape. */
static bool match_route(struct wr_request *r, slice path)
{
    struct router_match match;
    router_find(&r->app->router, request_method(r), path, &match);
    r->group = &r->app->root;
    if (match.route) {
        r->target = match.route->target;
        r->group = r->target->group;
        return take_params(r, &match);
    }
    r->others = match.others;
    if (r->others) r->group = ((const struct target *)r->others->target)->group;
    return true;
}

/* "OPTIONS *" asks about the server as a whole (RFC 9110 9.3.7). */
static void respond_server_options(struct wr_request *r)
{
    slice routed = buffer_slice(&r->app->methods);
    struct buffer allow;
    buffer_init(&allow, &allocator_libc, APP_METHODS_BYTES_MAX + 32);
    buffer_text(&allow, "OPTIONS");
    if (routed.len > 0) buffer_text(&allow, ", ");
    buffer_put(&allow, routed);
    buffer_byte(&allow, 0);
    if (allow.failed)
        r->bad_fields = true;
    else
        wr_response_header(r, "Allow", (const char *)allow.ptr);
    buffer_reset(&allow);
    wr_respond_empty(r, 204);
}

static void respond_unrouted(struct wr_request *r)
{
    slice method = request_method(r);
    if (slice_equal(slice_text(r->path), SLICE("*"))) {
        respond_server_options(r);
        return;
    }
    const struct wr_asset *asset = app_asset_find(r->app, trimmed_path(r));
    if (asset && (slice_equal(method, SLICE("GET")) || r->head_only))
        asset_respond(r, 200, asset);
    else if (!app_knows_method(r->app, method))
        wr_respond_error(r, 501, "this method is not known here"); /* RFC 9110 9.1 */
    else if (asset || r->others)
        respond_other_method(r, r->others, asset != NULL);
    else
        respond_missing(r);
}

/* The filters have let it pass. */
static void go_on(struct wr_request *r)
{
    if (!r->target)
        respond_unrouted(r);
    else if (r->target->is_socket)
        socket_upgrade(r);
    else if (r->body_done && !r->target->is_body)
        r->target->handler(r, r->target->context);
    else
        body_begin(r);
}

void request_begin(struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    slice path = request_span(r, head->path);
    r->dispatched = true;
    r->body_done =
        head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && head->content_length == 0);
    if (head->body == HTTP_BODY_CHUNKED) {
        http_chunked_init(&r->chunked, UINT64_MAX);
        body_keep_trailers(r);
    }
    if (r->body_done) r->continue_due = false;
    r->path = request_path_decoded(r, path);
    if (r->app->intake) {
        r->target = r->app->intake;
        r->group = &r->app->root;
    }
    if (!r->path || (!r->target && !match_route(r, path))) {
        bad_escape(r);
        return;
    }
    if ((r->conn->proxied || r->conn->https_port) && proxies_answer(r))
        return; /* a proxy may speak https for us */
    if (head->scheme == HTTP_SCHEME_HTTPS && !r->secure) {
        wr_respond_error(r, 421, "https is not spoken on this connection"); /* RFC 9110 7.4 */
        return;
    }
    if (group_before(r)) go_on(r);
}

void wr_request_continue(struct wr_request *r)
{
    struct connection *conn = r->conn;
    if (r->filter == FILTER_CALLED) { /* by the filter itself, which will return false */
        r->filter = FILTER_NONE;
        return;
    }
    if (r->filter != FILTER_WAITS) {
        app_log(r->app, WR_LOG_ERROR,
                "wr_request_continue was called for a request that waits for no filter");
        return;
    }
    r->filter = FILTER_NONE;
    if (!conn) {
        request_release(r);
        return;
    }
    if (group_before(r)) go_on(r);
    connection_resume(conn);
}
