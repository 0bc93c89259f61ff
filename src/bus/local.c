/* The local engine: who is there, and who is a peer.
 *
 * Each process listens on FOLDER/<its id>; at the start, and every second, it connects to the files that it
 * does not know. A file whose process has died refuses connections and is removed. A socket gets its name
 * only when it listens, so one that refuses is always dead.
 *
 * Two processes may connect to each other at the same moment. Whoever is asked then refuses when its own id
 * is the smaller one, and else leaves its own attempt: so both keep the same one of the two. */
#include "bus/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    OPENING_TICKS = 2,
    PING_AFTER_S = 2,
    BACKLOG = 64,
    ID_DIGITS = 16,
    VERSION_BYTES_MAX = 64
};
static const char mark[] = "weaprous.bus.1";

/* --- the handles --- */

void bus_release(struct bus *bus)
{
    if (--bus->handles) return;
    if (bus->folder >= 0) close(bus->folder);
    free(bus);
}

static void handle_closed(uv_handle_t *handle)
{
    bus_release(handle->data);
}

static void flush_all(uv_prepare_t *prepare)
{
    struct bus *bus = prepare->data;
    uv_prepare_stop(prepare);
    for (struct line *c = bus->lines; c; c = c->next) {
        if (c->held && !bus->opening && c->phase == LINE_JOINED) {
            bus->options.handlers.joined(bus->options.handlers.context, c->number);
            line_resume(c);
        }
        line_flush(c);
    }
}

void bus_wants_flush(struct bus *bus)
{
    if (!bus->closing) uv_prepare_start(&bus->flush, flush_all);
}

/* --- names --- */

/* A socket's name may be 107 bytes long, a folder's name is often longer; so it is reached by its descriptor.
 */
static void path_of(const struct bus *bus, const char *name, char out[64])
{
    snprintf(out, 64, "/proc/self/fd/%d/%s", bus->folder, name);
}

static uint64_t id_of_name(const char *name)
{
    char *end;
    if (strlen(name) != ID_DIGITS || strspn(name, "0123456789abcdef") != ID_DIGITS) return 0;
    return strtoull(name, &end, 16);
}

static void name_of_id(uint64_t id, char out[20])
{
    snprintf(out, 20, "%016" PRIx64, id);
}

/* --- the handshake --- */

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | p[i];
    return value;
}

static void say_hello(struct line *line, enum frame_kind kind)
{
    uint8_t head[sizeof mark - 1 + 16];
    struct bus *bus = line->bus;
    memcpy(head, mark, sizeof mark - 1);
    put_u64(head + sizeof mark - 1, bus->id);
    put_u64(head + sizeof mark + 7, (uint64_t)getpid());
    if (line_put(line, kind, slice_of(head, sizeof head), slice_text(bus->options.version)))
        line_close(line, "it could not be greeted");
}

/* Answers, and leaves the closing to the other side, so that the answer arrives. */
static void refuse(struct line *line, enum refusal refusal, const char *words)
{
    uint8_t code = (uint8_t)refusal;
    if (line_put(line, FRAME_REFUSED, slice_of(&code, 1), slice_text(words)))
        line_close(line, "it could not be refused");
    if (refusal != REFUSAL_DOUBLE && !line->bus->opening)
        line->bus->options.handlers.refused(line->bus->options.handlers.context, words);
}

static void join(struct line *line)
{
    struct bus *bus = line->bus;
    line->phase = LINE_JOINED;
    line->number = ++bus->last_number;
    line->held = bus->opening;
    if (line->held)
        uv_read_stop((uv_stream_t *)&line->pipe);
    else
        bus->options.handlers.joined(bus->options.handlers.context, line->number);
}

static size_t peer_count(const struct bus *bus)
{
    size_t count = 0;
    for (const struct line *c = bus->lines; c; c = c->next)
        count += c->phase == LINE_JOINED;
    return count;
}

