/* Opening below a folder: by the kernel and by walking, which must agree on every path. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "web/files_path.h"

static char base[] = "/tmp/files-path-XXXXXX";

static void write_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(name, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, name), 0);
}

static void make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* base/outside is not served, base/www is. */
static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_int_equal(chdir(base), 0);
    make_folder("outside");
    write_file("outside/secret", "secret");
    make_folder("www");
    assert_int_equal(chdir("www"), 0);
    write_file("a", "a");
    make_folder("dir");
    make_folder("dir/sub");
    write_file("dir/b", "b");
    write_file("dir/sub/c", "c");
    make_link("a", "link");
    make_link("dir", "dirlink");
    make_link("../a", "dir/up");
    make_link("sub/../../dir/./b", "dir/winding");
    make_link("./", "here");
    make_link("dir/sub/..", "back");
    make_link("../outside/secret", "out");
    make_link("../outside", "outdir");
    make_link("dir/../../outside/secret", "outwinding");
    make_link("../../../../../../../../etc/passwd", "etc");
    make_link("/etc/passwd", "absolute");
    make_link("/", "root");
    make_link("self", "self");
    make_link("pong", "ping");
    make_link("ping", "pong");
    make_link("nowhere", "dangling");
    make_link("../www/a", "outandin");
    make_link("/proc/self/cwd", "proc");
    assert_int_equal(mkfifo("fifo", 0644), 0);
    make_socket("socket");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[100];
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r %s", base);
    return system(command);
}

/* result: the text of the file, "/" for a folder, "|" for what is neither, or NULL for ERR_NOT_FOUND; the
 * second one when links are not followed. */
struct expected {
    const char *path, *followed, *not_followed;
};

static const struct expected table[] = {
    {"a", "a", "a"},
    {"dir", "/", "/"},
    {"dir/", "/", "/"},
    {"", "/", "/"},
    {"dir/b", "b", "b"},
    {"dir/sub", "/", "/"},
    {"dir/sub/c", "c", "c"},
    {"link", "a", NULL},
    {"dirlink", "/", NULL},
    {"dirlink/b", "b", NULL},
    {"dirlink/sub/c", "c", NULL},
    {"dirlink/up", "a", NULL},
    {"dir/up", "a", NULL},
    {"dir/winding", "b", NULL},
    {"here/a", "a", NULL},
    {"here/here/here/dir/b", "b", NULL},
    {"back", "/", NULL},
    {"back/b", "b", NULL},
    {"out", NULL, NULL},
    {"outdir", NULL, NULL},
    {"outdir/secret", NULL, NULL},
    {"outwinding", NULL, NULL},
    {"etc", NULL, NULL},
    {"absolute", NULL, NULL},
    {"root", NULL, NULL},
    {"root/etc/passwd", NULL, NULL},
    {"self", NULL, NULL},
    {"ping", NULL, NULL},
    {"ping/a", NULL, NULL},
    {"dangling", NULL, NULL},
    {"outandin", NULL, NULL},
    {"proc", NULL, NULL},
    {"proc/a", NULL, NULL},
    {"fifo", "|", "|"},
    {"a/", NULL, NULL},
    {"a/b", NULL, NULL},
    {"a/..", NULL, NULL},
    {"nothing", NULL, NULL},
    {"nothing/a", NULL, NULL},
    {"dir/nothing", NULL, NULL},
    /* The caller never asks so; it must be safe all the same. */
    {"..", NULL, NULL},
    {"../outside/secret", NULL, NULL},
    {"dir/../..", NULL, NULL},
    {"dir/../../outside/secret", NULL, NULL},
    {"/etc/passwd", NULL, NULL},
    {"//etc/passwd", NULL, NULL},
    {".", "/", "/"},
    {"./a", "a", "a"},
    {"dir//b", "b", "b"},
    {"dir/../a", "a", "a"},
};

