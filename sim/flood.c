/* flood - one core and one certified device that sends it whatever it can think of, millions of frames long:
 * every kind of message with fields that are nearly right, entries of its own and of others, forks, copies,
 * gaps; now slowly enough for the limits, now as fast as the line carries, and again after every close.
 *
 * The core must live, come to rest, and use no more memory late than it did early: the peak of the last nine
 * tenths may not be above that of the first tenth, which fills every table. Sham crypto, virtual time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "core/entry.h"
#include "core/identity.h"
#include "core/link.h"
#include "core/message.h"
#include "memory.h"
#include "random.h"
#include "sham.h"

enum {
    LINK = 1,
    NAMES = 1 << 17, /* more than there is room for anywhere */
    OWN_ENTRIES = 300,
    FILE_SIZE = 4000 * NODE_LEAF_BYTES + 5,
    KEPT = 64,
    PEAK_SLACK = 256 * 1024,
    PEAK_MAX = 48 * 1024 * 1024,
};

static struct {
    struct memory memory;
    struct node *node;
    struct dice dice;
    usec now;
    uint8_t seeds[3][KEY_BYTES], ids[3][ID_BYTES]; /* the tracker, the node, the flooder */
    uint8_t channels[2][ID_BYTES], root[ID_BYTES];
    struct link link;
    bool linked, denied; /* denied: it was not let in */
    uint32_t written;    /* own entries that were taken, or may have been */
    uint8_t prev[ID_BYTES];
    uint8_t kept[KEPT][2048]; /* entries to be sent again */
    size_t kept_len[KEPT];
    uint64_t frames, links, closes[32];
} f;

static uint8_t buffer[64 * 1024], scratch[LINK_FRAME_BYTES_MAX], plain[LINK_MESSAGE_BYTES_MAX];

static void must(bool holds, const char *what)
{
    if (holds) return;
    printf("FAILED: after %llu frames: %s\n0 passed, 1 failed\n", (unsigned long long)f.frames, what);
    exit(1);
}

/* --- the shell of the core --- */

static void on_action(const struct action *a)
{
    switch (a->kind) {
    case ACTION_STORE:
        node_done(f.node, a->token, dice_chance(&f.dice, 20) ? ERR_DISK_FULL : OK, SLICE_EMPTY, f.now);
        break;
    case ACTION_READ:
    case ACTION_FILE_READ: node_done(f.node, a->token, ERR_NOT_FOUND, SLICE_EMPTY, f.now); break;
    case ACTION_FILE_WRITE: node_done(f.node, a->token, OK, SLICE_EMPTY, f.now); break;
    case ACTION_CLOSE:
        f.linked = false;
        f.denied = a->result == ERR_DENIED;
        f.closes[-a->result < 32 ? -a->result : 0]++;
        break;
    default: break;
    }
}

static void greet(void);

static void drain(void)
{
    struct action a;
    size_t len;
    bool moved = true;
    for (int round = 0; moved; round++) {
        must(round < 10000, "it does not come to rest");
        moved = false;
        while (node_next(f.node, &a)) {
            on_action(&a);
            moved = true;
        }
        while (f.linked && (len = node_transmit(f.node, LINK, buffer, sizeof buffer, f.now)) > 0) {
            slice rest = slice_of(buffer, len), message;
            moved = true;
            if (f.link.state == LINK_OPEN) continue; /* what it says is not listened to */
            while (rest.len > 0 && f.link.state != LINK_OPEN &&
                   link_next(&f.link, &rest, scratch, &message) == OK)
                greet();
        }
    }
}

static void hand_over(slice bytes)
{
    for (int i = 0; i < 1000 && f.linked && bytes.len > 0; i++) {
        size_t used = 0;
        int rc = node_receive(f.node, LINK, bytes, f.now, &used);
        if (rc != ERR_BUSY) return;
        drain();
        bytes = slice_sub(bytes, used, bytes.len);
    }
}

static void pass(usec time)
{
    f.now += time;
    if (node_deadline(f.node) > f.now) return;
    node_tick(f.node, f.now);
    must(node_deadline(f.node) > f.now, "a tick leaves something due");
    drain();
}

/* --- the flooder --- */

static slice certificate_of(int who, const char *account, uint8_t out[NODE_CERTIFICATE_BYTES_MAX])
{
    struct certificate c = {.account = slice_text(account),
                            .device = f.ids[who],
                            .issued_s = 1,
                            .expires_s = UINT64_C(4000000000)};
    int len = certificate_write(&crypto_sham, &c, f.seeds[0], out, NODE_CERTIFICATE_BYTES_MAX);
    must(len > 0, "certificate_write");
    return slice_of(out, (size_t)len);
}

