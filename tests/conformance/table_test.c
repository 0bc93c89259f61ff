/* Every case of the table, sent whole, byte by byte and cut in two at every place. `conformance_table_test
 * TEXT` plays only the cases with TEXT in their names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "site.h"

static void goes_as_the_table_says(void **state)
{
    const struct outcome *outcome = *state;
    if (outcome->why[0]) fail_msg("%s: %s", outcome->c->name, outcome->why);
    if (outcome->runs < 2) fail_msg("%s was not played", outcome->c->name);
}

static void only(struct table *table, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (strstr(table->cases[i]->name, part)) {
            struct table_case *c = table->cases[i];
            table->cases[i] = table->cases[n];
            table->cases[n++] = c;
        }
    }
    table->count = n; /* what stands behind is lost, in a run by hand */
}

static void play(const char *site, const struct table *table, struct outcome *outcomes)
{
    struct wr_app *app = site_new(site);
    assert_non_null(app);
    if (wr_listen(app, "127.0.0.1", 0, NULL) != 0) {
        fprintf(stderr, "%s\n", wr_app_error(app));
        exit(1);
    }
    client_play(app, site, table, outcomes);
    wr_app_free(app);
}

int main(int argc, char **argv)
{
    struct table table;
    size_t runs = 0;
    table_read(&table, TABLE);
    if (argc > 1) only(&table, argv[1]);
    struct outcome *outcomes = calloc(table.count, sizeof *outcomes);
    struct CMUnitTest *tests = calloc(table.count, sizeof *tests);
    if (!outcomes || !tests) return 1;
    for (size_t i = 0; i < table.count; i++) {
        outcomes[i].c = table.cases[i];
        tests[i] = (struct CMUnitTest){
            .name = table.cases[i]->name, .test_func = goes_as_the_table_says, .initial_state = &outcomes[i]};
    }
    play("default", &table, outcomes);
    play("small", &table, outcomes);
    for (size_t i = 0; i < table.count; i++)
        runs += outcomes[i].runs;
    printf("%zu cases on %zu connections\n", table.count, runs);
    int failed = _cmocka_run_group_tests("conformance", tests, table.count, NULL, NULL);
    table_free(&table);
    free(outcomes);
    free(tests);
    return failed;
}
