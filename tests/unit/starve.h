/* starve.h - memory that runs out: what is linked into the test (not libuv and others) asks it for each
 * allocation. For tests with STARVES in their CMakeLists.txt. */
#ifndef TESTS_STARVE_H
#define TESTS_STARVE_H

#include <stdbool.h>

/* The test's: true when this allocation is to fail. Any thread. */
bool starve_now(void);

#endif
