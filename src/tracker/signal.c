/* WebRTC signalling: descriptions and candidates from one device to another.
 *
 * Browsers make candidates before the other side knows the description they belong to; so those are held here
 * until the description of the same sender, receiver and attempt has gone. */
#include "tracker/socket.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "bus/bus.h"
#include "tracker/remote.h"

#define ATTEMPT_LETTERS_MAX 32
#define ATTEMPTS_MAX 512            /* of one sender; the oldest is forgotten */
#define HELD_MAX 64                 /* candidates of one attempt */
#define HELD_BYTES_MAX (128 * 1024) /* of one sender */
#define ATTEMPT_LIFE_MS 120000      /* without another signal of it */

struct signal_attempt {
    struct signal_attempt *next;
    uint8_t to[ID_BYTES];
    char name[4 * ATTEMPT_LETTERS_MAX + 1];
    bool described;
    json_t *held; /* array of candidates, or NULL */
    size_t held_bytes;
    uint64_t used_ms;
};

static void attempt_free(struct client *client, struct signal_attempt *attempt)
{
    client->more->attempt_count--;
    client->more->held_bytes -= attempt->held_bytes;
    json_decref(attempt->held);
    free(attempt);
}

void signal_forget(struct client *client)
{
    struct client_more *more = client->more;
    while (more->attempts) {
        struct signal_attempt *attempt = more->attempts;
        more->attempts = attempt->next;
        attempt_free(client, attempt);
    }
    client_less(client);
}

/* The newest come first, so everything behind an old one is old, too. */
static void forget_old(struct client *client, uint64_t now_ms)
{
    struct signal_attempt **link = &client->more->attempts;
    while (*link && now_ms < (*link)->used_ms + ATTEMPT_LIFE_MS)
        link = &(*link)->next;
    while (*link) {
        struct signal_attempt *attempt = *link;
        *link = attempt->next;
        attempt_free(client, attempt);
    }
    client_less(client);
}

void signals_forget_old(struct tracker *tracker)
{
    uint64_t now_ms = tracker_now_ms(tracker);
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (client->more->attempts) forget_old(client, now_ms);
    }
}

static void forget_oldest(struct client *client)
{
    struct signal_attempt **link = &client->more->attempts;
    while ((*link)->next)
        link = &(*link)->next;
    attempt_free(client, *link);
    *link = NULL;
}

/* The attempt of that name to that device, made when it is new and moved to the front; NULL: no memory. */
static struct signal_attempt *attempt_of(struct client *client, const uint8_t to[ID_BYTES], const char *name)
{
    struct client_more *more = client_more(client);
    if (!more) return NULL;
    struct signal_attempt **link = &more->attempts, *attempt = NULL;
    while (*link && (memcmp((*link)->to, to, ID_BYTES) != 0 || strcmp((*link)->name, name) != 0))
        link = &(*link)->next;
    attempt = *link;
    if (attempt) {
        *link = attempt->next;
    } else {
        if (more->attempt_count >= ATTEMPTS_MAX) forget_oldest(client);
        attempt = calloc(1, sizeof *attempt);
        if (!attempt) return NULL;
        memcpy(attempt->to, to, ID_BYTES);
        memcpy(attempt->name, name, strlen(name)); /* its length was checked */
        more->attempt_count++;
    }
    attempt->used_ms = tracker_now_ms(client->tracker);
    attempt->next = more->attempts;
    more->attempts = attempt;
    return attempt;
}

static bool send_there(struct tracker *tracker, const struct remote *remote, json_t *signal)
{
    /* As with bridges: the other half of the queue is for what may not be lost. */
    if (bus_queued(tracker->bus, remote->peer) > BUS_QUEUE_BYTES_MAX / 2) {
        json_decref(signal);
        return false;
    }
    char *text = signal ? json_dumps(signal, JSON_COMPACT) : NULL;
    int err = text ? peers_send(tracker, remote->peer, PEERS_SIGNAL, slice_of(remote->seat.device, ID_BYTES),
                                slice_text(text))
                   : ERR_MEMORY;
    free(text);
    json_decref(signal);
    return !err;
}

