/* doctor.h - what the checks of `weaprous doctor` share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

enum verdict { VERDICT_GOOD, VERDICT_WARNING, VERDICT_BAD };

struct doctor {
    const char *data, *server_ip, *name, *tls_cert, *tls_key;
    uint16_t port;
    bool json;
    unsigned counts[3]; /* by verdict */
    bool answers;       /* the server runs and answers */
};

/* One line of the report. remedy: what to do, NULL when all is well. */
void doctor_say(struct doctor *d, enum verdict verdict, const char *what, const char *remedy,
                const char *form, ...) __attribute__((format(printf, 5, 6)));

/* doctor_machine.c: clock, memory, descriptors. doctor_data.c: folder, disk, database. doctor_network.c:
 * port, TLS, addresses, name. */
void doctor_machine(struct doctor *d);
void doctor_data(struct doctor *d);
void doctor_network(struct doctor *d);

#endif
