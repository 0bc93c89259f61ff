#include "proxy/pages.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "http/status.h"

enum { PAGE_BYTES_MAX = 16 * 1024, WHAT_BYTES_MAX = 2000 };

/* In words for people, and what they can do. */
struct explanation {
    int status;
    const char *heading, *advice;
};

static const struct explanation explanations[] = {
    {400, "This request cannot be understood",
     "Check the address. If a link led here, tell whoever runs the site that it comes from."},
    {403, "This is not allowed", "If you need it, ask whoever runs this site."},
    {404, "There is nothing at this address",
     "Check the address for mistakes. If it is right, whoever runs this server has not set it up yet."},
    {405, "This cannot be done at this address", "If a link or a program led here, it is wrong about that."},
    {408, "The request did not arrive in time", "Check your connection and try again."},
    {413, "This is too much at once", "Send less, or ask whoever runs this site for a higher limit."},
    {429, "Too many requests", "Wait a little before you try again."},
    {502, "The site behind this address gave no proper answer",
     "Try again in a moment. If it stays like this, tell whoever runs the site."},
    {503, "The site is not available at the moment",
     "Try again in a moment. If it stays like this, tell whoever runs the site."},
    {504, "The site took too long to answer",
     "Try again in a moment; what you sent may have been carried out nevertheless. If it stays like this, "
     "tell "
     "whoever runs the site."},
    {508, "This request goes round in a circle",
     "The servers of this site send requests to each other. Whoever runs them has to change that."},
};

static const struct explanation *explanation_of(int status)
{
    static const struct explanation other = {0, "Something went wrong",
                                             "If it stays like this, tell whoever runs the site."};
    for (size_t i = 0; i < sizeof explanations / sizeof explanations[0]; i++) {
        if (explanations[i].status == status) return &explanations[i];
    }
    return &other;
}

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n<style>\n"
    ":root{color-scheme:light dark;--back:#f4f3ef;--surface:#fefefc;--line:#dedcd4;--ink:#16262a;"
    "--soft:#45565a;--accent:#0b6467}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#0e1517;--surface:#151f22;--line:#2a3639;--ink:#e7ecec;"
    "--soft:#b4bebf;--accent:#78c5c0}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:1.5rem 1rem;"
    "background:var(--back);color:var(--ink);"
    "font:400 1rem/1.5 Inter,system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",sans-serif}\n"
    "main{width:min(34rem,100%);padding:2rem;background:var(--surface);border:1px solid var(--line);"
    "border-radius:1.25rem;overflow-wrap:anywhere}\n"
    ".status{margin:0 0 .5rem;color:var(--accent);font-weight:600;font-size:.875rem}\n"
    "h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.015em;"
    "text-wrap:balance}\n"
    "p{margin:0 0 .75rem}\n.advice{color:var(--soft)}\n"
    "footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);"
    "font-size:.8125rem}\n"
    "code{font-family:ui-monospace,monospace}\n"
    "</style>\n<title>";

static void write_page(struct buffer *page, int status, slice what, slice request_id, unsigned retry_after_s)
{
    const struct explanation *explanation = explanation_of(status);
    buffer_text(page, head);
    buffer_text(page, explanation->heading);
    buffer_text(page, "</title>\n</head>\n<body>\n<main>\n<p class=\"status\">");
    buffer_u64(page, (uint64_t)status);
    buffer_byte(page, ' ');
    buffer_text(page, http_status_text(status));
    buffer_text(page, "</p>\n<h1>");
    buffer_text(page, explanation->heading);
    buffer_text(page, "</h1>\n<p>");
    buffer_html(page, what);
    buffer_text(page, "</p>\n<p class=\"advice\">");
    if (retry_after_s > 0) {
        buffer_text(page, "It is worth trying again in ");
        buffer_u64(page, retry_after_s);
        buffer_text(page, retry_after_s == 1 ? " second.</p>" : " seconds.</p>");
    } else {
        buffer_text(page, explanation->advice);
        buffer_text(page, "</p>");
    }
    if (request_id.len > 0) {
        buffer_text(page, "\n<footer>If you report this, say which request it was: <code>");
        buffer_html(page, request_id);
        buffer_text(page, "</code></footer>");
    }
    buffer_text(page, "\n</main>\n</body>\n</html>\n");
}

static void respond_page(struct wr_request *request, int status, slice what, slice request_id,
                         unsigned retry_after_s)
{
    struct buffer page;
    buffer_init(&page, &allocator_libc, PAGE_BYTES_MAX);
    write_page(&page, status, what, request_id, retry_after_s);
    wr_response_header(request, "Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
                       "frame-ancestors 'none'");
    if (page.failed)
        wr_respond_empty(request, status);
    else
        wr_respond_bytes(request, status, "text/html; charset=utf-8", page.ptr, page.len);
    buffer_reset(&page);
}

static void respond_json(struct wr_request *request, int status, slice what, slice request_id)
{
    struct wr_json *json = wr_json_new(request);
    wr_json_object(json, NULL);
    wr_json_text(json, "status", "error");
    wr_json_bytes(json, "message", what.ptr, what.len);
    if (request_id.len > 0) wr_json_bytes(json, "request_id", request_id.ptr, request_id.len);
    wr_json_end(json);
    wr_respond_json_written(request, status, json);
}

void page_respond(struct wr_request *request, int status, const char *what, slice request_id,
                  unsigned retry_after_s)
{
    slice text = slice_sub(slice_text(what), 0, WHAT_BYTES_MAX);
    if (text.len == 0 || !utf8_valid(text)) text = slice_text(http_status_text(status));
    if (!utf8_valid(request_id)) request_id = SLICE_EMPTY;
    wr_response_header(request, "Cache-Control", "no-store");
    if (retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        wr_response_header(request, "Retry-After", seconds);
    }
    if (request_id.len > 0 && request_id.len <= 128) {
        char id[129];
        snprintf(id, sizeof id, "%.*s", (int)request_id.len, (const char *)request_id.ptr);
        wr_response_header(request, "X-Request-Id", id);
    }
    if (wr_request_wants_json(request))
        respond_json(request, status, text, request_id);
    else
        respond_page(request, status, text, request_id, retry_after_s);
}
