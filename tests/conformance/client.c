#include "client.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "judge.h"

enum {
    SETTLE_TURNS = 2, /* of the loop, in which the server accepts and reads what has arrived */
    PATIENCE_MS = 20000,
    CUTS_ALL = 1200,  /* requests up to this long are cut at each place */
    CUTS_EDGE = 64,   /* longer ones at so many places at both ends */
    CUTS_STRIDE = 61, /* and at so many bytes from each other in between, or more */
    CUTS_BETWEEN = 100,
    LEAVINGS = 12, /* places at which the client leaves, in either manner */
    GOT_BYTES_MAX = 4 * 1024 * 1024,
};

static const size_t WHOLE = SIZE_MAX, EACH_BYTE = 0, NO_CUT = SIZE_MAX - 1;

enum phase { PLAYING, PROBING, ENDING, LEAVING };

/* What is done at the cut: go on; or leave by a reset, or send no more, which the server must survive and
 * end. */
enum manner { GO_ON, RESET, HALF_CLOSE };

struct client {
    struct wr_app *app;
    const char *site;
    const struct table *table;
    struct outcome *outcomes;
    uv_idle_t idle;
    size_t index; /* the case */
    size_t cut;   /* WHOLE, EACH_BYTE, or the place */
    enum manner manner;
    struct buffer expected; /* what came when it was sent whole */

    /* one connection */
    int fd;
    enum phase phase;
    struct judge judge;
    struct buffer got;
    size_t sent;      /* bytes in all that may be cut */
    size_t sent_step; /* of this step */
    bool sending, ended, reset;
    int settle;
    uint64_t began_ms;
};

static const struct table_case *case_of(const struct client *k)
{
    return k->table->cases[k->index];
}

/* Bytes that may be cut. */
static size_t total_of(const struct table_case *c)
{
    size_t total = 0;
    for (size_t i = 0; i < c->step_count; i++) {
        if (c->steps[i].kind == STEP_SEND && !c->steps[i].whole) total += c->steps[i].bytes.len;
    }
    return total;
}

/* --- one connection --- */

static void run_begin(struct client *k)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(wr_port(k->app))};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    k->fd = socket(AF_INET, SOCK_STREAM, 0);
    int rc = connect(k->fd, (struct sockaddr *)&address, sizeof address);
    if (rc < 0) {
        perror("connect");
        abort();
    }
    setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    judge_init(&k->judge, case_of(k));
    buffer_init(&k->got, &allocator_libc, GOT_BYTES_MAX);
    k->phase = PLAYING;
    k->sent = k->sent_step = 0;
    k->sending = k->ended = k->reset = false;
    k->settle = 0;
    k->began_ms = uv_now(wr_loop(k->app));
    k->outcomes[k->index].runs++;
}

static void run_free(struct client *k)
{
    close(k->fd);
    judge_deinit(&k->judge);
    buffer_reset(&k->got);
}

