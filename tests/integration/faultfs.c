/* faultfs.c - a disk that fails, for a program that does not know (LD_PRELOAD).
 *
 * The file that FAULTFS names holds three numbers: of a thousand writes and syncs of the database, so many
 * find the disk full, so many report an error, and so many are cut short: half is written, and the rest, when
 * the program tries again, is written or not like any other. An error may come after half was written, too.
 * The file is read at each call, so a test may change it while the program runs. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum fault { NONE, FULL, BROKEN, SHORT };

static unsigned random_below(unsigned bound)
{
    static atomic_uint_fast64_t state = 1;
    uint64_t old = atomic_fetch_add(&state, 0x9e3779b97f4a7c15u) + (uint64_t)getpid();
    old = (old ^ old >> 30) * 0xbf58476d1ce4e5b9u;
    old = (old ^ old >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((old ^ old >> 31) % bound);
}

static int is_database(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0) return 0;
    path[len] = '\0';
    return strstr(path, "weaprous.db") != NULL;
}

static enum fault fault_of(int fd)
{
    const char *name = getenv("FAULTFS");
    char text[64] = "";
    unsigned full, broken, cut;
    int control = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (control < 0) return NONE;
    ssize_t len = read(control, text, sizeof text - 1);
    close(control);
    if (len <= 0 || sscanf(text, "%u %u %u", &full, &broken, &cut) != 3 || !(full + broken + cut))
        return NONE;
    if (!is_database(fd)) return NONE;
    unsigned n = random_below(1000);
    return n < full ? FULL : n < full + broken ? BROKEN : n < full + broken + cut ? SHORT : NONE;
}

static int fail(enum fault fault)
{
    errno = fault == FULL ? ENOSPC : EIO;
    return -1;
}

typedef ssize_t pwrite_function(int fd, const void *bytes, size_t len, off_t at);

static ssize_t write_at(const char *name, int fd, const void *bytes, size_t len, off_t at)
{
    pwrite_function *real = (pwrite_function *)(uintptr_t)dlsym(RTLD_NEXT, name);
    enum fault fault = fault_of(fd);
    if (fault == NONE || len < 2) return real(fd, bytes, len, at);
    if (fault == SHORT || random_below(2)) {
        ssize_t half = real(fd, bytes, len / 2, at);
        if (fault == SHORT) return half;
    }
    return fail(fault);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return write_at("pwrite", fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
    return write_at("pwrite64", fd, bytes, len, at);
}

static int one_descriptor(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, name);
    enum fault fault = fault_of(fd);
    return fault == FULL || fault == BROKEN ? fail(fault) : real(fd);
}

int fsync(int fd)
{
    return one_descriptor("fsync", fd);
}

int fdatasync(int fd)
{
    return one_descriptor("fdatasync", fd);
}

typedef int truncate_function(int fd, off_t len);

static int truncate_to(const char *name, int fd, off_t len)
{
    truncate_function *real = (truncate_function *)(uintptr_t)dlsym(RTLD_NEXT, name);
    enum fault fault = fault_of(fd);
    return fault == FULL || fault == BROKEN ? fail(fault) : real(fd, len);
}

int ftruncate(int fd, off_t len)
{
    return truncate_to("ftruncate", fd, len);
}

int ftruncate64(int fd, off_t len)
{
    return truncate_to("ftruncate64", fd, len);
}
