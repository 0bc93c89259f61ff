/* Configurations that are right: the classic files, and each directive. */
#include "config_kit.h"

static const struct config_host *host_of(const struct config *config, const char *authority)
{
    const struct config_host *host = config_find_host(config, slice_text(authority), false);
    assert_non_null(host);
    return host;
}

static const struct config_location *at(const struct config *config, const char *authority, const char *path)
{
    const struct config_location *location =
        config_find_location(host_of(config, authority), slice_text(path));
    assert_non_null(location);
    return location;
}

static void assert_server(const struct config_location *location, size_t i, const char *host, unsigned port)
{
    assert_true(i < location->group->server_count);
    assert_string_equal(location->group->servers[i].host, host);
    assert_int_equal(location->group->servers[i].port, port);
}

/* --- the classic format --- */

static const char classic[] = "host \"192.168.56.103:8080\" {\n"
                              "    proxy_pass http://192.168.56.103:9000;\n"
                              "}\n"
                              "\n"
                              "host \"app1.local\" {\n"
                              "    proxy_pass http://192.168.56.103:9001;\n"
                              "}\n"
                              "\n"
                              "host \"app2.local\" {\n"
                              "    proxy_set_header Host $host;\n"
                              "    proxy_pass http://192.168.56.103:9002;\n"
                              "    proxy_pass http://192.168.56.103:9003;\n"
                              "    dist_policy round-robin\n"
                              "}\n";

static void assert_classic(const struct config *config)
{
    assert_int_equal(config->host_count, 3);
    assert_int_equal(config->group_count, 3);
    assert_int_equal(config->listen_count, 0);
    assert_server(at(config, "192.168.56.103:8080", "/"), 0, "192.168.56.103", 9000);
    assert_server(at(config, "app1.local:8080", "/x/y"), 0, "192.168.56.103", 9001);
    const struct config_location *two = at(config, "app2.local", "/");
    assert_int_equal(two->group->server_count, 2);
    assert_server(two, 0, "192.168.56.103", 9002);
    assert_server(two, 1, "192.168.56.103", 9003);
    assert_string_equal(two->group->name, "app2.local");
    assert_int_equal(two->group->policy, POLICY_ROUND_ROBIN);
    assert_int_equal(two->field_count, 1);
    assert_string_equal(two->fields[0].name, "Host");
    assert_int_equal(two->fields[0].piece_count, 1);
    assert_int_equal(two->fields[0].pieces[0].variable, VARIABLE_HOST);
}

static void the_classic_file_is_read(void **state)
{
    (void)state;
    struct config *config = kit_config(classic);
    assert_classic(config);
    assert_int_equal(config->hosts[2].line, 9);
    assert_int_equal(config->hosts[2].locations[0].group->servers[1].line, 12);
    config_free(config);
}

/* The classic file with `from` replaced by `to` everywhere. */
static char *changed(const char *from, const char *to)
{
    static char out[4096];
    size_t len = 0;
    for (const char *c = classic; *c;) {
        bool hit = strncmp(c, from, strlen(from)) == 0;
        len += (size_t)snprintf(out + len, sizeof out - len, "%s", hit ? to : (char[2]){*c, 0});
        c += hit ? strlen(from) : 1;
    }
    return out;
}

