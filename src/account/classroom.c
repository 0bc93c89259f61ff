#include "account/classroom.h"

#include <string.h>

#include "account/passwords.h"

const char *const classroom_channels[CLASSROOM_CHANNELS] = {"random", "project", "help", "announcements"};

struct kept_hash {
    size_t len;
    char text[PASSWORD_HASH_BYTES];
};

static void keep_hash(void *context, int result, const struct store_row *row)
{
    struct kept_hash *hash = context;
    if (result || row->secret.len >= sizeof hash->text) return;
    hash->len = row->secret.len;
    memcpy(hash->text, row->secret.ptr, row->secret.len);
}

int classroom_look(struct store *store, enum classroom_account *out_account)
{
    struct kept_hash hash = {0};
    struct store_row row = {.key = SLICE(CLASSROOM_NAME)}; /* is its own folded form */
    int err = store_run(store, STORE_ACCOUNT_GET, &row, keep_hash, &hash);
    if (err == ERR_NOT_FOUND) {
        *out_account = CLASSROOM_NO_ACCOUNT;
        return OK;
    }
    if (err) return err;
    bool known = hash.len && !password_verify(SLICE(CLASSROOM_PASSWORD), slice_of(hash.text, hash.len));
    *out_account = known ? CLASSROOM_KNOWN_PASSWORD : CLASSROOM_OTHER_PASSWORD;
    return OK;
}

static int add_account(struct store *store, uint64_t now_ms)
{
    char hash[PASSWORD_HASH_BYTES];
    int err = password_hash(SLICE(CLASSROOM_PASSWORD), hash);
    if (err) return err;
    struct store_row row = {.name = SLICE(CLASSROOM_NAME),
                            .key = SLICE(CLASSROOM_NAME),
                            .secret = slice_text(hash),
                            .time_ms = now_ms};
    return store_run(store, STORE_ACCOUNT_ADD, &row, NULL, NULL);
}

/* An account that nobody can log in to; it signs what is written under names that have no account. When the
 * name is somebody's already, nothing is. */
static int add_guest(struct store *store, uint64_t now_ms)
{
    struct store_row row = {.name = SLICE(CLASSROOM_GUEST),
                            .key = SLICE(CLASSROOM_GUEST),
                            .secret = SLICE(""),
                            .time_ms = now_ms};
    int err = store_run(store, STORE_ACCOUNT_ADD, &row, NULL, NULL);
    return err == ERR_EXISTS ? OK : err;
}

int classroom_add(struct store *store, uint64_t now_ms, enum classroom_account *out_account)
{
    int err = add_guest(store, now_ms);
    for (size_t i = 0; i < CLASSROOM_CHANNELS && !err; i++)
        err = store_host_channel(store, slice_text(classroom_channels[i]), now_ms);
    if (!err) err = classroom_look(store, out_account);
    if (err || *out_account != CLASSROOM_NO_ACCOUNT) return err;
    err = add_account(store, now_ms);
    if (err == ERR_EXISTS) return classroom_look(store, out_account); /* another server was faster */
    if (!err) *out_account = CLASSROOM_KNOWN_PASSWORD;
    return err;
}
