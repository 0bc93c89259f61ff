#include "account/origins.h"

#include <string.h>

/* scheme://host or scheme://host:port, in lower case as browsers send it. */
static bool is_origin(slice text)
{
    slice rest = slice_starts(text, SLICE("https://"))  ? slice_sub(text, 8, text.len - 8)
                 : slice_starts(text, SLICE("http://")) ? slice_sub(text, 7, text.len - 7)
                                                        : SLICE_EMPTY;
    if (!rest.len || text.len > ORIGIN_BYTES_MAX) return false;
    for (size_t i = 0; i < rest.len; i++) {
        uint8_t c = rest.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(".-:[]_", c);
        if (!good || !c) return false;
    }
    return true;
}

const char *origins_read(struct origins *origins, const char *list)
{
    slice rest = slice_text(list ? list : ""), one;
    origins->count = 0;
    if (!rest.len) return NULL;
    while (slice_split(&rest, ',', &one)) {
        if (origins->count == ORIGINS_MAX) return "there are more than 16 addresses.";
        if (!is_origin(one))
            return "each must be like https://chat.example or http://localhost:3000: in lower case, without "
                   "a "
                   "path or a slash at its end.";
        char *text = origins->texts[origins->count++];
        memcpy(text, one.ptr, one.len);
        text[one.len] = '\0';
    }
    return NULL;
}

bool origins_foreign(const struct origins *origins, struct wr_request *request)
{
    const char *origin = wr_request_header(request, "Origin");
    for (size_t i = 0; origin && i < origins->count; i++) {
        if (strcmp(origins->texts[i], origin) == 0) return true;
    }
    return false;
}

bool origins_good(const struct origins *origins, struct wr_request *request)
{
    if (origins_foreign(origins, request)) return true;
    if (!wr_request_same_origin(request)) return false;
    /* Who has the network has every page that came without encryption. The other way round a proxy may have
     * decrypted what we get. */
    const char *origin = wr_request_header(request, "Origin");
    if (origin && strncmp(origin, "http://", 7) == 0 && strcmp(wr_request_scheme(request), "https") == 0)
        return false;
    /* Browsers say this of what another site began, also where they send no Origin. */
    const char *site = wr_request_header(request, "Sec-Fetch-Site");
    return origin || !site || strcmp(site, "cross-site") != 0 ||
           strcmp(wr_request_method(request), "GET") == 0;
}

/* Fetch standard, 3.2. */
static bool allow(struct wr_request *request, void *context)
{
    const struct origins *origins = context;
    wr_response_header(request, "Vary", "Origin");
    if (!origins_foreign(origins, request)) return true;
    wr_response_header(request, "Access-Control-Allow-Origin", wr_request_header(request, "Origin"));
    wr_response_header(request, "Access-Control-Allow-Credentials", "true");
    if (strcmp(wr_request_method(request), "OPTIONS") != 0 ||
        !wr_request_header(request, "Access-Control-Request-Method")) {
        wr_response_header(request, "Access-Control-Expose-Headers", "Retry-After");
        return true;
    }
    wr_response_header(request, "Access-Control-Allow-Methods", "GET, POST");
    wr_response_header(request, "Access-Control-Allow-Headers", "Content-Type, Accept");
    wr_response_header(request, "Access-Control-Max-Age", "600");
    wr_respond_empty(request, 204);
    return false;
}

int origins_open(const struct origins *origins, struct wr_app *app)
{
    if (!origins->count) return OK;
    return wr_before(wr_root(app), allow, (void *)(uintptr_t)origins) ? ERR_MEMORY : OK;
}
