/* ws-echo-client.c - sends messages of many sizes to a WebSocket server that echoes, and checks what comes
 * back: texts and bytes, without and with permessage-deflate, up to 16 MiB. `ws-echo-client URL [BYTES_MAX]`.
 * Prints a summary; the exit code is 0 when every echo was right. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weaprous/weaprous.h>

enum { LARGEST = 16 * 1024 * 1024, PATIENCE_MS = 60 * 1000 };

/* Around every border of the frame's length, of buffers, and of the compressor's window. */
static const size_t sizes[] = {0,      1,      2,       125,     126,     127,    1000,
                               4095,   4096,   32768,   65535,   65536,   65537,  70000,
                               262144, 500000, 1 << 20, 3000000, 8 << 20, LARGEST};
enum { SIZES = sizeof sizes / sizeof sizes[0], KINDS = 3, PER_ROUND = SIZES * KINDS };

struct run {
    struct wr_app *app;
    struct wr_client *client;
    struct wr_client_socket socket;
    struct wr_timer *patience;
    size_t bytes_max;
    unsigned at; /* the message under way, of PER_ROUND */
    unsigned messages;
    unsigned rounds; /* done */
    uint64_t bytes, began_ms;
    const char *trouble;
};

static uint8_t texts[LARGEST], noise[LARGEST];

static void fill(void)
{
    static const char words[] = "the quick brown fox jumps over the lazy dog and ";
    uint32_t random = 1;
    for (size_t i = 0; i < LARGEST; i++) {
        random = random * 1664525 + 1013904223;
        noise[i] = (uint8_t)(random >> 24);
        texts[i] = i % 1000 < 900 ? (uint8_t)words[i % (sizeof words - 1)] : (uint8_t)('a' + noise[i] % 26);
    }
}

static size_t size_of(const struct run *run)
{
    return sizes[run->at / KINDS];
}

static enum wr_message kind_of(const struct run *run)
{
    return run->at % KINDS == 0 ? WR_TEXT : WR_BINARY;
}

static const uint8_t *bytes_of(const struct run *run)
{
    return run->at % KINDS == 2 ? noise : texts;
}

static void finish(struct run *run, const char *trouble)
{
    if (!run->trouble) run->trouble = trouble;
    wr_stop(run->app);
}

static void send_next(struct run *run, struct wr_socket *socket)
{
    while (run->at < PER_ROUND && size_of(run) > run->bytes_max)
        run->at++;
    if (run->at == PER_ROUND)
        wr_socket_close(socket, WR_CLOSE_NORMAL, "thank you");
    else if (wr_socket_send(socket, kind_of(run), bytes_of(run), size_of(run)) < 0)
        finish(run, "a message could not be sent");
}

static void on_open(struct wr_socket *socket, void *context)
{
    send_next(context, socket);
}

static void on_patience_over(struct wr_timer *timer, void *context)
{
    (void)timer;
    ((struct run *)context)->patience = NULL;
    finish(context, "no answer came for a minute");
}

static void be_patient(struct run *run)
{
    if (run->patience) wr_timer_stop(run->patience);
    run->patience = wr_timer_start(wr_worker_at(run->app, 0), PATIENCE_MS, 0, on_patience_over, run);
}

static void on_message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                       void *context)
{
    struct run *run = context;
    if (run->at == PER_ROUND || kind != kind_of(run) || len != size_of(run) ||
        (len > 0 && memcmp(bytes, bytes_of(run), len) != 0)) {
        fprintf(stderr, "sent %zu bytes, got %zu\n", run->at < PER_ROUND ? size_of(run) : 0, len);
        finish(run, "an echo is not what was sent");
        return;
    }
    run->messages++;
    run->bytes += len;
    run->at++;
    be_patient(run);
    send_next(run, socket);
}

static void start_round(struct run *run);

static void on_close(struct wr_socket *socket, int code, const char *reason, void *context)
{
    struct run *run = context;
    (void)socket;
    if (wr_stopping(run->app)) return;
    if (code != WR_CLOSE_NORMAL || run->at < PER_ROUND) {
        fprintf(stderr, "the server closed with %d %s\n", code, reason);
        finish(run, "the connection ended too early");
    } else if (++run->rounds == 2) {
        finish(run, NULL);
    } else {
        start_round(run);
    }
}

static void on_failed(int result, int status, const char *error, void *context)
{
    fprintf(stderr, "%s (status %d, result %d)\n", error, status, result);
    finish(context, "the WebSocket could not be opened");
}

/* The first round goes without compression, the second with it, where the server agrees. */
static void start_round(struct run *run)
{
    const struct wr_socket_handlers handlers = {.open = on_open,
                                                .message = on_message,
                                                .close = on_close,
                                                .message_bytes_max = LARGEST,
                                                .queue_bytes_max = 2 * LARGEST,
                                                .compress_bytes_min = run->rounds};
    run->at = 0;
    run->socket.handlers = &handlers; /* copied by wr_client_open */
    be_patient(run);
    if (wr_client_open(run->client, &run->socket) < 0) finish(run, "this is not the URL of a WebSocket");
}

static void on_start(struct wr_worker *worker, void *context)
{
    struct run *run = context;
    run->client = wr_client_new(worker, NULL);
    run->began_ms = wr_worker_now(worker);
    if (run->client)
        start_round(run);
    else
        finish(run, "out of memory");
}

static void on_stop(struct wr_worker *worker, void *context)
{
    struct run *run = context;
    uint64_t ms = wr_worker_now(worker) - run->began_ms;
    wr_client_free(run->client);
    if (!run->trouble)
        printf("%u messages, %llu bytes, each there and back: all right, in %llu ms\n", run->messages,
               (unsigned long long)run->bytes, (unsigned long long)ms);
}

int main(int argc, char **argv)
{
    struct run run = {.bytes_max = argc > 2 ? strtoull(argv[2], NULL, 10) : LARGEST};
    if (argc < 2) {
        fputs("usage: ws-echo-client URL [BYTES_MAX]\n", stderr);
        return 2;
    }
    fill();
    run.socket = (struct wr_client_socket){.url = argv[1], .failed = on_failed, .context = &run};
    run.app = wr_app_new(NULL);
    if (!run.app || wr_on_worker(run.app, on_start, on_stop, &run) < 0 || wr_run(run.app) < 0)
        run.trouble = "out of memory";
    wr_app_free(run.app);
    if (run.trouble) fprintf(stderr, "%s\n", run.trouble);
    return run.trouble ? 1 : 0;
}
