/* Several buses on one loop, and in several processes. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "bus/bus.h"

enum { MEMBERS = 4, PATIENCE_MS = 20000 };

struct member {
    struct bus *bus;
    unsigned joined, left, drained, refused, messages;
    size_t bytes;
    uint32_t last_joined;
    uint64_t next; /* number that the next message should have */
    bool disorder;
    char why[BUS_WHY_BYTES];
};

struct world {
    uv_loop_t loop;
    char folder[256], path[300];
    struct member members[MEMBERS];
};

static void joined(void *context, uint32_t peer)
{
    struct member *m = context;
    m->joined++;
    m->last_joined = peer;
}

static void left(void *context, uint32_t peer, const char *why)
{
    (void)peer;
    struct member *m = context;
    m->left++;
    snprintf(m->why, sizeof m->why, "%s", why ? why : "goodbye");
}

static void message(void *context, uint32_t peer, slice bytes)
{
    (void)peer;
    struct member *m = context;
    uint64_t number = 0;
    m->messages++;
    m->bytes += bytes.len;
    if (bytes.len < sizeof number) return;
    memcpy(&number, bytes.ptr, sizeof number);
    m->disorder = m->disorder || number != m->next;
    m->next = number + 1;
}

static void drained(void *context, uint32_t peer)
{
    (void)peer;
    ((struct member *)context)->drained++;
}

static void refused(void *context, const char *why)
{
    struct member *m = context;
    m->refused++;
    snprintf(m->why, sizeof m->why, "%s", why);
}

static int open_as(struct world *w, unsigned i, const char *version, char why[BUS_WHY_BYTES])
{
    struct bus_options options = {.loop = &w->loop,
                                  .folder = w->path,
                                  .version = version,
                                  .handlers = {joined, left, message, drained, refused, &w->members[i]}};
    return bus_open(&options, &w->members[i].bus, why);
}

static void open_member(struct world *w, unsigned i)
{
    char why[BUS_WHY_BYTES] = "";
    if (open_as(w, i, "1.0.0", why)) fail_msg("%s", why);
}

static void close_member(struct world *w, unsigned i)
{
    bus_close(w->members[i].bus);
    w->members[i] = (struct member){0};
}

static void ring(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Runs the loop until the condition holds; fails the test after 20 s. */
#define RUN_UNTIL(w, condition)                                                                              \
    do {                                                                                                     \
        bool late = false;                                                                                   \
        uv_timer_t timer;                                                                                    \
        uv_timer_init(&(w)->loop, &timer);                                                                   \
        timer.data = &late;                                                                                  \
        uv_timer_start(&timer, ring, PATIENCE_MS, 0);                                                        \
        while (!(condition) && !late)                                                                        \
            uv_run(&(w)->loop, UV_RUN_ONCE);                                                                 \
        uv_close((uv_handle_t *)&timer, NULL);                                                               \
        uv_run(&(w)->loop, UV_RUN_NOWAIT);                                                                   \
        if (late) fail_msg("not in time: %s", #condition);                                                   \
    } while (0)

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    /* A name that no socket address has room for. */
    snprintf(w->folder, sizeof w->folder, "/tmp/weaprous-bus-%0150d-XXXXXX", 0);
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/bus", w->folder);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[400];
    for (unsigned i = 0; i < MEMBERS; i++)
        bus_close(w->members[i].bus);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static void publish(struct world *w, unsigned from, uint64_t number, size_t len)
{
    static uint8_t room[BUS_MESSAGE_BYTES_MAX];
    memcpy(room, &number, sizeof number);
    bus_publish(w->members[from].bus, slice_of(room, sizeof number),
                slice_of(room + sizeof number, len - sizeof number));
}

static void all_hear_what_one_publishes_whole_and_in_order(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 3; i++)
        open_member(w, i);
    RUN_UNTIL(w, w->members[0].joined == 2 && w->members[1].joined == 2 && w->members[2].joined == 2);
    size_t sent = 0;
    for (uint64_t i = 0; i < 200; i++) {
        size_t len = 8 + (size_t)(i * 7919 % 60000);
        if (i == 100) len = BUS_MESSAGE_BYTES_MAX;
        publish(w, 0, i, len);
        sent += len;
    }
    RUN_UNTIL(w, w->members[1].messages == 200 && w->members[2].messages == 200);
    for (unsigned i = 1; i < 3; i++) {
        assert_false(w->members[i].disorder);
        assert_int_equal(w->members[i].bytes, sent);
    }
    assert_int_equal(w->members[0].messages, 0);
}

static void one_alone_hears_what_is_sent_to_it(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 3; i++)
        open_member(w, i);
    RUN_UNTIL(w, w->members[0].joined == 2 && w->members[1].joined == 2 && w->members[2].joined == 2);
    uint32_t peer = w->members[0].last_joined;
    uint64_t id = bus_peer_id(w->members[0].bus, peer);
    unsigned receiver = id == bus_id(w->members[1].bus) ? 1 : 2;
    assert_int_equal(id, bus_id(w->members[receiver].bus));
    assert_int_equal(bus_send(w->members[0].bus, peer, SLICE("to "), SLICE("one")), OK);
    RUN_UNTIL(w, w->members[receiver].messages == 1);
    assert_int_equal(w->members[3 - receiver].messages, 0);
    assert_int_equal(bus_send(w->members[0].bus, 99, SLICE("nobody"), SLICE_EMPTY), ERR_NOT_FOUND);
    static const uint8_t large[BUS_MESSAGE_BYTES_MAX];
    assert_int_equal(bus_send(w->members[0].bus, peer, SLICE("x"), slice_of(large, sizeof large)),
                     ERR_TOO_LARGE);
}

