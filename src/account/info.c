#include "account/info.h"

#include <sodium.h>
#include <string.h>

static bool take_text(const struct store_value *v, char *out, size_t room)
{
    if (v->type != STORE_TEXT || v->bytes.len >= room) return false;
    if (v->bytes.len) memcpy(out, v->bytes.ptr, v->bytes.len);
    out[v->bytes.len] = '\0';
    return true;
}

static bool take_secret(const struct store_value *v, bool *out_has, uint8_t out[TOTP_SECRET_BYTES])
{
    *out_has = v->type == STORE_BYTES;
    if (!*out_has) return true;
    if (v->bytes.len != TOTP_SECRET_BYTES) return false;
    memcpy(out, v->bytes.ptr, TOTP_SECRET_BYTES);
    return true;
}

int account_info_read(const struct store_rows *rows, struct account_info *out)
{
    if (!rows->count) return ERR_NOT_FOUND;
    const struct store_value *row = store_at(rows, 0, 0);
    slice key = row[ACCOUNT_KEY].bytes;
    *out = (struct account_info){.account = row[ACCOUNT_ID].number,
                                 .role = (int)row[ACCOUNT_ROLE].number,
                                 .disabled_ms = (uint64_t)row[ACCOUNT_DISABLED_MS].number,
                                 .created_ms = (uint64_t)row[ACCOUNT_CREATED_MS].number,
                                 .seen_ms = (uint64_t)row[ACCOUNT_SEEN_MS].number,
                                 .recovery_codes = (unsigned)row[ACCOUNT_RECOVERY].number,
                                 .key_len = key.len};
    if (key.len > sizeof out->key || !take_text(&row[ACCOUNT_NAME], out->name, sizeof out->name) ||
        !take_text(&row[ACCOUNT_SECRET], out->secret, sizeof out->secret) ||
        !take_secret(&row[ACCOUNT_TOTP], &out->has_totp, out->totp) ||
        !take_secret(&row[ACCOUNT_TOTP_WANTED], &out->totp_is_wanted, out->totp_wanted))
        return ERR_CORRUPT;
    if (key.len) memcpy(out->key, key.ptr, key.len);
    return OK;
}

void account_info_wipe(struct account_info *info)
{
    sodium_memzero(info, sizeof *info);
}
