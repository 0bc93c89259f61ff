/* TLS in memory: a client and a server whose bytes are carried by hand. */
#include "tls_pair.h"

#include <openssl/x509v3.h>

/* The names of the certificate that the client got contain this one. */
static bool got_certificate_for(const struct tls_pair *p, const char *name)
{
    X509 *got = SSL_get0_peer_certificate(p->client.tls->ssl);
    return got && X509_check_host(got, name, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
}

static int key_kind_of_server(const struct tls_pair *p)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(p->client.tls->ssl)));
}

static void any_split_of_the_bytes_gives_the_same_plaintext(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 2, 5, 17, 1000, 16401, 60000};
    static uint8_t text[200000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = kit_byte(i);
    struct tls_server *server = kit_server("one", NULL);
    struct tls_client *client = kit_client("one");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        static struct tls_pair p;
        tls_pair_begin(&p, client, server, "one.test");
        tls_pair_talk(&p, steps[i]);
        assert_true(p.client.tls->opened && p.server.tls->opened);
        tls_pair_say(&p.client, text, 1);
        tls_pair_say(&p.client, text + 1, 16384);
        tls_pair_say(&p.client, text + 16385, sizeof text - 16385);
        tls_pair_say(&p.server, text, sizeof text);
        tls_pair_talk(&p, steps[i]);
        assert_int_equal(p.server.rc, OK);
        assert_int_equal(p.server.text_len, sizeof text);
        assert_memory_equal(p.server.text, text, sizeof text);
        assert_int_equal(p.client.text_len, sizeof text);
        assert_memory_equal(p.client.text, text, sizeof text);
        slice protocol = tls_protocol(p.server.tls);
        assert_true(slice_equal(protocol, SLICE("http/1.1")));
        tls_shut(p.client.tls, NULL);
        tls_pair_talk(&p, steps[i]);
        assert_true(p.server.tls->ended);
        assert_false(p.client.tls->ended);
        tls_pair_end(&p);
    }
    tls_client_release(client);
    tls_server_release(server);
}

static void records_and_the_close_can_come_in_one_piece(void **state)
{
    (void)state;
    static struct tls_pair p;
    struct tls_server *server = kit_server("one", NULL);
    struct tls_client *client = kit_client("one");
    tls_pair_begin(&p, client, server, "one.test");
    tls_pair_talk(&p, 100000);
    tls_pair_say(&p.client, (const uint8_t *)"a", 1);
    tls_pair_say(&p.client, (const uint8_t *)"b", 1);
    tls_shut(p.client.tls, NULL);
    tls_shut(p.client.tls, NULL); /* once is enough */
    tls_pair_talk(&p, 100000);
    assert_int_equal(p.server.rc, OK);
    assert_int_equal(p.server.text_len, 2);
    assert_true(p.server.tls->ended);
    tls_pair_end(&p);
    tls_client_release(client);
    tls_server_release(server);
}

static void a_name_chooses_its_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *expected;
    } rows[] = {
        {"one.test", "one.test"},      {"ONE.TEST", "one.test"},
        {"two.test", "two.test"},      {"www.two.test", "www.two.test"},
        {"x.wild.test", "*"},          {"exact.wild.test", "exact.wild.test"},
        {"a.b.wild.test", "one.test"}, {"wild.test", "one.test"},
        {"other.test", "one.test"},    {"test", "one.test"},
        {"127.0.0.1", "one.test"},
    };
    struct tls_server *server = kit_server("one", "two", "wild", "exact", NULL);
    struct tls_client_options options = {.protocols = "", .insecure = true};
    struct tls_client *client = tls_client_new(&options);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct tls_pair p;
        tls_pair_begin(&p, client, server, rows[i].asked);
        tls_pair_talk(&p, 100000);
        assert_true(p.client.tls->opened);
        bool good = strcmp(rows[i].expected, "*") == 0
                        ? X509_check_host(SSL_get0_peer_certificate(p.client.tls->ssl), "x.wild.test", 0, 0,
                                          NULL) == 1
                        : got_certificate_for(&p, rows[i].expected);
        if (!good) fail_msg("%s did not get the certificate of %s", rows[i].asked, rows[i].expected);
        tls_pair_end(&p);
    }
    tls_client_release(client);
    tls_server_release(server);
}