static void it_may_be_written_in_many_ways(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        {"\n", "\r\n"},
        {"    ", "\t"},
        {"192.168.56.103", "$HOST"},
        {"192.168.56.103", "{{HOST}}"},
        {"192.168.56.103", "${HOST}"},
        {"\"192.168.56.103:8080\"", "$HOST:8080"},
        {"\"192.168.56.103:8080\"", "{{HOST}}:8080"},
        {"\"192.168.56.103:8080\"", "'{{HOST}}:8080'"},
        {"\"app1.local\"", "app1.local"},
        {"\"app1.local\" ", "App1.LOCAL"},
        {"\"app1.local\"", "\"app1.local.\""},
        {" {\n", "{"},
        {" {\n", "\n{\n"},
        {"\n}", "}"},
        {"round-robin\n}", "round-robin }"},
        {"round-robin\n}", "round-robin}"},
        {"round-robin\n}", "round-robin;}"},
        {"round-robin\n}", "round-robin # in turn\n}"},
        {"dist_policy round-robin\n}", "}"},
        {"dist_policy round-robin\n}", "dist_policy\n  round-robin\n}"},
        {"    proxy_pass http://192.168.56.103:9002;\n",
         "dist_policy round_robin\nproxy_pass http://$HOST:9002;"},
        {"    proxy_pass http://192.168.56.103:9002;\n", "dist_policy ip-hash proxy_pass http://$HOST:9002;"},
        {"9000;", "9000/;"},
        {"9000;", "9000 ; # the files"},
        {"9000;", "9000\n;"},
        {"9000;", "9000 weight=1 max_conns=0;;"},
        {"http://192.168.56.103:9000", "\"http://$HOST:9000\""},
        {"http://192.168.56.103:9000", "HTTP://{{HOST}}:9000"},
        {"Host $host", "Host \"$host\""},
        {"Host $host", "Host ${host}"},
        {"host \"app1", "# host \"x\" {\nhost \"app1"},
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char *text = changed(ways[i][0], ways[i][1]);
        if (strstr(text, "dist_policy ip-hash")) {
            /* the last policy would be a second one */
            char *last = strstr(text, "    dist_policy round-robin\n");
            assert_non_null(last);
            memset(last, ' ', strlen("    dist_policy round-robin"));
            struct config *config = kit_config(text);
            assert_int_equal(at(config, "app2.local", "/")->group->policy, POLICY_IP_HASH);
            config_free(config);
            continue;
        }
        if (strstr(text, "dist_policy round_robin"))
            memcpy(strstr(text, "    dist_policy round-robin\n"), "#", 1);
        struct config *config = kit_config(text);
        assert_classic(config);
        config_free(config);
    }
}

static void a_mark_at_the_start_and_a_missing_line_end_are_no_matter(void **state)
{
    (void)state;
    char text[sizeof classic + 8];
    int len = snprintf(text, sizeof text, "\xEF\xBB\xBF%s", classic);
    struct config *config = kit_config_with(slice_of(text, (size_t)len - 1), 0);
    assert_classic(config);
    assert_int_equal(config->hosts[0].line, 1);
    config_free(config);
}

static void ports_of_servers_may_be_left_out(void **state)
{
    (void)state;
    struct config *config = kit_config("host a { proxy_pass http://one; proxy_pass https://two/; "
                                       "proxy_pass https://[2001:DB8::0:1]/base/; }");
    const struct config_location *location = at(config, "a", "/");
    assert_server(location, 0, "one", 80);
    assert_server(location, 1, "two", 443);
    assert_server(location, 2, "2001:db8::1", 443);
    const struct config_server *servers = location->group->servers;
    assert_true(!servers[0].tls && servers[1].tls && servers[2].tls);
    assert_null(servers[0].path);
    assert_null(servers[1].path);
    assert_string_equal(servers[2].path, "/base/");
    config_free(config);
}

static void of_hosts_with_the_same_name_the_later_one_counts(void **state)
{
    (void)state;
    const char *text = "host \"a\" \"b\" { proxy_pass http://x:1; }\n"
                       "host \"c\" { proxy_pass http://x:2; }\n"
                       "host B C { proxy_pass http://x:3; }\n";
    struct config *config = kit_config_with(slice_text(text), 2);
    assert_string_equal(kit_problems(slice_text(text)),
                        "3:6: warning: \"b\" is named on line 1 too: the block on line 3 counts\n"
                        "3:8: warning: \"c\" is named on line 2 too: the block on line 3 counts\n");
    assert_int_equal(config->host_count, 2);
    assert_int_equal(config->group_count, 2);
    assert_server(at(config, "a", "/"), 0, "x", 1);
    assert_server(at(config, "b", "/"), 0, "x", 3);
    assert_server(at(config, "c", "/"), 0, "x", 3);
    assert_int_equal(config->hosts[0].name_count, 1);
    config_free(config);
}

