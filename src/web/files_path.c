#include "web/files_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TRIES = 8 }; /* the kernel gives EAGAIN when folders are moved while it resolves ".." in a link */

static int flags_of(enum folder_open how)
{
    switch (how) {
    case FOLDER_LOOK: return O_PATH | O_CLOEXEC;
    case FOLDER_READ: return O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    case FOLDER_LIST: return O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    }
    return O_PATH | O_CLOEXEC;
}

static int err_of(int number)
{
    switch (number) {
    case EACCES:
    case EPERM: return ERR_DENIED;
    case EMFILE:
    case ENFILE: return ERR_FULL;
    case ENOMEM: return ERR_MEMORY;
    case EIO:
    case EAGAIN:
    case EOVERFLOW: return ERR_IO;
    default: return ERR_NOT_FOUND; /* ENOENT, ENOTDIR, ELOOP, EXDEV, ENAMETOOLONG, ENXIO (a socket)... */
    }
}

/* --- by the kernel --- */

static int resolve(int dir, const char *path, int flags, bool follow_links)
{
    struct open_how how = {.flags = (unsigned)flags,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                                      (follow_links ? 0u : (unsigned)RESOLVE_NO_SYMLINKS)};
    long fd = -1;
    for (int i = 0; i < TRIES; i++) {
        fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
    return (int)fd;
}

/* --- by walking --- */

struct walk {
    int folders[FOLDER_DEPTH_MAX]; /* those on the way; the first is not ours */
    int depth;
    int links;
    char rest[2 * FOLDER_PATH_BYTES_MAX]; /* what is still to be resolved */
};

static int failed(int number)
{
    errno = number;
    return -1;
}

static void leave(struct walk *w)
{
    int number = errno;
    close(w->folders[--w->depth]);
    errno = number;
}

/* Takes the next component off the rest, copied into `name`; the rest begins after its slashes. One at the
 * end asks for a folder: a "." does the same. */
static void next_component(struct walk *w, char name[NAME_MAX + 2])
{
    size_t len = strcspn(w->rest, "/"), after = len + strspn(w->rest + len, "/");
    size_t kept = len > NAME_MAX ? NAME_MAX + 1 : len; /* too long a name stays too long */
    memcpy(name, w->rest, kept);
    name[kept] = 0;
    memmove(w->rest, w->rest + after, strlen(w->rest + after) + 1);
    if (after > len && w->rest[0] == 0) memcpy(w->rest, ".", 2);
}

/* Puts the target of the link before the rest. */
static int follow(struct walk *w, int link)
{
    char target[FOLDER_PATH_BYTES_MAX];
    if (++w->links > FOLDER_LINKS_MAX) return failed(ELOOP);
    ssize_t n = readlinkat(link, "", target, sizeof target);
    if (n < 0) return -1;
    size_t len = (size_t)n, rest = strlen(w->rest);
    if (len == 0 || target[0] == '/') return failed(EXDEV);
    if (len == sizeof target || len + 1 + rest >= sizeof w->rest) return failed(ENAMETOOLONG);
    memmove(w->rest + len + 1, w->rest, rest + 1);
    memcpy(w->rest, target, len);
    w->rest[len] = rest ? '/' : 0;
    return 0;
}

/* One component that is no "." or ".."; -1 with errno, -2 to go on, or the descriptor. */
static int step(struct walk *w, const char *name, int flags, bool follow_links)
{
    int top = w->folders[w->depth - 1];
    int fd = openat(top, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = -1;
    struct stat st;
    if (fd < 0) return -1;
    if (fstat(fd, &st) < 0) goto out;
    if (S_ISLNK(st.st_mode)) {
        rc = !follow_links ? failed(ELOOP) : follow(w, fd) < 0 ? -1 : -2;
    } else if (w->rest[0] == 0) {
        rc = flags & O_PATH ? dup(fd) : openat(top, name, flags | O_NOFOLLOW);
        if (rc >= 0) fcntl(rc, F_SETFD, FD_CLOEXEC);
    } else if (!S_ISDIR(st.st_mode)) {
        rc = failed(ENOTDIR);
    } else if (w->depth == FOLDER_DEPTH_MAX) {
        rc = failed(ENAMETOOLONG);
    } else {
        w->folders[w->depth++] = fd;
        return -2;
    }
out:;
    int number = errno;
    close(fd);
    errno = number;
    return rc;
}

/* The path led back to a folder that is open already. */
static int reopen(const struct walk *w, int flags)
{
    return openat(w->folders[w->depth - 1], ".", flags);
}

static int walk(int dir, const char *path, int flags, bool follow_links)
{
    struct walk w = {.folders = {dir}, .depth = 1};
    char name[NAME_MAX + 2];
    int fd = -2;
    memcpy(w.rest, path, strlen(path) + 1);
    while (fd == -2) {
        next_component(&w, name);
        if (name[0] == 0 && w.rest[0] == 0)
            fd = reopen(&w, flags);
        else if (name[0] == 0) /* an absolute path */
            fd = failed(EXDEV);
        else if (strcmp(name, ".") == 0)
            continue;
        else if (strcmp(name, "..") != 0)
            fd = step(&w, name, flags, follow_links);
        else if (w.depth == 1)
            fd = failed(EXDEV);
        else
            leave(&w);
    }
    while (w.depth > 1)
        leave(&w);
    return fd;
}

/* --- both --- */

/* Whether openat2 is there and allowed. */
static bool kernel_resolves(int dir)
{
    int fd = resolve(dir, ".", O_PATH | O_CLOEXEC, true);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

int folder_init(struct folder *folder, const char *path, bool follow_links)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_of(errno);
    *folder = (struct folder){.fd = fd, .follow_links = follow_links, .walks = !kernel_resolves(fd)};
    return OK;
}

void folder_deinit(struct folder *folder)
{
    if (folder->fd >= 0) close(folder->fd);
    folder->fd = -1;
}

int folder_find(const struct folder *folder, const char *path, enum folder_open how, int *out_fd)
{
    int flags = flags_of(how), fd;
    if (strlen(path) >= FOLDER_PATH_BYTES_MAX) return ERR_NOT_FOUND;
    if (folder->fd < 0)
        fd = open(path, flags);
    else if (folder->walks)
        fd = walk(folder->fd, path, flags, folder->follow_links);
    else
        fd = resolve(folder->fd, path[0] ? path : ".", flags, folder->follow_links);
    if (fd < 0) return err_of(errno);
    *out_fd = fd;
    return OK;
}

int folder_stat(const struct folder *folder, const char *path, enum folder_open how, struct stat *out_stat,
                int *out_fd)
{
    int fd;
    int rc = folder_find(folder, path, how, &fd);
    if (rc < 0) return rc;
    if (fstat(fd, out_stat) < 0) {
        rc = err_of(errno);
        close(fd);
        return rc;
    }
    if (out_fd)
        *out_fd = fd;
    else
        close(fd);
    return OK;
}
