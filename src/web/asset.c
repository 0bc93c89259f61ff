/* asset.c - files that are compiled in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/wanted.h"

static int compare(const void *a, const void *b)
{
    const struct wr_asset *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static const struct wr_asset *find(const struct asset_table *table, slice path)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(slice_text(table->by_path[middle]->path), path);
        if (order == 0) return table->by_path[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int wr_assets(struct wr_app *app, const struct wr_asset *assets, size_t count)
{
    struct asset_table *table = &app->assets;
    if (app->running) return WR_INVALID;
    if (count == 0) return WR_OK;
    if (count > SIZE_MAX / sizeof(void *) - table->count) return WR_INVALID;
    const struct wr_asset **all = malloc((table->count + count) * sizeof(const struct wr_asset *));
    if (!all) return WR_MEMORY;
    size_t n = table->count;
    for (size_t i = 0; i < n; i++)
        all[i] = table->by_path[i];
    for (size_t i = 0; i < count; i++) {
        bool valid = assets[i].path && assets[i].path[0] == '/' && assets[i].mime && assets[i].etag;
        if (!valid) {
            free(all);
            return WR_INVALID;
        }
        if (!find(table, slice_text(assets[i].path))) all[n++] = &assets[i];
    }
    qsort(all, n, sizeof(const struct wr_asset *), compare);
    for (size_t i = 1; i < n; i++) {
        if (compare(&all[i - 1], &all[i]) == 0) {
            free(all);
            return WR_EXISTS;
        }
    }
    free(table->by_path);
    table->by_path = all;
    table->count = n;
    app_note_method(app, SLICE("GET"));
    return WR_OK;
}

const struct wr_asset *app_asset_find(const struct wr_app *app, slice path)
{
    return find(&app->assets, path);
}

const struct wr_asset *wr_asset_find(const struct wr_app *app, const char *path)
{
    return app_asset_find(app, slice_text(path));
}

/* The form of the greatest weight, as bytes. */
static slice choose(const struct wr_asset *asset, slice accept_encoding, enum coding *out)
{
    const slice forms[CODINGS] = {
        [CODING_IDENTITY] = slice_of(asset->identity, asset->identity_len),
        [CODING_BR] = slice_of(asset->br, asset->br_len),
        [CODING_GZIP] = slice_of(asset->gzip, asset->gzip_len),
    };
    uint64_t sizes[CODINGS];
    for (size_t i = 0; i < CODINGS; i++)
        sizes[i] = forms[i].ptr || i == CODING_IDENTITY ? forms[i].len : CODING_ABSENT;
    *out = coding_choose(accept_encoding, sizes);
    return forms[*out];
}

/* NULL without memory. */
static const char *etag_of(struct wr_request *r, const struct wr_asset *asset, enum coding coding)
{
    static const char *const suffixes[CODINGS] = {"", "-br", "-gz"};
    size_t size = strlen(asset->etag) + 6;
    char *etag = arena_take(&r->arena, size);
    if (etag) snprintf(etag, size, "\"%s%s\"", asset->etag, suffixes[coding]);
    return etag;
}

void asset_respond(struct wr_request *r, int status, const struct wr_asset *asset)
{
    static const char *const names[CODINGS] = {NULL, "br", "gzip"};
    struct wanted wanted;
    enum coding coding;
    wanted_read(r, &wanted);
    slice bytes = choose(asset, wanted.accept_encoding, &coding), type = slice_text(asset->mime);
    wr_response_header(r, "Vary", "Accept-Encoding");
    const char *etag = status == 200 ? etag_of(r, asset, coding) : NULL;
    switch (etag ? wanted_evaluate(r, &wanted, slice_text(etag), -1) : HTTP_PROCEED) {
    case HTTP_PROCEED: break;
    case HTTP_NOT_MODIFIED:
        status = 304;
        bytes = type = SLICE_EMPTY;
        break;
    case HTTP_PRECONDITION_FAILED:
        wr_respond_error(r, 412, "the file is another one than the request goes for");
        return;
    }
    if (coding != CODING_IDENTITY && status != 304) wr_response_header(r, "Content-Encoding", names[coding]);
    if (etag) wr_response_header(r, "ETag", etag);
    wr_response_header(r, "Cache-Control",
                       !etag              ? "no-store"
                       : asset->immutable ? "public, max-age=31536000, immutable"
                                          : "no-cache");
    respond_raw(r, status, type, bytes, true);
}

void wr_respond_asset(struct wr_request *r, int status, const struct wr_asset *asset)
{
    asset_respond(r, status, asset);
}
