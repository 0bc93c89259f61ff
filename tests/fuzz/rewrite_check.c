#include "rewrite_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/forwarded.h"
#include "http/token.h"
#include "proxy/rewrite.h"

#define EXPECT(truth) expect(truth, #truth, text)

static const struct http_limits limits = {.target_bytes_max = 8192,
                                          .header_bytes_max = 16384,
                                          .header_count_max = 100,
                                          .body_bytes_max = UINT64_MAX};
/* What is written may be longer: by what is added, and by escapes in the path. */
static const struct http_limits limits_out = {.target_bytes_max = 32768,
                                              .header_bytes_max = HTTP_HEAD_BYTES_MAX,
                                              .header_count_max = HTTP_FIELDS_MAX,
                                              .body_bytes_max = UINT64_MAX};

static void expect(bool truth, const char *what, slice text)
{
    if (truth) return;
    fprintf(stderr, "not so: %s, for\n%.*s\n", what, (int)text.len, (const char *)text.ptr);
    abort();
}

/* --- the fields of a head --- */

static slice name_at(slice bytes, const struct http_field *fields, size_t i)
{
    return http_span_slice(bytes, fields[i].name);
}

static size_t count_of(slice bytes, const struct http_field *fields, size_t count, const char *name)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += slice_equal_nocase(name_at(bytes, fields, i), slice_text(name));
    return found;
}

/* The value of the last field of a name. */
static slice value_of(slice bytes, const struct http_field *fields, size_t count, const char *name)
{
    for (size_t i = count; i > 0; i--) {
        if (slice_equal_nocase(name_at(bytes, fields, i - 1), slice_text(name)))
            return http_span_slice(bytes, fields[i - 1].value);
    }
    return SLICE_EMPTY;
}

static bool differs_by_underscore(slice a, const char *name)
{
    bool same = strlen(name) == a.len, underscore = false;
    for (size_t i = 0; same && i < a.len; i++) {
        underscore |= a.ptr[i] == '_';
        same = (a.ptr[i] == '_' ? '-' : a.ptr[i] | 0x20) == (name[i] | 0x20);
    }
    return same && underscore;
}

/* --- requests --- */

static const char *const once[] = {"Host",
                                   "Content-Length",
                                   "Transfer-Encoding",
                                   "Connection",
                                   "TE",
                                   "Upgrade",
                                   "Forwarded",
                                   "X-Forwarded-For",
                                   "X-Forwarded-Proto",
                                   "X-Forwarded-Host",
                                   "X-Forwarded-Port",
                                   "X-Real-IP",
                                   "X-Request-Id",
                                   "X-Set"}; /* the last one only when the location sets it */
static const char *const never[] = {"Keep-Alive", "Proxy-Connection",    "Expect",
                                    "Proxy",      "Proxy-Authorization", "HTTP2-Settings"};

static const struct config_piece set_pieces[] = {{VARIABLE_NONE, "a "},        {VARIABLE_HOST, NULL},
                                                 {VARIABLE_REMOTE_ADDR, NULL}, {VARIABLE_REMOTE_PORT, NULL},
                                                 {VARIABLE_SCHEME, NULL},      {VARIABLE_REQUEST_ID, NULL},
                                                 {VARIABLE_PROXY_HOST, NULL},  {VARIABLE_FORWARDED_FOR, NULL},
                                                 {VARIABLE_HTTP, "cookie"},    {VARIABLE_HTTP, "a"}};
static const struct config_piece proxy_host = {VARIABLE_PROXY_HOST, NULL};
static const struct config_field set_fields[] = {
    {"X-Set", set_pieces, 1}, {"Host", &proxy_host, 1},      {"X_Set", set_pieces, 10},
    {"Accept", NULL, 0},      {"Connection", set_pieces, 1}, {"Content-Length", set_pieces, 1},
    {"X-Real-IP", NULL, 0}};

