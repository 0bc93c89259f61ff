/* What is wrong with a configuration is told with its place, and all of it at once. */
#include "config_kit.h"

/* Texts between "host a {" on line 1 and "}", for brevity, when `within` is set. */
struct case_ {
    bool within;
    const char *text, *said;
};

static void check(const struct case_ *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[4096];
        snprintf(text, sizeof text, cases[i].within ? "host a {\n%s\nproxy_pass http://x; }" : "%s",
                 cases[i].text);
        const char *said = kit_problems(slice_text(text));
        if (strcmp(said, cases[i].said) != 0)
            fail_msg("of\n%s\nis said\n%sexpected\n%s", text, said, cases[i].said);
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases)[0])

#define GOOD "host a { proxy_pass http://x; }\n"

static void a_file_that_says_nothing(void **state)
{
    (void)state;
    static const char nothing[] =
        "1:1: error: the file names no host: expected at least host \"$HOST:8080\" { "
        "proxy_pass http://$HOST:9000; }\n";
    static const struct case_ cases[] = {
        {false, "", nothing},
        {false, "\xEF\xBB\xBF", nothing},
        {false, " \n\t\r\n# only a comment", nothing},
        {false, "retries 3;\n", nothing},
        {false, ";;", nothing},
        {false, "\xFF\xFEh\0", "1:1: error: the file is UTF-16: save it as UTF-8\n"},
        {false, "\xFE\xFF", "1:1: error: the file is UTF-16: save it as UTF-8\n"},
    };
    CHECK(cases);
}

static void blocks_and_semicolons(void **state)
{
    (void)state;
    static const struct case_ cases[] = {
        {false, "host a {\n  proxy_pass http://x;\n",
         "1:1: error: the block that begins here is not closed: expected \"}\" before the end of the file\n"},
        {false, "host a {\n  proxy_pass http://x;\n  path /b {\n    retries 1;\n}\n",
         "1:1: error: the block that begins here is not closed: expected \"}\" before the end of the file\n"},
        {false, "host a {\n  proxy_pass http://x;\nhost b {\n  proxy_pass http://y;\n}\n",
         "3:1: error: expected \"}\" before \"host\": the block \"host\" that begins on line 1 is not "
         "closed\n"},
        {false,
         "host a {\n proxy_pass http://x;\n path /a {\n path /b {\n }\n}\nhost b { proxy_pass http://x; }",
         "4:2: error: expected \"}\" before \"path\": the block \"path\" that begins on line 3 is not "
         "closed\n"},
        {false, "host a {\n proxy_pass http://x;\n path /a {\nhost b {\n  proxy_pass http://y;\n}\n",
         "4:1: error: expected \"}\" before \"host\": the block \"path\" that begins on line 3 is not "
         "closed\n"},
        {false, "host a {\n proxy_pass http://x;\n host b { proxy_pass http://y; }\n}\n",
         "3:2: error: expected \"}\" before \"host\": the block \"host\" that begins on line 1 is not "
         "closed\n"},
        {false, GOOD "}\n", "2:1: error: there is no block that this \"}\" could close\n"},
        {false, GOOD "{ retries 2; }\n", "2:1: error: expected a directive before \"{\"\n"},
        {false, "host a\nproxy_pass http://x;\n}\n" GOOD,
         "1:7: error: expected \"{\" after \"a\"\n"
         "2:1: error: \"proxy_pass\" cannot stand at the top of the file: expected it in a host\n"
         "3:1: error: there is no block that this \"}\" could close\n"},
        {false, GOOD "host b;", "2:7: error: expected \"{\" after \"b\"\n"},
        {false, GOOD "host", "2:5: error: expected \"{\" after \"host\"\n"},
        {false, GOOD "host { }",
         "2:1: error: this host has no proxy_pass: expected at least one, as in "
         "proxy_pass http://127.0.0.1:9000;\n"
         "2:5: error: expected host NAME ... { ... }\n"},
        {true, "retries 1", "2:10: error: expected \";\" after \"1\"\n"},
        {true, "retries 1 }\nhost b {",
         "1:1: error: this host has no proxy_pass: expected at least one, as in "
         "proxy_pass http://127.0.0.1:9000;\n"
         "2:10: error: expected \";\" after \"1\"\n"},
        {true, "retries\n",
         "2:8: error: expected \";\" after \"retries\"\n"
         "2:8: error: expected retries N; or off\n"},
        {true, "retries 1\n  blabla 2;", "2:10: error: expected \";\" after \"1\"\n"},
        {true, "proxy_pass http://y\n  blabla 2;", "2:20: error: expected \";\" after \"http://y\"\n"},
        {true, "retries 1 { }", "2:11: error: expected \";\": \"retries\" is not a block\n"},
        {false, GOOD "retries 1", "2:10: error: expected \";\" after \"1\"\n"},
        {true, "path /a { retries 2 }", "2:20: error: expected \";\" after \"2\"\n"},
    };
    CHECK(cases);
}

