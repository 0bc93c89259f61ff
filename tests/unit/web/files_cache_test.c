/* What a worker remembers of a folder: for how long, how much, and that what is being sent stays. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "web/files_cache.h"

enum { FILES = 100, FILE_BYTES = 4000 };

static char base[] = "/tmp/files-cache-XXXXXX";
static char index_name[] = "index.html", policy[] = "no-cache";
static struct file_place place = {.index = index_name, .cache_control = policy, .precompressed = true};
static struct file_cache cache;

static void write_file(const char *name, const void *bytes, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    char bytes[FILE_BYTES], name[32];
    assert_non_null(mkdtemp(base));
    assert_int_equal(chdir(base), 0);
    for (int i = 0; i < FILES; i++) {
        memset(bytes, 'a' + i % 26, sizeof bytes);
        snprintf(name, sizeof name, "f%d", i);
        write_file(name, bytes, sizeof bytes);
    }
    assert_int_equal(folder_init(&place.folder, ".", true), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    folder_deinit(&place.folder);
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r %s", base);
    return system(command);
}

static int begin(void **state)
{
    (void)state;
    place.cached_file_bytes_max = FILES_CACHED_FILE_BYTES;
    place.cache_bytes_max = FILES_CACHE_BYTES;
    return file_cache_init(&cache, &place, (struct sip_secret){1, 2}, true);
}

static int end(void **state)
{
    (void)state;
    file_cache_deinit(&cache);
    return 0;
}

static struct file *find(const char *name, uint64_t now_ms)
{
    struct file *f = NULL;
    assert_int_equal(file_cache_find(&cache, slice_text(name), now_ms, &f), OK);
    assert_non_null(f);
    return f;
}

static struct file *find_number(int i, uint64_t now_ms)
{
    char name[32];
    snprintf(name, sizeof name, "/f%d", i);
    struct file *f = find(name, now_ms);
    assert_int_equal(f->kind, FILE_PLAIN);
    return f;
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void what_is_remembered_is_believed_for_a_second(void **state)
{
    (void)state;
    write_file("x", "one", 3);
    struct file *f = find("/x", 5000);
    assert_memory_equal(f->forms[0].bytes->bytes, "one", 3);
    assert_int_equal(unlink("x"), 0);
    assert_ptr_equal(find("/x", 5999), f);
    assert_ptr_equal(file_cache_peek(&cache, SLICE("/x"), 5999), f);
    assert_null(file_cache_peek(&cache, SLICE("/x"), 6000));
    assert_int_equal(find("/x", 6000)->kind, FILE_MISSING);
    write_file("x", "two", 3);
    assert_int_equal(find("/x", 6999)->kind, FILE_MISSING);
    assert_int_equal(find("/x", 7000)->kind, FILE_PLAIN);
    assert_int_equal(unlink("x"), 0);
}

static void only_names_that_were_found_are_peeked(void **state)
{
    (void)state;
    find("/f1", 1);
    assert_non_null(file_cache_peek(&cache, SLICE("/f1"), 1));
    assert_null(file_cache_peek(&cache, SLICE("/f2"), 1));
    assert_null(file_cache_peek(&cache, SLICE("//f1"), 1));
    assert_null(file_cache_peek(&cache, SLICE("/./f1"), 1));
    assert_null(file_cache_peek(&cache, SLICE(""), 1));
    assert_null(file_cache_peek(&cache, SLICE("/f1/"), 1));
}

static void contents_keep_to_their_limit(void **state)
{
    (void)state;
    place.cache_bytes_max = 10 * FILE_BYTES;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FILES; i++) {
            struct file *f = find_number(i, 1);
            assert_int_equal(f->forms[0].bytes->bytes[FILE_BYTES - 1], 'a' + i % 26);
            assert_true(cache.bytes <= place.cache_bytes_max);
            find_number(0, 1); /* used all the time, so it stays */
        }
        assert_non_null(file_cache_peek(&cache, SLICE("/f0"), 1));
        assert_non_null(file_cache_peek(&cache, SLICE("/f99"), 1));
        assert_null(file_cache_peek(&cache, SLICE("/f50"), 1));
    }
    place.cache_bytes_max = 0; /* one is kept all the same, to be answered with */
    find_number(7, 1);
    assert_int_equal(cache.count, 1);
}

