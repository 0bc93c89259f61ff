#include "cli/data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/slice.h"
#include "cli/cli.h"

#define LOCK_NAME "lock"
#define DATABASE_NAME "weaprous.db"
#define SHARE_ATTEMPTS 50
#define SHARE_PAUSE_NS 10000000
#define RESTORED_NAME "restored.db"
#define BEFORE_NAME "before-restore.db"

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

char *data_restored(const char *folder)
{
    return path_in(folder, RESTORED_NAME);
}

/* Renames a file, which need not be there. */
static int move(const char *folder, const char *from_name, const char *to_name)
{
    char *from = path_in(folder, from_name), *to = path_in(folder, to_name);
    int system = !from || !to ? ENOMEM : rename(from, to) && errno != ENOENT ? errno : 0;
    free(from);
    free(to);
    return system;
}

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int system = fd < 0 || fsync(fd) ? errno : 0;
    if (fd >= 0) close(fd);
    return system;
}

static int remove_from(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    int system = !path ? ENOMEM : unlink(path) && errno != ENOENT ? errno : 0;
    free(path);
    return system;
}

/* The old database goes first, with its journal, which is part of it, and the new one gets its name last: so
 * whoever is interrupted finds the new one still waiting and does the rest. */
int data_adopt(const char *folder, bool *out_adopted)
{
    *out_adopted = false;
    char *restored = data_restored(folder), *database = data_database(folder);
    int system = restored && database ? 0 : ENOMEM;
    bool there = !system && access(restored, F_OK) == 0;
    if (there) {
        system = remove_from(folder, DATABASE_NAME "-shm");
        if (!system && access(database, F_OK) == 0) {
            system = remove_from(folder, BEFORE_NAME "-wal");
            if (!system) system = move(folder, DATABASE_NAME, BEFORE_NAME);
        }
        if (!system) system = move(folder, DATABASE_NAME "-wal", BEFORE_NAME "-wal");
        if (!system) system = sync_folder(folder);
        if (!system) system = move(folder, RESTORED_NAME, DATABASE_NAME);
        if (!system) system = sync_folder(folder);
        *out_adopted = !system;
    }
    free(restored);
    free(database);
    return system ? complain_folder(folder, system) : OK;
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

static int open_lock(const char *folder, int *out_lock)
{
    char *path = path_in(folder, LOCK_NAME);
    int lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    int system = !path ? ENOMEM : lock < 0 ? errno : 0;
    free(path);
    *out_lock = lock;
    return system;
}

/* Whoever is alone at this moment takes what was restored; who then shares the folder lets others in. Giving
 * one lock for the other is not one step, so two who start together may be in each other's way for a moment.
 */
static int take_lock(const char *folder, int lock, enum data_use use)
{
    bool alone = !flock(lock, LOCK_EX | LOCK_NB), adopted = false;
    if (!alone && errno != EWOULDBLOCK) return complain_folder(folder, errno);
    if (!alone && use == DATA_ALONE) return complain_locked(folder, lock);
    int err = alone ? data_adopt(folder, &adopted) : OK;
    if (adopted) complain("The data in %s are now those that were restored.", folder);
    for (int i = 0; !err && use == DATA_SHARED && flock(lock, LOCK_SH | LOCK_NB); i++) {
        if (errno != EWOULDBLOCK) return complain_folder(folder, errno);
        if (i == SHARE_ATTEMPTS) return complain_locked(folder, lock);
        nanosleep(&(struct timespec){.tv_nsec = SHARE_PAUSE_NS}, NULL);
    }
    return err;
}

int data_open(const char *folder, enum data_use use, int *out_lock)
{
    int lock, system = make_folders(folder);
    if (!system) system = open_lock(folder, &lock);
    if (system) return complain_folder(folder, system);
    int err = take_lock(folder, lock, use);
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

bool data_try(const char *folder, int *out_lock)
{
    int lock;
    if (open_lock(folder, &lock)) return false;
    if (flock(lock, LOCK_EX | LOCK_NB)) {
        close(lock);
        return false;
    }
    *out_lock = lock;
    return true;
}

void data_close(int lock)
{
    close(lock);
}