static void an_unknown_policy_means_round_robin(void **state)
{
    (void)state;
    const char *text = "host a { proxy_pass http://x; dist_policy fastest\n}";
    struct config *config = kit_config_with(slice_text(text), 1);
    assert_string_equal(
        kit_problems(slice_text(text)),
        "1:43: warning: dist_policy: \"fastest\" is not known, so round-robin is taken; known are "
        "round-robin, least-conn, random-two, ip-hash and sticky\n");
    assert_int_equal(at(config, "a", "/")->group->policy, POLICY_ROUND_ROBIN);
    config_free(config);
}

/* --- what goes without saying, and what is said around --- */

static void defaults_are_those_of_the_manual(void **state)
{
    (void)state;
    struct config *config = kit_config("host a { proxy_pass http://x; }");
    const struct config_location *l = at(config, "a", "/");
    const struct config_group *g = l->group;
    assert_int_equal(l->connect_ms, 5000);
    assert_int_equal(l->read_ms, 60000);
    assert_int_equal(l->send_ms, 60000);
    assert_int_equal(l->tunnel_ms, 3600000);
    assert_int_equal(l->max_body, 0);
    assert_int_equal(l->buffer, 65536);
    assert_int_equal(l->retries, 2);
    assert_true(l->rate.per_s == 0);
    assert_int_equal(g->policy, POLICY_ROUND_ROBIN);
    assert_null(g->check_path);
    assert_int_equal(g->breaker_fails, 5);
    assert_int_equal(g->breaker_pause_ms, 10000);
    assert_int_equal(g->slow_start_ms, 0);
    assert_int_equal(g->queue_max, 100);
    assert_int_equal(g->queue_ms, 5000);
    assert_int_equal(g->keepalive, 64);
    assert_int_equal(g->idle_ms, 50000);
    assert_null(g->ca_file);
    assert_false(g->insecure);
    assert_int_equal(g->servers[0].weight, 1);
    assert_null(config->access_log);
    assert_null(config->trusted_proxies);
    assert_int_equal(config->client_idle_ms, 60000);
    assert_int_equal(config->client_header_ms, 10000);
    assert_int_equal(config->client_body_ms, 30000);
    assert_int_equal(config->header_bytes_max, 16384);
    assert_int_equal(config->connections_max, 0);
    config_free(config);
}

static void the_top_goes_for_hosts_and_hosts_for_their_paths(void **state)
{
    (void)state;
    struct config *config =
        kit_config("host a {\n"
                   "  path /x { proxy_pass http://x:2; retries 0; proxy_set_header C path; }\n"
                   "  path /y { timeout send=7s; }\n"
                   "  proxy_pass http://x:1;\n"
                   "  timeout read=8s;\n"
                   "  health_check interval=9s;\n"
                   "  proxy_set_header B host;\n"
                   "  proxy_set_header c host;\n"
                   "}\n"
                   "host b { proxy_pass http://x:3; }\n"
                   "timeout connect=1s read=2s;\n" /* also when it stands below */
                   "retries 5;\n"
                   "health_check path=/up fall=9;\n"
                   "dist_policy least-conn\n"
                   "proxy_set_header A top;\n");
    const struct config_location *root = at(config, "a", "/"), *x = at(config, "a", "/x"),
                                 *y = at(config, "a", "/y"), *b = at(config, "b", "/");
    assert_int_equal(root->connect_ms, 1000);
    assert_int_equal(root->read_ms, 8000);
    assert_int_equal(root->retries, 5);
    assert_string_equal(root->group->check_path, "/"); /* set as a whole */
    assert_int_equal(root->group->check_interval_ms, 9000);
    assert_int_equal(root->group->check_fall, 3);
    assert_int_equal(root->group->policy, POLICY_LEAST_CONN);
    assert_int_equal(x->retries, 0);
    assert_int_equal(x->read_ms, 8000);
    assert_int_equal(x->group->check_interval_ms, 9000);
    assert_int_equal(x->group->policy, POLICY_LEAST_CONN);
    assert_int_equal(y->send_ms, 7000);
    assert_int_equal(y->read_ms, 8000);
    assert_string_equal(b->group->check_path, "/up");
    assert_int_equal(b->read_ms, 2000);
    /* groups */
    assert_int_equal(config->group_count, 3);
    assert_true(y->group == root->group && x->group != root->group && y->group_index == root->group_index);
    assert_true(&config->groups[x->group_index] == x->group);
    assert_string_equal(root->group->name, "a");
    assert_string_equal(x->group->name, "a /x");
    assert_string_equal(x->group->prefix, "/x");
    assert_string_equal(y->group->prefix, "/");
    assert_true(root->implied && !x->implied && !y->implied);
    /* fields */
    assert_int_equal(b->field_count, 1);
    assert_int_equal(root->field_count, 3);
    assert_int_equal(x->field_count, 3);
    assert_true(y->fields == root->fields);
    assert_string_equal(x->fields[0].name, "A");
    assert_string_equal(x->fields[1].name, "B");
    assert_string_equal(x->fields[2].name, "C");
    assert_string_equal(x->fields[2].pieces[0].text, "path");
    assert_string_equal(root->fields[2].pieces[0].text, "host");
    config_free(config);
}

