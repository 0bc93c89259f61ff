/* files_path.h - opening what lies below a folder, and never anything else.
 *
 * The folder is held open, so that it may be renamed, and a path is resolved from there. Where the kernel has
 * openat2 (Linux 5.6; some containers forbid it) it does the whole resolution in one call; else this module
 * walks from component to component, holding every folder on the way open and following links itself, so that
 * what another process renames meanwhile cannot lead it out. Both ways give the same answers: a link is
 * followed when links are followed at all and its target, seen from where it lies, never leaves the folder;
 * an absolute link is out.
 *
 * Rules: any thread; blocks for as long as the file system does; nothing allocates. */
#ifndef WEB_FILES_PATH_H
#define WEB_FILES_PATH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

enum {
    FOLDER_PATH_BYTES_MAX = 4096, /* of a path, its NUL included */
    FOLDER_DEPTH_MAX = 64,        /* folders on the way, when this module walks */
    FOLDER_LINKS_MAX = 40,        /* links on the way; the kernel's own limit */
};

struct folder {
    int fd; /* O_PATH; -1: none, then paths are those of the process */
    bool follow_links;
    bool walks; /* without openat2; a test may set it */
};

enum folder_open {
    FOLDER_LOOK, /* for fstat only: never waits, has no side effect on what it opens */
    FOLDER_READ, /* a file: does not wait for the writer of a FIFO; look at the kind before use */
    FOLDER_LIST, /* a folder */
};

/* ERR_NOT_FOUND, ERR_DENIED, ERR_FULL (descriptors), ERR_MEMORY, ERR_IO; errno says more. Links in `path`
 * itself, which the program chose, are followed. */
int folder_init(struct folder *folder, const char *path, bool follow_links) BASE_CHECKED;
void folder_deinit(struct folder *folder);

/* path: relative and without "..", ended by NUL; "" is the folder itself. *out_fd is the caller's to close.
 * ERR_NOT_FOUND: not there, or out of the folder, or behind a link that is not followed. ERR_DENIED: the file
 * system refuses. ERR_FULL: no descriptors left. ERR_MEMORY, ERR_IO. */
int folder_find(const struct folder *folder, const char *path, enum folder_open how,
                int *out_fd) BASE_CHECKED;

/* folder_find, then fstat of what it gave. *out_fd may be NULL: then only *out_stat is wanted. */
int folder_stat(const struct folder *folder, const char *path, enum folder_open how, struct stat *out_stat,
                int *out_fd) BASE_CHECKED;

#endif