static void words(void **state)
{
    (void)state;
    static const struct case_ cases[] = {
        {true, "proxy_set_header A \"open;",
         "2:20: error: the quote that opens here is not closed on its line\n"},
        {false, "host \"a {\n proxy_pass http://x; }",
         "1:6: error: the quote that opens here is not closed on its line\n"},
        {true, "proxy_set_header A \"b\\n\";",
         "2:22: error: expected \\\", \\' or \\\\: write \\\\ for a single "
         "backslash\n"},
        {true, "proxy_set_header A \"b\"c;",
         "2:23: error: expected a space after the quote that closes here\n"},
        {true, "proxy_set_header A it's;",
         "2:22: error: a quote cannot stand within a word: put the whole word into "
         "quotes\n"},
        {true,
         "proxy_set_header A \xE2\x80\x9C"
         "b\xE2\x80\x9D;",
         "2:20: error: this is a typographic quote: write \" in its place\n"},
        {true,
         "proxy_set_header\xC2\xA0"
         "A b;",
         "2:17: error: this is not a usual space: write one in its place\n"},
        {true,
         "proxy_set_header A \xE2\x80\x8B"
         "b;",
         "2:20: error: there is an invisible character here\n"},
        {true, "proxy_set_header A \xE9;",
         "2:20: error: this is not UTF-8: save the file with that encoding\n"},
        {true, "proxy_set_header A \"\xC3\xA9\x01\";",
         "2:22: error: a control character cannot stand here\n"},
        {true, "proxy_set_header A {{NAME}};", "2:20: error: only {{HOST}} is known between two braces\n"},
        {true, "proxy_set_header A a${b;", "2:21: error: expected a variable as in \"${host}\"\n"},
        {true, "proxy_set_header A ${};", "2:20: error: expected a variable as in \"${host}\"\n"},
    };
    CHECK(cases);
}