static struct rewrite_request describe(unsigned options, const struct http_head *head,
                                       const struct config_location *location,
                                       const struct config_server *server)
{
    bool v6 = options & CHECK_V6, trusted = options & CHECK_TRUSTED;
    slice peer = v6 ? SLICE("2001:db8::9") : SLICE("192.0.2.9");
    return (struct rewrite_request){
        .head = head,
        .location = location,
        .server = server,
        .server_authority = SLICE("127.0.0.1:9000"),
        .told_host = options & CHECK_TOLD_HOST ? SLICE("told.example:444") : SLICE_EMPTY,
        .scheme = v6 ? SLICE("https") : SLICE("http"),
        .address = trusted ? SLICE("2001:db8::77") : peer,
        .port = 40000,
        .peer = peer,
        .local_port = 8080,
        .trusted = trusted,
        .trust_forwarded = options & CHECK_TRUST_FORWARDED,
        .request_id = SLICE("0123456789abcdef0123456789abcdef"),
        .pseudonym = SLICE("wr-0011223344556677"),
        .body = head->body,
        .content_length = head->content_length,
        .upgrade = head->upgrade && (options & CHECK_UPGRADE),
    };
}

/* As the worker keeps a head: delimiters become NULs (request_keep_head). */
static uint8_t *kept(slice text, const struct http_head *head)
{
    uint8_t *copy = malloc(text.len ? text.len : 1);
    if (!copy) abort();
    memcpy(copy, text.ptr, text.len);
    size_t path_end = (size_t)head->path.at + head->path.len;
    copy[head->method.at + head->method.len] = 0;
    if (path_end == (size_t)head->target.at + head->target.len || copy[path_end] == '?') copy[path_end] = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        copy[head->fields[i].name.at + head->fields[i].name.len] = 0;
        copy[head->fields[i].value.at + head->fields[i].value.len] = 0;
    }
    return copy;
}

/* The bytes are the caller's. */
static slice written(slice text, struct rewrite_request *in, slice bytes)
{
    in->bytes = bytes;
    in->host = http_span_slice(bytes, in->head->authority);
    size_t bound = rewrite_request_bound(in);
    uint8_t *room = malloc(bound);
    if (!room) abort();
    struct writer out = writer_of(room, bound);
    EXPECT(rewrite_request(in, &out) == OK);
    uint8_t *exact = malloc(out.len); /* so that the sanitizer sees the end */
    if (!exact) abort();
    memcpy(exact, room, out.len);
    free(room);
    return slice_of(exact, out.len);
}

/* What stands behind the path: a query with its '?', or nothing. */
static slice query_of(slice text, const struct http_head *head)
{
    slice target = http_span_slice(text, head->target);
    return slice_sub(target, slice_find(target, '?'), target.len);
}

static void check_target(slice text, const struct rewrite_request *in, slice out,
                         const struct http_head *again)
{
    uint8_t normal[65536];
    size_t len;
    slice path = http_span_slice(out, again->path);
    bool star = slice_equal(path, SLICE("*"));
    EXPECT(again->target.len == path.len + query_of(out, again).len); /* origin form, or "*" */
    EXPECT(slice_equal(query_of(text, in->head), query_of(out, again)) || star);
    EXPECT(rewrite_normal_path(path, normal, &len) == OK);
    if (!in->server->path) {
        bool same = slice_equal(slice_of(normal, len), in->path);
        EXPECT(same || (star && slice_equal(in->path, SLICE("/"))));
    } else {
        EXPECT(star || slice_starts(path, SLICE("/base")));
    }
}

static void check_fields(slice text, const struct rewrite_request *in, slice out,
                         const struct http_head *head)
{
    bool set = in->location->field_count > 0;
    for (size_t i = 0; i < sizeof once / sizeof once[0] - !set; i++)
        EXPECT(count_of(out, head->fields, head->field_count, once[i]) <= 1);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        EXPECT(count_of(out, head->fields, head->field_count, never[i]) == 0);
    for (size_t i = 0; i < head->field_count; i++) {
        slice name = name_at(out, head->fields, i);
        for (size_t k = 0; k + 1 < sizeof once / sizeof once[0]; k++)
            EXPECT(!differs_by_underscore(name, once[k]));
        for (size_t k = 0; k < sizeof never / sizeof never[0]; k++)
            EXPECT(!differs_by_underscore(name, never[k]));
    }
    slice host = value_of(out, head->fields, head->field_count, "Host");
    EXPECT(slice_equal(host, set || in->host.len == 0 ? in->server_authority : in->host));
    EXPECT(count_of(out, head->fields, head->field_count, "X-Real-IP") == !set);
    EXPECT(!set || count_of(out, head->fields, head->field_count, "Accept") == 0);
    EXPECT(count_of(out, head->fields, head->field_count, "X-Request-Id") == 1);
}

