/* data.h - the folder that holds everything the server keeps. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include <stdbool.h>

#include "base/err.h"

#define DATA_DEFAULT "./data"

/* Makes the folder (mode 0700, parents too) when it is missing and locks it for this process; the lock ends
 * with the process. Any error has been complained about. *out_lock: a descriptor for data_close. */
int data_open(const char *folder, int *out_lock) BASE_CHECKED;
void data_close(int lock);

/* For programs that work beside a running server, without the lock: the folder must be there, or is made with
 * `make`. Any error has been complained about. */
int data_find(const char *folder, bool make) BASE_CHECKED;
/* The path of the database in it; free() it. NULL without memory. */
char *data_database(const char *folder);

#endif
