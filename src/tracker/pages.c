/* The page. */
#include "tracker/state.h"

static const char no_page[] = "weaprous "
                              "is running, but this build has no page in it.\n";

void pages_respond(struct tracker *tracker, struct wr_request *request, int status)
{
    const struct wr_asset *page = wr_asset_find(tracker->app, "/index.html");
    if (page)
        wr_respond_asset(request, status, page);
    else
        wr_respond_text(request, status, no_page);
}

static void index_found(void *context, struct wr_request *request, int result, const struct session *session)
{
    struct tracker *tracker = context;
    if (!result) {
        session_renew(tracker->accounts, request, session);
        pages_respond(tracker, request, 200);
    } else if (result == ERR_NOT_FOUND) {
        pages_respond(tracker, request, 401);
    } else {
        accounts_failed(tracker->accounts, request, result);
    }
}

static void index_page(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    session_check(tracker->accounts, request, index_found, tracker);
}

static void login_page(struct wr_request *request, void *context)
{
    pages_respond(context, request, 200);
}

int pages_open(struct tracker *tracker)
{
    static const struct {
        const char *path;
        wr_handler handler;
    } routes[] = {
        {"/", index_page},           {"/index.html", index_page},  {"/login", login_page},
        {"/login.html", login_page}, {"/register", login_page},    {"/admin", login_page},
        {"/reset", login_page},      {"/join/:token", login_page},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (wr_route(tracker->app, "GET", routes[i].path, routes[i].handler, tracker)) return ERR_MEMORY;
    }
    if (tracker->config.page && wr_assets(tracker->app, tracker->config.page, tracker->config.page_count))
        return ERR_MEMORY;
    return OK;
}