/* Who trusts this proxy learns who the client is, whatever that wrote itself. */
static void check_client(slice text, const struct rewrite_request *in, slice out,
                         const struct http_head *head)
{
    uint8_t near[IP_BYTES], expected[IP_BYTES];
    struct ip_network trusted[1];
    const struct http_field *f = head->fields;
    EXPECT(ip_parse(SLICE("10.0.0.1"), near) == OK && ip_parse(in->peer, expected) == OK);
    EXPECT(ip_network_parse(SLICE("10.0.0.1"), trusted) == OK);
    for (int standard = 0; standard < 2; standard++) {
        struct forwarded_fields fields = {
            .kind = standard ? FORWARDED_STANDARD : FORWARDED_X,
            .forwarded = value_of(out, f, head->field_count, "Forwarded"),
            .x_forwarded_for = value_of(out, f, head->field_count, "X-Forwarded-For"),
            .x_forwarded_proto = value_of(out, f, head->field_count, "X-Forwarded-Proto"),
            .x_forwarded_host = value_of(out, f, head->field_count, "X-Forwarded-Host")};
        struct forwarded client;
        forwarded_resolve(&fields, near, trusted, 1, &client);
        EXPECT(client.believed && memcmp(client.address, expected, IP_BYTES) == 0);
        if (in->trusted) continue;
        EXPECT(slice_equal(client.scheme, in->scheme));
        slice host = in->told_host.len ? in->told_host : in->host;
        bool left_out = standard && host.len > 259;
        EXPECT(slice_equal(client.host, left_out ? SLICE_EMPTY : host));
    }
    EXPECT(in->trusted || slice_equal(value_of(out, f, head->field_count, "X-Forwarded-For"), in->peer));
}

static bool parse_request(slice text, const struct http_limits *with, struct http_parser *p, size_t *out_len)
{
    http_parser_init(p, with);
    return http_parser_read(p, text, out_len) == OK;
}

bool rewrite_check_request(slice text, unsigned options)
{
    static struct http_parser first, again;
    size_t len, path_len, again_len = 0;
    if (!parse_request(text, &limits, &first, &len)) return false;
    text = slice_sub(text, 0, len);
    slice path = http_span_slice(text, first.head.path);
    uint8_t *normal = malloc(path.len + 1);
    if (!normal) abort();
    if (rewrite_normal_path(path, normal, &path_len) < 0) {
        free(normal);
        return false;
    }
    bool set = options & CHECK_SET;
    const struct config_group group = {.prefix = "/"};
    struct config_location location = {.prefix = "/",
                                       .group = &group,
                                       .fields = set_fields,
                                       .field_count = set ? sizeof set_fields / sizeof set_fields[0] : 0};
    struct config_server server = {.path = options & CHECK_MOVED ? "/base" : NULL};
    struct rewrite_request in = describe(options, &first.head, &location, &server);
    in.path = slice_of(normal, path_len);

    uint8_t *copy = kept(text, &first.head);
    slice out = written(text, &in, text), from_copy = written(text, &in, slice_of(copy, len));
    in.host = http_span_slice(text, first.head.authority);
    EXPECT(slice_equal(out, from_copy));
    EXPECT(parse_request(out, &limits_out, &again, &again_len) && again_len == out.len);
    EXPECT(slice_equal(http_span_slice(text, first.head.method), http_span_slice(out, again.head.method)));
    EXPECT(again.head.minor == 1 && again.head.keep_alive && !again.head.expects_continue);
    EXPECT(again.head.body == first.head.body && again.head.content_length == first.head.content_length);
    EXPECT(!again.head.upgrade || in.upgrade);
    EXPECT(rewrite_loops(&again.head, out, in.pseudonym));
    check_target(text, &in, out, &again.head);
    check_fields(text, &in, out, &again.head);
    check_client(text, &in, out, &again.head);
    free((void *)(uintptr_t)from_copy.ptr);
    free((void *)(uintptr_t)out.ptr);
    free(copy);
    free(normal);
    return true;
}

