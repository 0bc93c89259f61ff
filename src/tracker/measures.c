#include "tracker/measures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/ip.h"
#include "tracker/replica.h"
#include "tracker/socket.h"

#define PATH "/metrics"

enum { NETWORKS_MAX = 32 };

enum measure {
    DEVICES_CONNECTED,
    DEVICES_ONLINE,
    DEVICES_SYNCING,
    RELAYS_OPEN,
    RELAY_BYTES,
    RELAY_WAITS,
    SIGNALS,
    TURNED_AWAY,
    STORE_OPERATIONS,
    STORE_TRANSACTIONS,
    STORE_FAILURES,
    STORE_WAITING,
    ENTRIES_RECEIVED,
    ENTRIES_DOUBLE,
    BYTES_RECEIVED,
    BYTES_SENT,
    MEASURE_COUNT,
};

static const struct {
    enum wr_metric_kind kind;
    const char *name, *labels, *help;
} rows[MEASURE_COUNT] = {
    [DEVICES_CONNECTED] = {WR_GAUGE, "weaprous_devices", "state=\"connected\"",
                           "Devices, by what they have done."},
    [DEVICES_ONLINE] = {WR_GAUGE, "weaprous_devices", "state=\"online\"", "Devices, by what they have done."},
    [DEVICES_SYNCING] = {WR_GAUGE, "weaprous_devices", "state=\"linked\"",
                         "Devices, by what they have done."},
    [RELAYS_OPEN] = {WR_GAUGE, "weaprous_relays", NULL, "Pairs of devices whose bytes are passed on."},
    [RELAY_BYTES] = {WR_COUNTER, "weaprous_relay_bytes_total", NULL,
                     "Bytes that count for the quota: relayed, and sent to the replica."},
    [RELAY_WAITS] = {WR_COUNTER, "weaprous_relay_waits_total", NULL,
                     "How often a device had to wait for the quota of its account or of all."},
    [SIGNALS] = {WR_COUNTER, "weaprous_signals_total", NULL, "Offers, answers and candidates."},
    [TURNED_AWAY] = {WR_COUNTER, "weaprous_turned_away_total", NULL,
                     "Sockets that were asked to come again later."},
    [STORE_OPERATIONS] = {WR_COUNTER, "weaprous_store_operations_total", NULL, "Operations of the database."},
    [STORE_TRANSACTIONS] = {WR_COUNTER, "weaprous_store_transactions_total", NULL,
                            "Transactions that wrote, each with one fsync."},
    [STORE_FAILURES] = {WR_COUNTER, "weaprous_store_failures_total", NULL,
                        "Operations that the disk or the database refused."},
    [STORE_WAITING] = {WR_GAUGE, "weaprous_store_waiting", NULL, "Operations that wait for the database."},
    [ENTRIES_RECEIVED] = {WR_COUNTER, "weaprous_entries_total", "new=\"yes\"", "Messages that came."},
    [ENTRIES_DOUBLE] = {WR_COUNTER, "weaprous_entries_total", "new=\"no\"", "Messages that came."},
    [BYTES_RECEIVED] = {WR_COUNTER, "weaprous_replica_bytes_total", "direction=\"received\"",
                        "Bytes of the links to the replica."},
    [BYTES_SENT] = {WR_COUNTER, "weaprous_replica_bytes_total", "direction=\"sent\"",
                    "Bytes of the links to the replica."},
};

struct measures {
    struct wr_metric *metrics[MEASURE_COUNT];
    struct ip_network from[NETWORKS_MAX];
    size_t from_count;
};

/* --- who may look --- */

static bool may_look(struct wr_request *request, void *context)
{
    const struct measures *m = context;
    uint8_t address[IP_BYTES];
    const char *path = wr_request_path(request);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len != sizeof PATH - 1 || memcmp(path, PATH, len) != 0) return true;
    if (!ip_parse(slice_text(wr_request_address(request)), address) &&
        ip_networks_have(m->from, m->from_count, address))
        return true;
    wr_respond_error(
        request, 403,
        "The metrics are for the server's own computer and for the networks that --metrics-from names.");
    return false;
}

static int add_network(struct measures *m, slice text)
{
    return m->from_count < NETWORKS_MAX ? ip_network_parse(text, &m->from[m->from_count++]) : ERR_FULL;
}

static int read_networks(struct measures *m, const char *list)
{
    int err = add_network(m, SLICE("127.0.0.0/8"));
    if (!err) err = add_network(m, SLICE("::1"));
    slice rest = list ? slice_text(list) : SLICE_EMPTY;
    while (rest.len && !err) {
        size_t end = slice_find(rest, ',');
        err = add_network(m, slice_sub(rest, 0, end));
        rest = slice_sub(rest, end < rest.len ? end + 1 : rest.len, rest.len);
    }
    return err;
}

int measures_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    struct measures *m = calloc(1, sizeof *m);
    if (!m) return ERR_MEMORY;
    tracker->measures = m;
    if (read_networks(m, tracker->config.metrics_from)) {
        snprintf(why, TRACKER_WHY_BYTES,
                 "--metrics-from %s is no list of networks like 10.0.0.0/8,192.0.2.7 (%d at most).",
                 tracker->config.metrics_from, NETWORKS_MAX - 2);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < MEASURE_COUNT; i++) {
        m->metrics[i] = wr_metric(tracker->app, rows[i].kind, rows[i].name, rows[i].labels, rows[i].help);
        if (!m->metrics[i]) return ERR_MEMORY;
    }
    return wr_before(wr_root(tracker->app), may_look, m) || wr_metrics(tracker->app, PATH) ? ERR_MEMORY : OK;
}

/* --- looking --- */

static void set(struct measures *m, enum measure which, uint64_t value)
{
    wr_metric_set(m->metrics[which], (int64_t)value);
}

static void take_store(struct measures *m, struct store *store)
{
    struct store_stats stats;
    store_stats(store, &stats);
    set(m, STORE_OPERATIONS, stats.operations);
    set(m, STORE_TRANSACTIONS, stats.transactions);
    set(m, STORE_FAILURES, stats.failures);
    set(m, STORE_WAITING, stats.waiting);
}

static void take_node(struct measures *m, const struct node *node)
{
    struct node_traffic traffic;
    uint64_t sent = 0, received = 0;
    node_traffic(node, &traffic);
    for (int path = 0; path <= PATH_LAN; path++) {
        sent += traffic.sent[path];
        received += traffic.received[path];
    }
    set(m, ENTRIES_RECEIVED, traffic.entries - traffic.doubles);
    set(m, ENTRIES_DOUBLE, traffic.doubles);
    set(m, BYTES_RECEIVED, received);
    set(m, BYTES_SENT, sent);
}

void measures_take(struct tracker *tracker)
{
    struct measures *m = tracker->measures;
    uint64_t online = 0, linked = 0;
    const struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        online += client->phase == CLIENT_ONLINE;
        linked += replica_is_linked(client);
    }
    set(m, DEVICES_CONNECTED, tracker->clients.used);
    set(m, DEVICES_ONLINE, online);
    set(m, DEVICES_SYNCING, linked);
    set(m, RELAYS_OPEN, tracker->relays.used);
    set(m, RELAY_BYTES, tracker->counts.relay_bytes);
    set(m, RELAY_WAITS, tracker->counts.relay_waits);
    set(m, SIGNALS, tracker->counts.signals);
    set(m, TURNED_AWAY, tracker->counts.turned_away);
    take_store(m, tracker->store);
    if (tracker->node) take_node(m, tracker->node);
}

void measures_free(struct tracker *tracker)
{
    free(tracker->measures);
    tracker->measures = NULL;
}
