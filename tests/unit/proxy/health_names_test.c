/* The names of servers: whom a certificate must be for, and what is looked up. */
#include <unistd.h>

#include "checker.h"

/* --- TLS --- */

static char folder[] = "/tmp/proxy-health-XXXXXX";

static const char *path(const char *name)
{
    static char paths[2][64];
    static int next;
    char *text = paths[next++ % 2];
    snprintf(text, sizeof paths[0], "%s/%s", folder, name);
    return text;
}

static uint16_t secure_server_new(void)
{
    struct wr_tls *tls = wr_tls_new(NULL);
    assert_int_equal(wr_tls_certificate(tls, path("cert.pem"), path("key.pem")), WR_OK);
    uint16_t port = server_new(200, tls);
    wr_tls_free(tls);
    return port;
}

static void check_securely(uint16_t port, const char *host, bool trusted, bool insecure)
{
    static const uint8_t loopback[1][IP_BYTES] = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    checker_init(port);
    snprintf(s.host, sizeof s.host, "%s:%u", host, port);
    c.scene.servers[0].host = host;
    c.scene.servers[0].tls = true;
    c.scene.config.ca_file = trusted ? path("cert.pem") : NULL;
    c.scene.config.insecure = insecure;
    c.group = scene_group(&c.scene);
    upstream_set_addresses(c.group->members[0].upstream, loopback, 1); /* no such name is found anywhere */
    checker_run();
}

static void a_certificate_is_looked_at_as_for_requests(void **state)
{
    (void)state;
    uint16_t port = secure_server_new();
    check_securely(port, "good.invalid", true, false);
    until(&s.asked, 4);
    assert_int_equal(c.changes, 0);
    assert_int_equal(s.strange, 0);
    checker_end();

    check_securely(port, "good.invalid", false, false);
    told("down: health check: self-signed certificate");
    checker_end();

    check_securely(port, "bad.invalid", true, false);
    told("down: health check: hostname mismatch");
    checker_end();

    atomic_store(&s.asked, 0);
    check_securely(port, "bad.invalid", false, true);
    until(&s.asked, 4);
    assert_int_equal(c.changes, 0);
    checker_end();
    world_end(&s.world);
}

static int make_certificate(void **state)
{
    (void)state;
    char command[400];
    assert_non_null(mkdtemp(folder));
    snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s/key.pem "
        "-out %s/cert.pem -days 2 -subj /CN=test -addext subjectAltName=DNS:good.invalid >/dev/null 2>&1",
        folder, folder);
    return system(command);
}

static int remove_certificate(void **state)
{
    (void)state;
    unlink(path("key.pem"));
    unlink(path("cert.pem"));
    return rmdir(folder);
}

/* --- names --- */

static void looked_up_again(struct upstream *u)
{
    atomic_store(&u->lookup, true); /* as after a failed connection */
    for (int i = 0; i < WAIT_MS / 5 && atomic_load(&u->lookup); i++)
        pause_ms(5);
    assert_false(atomic_load(&u->lookup));
}

static void names_are_looked_up_and_what_was_known_stays(void **state)
{
    (void)state;
    static const uint8_t known[1][IP_BYTES] = {{1, 2, 3, 4}};
    checker_init(9);
    c.scene.config.check_path = NULL;
    c.scene.config.server_count = 5;
    c.scene.servers[0].host = "localhost";
    c.scene.servers[1].host = "no-such-name.invalid";
    c.scene.servers[2].host = "localhost";
    c.scene.servers[2].port = 10;
    c.scene.servers[3].host = "fd00::1";
    c.scene.servers[4] = (struct config_server){.host = "fe80::1%lo", .port = 9, .weight = 1};
    c.group = scene_group(&c.scene);
    struct upstream *u[5];
    for (int i = 0; i < 5; i++)
        u[i] = c.group->members[i].upstream;
    upstream_set_addresses(u[1], known, 1);
    checker_run();
    for (int i = 0; i <= 2; i += 2) {
        uint8_t got[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
        unsigned count, v4 = 0;
        until(&u[i]->address_count, 1);
        count = upstream_addresses(u[i], got);
        for (unsigned k = 0; k < count; k++)
            v4 += ip_is_v4(got[k]) && got[k][12] == 127;
        assert_int_equal(v4, 1);
    }
    looked_up_again(u[1]);
    looked_up_again(u[1]); /* the one before is over then */
    uint8_t got[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    assert_int_equal(upstream_addresses(u[1], got), 1);
    assert_memory_equal(got[0], known[0], IP_BYTES);
    assert_int_equal(u[3]->address_count, 0); /* an address is none */
    assert_int_equal(u[4]->address_count, 0); /* with its zone, which is not part of the 16 bytes */

    struct group *old = c.group; /* a reload, in the middle of it */
    atomic_store(&u[1]->lookup, true);
    c.scene.servers[0].port = 11;
    c.group = scene_group(&c.scene);
    checker_set();
    group_free(&c.scene.registry, old);
    until(&c.group->members[0].upstream->address_count, 1); /* at once, since it has none */
    checker_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_looked_at_as_for_requests),
        cmocka_unit_test(names_are_looked_up_and_what_was_known_stays),
    };
    return cmocka_run_group_tests_name("health_names", tests, make_certificate, remove_certificate);
}
