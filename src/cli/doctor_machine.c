/* The computer: clock, memory, descriptors. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>

#include "cli/doctor.h"

#define DESCRIPTORS_FEW 4096
#define MEMORY_LITTLE_KB (192 * 1024) /* two password checks at a time take 128 MiB */
/* No clock that is set shows a time before this program was written. */
#define YEAR_2026_S 1767225600

static void check_clock(struct doctor *d)
{
    static const char set[] = "let the system set its clock: timedatectl set-ntp true (or install chrony)";
    struct timex state = {.modes = 0};
    char text[40];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    if (now < YEAR_2026_S)
        doctor_say(d, VERDICT_BAD, "clock", set,
                   "%s cannot be right; certificates and messages would be dated wrongly", text);
    else if (adjtimex(&state) < 0)
        doctor_say(d, VERDICT_WARNING, "clock", set, "%s; the system does not say whether that is checked",
                   text);
    else if (state.status & STA_UNSYNC)
        doctor_say(
            d, VERDICT_WARNING, "clock", set,
            "%s; nothing keeps it right. Messages of people whose clocks are 5 minutes ahead of it are "
            "put where they arrive",
            text);
    else
        doctor_say(d, VERDICT_GOOD, "clock", NULL, "%s, kept by the system", text);
}

static void check_memory(struct doctor *d)
{
    unsigned long long kb = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %llu", &kb) == 1) break;
    }
    if (file) fclose(file);
    if (!kb)
        doctor_say(d, VERDICT_WARNING, "memory", "look with: free -m",
                   "the system does not say how much is free");
    else
        doctor_say(d, kb < MEMORY_LITTLE_KB ? VERDICT_WARNING : VERDICT_GOOD, "memory",
                   "give the machine at least 256 MB: a password check takes 64 MB, two run at a time",
                   "%llu MB free", kb / 1024);
}

static void check_descriptors(struct doctor *d)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    unsigned long long most = limit.rlim_max;
    doctor_say(d, most < DESCRIPTORS_FEW ? VERDICT_WARNING : VERDICT_GOOD, "descriptors",
               "raise it: LimitNOFILE= in the systemd unit, or /etc/security/limits.conf",
               "%llu allowed: about %llu people at a time", most, most > 64 ? most - 64 : 0);
}

void doctor_machine(struct doctor *d)
{
    check_clock(d);
    check_memory(d);
    check_descriptors(d);
}
