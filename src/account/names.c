#include "account/names.h"

#include <stddef.h>

#include "base/utf8.h"

const char *name_problem(slice name)
{
    switch (name_check(name)) {
    case OK: return NULL;
    case ERR_TOO_LARGE: return "The name is too long: at most 32 letters.";
    case ERR_MALFORMED: return "The name is not valid text (UTF-8).";
    default:
        return name.len
                   ? "A name is made of letters and digits of any script and of _ . - only, without spaces."
                   : "Choose a name.";
    }
}

const char *password_problem(slice password)
{
    if (!password.len) return "The password is empty.";
    if (password.len > PASSWORD_BYTES_MAX) return "The password is too long: at most 1024 bytes.";
    if (slice_find(password, 0) < password.len) return "The password contains a zero byte.";
    if (!utf8_valid(password)) return "The password is not valid text (UTF-8).";
    return NULL;
}

const char *new_password_problem(slice password)
{
    const char *problem = password_problem(password);
    if (!problem && utf8_length(password) < PASSWORD_LETTERS_MIN)
        problem = "The password is too short: at least 8 characters.";
    return problem;
}
