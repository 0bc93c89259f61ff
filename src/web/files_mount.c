/* files_mount.c - setting up folders that are served. */
#include "web/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/token.h"

void wr_static_options_init(struct wr_static_options *options)
{
    *options = (struct wr_static_options){.index = "index.html",
                                          .follow_links = true,
                                          .precompressed = true,
                                          .cache_control = "no-cache",
                                          .cached_file_bytes_max = FILES_CACHED_FILE_BYTES,
                                          .cache_bytes_max = FILES_CACHE_BYTES};
}

static void mount_free(struct file_mount *mount)
{
    if (!mount) return;
    folder_deinit(&mount->place.folder);
    free(mount->place.index);
    free(mount->place.cache_control);
    free(mount->fallback);
    free(mount);
}

void files_free_mounts(struct wr_app *app)
{
    while (app->mounts) {
        struct file_mount *mount = app->mounts;
        app->mounts = mount->next;
        mount_free(mount);
    }
}

/* "a/b.html" or "/a/b.html" as a name; NULL when it is none, or without memory. */
static char *name_new(const char *path)
{
    size_t len = strlen(path), slash = path[0] != '/';
    char *name = malloc(len + 2);
    if (!name) return NULL;
    if (slash) name[0] = '/';
    memcpy(name + slash, path, len + 1);
    bool valid = len > 0 && name[1] != 0 && !strstr(name, "//") && !strstr(name, "/../") &&
                 !strstr(name, "/./") && name[slash + len - 1] != '/';
    if (valid) return name;
    free(name);
    return NULL;
}

static bool options_valid(const struct wr_static_options *o)
{
    const char *index = o->index ? o->index : "";
    return !strchr(index, '/') && strcmp(index, ".") != 0 && strcmp(index, "..") != 0 &&
           (!o->cache_control || field_value_valid(slice_text(o->cache_control)));
}

static int mount_new(struct wr_app *app, const char *folder, const struct wr_static_options *o,
                     struct file_mount **out)
{
    struct file_mount *mount = calloc(1, sizeof *mount);
    if (!mount) return WR_MEMORY;
    mount->hidden = o->hidden;
    mount->place =
        (struct file_place){.folder.fd = -1,
                            .index = strdup(o->index ? o->index : "index.html"),
                            .cache_control = strdup(o->cache_control ? o->cache_control : "no-cache"),
                            .listing = o->listing,
                            .precompressed = o->precompressed,
                            .cached_file_bytes_max = o->cached_file_bytes_max,
                            .cache_bytes_max = o->cache_bytes_max};
    if (o->fallback) mount->fallback = name_new(o->fallback);
    int rc = !mount->place.index || !mount->place.cache_control ? WR_MEMORY
             : o->fallback && !mount->fallback                  ? WR_INVALID
                                                                : WR_OK;
    if (rc == WR_OK && folder_init(&mount->place.folder, folder, o->follow_links) < 0) {
        snprintf(app->error, sizeof app->error, "cannot open the folder %s: %s", folder, strerror(errno));
        rc = WR_SYSTEM;
    }
    if (rc == WR_OK)
        *out = mount;
    else
        mount_free(mount);
    return rc;
}

static slice without_slashes(slice path)
{
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* Segments of a prefix without slashes at its ends. */
static size_t depth_of(slice prefix)
{
    size_t depth = 0;
    slice segment;
    while (prefix.len > 0 && slice_split(&prefix, '/', &segment))
        depth += segment.len > 0;
    return depth;
}

int wr_group_static(struct wr_group *group, const char *prefix, const char *folder,
                    const struct wr_static_options *options)
{
    struct wr_static_options defaults;
    struct file_mount *mount;
    struct wr_app *app = group->app;
    wr_static_options_init(&defaults);
    if (!options) options = &defaults;
    if (app->running || !prefix || !folder || !options_valid(options)) return WR_INVALID;
    slice own = without_slashes(slice_text(prefix)); /* of "/", nothing: the group's own */
    char *path = malloc(own.len + sizeof "/*path");
    if (!path) return WR_MEMORY;
    snprintf(path, own.len + sizeof "/*path", "%.*s/*path", (int)own.len, (const char *)own.ptr);
    int rc = mount_new(app, folder, options, &mount);
    if (rc == WR_OK) {
        mount->depth = depth_of(slice_text(group->prefix)) + depth_of(own);
        mount->index = app->mount_count + 1;
        rc = wr_group_route(group, "GET", path, files_serve, mount);
        if (rc == WR_OK) {
            mount->next = app->mounts;
            app->mounts = mount;
            app->mount_count++;
        } else {
            mount_free(mount);
        }
    }
    free(path);
    return rc;
}

int wr_static(struct wr_app *app, const char *prefix, const char *folder,
              const struct wr_static_options *options)
{
    return wr_group_static(&app->root, prefix, folder, options);
}
