#include "backend/page.h"

#include <sodium.h>
#include <stdio.h>

#include "base/buffer.h"

enum { PAGE_BYTES_MAX = 32 * 1024 };

static const char style[] =
    ":root{color-scheme:light "
    "dark;--sunken:#f4f3ef;--surface:#fefefc;--line:#dedcd4;--edge:#8b9496;--ink:#16262a;"
    "--soft:#45565a;--accent:#0b6467;--accent-strong:#07555a;--on-accent:#fbffff;--bad:#8a1c14;--bad-soft:#"
    "fbe7e3;"
    "--glow:#d5eeec}"
    "@media(prefers-color-scheme:dark){:root{--sunken:#0e1517;--surface:#151f22;--line:#2a3639;--edge:#"
    "6d7a7e;"
    "--ink:#e7ecec;--soft:#b4bebf;--accent:#78c5c0;--accent-strong:#94dad5;--on-accent:#07191b;--bad:#f7bdb3;"
    "--bad-soft:#47201b;--glow:#123236}}"
    "*{box-sizing:border-box}"
    "html{min-height:100%;background:radial-gradient(60rem 40rem at 50% -12rem,var(--glow),transparent 70%) "
    "no-repeat "
    "var(--sunken)}"
    "body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:1.5rem 1rem;"
    "color:var(--ink);font:400 .9375rem/1.45 Inter,system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto "
    "Sans\",sans-serif}"
    "main{width:min(24rem,100%);padding:2.25rem 2rem 2rem;background:var(--surface);border:1px solid "
    "var(--line);"
    "border-radius:1.25rem;box-shadow:0 12px 32px -8px rgb(10 30 34/.18)}"
    "header{text-align:center;margin-bottom:1.5rem}"
    "svg{width:3rem;height:3rem;color:var(--accent)}"
    "h1{margin:.5rem 0 .375rem;font-size:1.5rem;font-weight:650;letter-spacing:-.02em}"
    "p{margin:0;color:var(--soft);overflow-wrap:anywhere}"
    "form{display:grid;gap:.875rem}"
    "label{display:grid;gap:.375rem;font-size:.8125rem;font-weight:550;color:var(--soft)}"
    "input,button{font:inherit;min-height:2.75rem;border-radius:.75rem}"
    "input{width:100%;padding:.5rem .875rem;font-size:.9375rem;color:var(--ink);background:transparent;"
    "border:1px solid var(--edge)}"
    "button{margin-top:.375rem;padding:.5rem "
    "1rem;font-weight:600;color:var(--on-accent);background:var(--accent);"
    "border:0;cursor:pointer}"
    "button:hover{background:var(--accent-strong)}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:2px}"
    "a{color:var(--accent)}"
    "code{font-family:ui-monospace,monospace;font-size:.875em}"
    ".message{margin-bottom:1rem;padding:.625rem .875rem;border-radius:.75rem;color:var(--bad);"
    "background:var(--bad-soft)}"
    ".note{margin-bottom:1.25rem;text-align:center}";

static const char mark[] =
    "<svg viewBox=\"0 0 32 32\" aria-hidden=\"true\"><path d=\"M4.5 9 10.7 23 16 11.8 21.3 23 27.5 9\" "
    "fill=\"none\" "
    "stroke=\"currentColor\" stroke-opacity=\".45\" stroke-width=\"2.2\" stroke-linejoin=\"round\" "
    "stroke-linecap=\"round\"/><g fill=\"currentColor\"><circle cx=\"4.5\" cy=\"9\" r=\"3.1\"/><circle "
    "cx=\"16\" "
    "cy=\"11.8\" r=\"3.1\"/><circle cx=\"27.5\" cy=\"9\" r=\"3.1\"/><circle cx=\"10.7\" cy=\"23\" r=\"3.1\"/>"
    "<circle cx=\"21.3\" cy=\"23\" r=\"3.1\"/></g></svg>";

static char policy[256];

void page_init(void)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];
    crypto_hash_sha256(hash, (const uint8_t *)style, sizeof style - 1);
    sodium_bin2base64(text, sizeof text, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
    snprintf(policy, sizeof policy,
             "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; "
             "frame-ancestors 'none'",
             text);
}

static void begin(struct buffer *page, const char *title, const char *heading)
{
    buffer_init(page, &allocator_libc, PAGE_BYTES_MAX);
    buffer_text(page,
                "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" "
                "content=\"light dark\"><meta name=\"robots\" content=\"noindex\"><title>");
    buffer_text(page, title);
    buffer_text(page, "</title><style>");
    buffer_text(page, style);
    buffer_text(page, "</style></head><body><main><header>");
    buffer_text(page, mark);
    buffer_text(page, "<h1>");
    buffer_text(page, heading);
    buffer_text(page, "</h1>");
}

static void respond(struct wr_request *request, int status, struct buffer *page)
{
    buffer_text(page, "</main></body></html>\n");
    wr_response_header(request, "Content-Security-Policy", policy);
    wr_response_header(request, "Cache-Control", "no-store");
    if (page->failed)
        wr_respond_error(request, 503, "The server is out of memory.");
    else
        wr_respond_bytes(request, status, "text/html; charset=utf-8", page->ptr, page->len);
    buffer_reset(page);
}

void page_login(struct wr_request *request, int status, const char *message)
{
    struct buffer page;
    begin(&page, "Log in", "Log in");
    buffer_text(&page, "<p>This server wants to know who you are.</p></header>");
    if (message) {
        buffer_text(&page, "<p class=\"message\" role=\"alert\">");
        buffer_html(&page, slice_text(message));
        buffer_text(&page, "</p>");
    }
    buffer_text(
        &page,
        "<form method=\"post\" action=\"/login\"><label>Name<input name=\"username\" "
        "autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"32\" required "
        "autofocus></label><label>Password<input name=\"password\" type=\"password\" "
        "autocomplete=\"current-password\" required></label><button type=\"submit\">Log in</button></form>");
    respond(request, status, &page);
}

void page_home(struct wr_request *request, slice name, const char *folder)
{
    struct buffer page;
    begin(&page, "weaprous", "Logged in");
    buffer_text(&page, "<p>as <strong>");
    buffer_html(&page, name);
    buffer_text(&page, "</strong></p></header><p class=\"note\">");
    if (folder) {
        buffer_text(&page, "There is no <code>index.html</code> in the server\'s folder <code>");
        buffer_html(&page, slice_text(folder));
        buffer_text(&page, "</code> yet. Once there is, it is shown here.");
    } else {
        buffer_text(&page, "The server was started without a folder of pages (<code>--www</code>).");
    }
    buffer_text(
        &page,
        "</p><form method=\"post\" action=\"/logout\"><button type=\"submit\">Log out</button></form>");
    respond(request, 200, &page);
}

void page_missing(struct wr_request *request)
{
    struct buffer page;
    begin(&page, "Not found", "Not found");
    buffer_text(&page, "<p>There is nothing at this address.</p></header><p class=\"note\"><a "
                       "href=\"/\">To the first page</a></p>");
    respond(request, 404, &page);
}