static void directives(void **state)
{
    (void)state;
    static const struct case_ cases[] = {
        {true, "proxy_pas http://y;",
         "2:1: error: unknown directive \"proxy_pas\": did you mean \"proxy_pass\"?\n"},
        {true, "Retries 1;", "2:1: error: unknown directive \"Retries\": did you mean \"retries\"?\n"},
        {true, "xyzzy 1;", "2:1: error: unknown directive \"xyzzy\"\n"},
        {true, "xyzzy { retries a; path / { } }", "2:1: error: unknown directive \"xyzzy\"\n"},
        {true, "location / { }",
         "2:1: error: unknown directive \"location\": write path \"/prefix\" { ... }\n"},
        {false, "files.example { proxy_pass http://a; }",
         "1:1: error: unknown directive \"files.example\": a host is host \"name\" { ... }\n"},
        {true, "reverse_proxy a:1;",
         "2:1: error: unknown directive \"reverse_proxy\": write proxy_pass http://...\n"},
        {true, "\"retries\" 1;", "2:1: error: unknown directive \"retries\": write it without quotes\n"},
        {false, "server {\n listen 80;\n",
         "1:1: error: the block that begins here is not closed: expected \"}\"\n"
         "1:1: error: unknown directive \"server\": here a block is host \"name\" { ... }, and a server is "
         "proxy_pass http://...\n"},
        {true, "retries = 3;", "2:9: error: there is no \"=\" here: expected retries N; or off\n"},
        {false, "host = a { proxy_pass http://x; }",
         "1:6: error: there is no \"=\" here: expected host NAME ... { ... }\n"},
        {true, "retries=3;", "2:1: error: unknown directive \"retries=3\": write a space for the \"=\"\n"},
        {true, "retries: 3;", "2:1: error: unknown directive \"retries:\": did you mean \"retries\"?\n"},
        {true, "listen 80;",
         "2:1: error: \"listen\" cannot stand in a host: expected it at the top of the file\n"},
        {true, "path /a { listen 80; }",
         "2:11: error: \"listen\" cannot stand in a path: expected it at the top of the file\n"},
        {false, GOOD "proxy_pass http://x;",
         "2:1: error: \"proxy_pass\" cannot stand at the top of the file: expected it in a host\n"},
        {false, GOOD "path /a { }",
         "2:1: error: \"path\" cannot stand at the top of the file: expected it in a host\n"},
        {true, "retries 1; buffer 8k; retries 2;",
         "2:23: error: \"retries\" is set twice: the first time on line 2\n"},
        {true, "retries;", "2:8: error: expected retries N; or off\n"},
        {true, "retries 1 2;", "2:11: error: expected retries N; or off\n"},
        {true, "proxy_set_header A;", "2:19: error: expected proxy_set_header NAME VALUE;\n"},
        {true, "path { }", "2:5: error: expected path PREFIX { ... }\n"},
        {true, "path /a /b { }", "2:9: error: expected path PREFIX { ... }\n"},
        {true, "path /a { queue 5; keepalive 3; }",
         "2:11: error: \"queue\" is about servers, but this path has no proxy_pass of its own\n"
         "2:20: error: \"keepalive\" is about servers, but this path has no proxy_pass of its own\n"},
        {false, "host a { retries 1; }",
         "1:1: error: this host has no proxy_pass: expected at least one, as in "
         "proxy_pass http://127.0.0.1:9000;\n"},
        {false, "host a { path /b { } }",
         "1:10: error: path \"/b\" has no proxy_pass, and its host has none either\n"},
        {true, "path / { proxy_pass http://y; }",
         "1:1: warning: no request reaches the servers of this host: its "
         "paths have servers of their own\n"},
    };
    CHECK(cases);
}

