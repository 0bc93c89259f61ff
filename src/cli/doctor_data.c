/* What the server keeps: folder, disk, database. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "cli/data.h"
#include "cli/doctor.h"
#include "store/backup.h"

#define MB 1000000ULL
#define DISK_LITTLE (500 * MB)
#define DISK_NOTHING (50 * MB)

/* False: there is nothing in it to look at. */
static bool check_folder(struct doctor *d)
{
    struct stat info;
    if (stat(d->data, &info)) {
        if (errno == ENOENT)
            doctor_say(d, VERDICT_WARNING, "data",
                       "name the server's folder with --data, or start the server once",
                       "there is no folder %s", d->data);
        else
            doctor_say(d, VERDICT_BAD, "data", "run this as the user that runs the server", "%s: %s", d->data,
                       strerror(errno));
        return false;
    }
    if (!S_ISDIR(info.st_mode)) {
        doctor_say(d, VERDICT_BAD, "data", "name the server's folder with --data", "%s is not a folder",
                   d->data);
        return false;
    }
    if (access(d->data, R_OK | W_OK | X_OK))
        doctor_say(d, VERDICT_BAD, "data",
                   "run this as the user that runs the server, or chown the folder to it",
                   "%s cannot be written", d->data);
    else if (info.st_mode & 077)
        doctor_say(d, VERDICT_WARNING, "data",
                   "chmod 700 on it: the server's secret key and all messages are there",
                   "other users of this computer can look into %s", d->data);
    else
        doctor_say(d, VERDICT_GOOD, "data", NULL, "%s, for its owner only", d->data);
    return true;
}

static void check_disk(struct doctor *d)
{
    struct statvfs disk;
    if (statvfs(d->data, &disk)) return;
    unsigned long long left = (unsigned long long)disk.f_bavail * disk.f_frsize;
    enum verdict verdict = left < DISK_NOTHING  ? VERDICT_BAD
                           : left < DISK_LITTLE ? VERDICT_WARNING
                                                : VERDICT_GOOD;
    doctor_say(d, verdict, "disk",
               "make room: when the disk is full nothing is lost, but nothing new is kept either",
               "%llu MB free", left / MB);
}

static void check_database(struct doctor *d)
{
    char why[STORE_WHY_BYTES];
    char *path = data_database(d->data);
    struct store_summary s;
    if (!path) return;
    if (access(path, F_OK)) {
        doctor_say(d, VERDICT_WARNING, "database", "start the server once, or name its folder with --data",
                   "there is none in %s yet", d->data);
    } else if (store_examine(path, &s, why)) {
        doctor_say(d, VERDICT_BAD, "database",
                   "put back a copy: weaprous restore FILE; keep the damaged one for a look at it", "%s",
                   why);
    } else {
        doctor_say(d, VERDICT_GOOD, "database", NULL,
                   "whole: %.1f MB, version %d; accounts %" PRIu64 ", devices %" PRIu64 ", channels %" PRIu64
                   ", messages %" PRIu64,
                   (double)s.bytes / 1e6, s.version, s.accounts, s.devices, s.channels, s.entries);
        /* The hybrid clocks of the feeds follow the newest entry; a clock behind it is a clock set back. */
        uint64_t now_ms = (uint64_t)time(NULL) * 1000;
        if (s.newest_ms > now_ms + 300000)
            doctor_say(d, VERDICT_BAD, "clock", "set the clock of this computer: timedatectl set-ntp true",
                       "the newest message is %" PRIu64 " minutes ahead of it: it was set back",
                       (s.newest_ms - now_ms) / 60000);
    }
    free(path);
}

void doctor_data(struct doctor *d)
{
    if (!check_folder(d)) return;
    check_disk(d);
    check_database(d);
}
