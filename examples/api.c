/* api.c - a JSON API with login: accounts, sessions, a group that only its users may enter, their notes.
 *
 *     api [IP [PORT]]        default 127.0.0.1 8080; port 0: the system chooses. Ctrl-C drains and ends.
 *
 *     curl -c jar -d 'username=ada&password=analytical' localhost:8080/register
 *     curl -b jar -d 'title=Engine' -d 'text=It weaves patterns.' localhost:8080/api/notes
 *     curl -b jar localhost:8080/api/notes/1
 *     curl -b jar -X PUT --json '{"text":"It weaves algebraic patterns."}' localhost:8080/api/notes/1
 *
 *     POST   /register        username, password: makes an account and logs in       201, 400, 409
 *     POST   /login           username, password                                     200, 401
 *     POST   /logout                                                                 204
 *     GET    /api/me          who is logged in                                       200, 401
 *     GET    /api/notes       all own notes; ?q=word: those with this word           200
 *     POST   /api/notes       title, text                                            201 with Location
 *     GET    /api/notes/:id                                                          200, 404
 *     PUT    /api/notes/:id   title, text, or one of them                            200
 *     DELETE /api/notes/:id                                                          204
 *
 * Bodies are JSON or HTML forms. Passwords are kept as scrypt hashes, which take a while on purpose: that
 * work goes to other threads (wr_offload), and the request is answered when it is done. Everything else
 * happens on one thread (config.workers is 1), so the lists need no lock. Everything is forgotten at the end.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weaprous/weaprous.h>

enum {
    USERS_MAX = 10000,
    NOTES_MAX = 1000, /* of one user */
    NAME_BYTES_MAX = 32,
    PASSWORD_BYTES_MIN = 8,
    PASSWORD_BYTES_MAX = 200,
    TITLE_BYTES_MAX = 200,
    TEXT_BYTES_MAX = 10000,
    SALT_BYTES = 16,
    HASH_BYTES = 32,
};

struct note {
    struct note *next;
    json_int_t id;
    char *title, *text;
};

struct user {
    struct user *next;
    char name[NAME_BYTES_MAX + 1];
    unsigned char salt[SALT_BYTES], hash[HASH_BYTES];
    struct note *notes;
    json_int_t last_id;
    size_t note_count;
};

static struct wr_app *app;
static struct wr_sessions *sessions;
static struct user *users;
static size_t user_count;

static struct user *user_find(const char *name)
{
    struct user *user = users;
    while (user && strcmp(user->name, name) != 0)
        user = user->next;
    return user;
}

/* --- passwords --- */

/* A request that waits for the hash of its password. */
struct attempt {
    struct wr_request *request;
    char name[NAME_BYTES_MAX + 1];
    char password[PASSWORD_BYTES_MAX + 1];
    unsigned char salt[SALT_BYTES], hash[HASH_BYTES];
    bool registers, hashed;
};

/* On a thread of the pool. */
static void hash_password(void *argument)
{
    struct attempt *a = argument;
    a->hashed = EVP_PBE_scrypt(a->password, strlen(a->password), a->salt, SALT_BYTES, 1 << 14, 8, 1, 64 << 20,
                               a->hash, HASH_BYTES) == 1;
}

static void log_in(struct wr_request *request, int status, const char *name)
{
    if (wr_session_start(sessions, request) < 0 || wr_session_set(sessions, request, "user", name) < 0)
        wr_respond_error(request, 503, NULL);
    else
        wr_respond_json(request, status, json_pack("{s:s, s:s}", "status", "success", "username", name));
}

static void finish_register(const struct attempt *a)
{
    if (user_find(a->name)) {
        wr_respond_error(a->request, 409, "this name is taken");
        return;
    }
    struct user *user = user_count < USERS_MAX ? calloc(1, sizeof *user) : NULL;
    if (!user) {
        wr_respond_error(a->request, 503, "there is no room for more accounts");
        return;
    }
    memcpy(user->name, a->name, sizeof user->name);
    memcpy(user->salt, a->salt, SALT_BYTES);
    memcpy(user->hash, a->hash, HASH_BYTES);
    user->next = users;
    users = user;
    user_count++;
    log_in(a->request, 201, a->name);
}

static void finish_login(const struct attempt *a)
{
    const struct user *user = user_find(a->name);
    if (user && CRYPTO_memcmp(user->hash, a->hash, HASH_BYTES) == 0)
        log_in(a->request, 200, a->name);
    else
        wr_respond_error(a->request, 401, "the name or the password is wrong");
}