static void values(void **state)
{
    (void)state;
#define NO_CHECK_PATH                                                                                        \
    "error: health_check path: expected a path that begins with \"/\", other characters than those of URLs " \
    "percent-encoded\n"
    static const struct case_ cases[] = {
        {true, "retries many;", "2:9: error: retries: expected a number, not \"many\"\n"},
        {true, "retries 64;", "2:9: error: retries: 64 is not between 0 and 63\n"},
        {true, "retries 99999999999999999999999;",
         "2:9: error: retries: 99999999999999999999999 is not between 0 and 63\n"},
        {true, "retries -1;", "2:9: error: retries: expected a number, not \"-1\"\n"},
        {true, "timeout read=3;",
         "2:14: error: timeout read: expected a time with a unit (ms, s, m, h, d), as in 10s, "
         "not \"3\"\n"},
        {true, "timeout read=;",
         "2:14: error: timeout read: expected a time with a unit (ms, s, m, h, d), as in 10s, "
         "not \"\"\n"},
        {true, "timeout read 3x;",
         "2:14: error: timeout read: expected a time with a unit (ms, s, m, h, d), as in "
         "10s, not \"3x\"\n"},
        {true, "timeout connect=0s;", "2:17: error: timeout connect: 0s is not between 1ms and 1h\n"},
        {true, "timeout idle=31d;", "2:14: error: timeout idle: 31d is not between 1ms and 30d\n"},
        {true, "timeout read;",
         "2:9: error: timeout read: expected a value, as in timeout connect=TIME read=TIME "
         "send=TIME idle=TIME;\n"},
        {true, "timeout raed=3s;",
         "2:9: error: timeout: \"raed\" is not known here: did you mean \"read\"?\n"},
        {true, "timeout 3s;",
         "2:9: error: timeout: \"3s\" is not known here: expected timeout connect=TIME read=TIME "
         "send=TIME idle=TIME;\n"},
        {true, "timeout read=3s;\ntimeout \"read=4s\";",
         "3:9: error: timeout read is set twice: the first time on line 2\n"},
        {true, "max_body 3kb;",
         "2:10: error: max_body: expected bytes, or a size with a unit (k, m, g), as in 64k, "
         "not \"3kb\"\n"},
        {true, "buffer 1k;", "2:8: error: buffer: 1k is not between 4k and 16m\n"},
        {false, GOOD "max_header 64k;", "2:12: error: max_header: 64k is not between 1k and 63k\n"},
        {false, GOOD "max_connections 0;", "2:17: error: max_connections: 0 is not between 1 and 10000000\n"},
        {true, "rate_limit 10;",
         "2:12: error: rate_limit: expected requests in a time, as in 10/s or 30/m, not "
         "\"10\"\n"},
        {true, "rate_limit 0/s;", "2:12: error: rate_limit: 0 is not between 1 and 1000000\n"},
        {true, "rate_limit 1/s brust=3;",
         "2:16: error: rate_limit: \"brust\" is not known here: did you mean \"burst\"?\n"},
        {true, "health_check path=healthz;", "2:19: " NO_CHECK_PATH},
        {true, "health_check \"path=/a b\";", "2:20: " NO_CHECK_PATH},
        {true, "health_check host=a/b;", "2:19: error: health_check host: expected a name, or name:port\n"},
        {true, "health_check fall=0;", "2:19: error: health_check fall: 0 is not between 1 and 1000\n"},
        {true, "circuit_breaker 5;",
         "2:17: error: circuit_breaker: \"5\" is not known here: expected circuit_breaker "
         "fails=N pause=TIME; or off\n"},
        {true, "queue off timeout=3s;", "2:7: error: queue: expected a number, not \"off\"\n"},
        {true, "dist_policy ip-hash x;", "2:21: error: dist_policy ip-hash has no arguments\n"},
        {true, "dist_policy sticky cookie=\"a b\"",
         "2:27: error: dist_policy: \"a b\" cannot be the name of a cookie\n"},
        {true, "dist_policy sticky cookie=",
         "2:27: error: dist_policy cookie: expected something after the \"=\"\n"},
        {true, "proxy_tls verify;",
         "2:11: error: proxy_tls: expected trust=FILE, system or insecure, not \"verify\"\n"},
        {true, "proxy_tls trust=;",
         "2:11: error: proxy_tls: expected trust=FILE, system or insecure, not \"trust=\"\n"},
        {false, GOOD "access_log a.log format=xml;",
         "2:25: error: access_log format: expected combined or json, not \"xml\"\n"},
        {false, GOOD "access_log \"\";", "2:12: error: access_log: expected a file, \"-\" or off\n"},
        {false, GOOD "trusted_proxies 10.0.0.0/8 10.0.0.1/8;",
         "2:28: error: trusted_proxies: \"10.0.0.1/8\" is not an address or network, as in 10.0.0.0/8\n"},
        {false, GOOD "trusted_proxies fields=forwarded;",
         "2:1: error: trusted_proxies: expected a network\n"},
        {false, GOOD "trusted_proxies ::1 fields=all;",
         "2:28: error: trusted_proxies fields: expected forwarded or x-forwarded, not \"all\"\n"},
    };
    CHECK(cases);
}

