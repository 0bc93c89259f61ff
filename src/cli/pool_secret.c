#include "cli/pool_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "cli/cli.h"
#include "crypto/native.h"

static int read_file(const char *path, char out[POOL_SECRET_BYTES_MAX + 1])
{
    char room[POOL_SECRET_BYTES_MAX + 3];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    ssize_t len = read(fd, room, sizeof room);
    close(fd);
    if (len < 0) return ERR_IO;
    while (len > 0 && (room[len - 1] == '\n' || room[len - 1] == '\r' || room[len - 1] == ' '))
        len--;
    if (len < POOL_SECRET_BYTES_MIN || len > POOL_SECRET_BYTES_MAX || memchr(room, '\0', (size_t)len))
        return ERR_INVALID;
    memcpy(out, room, (size_t)len);
    out[len] = '\0';
    return OK;
}

/* Under its name at once with all of it: another process may be looking. */
static int make_file(const char *path)
{
    uint8_t secret[32];
    char text[2 * sizeof secret + 2], draft[4096];
    int len = snprintf(draft, sizeof draft, "%s.%ld", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof draft) return ERR_TOO_LARGE;
    crypto_native_random(secret, sizeof secret);
    hex_encode(slice_of(secret, sizeof secret), text);
    text[2 * sizeof secret] = '\n';
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return ERR_IO;
    bool good = write(fd, text, 2 * sizeof secret + 1) == (ssize_t)(2 * sizeof secret + 1);
    good = fsync(fd) == 0 && good;
    good = close(fd) == 0 && good;
    good = good && (link(draft, path) == 0 || errno == EEXIST);
    unlink(draft);
    return good ? OK : ERR_IO;
}

int pool_secret_open(const char *folder, char out[POOL_SECRET_BYTES_MAX + 1])
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/pool-secret", folder);
    int err = len < 0 || (size_t)len >= sizeof path ? ERR_TOO_LARGE : read_file(path, out);
    if (err == ERR_NOT_FOUND) {
        err = make_file(path);
        if (!err) err = read_file(path, out);
    }
    if (err == ERR_INVALID)
        complain("The file %s must hold one line of %d to %d characters: the secret of native peers.", path,
                 POOL_SECRET_BYTES_MIN, POOL_SECRET_BYTES_MAX);
    else if (err)
        complain("The file %s cannot be read or made: %s.", path, strerror(errno));
    return err;
}
