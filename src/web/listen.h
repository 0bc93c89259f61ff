/* listen.h - where an app listens, and how many connections it takes. */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include "web/app.h"

struct connection;

/* Accepts again, when there is room and a connection waits. */
void listen_resume(struct wr_worker *worker);
/* Closes the listeners of a worker. */
void listen_close(struct wr_worker *worker);

/* One more connection of the app; false when it has too many: the worker is woken when there is room again.
 */
bool listen_count(struct wr_worker *worker);
void listen_uncount(struct wr_worker *worker);
/* One more of this address; false when it has too many. */
bool listen_count_address(struct wr_app *app, const uint8_t address[16]);
void listen_uncount_address(struct wr_app *app, const uint8_t address[16]);

#endif
