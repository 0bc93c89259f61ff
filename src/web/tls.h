/* tls.h - what listeners and clients take from the settings that a program made (weaprous/tls.h). */
#ifndef WEB_TLS_H
#define WEB_TLS_H

#include "net/tls_client.h"
#include "net/tls_server.h"
#include "weaprous/tls.h"

/* Held for the caller, who releases it. NULL when it cannot serve (no certificate, no memory): wr_tls_error
 * says why. */
struct tls_server *tls_server_of(const struct wr_tls *tls);
/* Held for the caller, who releases it. NULL without memory. */
struct tls_client *tls_client_of(const struct wr_tls *tls);

#endif
