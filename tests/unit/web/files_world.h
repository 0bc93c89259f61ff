/* files_world.h - a folder with all that a folder can have, and an app that serves it: under "/" as it comes,
 * under
 * "/strict" without links, memory and compressed forms, under "/list" with lists, under "/all/of/it" with
 * hidden names too, under "/spa" with a page for all that is not there, and in groups behind filters. */
#ifndef TESTS_WEB_FILES_WORLD_H
#define TESTS_WEB_FILES_WORLD_H

#include "world.h"

enum { LARGE = 12 * 1024 * 1024, PATIENCE_MS = 20000 };

extern struct world world;
extern unsigned char large[LARGE]; /* what is in "large.bin" */

/* The current folder is the one that is served, from here on. */
int files_setup(void **state);
int files_teardown(void **state);

void write_bytes(const char *name, const void *bytes, size_t len);
void write_file(const char *name, const char *text);
/* As programs replace files that others may be reading. */
void replace_file(const char *name, const char *text);
void make_folder(const char *name);

/* One request on a connection of its own; `fields` as lines. The whole answer, in static memory. */
const char *ask_for(const char *method, const char *path, const char *fields);
const char *get(const char *path, const char *fields);
/* HEAD: for files of any size. */
const char *get_head(const char *path, const char *fields);

/* Of such an answer. */
int status_of(const char *answer);
/* The value of a field; NULL when it is not there. Static memory. */
const char *field(const char *answer, const char *name);
const char *body(const char *answer);
void assert_field(const char *answer, const char *name, const char *value);

/* The entity tag as the server gives it now. */
void get_etag(const char *path, const char *fields, char etag[64]);
/* Entity tags of files that were just written are weak. */
void wait_until_strong(const char *path);
/* Asks until the answer has `text`: a change is seen after a second. */
void wait_for_answer(const char *path, const char *text);
void pause_a_little(void);
int64_t now_ms(void);

#endif
