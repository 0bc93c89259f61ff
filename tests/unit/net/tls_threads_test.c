/* Several threads with one server and one client, while the certificates are read again and the ticket keys
 * change. */
#include "tls_pair.h"

#include <pthread.h>

enum { THREADS = 3, ROUNDS = 40, RELOADS = 25 };

struct job {
    pthread_t thread;
    struct tls_server *server;
    struct tls_client *client;
    const char *host;
    unsigned good, resumed;
    struct tls_pair pair;
};

static void *shake_hands(void *argument)
{
    struct job *job = argument;
    struct tls_pair *p = &job->pair;
    for (int i = 0; i < ROUNDS; i++) {
        tls_pair_begin(p, job->client, job->server, job->host);
        tls_pair_talk(p, 100000);
        job->good += p->client.tls->opened && p->server.tls->opened;
        job->resumed += SSL_session_reused(p->client.tls->ssl) == 1;
        tls_shut(p->client.tls, NULL); /* a session that was broken off is not resumed */
        tls_pair_end(p);
    }
    return NULL;
}

static void reloads_and_new_keys_do_not_disturb_handshakes(void **state)
{
    (void)state;
    static struct job jobs[THREADS];
    struct tls_server *server = kit_server("one", "two", NULL);
    struct tls_client *client = kit_client("both");
    for (int i = 0; i < THREADS; i++) {
        jobs[i].server = server;
        jobs[i].client = client;
        jobs[i].host = i % 2 ? "one.test" : "two.test";
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, shake_hands, &jobs[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++) {
        assert_int_equal(tls_server_reload(server), OK);
        if (i % 5 == 0) assert_int_equal(tls_server_rotate(server), OK);
    }
    unsigned resumed = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        assert_int_equal(jobs[i].good, ROUNDS);
        resumed += jobs[i].resumed;
    }
    assert_true(resumed > 0);
    tls_client_release(client);
    tls_server_release(server);
}

static void *count_owners(void *argument)
{
    struct shared_bytes *bytes = argument;
    for (int i = 0; i < 10000; i++)
        shared_bytes_release(shared_bytes_hold(bytes));
    shared_bytes_release(bytes);
    return NULL;
}

static void the_last_of_several_threads_frees_shared_bytes(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct shared_bytes *bytes = shared_bytes_new(100);
    memset(bytes->bytes, 1, 100);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_owners, shared_bytes_hold(bytes)), 0);
    shared_bytes_release(bytes);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL); /* a leak, or a second free, is seen by the sanitizers */
}

static int make_certificates(void **state)
{
    (void)state;
    char command[512];
    kit_certificate("one", "ec", "DNS:one.test");
    kit_certificate("two", "ec", "DNS:two.test");
    snprintf(command, sizeof command, "cd '%s' && cat one.pem two.pem > both.pem", kit_folder());
    return system(command);
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
        cmocka_unit_test(reloads_and_new_keys_do_not_disturb_handshakes),
        cmocka_unit_test(the_last_of_several_threads_frees_shared_bytes),
    };
    return cmocka_run_group_tests(tests, make_certificates, clean);
}
