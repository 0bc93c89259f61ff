#include "tracker/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "tracker/channels.h"
#include "tracker/holder.h"
#include "tracker/job.h"
#include "tracker/person.h"
#include "tracker/push.h"
#include "tracker/reach.h"
#include "tracker/remote.h"
#include "tracker/socket.h"
#include "tracker/bridge.h"

static peers_handler *const handlers[PEERS_KIND_COUNT] = {
    [PEERS_ONLINE] = remote_online,
    [PEERS_OFFLINE] = remote_offline,
    [PEERS_LOGGED_OUT] = sockets_logged_out_elsewhere,
    [PEERS_ACCOUNT_CHANGED] = sockets_account_changed_elsewhere,
    [PEERS_PUSH] = push_from_peer,
    [PEERS_SIGNAL] = signal_from_peer,
    [PEERS_ASK] = job_asked,
    [PEERS_ANSWER] = job_answered,
    [PEERS_HOLDER] = holder_named,
    [PEERS_RETIRED] = holder_retired,
    [PEERS_BRIDGE_OPEN] = bridge_asked,
    [PEERS_BRIDGE_OPENED] = bridge_was_opened,
    [PEERS_BRIDGE_BYTES] = bridge_bytes,
    [PEERS_BRIDGE_CREDIT] = bridge_credit,
    [PEERS_BRIDGE_CLOSED] = bridge_was_closed,
    [PEERS_PERSON] = people_changed_elsewhere,
    [PEERS_TALK] = reach_talk_elsewhere,
    [PEERS_ORDERS] = channels_due_elsewhere,
};

static void on_message(void *context, uint32_t peer, slice message)
{
    struct tracker *tracker = context;
    enum peers_kind kind = message.len ? message.ptr[0] : 0;
    if (tracker->stopping) return;
    if (kind < PEERS_KIND_COUNT && handlers[kind])
        handlers[kind](tracker, peer, slice_sub(message, 1, message.len));
    replica_pump(tracker);
}

static void on_joined(void *context, uint32_t peer)
{
    struct tracker *tracker = context;
    tracker_log(tracker, WR_LOG_INFO, "another process shares the data (%u)", (unsigned)peer);
    remote_tell_all(tracker, peer);
    holder_joined(tracker, peer);
}

static void on_left(void *context, uint32_t peer, const char *why)
{
    struct tracker *tracker = context;
    if (tracker->stopping) return;
    tracker_log(tracker, why ? WR_LOG_WARNING : WR_LOG_INFO,
                "a process that shares the data is gone (%u): %s", (unsigned)peer,
                why ? why : "it was ended");
    bridge_peer_left(tracker, peer);
    remote_peer_left(tracker, peer);
    holder_left(tracker, peer);
    job_peer_left(tracker, peer);
    replica_pump(tracker);
}

static void on_drained(void *context, uint32_t peer)
{
    struct tracker *tracker = context;
    if (tracker->stopping) return;
    bridge_peer_drained(tracker, peer);
    replica_pump(tracker);
}

static void on_refused(void *context, const char *why)
{
    tracker_log_some(context, LOG_PEERS, "%s", why);
}

int peers_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    const char *folder = tracker->config.shared_folder;
    if (!folder) return OK;
    size_t room = strlen(folder) + sizeof "/bus";
    char *path = malloc(room);
    char words[BUS_WHY_BYTES] = "";
    int err = path ? OK : ERR_MEMORY;
    if (path) snprintf(path, room, "%s/bus", folder);
    tracker->bus_folder = path;
    struct bus_options options = {.loop = tracker->loop,
                                  .folder = path,
                                  .version = wr_version(),
                                  .handlers = {.joined = on_joined,
                                               .left = on_left,
                                               .message = on_message,
                                               .drained = on_drained,
                                               .refused = on_refused,
                                               .context = tracker}};
    if (!err) err = bus_open(&options, &tracker->bus, words);
    if (err && words[0]) snprintf(why, TRACKER_WHY_BYTES, "%s", words);
    return err;
}

void peers_close(struct tracker *tracker)
{
    bus_close(tracker->bus);
    tracker->bus = NULL;
}

void peers_publish(struct tracker *tracker, enum peers_kind kind, slice message)
{
    uint8_t head = (uint8_t)kind;
    if (tracker->bus) bus_publish(tracker->bus, slice_of(&head, 1), message);
}

int peers_send(struct tracker *tracker, uint32_t peer, enum peers_kind kind, slice head, slice body)
{
    uint8_t room[1 + PEERS_HEAD_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    writer_byte(&w, (uint8_t)kind);
    writer_put(&w, head);
    if (w.failed) return ERR_TOO_LARGE;
    return tracker->bus ? bus_send(tracker->bus, peer, writer_slice(&w), body) : ERR_NOT_FOUND;
}

void peers_tell(struct tracker *tracker, uint32_t peer, enum peers_kind kind, slice head, slice body)
{
    int err = peers_send(tracker, peer, kind, head, body);
    if (err && err != ERR_NOT_FOUND) bus_drop(tracker->bus, peer, err_text(err));
}
