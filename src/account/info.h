/* info.h - one account as the database has it: the answer of STORE_ACCOUNT_BY_KEY and _BY_ID, copied.
 *
 * Rules: pure. It holds the hash of the password and the secret of the second step: wipe it with
 * account_info_wipe. */
#ifndef ACCOUNT_INFO_H
#define ACCOUNT_INFO_H

#include "account/fold.h"
#include "account/names.h"
#include "account/passwords.h"
#include "account/totp.h"
#include "store/accounts_sql.h"

struct account_info {
    int64_t account;
    int role;                              /* enum account_role */
    char name[ACCOUNT_NAME_BYTES_MAX + 1]; /* as registered */
    uint8_t key[FOLD_KEY_BYTES_MAX];
    size_t key_len;
    char secret[PASSWORD_HASH_BYTES];
    uint64_t disabled_ms, created_ms, seen_ms;
    bool has_totp, totp_is_wanted;
    uint8_t totp[TOTP_SECRET_BYTES], totp_wanted[TOTP_SECRET_BYTES];
    unsigned recovery_codes;
};

/* ERR_NOT_FOUND: there is no row; ERR_CORRUPT. */
int account_info_read(const struct store_rows *rows, struct account_info *out) BASE_CHECKED;
void account_info_wipe(struct account_info *info);
static inline slice account_info_key(const struct account_info *info)
{
    return slice_of(info->key, info->key_len);
}

#endif
