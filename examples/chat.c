/* chat.c - chat over WebSocket on all cores: http://127.0.0.1:8080/kitchen is a room. `chat [IP [PORT]]` */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weaprous/weaprous.h>

static char page[] =
    "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>Chat</title><style>"
    "html{color-scheme:light dark;font:1rem system-ui;overflow-wrap:anywhere}input{font:inherit;width:80%}"
    "</style><link rel=icon href=data:,><form><input autofocus></form><script>"
    "const socket = new WebSocket(location.href.replace(/^http/, 'ws') + '/socket')\n"
    "socket.onmessage = e => document.body.appendChild(document.createElement('p')).textContent = e.data\n"
    "document.forms[0].onsubmit = e => (socket.send(e.target[0].value), e.target.reset(), false)</script>";
static struct wr_app *app;

static void show(struct wr_request *request, void *html)
{
    wr_respond_bytes(request, 200, "text/html; charset=utf-8", html, strlen(html));
}
static void enter(struct wr_request *request, void *context)
{
    (void)context;
    char *room = wr_request_same_origin(request) ? strdup(wr_request_param(request, "room")) : NULL;
    if (!room)
        wr_respond_error(request, 403, NULL);
    else if (wr_socket_accept(request, room) < 0)
        free(room);
}
static void entered(struct wr_socket *socket, void *context)
{
    (void)context;
    if (wr_subscribe(socket, wr_socket_user(socket)) < 0) wr_socket_close(socket, WR_CLOSE_POLICY, NULL);
}
static void said(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    if (wr_publish(context, wr_socket_user(socket), kind, bytes, len, NULL) < 0) puts("out of memory");
}
static void left(struct wr_socket *socket, int code, const char *reason, void *context)
{
    (void)code, (void)reason, (void)context, free(wr_socket_user(socket));
}
static void stop(int number)
{
    (void)number, wr_stop(app);
}
int main(int argc, char **argv)
{
    struct wr_socket_handlers room = {.upgrade = enter, .open = entered, .message = said, .close = left};
    const char *ip = argc > 1 ? argv[1] : "127.0.0.1";
    struct wr_config config;
    wr_config_init(&config), config.workers = 0; /* one for each core */
    if (!(app = wr_app_new(&config)) || wr_route(app, "GET", "/:room", show, page) < 0 ||
        wr_websocket(app, "/:room/socket", &room, app) < 0 ||
        wr_listen(app, ip, (uint16_t)(argc > 2 ? atoi(argv[2]) : 8080), NULL) < 0)
        return fprintf(stderr, "%s\n", app ? wr_app_error(app) : "out of memory"), 1;
    signal(SIGINT, stop), signal(SIGTERM, stop);
    printf("http://%s:%u/lobby\n", ip, wr_port(app)), fflush(stdout);
    return wr_run(app), wr_app_free(app), 0;
}
