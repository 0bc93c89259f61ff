/* weaprous.h - libweaprous: an HTTP/1.1 and WebSocket server and client for programs in C.
 *
 * An app listens and hands each request to the handler of its route. A handler answers at once or later,
 * whole or in pieces; a WebSocket is a route whose handler accepts the upgrade. The library parses strictly
 * (RFC 9112, RFC 6455), bounds everything that a client can make it hold, and answers by itself what has no
 * route.
 *
 *     static void hello(struct wr_request *request, void *context)
 *     {
 *         wr_respond_text(request, 200, "Hello, world\n");
 *     }
 *     struct wr_app *app = wr_app_new(NULL);
 *     wr_route(app, "GET", "/", hello, NULL);
 *     if (wr_listen(app, "127.0.0.1", 8080, NULL) != 0) fputs(wr_app_error(app), stderr);
 *     else wr_run(app);
 *     wr_app_free(app);
 *
 * Thread: an app has one worker (event loop) unless config.workers says more. Each request, socket, timer and
 * client belongs to one worker; its callbacks run on that worker's thread, and its functions are for that
 * thread only. The app is set up (routes, listeners, filters) before wr_run. wr_stop, wr_worker_post,
 * wr_publish, wr_log and what says so may be called from anywhere; wr_stop also in a signal handler. Work
 * that blocks belongs into wr_offload.
 *
 * Memory: arguments are copied unless the comment says borrows or takes. Pointers that a request gives out
 * live until it is answered; those that a callback gets, until it returns.
 *
 * Time: milliseconds, monotonic.
 *
 * Errors: int results are 0 or a negative enum wr_result. Answering never fails: what cannot be sent (the
 * client has gone, memory is short) closes the connection.
 *
 * Calls: handlers may call every function except wr_run and wr_app_free. */
#ifndef WEAPROUS_WEAPROUS_H
#define WEAPROUS_WEAPROUS_H

#include "weaprous/app.h"
#include "weaprous/client.h"
#include "weaprous/files.h"
#include "weaprous/json.h"
#include "weaprous/log.h"
#include "weaprous/request.h"
#include "weaprous/response.h"
#include "weaprous/route.h"
#include "weaprous/session.h"
#include "weaprous/socket.h"
#include "weaprous/tls.h"
#include "weaprous/types.h"

#endif
