/* Sessions that are over, and roles that have changed, at the sockets that are open: at once where this or
 * another process of ours did it, within seconds where `weaprous user` did. */
#include <stdlib.h>
#include <string.h>

#include "tracker/peers.h"
#include "tracker/socket.h"

#define SESSIONS_CHECKED 2048 /* at a time */

struct check {
    struct tracker *tracker;
    uint32_t client;
};

static void checked(void *context, int result, const struct store_row *row)
{
    struct check *check = context;
    struct client *client = handles_get(&check->tracker->clients, check->client);
    free(check);
    if (!client || client->phase == CLIENT_LEAVING) return;
    if (!result)
        client->role = (uint8_t)row->role;
    else if (result == ERR_NOT_FOUND)
        client_goodbye(client, "logged-out", "Your session is over: log in again.", WR_CLOSE_NORMAL);
}

static bool check_session(struct client *client)
{
    struct tracker *tracker = client->tracker;
    struct check *check = malloc(sizeof *check);
    if (!check) return false;
    *check = (struct check){tracker, client->number};
    struct store_row row = {.token = client->session, .time_ms = tracker_now_ms(tracker)};
    int err = store_submit(tracker->store, STORE_SESSION_GET, &row, checked, check);
    if (err) free(check);
    return !err;
}

void sockets_check_sessions(struct tracker *tracker)
{
    struct client *client;
    for (unsigned i = 0; i < SESSIONS_CHECKED; i++) {
        client = handles_next(&tracker->clients, &tracker->check_at);
        if (client && (client->phase == CLIENT_LEAVING || check_session(client))) continue;
        if (!client) tracker->check_at = 0; /* all were looked at; else the store is busy */
        return;
    }
}

static void check_account(struct tracker *tracker, int64_t account)
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (client->account == account && client->phase != CLIENT_LEAVING) (void)!check_session(client);
    }
}

void sockets_account_changed(struct tracker *tracker, int64_t account)
{
    check_account(tracker, account);
    peers_publish(tracker, PEERS_ACCOUNT_CHANGED, slice_of(&account, sizeof account));
}

void sockets_account_changed_elsewhere(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)peer;
    int64_t account;
    if (message.len != sizeof account) return;
    memcpy(&account, message.ptr, sizeof account);
    check_account(tracker, account);
}
