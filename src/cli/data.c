#include "cli/data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"
#include "cli/cli.h"

#define LOCK_NAME "lock"
#define DATABASE_NAME "weaprous.db"

static int complain_folder(const char *folder, int system)
{
    switch (system) {
    case EACCES:
    case EPERM:
    case EROFS:
        complain("The data folder %s cannot be written: check who owns it, or choose another with --data.",
                 folder);
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        complain("The disk is full: the data folder %s needs room to be written.", folder);
        return ERR_DISK_FULL;
    case ENOTDIR:
    case EEXIST:
        complain("The data folder %s is not a folder: choose another with --data.", folder);
        return ERR_INVALID;
    default: complain("The data folder %s cannot be used: %s.", folder, strerror(system)); return ERR_IO;
    }
}

/* Each part of the path that is missing. */
static int make_folders(const char *folder)
{
    char *path = strdup(folder);
    if (!path) return ENOMEM;
    int system = 0;
    for (char *p = path + 1; !system; p++) {
        if (*p != '/' && *p) continue;
        char kept = *p;
        *p = '\0';
        if (mkdir(path, 0700) && errno != EEXIST) system = errno;
        *p = kept;
        if (!kept) break;
    }
    struct stat info;
    if (!system && stat(path, &info)) system = errno;
    if (!system && !S_ISDIR(info.st_mode)) system = ENOTDIR;
    free(path);
    return system;
}

static int complain_locked(const char *folder, int lock)
{
    char owner[24] = "";
    ssize_t len = read(lock, owner, sizeof owner - 1);
    slice pid =
        len > 0 ? slice_sub(slice_of(owner, (size_t)len), 0, slice_find(slice_of(owner, (size_t)len), '\n'))
                : SLICE_EMPTY;
    complain(
        "Another weaprous%s%.*s%s is using the data folder %s: end it, or choose another folder with --data.",
        pid.len ? " (process " : "", (int)pid.len, pid.len ? owner : "", pid.len ? ")" : "", folder);
    return ERR_BUSY;
}

static char *path_in(const char *folder, const char *name)
{
    size_t room = strlen(folder) + 1 + strlen(name) + 1;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%s/%s", folder, name);
    return path;
}

char *data_database(const char *folder)
{
    return path_in(folder, DATABASE_NAME);
}

int data_find(const char *folder, bool make)
{
    struct stat info;
    if (!make && stat(folder, &info) && errno == ENOENT) {
        complain("There is no data folder %s: name the one of the server with --data.", folder);
        return ERR_NOT_FOUND;
    }
    int system = make_folders(folder);
    return system ? complain_folder(folder, system) : OK;
}

int data_open(const char *folder, int *out_lock)
{
    int system = make_folders(folder);
    if (system) return complain_folder(folder, system);
    char *path = path_in(folder, LOCK_NAME);
    if (!path) return complain_folder(folder, ENOMEM);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (lock < 0) return complain_folder(folder, errno);
    int err = OK;
    if (flock(lock, LOCK_EX | LOCK_NB))
        err = errno == EWOULDBLOCK ? complain_locked(folder, lock) : complain_folder(folder, errno);
    char pid[24];
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (!err && (ftruncate(lock, 0) || write(lock, pid, (size_t)len) != len))
        err = complain_folder(folder, errno);
    if (err) {
        close(lock);
        return err;
    }
    *out_lock = lock;
    return OK;
}

void data_close(int lock)
{
    close(lock);
}
