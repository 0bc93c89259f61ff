/* The queue, the thread and the group commit; engine-neutral but for the names it calls.
 *
 * Two lists under one lock: `waiting` (submitted) and `finished` (executed). The thread takes the whole of
 * `waiting` as one batch, so the batch grows by itself when the disk is slow and stays at one operation when
 * there is no load: nobody waits for a timer. */
#include "store/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "store/engine.h"

struct op_list {
    struct store_op *first, **last;
};

struct store {
    struct sqlite_engine *engine;
    void (*wake)(void *context);
    void *wake_context;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct op_list waiting, finished; /* under lock, as all below */
    size_t pending, pending_bytes;    /* submitted, not completed */
    struct store_stats stats;
    bool stopping;

    pthread_t thread; /* owner's */
    bool started;
};

static void list_init(struct op_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_put(struct op_list *list, struct store_op *op)
{
    op->next = NULL;
    *list->last = op;
    list->last = &op->next;
}

static struct store_op *list_take_all(struct op_list *list)
{
    struct store_op *first = list->first;
    list_init(list);
    return first;
}

static void op_free(struct store_op *op)
{
    free(op->answer);
    free(op);
}

uint8_t *store_op_room(struct store_op *op, size_t bytes)
{
    if (!op->answer) op->answer = malloc(bytes ? bytes : 1);
    return op->answer;
}

int store_open(const struct store_options *options, struct store **out_store, char why[STORE_WHY_BYTES])
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        memcpy(why, "There is not enough memory.", sizeof "There is not enough memory.");
        return ERR_MEMORY;
    }
    int err = sqlite_open(options, &store->engine, why);
    if (err) {
        free(store);
        return err;
    }
    store->wake = options->wake;
    store->wake_context = options->wake_context;
    list_init(&store->waiting);
    list_init(&store->finished);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->work, NULL);
    *out_store = store;
    return OK;
}

int store_secret(struct store *store, const char *name, uint8_t secret[STORE_SECRET_BYTES])
{
    return store->started ? ERR_WRONG_STATE : sqlite_secret(store->engine, name, secret);
}

int store_each_record(struct store *store, store_visit *visit, void *context)
{
    return store->started ? ERR_WRONG_STATE : sqlite_each_record(store->engine, visit, context);
}

int store_host_channel(struct store *store, slice name, uint64_t time_ms)
{
    if (!name.len || name.len > STORE_TEXT_BYTES_MAX) return ERR_INVALID;
    return store->started ? ERR_WRONG_STATE : sqlite_host_channel(store->engine, name, time_ms);
}

int store_each_hosted(struct store *store, store_visit *visit, void *context)
{
    return store->started ? ERR_WRONG_STATE : sqlite_each_hosted(store->engine, visit, context);
}

int store_each_account(struct store *store, uint64_t time_ms, store_account_visit *visit, void *context)
{
    return store->started ? ERR_WRONG_STATE : sqlite_each_account(store->engine, time_ms, visit, context);
}

/* Runs the batch inside one transaction. An error of one operation is its own affair, unless the engine gave
 * up the transaction over it: then nothing of the batch took effect. */
static int run_together(struct store *store, struct store_op *batch)
{
    int err = sqlite_begin(store->engine);
    if (err) return err;
    for (struct store_op *op = batch; op; op = op->next) {
        sqlite_run(store->engine, op);
        if (!sqlite_in_transaction(store->engine)) return op->result ? op->result : ERR_IO;
    }
    return sqlite_commit(store->engine);
}

static void run_batch(struct store *store, struct store_op *batch, struct store_stats *out_stats)
{
    bool writes = false;
    for (struct store_op *op = batch; op; op = op->next)
        writes = writes || store_op_writes(op);
    if (writes) {
        int err = run_together(store, batch);
        for (struct store_op *op = batch; err && op; op = op->next) {
            op->result = err;
            op->rows = (struct store_rows){0};
        }
    } else {
        for (struct store_op *op = batch; op; op = op->next)
            sqlite_run(store->engine, op);
    }
    out_stats->transactions += writes;
    for (struct store_op *op = batch; op; op = op->next) {
        out_stats->operations++;
        out_stats->failures += op->result && err_class_of(op->result) == ERR_CLASS_SYSTEM;
    }
}