static void greet(void)
{
    uint8_t out[4096], certificate[NODE_CERTIFICATE_BYTES_MAX];
    struct link_self self = {f.ids[2], f.seeds[2], ROLE_PERSON, certificate_of(2, "mallory", certificate)};
    while (f.linked && link_greets(&f.link)) {
        struct writer w = writer_of(out, sizeof out);
        must(link_greet(&f.link, &self, &w) == OK, "link_greet");
        hand_over(writer_slice(&w));
    }
}

static void say(struct writer *w)
{
    struct writer frame = writer_of(scratch, sizeof scratch);
    if (!f.linked || w->failed || link_seal(&f.link, writer_slice(w), &frame) != OK) return;
    f.frames++;
    hand_over(writer_slice(&frame));
    if (dice_chance(&f.dice, 50)) drain();
}

static void carry_all(void)
{
    for (int i = 0; i < 2; i++) {
        struct writer w = writer_of(plain, sizeof plain);
        message_write_carry(&w, f.channels[i], true, 0);
        say(&w);
    }
    drain();
}

static void connect(void)
{
    uint8_t secret[KEY_BYTES], ephemeral[KEY_BYTES];
    struct node_link info = {.path = PATH_DIRECT};
    drain();
    pass(SECONDS + dice_below(&f.dice, f.denied ? 700 * SECONDS : 30 * SECONDS));
    dice_bytes(&f.dice, ephemeral, sizeof ephemeral);
    link_deinit(&f.link);
    identity_noise_secret(&crypto_sham, f.seeds[2], secret);
    must(link_init(&f.link, &allocator_libc, &crypto_sham, true, SLICE_EMPTY, secret, ephemeral) == OK,
         "link_init");
    must(node_link_up(f.node, LINK, &info, f.now) == OK, "node_link_up");
    f.linked = true;
    f.links++;
    greet();
    drain();
    if (f.linked) carry_all();
}

/* --- what it says --- */

static void put_name(struct writer *w)
{
    uint8_t id[ID_BYTES] = {0};
    uint32_t who = (uint32_t)dice_below(&f.dice, NAMES);
    memcpy(id, &who, sizeof who);
    bool known = dice_chance(&f.dice, 300);
    cbor_put_bytes(w, slice_of(known ? f.ids[dice_below(&f.dice, 3)] : id, ID_BYTES));
}

static void put_bytes(struct writer *w, uint64_t most)
{
    static uint8_t bytes[17 * 1024];
    uint32_t len = (uint32_t)dice_below(&f.dice, most + 1);
    dice_bytes(&f.dice, bytes, len < 16 ? len : 16);
    cbor_put_bytes(w, slice_of(bytes, len));
}

static uint64_t some_number(void)
{
    uint64_t choice = dice_below(&f.dice, 10), small = dice_below(&f.dice, 400);
    return choice == 0 ? ENTRY_SEQ_MAX : choice == 1 ? dice_below(&f.dice, ENTRY_SEQ_MAX) : small;
}

/* One field: c channel, i device, r root of a file, z its size, v one of its leaves, o where a piece begins,
 * P a piece; l and m a span, y and k a run behind the one before; u number, n 1, w 1 to 256, x up to 3, t up
 * to 7, f 0 or 1; s signature, D digest, b some bytes; (...) an array of any number of those. */
static const char *put_field(struct writer *w, const char *form)
{
    static uint64_t at; /* where a span or a run began */
    uint8_t id[ID_BYTES];
    switch (*form) {
    case 'c': cbor_put_bytes(w, slice_of(f.channels[dice_below(&f.dice, 2)], ID_BYTES)); break;
    case 'i': put_name(w); break;
    case 'r':
        dice_bytes(&f.dice, id, sizeof id);
        cbor_put_bytes(w, slice_of(dice_chance(&f.dice, 800) ? f.root : id, ID_BYTES));
        break;
    case 'u': cbor_put_uint(w, some_number()); break;
    case 'l': cbor_put_uint(w, at = 1 + some_number() / 2); break;
    case 'm': cbor_put_uint(w, at + dice_below(&f.dice, 100)); break;
    case 'y': cbor_put_uint(w, at += 1 + dice_below(&f.dice, 50)); break;
    case 'k': {
        uint64_t len = 1 + dice_below(&f.dice, 20);
        cbor_put_uint(w, len);
        at += len;
        break;
    }
    case 'v': cbor_put_uint(w, dice_below(&f.dice, FILE_SIZE / NODE_LEAF_BYTES)); break;
    case 'x': cbor_put_uint(w, dice_below(&f.dice, 4)); break;
    case 'n': cbor_put_uint(w, 1); break;
    case 'o': cbor_put_uint(w, 16384 * dice_below(&f.dice, 4)); break;
    case 'z': cbor_put_uint(w, dice_chance(&f.dice, 900) ? FILE_SIZE : some_number()); break;
    case 'w': cbor_put_uint(w, 1 + dice_below(&f.dice, 256)); break;
    case 'f': cbor_put_uint(w, dice_below(&f.dice, 2)); break;
    case 't': cbor_put_uint(w, dice_below(&f.dice, 8)); break;
    case 's': cbor_put_bytes(w, slice_of(scratch, SIGNATURE_BYTES)); break;
    case 'D': cbor_put_bytes(w, slice_of(scratch, DIGEST_BYTES)); break;
    case 'b': put_bytes(w, 300); break;
    case 'P': put_bytes(w, 16 * 1024); break;
    case '(': {
        const char *end = strchr(form, ')');
        uint64_t times = dice_below(&f.dice, 20);
        cbor_put_array(w, times * (uint64_t)(end - form - 1));
        at = 0;
        for (uint64_t i = 0; i < times; i++)
            for (const char *c = form + 1; c < end; c++)
                (void)put_field(w, c);
        return end + 1;
    }
    default: must(false, "a form");
    }
    return form + 1;
}