/* Another connection with the same process that stands in the way of this one; NULL: none. */
static struct line *other_with(struct line *line, uint64_t id)
{
    for (struct line *c = line->bus->lines; c; c = c->next) {
        if (c != line && c->id == id && c->phase != LINE_CLOSING) return c;
    }
    return NULL;
}

static void asked_in(struct line *line, uint64_t id)
{
    struct bus *bus = line->bus;
    struct line *other = other_with(line, id);
    bool own_attempt = other && other->initiator && other->phase != LINE_JOINED;
    if (id == bus->id || (other && !(own_attempt && bus->id > id))) {
        refuse(line, REFUSAL_DOUBLE, "");
        return;
    }
    if (peer_count(bus) >= BUS_PEERS_MAX) {
        refuse(line, REFUSAL_FULL, "Too many processes share this data folder.");
        return;
    }
    if (other) line_close(other, "the other process was first");
    line->id = id;
    say_hello(line, FRAME_WELCOME);
    if (line->phase == LINE_GREETING) join(line);
}

static void greeted(struct line *line, enum frame_kind kind, slice bytes)
{
    struct bus *bus = line->bus;
    size_t head = sizeof mark - 1 + 16;
    if (line->phase != LINE_GREETING || line->initiator != (kind == FRAME_WELCOME) || bytes.len < head ||
        bytes.len > head + VERSION_BYTES_MAX || !slice_starts(bytes, slice_text(mark))) {
        line_close(line, "its greeting is not in the agreed form");
        return;
    }
    uint64_t id = get_u64(bytes.ptr + sizeof mark - 1), process = get_u64(bytes.ptr + sizeof mark + 7);
    slice version = slice_sub(bytes, head, bytes.len);
    if (!slice_equal(version, slice_text(bus->options.version))) {
        char words[BUS_WHY_BYTES];
        snprintf(words, sizeof words,
                 "Process %" PRIu64
                 " is weaprous %.*s and process %ld is weaprous %s: processes that share a data"
                 " folder must be of the same version.",
                 process, (int)version.len, (const char *)version.ptr, (long)getpid(), bus->options.version);
        refuse(line, REFUSAL_VERSION, words);
    } else if (kind == FRAME_HELLO) {
        asked_in(line, id);
    } else if (id != line->id) {
        line_close(line, "it is not the one that it was taken for");
    } else {
        join(line);
    }
}

static void was_refused(struct line *line, slice bytes)
{
    struct bus *bus = line->bus;
    enum refusal refusal = bytes.len ? bytes.ptr[0] : 0;
    slice words = slice_sub(bytes, 1, BUS_WHY_BYTES - 1);
    if (refusal != REFUSAL_DOUBLE) {
        bus->turned_away = refusal == REFUSAL_VERSION ? ERR_VERSION : ERR_FULL;
        snprintf(bus->why, sizeof bus->why, "%.*s", (int)words.len, (const char *)words.ptr);
        if (!bus->opening) bus->options.handlers.refused(bus->options.handlers.context, bus->why);
    }
    line_close(line, "it refused");
}

void line_frame(struct line *line, enum frame_kind kind, slice bytes)
{
    switch (kind) {
    case FRAME_HELLO:
    case FRAME_WELCOME: greeted(line, kind, bytes); break;
    case FRAME_REFUSED: was_refused(line, bytes); break;
    case FRAME_PING: break;
    case FRAME_LEAVE: line->said_goodbye = true; break;
    default: line_close(line, "it sent something that is not in the agreed form");
    }
}

void line_closed(struct line *line)
{
    struct bus *bus = line->bus;
    if (line->was_joined && !bus->closing)
        bus->options.handlers.left(bus->options.handlers.context, line->number,
                                   line->said_goodbye ? NULL : line->why);
}

/* --- finding the others --- */

/* Only this user's processes, whatever became of the folder's mode. */
static bool is_own_user(const struct line *line)
{
    uv_os_fd_t fd;
    struct ucred who;
    socklen_t len = sizeof who;
    return !uv_fileno((const uv_handle_t *)&line->pipe, &fd) &&
           !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) && who.uid == geteuid();
}