static void receive(struct client *k)
{
    uint8_t bytes[16384];
    ssize_t n;
    if (k->ended) return;
    while ((n = recv(k->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buffer_put(&k->got, slice_of(bytes, (size_t)n));
    if (n == 0) k->ended = true;
    if (n < 0 && errno != EAGAIN && errno != EINTR) k->ended = k->reset = true;
}

/* False in the turns in which the server reads what was sent: on the loopback device it is there at once.
 * Where it is not, two pieces arrive as one, and nothing is lost but one cut. */
static bool settled(struct client *k)
{
    return k->settle == 0 || k->settle-- == 0;
}

/* Sends the next piece of a step; true when the step is out. */
static bool send_piece(struct client *k, const struct step *step)
{
    slice bytes = buffer_slice(&step->bytes), rest = slice_sub(bytes, k->sent_step, bytes.len);
    size_t piece = rest.len;
    if (step->whole)
        ; /* all of it */
    else if (k->cut == EACH_BYTE)
        piece = k->sent_step < CUTS_ALL || rest.len <= CUTS_ALL ? 1 : CUTS_STRIDE;
    else if (k->cut > k->sent && k->cut - k->sent < rest.len)
        piece = k->cut - k->sent;
    ssize_t n = k->ended ? (ssize_t)piece : send(k->fd, rest.ptr, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        k->reset = true;
        n = (ssize_t)piece; /* the table knows whether this may be */
    }
    if (n > 0) {
        if (!step->whole) k->sent += (size_t)n;
        k->sent_step += (size_t)n;
    }
    k->settle = SETTLE_TURNS;
    return k->sent_step == bytes.len;
}

static const char *cut_name(const struct client *k, char text[64])
{
    if (k->manner != GO_ON) {
        snprintf(text, 64, "%s after %zu bytes", k->manner == RESET ? "reset" : "half-closed", k->cut);
        return text;
    }
    if (k->cut == WHOLE) return "sent whole";
    if (k->cut == EACH_BYTE) return "sent byte by byte";
    snprintf(text, 64, "cut after %zu bytes", k->cut);
    return text;
}

static void run_next(struct client *k);

static void run_failed(struct client *k, const char *why)
{
    char text[64];
    snprintf(k->outcomes[k->index].why, sizeof k->outcomes[k->index].why, "%s: %s", cut_name(k, text), why);
    run_free(k);
    k->manner = HALF_CLOSE; /* nothing further of this case */
    k->cut = NO_CUT;
    run_next(k);
}

static void run_passed(struct client *k)
{
    slice got = buffer_slice(&k->judge.normal);
    if (k->cut == WHOLE) {
        buffer_reset(&k->expected);
        buffer_put(&k->expected, got);
    } else if (!slice_equal(got, buffer_slice(&k->expected))) {
        run_failed(k, "the answers are not those to the whole");
        return;
    }
    run_free(k);
    run_next(k);
}

/* --- the end of a case --- */

static const char probe[] = "GET / HTTP/1.1\r\nHost: probe\r\n\r\n";
static const uint8_t probe_ping[] = {0x89, 0x85, 0, 0, 0, 0, 'p', 'r', 'o', 'b', 'e'};
static const uint8_t probe_pong[] = {0x8A, 0x05, 'p', 'r', 'o', 'b', 'e'};

static void begin_ending(struct client *k)
{
    enum ending ending = case_of(k)->ending;
    ssize_t n = 1;
    k->phase = ending == END_KEEP || ending == END_OPEN ? PROBING : ENDING;
    if (ending == END_KEEP) n = send(k->fd, probe, sizeof probe - 1, MSG_NOSIGNAL);
    if (ending == END_OPEN) n = send(k->fd, probe_ping, sizeof probe_ping, MSG_NOSIGNAL);
    if (ending == END_WAITS) n = shutdown(k->fd, SHUT_WR) + 1;
    if (n <= 0) k->reset = true;
}

static bool probe_answered(slice rest)
{
    if (rest.len < 5) return false;
    return slice_starts(rest, SLICE("HTTP/1.1 200 ")) && memcmp(rest.ptr + rest.len - 5, "hello", 5) == 0;
}

static void look_probe(struct client *k, slice rest)
{
    static const slice begin = {(const uint8_t *)"HTTP/1.1 200 ", 13};
    bool socket = case_of(k)->ending == END_OPEN;
    slice want = socket ? slice_of(probe_pong, sizeof probe_pong) : begin;
    size_t n = rest.len < want.len ? rest.len : want.len;
    if (!slice_equal(slice_sub(rest, 0, n), slice_sub(want, 0, n)))
        run_failed(k, "something else came before the answer to the probe");
    else if (socket ? slice_equal(rest, want) : probe_answered(rest))
        run_passed(k);
    else if (k->ended)
        run_failed(k, "the connection did not go on");
}

static void look_ending(struct client *k, slice rest)
{
    if (rest.len > 0)
        run_failed(k, "more came than the table says");
    else if (k->reset && case_of(k)->ending != END_CLOSE_OR_RESET)
        run_failed(k, "the connection was reset");
    else if (k->ended)
        run_passed(k);
}

/* --- one turn --- */

/* The place has come at which the client leaves. */
static void leave(struct client *k)
{
    k->phase = LEAVING;
    if (k->manner == HALF_CLOSE) {
        shutdown(k->fd, SHUT_WR);
        return;
    }
    setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    run_free(k);
    run_next(k);
}

static void play(struct client *k)
{
    const struct table_case *c = case_of(k);
    if (k->manner != GO_ON && (k->sent >= k->cut || k->ended)) {
        leave(k);
        return;
    }
    if (k->sending) {
        k->sending = !send_piece(k, &c->steps[k->judge.step]);
        if (!k->sending) judge_sent(&k->judge);
        return;
    }
    switch (judge_look(&k->judge, buffer_slice(&k->got))) {
    case JUDGE_SEND:
        k->sending = true;
        k->sent_step = 0;
        break;
    case JUDGE_MORE:
        if (k->ended) run_failed(k, k->reset ? "reset before the answer" : "closed before the answer");
        break;
    case JUDGE_WRONG: run_failed(k, k->judge.why); break;
    case JUDGE_DONE: begin_ending(k); break;
    }
}

static void on_turn(uv_idle_t *idle)
{
    struct client *k = idle->data;
    receive(k);
    if (!settled(k)) return;
    slice rest = slice_sub(buffer_slice(&k->got), k->judge.at, k->got.len);
    switch (k->phase) {
    case PLAYING: play(k); break;
    case PROBING: look_probe(k, rest); break;
    case ENDING: look_ending(k, rest); break;
    case LEAVING:
        if (k->ended) {
            run_free(k);
            run_next(k);
        }
        break;
    }
    if (k->index < k->table->count && uv_now(idle->loop) - k->began_ms > PATIENCE_MS)
        run_failed(k, k->phase >= ENDING ? "the connection does not end" : "nothing more comes");
}

/* --- from run to run --- */

/* The cut after this one; NO_CUT when there is none. */
static size_t next_cut(size_t cut, size_t total)
{
    if (cut == WHOLE) return EACH_BYTE;
    if (cut >= total) return NO_CUT;
    bool all = total <= CUTS_ALL || cut < CUTS_EDGE || cut + CUTS_EDGE >= total;
    size_t stride = total / CUTS_BETWEEN > CUTS_STRIDE ? total / CUTS_BETWEEN : CUTS_STRIDE;
    cut += all ? 1 : stride;
    return cut < total ? cut : NO_CUT;
}

/* The next run of this case; false when it has had all. */
static bool next_run(struct client *k)
{
    size_t total = total_of(case_of(k));
    if (k->manner == GO_ON) {
        k->cut = next_cut(k->cut, total);
        if (k->cut != NO_CUT) return true;
    } else if (k->cut != NO_CUT && k->cut < total) {
        k->cut += total / LEAVINGS + 1;
        if (k->cut > total) k->cut = total;
        return true;
    }
    if (k->manner == HALF_CLOSE) return false;
    k->manner++;
    k->cut = 0;
    return true;
}

/* All is played: every connection must end by itself now. */
static void on_leftover(uv_idle_t *idle)
{
    struct client *k = idle->data;
    unsigned left = wr_connections(k->app);
    if (left > 0 && uv_now(idle->loop) - k->began_ms < PATIENCE_MS) return;
    if (left > 0)
        snprintf(k->outcomes[0].why, sizeof k->outcomes[0].why, "%u connections were left at the end", left);
    uv_close((uv_handle_t *)idle, NULL);
    wr_stop(k->app);
}

static void run_next(struct client *k)
{
    if (!next_run(k)) {
        k->cut = WHOLE;
        k->manner = GO_ON;
        do
            k->index++;
        while (k->index < k->table->count && strcmp(case_of(k)->site, k->site) != 0);
    }
    if (k->index < k->table->count) {
        run_begin(k);
        return;
    }
    k->began_ms = uv_now(wr_loop(k->app));
    uv_idle_stop(&k->idle);
    uv_idle_start(&k->idle, on_leftover);
}

void client_play(struct wr_app *app, const char *site, const struct table *table, struct outcome *outcomes)
{
    struct client k = {.app = app, .site = site, .table = table, .outcomes = outcomes, .cut = WHOLE};
    buffer_init(&k.expected, &allocator_libc, GOT_BYTES_MAX);
    while (k.index < table->count && strcmp(case_of(&k)->site, site) != 0)
        k.index++;
    if (k.index == table->count) return;
    uv_idle_init(wr_loop(app), &k.idle);
    k.idle.data = &k;
    uv_idle_start(&k.idle, on_turn);
    run_begin(&k);
    int rc = wr_run(app);
    assert(rc == 0);
    (void)rc;
    buffer_reset(&k.expected);
}