static void a_path_may_be_all_that_a_host_has(void **state)
{
    (void)state;
    struct config *config =
        kit_config("host a { path /x { proxy_pass http://x/y; } path /x/ { proxy_pass http://z/; } }");
    const struct config_host *host = host_of(config, "a");
    assert_int_equal(host->location_count, 2);
    assert_null(config_find_location(host, SLICE("/")));
    assert_string_equal(config_find_location(host, SLICE("/x"))->group->servers[0].path, "/y");
    assert_string_equal(config_find_location(host, SLICE("/x/1"))->group->servers[0].path, "/");
    config_free(config);
}

static void a_path_slash_takes_the_place_of_the_host(void **state)
{
    (void)state;
    struct config *config = kit_config("host a { proxy_pass http://x; path / { retries 7; } path /b { } }");
    const struct config_host *host = host_of(config, "a");
    assert_int_equal(host->location_count, 2);
    assert_int_equal(at(config, "a", "/")->retries, 7);
    assert_int_equal(at(config, "a", "/b")->retries, 2);
    assert_int_equal(config->group_count, 1);
    config_free(config);
}

/* --- each directive --- */

static void servers_have_weights_limits_and_backups(void **state)
{
    (void)state;
    struct config *config = kit_config("host a { proxy_pass http://x weight=1000 max_conns=20; "
                                       "proxy_pass http://y backup weight=2; }");
    const struct config_server *servers = at(config, "a", "/")->group->servers;
    assert_int_equal(servers[0].weight, 1000);
    assert_int_equal(servers[0].max_conns, 20);
    assert_false(servers[0].backup);
    assert_int_equal(servers[1].weight, 2);
    assert_int_equal(servers[1].max_conns, 0);
    assert_true(servers[1].backup);
    config_free(config);
    const char *twice = "host a {\n proxy_pass http://x weight=2;\n proxy_pass http://X:80/ weight=3;\n}";
    config = kit_config_with(slice_text(twice), 1);
    assert_int_equal(at(config, "a", "/")->group->server_count, 1);
    assert_int_equal(at(config, "a", "/")->group->servers[0].weight, 5);
    assert_string_equal(
        kit_problems(slice_text(twice)),
        "3:13: warning: proxy_pass: line 2 names this server already: the weights are added, to 5\n");
    config_free(config);
}

