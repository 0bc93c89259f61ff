/* bench-core: figures of the core alone, with the real cryptography and a disk in memory; one line of JSON.
 *
 *   bench-core apply ENTRIES AUTHORS      entries applied, beside libsodium's verify; memory; wire; restore
 *   bench-core newcomer ENTRIES AUTHORS   a device that has nothing, and its next visit when nothing changed
 *   bench-core record ENTRIES AUTHORS FILE   writes what apply gives the node, for the same in a browser
 */
#include <stdlib.h>

#include "apply.h"
#include "crypto/native.h"
#include "newcomer.h"

enum { LATE = 50, RESTORE_ROUNDS = 3 };

static void print_hex(const char *name, const uint8_t *bytes, size_t len)
{
    printf("\"%s\":\"", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    printf("\",");
}

static double rate(uint64_t count, uint64_t ns)
{
    return (double)count * 1e9 / (double)(ns ? ns : 1);
}

static void bench_apply(const struct corpus *c)
{
    struct device d, again;
    struct applied figures;
    uint64_t restore_ns = UINT64_MAX;
    device_open(&d, c, UINT32_MAX, true, NULL, corpus_end(c));
    size_t empty = d.memory.used;
    apply_all(&d, &figures, corpus_end(c), NULL);
    size_t held = d.memory.used - empty;
    if (d.delivered != c->len + 1u) bench_die("entries are missing");
    for (int round = 0; round < RESTORE_ROUNDS; round++) {
        device_open(&again, c, UINT32_MAX, false, &d, figures.now);
        if (again.cpu_ns < restore_ns) restore_ns = again.cpu_ns;
        device_close(&again);
    }
    size_t wires = 0;
    for (uint32_t i = 0; i < c->len; i++)
        wires += c->wires[i].len;
    double verify = rate(c->len, figures.verify_ns), apply = rate(c->len, figures.apply_ns);
    printf(
        "{\"entries\":%u,\"authors\":%u,\"apply_per_second\":%.0f,\"verify_per_second\":%.0f,\"ratio\":%.3f,"
        "\"restore_per_second\":%.0f,\"memory_per_entry\":%.1f,\"memory_peak\":%zu,\"wire_per_entry\":%.1f,"
        "\"wire_in_per_entry\":%.1f,\"wire_back_per_entry\":%.1f}\n",
        c->len, c->authors_len, apply, verify, apply / verify, rate(d.stored, restore_ns),
        (double)held / c->len, d.memory.peak, (double)wires / c->len, (double)figures.bytes_in / c->len,
        (double)figures.bytes_out / c->len);
    device_close(&d);
}

static void print_came(const char *name, const struct came *came)
{
    if (!came->done) {
        printf("\"%s\":null,", name);
        return;
    }
    printf("\"%s\":{\"seconds\":%.3f,\"bytes_down\":%llu,\"bytes_up\":%llu,\"cpu_ms\":%.1f,\"holder_cpu_ms\":"
           "%.1f},",
           name, came->seconds, (unsigned long long)came->bytes[0], (unsigned long long)came->bytes[1],
           (double)came->cpu_ns[1] / 1e6, (double)came->cpu_ns[0] / 1e6);
}

static void bench_newcomer(const struct corpus *c)
{
    const struct line line = {.delay_us = 20 * MILLISECONDS, .bytes_a_second = 100 * 1000 * 1000 / 8};
    struct device first, holder, newcomer;
    struct applied figures;
    struct came came[3];
    device_open(&first, c, UINT32_MAX, true, NULL, corpus_end(c));
    apply_all(&first, &figures, corpus_end(c), NULL);
    /* Author 1 holds everything, from its disk. */
    device_open(&holder, c, 1, false, &first, figures.now);
    holder.authors = first.authors, holder.authors_len = first.authors_len;
    struct map own = holder.by_author;
    holder.by_author = first.by_author;
    device_open(&newcomer, c, UINT32_MAX - 1, false, NULL, figures.now + 1 * SECONDS);
    newcomer.late = LATE;
    usec now = line_run(&holder, &newcomer, line, c->len + 1u, came, figures.now + 1 * SECONDS);
    printf("{\"entries\":%u,\"authors\":%u,", c->len, c->authors_len);
    print_came("last_50", &came[0]);
    print_came("all", &came[1]);
    print_came("first_visit", &came[2]);
    line_run(&holder, &newcomer, line, UINT64_MAX, came, now + 60 * SECONDS);
    print_came("unchanged", &came[2]);
    printf("\"reads\":%llu}\n", (unsigned long long)holder.read);
    holder.authors = NULL, holder.authors_len = 0;
    holder.by_author = own;
    device_close(&newcomer);
    device_close(&holder);
    device_close(&first);
}

static void bench_record(const struct corpus *c, const char *name)
{
    struct device d;
    struct applied figures;
    FILE *file = fopen(name, "wb");
    if (!file) bench_die("the file cannot be written");
    device_open(&d, c, UINT32_MAX, false, NULL, corpus_end(c));
    apply_all(&d, &figures, corpus_end(c), file);
    if (fclose(file) != 0) bench_die("the file could not be written");
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX], identity[KEY_BYTES], random[KEY_BYTES];
    size_t len;
    device_secrets(UINT32_MAX, c, identity, random);
    corpus_certify(c, "newcomer", identity, certificate, sizeof certificate, &len);
    printf("{\"entries\":%u,\"authors\":%u,\"delivered\":%llu,\"now_ms\":%llu,\"part_ms\":8,", c->len,
           c->authors_len, (unsigned long long)d.delivered,
           (unsigned long long)(corpus_end(c) / MILLISECONDS));
    print_hex("identity_seed", identity, sizeof identity);
    print_hex("random_seed", random, sizeof random);
    print_hex("certificate", certificate, len);
    print_hex("channel", c->channel, ID_BYTES);
    print_hex("tracker", c->tracker, ID_BYTES);
    printf("\"name\":\"general\",\"binding\":\"bench\"}\n");
    device_close(&d);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    struct corpus c;
    bool record = strcmp(mode, "record") == 0;
    if (argc != (record ? 5 : 4) || crypto_native_start() < 0)
        bench_die("usage: apply|newcomer|record ENTRIES AUTHORS [FILE]");
    corpus_make(&c, crypto_native(), (uint32_t)atol(argv[3]), (uint32_t)atol(argv[2]));
    if (record)
        bench_record(&c, argv[4]);
    else if (strcmp(mode, "apply") == 0)
        bench_apply(&c);
    else if (strcmp(mode, "newcomer") == 0)
        bench_newcomer(&c);
    else
        bench_die("there is no such measurement");
    corpus_free(&c);
    return 0;
}
