/* Many people at once at a backend of three workers: logging in, looking, guessing, logging out, also while
 * the server stops. Under the thread sanitizer this shows what the threads share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account/classroom.h"
#include "backend/backend.h"

enum { PEOPLE = 4, ROUNDS = 1, ANSWER_BYTES = 16384 };

struct site {
    char folder[64], database[96];
    struct backend *backend;
    uint16_t port;
    pthread_t thread;
    sem_t running, stopped;
};

static void remove_site(struct site *site)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", site->database, endings[i]);
        unlink(path);
    }
    rmdir(site->folder);
}

/* With the account that the tests know. */
static void make_site(struct site *site)
{
    char why[STORE_WHY_BYTES];
    struct store *store;
    enum classroom_account account;
    *site = (struct site){.folder = "/tmp/weaprous-backend-XXXXXX"};
    assert_non_null(mkdtemp(site->folder));
    snprintf(site->database, sizeof site->database, "%s/t.db", site->folder);
    struct store_options options = {.path = site->database};
    assert_int_equal(store_open(&options, &store, why), OK);
    assert_int_equal(classroom_add(store, 1, &account), OK);
    assert_int_equal(account, CLASSROOM_KNOWN_PASSWORD);
    store_close(store);
    sem_init(&site->running, 0, 0);
    sem_init(&site->stopped, 0, 0);
}

static void *serve(void *argument)
{
    struct site *site = argument;
    char why[BACKEND_WHY_BYTES] = "";
    struct backend_config config = {.database = site->database, .ip = "127.0.0.1", .workers = 3};
    if (backend_open(&config, &site->backend, why)) fprintf(stderr, "%s\n", why);
    site->port = site->backend ? backend_port(site->backend) : 0;
    sem_post(&site->running);
    if (!site->backend) return NULL;
    backend_run(site->backend);
    sem_wait(&site->stopped); /* backend_stop has returned */
    backend_close(site->backend);
    return NULL;
}

static void start(struct site *site)
{
    assert_int_equal(pthread_create(&site->thread, NULL, serve, site), 0);
    sem_wait(&site->running);
    assert_non_null(site->backend);
}

static void stop(struct site *site)
{
    backend_stop(site->backend);
    sem_post(&site->stopped);
    pthread_join(site->thread, NULL);
}

/* One request on a connection of its own; the status, or 0 when there was no answer. */
static int ask(uint16_t port, const char *method, const char *path, const char *cookie, const char *body,
               char answer[ANSWER_BYTES])
{
    char request[1024];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int len = snprintf(
        request, sizeof request,
        "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n"
        "%s%s%sContent-Length: %zu\r\n\r\n%s",
        method, path, cookie[0] ? "Cookie: " : "", cookie, cookie[0] ? "\r\n" : "", strlen(body), body);
    size_t got = 0;
    ssize_t n = -1;
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, request, (size_t)len, MSG_NOSIGNAL) == len) {
        while (got < ANSWER_BYTES - 1 && (n = recv(fd, answer + got, ANSWER_BYTES - 1 - got, 0)) > 0)
            got += (size_t)n;
    }
    close(fd);
    answer[got] = '\0';
    return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static void keep_cookie(const char *answer, char cookie[80])
{
    const char *found = strstr(answer, "session=");
    cookie[0] = '\0';
    if (found) snprintf(cookie, 80, "%.72s", found); /* with 64 hexadecimal digits */
}

static const char good[] = "{\"username\":\"admin\",\"password\":\"password\"}";
static const char bad[] = "{\"username\":\"admin\",\"password\":\"passw0rd\"}";

struct person {
    struct site *site;
    pthread_t thread;
    unsigned wrong; /* answers that should have been others */
};

static void *visit(void *argument)
{
    struct person *person = argument;
    uint16_t port = person->site->port;
    char answer[ANSWER_BYTES], cookie[80];
    for (int i = 0; i < ROUNDS; i++) {
        person->wrong += ask(port, "GET", "/", "", "", answer) != 401;
        person->wrong += ask(port, "POST", "/login", "", bad, answer) != 401;
        person->wrong += ask(port, "POST", "/login", "", good, answer) != 200;
        keep_cookie(answer, cookie);
        for (int k = 0; k < 5; k++)
            person->wrong += ask(port, "GET", "/", cookie, "", answer) != 200;
        person->wrong += ask(port, "GET", "/session", cookie, "", answer) != 200;
        person->wrong += ask(port, "POST", "/logout", cookie, "", answer) != 200;
        person->wrong += ask(port, "GET", "/", cookie, "", answer) != 401;
        person->wrong += ask(port, "GET", "/readyz", "", "", answer) != 200;
    }
    return NULL;
}

static void what_one_worker_lets_in_is_let_in_by_all(void **state)
{
    (void)state;
    struct site site;
    struct person people[PEOPLE];
    make_site(&site);
    start(&site);
    for (int i = 0; i < PEOPLE; i++) {
        people[i] = (struct person){.site = &site};
        assert_int_equal(pthread_create(&people[i].thread, NULL, visit, &people[i]), 0);
    }
    unsigned wrong = 0;
    for (int i = 0; i < PEOPLE; i++) {
        pthread_join(people[i].thread, NULL);
        wrong += people[i].wrong;
    }
    stop(&site);
    assert_int_equal(wrong, 0);
    remove_site(&site);
}

static void *log_in_until_nobody_answers(void *argument)
{
    struct person *person = argument;
    char answer[ANSWER_BYTES];
    int status;
    while ((status = ask(person->site->port, "POST", "/login", "", good, answer)))
        person->wrong += status != 200 && status != 503;
    return NULL;
}

static void it_stops_while_people_log_in(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct site site;
        struct person people[PEOPLE];
        char answer[ANSWER_BYTES];
        make_site(&site);
        start(&site);
        for (int i = 0; i < PEOPLE; i++) {
            people[i] = (struct person){.site = &site};
            assert_int_equal(pthread_create(&people[i].thread, NULL, log_in_until_nobody_answers, &people[i]),
                             0);
        }
        assert_int_equal(ask(site.port, "POST", "/login", "", good, answer), 200);
        stop(&site);
        unsigned wrong = 0;
        for (int i = 0; i < PEOPLE; i++) {
            pthread_join(people[i].thread, NULL);
            wrong += people[i].wrong;
        }
        assert_int_equal(wrong, 0);
        remove_site(&site);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_worker_lets_in_is_let_in_by_all),
        cmocka_unit_test(it_stops_while_people_log_in),
    };
    if (sodium_init() < 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
