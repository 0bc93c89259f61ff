#include "tracker/webdevice.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cbor.h"
#include "crypto/native.h"
#include "store/classic_sql.h"
#include "tracker/replica.h"

/* An entry on its way, one of an account at a time: the seed is looked up, the device certified when it is
 * not, the JOIN written when there is none, then the entry; in the list of those that wait for the replica
 * until it is durable. */
struct web_job {
    struct tracker *tracker;
    struct job *job;
    int64_t account;
    char name[NODE_NAME_BYTES_MAX];
    size_t name_len;
    uint8_t channel[ID_BYTES];
    bool again; /* with a new device: the old one was turned away */
    uint8_t seed[KEY_BYTES];
    struct web_written written;
    uint64_t token;
    struct web_job *next; /* of tracker->web_jobs */
    size_t body_len;
    uint8_t body[];
};

/* --- bodies --- */

int web_body(slice text, slice guest, struct writer *out)
{
    cbor_put_array(out, 2);
    cbor_put_bytes(out, text);
    cbor_put_array(out, guest.len ? 2 : 1);
    cbor_put_uint(out, WEB_MARK);
    if (guest.len) cbor_put_bytes(out, guest);
    return out->failed ? ERR_TOO_LARGE : OK;
}

bool web_body_read(slice body, slice *out_text, bool *out_web, slice *out_guest)
{
    struct cbor_reader r = cbor_reader_of(body);
    uint64_t count = cbor_array(&r, 32);
    *out_text = cbor_bytes(&r, NODE_BODY_BYTES_MAX);
    *out_web = false;
    *out_guest = SLICE_EMPTY;
    if (r.failed || count < 1) return false;
    if (count == 1) return true;
    uint64_t marks = cbor_array(&r, 8);
    if (r.failed || marks < 1) return true; /* something newer */
    *out_web = cbor_uint(&r, UINT64_MAX) == WEB_MARK && !r.failed;
    if (*out_web && marks > 1) *out_guest = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    if (r.failed) *out_guest = SLICE_EMPTY;
    return true;
}

/* --- the end of one --- */

static int find_device(struct web_job *job);
static void end(struct web_job *job, int result);

/* One at a time for each account: what comes behind an entry that could not be stored must not be stored. */
static unsigned jobs_of(const struct tracker *tracker, int64_t account)
{
    unsigned count = 0;
    for (const struct web_job *job = tracker->web_jobs; job; job = job->next)
        count += job->account == account;
    return count;
}

static void next_of(struct tracker *tracker, int64_t account)
{
    struct web_job *next = NULL;
    for (struct web_job *job = tracker->web_jobs; job; job = job->next) {
        if (job->account == account) next = job; /* the oldest stands last */
    }
    if (!next || tracker->stopping) return;
    int err = find_device(next);
    if (err) end(next, err);
}

static void unlist(struct web_job *job)
{
    for (struct web_job **at = &job->tracker->web_jobs; *at; at = &(*at)->next) {
        if (*at != job) continue;
        *at = job->next;
        job->tracker->web_count--;
        return;
    }
}

static void end(struct web_job *job, int result)
{
    uint8_t room[2 * ID_BYTES + 32];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_array(&w, 4);
    cbor_put_bytes(&w, slice_of(job->written.device, ID_BYTES));
    cbor_put_bytes(&w, slice_of(job->written.id, ID_BYTES));
    cbor_put_uint(&w, job->written.seq);
    cbor_put_uint(&w, job->written.time_ms);
    struct tracker *tracker = job->tracker;
    int64_t account = job->account;
    unlist(job);
    job_answer(job->job, result, writer_slice(&w));
    crypto_native_random(job->seed, sizeof job->seed); /* wipes it */
    free(job);
    next_of(tracker, account);
}

/* --- in the replica --- */

static int bring(struct web_job *job, uint32_t kind, slice body, uint64_t *out_token)
{
    struct tracker *tracker = job->tracker;
    uint8_t room[NODE_RECORD_BYTES_MAX];
    struct writer out = writer_of(room, sizeof room);
    struct node_draft draft = {.channel = job->channel, .seed = job->seed, .kind = kind, .body = body};
    uint64_t now_us = tracker_now_us(tracker);
    int err = node_compose(tracker->node, &draft, now_us, &out);
    if (err) return err;
    struct command command = {.kind = COMMAND_BRING, .channel = job->channel, .bytes = writer_slice(&out)};
    int64_t token = node_command(tracker->node, &command, now_us);
    if (token < 0) return (int)token;
    *out_token = (uint64_t)token;
    (void)node_author(tracker->node, job->channel, job->written.device, &job->written.seq);
    return OK;
}