static void one_name_can_have_an_ecdsa_and_an_rsa_certificate(void **state)
{
    (void)state;
    static struct tls_pair p;
    struct tls_server *server = kit_server("rsa", "one", NULL); /* both are for one.test */
    struct tls_client_options options = {.protocols = "", .insecure = true};
    static const struct {
        const char *algorithms;
        int kind;
    } rows[] = {{"ECDSA+SHA256", EVP_PKEY_EC}, {"RSA-PSS+SHA256:RSA+SHA256", EVP_PKEY_RSA}};
    for (size_t i = 0; i < 2; i++) {
        struct tls_client *client = tls_client_new(&options);
        SSL *ssl = tls_client_session(client, "one.test", 1);
        SSL_CTX_set1_sigalgs_list(SSL_get_SSL_CTX(ssl), rows[i].algorithms);
        SSL_free(ssl);
        tls_pair_begin(&p, client, server, "one.test");
        tls_pair_talk(&p, 100000);
        assert_true(p.client.tls->opened);
        assert_int_equal(key_kind_of_server(&p), rows[i].kind);
        tls_pair_end(&p);
        tls_client_release(client);
    }
    tls_server_release(server);
}

static void only_the_right_certificate_is_trusted(void **state)
{
    (void)state;
    static const struct {
        const char *server, *trusted, *host, *reason; /* NULL: accepted */
    } rows[] = {
        {"one", "one", "one.test", NULL},
        {"one", "one", "one.test.", NULL},
        {"one", "one", "127.0.0.1", NULL},
        {"one", "one", "127.0.0.2", "IP address mismatch"},
        {"one", "one", "two.test", "hostname mismatch"},
        {"one", "two", "one.test", "self-signed certificate"},
        {"one", NULL, "one.test", "self-signed certificate"}, /* by the system's authorities */
        {"wild", "wild", "x.wild.test", NULL},
        {"wild", "wild", "x.y.wild.test", "hostname mismatch"},
        {"expired", "expired", "one.test", "certificate has expired"},
        {"common.test", "common.test", "common.test", "hostname mismatch"}, /* RFC 9525 6.3: CN is no name */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct tls_pair p;
        struct tls_server *server = kit_server(rows[i].server, NULL);
        struct tls_client *client = kit_client(rows[i].trusted);
        tls_pair_begin(&p, client, server, rows[i].host);
        tls_pair_talk(&p, 100000);
        if (rows[i].reason) {
            assert_int_equal(p.client.rc, ERR_PROTOCOL);
            assert_string_equal(p.client.tls->reason, rows[i].reason);
            assert_false(p.server.tls->opened);
            assert_int_equal(p.server.rc, ERR_PROTOCOL); /* the alert told it */
        } else {
            if (!p.client.tls->opened)
                fail_msg("%s: %s", rows[i].host, p.client.tls->reason ? p.client.tls->reason : "?");
        }
        tls_pair_end(&p);
        tls_client_release(client);
        tls_server_release(server);
    }
}

/* Connects once more; whether it was a resumption. */
static bool resumes(struct tls_client *client, struct tls_server *server)
{
    static struct tls_pair p;
    tls_pair_begin(&p, client, server, "one.test");
    tls_pair_talk(&p, 100000);
    assert_true(p.client.tls->opened && p.server.tls->opened);
    bool resumed = SSL_session_reused(p.client.tls->ssl) == 1;
    assert_int_equal(SSL_session_reused(p.server.tls->ssl), resumed);
    tls_shut(p.client.tls, NULL);
    tls_shut(p.server.tls, NULL);
    tls_pair_talk(&p, 100000);
    tls_pair_end(&p);
    return resumed;
}

static void a_session_is_resumed_also_after_a_reload_and_while_its_key_lives(void **state)
{
    (void)state;
    struct tls_server *server = kit_server("one", "two", NULL);
    struct tls_client *client = kit_client("one");
    assert_false(resumes(client, server));
    assert_true(resumes(client, server));
    assert_int_equal(tls_server_reload(server), OK);
    assert_true(resumes(client, server));
    assert_int_equal(tls_server_rotate(server), OK);
    assert_true(resumes(client, server)); /* under the key before; a new ticket comes */
    assert_int_equal(tls_server_rotate(server), OK);
    assert_true(resumes(client, server));
    assert_int_equal(tls_server_rotate(server), OK);
    assert_int_equal(tls_server_rotate(server), OK);
    assert_false(resumes(client, server));
    assert_true(resumes(client, server));
    struct tls_server *stranger = kit_server("one", NULL);
    assert_false(resumes(client, stranger));
    tls_server_release(stranger);
    tls_client_release(client);
    tls_server_release(server);
}

