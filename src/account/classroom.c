#include "account/classroom.h"

#include <string.h>

#include "account/passwords.h"
#include "store/accounts_sql.h"

const char *const classroom_channels[CLASSROOM_CHANNELS] = {"random", "project", "help", "announcements"};

struct kept {
    int64_t account;
    size_t len;
    char hash[PASSWORD_HASH_BYTES];
};

static void keep(void *context, int result, const struct store_row *row)
{
    struct kept *kept = context;
    if (result || row->secret.len >= sizeof kept->hash) return;
    kept->account = row->account;
    kept->len = row->secret.len;
    memcpy(kept->hash, row->secret.ptr, row->secret.len);
}

static int look(struct store *store, struct kept *out)
{
    struct store_row row = {.key = SLICE(CLASSROOM_NAME)}; /* is its own folded form */
    *out = (struct kept){0};
    return store_run(store, STORE_ACCOUNT_GET, &row, keep, out);
}

int classroom_look(struct store *store, enum classroom_account *out_account)
{
    struct kept kept;
    int err = look(store, &kept);
    if (err == ERR_NOT_FOUND) {
        *out_account = CLASSROOM_NO_ACCOUNT;
        return OK;
    }
    if (err) return err;
    bool known = kept.len && !password_verify(SLICE(CLASSROOM_PASSWORD), slice_of(kept.hash, kept.len));
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
    err = store_run(store, STORE_ACCOUNT_ADD, &row, NULL, NULL);
    return err == ERR_EXISTS ? OK : err; /* another server was faster */
}

/* The account that everybody knows looks after the class. */
static int make_admin(struct store *store)
{
    struct kept kept;
    int err = look(store, &kept);
    const struct store_value values[] = {store_number(kept.account), store_number(STORE_ROLE_ADMIN)};
    return err ? err : store_ask_now(store, &STORE_ROLE_SET, values, 2, NULL, NULL);
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
    if (!err && *out_account == CLASSROOM_NO_ACCOUNT) {
        err = add_account(store, now_ms);
        if (!err) err = classroom_look(store, out_account);
    }
    return !err && *out_account == CLASSROOM_KNOWN_PASSWORD ? make_admin(store) : err;
}
