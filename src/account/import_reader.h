/* import_reader.h - what the readers of both forms share, private to src/account. */
#ifndef ACCOUNT_IMPORT_READER_H
#define ACCOUNT_IMPORT_READER_H

#include "account/import.h"
#include "base/map.h"

struct import_reader {
    const struct import_handlers *handlers;
    void *context;
    struct map seen; /* hash of a name's key -> 1 */
    size_t records, problems;
    size_t friends; /* of the record that came last */
};

void import_problem(struct import_reader *reader, size_t line, const char *reason);
/* After each record: ERR_MALFORMED when there were too many problems. */
int import_go_on(struct import_reader *reader, size_t line) BASE_CHECKED;
/* Checks a record, whose key is still to be made, and hands it on. OK when it was told as a problem instead;
 * any error ends the reading. */
int import_take(struct import_reader *reader, struct import_record *record) BASE_CHECKED;

/* A name in the list of friends of a record; nothing when that was not taken. */
int import_friend(struct import_reader *reader, const struct import_record *record, slice name) BASE_CHECKED;

int import_csv(struct import_reader *reader, slice file) BASE_CHECKED;
int import_json(struct import_reader *reader, slice file) BASE_CHECKED;

#endif