static bool forward(struct client *client, const struct receiver *receiver, const char *attempt,
                    const char *what, json_t *value)
{
    char from[ID_TEXT_BYTES];
    json_t *signal = json_pack("{s:s,s:s,s:s,s:O}", "type", "signal", "from", client_device(client, from),
                               "attempt", attempt, what, value);
    return receiver->here ? client_send(receiver->here, signal)
                          : send_there(client->tracker, receiver->there, signal);
}

/* From the process where the sender is. Whoever takes nothing at this moment does not get it: the attempt
 * comes to nothing then, and a relay is tried. */
void signal_from_peer(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)peer;
    if (message.len < ID_BYTES) return;
    struct client *receiver = sockets_online(tracker, message.ptr);
    if (!receiver || client_is_full(receiver)) return;
    wr_socket_send(receiver->socket, WR_TEXT, message.ptr + ID_BYTES, message.len - ID_BYTES);
}

static const char *hold(struct client *client, struct signal_attempt *attempt, json_t *candidate)
{
    size_t bytes = json_dumpb(candidate, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!attempt->held) attempt->held = json_array();
    if (!attempt->held) return "The server is out of memory.";
    if (json_array_size(attempt->held) >= HELD_MAX || client->more->held_bytes + bytes > HELD_BYTES_MAX)
        return "Too many candidates are waiting for their description.";
    json_array_append(attempt->held, candidate);
    attempt->held_bytes += bytes;
    client->more->held_bytes += bytes;
    return NULL;
}

static void release(struct client *client, const struct receiver *receiver, struct signal_attempt *attempt)
{
    size_t i;
    json_t *candidate;
    json_array_foreach(attempt->held, i, candidate)
    {
        if (!forward(client, receiver, attempt->name, "candidate", candidate)) break;
    }
    json_decref(attempt->held);
    attempt->held = NULL;
    client->more->held_bytes -= attempt->held_bytes;
    attempt->held_bytes = 0;
}

/* NULL when the signal was sent or is held; else why not. */
static const char *signal_pass(struct client *client, const struct receiver *receiver,
                               struct signal_attempt *attempt, json_t *description, json_t *candidate)
{
    if (!description && !attempt->described) return hold(client, attempt, candidate);
    if (receiver->here && client_is_full(receiver->here))
        return "That device takes no more at this moment: try again later.";
    if (!description)
        return forward(client, receiver, attempt->name, "candidate", candidate) ? NULL
                                                                                : "That device has gone.";
    if (!forward(client, receiver, attempt->name, "description", description)) return "That device has gone.";
    attempt->described = true;
    release(client, receiver, attempt);
    return NULL;
}

void signal_message(struct client *client, const json_t *message, json_int_t id)
{
    const json_t *name = json_object_get(message, "attempt");
    json_t *description = json_object_get(message, "description");
    json_t *candidate = json_object_get(message, "candidate");
    slice text = slice_of(json_string_value(name), json_string_length(name));
    if (!json_is_string(name) || text.len == 0 || utf8_length(text) > ATTEMPT_LETTERS_MAX) {
        client_refuse(client, "signal", id, "\"attempt\" must be a text of 1 to 32 characters.");
        return;
    }
    if (!description == !candidate || (description && !json_is_object(description)) ||
        (candidate && !json_is_object(candidate) && !json_is_null(candidate))) {
        client_refuse(client, "signal", id, "Send either a \"description\" or a \"candidate\".");
        return;
    }
    struct receiver receiver;
    if (!client_receiver(client, message, "signal", id, &receiver)) return;
    const uint8_t *to = receiver.here ? receiver.here->seat.device : receiver.there->seat.device;
    struct signal_attempt *attempt = attempt_of(client, to, json_string_value(name));
    const char *problem = attempt ? signal_pass(client, &receiver, attempt, description, candidate)
                                  : "The server is out of memory.";
    client->tracker->counts.signals++;
    if (problem)
        client_refuse(client, "signal", id, problem);
    else
        client_answer(client, "signal", id, NULL);
}