static void say_form(uint64_t kind, const char *form)
{
    struct writer w = writer_of(plain, sizeof plain);
    uint64_t count = 1, more = dice_chance(&f.dice, 100) ? 2 : 0;
    for (const char *c = form; *c; count++)
        c = *c == '(' ? strchr(c, ')') + 1 : c + 1;
    cbor_put_array(&w, count + more);
    cbor_put_uint(&w, kind);
    for (const char *c = form; *c;)
        c = put_field(&w, c);
    for (uint64_t i = 0; i < more; i++)
        cbor_put_uint(&w, dice_below(&f.dice, 2));
    say(&w);
}

static void say_entry(const uint8_t *bytes, size_t len)
{
    struct writer w = writer_of(plain, sizeof plain);
    message_write_entry(&w, slice_of(bytes, len));
    say(&w);
}

/* An entry of its own: the next one, a fork, or one above a gap. */
static void say_own_entry(void)
{
    uint8_t body[1400], certificate[NODE_CERTIFICATE_BYTES_MAX], wire[2048];
    static const uint8_t zeros[ID_BYTES];
    struct writer b = writer_of(body, sizeof body), o = writer_of(wire, sizeof wire);
    bool next = f.written < OWN_ENTRIES && dice_chance(&f.dice, 300);
    uint32_t seq = next ? f.written + 1 : 1 + (uint32_t)dice_below(&f.dice, OWN_ENTRIES + 50);
    struct entry back, e = {.kind = seq == 1 ? ENTRY_JOIN : (uint32_t)dice_below(&f.dice, 12),
                            .channel = f.channels[dice_chance(&f.dice, 900) ? 0 : 1],
                            .author = f.ids[2],
                            .seq = seq,
                            .prev = next && seq > 1 ? f.prev : zeros,
                            .time_ms = UINT64_C(1800000000000) + seq};
    if (next) e.channel = f.channels[0];
    if (next && e.kind == ENTRY_PROFILE) e.kind = ENTRY_TEXT;
    if (next && seq > 1 && e.kind == ENTRY_JOIN) e.kind = ENTRY_TEXT;
    cbor_put_array(&b, 1);
    if (seq == 1)
        cbor_put_bytes(&b, certificate_of(2, "mallory", certificate));
    else
        put_bytes(&b, 1000);
    e.body = writer_slice(&b);
    if (entry_write(&crypto_sham, &e, f.seeds[2], &o) != OK) return;
    size_t slot = dice_below(&f.dice, KEPT);
    memcpy(f.kept[slot], wire, o.len);
    f.kept_len[slot] = o.len;
    if (next && entry_parse(writer_slice(&o), &back) == OK) {
        entry_id(&crypto_sham, &back, f.prev);
        f.written = seq;
    }
    say_entry(wire, o.len);
}