static void servers_and_listeners(void **state)
{
    (void)state;
#define NO_URL(text)                                                                                         \
    "error: proxy_pass: expected a URL as in http://127.0.0.1:9000 or https://name, not \"" text "\"\n"
    static const struct case_ cases[] = {
        {true, "proxy_pass 127.0.0.1:9000;",
         "2:12: error: proxy_pass: expected a URL: did you mean "
         "\"http://127.0.0.1:9000\"?\n"},
        {true, "proxy_pass ftp://y;", "2:12: " NO_URL("ftp://y")},
        {true, "proxy_pass http://;", "2:12: " NO_URL("http://")},
        {true, "proxy_pass http://y:0;", "2:12: " NO_URL("http://y:0")},
        {true, "proxy_pass http://y:99999;", "2:12: " NO_URL("http://y:99999")},
        {true, "proxy_pass http://me@y;", "2:12: " NO_URL("http://me@y")},
        {true, "proxy_pass wss://y;",
         "2:12: error: proxy_pass: write https://: WebSockets pass through it by themselves\n"},
        {true, "proxy_pass http://y/?a=b;",
         "2:12: error: proxy_pass: the URL of a server has no query and no "
         "fragment\n"},
        {true, "proxy_pass http://y/#a;",
         "2:12: error: proxy_pass: the URL of a server has no query and no "
         "fragment\n"},
        {true, "proxy_pass http://300.1.1.1;",
         "2:12: error: \"http://300.1.1.1\" is not the name of a host or an address\n"},
        {true, "proxy_pass http://$host;",
         "2:12: error: variables are known in proxy_set_header only, besides $HOST: "
         "write $$ for a single $\n"},
        {true, "proxy_pass http://y weight=0;",
         "2:28: error: proxy_pass weight: 0 is not between 1 and 1000\n"},
        {true, "proxy_pass http://y weigth=2;",
         "2:21: error: proxy_pass: \"weigth\" is not known here: did you mean \"weight\"?\n"},
        {true, "proxy_pass http://y backup=yes;", "2:21: error: proxy_pass backup has no value\n"},
        {true, "proxy_pass http://y weight;",
         "2:21: error: proxy_pass weight: expected a value, as in proxy_pass URL "
         "[weight=N] [max_conns=N] [backup];\n"},
        {true, "proxy_pass http://y;\nproxy_pass http://y backup;",
         "3:12: error: proxy_pass: line 2 names this server already, in another way\n"},
        {false, GOOD "listen;",
         "2:7: error: expected listen ADDRESS:PORT [cert=FILE key=FILE ...] "
         "[redirect=https[:PORT]];\n"},
        {false, GOOD "listen localhost:80;",
         "2:8: error: listen: expected an IP address and a port, as in "
         "127.0.0.1:8080, [::]:80 or 8080, not \"localhost:80\"\n"},
        {false, GOOD "listen ::1:80;",
         "2:8: error: listen: expected an IP address and a port, as in "
         "127.0.0.1:8080, [::]:80 or 8080, not \"::1:80\"\n"},
        {false, GOOD "listen [127.0.0.1]:80;",
         "2:8: error: listen: expected an IP address and a port, as in "
         "127.0.0.1:8080, [::]:80 or 8080, not \"[127.0.0.1]:80\"\n"},
        {false, GOOD "listen 127.0.0.1;", "2:8: error: listen port: expected a number, not \"127.0.0.1\"\n"},
        {false, GOOD "listen 127.0.0.1:0;", "2:18: error: listen port: 0 is not between 1 and 65535\n"},
        {false, GOOD "listen 80; listen 0.0.0.0:80;", "2:19: error: listen: line 2 listens there already\n"},
        {false, GOOD "listen 80 ssl;",
         "2:11: error: listen: expected cert=FILE, key=FILE or redirect=https, not "
         "\"ssl\"\n"},
        {false, GOOD "listen 80 key=a;", "2:11: error: listen: expected cert=FILE before its key=FILE\n"},
        {false, GOOD "listen 80 cert=a key=b key=c;",
         "2:24: error: listen: expected cert=FILE before its key=FILE\n"},
        {false, GOOD "listen 80 redirect=http;",
         "2:20: error: listen: expected redirect=https or redirect=https:PORT, not \"http\"\n"},
        {false, GOOD "listen 80 redirect=https:x;",
         "2:26: error: listen port: expected a number, not \"x\"\n"},
        {false, GOOD "listen 80 cert=a redirect=https;",
         "2:1: error: listen: either cert=FILE or redirect=https, not both\n"},
    };
    CHECK(cases);
}

