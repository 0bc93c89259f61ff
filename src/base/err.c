#include "base/err.h"

static const struct {
    const char *name, *text;
    enum err_class class_;
} table[ERR_INDEX_COUNT] = {[ERR_INDEX_NONE] = {"OK", "no error", ERR_CLASS_CALLER},
#define X(name_, class__, text_) [ERR_INDEX_##name_] = {#name_, text_, ERR_CLASS_##class__},
                            ERR_TABLE(X)
#undef X
};

static int index_of(int code)
{
    return code <= 0 && code > -(int)ERR_INDEX_COUNT ? -code : -1;
}

const char *err_text(int code)
{
    int i = index_of(code);
    return i < 0 ? "unknown error" : table[i].text;
}

const char *err_name(int code)
{
    int i = index_of(code);
    return i < 0 ? "UNKNOWN" : table[i].name;
}

enum err_class err_class_of(int code)
{
    int i = index_of(code);
    return i < 0 ? ERR_CLASS_SYSTEM : table[i].class_;
}