static void connected(uv_connect_t *request, int status)
{
    struct line *line = request->handle->data;
    if (line->phase == LINE_CLOSING) return;
    if (status == UV_ECONNREFUSED) { /* its process has died */
        char name[20];
        name_of_id(line->id, name);
        unlinkat(line->bus->folder, name, 0);
    }
    if (status) {
        line_close(line, "%s", uv_strerror(status));
    } else if (!is_own_user(line)) {
        line_close(line, "it belongs to another user");
    } else {
        line_start(line);
        if (line->phase == LINE_GREETING) say_hello(line, FRAME_HELLO);
    }
}

static void connect_to(struct bus *bus, const char *name, uint64_t id)
{
    char path[64];
    struct line *line = line_new(bus, true);
    if (!line) return; /* tried again in a second */
    line->id = id;
    path_of(bus, name, path);
    uv_pipe_connect(&line->connecting, &line->pipe, path, connected);
}

static bool is_known(const struct bus *bus, uint64_t id)
{
    for (const struct line *c = bus->lines; c; c = c->next) {
        if (c->id == id) return true;
    }
    return id == bus->id;
}

static void look_around(struct bus *bus)
{
    int fd = openat(bus->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        if (fd >= 0) close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(listing))) {
        uint64_t id = id_of_name(entry->d_name);
        if (id && !is_known(bus, id)) connect_to(bus, entry->d_name, id);
    }
    closedir(listing);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct bus *bus = listener->data;
    struct line *line = status ? NULL : line_new(bus, false);
    if (!line) return;
    if (uv_accept(listener, (uv_stream_t *)&line->pipe))
        line_close(line, "it could not be accepted");
    else if (!is_own_user(line))
        line_close(line, "it belongs to another user");
    else
        line_start(line);
}

static const char ping_empty[1];

static void tick(uv_timer_t *timer)
{
    struct bus *bus = timer->data;
    bus->ticks++;
    for (struct line *c = bus->lines; c; c = c->next) {
        if (c->phase == LINE_CLOSING) continue;
        /* Seconds in which this process was running: after a pause the others are heard first. */
        if (++c->silent_s > BUS_SILENCE_S)
            line_close(c, "it has said nothing for %d s", BUS_SILENCE_S);
        else if (c->phase == LINE_JOINED && ++c->idle_s >= PING_AFTER_S && !line_queued(c))
            (void)!line_put(c, FRAME_PING, slice_of(ping_empty, 0), SLICE_EMPTY);
    }
    look_around(bus);
}

/* --- opening and closing --- */

static int system_error(int system)
{
    if (system == EACCES || system == EPERM || system == EROFS) return ERR_DENIED;
    return system == ENOSPC || system == EDQUOT ? ERR_DISK_FULL : ERR_IO;
}

