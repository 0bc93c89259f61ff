/* err.h - the one table of error codes: code, name, class, text.
 *
 * Every function that can fail returns int: 0, or a negative `enum err`. Results come back through out_
 * parameters, which are written only on success. The class says who has to act. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define BASE_CHECKED __attribute__((warn_unused_result))

enum err_class {
    ERR_CLASS_AGAIN,  /* nothing is wrong: call again later */
    ERR_CLASS_PEER,   /* the other side sent what it may not */
    ERR_CLASS_LIMIT,  /* a documented limit was reached */
    ERR_CLASS_CALLER, /* the arguments or the order of calls */
    ERR_CLASS_SYSTEM, /* memory, disk, operating system */
};

/* X(name, class, text) */
#define ERR_TABLE(X)                                                                                         \
    X(AGAIN, AGAIN, "not now: try again later")                                                              \
    X(BUSY, AGAIN, "busy: take what is waiting first, then call again")                                      \
    X(MALFORMED, PEER, "the bytes are not in the agreed form")                                               \
    X(AUTH, PEER, "the other side could not prove who it is")                                                \
    X(SIGNATURE, PEER, "a signature is false")                                                               \
    X(VERSION, PEER, "the other side speaks another version")                                                \
    X(PROTOCOL, PEER, "the other side broke the rules of the protocol")                                      \
    X(TIMEOUT, PEER, "the other side was silent for too long")                                               \
    X(TOO_LARGE, LIMIT, "larger than the limit")                                                             \
    X(FULL, LIMIT, "no room left within the limit")                                                          \
    X(INVALID, CALLER, "an argument is not valid")                                                           \
    X(NOT_FOUND, CALLER, "no such thing")                                                                    \
    X(EXISTS, CALLER, "it exists already")                                                                   \
    X(WRONG_STATE, CALLER, "not possible in this state")                                                     \
    X(DENIED, CALLER, "not allowed")                                                                         \
    X(CLOSED, CALLER, "closed")                                                                              \
    X(MEMORY, SYSTEM, "out of memory")                                                                       \
    X(IO, SYSTEM, "input or output failed")                                                                  \
    X(DISK_FULL, SYSTEM, "the disk is full")                                                                 \
    X(CORRUPT, SYSTEM, "stored data is damaged")

enum err_index {
    ERR_INDEX_NONE,
#define X(name, class_, text) ERR_INDEX_##name,
    ERR_TABLE(X)
#undef X
        ERR_INDEX_COUNT
};

enum err {
    OK = 0,
#define X(name, class_, text) ERR_##name = -(int)ERR_INDEX_##name,
    ERR_TABLE(X)
#undef X
};

/* The sentence for a code; never NULL, static. Unknown codes give "unknown error". */
const char *err_text(int code);
/* The code's name as in the table ("TOO_LARGE"); static. */
const char *err_name(int code);
enum err_class err_class_of(int code);

#endif
