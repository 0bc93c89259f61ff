/* files_cache.h - what the paths of one folder lead to, remembered by one worker.
 *
 * Small files are kept in memory, of large ones the open descriptor is, and what is not there is remembered
 * too. What is remembered is looked at again when it is needed and a second old: if the file on the disk is
 * another one by then (device, inode, size, or either of its times differs), it is read again. So a change is
 * seen after a second at the latest.
 *
 * A file that changed less than two seconds before it was read is not settled: it could change again without
 * a difference in its times, whose steps are coarse. It gets a weak entity tag and is read again a second
 * later. The entity tag of a settled file is strong: made of the inode and the times, of which ctime is set
 * by the kernel at each change and by nobody else. It tells nothing of them, since it is a hash.
 *
 * Memory is bounded: by cache_bytes_max for contents, FILES_OPEN_MAX descriptors, FILES_OTHERS_MAX paths that
 * lead to no file. The least recently used goes first; what is still being sent stays until it is sent.
 *
 * Rules: one thread. Opening and reading block for as long as the disk does. */
#ifndef WEB_FILES_CACHE_H
#define WEB_FILES_CACHE_H

#include <sys/stat.h>

#include "base/sip.h"
#include "net/list.h"
#include "net/shared.h"
#include "web/files_path.h"

enum {
    FILES_CACHED_FILE_BYTES = 64 * 1024,  /* default of cached_file_bytes_max */
    FILES_CACHE_BYTES = 32 * 1024 * 1024, /* and of cache_bytes_max */
    FILES_FRESH_MS = 1000,                /* how long what is remembered is believed */
    FILES_SETTLED_MS = 2000,              /* after a change */
    FILES_OPEN_MAX = 32,                  /* descriptors kept in one cache */
    FILES_OTHERS_MAX = 1024,              /* paths that lead to no file */
};

/* One folder that is served, as wr_static was told. Constant. */
struct file_place {
    struct folder folder;
    char *index; /* "": none */
    char *cache_control;
    bool listing, precompressed;
    size_t cached_file_bytes_max, cache_bytes_max;
};

struct file_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

enum file_coding { FILE_IDENTITY, FILE_BR, FILE_GZIP, FILE_CODINGS };

/* One form of a file: as it is, or compressed in a file beside it. */
struct file_form {
    struct shared_bytes *bytes; /* in memory, or NULL */
    struct shared_file *file;   /* open, or NULL; when both are, there is no such form */
    uint64_t size;
    int64_t modified_s; /* for Last-Modified; -1 when it lies in the future, which must not be told */
    bool settled;
    struct file_identity identity;
    char *fields;      /* fields of an answer, as lines */
    size_t kept_len;   /* the first ones, which a 304 has too: ETag, Last-Modified, Cache-Control, Vary... */
    size_t fields_len; /* all: Accept-Ranges, Content-Encoding */
    slice etag;        /* within fields, with quotes and W/ */
};

enum file_kind {
    FILE_MISSING, /* also a FIFO, a device, a link that is not followed */
    FILE_REFUSED, /* the file system does not let us */
    FILE_PLAIN,
    FILE_FOLDER,  /* its path lacks the slash at the end, and with it leads to something */
    FILE_LISTING, /* a folder to be listed */
};

struct file {
    struct list node;   /* used least recently first */
    struct file *chain; /* the next in the same bucket */
    uint64_t hash, checked_ms;
    enum file_kind kind;
    const char *type;                     /* media type, static */
    struct file_form forms[FILE_CODINGS]; /* of a plain file */
    size_t bytes;                         /* of memory, for the limit */
    unsigned open;                        /* descriptors */
    size_t name_len;
    char name[];
};

struct file_cache {
    const struct file_place *place;
    struct sip_secret secret;
    char *common_fields;        /* at the end of what a 304 has too */
    struct file **buckets;      /* a power of two of them */
    size_t bucket_count, count; /* of files */
    struct list plain, others;
    size_t bytes, others_count; /* in plain; in others */
    unsigned open;
};

/* nosniff: each file gets X-Content-Type-Options. The place is borrowed. ERR_MEMORY. */
int file_cache_init(struct file_cache *cache, const struct file_place *place, struct sip_secret secret,
                    bool nosniff) BASE_CHECKED;
void file_cache_deinit(struct file_cache *cache);

/* What is remembered and fresh enough under this name, without looking at the disk; or NULL. Valid until the
 * next call. Names as below; others are not found. */
struct file *file_cache_peek(struct file_cache *cache, slice name, uint64_t now_ms);
/* What the name leads to. A name begins with '/', which stands for the folder; its segments are decoded and
 * none is empty, "." or ".."; a slash at its end asks for a folder. In a place without a folder (fd -1) the
 * name is a path of the process. Valid until the next call. ERR_FULL: no descriptors left. ERR_MEMORY,
 * ERR_IO. */
int file_cache_find(struct file_cache *cache, slice name, uint64_t now_ms,
                    struct file **out_file) BASE_CHECKED;

#endif