static int bring_join(struct web_job *job, slice certificate, uint64_t *out_token)
{
    uint8_t body[NODE_CERTIFICATE_BYTES_MAX + 8];
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, certificate);
    return w.failed ? ERR_TOO_LARGE : bring(job, ENTRY_JOIN, writer_slice(&w), out_token);
}

static void forget(struct web_job *job);

static void bring_all(struct web_job *job, slice certificate)
{
    struct tracker *tracker = job->tracker;
    uint64_t seq;
    int err = tracker->node ? OK : ERR_BUSY;
    bool joined = !err && node_author(tracker->node, job->channel, job->written.device, &seq);
    if (!err && !joined) err = bring_join(job, certificate, &job->token);
    if (!err) err = bring(job, ENTRY_TEXT, slice_of(job->body, job->body_len), &job->token);
    if (err == ERR_WRONG_STATE && !job->again)
        forget(job); /* others know more of its feed than the replica */
    else if (err)
        end(job, err == ERR_WRONG_STATE ? ERR_BUSY : err);
    replica_pump(tracker);
}

/* --- its key and certificate --- */

/* The label is for the list of devices only: nothing waits for it. */
static void certificate_kept(struct web_job *job, slice certificate)
{
    const struct store_value values[] = {store_id(job->written.device), store_text(SLICE(WEB_LABEL)),
                                         store_number((int64_t)tracker_now_ms(job->tracker))};
    if (store_ask(job->tracker->store, &CLASSIC_WEB_LABEL, values, 3, NULL, NULL))
        tracker_log_some(job->tracker, LOG_STORE, "a web device has no label: the store is busy");
    bring_all(job, certificate);
}

static void certified(void *context, int result, const struct store_row *row)
{
    struct web_job *job = context;
    bool turned_away = result == ERR_DENIED || result == ERR_WRONG_STATE;
    if (turned_away && !job->again)
        forget(job); /* it was logged out by its person */
    else if (result)
        end(job, turned_away ? ERR_BUSY : result);
    else
        certificate_kept(job, row->record);
}

static int certify(struct web_job *job)
{
    struct tracker *tracker = job->tracker;
    uint64_t now_ms = tracker_now_ms(tracker);
    struct certificate fields = {.account = slice_of(job->name, job->name_len),
                                 .device = job->written.device,
                                 .authority = tracker->device,
                                 .issued_s = now_ms / 1000,
                                 .expires_s = (now_ms + CERTIFICATE_LIFE_MS) / 1000};
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    int len = certificate_write(crypto_native(), &fields, tracker->seed, certificate, sizeof certificate);
    if (len < 0) return len;
    struct store_row row = {.device = job->written.device,
                            .account = job->account,
                            .record = slice_of(certificate, (size_t)len),
                            .time_ms = now_ms,
                            .expires_ms = fields.expires_s * 1000,
                            .renew_ms = now_ms + CERTIFICATE_LIFE_MS / 2};
    return store_submit(tracker->store, STORE_DEVICE_CLAIM, &row, certified, job);
}

static bool take_device(struct web_job *job, const struct store_rows *rows)
{
    if (rows->count != 1) return false;
    slice seed = store_at(rows, 0, 0)->bytes, device = store_at(rows, 0, 1)->bytes;
    if (seed.len != KEY_BYTES || device.len != ID_BYTES) return false;
    memcpy(job->seed, seed.ptr, KEY_BYTES);
    memcpy(job->written.device, device.ptr, ID_BYTES);
    return true;
}

static void device_found(void *context, int result, const struct store_rows *rows)
{
    struct web_job *job = context;
    if (!result && !take_device(job, rows)) result = ERR_CORRUPT;
    if (result) {
        end(job, result);
        return;
    }
    const struct store_value *certificate = store_at(rows, 0, 2), *expires = store_at(rows, 0, 3);
    uint64_t least_ms = tracker_now_ms(job->tracker) + CERTIFICATE_LIFE_MS / 2;
    if (certificate->type == STORE_BYTES && (uint64_t)expires->number > least_ms) {
        bring_all(job, certificate->bytes);
        return;
    }
    int err = certify(job);
    if (err) end(job, err);
}

static int find_device(struct web_job *job)
{
    uint8_t seed[KEY_BYTES], device[ID_BYTES];
    crypto_native_random(seed, sizeof seed);
    crypto_native()->sign_public(crypto_native()->context, device, seed);
    const struct store_value values[] = {store_number(job->account), store_bytes(seed, sizeof seed),
                                         store_id(device),
                                         store_number((int64_t)tracker_now_ms(job->tracker))};
    return store_ask(job->tracker->store, &CLASSIC_WEB_DEVICE, values, 4, device_found, job);
}

static void forgotten(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct web_job *job = context;
    int err = result ? result : find_device(job);
    if (err) end(job, err);
}