static void a_session_of_tls_12_is_resumed_too(void **state)
{
    (void)state;
    struct tls_server *server = kit_server("one", NULL);
    struct tls_client *client = kit_client("one");
    SSL *ssl = tls_client_session(client, "x", 1);
    SSL_CTX_set_max_proto_version(SSL_get_SSL_CTX(ssl), TLS1_2_VERSION);
    SSL_free(ssl);
    assert_false(resumes(client, server));
    assert_true(resumes(client, server));
    assert_true(resumes(client, server));
    tls_client_release(client);
    tls_server_release(server);
}

static void copy_file(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof command, "cp '%s' '%s'", kit_path(from), kit_path(to));
    assert_int_equal(system(command), 0);
}

static void a_reload_gives_new_connections_the_new_certificate(void **state)
{
    (void)state;
    static struct tls_pair old, new;
    struct tls_client_options options = {.protocols = "", .insecure = true};
    struct tls_client *client = tls_client_new(&options);
    copy_file("one.pem", "live.pem");
    copy_file("one.key", "live.key");
    struct tls_server *server = kit_server("live", NULL);
    tls_pair_begin(&old, client, server, "one.test");
    tls_pair_talk(&old, 100000);
    copy_file("two.pem", "live.pem");
    /* The key is not the new one yet: nothing changes. */
    assert_int_equal(tls_server_reload(server), ERR_INVALID);
    assert_non_null(strstr(tls_server_error(server), "live.key: this is not the key"));
    tls_pair_begin(&new, client, server, "one.test");
    tls_pair_talk(&new, 100000);
    assert_true(got_certificate_for(&new, "one.test"));
    tls_pair_end(&new);
    copy_file("two.key", "live.key");
    assert_int_equal(tls_server_reload(server), OK);
    tls_pair_begin(&new, client, server, "another.test");
    tls_pair_talk(&new, 100000);
    assert_true(got_certificate_for(&new, "two.test"));
    tls_pair_end(&new);
    tls_pair_say(&old.server, (const uint8_t *)"still here", 10);
    tls_pair_talk(&old, 100000);
    assert_int_equal(old.client.text_len, 10);
    tls_pair_end(&old);
    tls_client_release(client);
    tls_server_release(server);
}

static void what_is_wrong_with_a_file_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *cert, *key;
        int rc;
        const char *says;
    } rows[] = {
        {"none.pem", "one.key", ERR_IO, "none.pem: No such file"},
        {"one.pem", "none.key", ERR_IO, "none.key: No such file"},
        {"one.key", "one.key", ERR_INVALID, "one.key: there is no certificate in PEM form"},
        {"one.pem", "one.pem", ERR_INVALID, "one.pem: there is no private key in PEM form"},
        {"one.pem", "two.key", ERR_INVALID, "two.key: this is not the key of the certificate in"},
        {"damaged.pem", "one.key", ERR_INVALID, "damaged.pem: the certificate is damaged"},
        {"tail.pem", "one.key", ERR_INVALID, "tail.pem: the chain is damaged"},
        {"one.pem", "locked.key", ERR_INVALID, "locked.key: the key is locked"},
    };
    char command[512];
    snprintf(command, sizeof command,
             "cd '%s' && sed '3s/..../AAAA/' one.pem > damaged.pem && cat one.pem damaged.pem > tail.pem && "
             "openssl pkey -in one.key -aes128 -passout pass:secret -out locked.key",
             kit_folder());
    assert_int_equal(system(command), 0);
    struct tls_server *server = kit_server("one", NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc = tls_server_certificate(server, kit_path(rows[i].cert), kit_path(rows[i].key));
        if (rc != rows[i].rc || !strstr(tls_server_error(server), rows[i].says))
            fail_msg("%s %s: %s, %s", rows[i].cert, rows[i].key, err_name(rc), tls_server_error(server));
    }
    assert_int_equal(tls_server_reload(server), OK); /* none of them was added */
    tls_server_release(server);
    struct tls_server_options options = {.protocols = "", .session_lifetime_s = 60};
    server = tls_server_new(&options);
    assert_int_equal(tls_server_prepare(server), ERR_INVALID);
    assert_string_equal(tls_server_error(server), "there is no certificate");
    tls_server_release(server);
}