/* --- answers --- */

/* As the forwarder chooses. */
static enum answer_framing framing_of(enum http_body body, bool old)
{
    switch (body) {
    case HTTP_BODY_NONE: return ANSWER_FRAMING_NONE;
    case HTTP_BODY_LENGTH: return ANSWER_FRAMING_LENGTH;
    case HTTP_BODY_CHUNKED:
    case HTTP_BODY_UNTIL_CLOSE: break;
    }
    return old ? ANSWER_FRAMING_CLOSE : ANSWER_FRAMING_CHUNKED;
}

static bool parse_answer(slice text, const struct http_limits *with, unsigned options,
                         struct http_response_parser *p, size_t *out_len)
{
    http_response_parser_init(p, with, options & CHECK_HEAD ? HTTP_REQUEST_HEAD : HTTP_REQUEST_USUAL);
    return http_response_parser_read(p, text, out_len) == OK;
}

static void check_answer_fields(slice text, const struct rewrite_answer *in, slice out,
                                const struct http_response_head *head)
{
    const struct http_field *f = head->fields;
    size_t count = head->field_count,
           dates = count_of(in->bytes, in->head->fields, in->head->field_count, "Date");
    EXPECT(count_of(out, f, count, "Content-Length") <= 1);
    EXPECT(count_of(out, f, count, "Connection") <= 1);
    EXPECT(count_of(out, f, count, "Keep-Alive") == 0);
    EXPECT(count_of(out, f, count, "X-Request-Id") == 1);
    EXPECT(count_of(out, f, count, "Date") == (dates ? dates : 1));
    EXPECT(slice_equal(value_of(out, f, count, "Set-Cookie"), SLICE("ours=1")));
}

bool rewrite_check_answer(slice text, unsigned options)
{
    static struct http_response_parser first, again;
    size_t len, again_len = 0;
    if (!parse_answer(text, &limits, options, &first, &len)) return false;
    text = slice_sub(text, 0, len);
    bool old = options & CHECK_OLD;
    struct rewrite_answer in = {.head = &first.head,
                                .bytes = text,
                                .framing = framing_of(first.head.body, old),
                                .upgrade = first.head.tunnel,
                                .date = SLICE("Fri, 20 Nov 2026 13:00:00 GMT"),
                                .request_id = SLICE("id-1"),
                                .fields = SLICE("Set-Cookie: ours=1\r\n")};
    in.close = options & CHECK_CLOSE || in.framing == ANSWER_FRAMING_CLOSE;
    in.keep_alive = old && !in.close;
    size_t bound = rewrite_answer_bound(&in);
    uint8_t *room = malloc(bound);
    if (!room) abort();
    struct writer w = writer_of(room, bound);
    EXPECT(rewrite_answer(&in, &w) == OK);
    slice out = writer_slice(&w);
    EXPECT(parse_answer(out, &limits_out, options, &again, &again_len) && again_len == out.len);
    EXPECT(again.head.status == first.head.status);
    EXPECT(slice_equal(http_span_slice(out, again.head.reason), http_span_slice(text, first.head.reason)));
    enum http_body body = first.head.body == HTTP_BODY_NONE || first.head.body == HTTP_BODY_LENGTH
                              ? first.head.body
                              : (old ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED);
    EXPECT(again.head.body == body);
    EXPECT(body != HTTP_BODY_LENGTH || again.head.content_length == first.head.content_length);
    EXPECT(again.head.keep_alive == (!in.close && !first.head.tunnel));
    check_answer_fields(text, &in, out, &again.head);
    free(room);
    return true;
}
