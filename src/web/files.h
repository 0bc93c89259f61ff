/* files.h - folders that are served: what app.c and worker.c know of them. */
#ifndef WEB_FILES_H
#define WEB_FILES_H

#include "web/app.h"
#include "web/files_cache.h"

/* One wr_static. Constant while the workers run. */
struct file_mount {
    struct file_mount *next;
    struct file_place place;
    unsigned index; /* of its cache in each worker; 0 is that of wr_respond_file */
    size_t depth;   /* segments before the path of the file */
    bool hidden;
    char *fallback; /* name of a file, or NULL */
};

/* The handler of a mount, which is its context. */
void files_serve(struct wr_request *request, void *mount);
void files_free_mounts(struct wr_app *app);
void files_free_caches(struct wr_worker *worker);

/* files_list.c: answers with what is in the folder; `name` ends with a slash. */
void files_list(struct wr_request *request, const struct file_mount *mount, slice name);

#endif
