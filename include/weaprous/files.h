/* files.h - files: compiled in, or on disk. */
#ifndef WEAPROUS_FILES_H
#define WEAPROUS_FILES_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- files that are compiled in --- */

/* One file that is compiled in. Static data: borrowed for the life of the app. */
struct wr_asset {
    const char *path; /* "/app.4f2a.js"; not percent-encoded, no trailing slash except "/" itself */
    const char *mime; /* "text/html; charset=utf-8" */
    const unsigned char *identity;
    size_t identity_len;
    const unsigned char *br; /* the same bytes by brotli, or NULL */
    size_t br_len;
    const unsigned char *gzip; /* or NULL */
    size_t gzip_len;
    const char *etag; /* opaque, without quotes: a hash of the identity bytes */
    bool immutable;   /* the path names the content: may be cached for a year */
};

/* Serves a table (GET, HEAD): Accept-Encoding with q-values, a strong ETag for each encoding, If-None-Match
 * (304), Vary, and `Cache-Control: public, max-age=31536000, immutable` or `no-cache`. Borrows the table. May
 * be called several times; the first table that holds a path wins. WR_EXISTS: one table holds a path
 * twice. */
WR_API int wr_assets(struct wr_app *app, const struct wr_asset *assets, size_t count) WR_CHECKED;
/* The asset of this path in the tables given to wr_assets, or NULL. */
WR_API const struct wr_asset *wr_asset_find(const struct wr_app *app, const char *path);
/* Answers with an asset, which need not be in a table. Only status 200 is conditional and cacheable; any
 * other (a login page with 401) is sent whole with `Cache-Control: no-store`. Borrows the asset. */
WR_API void wr_respond_asset(struct wr_request *request, int status, const struct wr_asset *asset);

/* --- files on disk --- */

struct wr_static_options {
    /* The file served for a folder, when it is there; default "index.html", "" for none. */
    const char *index;
    /* A folder without index is listed (HTML, or JSON when asked for). Default false: 404. */
    bool listing;
    /* Names that begin with a dot are served. Default false: 404 (except ".well-known" at the top). */
    bool hidden;
    /* Symbolic links are followed when they stay below the folder. Default true; false: 404. Links out of the
     * folder are never followed. */
    bool follow_links;
    /* name.br, name.gz beside a file are sent to clients that take them, unless they are older than the file.
     * Default true. */
    bool precompressed;
    /* Cache-Control of files; default "no-cache" (asked again, answered with 304). */
    const char *cache_control;
    /* A path without a file gets this file of the folder with status 200: single-page applications. Default
     * NULL. */
    const char *fallback;
    /* Files up to this size are kept in memory, looked at again once a second; default 64 KiB. 0: none. */
    size_t cached_file_bytes_max;
    /* Memory for them, for this folder in each worker; default 32 MiB. */
    size_t cache_bytes_max;
};
WR_API void wr_static_options_init(struct wr_static_options *options);
/* Serves the folder under a prefix ("/static", "/"): GET and HEAD with media type, ETag, Last-Modified,
 * conditions (RFC 9110 13), ranges (14), precompressed forms; large files by sendfile. Never anything outside
 * the folder. A folder with an index or a list is redirected to its address with a slash (301). Routes win;
 * of several folders the longest prefix; what the folder does not have may be an asset. Reading blocks the
 * worker: for local disks. options NULL: the defaults. Copies. The folder is held open from now on. WR_SYSTEM
 * with wr_app_error: it cannot be opened. WR_EXISTS: the prefix has a folder. WR_INVALID, WR_MEMORY. */
WR_API int wr_static(struct wr_app *app, const char *prefix, const char *folder,
                     const struct wr_static_options *options) WR_CHECKED;
/* Answers with a file of any path, conditions and ranges included; 404 when it is not there or no plain file.
 * 403 when it may not be read. Links are followed: the path is the program's, never the client's.
 * content_type NULL: by its name. download_name: sent as attachment under this name; NULL: shown in place. */
WR_API void wr_respond_file(struct wr_request *request, const char *path, const char *content_type,
                            const char *download_name);

#ifdef __cplusplus
}
#endif

#endif