/* On the worker's thread again. The client may have gone: then the answer goes nowhere. */
static void on_hashed(struct wr_worker *worker, void *argument)
{
    struct attempt *a = argument;
    (void)worker;
    if (!a->hashed)
        wr_respond_error(a->request, 503, NULL);
    else if (a->registers)
        finish_register(a);
    else
        finish_login(a);
    OPENSSL_cleanse(a, sizeof *a);
    free(a);
}

static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_BYTES_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static bool password_valid(const char *password)
{
    size_t len = strlen(password);
    return len >= PASSWORD_BYTES_MIN && len <= PASSWORD_BYTES_MAX;
}

static void attempt(struct wr_request *request, bool registers)
{
    const char *name = wr_request_field(request, "username"),
               *password = wr_request_field(request, "password");
    if (!name || !password || !name_valid(name) || !password_valid(password)) {
        wr_respond_error(request, registers ? 400 : 401,
                         registers
                             ? "a name is 1 to 32 letters, digits, '.', '_' or '-'; a password 8 to 200 bytes"
                             : "the name or the password is wrong");
        return;
    }
    struct attempt *a = calloc(1, sizeof *a);
    if (!a || RAND_bytes(a->salt, SALT_BYTES) != 1) {
        free(a);
        wr_respond_error(request, 503, NULL);
        return;
    }
    a->request = request;
    a->registers = registers;
    memcpy(a->name, name, strlen(name) + 1);
    memcpy(a->password, password, strlen(password) + 1);
    /* Who does not exist costs the same time as who does. */
    const struct user *user = user_find(name);
    if (!registers && user) memcpy(a->salt, user->salt, SALT_BYTES);
    if (wr_offload(wr_request_worker(request), hash_password, on_hashed, a) == WR_OK) return;
    OPENSSL_cleanse(a, sizeof *a);
    free(a);
    wr_respond_error(request, 503, "too many are logging in; try again later");
}

static void register_user(struct wr_request *request, void *context)
{
    (void)context;
    attempt(request, true);
}

static void login(struct wr_request *request, void *context)
{
    (void)context;
    attempt(request, false);
}

static void logout(struct wr_request *request, void *context)
{
    (void)context;
    wr_session_end(sessions, request);
    wr_respond_empty(request, 204);
}

/* --- filters --- */

/* A page of another site must not act in the name of who is logged in here. */
static bool refuse_strangers(struct wr_request *request, void *context)
{
    (void)context;
    if (wr_request_same_origin(request)) return true;
    wr_respond_error(request, 403, "this page may not use this server");
    return false;
}

/* Only users go on to the handlers, which find who it is in the request. */
static bool need_login(struct wr_request *request, void *context)
{
    (void)context;
    const char *name = wr_session_get(sessions, request, "user");
    struct user *user = name ? user_find(name) : NULL;
    wr_request_set_user(request, user);
    if (user) return true;
    wr_respond_error(request, 401, "log in first: POST /login");
    return false;
}

static void keep_private(struct wr_request *request, int status, void *context)
{
    (void)status, (void)context;
    wr_response_header(request, "Cache-Control", "no-store");
}

/* --- notes --- */

static json_t *note_json(const struct note *note)
{
    return json_pack("{s:I, s:s, s:s}", "id", note->id, "title", note->title, "text", note->text);
}

/* Where the pointer to the note stands; what it points to is NULL when there is none. */
static struct note **note_place(struct wr_request *request)
{
    struct user *user = wr_request_user(request);
    json_int_t id = strtoll(wr_request_param(request, "id"), NULL, 10);
    struct note **place = &user->notes;
    while (*place && (*place)->id != id)
        place = &(*place)->next;
    return place;
}

static void note_free(struct note *note)
{
    free(note->title);
    free(note->text);
    free(note);
}

/* Puts what the request says in place of what the note says. False: answered. */
static bool note_take(struct wr_request *request, struct note *note)
{
    const char *title = wr_request_field(request, "title"), *text = wr_request_field(request, "text");
    if ((!title && !note->title) || (title && (!title[0] || strlen(title) > TITLE_BYTES_MAX)) ||
        (text && strlen(text) > TEXT_BYTES_MAX)) {
        wr_respond_error(request, 400, "a note has a title of 1 to 200 bytes and a text of at most 10000");
        return false;
    }
    char *new_title = strdup(title ? title : note->title);
    char *new_text = strdup(text ? text : note->text ? note->text : "");
    if (!new_title || !new_text) {
        free(new_title);
        free(new_text);
        wr_respond_error(request, 503, NULL);
        return false;
    }
    free(note->title);
    free(note->text);
    note->title = new_title;
    note->text = new_text;
    return true;
}