static void policies_have_several_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum policy policy;
        const char *cookie;
    } cases[] = {
        {"round-robin", POLICY_ROUND_ROBIN, NULL},
        {"round_robin", POLICY_ROUND_ROBIN, NULL},
        {"Least-Conn", POLICY_LEAST_CONN, NULL},
        {"least_conn", POLICY_LEAST_CONN, NULL},
        {"random-two", POLICY_RANDOM_TWO, NULL},
        {"ip-hash", POLICY_IP_HASH, NULL},
        {"ip_hash", POLICY_IP_HASH, NULL},
        {"sticky", POLICY_STICKY, "weaprous_server"},
        {"sticky cookie=where", POLICY_STICKY, "where"},
        {"sticky \"cookie=where\"", POLICY_STICKY, "where"},
        {"sticky cookie=\"where\"", POLICY_STICKY, "where"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "host a { dist_policy %s\n proxy_pass http://x; }", cases[i].text);
        struct config *config = kit_config(text);
        const struct config_group *group = at(config, "a", "/")->group;
        assert_int_equal(group->policy, cases[i].policy);
        assert_true((group->cookie != NULL) == (cases[i].cookie != NULL));
        if (group->cookie) assert_string_equal(group->cookie, cases[i].cookie);
        config_free(config);
    }
}

static void directives_about_servers(void **state)
{
    (void)state;
    struct config *config = kit_config(
        "host a { proxy_pass https://x; health_check path=/healthz interval=500ms timeout=1s fall=4 rise=1 "
        "host=x:1; circuit_breaker fails=3 pause=1m; slow_start 30s; queue 7 timeout=2s; "
        "keepalive 5 idle=9s; proxy_tls trust=\"my ca.pem\"; }\n"
        "host b { proxy_pass https://x; health_check; circuit_breaker pause=1s; queue 7; keepalive 5; "
        "proxy_tls insecure; }\n"
        "host c { proxy_pass https://x; health_check off; circuit_breaker off; slow_start off; queue off; "
        "keepalive off; proxy_tls system; }");
    const struct config_group *a = at(config, "a", "/")->group, *b = at(config, "b", "/")->group,
                              *c = at(config, "c", "/")->group;
    assert_string_equal(a->check_path, "/healthz");
    assert_string_equal(a->check_host, "x:1");
    assert_int_equal(a->check_interval_ms, 500);
    assert_int_equal(a->check_timeout_ms, 1000);
    assert_int_equal(a->check_fall, 4);
    assert_int_equal(a->check_rise, 1);
    assert_int_equal(a->breaker_fails, 3);
    assert_int_equal(a->breaker_pause_ms, 60000);
    assert_int_equal(a->slow_start_ms, 30000);
    assert_int_equal(a->queue_max, 7);
    assert_int_equal(a->queue_ms, 2000);
    assert_int_equal(a->keepalive, 5);
    assert_int_equal(a->idle_ms, 9000);
    assert_string_equal(a->ca_file, "my ca.pem");
    assert_string_equal(b->check_path, "/");
    assert_int_equal(b->check_interval_ms, 2000);
    assert_int_equal(b->breaker_fails, 5);
    assert_int_equal(b->breaker_pause_ms, 1000);
    assert_int_equal(b->queue_ms, 5000);
    assert_int_equal(b->idle_ms, 50000);
    assert_true(b->insecure && !b->ca_file && !a->insecure);
    assert_null(c->check_path);
    assert_int_equal(c->breaker_fails + c->slow_start_ms + c->queue_max + c->keepalive, 0);
    config_free(config);
}

static void directives_about_requests(void **state)
{
    (void)state;
    struct config *config = kit_config(
        "host a { proxy_pass http://x; timeout connect 3s; timeout read 1h send=1d; timeout idle=30d; "
        "max_body 10G; buffer 1m; retries 0; rate_limit 10/s burst=20; }\n"
        "host b { proxy_pass http://x; max_body 0; rate_limit 90/m; }\n"
        "host c { proxy_pass http://x; max_body 1234; rate_limit 10/m burst=0; retries off; }\n"
        "host d { proxy_pass http://x; max_body off; rate_limit off; }");
    const struct config_location *a = at(config, "a", "/"), *b = at(config, "b", "/"),
                                 *c = at(config, "c", "/");
    assert_int_equal(a->connect_ms, 3000);
    assert_int_equal(a->read_ms, 3600000);
    assert_int_equal(a->send_ms, 86400000);
    assert_int_equal(a->tunnel_ms, 2592000000);
    assert_int_equal(a->max_body, (uint64_t)10 << 30);
    assert_int_equal(a->buffer, 1 << 20);
    assert_int_equal(a->retries, 0);
    assert_true(a->rate.per_s == 10 && a->rate.burst == 20);
    assert_int_equal(b->max_body, 0);
    assert_true(b->rate.per_s == 1.5 && b->rate.burst == 2);
    assert_int_equal(c->max_body, 1234);
    assert_true(c->rate.per_s == 10.0 / 60 && c->rate.burst == 0);
    assert_int_equal(c->retries, 0);
    assert_true(at(config, "d", "/")->rate.per_s == 0);
    config_free(config);
}

