#include "cli/qr.h"

#include <qrencode.h>

/* ISO/IEC 18004 asks for 4 light modules around; readers are content with 2, and terminals are small. */
#define QUIET 2

static bool is_dark(const QRcode *code, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < code->width && y < code->width;
    return inside && (code->data[y * code->width + x] & 1);
}

void qr_print(FILE *out, const char *text, bool colour)
{
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (!code) return;
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        /* Light modules are drawn, dark ones are the background. */
        fputs(colour ? "    \x1b[38;5;231;48;5;16m" : "    ", out);
        for (int x = -QUIET; x < code->width + QUIET; x++) {
            bool upper = !is_dark(code, x, y);
            bool lower = !is_dark(code, x, y + 1) && y + 1 < code->width + QUIET;
            fputs(upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ", out);
        }
        fputs(colour ? "\x1b[0m\n" : "\n", out);
    }
    QRcode_free(code);
}
