/* asset.c - files that are compiled in. */
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/condition.h"
#include "web/app.h"

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

struct coding {
    const char *name; /* NULL: identity */
    const char *etag_suffix;
    slice bytes;
};

/* The coding of the greatest weight; of equal ones the smallest. */
static struct coding choose(struct wr_request *r, const struct wr_asset *asset)
{
    const struct coding codings[] = {
        {"br", "-br", slice_of(asset->br, asset->br_len)},
        {"gzip", "-gz", slice_of(asset->gzip, asset->gzip_len)},
        {NULL, "", slice_of(asset->identity, asset->identity_len)},
    };
    struct coding best = codings[2];
    const char *header = wr_request_header(r, "Accept-Encoding");
    if (!header) return best;
    slice accept = slice_text(header);
    int best_weight = accept_encoding_weight(accept, SLICE("identity"));
    for (int i = 1; i >= 0; i--) {
        if (!codings[i].bytes.ptr) continue;
        int weight = accept_encoding_weight(accept, slice_text(codings[i].name));
        bool better =
            weight > best_weight || (weight == best_weight && codings[i].bytes.len < best.bytes.len);
        if (weight == 0 || !better) continue;
        best = codings[i];
        best_weight = weight;
    }
    return best;
}

static const char *etag_of(struct wr_request *r, const struct wr_asset *asset, const struct coding *coding)
{
    size_t len = strlen(asset->etag), suffix_len = strlen(coding->etag_suffix);
    char *etag = arena_take(&r->arena, len + suffix_len + 3);
    if (!etag) return NULL;
    etag[0] = '"';
    memcpy(etag + 1, asset->etag, len);
    memcpy(etag + 1 + len, coding->etag_suffix, suffix_len);
    memcpy(etag + 1 + len + suffix_len, "\"", 2);
    return etag;
}

void asset_respond(struct wr_request *r, int status, const struct wr_asset *asset)
{
    struct coding coding = choose(r, asset);
    wr_response_header(r, "Vary", "Accept-Encoding");
    if (coding.name) wr_response_header(r, "Content-Encoding", coding.name);
    if (status != 200) {
        wr_response_header(r, "Cache-Control", "no-store");
        respond_raw(r, status, slice_text(asset->mime), coding.bytes, true);
        return;
    }
    const char *etag = etag_of(r, asset, &coding);
    if (etag) wr_response_header(r, "ETag", etag);
    wr_response_header(r, "Cache-Control",
                       asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    const char *condition = wr_request_header(r, "If-None-Match");
    if (condition && etag && etag_list_has(slice_text(condition), slice_text(etag), ETAG_WEAK))
        respond_raw(r, 304, SLICE_EMPTY, SLICE_EMPTY, true);
    else
        respond_raw(r, 200, slice_text(asset->mime), coding.bytes, true);
}

void wr_respond_asset(struct wr_request *r, int status, const struct wr_asset *asset)
{
    asset_respond(r, status, asset);
}