static void say_something(void)
{
    static const struct {
        uint8_t kind;
        const char *form;
    } forms[] = {{MESSAGE_PING, "u"},
                 {MESSAGE_PONG, "u"},
                 {MESSAGE_CARRY, "cf"},
                 {MESSAGE_HAVE, "ct(iu)"},
                 {MESSAGE_WANT, "ciww"},
                 {MESSAGE_HOLD, "c(ilm)"},
                 {MESSAGE_DIGEST, "cD"},
                 {MESSAGE_RECENT, "cuw"},
                 {MESSAGE_RECENT_END, "cuf"},
                 {MESSAGE_RECEIPT, "cinuuis"},
                 {MESSAGE_INTRODUCE, "bbb"},
                 {MESSAGE_PRUNE, "c"},
                 {MESSAGE_GRAFT, "c"},
                 {MESSAGE_SHUFFLE, "c(i)f"},
                 {MESSAGE_SIGNAL, "iitbu"},
                 {MESSAGE_FILE_ASK, "crz"},
                 {MESSAGE_FILE_HAVE, "crzf(yk)"},
                 {MESSAGE_FILE_WANT, "rf(v)"},
                 {MESSAGE_FILE_DATA, "rvoPb"},
                 {MESSAGE_FILE_STOP, "rvxv"},
                 {63, "ub(u)"}};
    uint64_t choice = dice_below(&f.dice, 1000);
    if (choice < 100) {
        say_own_entry();
    } else if (choice < 200) {
        size_t slot = dice_below(&f.dice, KEPT);
        if (f.kept_len[slot]) say_entry(f.kept[slot], f.kept_len[slot]);
    } else if (choice < 201) {
        struct writer w = writer_of(plain, sizeof plain);
        dice_bytes(&f.dice, plain, 40);
        w.len = 40;
        say(&w);
    } else {
        size_t which = dice_below(&f.dice, sizeof forms / sizeof forms[0]);
        bool odd = forms[which].kind == MESSAGE_PONG || forms[which].kind == MESSAGE_WANT ||
                   forms[which].kind == MESSAGE_RECENT_END || forms[which].kind == MESSAGE_FILE_DATA;
        if (odd && !dice_chance(&f.dice, 20)) return; /* a hundred of them, and the link is closed */
        say_form(forms[which].kind, forms[which].form);
    }
}

/* --- the run --- */

static void command(const struct command *c)
{
    must(node_command(f.node, c, f.now) >= 0, "a command");
    drain();
}

static void begin(void)
{
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    struct node_config config = {.role = ROLE_PERSON};
    memory_init(&f.memory);
    f.dice = dice_stream(1, 99, 0);
    f.now = UINT64_C(1800000000) * SECONDS;
    for (int i = 0; i < 3; i++) {
        memset(f.seeds[i], 0x21 + i, KEY_BYTES);
        crypto_sham.sign_public(NULL, f.ids[i], f.seeds[i]);
    }
    memcpy(config.identity_seed, f.seeds[1], KEY_BYTES);
    must(node_create(&config, &f.memory.allocator, &crypto_sham, f.now, &f.node) == OK, "node_create");
    command(
        &(struct command){.kind = COMMAND_CERTIFICATE, .bytes = certificate_of(1, "victim", certificate)});
    struct channel_spec specs[2] = {{.type = CHANNEL_PUBLIC, .authority = f.ids[0], .name = SLICE("general")},
                                    {.type = CHANNEL_DIRECT,
                                     .authority = f.ids[0],
                                     .account = SLICE("mallory"),
                                     .other = SLICE("victim")}};
    for (int i = 0; i < 2; i++) {
        must(channel_spec_id(&crypto_sham, &specs[i], f.channels[i]) == OK, "channel_spec_id");
        command(&(struct command){.kind = COMMAND_OPEN, .spec = &specs[i]});
    }
    memset(f.root, 7, ID_BYTES);
    command(&(struct command){
        .kind = COMMAND_FILE_FETCH, .channel = f.channels[0], .root = f.root, .size = FILE_SIZE});
}

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    size_t early = 0;
    if (wanted < 1000) {
        fprintf(stderr, "usage: flood [FRAMES]\n");
        return 2;
    }
    begin();
    while (f.frames < wanted) {
        if (!f.linked) connect();
        usec pause = f.frames / 100000 % 3 == 0 ? 0 : 1000; /* as fast as the line carries, or less */
        for (int i = 0; i < 1000 && f.linked; i++) {
            say_something();
            if (pause) pass(dice_below(&f.dice, pause));
        }
        pass(dice_below(&f.dice, 100 * MILLISECONDS));
        if (early == 0 && f.frames >= wanted / 10) early = f.memory.peak;
    }
    printf("%llu frames over %llu links: at most %zu KB in the first tenth, %zu KB in all; closed:",
           (unsigned long long)f.frames, (unsigned long long)f.links, early / 1024, f.memory.peak / 1024);
    for (int i = 0; i < 32; i++)
        if (f.closes[i]) printf(" %llu %s", (unsigned long long)f.closes[i], err_name(-i));
    printf("\n");
    must(f.memory.peak <= PEAK_MAX, "it uses more memory than all limits together allow");
    must(f.memory.peak <= early + PEAK_SLACK, "its memory grows with what it is sent");
    link_deinit(&f.link);
    node_destroy(f.node);
    must(f.memory.used == 0 && !f.memory.size_error, "something was not freed");
    printf("1 passed, 0 failed\n");
    return 0;
}
