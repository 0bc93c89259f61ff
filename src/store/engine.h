/* engine.h - what an engine of the store does, private to src/store.
 *
 * Rules: all functions on one thread at a time (the owner's until store_start, then the store's); blocking is
 * expected. After a failed commit the engine has rolled back. */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include "store/operation.h"
#include "store/store.h"

/* A queued operation. The row's slices point into memory of the operation, as does what the engine answers.
 */
struct store_op {
    struct store_op *next;
    enum store_kind kind; /* 0: `operation` */
    int result;
    struct store_row row; /* in, then out */
    store_done *done;
    const struct store_operation *operation;
    struct store_value *values;
    struct store_rows rows; /* out */
    store_asked *asked;
    void *context;
    void *answer; /* one block that holds the bytes of the answer, or NULL */
    size_t bytes; /* of this operation, for the bound of the queue */
};

/* Memory for the bytes of an answer, freed with the operation; at most once for each operation. NULL: no
 * memory. */
uint8_t *store_op_room(struct store_op *op, size_t bytes);

static inline bool store_op_writes(const struct store_op *op)
{
    if (op->operation) return op->operation->writes;
    return op->kind != STORE_ACCOUNT_GET && op->kind != STORE_SESSION_GET && op->kind != STORE_ENTRY_GET;
}

struct sqlite_engine;

int sqlite_open(const struct store_options *options, struct sqlite_engine **out_engine,
                char why[STORE_WHY_BYTES]) BASE_CHECKED;
void sqlite_close_engine(struct sqlite_engine *engine);
int sqlite_begin(struct sqlite_engine *engine) BASE_CHECKED;
int sqlite_commit(struct sqlite_engine *engine) BASE_CHECKED;
void sqlite_rollback(struct sqlite_engine *engine);
/* False when the engine gave up the open transaction by itself (SQLite does after some errors). */
bool sqlite_in_transaction(struct sqlite_engine *engine);
/* Sets op->result and op->row, or op->rows. */
void sqlite_run(struct sqlite_engine *engine, struct store_op *op);
int sqlite_secret(struct sqlite_engine *engine, const char *name,
                  uint8_t secret[STORE_SECRET_BYTES]) BASE_CHECKED;
int sqlite_each_record(struct sqlite_engine *engine, store_visit *visit, void *context) BASE_CHECKED;
int sqlite_host_channel(struct sqlite_engine *engine, slice name, uint64_t time_ms) BASE_CHECKED;
int sqlite_each_hosted(struct sqlite_engine *engine, store_visit *visit, void *context) BASE_CHECKED;
int sqlite_each_account(struct sqlite_engine *engine, uint64_t time_ms, store_account_visit *visit,
                        void *context) BASE_CHECKED;

#endif
