/* qr.h - an address as a QR code in the terminal. */
#ifndef CLI_QR_H
#define CLI_QR_H

#include <stdbool.h>
#include <stdio.h>

/* Two modules in one character, with UTF-8 half blocks. `colour`: with black and white set explicitly, so
 * that it is dark on light in every terminal; without, it is right on a dark background. Nothing when memory
 * is short. */
void qr_print(FILE *out, const char *text, bool colour);

#endif