static void forget(struct web_job *job)
{
    job->again = true;
    const struct store_value values[] = {store_number(job->account), store_id(job->written.device)};
    int err = store_ask(job->tracker->store, &CLASSIC_WEB_FORGET, values, 2, forgotten, job);
    if (err) end(job, err);
}

/* --- asking and being asked --- */

void web_run(struct job *job, slice request)
{
    struct tracker *tracker = job->tracker;
    struct cbor_reader r = cbor_reader_of(request);
    uint64_t count = cbor_array(&r, 8), account = cbor_uint(&r, INT64_MAX);
    slice name = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
    const uint8_t *channel = cbor_fixed(&r, ID_BYTES);
    slice body = cbor_bytes(&r, WEB_BODY_BYTES_MAX);
    if (r.failed || count < 4) {
        job_answer(job, ERR_MALFORMED, SLICE_EMPTY);
        return;
    }
    unsigned before = jobs_of(tracker, (int64_t)account);
    struct web_job *web = NULL;
    if (tracker->web_count < WEB_WRITES_MAX && before < WEB_WAITING_MAX)
        web = calloc(1, sizeof *web + body.len);
    if (!web) {
        job_answer(job, ERR_BUSY, SLICE_EMPTY);
        return;
    }
    web->tracker = tracker;
    web->job = job;
    web->account = (int64_t)account;
    web->name_len = name.len;
    web->body_len = body.len;
    memcpy(web->channel, channel, ID_BYTES);
    if (name.len) memcpy(web->name, name.ptr, name.len);
    if (body.len) memcpy(web->body, body.ptr, body.len);
    web->next = tracker->web_jobs;
    tracker->web_jobs = web;
    tracker->web_count++;
    int err = before ? OK : find_device(web);
    if (err) end(web, err);
}

struct waiter {
    web_done *done;
    void *context;
};

static void answered(void *context, int result, slice answer)
{
    struct waiter *waiter = context;
    struct web_written written;
    if (!result) {
        struct cbor_reader r = cbor_reader_of(answer);
        uint64_t count = cbor_array(&r, 8);
        const uint8_t *device = cbor_fixed(&r, ID_BYTES), *id = cbor_fixed(&r, ID_BYTES);
        written.seq = cbor_uint(&r, UINT64_MAX);
        written.time_ms = cbor_uint(&r, UINT64_MAX);
        if (r.failed || count < 4) {
            result = ERR_MALFORMED;
        } else {
            memcpy(written.device, device, ID_BYTES);
            memcpy(written.id, id, ID_BYTES);
        }
    }
    waiter->done(waiter->context, result, result ? NULL : &written);
    free(waiter);
}

void web_write(struct tracker *tracker, const struct web_entry *entry, web_done *done, void *context)
{
    uint8_t room[WEB_BODY_BYTES_MAX + NODE_NAME_BYTES_MAX + 64];
    struct writer w = writer_of(room, sizeof room);
    cbor_put_array(&w, 4);
    cbor_put_uint(&w, (uint64_t)entry->account);
    cbor_put_bytes(&w, entry->name);
    cbor_put_bytes(&w, slice_of(entry->channel, ID_BYTES));
    cbor_put_bytes(&w, entry->body);
    struct waiter *waiter = malloc(sizeof *waiter);
    int err = w.failed ? ERR_TOO_LARGE : waiter ? OK : ERR_MEMORY;
    if (!err) {
        *waiter = (struct waiter){done, context};
        err = job_ask(tracker, JOB_WEB_WRITE, writer_slice(&w), answered, waiter);
    }
    if (!err) return;
    free(waiter);
    done(context, err, NULL);
}

/* --- hooks --- */

void web_delivered(struct tracker *tracker, const struct entry_view *entry, uint64_t token)
{
    struct web_job *job = tracker->web_jobs;
    while (job && (!token || job->token != token))
        job = job->next;
    if (!job) return;
    memcpy(job->written.id, entry->id, ID_BYTES);
    job->written.seq = entry->seq;
    job->written.time_ms = entry->time_ms;
    end(job, OK);
}

void web_lost(struct tracker *tracker, const uint8_t *channel, const uint8_t *author, uint64_t seq, int err)
{
    struct web_job *job = tracker->web_jobs;
    while (job && (!job->token || job->written.seq < seq || memcmp(job->channel, channel, ID_BYTES) != 0 ||
                   memcmp(job->written.device, author, ID_BYTES) != 0))
        job = job->next;
    if (job) end(job, err); /* an account has one at most */
}

void web_damaged(struct tracker *tracker)
{
    if (store_ask(tracker->store, &CLASSIC_WEB_FORGET_ALL, NULL, 0, NULL, NULL))
        tracker_log(tracker, WR_LOG_WARNING, "the web devices could not be renewed: the store is busy");
}

void web_close(struct tracker *tracker)
{
    while (tracker->web_jobs)
        end(tracker->web_jobs, ERR_CLOSED);
}