static void me(struct wr_request *request, void *context)
{
    (void)context;
    const struct user *user = wr_request_user(request);
    wr_respond_json(request, 200,
                    json_pack("{s:s, s:i}", "username", user->name, "notes", (int)user->note_count));
}

static void list_notes(struct wr_request *request, void *context)
{
    (void)context;
    const struct user *user = wr_request_user(request);
    const char *word = wr_request_query(request, "q");
    json_t *list = json_array();
    for (const struct note *note = user->notes; note && list; note = note->next) {
        if (word && !strstr(note->title, word) && !strstr(note->text, word)) continue;
        if (json_array_append_new(list, note_json(note)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    wr_respond_json(request, 200, list); /* NULL: a 500 */
}

static void add_note(struct wr_request *request, void *context)
{
    (void)context;
    struct user *user = wr_request_user(request);
    char location[64];
    if (user->note_count == NOTES_MAX) {
        wr_respond_error(request, 403, "1000 notes are enough; delete some");
        return;
    }
    struct note *note = calloc(1, sizeof *note);
    if (!note) {
        wr_respond_error(request, 503, NULL);
    } else if (!note_take(request, note)) {
        note_free(note);
    } else {
        note->id = ++user->last_id;
        note->next = user->notes;
        user->notes = note;
        user->note_count++;
        snprintf(location, sizeof location, "/api/notes/%" JSON_INTEGER_FORMAT, note->id);
        wr_response_header(request, "Location", location);
        wr_respond_json(request, 201, note_json(note));
    }
}

static void show_note(struct wr_request *request, void *context)
{
    (void)context;
    const struct note *note = *note_place(request);
    if (note)
        wr_respond_json(request, 200, note_json(note));
    else
        wr_respond_error(request, 404, "there is no such note");
}

static void change_note(struct wr_request *request, void *context)
{
    (void)context;
    struct note *note = *note_place(request);
    if (!note)
        wr_respond_error(request, 404, "there is no such note");
    else if (note_take(request, note))
        wr_respond_json(request, 200, note_json(note));
}

static void delete_note(struct wr_request *request, void *context)
{
    (void)context;
    struct note **place = note_place(request), *note = *place;
    if (!note) {
        wr_respond_error(request, 404, "there is no such note");
        return;
    }
    *place = note->next;
    note_free(note);
    ((struct user *)wr_request_user(request))->note_count--;
    wr_respond_empty(request, 204);
}

/* --- */

static bool set_up(void)
{
    struct wr_group *root = wr_root(app), *api = wr_group(app, NULL, "/api");
    sessions = wr_sessions_new(app, NULL);
    return api && sessions && wr_security_headers(app, "default-src 'none'") == 0 &&
           wr_before(root, refuse_strangers, NULL) == 0 && wr_after(root, keep_private, NULL) == 0 &&
           wr_before(api, need_login, NULL) == 0 &&
           wr_route(app, "POST", "/register", register_user, NULL) == 0 &&
           wr_route(app, "POST", "/login", login, NULL) == 0 &&
           wr_route(app, "POST", "/logout", logout, NULL) == 0 &&
           wr_group_route(api, "GET", "/me", me, NULL) == 0 &&
           wr_group_route(api, "GET", "/notes", list_notes, NULL) == 0 &&
           wr_group_route(api, "POST", "/notes", add_note, NULL) == 0 &&
           wr_group_route(api, "GET", "/notes/:id", show_note, NULL) == 0 &&
           wr_group_route(api, "PUT", "/notes/:id", change_note, NULL) == 0 &&
           wr_group_route(api, "DELETE", "/notes/:id", delete_note, NULL) == 0;
}

static void forget_all(void)
{
    while (users) {
        struct user *user = users;
        users = user->next;
        while (user->notes) {
            struct note *note = user->notes;
            user->notes = note->next;
            note_free(note);
        }
        OPENSSL_cleanse(user, sizeof *user);
        free(user);
    }
}

static void on_signal(int number)
{
    (void)number;
    wr_stop(app);
}

int main(int argc, char **argv)
{
    const char *ip = argc > 1 ? argv[1] : "127.0.0.1";
    unsigned long port = argc > 2 ? strtoul(argv[2], NULL, 10) : 8080;
    app = wr_app_new(NULL);
    if (!app || port > 65535 || !set_up() || wr_listen(app, ip, (uint16_t)port, NULL) < 0) {
        fprintf(stderr, "%s\n", app && wr_app_error(app)[0] ? wr_app_error(app) : "cannot start");
        wr_app_free(app);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://%s:%u/\n", ip, wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    forget_all();
    return 0;
}
