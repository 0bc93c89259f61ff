/* data.h - the folder that holds everything the server keeps. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include <stdbool.h>

#include "base/err.h"

#define DATA_DEFAULT "./data"

enum data_use {
    DATA_ALONE,
    DATA_SHARED, /* with other processes that share it */
};

/* Makes the folder (mode 0700, parents too) when it is missing and locks it for this process; the lock ends
 * with the process. Any error has been complained about. *out_lock: a descriptor for data_close. */
int data_open(const char *folder, enum data_use use, int *out_lock) BASE_CHECKED;
/* The same without making the folder and without a word: false when a server uses it. */
bool data_try(const char *folder, int *out_lock) BASE_CHECKED;
void data_close(int lock);

/* For programs that work beside a running server, without the lock: the folder must be there, or is made with
 * `make`. Any error has been complained about. */
int data_find(const char *folder, bool make) BASE_CHECKED;
/* The path of the database in it; free() it. NULL without memory. */
char *data_database(const char *folder);
/* Where `weaprous restore` puts a database that is to take the place of the other one; free() it. */
char *data_restored(const char *folder);
/* Puts it there, if there is one; the database of before is kept beside it. By whom holds the folder alone,
 * before it opens the database. *out_adopted: it was done. Any error has been complained about. */
int data_adopt(const char *folder, bool *out_adopted) BASE_CHECKED;

#endif