static void descriptors_keep_to_their_limit(void **state)
{
    (void)state;
    place.cached_file_bytes_max = FILE_BYTES - 1;
    int before = open_descriptors();
    for (int i = 0; i < FILES; i++)
        assert_null(find_number(i, 1)->forms[0].bytes);
    assert_int_equal(cache.open, FILES_OPEN_MAX);
    assert_int_equal(open_descriptors() - before, FILES_OPEN_MAX);
    /* What is being sent stays open. */
    struct shared_file *sent = shared_file_hold(find_number(0, 1)->forms[0].file);
    for (int i = 1; i < FILES; i++)
        find_number(i, 1);
    assert_int_equal(open_descriptors() - before, FILES_OPEN_MAX + 1);
    char byte = 0;
    assert_int_equal(pread(sent->fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'a');
    shared_file_release(sent);
    assert_int_equal(open_descriptors() - before, FILES_OPEN_MAX);
}

static void what_is_being_sent_outlives_the_cache(void **state)
{
    (void)state;
    struct shared_bytes *sent = shared_bytes_hold(find_number(3, 1)->forms[0].bytes);
    place.cache_bytes_max = 1;
    find_number(4, 1);
    assert_null(file_cache_peek(&cache, SLICE("/f3"), 1));
    assert_int_equal(sent->bytes[0], 'd');
    shared_bytes_release(sent);
}

static void names_that_lead_nowhere_keep_to_their_limit(void **state)
{
    (void)state;
    char name[32];
    find_number(1, 1);
    for (int i = 0; i < 3 * FILES_OTHERS_MAX; i++) {
        snprintf(name, sizeof name, "/nothing%d", i);
        assert_int_equal(find(name, 1)->kind, FILE_MISSING);
    }
    assert_int_equal(cache.others_count, FILES_OTHERS_MAX);
    assert_int_equal(cache.count, FILES_OTHERS_MAX + 1);
    assert_non_null(file_cache_peek(&cache, SLICE("/f1"), 1)); /* they put no file out */
    for (int i = 2 * FILES_OTHERS_MAX; i < 3 * FILES_OTHERS_MAX; i++) {
        snprintf(name, sizeof name, "/nothing%d", i);
        assert_non_null(file_cache_peek(&cache, slice_text(name), 1));
    }
}

static void without_descriptors_it_closes_its_own_and_tries_again(void **state)
{
    (void)state;
    struct rlimit old, few;
    struct file *f;
    place.cached_file_bytes_max = 0;
    for (int i = 0; i < 3; i++)
        find_number(i, 1);
    int highest = dup(0);
    close(highest);
    getrlimit(RLIMIT_NOFILE, &old);
    few = (struct rlimit){(rlim_t)highest, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    int rc = file_cache_find(&cache, SLICE("/f50"), 1, &f);
    unsigned open_then = cache.open;
    file_cache_deinit(&cache);
    (void)!file_cache_init(&cache, &place, (struct sip_secret){1, 2}, true);
    for (int fd = highest - 3; fd < highest; fd++)
        (void)!dup(0); /* takes what was closed */
    int full = file_cache_find(&cache, SLICE("/f51"), 1, &f);
    setrlimit(RLIMIT_NOFILE, &old);
    for (int fd = highest - 3; fd < highest; fd++)
        close(fd);
    assert_int_equal(rc, OK);
    assert_int_equal(open_then, 1);
    assert_int_equal(full, ERR_FULL);
}

static void without_descriptors_what_was_true_is_used(void **state)
{
    (void)state;
    struct rlimit old, few;
    struct file *f = find_number(1, 1), *again = NULL;
    int highest = dup(0);
    close(highest);
    getrlimit(RLIMIT_NOFILE, &old);
    few = (struct rlimit){(rlim_t)highest, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    f->forms[0].settled = true;
    int rc = file_cache_find(&cache, SLICE("/f1"), 5000, &again);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(rc, OK);
    assert_ptr_equal(f, again);
    assert_int_equal(f->checked_ms, 5000);
}

/* How often the file was opened since the watch began; looking does not count. */
static int opened(int watch)
{
    struct inotify_event events[16];
    ssize_t n = read(watch, events, sizeof events);
    return n < 0 ? 0 : (int)n / (int)sizeof events[0];
}

static void what_is_no_file_is_never_opened(void **state)
{
    (void)state;
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_int_equal(mkfifo("pipe", 0644), 0);
    assert_int_equal(mkfifo("f2.br", 0644), 0);
    assert_true(inotify_add_watch(watch, "pipe", IN_OPEN) >= 0);
    assert_true(inotify_add_watch(watch, "f2.br", IN_OPEN) >= 0);
    assert_int_equal(find("/pipe", 1)->kind, FILE_MISSING);
    assert_int_equal(find("/f2", 1)->kind, FILE_PLAIN);
    assert_int_equal(opened(watch), 0);
    assert_true(inotify_add_watch(watch, "f3", IN_OPEN) >= 0); /* the watch works */
    find_number(3, 1);
    assert_int_equal(opened(watch), 1);
    close(watch);
    assert_int_equal(unlink("f2.br"), 0);
}

static void tags_differ_for_whatever_differs(void **state)
{
    (void)state;
    char first[32], second[32];
    write_file("y", "same", 4);
    slice tag = find("/y", 1)->forms[0].etag;
    snprintf(first, sizeof first, "%.*s", (int)tag.len, (const char *)tag.ptr);
    write_file("z", "same", 4);
    assert_int_equal(rename("z", "y"), 0); /* another inode */
    tag = find("/y", 2000)->forms[0].etag;
    snprintf(second, sizeof second, "%.*s", (int)tag.len, (const char *)tag.ptr);
    assert_string_not_equal(first, second);
    /* Another cache, or worker, or run of the program, has the same tag. */
    struct file_cache other;
    struct file *f;
    assert_int_equal(file_cache_init(&other, &place, (struct sip_secret){3, 4}, false), OK);
    assert_int_equal(file_cache_find(&other, SLICE("/y"), 9, &f), OK);
    assert_int_equal(f->forms[0].etag.len, strlen(second));
    assert_memory_equal(f->forms[0].etag.ptr, second, strlen(second));
    file_cache_deinit(&other);
}

static void what_was_read_just_after_a_change_is_read_again(void **state)
{
    (void)state;
    /* A file that was written this moment: what was read cannot be told from what is written a moment later.
     */
    write_file("racy", "first", 5);
    struct file *f = find("/racy", 1);
    assert_false(f->forms[0].settled);
    struct stat st;
    assert_int_equal(stat("racy", &st), 0);
    assert_int_equal(f->forms[0].identity.inode, st.st_ino);
    write_file("racy", "other", 5);
    f = find("/racy", 1001);
    assert_memory_equal(f->forms[0].bytes->bytes, "other", 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_remembered_is_believed_for_a_second),
        TEST(only_names_that_were_found_are_peeked),
        TEST(contents_keep_to_their_limit),
        TEST(descriptors_keep_to_their_limit),
        TEST(what_is_being_sent_outlives_the_cache),
        TEST(names_that_lead_nowhere_keep_to_their_limit),
        TEST(without_descriptors_it_closes_its_own_and_tries_again),
        TEST(without_descriptors_what_was_true_is_used),
        TEST(what_is_no_file_is_never_opened),
        TEST(tags_differ_for_whatever_differs),
        TEST(what_was_read_just_after_a_change_is_read_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