static const char *look(const struct folder *f, const char *path)
{
    static char text[16];
    struct stat st;
    int fd;
    int rc = folder_stat(f, path, FOLDER_READ, &st, &fd);
    if (rc == ERR_NOT_FOUND) return NULL;
    assert_int_equal(rc, OK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ssize_t n = S_ISREG(st.st_mode) ? read(fd, text, sizeof text - 1) : 0;
    assert_true(n >= 0);
    text[n] = 0;
    close(fd);
    return S_ISREG(st.st_mode) ? text : S_ISDIR(st.st_mode) ? "/" : "|";
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void check_all(bool follow, bool walks)
{
    struct folder f;
    char path[64];
    snprintf(path, sizeof path, "%s/www", base);
    assert_int_equal(folder_init(&f, path, follow), OK);
    if (walks) f.walks = true;
    int before = open_descriptors();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *want = follow ? table[i].followed : table[i].not_followed, *got = look(&f, table[i].path);
        bool same = want && got ? strcmp(want, got) == 0 : want == got;
        if (!same)
            fail_msg("%s: %s instead of %s (follow %d, walk %d)", table[i].path, got ? got : "nothing",
                     want ? want : "nothing", follow, walks);
        struct stat st;
        int rc = folder_stat(&f, table[i].path, FOLDER_LOOK, &st, NULL);
        assert_int_equal(rc, want ? OK : ERR_NOT_FOUND);
        int fd = -1;
        rc = folder_find(&f, table[i].path, FOLDER_LIST, &fd);
        assert_int_equal(rc, want && strcmp(want, "/") == 0 ? OK : ERR_NOT_FOUND);
        if (rc == OK) close(fd);
    }
    assert_int_equal(open_descriptors(), before);
    folder_deinit(&f);
    assert_int_equal(open_descriptors(), before - 1);
}

static void nothing_leads_out(void **state)
{
    (void)state;
    check_all(true, false);
    check_all(false, false);
}

static void walking_agrees_with_the_kernel(void **state)
{
    (void)state;
    check_all(true, true);
    check_all(false, true);
}

static void what_is_no_file_is_looked_at_without_waiting(void **state)
{
    (void)state;
    struct stat st;
    for (int walks = 0; walks < 2; walks++) {
        struct folder f;
        assert_int_equal(folder_init(&f, ".", true), OK);
        f.walks = f.walks || walks;
        assert_int_equal(folder_stat(&f, "fifo", FOLDER_READ, &st, NULL), OK); /* no writer: would block */
        assert_true(S_ISFIFO(st.st_mode));
        assert_int_equal(folder_stat(&f, "socket", FOLDER_READ, &st, NULL), ERR_NOT_FOUND);
        assert_int_equal(folder_stat(&f, "socket", FOLDER_LOOK, &st, NULL), OK);
        assert_true(S_ISSOCK(st.st_mode));
        folder_deinit(&f);
    }
}

static void too_long_and_too_deep_is_not_found(void **state)
{
    (void)state;
    static char longname[300], longpath[FOLDER_PATH_BYTES_MAX + 100], deep[4 * FOLDER_DEPTH_MAX];
    memset(longname, 'x', sizeof longname - 1);
    for (size_t i = 0; i + 2 < sizeof longpath; i += 2)
        memcpy(longpath + i, "./", 3);
    for (int walks = 0; walks < 2; walks++) {
        struct folder f;
        int fd;
        assert_int_equal(folder_init(&f, ".", true), OK);
        f.walks = f.walks || walks;
        assert_int_equal(folder_find(&f, longname, FOLDER_READ, &fd), ERR_NOT_FOUND);
        assert_int_equal(folder_find(&f, longpath, FOLDER_READ, &fd), ERR_NOT_FOUND);
        longname[255] = 0; /* allowed, but not there */
        assert_int_equal(folder_find(&f, longname, FOLDER_READ, &fd), ERR_NOT_FOUND);
        longname[255] = 'x';
        folder_deinit(&f);
    }
    struct folder f;
    int fd;
    assert_int_equal(folder_init(&f, ".", true), OK);
    f.walks = true;
    for (size_t i = 0; i < FOLDER_DEPTH_MAX; i++) {
        strcat(deep, i ? "/d" : "d");
        assert_int_equal(mkdir(deep, 0755), 0);
    }
    int before = open_descriptors();
    assert_int_equal(folder_find(&f, deep, FOLDER_LOOK, &fd), OK);
    close(fd);
    strcat(deep, "/d");
    assert_int_equal(mkdir(deep, 0755), 0);
    assert_int_equal(folder_find(&f, deep, FOLDER_LOOK, &fd), ERR_NOT_FOUND);
    assert_int_equal(open_descriptors(), before);
    folder_deinit(&f);
}

static void the_folder_may_be_moved_and_deleted(void **state)
{
    (void)state;
    make_folder("moving");
    write_file("moving/x", "x");
    for (int walks = 0; walks < 2; walks++) {
        struct folder f;
        assert_int_equal(folder_init(&f, "moving", true), OK);
        f.walks = f.walks || walks;
        assert_int_equal(rename("moving", "moved"), 0);
        assert_string_equal(look(&f, "x"), "x");
        assert_int_equal(rename("moved", "moving"), 0);
        folder_deinit(&f);
    }
    struct folder f;
    assert_int_equal(folder_init(&f, "moving", true), OK);
    assert_int_equal(unlink("moving/x"), 0);
    assert_int_equal(rmdir("moving"), 0);
    assert_null(look(&f, "x"));
    folder_deinit(&f);
    assert_int_equal(folder_init(&f, "moving", true), ERR_NOT_FOUND);
    assert_int_equal(folder_init(&f, "a", true), ERR_NOT_FOUND);
}

static void without_descriptors_it_says_so(void **state)
{
    (void)state;
    struct rlimit old, few;
    for (int walks = 0; walks < 2; walks++) {
        struct folder f;
        int fd;
        assert_int_equal(folder_init(&f, ".", true), OK);
        f.walks = f.walks || walks;
        getrlimit(RLIMIT_NOFILE, &old);
        few = (struct rlimit){(rlim_t)f.fd + 1, old.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        int rc = folder_find(&f, "a", FOLDER_READ, &fd);
        setrlimit(RLIMIT_NOFILE, &old);
        assert_int_equal(rc, ERR_FULL);
        folder_deinit(&f);
    }
}

/* Paths of random components, most of them senseless. */
static void random_path(uint64_t *seed, char *out, size_t size)
{
    static const char *const parts[] = {"a",        "dir",      "sub",      "b",       "c",    "link",
                                        "dirlink",  "up",       "here",     "back",    "out",  "outdir",
                                        "absolute", "root",     "self",     "ping",    "..",   ".",
                                        "",         "dangling", "outandin", "winding", "fifo", "www"};
    size_t n = 0;
    out[0] = 0;
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    for (unsigned count = 1 + (unsigned)(*seed >> 60) % 8; count > 0; count--) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        const char *part = parts[(*seed >> 33) % (sizeof parts / sizeof parts[0])];
        n +=
            (size_t)snprintf(out + n, size - n, "%s%s", part, count > 1 || (*seed >> 40) % 8 == 0 ? "/" : "");
    }
}

static void both_ways_agree_on_random_paths(void **state)
{
    (void)state;
    uint64_t seed = 20261120;
    int found = 0;
    struct folder kernel, walking;
    assert_int_equal(folder_init(&kernel, ".", true), OK);
    assert_int_equal(folder_init(&walking, ".", true), OK);
    walking.walks = true;
    for (int i = 0; i < 20000; i++) {
        char path[200];
        struct stat a, b;
        random_path(&seed, path, sizeof path);
        kernel.follow_links = walking.follow_links = i % 3 != 0;
        int x = folder_stat(&kernel, path, FOLDER_LOOK, &a, NULL);
        int y = folder_stat(&walking, path, FOLDER_LOOK, &b, NULL);
        if (x != y || (x == OK && (a.st_ino != b.st_ino || a.st_dev != b.st_dev)))
            fail_msg("'%s': %s and %s", path, err_name(x), err_name(y));
        found += x == OK;
    }
    assert_true(found > 500); /* else the paths are too senseless */
    folder_deinit(&kernel);
    folder_deinit(&walking);
}

/* Another process swaps a folder for a link that leads out, all the time. */
static int swapping;

static void *swap(void *context)
{
    (void)context;
    while (__atomic_load_n(&swapping, __ATOMIC_RELAXED)) {
        (void)!rename("race", "race.folder");
        (void)!symlink("../outside", "race");
        (void)!unlink("race");
        (void)!rename("race.folder", "race");
    }
    return NULL;
}

static void a_race_for_the_way_out_is_lost(void **state)
{
    (void)state;
    pthread_t thread;
    make_folder("race");
    write_file("race/secret", "inside");
    __atomic_store_n(&swapping, 1, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
    int found = 0, missed = 0;
    for (int i = 0; i < 200000 && (found < 500 || missed < 500 || i < 5000); i++) {
        struct folder f;
        assert_int_equal(folder_init(&f, ".", true), OK);
        f.walks = f.walks || i % 2;
        const char *text = look(&f, "race/secret");
        if (text) assert_string_equal(text, "inside");
        found += text != NULL;
        missed += text == NULL;
        folder_deinit(&f);
    }
    __atomic_store_n(&swapping, 0, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_true(found > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leads_out),
        cmocka_unit_test(walking_agrees_with_the_kernel),
        cmocka_unit_test(both_ways_agree_on_random_paths),
        cmocka_unit_test(what_is_no_file_is_looked_at_without_waiting),
        cmocka_unit_test(too_long_and_too_deep_is_not_found),
        cmocka_unit_test(the_folder_may_be_moved_and_deleted),
        cmocka_unit_test(without_descriptors_it_says_so),
        cmocka_unit_test(a_race_for_the_way_out_is_lost),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
