/* table.h - the conformance table: text files that say what is sent and what must come back.
 *
 *     case NAME                 begins a case; the rest of the line is its name
 *     with TEXT                 the case is made once for each of these, "$$" in its lines replaced by TEXT
 *     site small                the site has small limits (site.h)
 *     > TEXT                    these bytes are sent, and CR LF
 *     >> TEXT                   these bytes only
 *     f> [WORD...] KIND TEXT    a WebSocket frame is sent; words and kinds are in table.c
 *     ws PATH                   a handshake is sent for this path, and 101 comes back
 *     < STATUS [bodiless]       this answer comes back; bodiless: to HEAD. "< 100?": may come
 *     <f NAME: VALUE            it has this field, once, with this value
 *     <! NAME                   it has no such field
 *     <b TEXT                   its body is this
 *     <~ TEXT                   its body has this in it
 *     f< KIND TEXT              a WebSocket frame comes back ("close CODE": with any reason)
 *     = keep                    the connection goes on: one more request is answered
 *     = close                   the connection ends, after the last answer, in order
 *     = close or reset          the same, but the client has sent what nobody reads: a reset is allowed, too
 *     = waits                   nothing more comes, the server waits; and closes when the client does
 *     = open                    the WebSocket goes on: a ping is answered
 *
 * Bytes are written with \r \n \t \0 \s (a space) \\ \xHH and \(N*TEXT). Empty lines and lines that begin
 * with '#' are for the reader. */
#ifndef TESTS_CONFORMANCE_TABLE_H
#define TESTS_CONFORMANCE_TABLE_H

#include "base/buffer.h"

enum { CASES_MAX = 2000, STEPS_MAX = 24, CHECKS_MAX = 8 };

enum check_kind { CHECK_FIELD, CHECK_NO_FIELD, CHECK_BODY, CHECK_BODY_HAS };

struct check {
    enum check_kind kind;
    struct buffer name, value;
};

enum step_kind { STEP_SEND, STEP_ANSWER, STEP_FRAME };

struct step {
    enum step_kind kind;
    struct buffer bytes; /* SEND; FRAME: the payload */
    bool whole;          /* SEND: a handshake, which has cases of its own: never cut */
    int status;          /* ANSWER */
    bool optional, bodiless;
    struct check checks[CHECKS_MAX];
    size_t check_count;
    int opcode; /* FRAME */
    bool any_reason;
};

enum ending { END_KEEP, END_CLOSE, END_CLOSE_OR_RESET, END_WAITS, END_OPEN };

struct table_case {
    char name[240];
    const char *site; /* static */
    struct step steps[STEPS_MAX];
    size_t step_count;
    enum ending ending;
};

struct table {
    struct table_case **cases;
    size_t count;
};

/* Reads all files *.txt of the folder, in the order of their names. What is not in the form ends the program
 * with a sentence: a table that cannot be read must not pass. */
void table_read(struct table *table, const char *folder);
void table_free(struct table *table);

#endif
