/* operation.h - operations of the store that are described by data: their SQL stands in
 * src/store/<area>_sql.c, one constant for each operation, and the header of the area says what goes in and
 * comes out.
 *
 * An operation is a list of steps that see the same values (?1, ?2 ...) and take effect together or not at
 * all; several operations share one transaction (group commit), as those of store.h do, and the rules there
 * hold here too. The SQL keeps to what SQLite and PostgreSQL both understand (UPSERT, RETURNING, no functions
 * of one of them only), so that another engine can run the same text. */
#ifndef STORE_OPERATION_H
#define STORE_OPERATION_H

#include "store/store.h"

enum {
    STORE_VALUES_MAX = 16,
    STORE_STEPS_MAX = 8,
    STORE_ROWS_MAX = 1000,
    STORE_ANSWER_BYTES_MAX = 4 * 1024 * 1024,
};

enum store_type { STORE_NULL, STORE_NUMBER, STORE_TEXT, STORE_BYTES };

struct store_value {
    enum store_type type;
    int64_t number;
    slice bytes; /* of TEXT and BYTES */
};
static inline struct store_value store_number(int64_t number)
{
    return (struct store_value){.type = STORE_NUMBER, .number = number};
}
static inline struct store_value store_text(slice text)
{
    return (struct store_value){.type = STORE_TEXT, .bytes = text};
}
static inline struct store_value store_bytes(const void *ptr, size_t len)
{
    return (struct store_value){.type = STORE_BYTES, .bytes = slice_of(ptr, len)};
}
/* A STORE_ID_BYTES id, or NULL. */
static inline struct store_value store_id(const uint8_t *id)
{
    return id ? store_bytes(id, STORE_ID_BYTES) : (struct store_value){.type = STORE_NULL};
}

enum store_step_kind {
    STEP_RUN,  /* whatever it finds or changes is fine */
    STEP_MUST, /* it has to find or change a row; if not, the operation ends with `otherwise` */
    STEP_NOT,  /* it must not find a row; if it does, the operation ends with `otherwise` */
    STEP_ROWS, /* its rows are the answer; those of several steps follow each other */
};

struct store_step {
    enum store_step_kind kind;
    const char *sql; /* one statement; NULL ends the list */
    int otherwise;   /* an error code, for MUST and NOT */
};

struct store_operation {
    const char *name; /* for logs */
    bool writes;
    unsigned values; /* how many it takes */
    struct store_step steps[STORE_STEPS_MAX];
};

/* The rows of the answer, in order; empty when nothing was found. Valid during `done`. All have the same
 * number of columns. */
struct store_rows {
    size_t count, columns;
    const struct store_value *values; /* count x columns */
};
static inline const struct store_value *store_at(const struct store_rows *rows, size_t row, size_t column)
{
    return &rows->values[row * rows->columns + column];
}

/* result: OK; what a step says; ERR_EXISTS (a row that must be unique), ERR_NOT_FOUND (a row that it refers
 * to is not there), ERR_TOO_LARGE (an answer over the limits), and the errors of store.h. With an error there
 * are no rows, and nothing has changed. */
typedef void store_asked(void *context, int result, const struct store_rows *rows);

/* As store_submit: queues the operation, copies the values, `done` (may be NULL) runs once, later. The
 * operation is borrowed for ever. */
int store_ask(struct store *store, const struct store_operation *operation, const struct store_value *values,
              size_t count, store_asked *done, void *context) BASE_CHECKED;
/* As store_run: at once, on a store that was not started. */
int store_ask_now(struct store *store, const struct store_operation *operation,
                  const struct store_value *values, size_t count, store_asked *done,
                  void *context) BASE_CHECKED;

#endif
