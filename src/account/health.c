/* GET /healthz: the process answers. GET /readyz: the database answers too. */
#include "account/state.h"

static json_t *success(void)
{
    return json_pack("{s:s}", "status", "success");
}

static void healthz(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(request, "Cache-Control", "no-store");
    wr_respond_json(request, 200, success());
}

static void ready(void *context, struct wr_request *request, int result, const struct session *session)
{
    (void)context, (void)session;
    wr_response_header(request, "Cache-Control", "no-store");
    if (result == ERR_NOT_FOUND)
        wr_respond_json(request, 200, success());
    else
        wr_respond_error(request, 503, "The database does not answer.");
}

static void readyz(struct wr_request *request, void *context)
{
    /* No session has the hash of zeros, so nothing is what is to be found. */
    static const uint8_t nothing[SESSION_HASH_BYTES];
    if (wr_stopping(wr_request_app(request)))
        wr_respond_error(request, 503, "Shutting down.");
    else
        session_look_up(context, request, nothing, ready, NULL);
}

int health_open(struct accounts *accounts)
{
    struct wr_app *app = accounts->config.app;
    return wr_route(app, "GET", "/healthz", healthz, accounts) ||
                   wr_route(app, "GET", "/readyz", readyz, accounts)
               ? ERR_MEMORY
               : OK;
}