static int open_folder(struct bus *bus)
{
    struct stat info;
    if (mkdir(bus->options.folder, 0700) && errno != EEXIST) return system_error(errno);
    bus->folder = open(bus->options.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (bus->folder < 0 || fstat(bus->folder, &info)) return system_error(errno);
    if (info.st_uid != geteuid()) return ERR_DENIED;
    return fchmod(bus->folder, 0700) ? system_error(errno) : OK;
}

/* Under another name until it listens: see above. */
static int open_listener(struct bus *bus)
{
    char unfinished[24], path[64];
    name_of_id(bus->id, bus->name);
    snprintf(unfinished, sizeof unfinished, "%s.new", bus->name);
    path_of(bus, unfinished, path);
    int status = uv_pipe_bind(&bus->listener, path);
    if (!status && fchmodat(bus->folder, unfinished, 0600, 0)) status = -errno;
    if (!status) status = uv_listen((uv_stream_t *)&bus->listener, BACKLOG, on_connection);
    if (!status && renameat(bus->folder, unfinished, bus->folder, bus->name)) status = -errno;
    bus->bound = !status;
    return status ? system_error(-status) : OK;
}

static bool is_settled(const struct bus *bus)
{
    for (const struct line *c = bus->lines; c; c = c->next) {
        if (c->phase != LINE_JOINED) return false;
    }
    return true;
}

static void shake_hands(struct bus *bus)
{
    bus->opening = true;
    look_around(bus);
    while (!is_settled(bus) && bus->ticks < OPENING_TICKS && !bus->turned_away)
        uv_run(bus->options.loop, UV_RUN_ONCE);
    bus->opening = false;
    bus_wants_flush(bus); /* and the news of who is there */
}

int bus_open(const struct bus_options *options, struct bus **out_bus, char why[BUS_WHY_BYTES])
{
    struct bus *bus = calloc(1, sizeof *bus);
    snprintf(why, BUS_WHY_BYTES, "There is not enough memory.");
    if (!bus) return ERR_MEMORY;
    bus->options = *options;
    bus->folder = -1;
    uv_pipe_init(options->loop, &bus->listener, 0);
    uv_timer_init(options->loop, &bus->tick);
    uv_prepare_init(options->loop, &bus->flush);
    bus->listener.data = bus->tick.data = bus->flush.data = bus;
    bus->handles = 3;

    int err = getentropy(&bus->id, sizeof bus->id) ? ERR_IO : OK;
    bus->id |= !bus->id;
    if (!err) err = open_folder(bus);
    if (!err) err = open_listener(bus);
    if (!err) {
        uv_timer_start(&bus->tick, tick, TICK_MS, TICK_MS);
        shake_hands(bus);
        err = bus->turned_away;
    }
    if (bus->turned_away)
        snprintf(why, BUS_WHY_BYTES, "%s", bus->why);
    else if (err)
        snprintf(why, BUS_WHY_BYTES,
                 "The folder %s, where processes that share the data meet, cannot be used: %s.",
                 options->folder, err_text(err));
    if (err) {
        bus_close(bus);
        return err;
    }
    *out_bus = bus;
    return OK;
}

void bus_close(struct bus *bus)
{
    if (!bus) return;
    for (struct line *c = bus->lines; c; c = c->next) {
        if (c->phase == LINE_JOINED && !line_put(c, FRAME_LEAVE, SLICE_EMPTY, SLICE_EMPTY))
            line_write_rest(c);
    }
    bus->closing = true;
    if (bus->bound) unlinkat(bus->folder, bus->name, 0);
    for (struct line *c = bus->lines; c; c = c->next)
        line_close(c, "this process ends");
    uv_close((uv_handle_t *)&bus->listener, handle_closed);
    uv_close((uv_handle_t *)&bus->tick, handle_closed);
    uv_close((uv_handle_t *)&bus->flush, handle_closed);
}

/* --- messages --- */

static struct line *peer_of(const struct bus *bus, uint32_t peer)
{
    struct line *c = bus->lines;
    while (c && (c->phase != LINE_JOINED || c->number != peer))
        c = c->next;
    return c;
}

void bus_publish(struct bus *bus, slice head, slice body)
{
    for (struct line *c = bus->lines; c; c = c->next) {
        if (c->phase != LINE_JOINED) continue;
        int err = line_put(c, FRAME_MESSAGE, head, body);
        if (err) line_close(c, "what was sent to it was not taken: %s", err_text(err));
    }
}

int bus_send(struct bus *bus, uint32_t peer, slice head, slice body)
{
    struct line *line = peer_of(bus, peer);
    return line ? line_put(line, FRAME_MESSAGE, head, body) : ERR_NOT_FOUND;
}

size_t bus_queued(const struct bus *bus, uint32_t peer)
{
    const struct line *line = peer_of(bus, peer);
    return line ? line_queued(line) : 0;
}

void bus_drop(struct bus *bus, uint32_t peer, const char *why)
{
    struct line *line = peer_of(bus, peer);
    if (line) line_close(line, "%s", why);
}

uint64_t bus_id(const struct bus *bus)
{
    return bus->id;
}

uint64_t bus_peer_id(const struct bus *bus, uint32_t peer)
{
    const struct line *line = peer_of(bus, peer);
    return line ? line->id : 0;
}