static void who_was_dropped_comes_again(void **state)
{
    struct world *w = *state;
    open_member(w, 0);
    open_member(w, 1);
    RUN_UNTIL(w, w->members[0].joined == 1 && w->members[1].joined == 1);
    bus_drop(w->members[0].bus, w->members[0].last_joined, "for a test");
    assert_int_equal(bus_send(w->members[0].bus, w->members[0].last_joined, SLICE("x"), SLICE_EMPTY),
                     ERR_NOT_FOUND);
    assert_int_equal(w->members[0].left, 0); /* never inside a call */
    RUN_UNTIL(w, w->members[0].left == 1 && w->members[1].left == 1);
    assert_string_equal(w->members[0].why, "for a test");
    RUN_UNTIL(w, w->members[0].joined == 2 && w->members[1].joined == 2);
    assert_int_equal(w->members[0].last_joined, 2); /* another number */
    publish(w, 0, 0, 8);
    RUN_UNTIL(w, w->members[1].messages == 1);
}

static void who_ends_is_seen_to_leave(void **state)
{
    struct world *w = *state;
    open_member(w, 0);
    open_member(w, 1);
    RUN_UNTIL(w, w->members[0].joined == 1 && w->members[1].joined == 1);
    publish(w, 1, 0, 8); /* still goes out */
    close_member(w, 1);
    RUN_UNTIL(w, w->members[0].left == 1);
    assert_string_equal(w->members[0].why, "goodbye");
    assert_int_equal(w->members[0].messages, 1);
    open_member(w, 1);
    RUN_UNTIL(w, w->members[0].joined == 2);
}

/* --- a process that does not read --- */

/* Speaks as another process would, and reads only when it is told to. */
static int raw_connect(struct world *w, const char *hello_version)
{
    char command[400], name[32] = "", path[64];
    snprintf(command, sizeof command, "ls %s", w->path);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    assert_int_equal(fscanf(list, "%31s", name), 1);
    pclose(list);
    int folder = open(w->path, O_RDONLY | O_DIRECTORY);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    close(folder);
    uint8_t room[128] = "\0\0\0\0\2weaprous.bus.1\1\1\1\1\1\1\1\1\0\0\0\0\0\0\0\7";
    size_t len = 5 + 14 + 16 + strlen(hello_version);
    memcpy(room + 35, hello_version, strlen(hello_version));
    room[3] = (uint8_t)(len - 5);
    assert_int_equal(write(fd, room, len), len);
    return fd;
}