static void *store_thread(void *argument)
{
    struct store *store = argument;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        while (!store->waiting.first && !store->stopping)
            pthread_cond_wait(&store->work, &store->lock);
        struct store_op *batch = list_take_all(&store->waiting);
        if (!batch) break; /* stopping, and nothing is left */
        struct store_stats stats = store->stats;
        pthread_mutex_unlock(&store->lock);
        run_batch(store, batch, &stats);
        pthread_mutex_lock(&store->lock);
        store->stats = stats;
        while (batch) {
            struct store_op *next = batch->next;
            list_put(&store->finished, batch);
            batch = next;
        }
        pthread_mutex_unlock(&store->lock);
        if (store->wake) store->wake(store->wake_context);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

int store_start(struct store *store)
{
    if (store->started) return ERR_WRONG_STATE;
    /* Signals belong to the owner's thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&store->thread, NULL, store_thread, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return ERR_IO;
    store->started = true;
    return OK;
}

static bool row_is_valid(enum store_kind kind, const struct store_row *row)
{
    if (row->name.len > STORE_TEXT_BYTES_MAX || row->key.len > STORE_TEXT_BYTES_MAX ||
        row->secret.len > STORE_TEXT_BYTES_MAX || row->record.len > STORE_RECORD_BYTES_MAX)
        return false;
    switch (kind) {
    case STORE_ACCOUNT_ADD:
    case STORE_ACCOUNT_GET:
    case STORE_ACCOUNT_SECRET:
    case STORE_ACCOUNT_REMOVE: return row->key.len > 0;
    case STORE_SESSION_ADD:
    case STORE_SESSION_GET:
    case STORE_SESSION_EXTEND:
    case STORE_SESSION_REMOVE: return row->token != NULL;
    case STORE_SESSION_END_ALL: return row->account > 0;
    case STORE_SESSION_PURGE: return true;
    case STORE_DEVICE_CLAIM: return row->device && row->account > 0;
    case STORE_CHANNEL_PUT: return row->channel != NULL;
    case STORE_ENTRY_PUT:
    case STORE_ENTRY_REPLACE:
    case STORE_ENTRY_GET: return row->channel && row->author;
    default: return false;
    }
}

static slice keep(uint8_t **room, slice bytes)
{
    slice kept = {*room, bytes.len};
    if (bytes.len) memcpy(*room, bytes.ptr, bytes.len);
    *room += bytes.len;
    return kept;
}

static const uint8_t *keep_id(uint8_t **room, const uint8_t *id)
{
    return id ? keep(room, slice_of(id, STORE_ID_BYTES)).ptr : NULL;
}

/* One block holds the operation and a copy of everything its row points to. */
static struct store_op *op_new(enum store_kind kind, const struct store_row *row)
{
    size_t bytes = sizeof(struct store_op) + 4 * STORE_ID_BYTES + row->name.len + row->key.len +
                   row->secret.len + row->record.len;
    struct store_op *op = malloc(bytes);
    if (!op) return NULL;
    *op = (struct store_op){.kind = kind, .row = *row, .bytes = bytes};
    uint8_t *room = (uint8_t *)(op + 1);
    op->row.token = keep_id(&room, row->token);
    op->row.device = keep_id(&room, row->device);
    op->row.channel = keep_id(&room, row->channel);
    op->row.author = keep_id(&room, row->author);
    op->row.name = keep(&room, row->name);
    op->row.key = keep(&room, row->key);
    op->row.secret = keep(&room, row->secret);
    op->row.record = keep(&room, row->record);
    return op;
}

/* Frees the operation when it cannot wait. */
static int submit(struct store *store, struct store_op *op)
{
    int err = OK;
    pthread_mutex_lock(&store->lock);
    if (store->stopping) {
        err = ERR_CLOSED;
    } else if (store->pending >= STORE_QUEUE_MAX ||
               store->pending_bytes + op->bytes > STORE_QUEUE_BYTES_MAX) {
        err = ERR_FULL;
    } else {
        store->pending++;
        store->pending_bytes += op->bytes;
        if (!store->waiting.first) pthread_cond_signal(&store->work);
        list_put(&store->waiting, op);
    }
    pthread_mutex_unlock(&store->lock);
    if (err) op_free(op);
    return err;
}

int store_submit(struct store *store, enum store_kind kind, const struct store_row *row, store_done *done,
                 void *context)
{
    if (!store->started) return ERR_WRONG_STATE;
    if (!row_is_valid(kind, row)) return ERR_INVALID;
    struct store_op *op = op_new(kind, row);
    if (!op) return ERR_MEMORY;
    op->done = done;
    op->context = context;
    return submit(store, op);
}

int store_run(struct store *store, enum store_kind kind, const struct store_row *row, store_done *done,
              void *context)
{
    if (store->started) return ERR_WRONG_STATE;
    if (!row_is_valid(kind, row)) return ERR_INVALID;
    struct store_op *op = op_new(kind, row);
    if (!op) return ERR_MEMORY;
    op->next = NULL;
    run_batch(store, op, &store->stats);
    int result = op->result;
    if (done) done(context, result, &op->row);
    op_free(op);
    return result;
}

/* One block holds the operation, its values and a copy of their bytes. */
static struct store_op *ask_new(const struct store_operation *operation, const struct store_value *values,
                                size_t count)
{
    size_t bytes = sizeof(struct store_op) + count * sizeof *values;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].bytes.len;
    struct store_op *op = malloc(bytes);
    if (!op) return NULL;
    *op = (struct store_op){.operation = operation, .bytes = bytes};
    op->values = (struct store_value *)(op + 1);
    uint8_t *room = (uint8_t *)(op->values + count);
    for (size_t i = 0; i < count; i++) {
        op->values[i] = values[i];
        op->values[i].bytes = keep(&room, values[i].bytes);
    }
    return op;
}

static bool values_are_valid(const struct store_operation *operation, const struct store_value *values,
                             size_t count)
{
    if (count != operation->values || count > STORE_VALUES_MAX) return false;
    for (size_t i = 0; i < count; i++) {
        if (values[i].bytes.len > STORE_RECORD_BYTES_MAX) return false;
    }
    return true;
}

int store_ask(struct store *store, const struct store_operation *operation, const struct store_value *values,
              size_t count, store_asked *done, void *context)
{
    if (!store->started) return ERR_WRONG_STATE;
    if (!values_are_valid(operation, values, count)) return ERR_INVALID;
    struct store_op *op = ask_new(operation, values, count);
    if (!op) return ERR_MEMORY;
    op->asked = done;
    op->context = context;
    return submit(store, op);
}

int store_ask_now(struct store *store, const struct store_operation *operation,
                  const struct store_value *values, size_t count, store_asked *done, void *context)
{
    if (store->started) return ERR_WRONG_STATE;
    if (!values_are_valid(operation, values, count)) return ERR_INVALID;
    struct store_op *op = ask_new(operation, values, count);
    if (!op) return ERR_MEMORY;
    op->next = NULL;
    run_batch(store, op, &store->stats);
    int result = op->result;
    if (done) done(context, result, &op->rows);
    op_free(op);
    return result;
}

size_t store_complete(struct store *store)
{
    size_t count = 0;
    pthread_mutex_lock(&store->lock);
    struct store_op *op = list_take_all(&store->finished);
    for (struct store_op *i = op; i; i = i->next) {
        store->pending--;
        store->pending_bytes -= i->bytes;
    }
    pthread_mutex_unlock(&store->lock);
    while (op) {
        struct store_op *next = op->next;
        if (op->done) op->done(op->context, op->result, &op->row);
        if (op->asked) op->asked(op->context, op->result, &op->rows);
        op_free(op);
        op = next;
        count++;
    }
    return count;
}

void store_stats(struct store *store, struct store_stats *out)
{
    pthread_mutex_lock(&store->lock);
    *out = store->stats;
    out->waiting = store->pending;
    pthread_mutex_unlock(&store->lock);
}

void store_close(struct store *store)
{
    if (!store) return;
    if (store->started) {
        pthread_mutex_lock(&store->lock);
        store->stopping = true;
        pthread_cond_signal(&store->work);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
        store_complete(store);
    }
    sqlite_close_engine(store->engine);
    pthread_cond_destroy(&store->work);
    pthread_mutex_destroy(&store->lock);
    free(store);
}
