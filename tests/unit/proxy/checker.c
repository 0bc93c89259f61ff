#include "checker.h"

#include <time.h>

/* --- who checks --- */

struct checker c;

static void changed(void *context, const struct upstream *upstream, bool up, const char *why)
{
    (void)context, (void)upstream;
    pthread_mutex_lock(&c.lock);
    snprintf(c.told, sizeof c.told, "%s: %s", up ? "up" : "down", why);
    pthread_mutex_unlock(&c.lock);
    atomic_fetch_add(&c.changes, 1);
}

void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

void told(const char *text)
{
    char last[sizeof c.told];
    for (int i = 0; i < WAIT_MS / 5; i++) {
        pthread_mutex_lock(&c.lock);
        memcpy(last, c.told, sizeof last);
        pthread_mutex_unlock(&c.lock);
        if (strcmp(last, text) == 0) return;
        pause_ms(5);
    }
    fail_msg("told \"%s\", not \"%s\"", last, text);
}

void until(const atomic_uint *count, unsigned at_least)
{
    for (int i = 0; i < WAIT_MS / 5 && atomic_load(count) < at_least; i++)
        pause_ms(5);
    assert_true(atomic_load(count) >= at_least);
}

static void start(struct wr_worker *worker, void *argument)
{
    (void)argument;
    c.health = health_new(worker, &c.scene.registry);
    c.done = c.health && health_set(c.health, &c.group, 1) == OK ? 1 : -1;
}

static void stop(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    health_free(c.health);
}

void checker_init(uint16_t port)
{
    memset(&c, 0, sizeof c);
    pthread_mutex_init(&c.lock, NULL);
    world_init(&c.world, NULL);
    scene_init(&c.scene, 1);
    c.scene.registry.changed = changed;
    c.scene.servers[0].host = "127.0.0.1";
    c.scene.servers[0].port = port;
    c.scene.config.check_path = "/healthz";
    c.scene.config.check_interval_ms = INTERVAL_MS;
    c.scene.config.check_timeout_ms = PATIENT_MS;
}

void checker_run(void)
{
    if (!c.group) c.group = scene_group(&c.scene);
    assert_int_equal(wr_on_worker(c.world.app, start, stop, NULL), WR_OK);
    world_run(&c.world);
}

static void set_again(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    int done = health_set(c.health, &c.group, 1) == OK ? 1 : -1;
    __atomic_store_n(&c.done, done, __ATOMIC_RELEASE);
}

void checker_set(void)
{
    __atomic_store_n(&c.done, 0, __ATOMIC_RELEASE);
    assert_int_equal(wr_worker_post(wr_worker_at(c.world.app, 0), set_again, NULL), WR_OK);
    for (int i = 0; i < WAIT_MS && !__atomic_load_n(&c.done, __ATOMIC_ACQUIRE); i++)
        pause_ms(1);
    assert_int_equal(c.done, 1);
}

void checker_end(void)
{
    world_end(&c.world);
    assert_int_equal(c.done, 1);
    group_free(&c.scene.registry, c.group);
    scene_end(&c.scene);
}

/* --- the server --- */

struct server s;

/* The check was too impatient. */
static void gone(struct wr_request *request, void *context)
{
    (void)context;
    atomic_fetch_sub(&s.open, 1);
    wr_respond_text(request, 503, "");
}

static void healthz(struct wr_request *request, void *context)
{
    (void)context;
    int status = atomic_load(&s.status);
    unsigned open = atomic_fetch_add(&s.open, 1) + 1;
    if (open > atomic_load(&s.open_max)) atomic_store(&s.open_max, open);
    const char *agent = wr_request_header(request, "user-agent"), *host = wr_request_header(request, "host");
    if (!agent || strcmp(agent, "weaprous-health") != 0 || strcmp(host, s.host) != 0)
        atomic_fetch_add(&s.strange, 1);
    atomic_fetch_add(&s.asked, 1);
    if (status == SILENT) {
        wr_request_on_gone(request, gone, NULL);
        return;
    }
    atomic_fetch_sub(&s.open, 1);
    wr_response_header(request, "location", "/elsewhere");
    wr_respond_text(request, status, "as it is");
}

static void elsewhere(struct wr_request *request, void *context)
{
    (void)context;
    atomic_fetch_add(&s.elsewhere, 1);
    wr_respond_text(request, 200, "");
}

uint16_t server_begin(uint16_t port, const struct wr_tls *tls)
{
    world_init(&s.world, NULL);
    assert_int_equal(wr_listen(s.world.app, "127.0.0.1", port, tls), WR_OK);
    assert_int_equal(wr_route(s.world.app, "GET", "/healthz", healthz, NULL), WR_OK);
    assert_int_equal(wr_route(s.world.app, "GET", "/elsewhere", elsewhere, NULL), WR_OK);
    port = wr_port(s.world.app);
    snprintf(s.host, sizeof s.host, "127.0.0.1:%u", port);
    world_run(&s.world);
    return port;
}

uint16_t server_new(int status, const struct wr_tls *tls)
{
    memset(&s, 0, sizeof s);
    atomic_store(&s.status, status);
    return server_begin(0, tls);
}