static void hosts_and_paths(void **state)
{
    (void)state;
#define IN(names) "host " names " { proxy_pass http://x; }"
#define ALL_ADDRESSES(text)                                                                                  \
    "1:6: warning: " text " means all addresses, but people open one: write that, or give it with --host "   \
    "when this is $HOST\n"
#define NO_NAME(at, text) "1:" at ": error: \"" text "\" is not the name of a host or an address\n"
    static const struct case_ cases[] = {
        {false, IN("\"\""), "1:6: error: host: expected the name of a host between the quotes\n"},
        {false, IN("a,b"), "1:6: error: host: host names are separated by spaces, without commas\n"},
        {false, IN("\"a\":8080"), "1:9: error: expected a space after the quote that closes here\n"},
        {false, IN("http://a"),
         "1:6: error: host: expected the name of a host, without http:// and without a path\n"},
        {false, IN("*"), "1:6: error: host: write default for requests that no other host takes\n"},
        {false, IN("\xC3\xA9.example"),
         "1:6: error: host: write the name as browsers send it, in its ASCII form (xn--...)\n"},
        {false, IN("a b..c"), NO_NAME("8", "b..c")},
        {false, IN("a*"), NO_NAME("6", "a*")},
        {false, IN("*."), NO_NAME("6", "*.")},
        {false, IN("\"a b\""), NO_NAME("6", "a b")},
        {false, IN("[::1"), NO_NAME("6", "[::1")},
        {false, IN("[::1]x"), NO_NAME("6", "[::1]x")},
        {false, IN("1.2.3"), NO_NAME("6", "1.2.3")},
        {false, IN("a:"), "1:8: error: host port: expected a number, not \"\"\n"},
        {false, IN("a:0"), "1:8: error: host port: 0 is not between 1 and 65535\n"},
        {false, IN("*.a:x"), "1:10: error: host port: expected a number, not \"x\"\n"},
        {false, IN("$host"),
         "1:6: error: variables are known in proxy_set_header only, besides $HOST: write $$ for a "
         "single $\n"},
        {false, IN("0.0.0.0:8080"), ALL_ADDRESSES("0.0.0.0")},
        {false, IN("[0::0]"), ALL_ADDRESSES("[::]")},
        {false, IN("a A"), "1:8: warning: \"a\" is named twice\n"},
        {true, "path a { }", "2:6: error: path: expected a path that begins with \"/\"\n"},
        {true, "path \"\" { }", "2:6: error: path: expected a path that begins with \"/\"\n"},
        {true, "path /a?b { }", "2:6: error: path: a path has no query and no fragment\n"},
        {true, "path /a//b { }", "2:6: error: path: a path has no \"//\" in it\n"},
        {true, "path /a/../b { }", "2:6: error: path: a path has no \".\" and no \"..\" in it\n"},
        {true, "path /a/. { }", "2:6: error: path: a path has no \".\" and no \"..\" in it\n"},
        {true, "path /a { }\npath \"/a\" { }",
         "3:6: error: path \"/a\" is set twice: the first time on line 2\n"},
        {true, "path /a%20b { }",
         "2:6: warning: path: paths are compared without %-escapes: write the characters "
         "themselves\n"},
    };
    CHECK(cases);
}

static void fields(void **state)
{
    (void)state;
#define OURS(at, name)                                                                                       \
    "2:" at ": error: proxy_set_header: " name " is about a single connection: the proxy writes it itself\n"
    static const struct case_ cases[] = {
        {true, "proxy_set_header content-length 3;", OURS("18", "Content-Length")},
        {true, "proxy_set_header Transfer-Encoding \"\";", OURS("18", "Transfer-Encoding")},
        {true, "proxy_set_header TE gzip;", OURS("18", "TE")},
        {true, "proxy_set_header Keep-Alive 3;", OURS("18", "Keep-Alive")},
        {true, "proxy_set_header Expect \"\";", OURS("18", "Expect")},
        {true, "proxy_set_header Via me;",
         "2:18: error: proxy_set_header: Via is written by the proxy itself, which "
         "knows loops by it\n"},
        {true, "proxy_set_header Host \"\";", "2:23: error: proxy_set_header: servers need a Host\n"},
        {true, "proxy_set_header \"X A\" b;",
         "2:18: error: proxy_set_header: \"X A\" cannot be the name of a field\n"},
        {true, "proxy_set_header X: b;",
         "2:18: error: proxy_set_header: \"X:\" cannot be the name of a field\n"},
        {true, "proxy_set_header X a;\nproxy_set_header x b;",
         "3:18: error: proxy_set_header x is set twice: the first time on line 2\n"},
        {true, "proxy_set_header X $remote_add;",
         "2:20: error: there is no variable $remote_add: did you mean "
         "$remote_addr?\n"},
        {true, "proxy_set_header X $HOSTNAME;",
         "2:20: error: there is no variable $HOSTNAME: known are $host, "
         "$remote_addr, $scheme and others\n"},
        {true, "proxy_set_header X $http_;",
         "2:20: error: there is no variable $http_: known are $host, "
         "$remote_addr, $scheme and others\n"},
        {true, "proxy_set_header X \"5 $\";",
         "2:20: error: expected the name of a variable after \"$\": write $$ for "
         "a single $\n"},
    };
    CHECK(cases);
}

