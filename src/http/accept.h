/* accept.h - choosing a representation: Accept-Encoding, Accept. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include "base/slice.h"

/* The weight (0 to 1000) that an Accept-Encoding field gives a coding: named, else "*", else 0; identity is
 * acceptable (1) unless it is refused. RFC 9110 12.5.3. A weight that cannot be read counts as 0. */
int accept_encoding_weight(slice field, slice coding);
/* True when an Accept field names this media type itself (no wildcards), with a weight above 0. */
bool accept_names(slice field, slice media_type);

#endif
