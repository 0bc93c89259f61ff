/* weaprous doctor: looks at everything a server stands on, and says what to do about what is wrong. */
#include "cli/doctor.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "weaprous/weaprous.h"

static const char *const words[] = {"ok", "warning", "PROBLEM"};

static void say_json(enum verdict verdict, const char *what, const char *text, const char *remedy)
{
    static const char *const names[] = {"ok", "warning", "problem"};
    json_t *line = json_pack("{s:s,s:s,s:s,s:s*}", "check", what, "verdict", names[verdict], "text", text,
                             "remedy", remedy);
    if (line) json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

void doctor_say(struct doctor *d, enum verdict verdict, const char *what, const char *remedy,
                const char *form, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, form);
    vsnprintf(text, sizeof text, form, arguments);
    va_end(arguments);
    d->counts[verdict]++;
    if (d->json) {
        say_json(verdict, what, text, verdict == VERDICT_GOOD ? NULL : remedy);
        return;
    }
    printf("%-8s %-12s %s\n", words[verdict], what, text);
    if (verdict != VERDICT_GOOD && remedy) printf("%-8s %-12s -> %s\n", "", "", remedy);
}

int doctor_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    static const char usage[] =
        "Usage: weaprous doctor [OPTIONS]\n\n"
        "Checks what a server needs: clock, memory, descriptors, data folder, disk, database, port,\n"
        "certificate, addresses. Each line says what is wrong and what to do. Changes nothing, and may run\n"
        "beside the server. Exit status 1 when there is a problem.\n";
    struct doctor d = {.data = DATA_DEFAULT, .server_ip = "127.0.0.1"};
    uint64_t port = 8080;
    const struct arg args[] = {
        {"data", ARG_TEXT, &d.data, "DIR", "folder of the server (default " DATA_DEFAULT ")", 0, 0},
        {"server-ip", ARG_IP, &d.server_ip, "IP", "the address it listens on (default 127.0.0.1)", 0, 0},
        {"server-port", ARG_NUMBER, &port, "PORT", "its port (default 8080)", 1, 65535},
        {"name", ARG_TEXT, &d.name, "HOST", "the name under which others reach it", 0, 0},
        {"tls-cert", ARG_TEXT, &d.tls_cert, "FILE", "its certificate (PEM)", 0, 0},
        {"tls-key", ARG_TEXT, &d.tls_key, "FILE", "its key (PEM)", 0, 0},
        {"json", ARG_FLAG, &d.json, NULL, "one JSON object for each line", 0, 0},
    };
    enum args_result result = args_parse(usage, args, sizeof args / sizeof args[0], argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    d.port = (uint16_t)port;
    if (!d.json) printf("weaprous %s\n", wr_version());
    doctor_machine(&d);
    doctor_data(&d);
    doctor_network(&d);
    if (!d.json)
        printf("\n%u checks: %u ok, %u %s, %u %s\n", d.counts[0] + d.counts[1] + d.counts[2], d.counts[0],
               d.counts[1], d.counts[1] == 1 ? "warning" : "warnings", d.counts[2],
               d.counts[2] == 1 ? "problem" : "problems");
    return d.counts[VERDICT_BAD] ? EXIT_STOPPED : EXIT_OK;
}