/* --- many problems, and how they are shown --- */

static void all_problems_are_told_up_to_a_limit(void **state)
{
    (void)state;
    static char text[64 * 200];
    static struct config_problem problems[CONFIG_PROBLEMS_MAX];
    const struct config_options options = {.name = "x"};
    struct config *config = NULL;
    size_t len = 0, count;
    for (int i = 0; i < 60; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "host h { proxy_pass http://x; }\n");
    len += (size_t)snprintf(text + len, sizeof text - len, "retries no;\n");
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "proxy_set_header Via no;\n");
    assert_int_equal(config_read(slice_of(text, len), &options, &config, problems, &count), ERR_MALFORMED);
    assert_int_equal(count, 59 + 1 + 100);
    size_t errors = 0;
    for (size_t i = 0; i < CONFIG_PROBLEMS_MAX; i++)
        errors += !problems[i].warning;
    assert_int_equal(errors, CONFIG_PROBLEMS_MAX); /* warnings make room for them */
    assert_int_equal(problems[0].line, 61);
    assert_string_equal(problems[0].text, "retries: expected a number, not \"no\"");
    assert_int_equal(problems[1].line, 62);
}

static void assert_shown(const char *text, unsigned line, unsigned column, const char *expected)
{
    const struct config_options options = {.name = "a.conf"};
    const struct config_problem problem = {.line = line, .column = column, .text = "no"};
    struct buffer out;
    buffer_init(&out, &allocator_libc, 4096);
    config_problem_write(&out, &options, slice_text(text), &problem);
    buffer_byte(&out, 0);
    assert_false(out.failed);
    assert_string_equal((const char *)out.ptr, expected);
    buffer_reset(&out);
}

static void the_line_is_shown_with_a_mark(void **state)
{
    (void)state;
    assert_shown("one\ntwo three\n", 2, 5, "a.conf:2:5: error: no\n    two three\n        ^\n");
    assert_shown("one\r\ntwo three\r\n", 2, 10, "a.conf:2:10: error: no\n    two three\n             ^\n");
    assert_shown("\ta\tb;", 1, 4, "a.conf:1:4: error: no\n    \ta\tb;\n    \t \t^\n");
    assert_shown("\xEF\xBB\xBF\xC3\xA9\xC3\xA9x", 1, 3,
                 "a.conf:1:3: error: no\n    \xC3\xA9\xC3\xA9x\n      ^\n");
    assert_shown("", 1, 1, "a.conf:1:1: error: no\n    \n    ^\n");
    assert_shown("a\x1B[31m\x7F\xFF\xE2\x80\xAE"
                 "b",
                 1, 1, "a.conf:1:1: error: no\n    a?[31m???b\n    ^\n");
    char text[1001], expected[400];
    memset(text, 'x', 1000);
    text[1000] = 0;
    text[499] = '!';
    snprintf(expected, sizeof expected, "a.conf:1:500: error: no\n    ...%.50s!%.49s...\n    %53s^\n", text,
             text, "");
    assert_shown(text, 1, 500, expected);
}

static void words_in_messages_are_short_and_clean(void **state)
{
    (void)state;
    char text[400] = "host a { retries \"\t", *end = text + strlen(text);
    memset(end, 'y', 200);
    snprintf(end + 200, 100, "\"; proxy_pass http://x; }");
    assert_string_equal(kit_problems(slice_text(text)),
                        "1:18: error: retries: expected a number, not "
                        "\"?yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...\"\n");
}

/* --- limits --- */

