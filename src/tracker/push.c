#include "tracker/push.h"

#include "tracker/socket.h"

static void push_some(struct tracker *tracker, const int64_t *accounts, size_t count, bool all, json_t *json)
{
    struct client *client;
    for (size_t at = 0; json && (client = handles_next(&tracker->clients, &at));) {
        bool named = all;
        for (size_t i = 0; i < count && !named; i++)
            named = client->account == accounts[i];
        if (named && client->phase == CLIENT_ONLINE) client_send(client, json_incref(json));
    }
    json_decref(json);
}

void push_account(struct tracker *tracker, int64_t account, json_t *json)
{
    push_some(tracker, &account, 1, false, json);
}

void push_accounts(struct tracker *tracker, const int64_t *accounts, size_t count, json_t *json)
{
    push_some(tracker, accounts, count, false, json);
}

void push_everybody(struct tracker *tracker, json_t *json)
{
    push_some(tracker, NULL, 0, true, json);
}
