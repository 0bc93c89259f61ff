/* spec.h - the spec of a channel (struct channel_spec) on the wire and in records. docs/protocol/wire.md,
 * "Channels". Its id (channel_spec_id, core/node.h) follows from it.
 *
 *     PUBLIC  [0, authority, name]
 *     PRIVATE [1, authority, founder, nonce]
 *     DIRECT  [2, authority, account, other]     account <= other, bytewise
 */
#ifndef CORE_SPEC_H
#define CORE_SPEC_H

#include "base/cbor.h"
#include "core/node.h"

enum { SPEC_BYTES_MAX = 320 };

/* Writes a spec that channel_spec_id takes. */
void spec_write(struct writer *w, const struct channel_spec *spec);
/* The fields borrow the input. False when it is not a spec, or of a type that is not known here. */
bool spec_parse(slice bytes, struct channel_spec *out);

#endif
