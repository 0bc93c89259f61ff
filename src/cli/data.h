/* data.h - the folder that holds everything the server keeps. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "base/err.h"

/* Makes the folder (mode 0700, parents too) when it is missing and locks it for this process; the lock ends
 * with the process. Any error has been complained about. *out_lock: a descriptor for data_close. */
int data_open(const char *folder, int *out_lock) BASE_CHECKED;
void data_close(int lock);

#endif