static void protocols_are_agreed_on_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *server, *client, *chosen; /* NULL: refused */
    } rows[] = {{"h2,http/1.1", "http/1.1,h2", "h2"},
                {"http/1.1", "", ""},
                {"", "http/1.1", ""},
                {"http/1.1", "h3,http/1.1", "http/1.1"},
                {"http/1.1", "imap", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct tls_pair p;
        struct tls_server_options options = {.protocols = rows[i].server, .session_lifetime_s = 60};
        struct tls_server *server = tls_server_new(&options);
        assert_int_equal(tls_server_certificate(server, kit_path("one.pem"), kit_path("one.key")), OK);
        assert_int_equal(tls_server_prepare(server), OK);
        struct tls_client_options asked = {.protocols = rows[i].client, .insecure = true};
        struct tls_client *client = tls_client_new(&asked);
        tls_pair_begin(&p, client, server, "one.test");
        tls_pair_talk(&p, 100000);
        assert_int_equal(p.client.tls->opened && p.server.tls->opened, rows[i].chosen != NULL);
        if (rows[i].chosen)
            assert_true(slice_equal(tls_protocol(p.client.tls), slice_text(rows[i].chosen)));
        else
            assert_string_equal(p.server.tls->reason, "no application protocol");
        tls_pair_end(&p);
        tls_client_release(client);
        tls_server_release(server);
    }
    struct tls_server_options wrong = {.protocols = "h2,,http/1.1", .session_lifetime_s = 60};
    assert_null(tls_server_new(&wrong));
    wrong.protocols = "h2,";
    assert_null(tls_server_new(&wrong));
}

static void old_versions_and_old_ciphers_are_refused(void **state)
{
    (void)state;
    static const struct {
        int max;
        const char *ciphers;
        bool good;
    } rows[] = {{TLS1_3_VERSION, "DEFAULT", true},
                {TLS1_2_VERSION, "DEFAULT", true},
                {TLS1_2_VERSION, "ECDHE+CHACHA20", true},
                {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false},
                {TLS1_1_VERSION, "DEFAULT@SECLEVEL=0", false},
                {TLS1_VERSION, "DEFAULT@SECLEVEL=0", false}};
    struct tls_server *server = kit_server("one", NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct tls_pair p;
        struct tls_client_options asked = {.protocols = "", .insecure = true};
        struct tls_client *client = tls_client_new(&asked);
        SSL *ssl = tls_client_session(client, "x", 1);
        SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
        SSL_CTX_set_cipher_list(ctx, rows[i].ciphers);
        SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(ctx, rows[i].max);
        SSL_free(ssl);
        tls_pair_begin(&p, client, server, "one.test");
        tls_pair_talk(&p, 100000);
        assert_int_equal(p.server.tls->opened, rows[i].good);
        assert_int_equal(p.server.rc == OK, rows[i].good);
        tls_pair_end(&p);
        tls_client_release(client);
    }
    tls_server_release(server);
}

static void plain_http_is_answered_in_plain(void **state)
{
    (void)state;
    static struct tls_pair p;
    static uint8_t room[TLS_HEADROOM_BYTES + 100];
    struct tls_server *server = kit_server("one", NULL);
    struct tls_client *client = kit_client("one");
    tls_pair_begin(&p, client, server, "one.test");
    memcpy(room + TLS_HEADROOM_BYTES, "OPTIONS * HTTP/1.1\r\n\r\n", 22);
    size_t len;
    assert_int_equal(tls_open(p.server.tls, room, slice_of(room + TLS_HEADROOM_BYTES, 22), &len),
                     ERR_PROTOCOL);
    assert_string_equal(p.server.tls->reason, "the client does not speak TLS");
    assert_true(slice_equal(slice_of(p.server.tls->wire.first->ptr, p.server.tls->wire.bytes),
                            SLICE(KIT_PLAIN_ANSWER)));
    tls_pair_end(&p);
    tls_client_release(client);
    tls_server_release(server);
}