static void a_peer_that_does_not_read_fills_up_and_drains(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[0];
    static uint8_t piece[BUS_MESSAGE_BYTES_MAX];
    open_member(w, 0);
    int fd = raw_connect(w, "1.0.0");
    RUN_UNTIL(w, m->joined == 1);
    size_t sent = 0;
    int err = OK;
    while (!err && sent < 2 * (size_t)BUS_QUEUE_BYTES_MAX) {
        err = bus_send(m->bus, m->last_joined, SLICE_EMPTY, slice_of(piece, sizeof piece));
        if (!err) sent += sizeof piece;
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(err, ERR_FULL);
    assert_true(sent > BUS_QUEUE_BYTES_MAX / 2 && bus_queued(m->bus, m->last_joined) <= BUS_QUEUE_BYTES_MAX);
    assert_int_equal(m->drained, 0);
    assert_int_equal(m->left, 0);

    fcntl(fd, F_SETFL, O_NONBLOCK);
    size_t got = 0;
    for (int i = 0; i < 1000000 && !m->drained; i++) {
        ssize_t n;
        while ((n = read(fd, piece, sizeof piece)) > 0)
            got += (size_t)n;
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(m->drained, 1);
    assert_true(bus_queued(m->bus, m->last_joined) < BUS_QUEUE_BYTES_LOW);
    assert_true(got > sent - BUS_QUEUE_BYTES_LOW);

    /* What is for all may not be missed by one: the full one is dropped. */
    while (!bus_send(m->bus, m->last_joined, SLICE_EMPTY, slice_of(piece, sizeof piece)))
        uv_run(&w->loop, UV_RUN_NOWAIT);
    publish(w, 0, 0, sizeof piece);
    RUN_UNTIL(w, m->left == 1);
    close(fd);
}

static void what_is_no_frame_ends_that_connection(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[0];
    open_member(w, 0);
    int fd = raw_connect(w, "1.0.0");
    RUN_UNTIL(w, m->joined == 1);
    assert_int_equal(write(fd, "\xff\xff\xff\xff\1", 5), 5);
    RUN_UNTIL(w, m->left == 1);
    assert_non_null(strstr(m->why, "not in the agreed form"));
    close(fd);
    fd = raw_connect(w, "1.0.0"); /* the same one again */
    RUN_UNTIL(w, m->joined == 2);
    int second = raw_connect(w, "1.0.0"); /* and doubled: that is refused */
    uint8_t answer[64];
    fcntl(second, F_SETFL, O_NONBLOCK);
    ssize_t len = -1;
    RUN_UNTIL(w, (len = read(second, answer, sizeof answer)) > 0);
    assert_int_equal(answer[4], 4);
    assert_int_equal(m->joined, 2);
    assert_int_equal(m->left, 1);
    close(fd);
    close(second);
}

/* --- the folder --- */

static void another_version_is_refused_on_both_sides(void **state)
{
    struct world *w = *state;
    char why[BUS_WHY_BYTES] = "";
    open_member(w, 0);
    assert_int_equal(open_as(w, 1, "2.0.0", why), ERR_VERSION);
    assert_non_null(strstr(why, "weaprous 2.0.0"));
    assert_non_null(strstr(why, "weaprous 1.0.0"));
    assert_int_equal(w->members[0].joined, 0);
    RUN_UNTIL(w, w->members[0].refused > 0);
    assert_non_null(strstr(w->members[0].why, "weaprous 2.0.0"));
    w->members[1].bus = NULL;
    open_member(w, 2); /* the right one gets in */
    RUN_UNTIL(w, w->members[0].joined == 1);
}

static void dead_sockets_are_removed_and_modes_are_right(void **state)
{
    struct world *w = *state;
    struct stat info;
    char path[400];
    pid_t process = fork();
    assert_true(process >= 0);
    if (!process) { /* dies without a word */
        uv_loop_init(&w->loop);
        char why[BUS_WHY_BYTES];
        _exit(open_as(w, 0, "1.0.0", why) != OK);
    }
    int status;
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
    chmod(w->path, 0777);
    open_member(w, 0);
    assert_int_equal(stat(w->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/%016llx", w->path, (unsigned long long)bus_id(w->members[0].bus));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(S_ISSOCK(info.st_mode));
    snprintf(path, sizeof path, "test $(ls %s | wc -l) = 1", w->path);
    assert_int_equal(system(path), 0);
}

/* A child: opens its bus when the gate opens, publishes once all are there, and waits for what the others
 * say. */
static int be_one_of_many(struct world *w, int gate, unsigned others)
{
    char letter, why[BUS_WHY_BYTES];
    uv_loop_init(&w->loop);
    if (read(gate, &letter, 1) < 0 || open_as(w, 0, "1.0.0", why)) return 1;
    struct member *m = &w->members[0];
    RUN_UNTIL(w, m->joined == others);
    publish(w, 0, 0, 1000);
    RUN_UNTIL(w, m->messages == others);
    uint64_t end = uv_hrtime() + 1500 * (uint64_t)1000000; /* longer than they look around again */
    while (uv_hrtime() < end)
        uv_run(&w->loop, UV_RUN_ONCE);
    return m->joined != others || m->messages != others;
}

static void many_that_start_at_the_same_moment_are_each_connected_once(void **state)
{
    struct world *w = *state;
    enum { CROWD = 6 };
    pid_t processes[CROWD];
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    for (unsigned i = 0; i < CROWD; i++) {
        processes[i] = fork();
        assert_true(processes[i] >= 0);
        if (!processes[i]) {
            close(gate[1]);
            _exit(be_one_of_many(w, gate[0], CROWD - 1));
        }
    }
    close(gate[1]);
    close(gate[0]);
    for (unsigned i = 0; i < CROWD; i++) {
        int status;
        assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_WORLD(all_hear_what_one_publishes_whole_and_in_order),
        IN_WORLD(one_alone_hears_what_is_sent_to_it),
        IN_WORLD(who_was_dropped_comes_again),
        IN_WORLD(who_ends_is_seen_to_leave),
        IN_WORLD(a_peer_that_does_not_read_fills_up_and_drains),
        IN_WORLD(what_is_no_frame_ends_that_connection),
        IN_WORLD(another_version_is_refused_on_both_sides),
        IN_WORLD(dead_sockets_are_removed_and_modes_are_right),
        IN_WORLD(many_that_start_at_the_same_moment_are_each_connected_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
