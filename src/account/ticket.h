/* ticket.h - secrets that people carry: links that are good once, invites, recovery codes. The database has
 * their hash.
 *
 * A ticket is 32 random bytes in hexadecimal, for links. A code is for people who type or read it out: 78
 * random bits as 16 letters and digits in groups of four ("k3vd-9mx2-...", no 0 1 i l o u); what is typed may
 * have any case, spaces and hyphens.
 *
 * Rules: pure but for randomness of the system. */
#ifndef ACCOUNT_TICKET_H
#define ACCOUNT_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    TICKET_BYTES = 32,
    TICKET_TEXT = 2 * TICKET_BYTES + 1, /* with NUL */
    CODE_LETTERS = 16,
    CODE_TEXT = CODE_LETTERS + 4, /* with hyphens and NUL */
    TICKET_HASH_BYTES = 32,
};

void ticket_new(char out_text[TICKET_TEXT], uint8_t out_hash[TICKET_HASH_BYTES]);
/* False when it has not the form of one. */
bool ticket_hash(slice text, uint8_t out_hash[TICKET_HASH_BYTES]);
void code_new(char out_text[CODE_TEXT], uint8_t out_hash[TICKET_HASH_BYTES]);
bool code_hash(slice text, uint8_t out_hash[TICKET_HASH_BYTES]);

#endif
