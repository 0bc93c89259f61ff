#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { PIECE_BYTES = 64 * 1024 };

static int complain_file(const char *path, int system)
{
    complain("The file %s cannot be read: %s.", path, strerror(system));
    return ERR_IO;
}

int file_read(const char *path, unsigned max_mib, struct buffer *out)
{
    size_t max = (size_t)max_mib * 1024 * 1024;
    buffer_init(out, &allocator_libc, max + PIECE_BYTES);
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return complain_file(path, errno);
    ssize_t got = 1;
    while (got > 0 && out->len <= max && !buffer_reserve(out, PIECE_BYTES)) {
        got = read(fd, out->ptr + out->len, PIECE_BYTES);
        if (got > 0) out->len += (size_t)got;
    }
    int system = errno;
    if (fd != STDIN_FILENO) close(fd);
    if (got < 0) return complain_file(path, system);
    if (out->len > max) {
        complain("The file %s is too large: at most %u MiB.", path, max_mib);
        return ERR_TOO_LARGE;
    }
    if (!out->failed) return OK;
    complain("There is not enough memory to read %s.", path);
    return ERR_MEMORY;
}
