/* user.h - what the files of `weaprous user` share. */
#ifndef CLI_USER_H
#define CLI_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "account/fold.h"
#include "base/err.h"
#include "store/store.h"

/* Opens the accounts in a data folder, beside a server that may be running on it. `make`: the folder is made
 * when it is missing. Any error has been complained about. store_close it. */
int user_open(const char *folder, bool make, struct store **out_store) BASE_CHECKED;
/* One sentence about an operation of the store that failed. */
void user_complain(const char *folder, int err);
/* Milliseconds since 1970. */
uint64_t user_now_ms(void);

struct user_found {
    int64_t account;
    char name[STORE_TEXT_BYTES_MAX + 1]; /* as it was registered */
};
/* Looks an account up by the key of its name. ERR_NOT_FOUND, or an error of the store. */
int user_find(struct store *store, slice key, struct user_found *out) BASE_CHECKED;
/* Ends all sessions of an account; *out_count: how many it had. */
int user_end_sessions(struct store *store, int64_t account, uint64_t *out_count) BASE_CHECKED;

/* The account that a command is about. */
struct user_one {
    const char *name, *data;
    bool reuse; /* a name that was somebody's who deleted the account */
    uint8_t key_room[FOLD_KEY_BYTES_MAX];
    slice key;
};
/* Folds the name; complains and gives false when it cannot be one. */
bool user_read_name(struct user_one *one);
/* An account that must be there. Any error has been complained about. */
int user_find_one(struct store *store, const struct user_one *one, struct user_found *out) BASE_CHECKED;
/* Parses NAME and --data, opens the store, does the work: the exit status. */
int user_with_one(const char *usage, bool make, int (*work)(struct store *, const struct user_one *),
                  int argc, char **argv);

int user_import(int argc, char **argv);
/* user_admin.c */
int user_role(int argc, char **argv);
int user_disable(int argc, char **argv);
int user_enable(int argc, char **argv);
int user_totp_off(int argc, char **argv);
int user_admin_link(int argc, char **argv);
int user_reset_link(int argc, char **argv);
int user_invite(int argc, char **argv);

#endif
