#include "http/accept.h"
#include "http/token.h"

/* "1", "0.5", "0.123" to thousandths; 0 for anything else. */
static int weight_parse(slice q)
{
    if (q.len == 0 || q.len > 5 || (q.ptr[0] != '0' && q.ptr[0] != '1')) return 0;
    int weight = (q.ptr[0] - '0') * 1000, unit = 100;
    if (q.len > 1 && q.ptr[1] != '.') return 0;
    for (size_t i = 2; i < q.len; i++, unit /= 10) {
        if (q.ptr[i] < '0' || q.ptr[i] > '9') return 0;
        weight += (q.ptr[i] - '0') * unit;
    }
    return weight > 1000 ? 0 : weight;
}

/* Divides "gzip;q=0.5" into name and weight. */
static int element_weight(slice element, slice *out_name)
{
    slice part, rest = element;
    int weight = 1000;
    if (!slice_split(&rest, ';', &part)) part = SLICE_EMPTY;
    *out_name = slice_trim(part);
    while (slice_split(&rest, ';', &part)) {
        part = slice_trim(part);
        if (slice_sub(part, 0, 2).len == 2 && slice_equal_nocase(slice_sub(part, 0, 2), SLICE("q=")))
            weight = weight_parse(slice_sub(part, 2, part.len));
    }
    return weight;
}

int accept_encoding_weight(slice field, slice coding)
{
    int named = -1, star = -1;
    slice element, name;
    while (list_next(&field, &element)) {
        int weight = element_weight(element, &name);
        if (slice_equal_nocase(name, coding)) named = weight;
        if (slice_equal(name, SLICE("*"))) star = weight;
    }
    if (named >= 0) return named;
    if (star >= 0) return star;
    return slice_equal_nocase(coding, SLICE("identity")) ? 1 : 0;
}

bool accept_names(slice field, slice media_type)
{
    slice element, name;
    while (list_next(&field, &element)) {
        if (element_weight(element, &name) > 0 && slice_equal_nocase(name, media_type)) return true;
    }
    return false;
}
