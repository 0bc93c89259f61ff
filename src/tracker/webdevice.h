/* webdevice.h - entries that the tracker writes for people who have no device of their own in the channel:
 * what comes over the classic routes.
 *
 * An account that uses them has one "web device": a seed in the database, certified like any device, and
 * called "web API" in the list of the account's devices. It has no node and no memory of its own: the feed in
 * the replica says what comes next, and the replica takes the entry as if a link had brought it
 * (node_compose, COMMAND_BRING; docs/decisions/0022-web-devices.md). So it never writes two entries under one
 * number, nothing has to be kept while it is idle, and any number of accounts may take turns. Only the
 * process that holds the replica writes; the others hand what they want written over to it.
 *
 * Rules: as tracker.h. Public channels only: the tracker has no keys of the others. */
#ifndef TRACKER_WEBDEVICE_H
#define TRACKER_WEBDEVICE_H

#include "tracker/job.h"
#include "tracker/state.h"

enum {
    WEB_TEXT_BYTES_MAX = 8 * 1024,
    WEB_BODY_BYTES_MAX = 9 * 1024,
    WEB_WRITES_MAX = 1024, /* under way at one time ... */
    WEB_WAITING_MAX = 128, /* ... of one account */
};
#define WEB_LABEL "web API"
/* The second element of a TEXT's body is [WEB_MARK] or [WEB_MARK, name that was announced without a login].
 */
#define WEB_MARK 1

struct web_entry {
    int64_t account;
    slice name; /* the account's */
    const uint8_t *channel;
    slice body; /* of a TEXT */
};

struct web_written {
    uint8_t device[ID_BYTES], id[ID_BYTES];
    uint64_t seq, time_ms;
};

/* result: OK, it is durable and handed on to who is linked; ERR_NOT_FOUND (no such channel), ERR_DENIED (a
 * sealed one, or nobody takes entries of this account there), ERR_BUSY (also: nobody has the replica at this
 * moment), ERR_FULL (too many devices), or an error of the store: nothing was written. ERR_CLOSED: the
 * process with the replica has died, it may have been written, or not. */
typedef void web_done(void *context, int result, const struct web_written *written);

/* Writes a TEXT, at any process. Copies what it is given; calls done once, perhaps before it returns. */
void web_write(struct tracker *tracker, const struct web_entry *entry, web_done *done, void *context);
/* The body of a TEXT; guest: the announced name, or empty. */
int web_body(slice text, slice guest, struct writer *out) BASE_CHECKED;
/* Reads what web_body or any other device wrote; out_guest is empty unless it was announced. False: not of
 * this form. */
bool web_body_read(slice body, slice *out_text, bool *out_web, slice *out_guest);

/* --- hooks of the process that has the replica --- */

job_run web_run;

/* An entry became durable and is in its place. */
void web_delivered(struct tracker *tracker, const struct entry_view *entry, uint64_t token);
/* An entry could not be stored: it, and what its author wrote after it, is not here any more. */
void web_lost(struct tracker *tracker, const uint8_t *channel, const uint8_t *author, uint64_t seq, int err);
/* Restored with gaps: what web devices have written may not all be here, so they write no more; the next ones
 * are other ones. */
void web_damaged(struct tracker *tracker);
/* The end: what is under way is refused. */
void web_close(struct tracker *tracker);

#endif