static void directives_about_the_proxy(void **state)
{
    (void)state;
    struct config *config =
        kit_config("access_log \"/var/log/my proxy.log\" format=json;\n"
                   "trusted_proxies 127.0.0.1\n 10.0.0.0/8 fields=forwarded ::1 fd00::/8;\n"
                   "client_timeout idle 10s header=2s; client_timeout body=5s;\n"
                   "max_connections 5000; max_header 63k;\n"
                   "host a { proxy_pass http://x; }");
    assert_string_equal(config->access_log, "/var/log/my proxy.log");
    assert_true(config->access_json && config->trust_forwarded);
    assert_string_equal(config->trusted_proxies, "127.0.0.1,10.0.0.0/8,::1,fd00::/8");
    assert_int_equal(config->client_idle_ms, 10000);
    assert_int_equal(config->client_header_ms, 2000);
    assert_int_equal(config->client_body_ms, 5000);
    assert_int_equal(config->connections_max, 5000);
    assert_int_equal(config->header_bytes_max, 63 * 1024);
    config_free(config);
    config = kit_config(
        "access_log - format=combined; trusted_proxies 1.2.3.4 fields=x-forwarded; max_connections off; "
        "host a { proxy_pass http://x; }");
    assert_string_equal(config->access_log, "-");
    assert_true(!config->access_json && !config->trust_forwarded);
    config_free(config);
    config = kit_config("access_log off; trusted_proxies off; host a { proxy_pass http://x; }");
    assert_null(config->access_log);
    assert_null(config->trusted_proxies);
    config_free(config);
}

static void listeners(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ip;
        unsigned port, redirect;
        size_t certificates;
    } cases[] = {
        {"8080", "0.0.0.0", 8080, 0, 0},
        {":8081", "0.0.0.0", 8081, 0, 0},
        {"*:8082", "0.0.0.0", 8082, 0, 0},
        {"127.0.0.1:8080", "127.0.0.1", 8080, 0, 0},
        {"$HOST:80", KIT_HOST, 80, 0, 0},
        {"[::]:80 redirect=https", "::", 80, 443, 0},
        {"[0:0::1]:80 redirect=https:8443", "::1", 80, 8443, 0},
        {"0.0.0.0:8443 cert=a.pem key=a.key cert=\"b c.pem\" key=b.key", "0.0.0.0", 8443, 0, 2},
        {"1.2.3.4:443 cert=both.pem cert=c.pem key=c.key", "1.2.3.4", 443, 0, 2},
    };
    char text[2000];
    size_t count = sizeof cases / sizeof cases[0];
    int len = snprintf(text, sizeof text, "host a { proxy_pass http://x; }\n");
    for (size_t i = 0; i < count; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "listen %s;\n", cases[i].text);
    struct config *config = kit_config(text);
    assert_int_equal(config->listen_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct config_listen *listen = &config->listens[i];
        assert_string_equal(listen->ip, cases[i].ip);
        assert_int_equal(listen->port, cases[i].port);
        assert_int_equal(listen->redirect, cases[i].redirect);
        assert_int_equal(listen->certificate_count, cases[i].certificates);
        assert_int_equal(listen->line, i + 2);
    }
    assert_string_equal(config->listens[7].certificates[0].key, "a.key");
    assert_string_equal(config->listens[7].certificates[1].cert, "b c.pem");
    assert_string_equal(config->listens[8].certificates[0].key, "both.pem"); /* one file has both */
    assert_string_equal(config->listens[8].certificates[1].key, "c.key");
    config_free(config);
}

