#include "web/wanted.h"

#include "http/accept.h"
#include "http/token.h"

/* Where a field of this name is kept; NULL for others. Their lengths tell most names apart. */
static slice *place_of(struct wanted *w, slice name)
{
    static const struct {
        slice name;
        size_t offset;
    } fields[] = {
        {{(const uint8_t *)"range", 5}, offsetof(struct wanted, range)},
        {{(const uint8_t *)"if-range", 8}, offsetof(struct wanted, if_range)},
        {{(const uint8_t *)"if-match", 8}, offsetof(struct wanted, conditions.if_match)},
        {{(const uint8_t *)"if-none-match", 13}, offsetof(struct wanted, conditions.if_none_match)},
        {{(const uint8_t *)"accept-encoding", 15}, offsetof(struct wanted, accept_encoding)},
        {{(const uint8_t *)"if-modified-since", 17}, offsetof(struct wanted, conditions.if_modified_since)},
        {{(const uint8_t *)"if-unmodified-since", 19},
         offsetof(struct wanted, conditions.if_unmodified_since)},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (slice_equal_nocase(fields[i].name, name)) return (slice *)(void *)((char *)w + fields[i].offset);
    }
    return NULL;
}

void wanted_read(struct wr_request *r, struct wanted *out)
{
    *out = (struct wanted){0};
    const struct http_head *head = &r->parser.head;
    slice bytes = slice_of(r->head, r->head_len);
    for (size_t i = 0; i < head->field_count; i++) {
        struct http_span name = head->fields[i].name;
        uint8_t first = r->head[name.at] | 0x20; /* in lower case */
        if (first != 'i' && first != 'r' && first != 'a') continue;
        slice *place = place_of(out, http_span_slice(bytes, name));
        if (!place) continue;
        bool again = place->ptr != NULL;
        *place = http_span_slice(bytes, head->fields[i].value);
        if (again) *place = request_field(r, (const char *)r->head + name.at); /* joined */
    }
    const struct http_conditions *c = &out->conditions;
    out->conditional =
        c->if_match.ptr || c->if_none_match.ptr || c->if_modified_since.ptr || c->if_unmodified_since.ptr;
}

int64_t wanted_now_s(const struct wr_request *r)
{
    (void)worker_date(r->worker);
    return r->worker->date_second;
}

enum http_condition wanted_evaluate(struct wr_request *r, const struct wanted *wanted, slice etag,
                                    int64_t modified_s)
{
    slice method = request_method(r);
    bool reads = r->head_only || slice_equal(method, SLICE("GET"));
    if (!wanted->conditional || !reads) return HTTP_PROCEED;
    struct http_validators validators = {.etag = etag, .modified_s = modified_s};
    return http_condition_evaluate(&wanted->conditions, &validators, method, wanted_now_s(r));
}

enum coding coding_choose(slice accept_encoding, const uint64_t sizes[CODINGS])
{
    static const char *const names[CODINGS] = {"identity", "br", "gzip"};
    enum coding best = CODING_IDENTITY;
    if (!accept_encoding.ptr) return best;
    int best_weight = accept_encoding_weight(accept_encoding, SLICE("identity"));
    for (size_t i = CODING_BR; i < CODINGS; i++) {
        if (sizes[i] == CODING_ABSENT) continue;
        int weight = accept_encoding_weight(accept_encoding, slice_text(names[i]));
        bool better = weight > best_weight || (weight == best_weight && sizes[i] < sizes[best]);
        if (weight == 0 || !better) continue;
        best = (enum coding)i;
        best_weight = weight;
    }
    return best;
}
