/* probe.h - counts how often the rare branches of the core are taken, so that the simulator can say which of
 * them its worlds have never reached (sim --coverage). A counter for each name and node; nothing depends on
 * them. */
#ifndef CORE_PROBE_H
#define CORE_PROBE_H

#include "core/node.h"

/* By file. */
#define PROBE_TABLE(X)                                                                                       \
    /* feed.c */                                                                                             \
    X(FORK)             /* two entries under one number */                                                   \
    X(DUPLICATE)        /* an entry that is here already */                                                  \
    X(OUT_OF_ORDER)     /* one that continues nothing */                                                     \
    X(BACKWARDS)        /* an author into his own past */                                                    \
    X(FROM_THE_FUTURE)  /* its time is far ahead of this clock */                                            \
    X(NOT_OF_A_MEMBER)  /* by somebody who may not write there */                                            \
    X(SEAM_FORKED)      /* a closed gap whose sides are of two chains */                                     \
    X(STORE_FAILED_OWN) /* an own entry is written again */                                                  \
    X(CHANNEL_STORE_FAILED)                                                                                  \
    X(RESTORE_REFUSED) /* a record that fits nothing */                                                      \
    X(RESTORE_SEAM)                                                                                          \
    X(RESTORE_LOOSE) /* the lower part of an island before its first entry */                                \
    X(RESTORE_LOOSE_DROPPED)                                                                                 \
    /* lane.c */                                                                                             \
    X(ISLAND)                                                                                                \
    X(ISLAND_JOINED)                                                                                         \
    X(ISLAND_JOINED_LONGER) /* it was the longer part */                                                     \
    X(TAKE_BACK)                                                                                             \
    X(TAKE_BACK_DOWN)                                                                                        \
    X(TAKE_BACK_ISLAND) /* nothing of it is left */                                                          \
    X(TAKE_BACK_LATER)  /* with an earlier store still under way */                                          \
    /* want.c */                                                                                             \
    X(WANT_TIMED_OUT)                                                                                        \
    X(WANT_GIVEN_TIME) /* the link is busy with other entries */                                             \
    X(WANT_ALL_BUSY)                                                                                         \
    X(WANT_DOWN)                                                                                             \
    X(DOUBT)                                                                                                 \
    X(DOUBT_WRONG) /* slow, but true */                                                                      \
    X(DOUBT_TRIED)                                                                                           \
    /* sync.c, digest.c, serve.c */                                                                          \
    X(VECTOR_ANEW) /* the other side begins again */                                                         \
    X(PHANTOMS_FULL)                                                                                         \
    X(ROOM_MADE)                                                                                             \
    X(LET_GO) /* a channel that was left */                                                                  \
    X(DIGEST)                                                                                                \
    X(DIGEST_DIFFERS)                                                                                        \
    X(PUSH_FROM_DISK)                                                                                        \
    X(READ_FAILED)                                                                                           \
    /* history.c, recent.c */                                                                                \
    X(CATCH_UP)                                                                                              \
    X(CATCH_UP_ELSEWHERE)                                                                                    \
    X(CATCH_UP_MORE)                                                                                         \
    X(RECENT_SILENT) /* who was asked does not answer */                                                     \
    X(HISTORY_NEXT_MEMBER)                                                                                   \
    X(RECENT_JOIN_FIRST)                                                                                     \
    /* mesh.c */                                                                                             \
    X(SUPERSEDE)                                                                                             \
    X(DEAD_LINK)                                                                                             \
    X(HANDSHAKE_SLOW)                                                                                        \
    X(WRONG_DEVICE)                                                                                          \
    X(REFUSED)                                                                                               \
    X(DIAL_AGAIN)                                                                                            \
    X(DIAL_GIVEN_UP)                                                                                         \
    X(RELAY_AT_ONCE) /* no direct link is possible */                                                        \
    X(GLITCHES)      /* a link is closed for too many */                                                     \
    X(CONTROL_FULL)                                                                                          \
    X(TIMERS_LOST) /* for lack of memory */                                                                  \
    X(BUSY)        /* bytes have to wait for the disk */                                                     \
    /* view.c, gossip.c */                                                                                   \
    X(STRANGER)                                                                                              \
    X(SHUFFLE)                                                                                               \
    X(SPARE_LET_GO)                                                                                          \
    X(NEWCOMER_REFUSED)                                                                                      \
    X(VIEW_FORGOTTEN)                                                                                        \
    X(PRUNE)                                                                                                 \
    X(GRAFT)                                                                                                 \
    X(GRAFT_REFUSED)                                                                                         \
    X(SWAP) /* a faster way is tried */                                                                      \
    /* ledger.c */                                                                                           \
    X(RECEIPT)                                                                                               \
    X(RECEIPT_HANDED_ON)                                                                                     \
    X(RECEIPT_OLD)                                                                                           \
    X(RECEIPT_MISSED_HIM)                                                                                    \
    /* introduce.c, member.c, seal.c, keyring.c */                                                           \
    X(INTRODUCED)                                                                                            \
    X(INTRODUCE_FALSE)                                                                                       \
    X(INTRODUCE_NO_ROOM)                                                                                     \
    X(EXCLUDED)                                                                                              \
    X(MEMBER_OLD_NEWS)                                                                                       \
    X(REFUSED_TAKEN_ANEW)                                                                                    \
    X(EPOCH_MADE)                                                                                            \
    X(EPOCH_TOO_OLD)                                                                                         \
    X(KEYS_HANDED)                                                                                           \
    X(KEYS_HANDED_BY_OTHER) /* they were due here, and somebody was faster */                                \
    X(KEYS_CAME)                                                                                             \
    X(BOX_FALSE)                                                                                             \
    /* talk.c */                                                                                             \
    X(TALK_CROSSED) /* both asked at once */                                                                 \
    X(TALK_OVERDUE)                                                                                          \
    X(TALK_SILENT)                                                                                           \
    X(TALK_SPEAKS_AGAIN)                                                                                     \
    /* fetch.c, give.c, partner.c */                                                                         \
    X(LIAR)                                                                                                  \
    X(STEAL)                                                                                                 \
    X(ENDGAME)                                                                                               \
    X(STRAY_PIECE)                                                                                           \
    X(STRAY_AGAIN)                                                                                           \
    X(SOURCE_SILENT)                                                                                         \
    X(WRITE_AGAIN)                                                                                           \
    X(FILE_STUCK)                                                                                            \
    X(STARVED)                                                                                               \
    X(GIVEN_ALREADY)                                                                                         \
    X(LEAF_LOST)                                                                                             \
    X(SOURCE_GONE)

enum probe {
#define X(name) PROBE_##name,
    PROBE_TABLE(X)
#undef X
        PROBES
};

#define PROBE(node, name) ((void)(node)->probes[PROBE_##name]++)

/* How often since the node was created. */
uint64_t node_probe(const struct node *node, enum probe probe);
/* "FORK" ...; static. */
const char *probe_name(enum probe probe);

#endif
