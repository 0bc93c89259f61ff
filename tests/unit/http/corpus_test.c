/* Runs a fuzz target over every file of its stored corpus. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_file(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static uint8_t bytes[1 << 20];
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    uint8_t *exact = malloc(len ? len : 1); /* so that the sanitizer sees the end */
    for (size_t i = 0; i < len; i++)
        exact[i] = bytes[i];
    assert_int_equal(LLVMFuzzerTestOneInput(exact, len), 0);
    free(exact);
}

static void the_stored_corpus_passes(void **state)
{
    (void)state;
    DIR *folder = opendir(CORPUS);
    assert_non_null(folder);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        run_file(entry->d_name);
        count++;
    }
    closedir(folder);
    assert_true(count >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_stored_corpus_passes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
