/* client.h - plays the cases of the table to an app, on the app's own loop: one client on a real socket,
 * which acts once in each turn. So the server has always seen one piece before the next is sent, without any
 * waiting. */
#ifndef TESTS_CONFORMANCE_CLIENT_H
#define TESTS_CONFORMANCE_CLIENT_H

#include "table.h"
#include "weaprous/weaprous.h"

struct outcome {
    const struct table_case *c;
    size_t runs;   /* connections that played it */
    char why[600]; /* empty: each went as the table says */
};

/* Plays those cases that are about this site: whole, byte by byte, and cut in two at each place (of long
 * ones, at some hundred places). Then with a client that goes away in the middle, by a reset or a half-close,
 * at some places. Runs the app until no connection is left, and stops it. One outcome for each case of
 * the table. */
void client_play(struct wr_app *app, const char *site, const struct table *table, struct outcome *outcomes);

#endif