static void limits_are_told(void **state)
{
    (void)state;
    static char text[CONFIG_BYTES_MAX + 64];
    memset(text, ' ', sizeof text);
    memcpy(text, GOOD, strlen(GOOD));
    config_free(kit_config_with(slice_of(text, CONFIG_BYTES_MAX), 0));
    assert_string_equal(kit_problems(slice_of(text, CONFIG_BYTES_MAX + 1)),
                        "1:1: error: the file is larger than 1 MiB\n");

    size_t len = (size_t)snprintf(text, sizeof text, "host a {\n");
    for (int i = 0; i <= CONFIG_SERVERS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "proxy_pass http://x:%d;\n", 9000 + i);
    text[len++] = '}';
    assert_string_equal(kit_problems(slice_of(text, len)),
                        "66:1: error: proxy_pass: more than 64 servers in one block\n");

    len = (size_t)snprintf(text, sizeof text, GOOD);
    for (int i = 0; i <= 64; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "listen %d;\n", 9000 + i);
    assert_string_equal(kit_problems(slice_of(text, len)), "66:1: error: listen: more than 64 listeners\n");

    len = (size_t)snprintf(text, sizeof text, GOOD);
    for (int i = 0; i <= 64; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "proxy_set_header X%d y;\n", i);
    assert_string_equal(kit_problems(slice_of(text, len)),
                        "66:1: error: proxy_set_header: more than 64 fields\n");

    len = (size_t)snprintf(text, sizeof text, "host a { proxy_pass http://x;\n");
    for (int i = 0; i <= 256; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "path /%d { }\n", i);
    text[len++] = '}';
    assert_string_equal(kit_problems(slice_of(text, len)), "258:1: error: path: more than 256 in one host\n");

    len = (size_t)snprintf(text, sizeof text, GOOD "trusted_proxies\n");
    for (int i = 0; i <= 256; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "10.0.%d.%d\n", i / 256, i % 256);
    text[len++] = ';';
    assert_string_equal(kit_problems(slice_of(text, len)),
                        "259:1: error: trusted_proxies: more than 256 networks\n");

    len = (size_t)snprintf(text, sizeof text, "host\n");
    for (int i = 0; i <= 1024; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "h%d\n", i);
    len += (size_t)snprintf(text + len, sizeof text - len, "{ proxy_pass http://x; }");
    assert_string_equal(kit_problems(slice_of(text, len)),
                        "1026:1: error: \"host\" has more than 1024 arguments\n");

    len = (size_t)snprintf(text, sizeof text, GOOD "access_log ");
    memset(text + len, 'a', 8193);
    text[len + 8193] = ';';
    assert_string_equal(kit_problems(slice_of(text, len + 8194)),
                        "2:12: error: this word is longer than 8 KiB\n");

    len = (size_t)snprintf(text, sizeof text, GOOD "proxy_set_header X ");
    memset(text + len, 'a', 4097);
    text[len + 4097] = ';';
    assert_string_equal(kit_problems(slice_of(text, len + 4098)),
                        "2:20: error: proxy_set_header: the value is longer than 4096 bytes\n");
}

static void a_host_must_be_known_to_stand_for(void **state)
{
    (void)state;
    static struct config_problem problems[CONFIG_PROBLEMS_MAX];
    const struct config_options options = {.name = "x", .host = NULL};
    struct config *config = NULL;
    size_t count;
    assert_int_equal(
        config_read(SLICE("host $HOST { proxy_pass http://x; }"), &options, &config, problems, &count),
        ERR_MALFORMED);
    assert_int_equal(count, 1);
    assert_string_equal(problems[0].text, "no address is known that $HOST could stand for");
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_says_nothing),
        cmocka_unit_test(blocks_and_semicolons),
        cmocka_unit_test(words),
        cmocka_unit_test(directives),
        cmocka_unit_test(values),
        cmocka_unit_test(servers_and_listeners),
        cmocka_unit_test(hosts_and_paths),
        cmocka_unit_test(fields),
        cmocka_unit_test(all_problems_are_told_up_to_a_limit),
        cmocka_unit_test(the_line_is_shown_with_a_mark),
        cmocka_unit_test(words_in_messages_are_short_and_clean),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(a_host_must_be_known_to_stand_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
