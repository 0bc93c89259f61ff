/* token.h - the character classes of RFC 9110 and the lists that header fields are made of. */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include "base/slice.h"

/* Bit by bit, what a byte may be part of. */
enum token_class {
    TOKEN_TCHAR = 1,
    TOKEN_VALUE = 2,
    TOKEN_UNRESERVED = 4,
    TOKEN_PATH = 8,
    TOKEN_QUERY = 16,
};
extern const uint8_t token_classes[256];

/* tchar of RFC 9110 5.6.2: what methods and field names are made of. */
static inline bool token_char(uint8_t c)
{
    return token_classes[c] & TOKEN_TCHAR;
}
/* One or more of them. */
bool token_valid(slice s);
/* What may stand in a field value (RFC 9110 5.5): no control characters but the tab; bytes above 127 are
 * allowed. */
static inline bool field_value_char(uint8_t c)
{
    return token_classes[c] & TOKEN_VALUE;
}
bool field_value_valid(slice s);
/* What may stand in the path or the query of a request target: RFC 3986, and those characters that browsers
 * send as they are (URL Standard: the path and the query percent-encode sets). */
static inline bool target_char(uint8_t c, bool query)
{
    return token_classes[c] & (query ? TOKEN_QUERY : TOKEN_PATH);
}
/* unreserved of RFC 3986 2.3: letters, digits and "-._~". */
static inline bool unreserved_char(uint8_t c)
{
    return token_classes[c] & TOKEN_UNRESERVED;
}

/* Takes the next element off a comma-separated list, trimmed. A comma within a quoted string does not divide.
 * False at the end. */
bool list_part(slice *rest, slice *out_element);
/* The same; empty elements are skipped (RFC 9110 5.6.1.2). */
bool list_next(slice *rest, slice *out_element);
/* True when the list has this element, without case. */
bool list_has(slice list, slice element);

#endif
