#include "cli/secret.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
    caught = number;
}

/* What ends the program while nothing is echoed: caught, so that the terminal is put right first. Held back
 * but for the time of waiting, so that none comes between looking and waiting. */
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { ENDING_COUNT = sizeof ending / sizeof ending[0] };

/* One byte of standard input, for which a terminal is waited with the signals of `open` let in; NULL: as they
 * are. 1, 0 at the end, -1 on an error or a signal. */
static ssize_t read_byte(char *out, const sigset_t *open)
{
    int ready = open ? 0 : 1;
    while (!ready) {
        fd_set input;
        FD_ZERO(&input);
        FD_SET(STDIN_FILENO, &input);
        ready = pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, open);
        if (ready < 0 && errno == EINTR && !caught) ready = 0; /* stopped, and here again */
    }
    return ready > 0 && !caught ? read(STDIN_FILENO, out, 1) : -1;
}

/* Up to the line feed, which is dropped, or the end. More than fits: what fits, which is too long for a
 * password. */
static int read_line(struct secret *out, const sigset_t *open)
{
    char c;
    ssize_t got;
    out->len = 0;
    while ((got = read_byte(&c, open)) == 1 && c != '\n') {
        if (out->len < sizeof out->bytes) out->bytes[out->len++] = c;
    }
    sodium_memzero(&c, 1);
    return got < 0 ? ERR_IO : OK;
}

static int ask_once(const char *prompt, const char *name, const sigset_t *open, struct secret *out)
{
    fprintf(stderr, "%s %s: ", prompt, name);
    int err = read_line(out, open);
    fputc('\n', stderr); /* the one that was not echoed */
    return err;
}

static int ask_twice(const char *name, const sigset_t *open, struct secret *out)
{
    struct secret again;
    int err = ask_once("Password for", name, open, out);
    const char *problem = err ? NULL : new_password_problem(slice_of(out->bytes, out->len));
    if (problem) {
        complain("%s", problem);
        return ERR_INVALID;
    }
    if (!err) err = ask_once("Once more the password for", name, open, &again);
    if (!err && !slice_equal(slice_of(out->bytes, out->len), slice_of(again.bytes, again.len))) {
        complain("The two passwords differ: nothing was changed.");
        err = ERR_INVALID;
    }
    secret_wipe(&again);
    return err;
}

static int ask_terminal(const char *name, struct secret *out)
{
    struct sigaction before[ENDING_COUNT], during = {.sa_handler = catch_signal};
    struct termios shown, hidden;
    sigset_t held, open;
    if (tcgetattr(STDIN_FILENO, &shown)) return ERR_IO;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    caught = 0;
    sigemptyset(&held);
    for (size_t i = 0; i < ENDING_COUNT; i++)
        sigaddset(&held, ending[i]);
    sigprocmask(SIG_BLOCK, &held, &open);
    for (size_t i = 0; i < ENDING_COUNT; i++)
        sigaction(ending[i], &during, &before[i]);
    int err = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) ? ERR_IO : ask_twice(name, &open, out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    for (size_t i = 0; i < ENDING_COUNT; i++)
        sigaction(ending[i], &before[i], NULL);
    sigprocmask(SIG_SETMASK, &open, NULL);
    if (caught) {
        secret_wipe(out);
        raise(caught);
    }
    return err;
}

/* From a file or a pipe: the whole of it. */
static int read_all(struct secret *out)
{
    char more;
    int err = read_line(out, NULL);
    if (!err && out->len && out->bytes[out->len - 1] == '\r') out->len--;
    const char *problem = err ? NULL : new_password_problem(slice_of(out->bytes, out->len));
    if (!err && !problem && read(STDIN_FILENO, &more, 1) == 1)
        problem = "Standard input holds more than one line: give the password only.";
    if (problem) complain("%s", problem);
    return problem ? ERR_INVALID : err;
}

int secret_read(const char *name, struct secret *out)
{
    int err = isatty(STDIN_FILENO) ? ask_terminal(name, out) : read_all(out);
    if (err == ERR_IO) complain("The password cannot be read: %s.", strerror(errno));
    if (err) secret_wipe(out);
    return err;
}

void secret_wipe(struct secret *secret)
{
    sodium_memzero(secret, sizeof *secret);
}