/* --- fields --- */

static void assert_pieces(const struct config_field *field, const char *expected)
{
    char got[500];
    size_t len = 0;
    got[0] = 0;
    for (size_t i = 0; i < field->piece_count; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, "[%d%s%s]", (int)field->pieces[i].variable,
                                field->pieces[i].text ? " " : "",
                                field->pieces[i].text ? field->pieces[i].text : "");
    assert_string_equal(got, expected);
}

static void values_of_fields_have_variables(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"plain", "[0 plain]"},
        {"\"\"", ""},
        {"$host", "[1]"},
        {"\"$remote_addr:$remote_port\"", "[2][0 :][3]"},
        {"$scheme$request_id", "[4][5]"},
        {"${proxy_host}x", "[6][0 x]"},
        {"\"a ${proxy_add_x_forwarded_for}\"", "[0 a ][7]"},
        {"$http_x_my_field", "[8 x-my-field]"},
        {"$http_User_Agent", "[8 user-agent]"},
        {"\"costs 5$$ or $$host\"", "[0 costs 5$ or $host]"},
        {"$$$$", "[0 $$]"},
        {"$HOST", "[0 " KIT_HOST "]"},
        {"{{HOST}}/$host/${HOST}", "[0 " KIT_HOST "/][1][0 /" KIT_HOST "]"},
        {"'say \"hi\"'", "[0 say \"hi\"]"},
        {"\"a \\\"b\\\" c\\\\d\"", "[0 a \"b\" c\\d]"},
        {"\"t\xC3\xA9l\"", "[0 t\xC3\xA9l]"},
        {"a#b", "[0 a#b]"},
        {"\"; } { #\"", "[0 ; } { #]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "host a { proxy_pass http://x; proxy_set_header X-Test %s; }",
                 cases[i].value);
        struct config *config = kit_config(text);
        assert_pieces(&at(config, "a", "/")->fields[0], cases[i].expected);
        config_free(config);
    }
}

static void upgrades_need_no_fields(void **state)
{
    (void)state;
    const char *text = "host a { proxy_pass http://x;\n"
                       "  proxy_set_header Upgrade $http_upgrade;\n"
                       "  proxy_set_header connection $connection_upgrade; }";
    struct config *config = kit_config_with(slice_text(text), 2);
    assert_int_equal(at(config, "a", "/")->field_count, 0);
    assert_string_equal(kit_problems(slice_text(text)),
                        "2:3: warning: proxy_set_header Upgrade is not needed: WebSockets and other upgrades "
                        "pass through by themselves\n"
                        "3:3: warning: proxy_set_header Connection is not needed: WebSockets and other "
                        "upgrades pass through by themselves\n");
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_classic_file_is_read),
        cmocka_unit_test(it_may_be_written_in_many_ways),
        cmocka_unit_test(a_mark_at_the_start_and_a_missing_line_end_are_no_matter),
        cmocka_unit_test(ports_of_servers_may_be_left_out),
        cmocka_unit_test(of_hosts_with_the_same_name_the_later_one_counts),
        cmocka_unit_test(an_unknown_policy_means_round_robin),
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(the_top_goes_for_hosts_and_hosts_for_their_paths),
        cmocka_unit_test(a_path_may_be_all_that_a_host_has),
        cmocka_unit_test(a_path_slash_takes_the_place_of_the_host),
        cmocka_unit_test(servers_have_weights_limits_and_backups),
        cmocka_unit_test(policies_have_several_spellings),
        cmocka_unit_test(directives_about_servers),
        cmocka_unit_test(directives_about_requests),
        cmocka_unit_test(directives_about_the_proxy),
        cmocka_unit_test(listeners),
        cmocka_unit_test(values_of_fields_have_variables),
        cmocka_unit_test(upgrades_need_no_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