static void bytes_that_were_changed_on_the_way_end_it(void **state)
{
    (void)state;
    static struct tls_pair p;
    struct tls_server *server = kit_server("one", NULL);
    struct tls_client *client = kit_client("one");
    tls_pair_begin(&p, client, server, "one.test");
    tls_pair_talk(&p, 100000);
    tls_pair_say(&p.client, (const uint8_t *)"hello", 5);
    p.client.tls->wire.first->data[10] ^= 1;
    tls_pair_talk(&p, 3);
    assert_int_equal(p.server.rc, ERR_PROTOCOL);
    assert_string_equal(p.server.tls->reason, "decryption failed or bad record mac");
    assert_int_equal(p.server.text_len, 0);
    tls_pair_end(&p);
    tls_client_release(client);
    tls_server_release(server);
}

/* Whoever asks for new keys again and again and takes no answer does not fill the memory. */
static void what_the_other_side_does_not_take_is_bounded(void **state)
{
    (void)state;
    static struct tls_pair p;
    struct tls_server *server = kit_server("one", NULL);
    struct tls_client *client = kit_client("one");
    tls_pair_begin(&p, client, server, "one.test");
    tls_pair_talk(&p, 100000);
    for (int i = 0; i < 100000 && p.server.rc == OK; i++) {
        SSL_key_update(p.client.tls->ssl, SSL_KEY_UPDATE_REQUESTED);
        tls_pair_say(&p.client, (const uint8_t *)".", 1);
        p.server.text_len = 0;
        tls_pair_carry(&p.client, &p.server, 100000);
        assert_true(p.server.tls->wire.bytes <= TLS_WIRE_BYTES_MAX);
    }
    tls_pair_end(&p);
    tls_client_release(client);
    tls_server_release(server);
}

static void the_order_of_freeing_does_not_matter(void **state)
{
    (void)state;
    static struct tls_pair p;
    struct tls_server *server = kit_server("one", "two", NULL);
    struct tls_client *client = kit_client("two");
    tls_pair_begin(&p, client, server, "two.test");
    tls_pair_talk(&p, 100000);
    assert_int_equal(tls_server_reload(server), OK);
    tls_server_release(server);
    tls_client_release(client);
    assert_true(p.client.tls->opened);
    tls_pair_say(&p.server, (const uint8_t *)"late", 4);
    tls_pair_talk(&p, 100000);
    assert_int_equal(p.client.text_len, 4);
    tls_pair_end(&p);
}

static int make_certificates(void **state)
{
    (void)state;
    kit_certificate("one", "ec", "DNS:one.test,DNS:x.one.test,IP:127.0.0.1");
    kit_certificate("rsa", "rsa", "DNS:one.test");
    kit_certificate("two", "ec", "DNS:two.test,DNS:www.two.test");
    kit_certificate("wild", "ec", "DNS:*.wild.test");
    kit_certificate("exact", "ed25519", "DNS:exact.wild.test");
    kit_certificate("expired", "ec", "DNS:one.test");
    kit_certificate("common.test", "ec", "IP:127.0.0.1");
    kit_expire("expired");
    return 0;
}

static int clean(void **state)
{
    (void)state;
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_of_the_bytes_gives_the_same_plaintext),
        cmocka_unit_test(records_and_the_close_can_come_in_one_piece),
        cmocka_unit_test(a_name_chooses_its_certificate),
        cmocka_unit_test(one_name_can_have_an_ecdsa_and_an_rsa_certificate),
        cmocka_unit_test(only_the_right_certificate_is_trusted),
        cmocka_unit_test(a_session_is_resumed_also_after_a_reload_and_while_its_key_lives),
        cmocka_unit_test(a_session_of_tls_12_is_resumed_too),
        cmocka_unit_test(a_reload_gives_new_connections_the_new_certificate),
        cmocka_unit_test(what_is_wrong_with_a_file_is_said),
        cmocka_unit_test(protocols_are_agreed_on_or_refused),
        cmocka_unit_test(old_versions_and_old_ciphers_are_refused),
        cmocka_unit_test(plain_http_is_answered_in_plain),
        cmocka_unit_test(bytes_that_were_changed_on_the_way_end_it),
        cmocka_unit_test(what_the_other_side_does_not_take_is_bounded),
        cmocka_unit_test(the_order_of_freeing_does_not_matter),
    };
    return cmocka_run_group_tests(tests, make_certificates, clean);
}
