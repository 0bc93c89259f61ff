#include "http/response.h"
#include "http/date.h"
#include "http/status.h"

void http_response_write(struct writer *w, const struct http_response *r)
{
    if (r->status == 200) {
        writer_put(w, SLICE("HTTP/1.1 200 OK\r\nDate: "));
    } else {
        writer_put(w, SLICE("HTTP/1.1 "));
        writer_u64(w, (uint64_t)r->status);
        writer_byte(w, ' ');
        writer_put(w, slice_text(http_status_text(r->status)));
        writer_put(w, SLICE("\r\nDate: "));
    }
    writer_put(w, slice_of(r->date, HTTP_DATE_BYTES));
    if (r->content_type.len) {
        writer_put(w, SLICE("\r\nContent-Type: "));
        writer_put(w, r->content_type);
    }
    if (r->content_length != HTTP_NO_LENGTH) {
        writer_put(w, SLICE("\r\nContent-Length: "));
        writer_u64(w, r->content_length);
    } else if (r->chunked) {
        writer_put(w, SLICE("\r\nTransfer-Encoding: chunked"));
    }
    if (r->close)
        writer_put(w, SLICE("\r\nConnection: close"));
    else if (r->keep_alive)
        writer_put(w, SLICE("\r\nConnection: keep-alive"));
    writer_put(w, SLICE("\r\n"));
    writer_put(w, r->fields);
    writer_put(w, r->more_fields);
    writer_put(w, SLICE("\r\n"));
}
