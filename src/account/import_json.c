/* Users.json. The JSON library checks and reads it; it does not tell on which line a record stands, so a
 * second, small reader walks the text beside it and counts. */
#include "account/import_reader.h"

#include <jansson.h>
#include <string.h>

/* Walks text that is known to be JSON, from one value of a container to the next. */
struct walker {
    slice rest;
    size_t line;
    size_t depth, wanted; /* containers open now; how many are, where the records are */
    bool object, expecting;
};

static void walk_string(struct walker *w)
{
    size_t i = 1;
    while (i < w->rest.len && w->rest.ptr[i] != '"')
        i += w->rest.ptr[i] == '\\' ? 2 : 1;
    w->rest = slice_sub(w->rest, i + 1, w->rest.len);
}

/* The line on which the next record begins. */
static size_t next_line(struct walker *w)
{
    while (w->rest.len) {
        uint8_t c = w->rest.ptr[0];
        bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        bool begins = w->expecting && w->depth == w->wanted && !space && c != ']';
        size_t line = w->line;
        if (c == '\n') w->line++;
        if (!space) w->expecting = false;
        if (c == '"') {
            walk_string(w);
        } else {
            w->rest = slice_sub(w->rest, 1, w->rest.len);
            if (c == '[' || c == '{') {
                w->depth++;
                if (w->depth == w->wanted) w->object = c == '{';
                w->expecting = c == '[';
            } else if (c == ']' || c == '}') {
                w->depth--;
            } else if (c == ':' || (c == ',' && !(w->depth == w->wanted && w->object))) {
                w->expecting = true;
            }
        }
        if (begins) return line;
    }
    return w->line;
}

static slice text_of(const json_t *value)
{
    return json_is_string(value) ? slice_of(json_string_value(value), json_string_length(value))
                                 : SLICE_EMPTY;
}

/* A list, or what else says that there is somebody. */
static bool lists_somebody(const json_t *friends)
{
    return json_array_size(friends) > 0 || json_object_size(friends) > 0 || json_string_length(friends) > 0;
}

static int take_account(struct import_reader *reader, const json_t *value, const char *key, size_t line)
{
    if (!json_is_object(value)) {
        import_problem(reader, line, "This is not an object with username and password.");
        return OK;
    }
    const json_t *name = json_object_get(value, "username"), *password = json_object_get(value, "password");
    char digits[32] = "";
    struct import_record record = {.line = line,
                                   .name = name ? text_of(name) : slice_text(key),
                                   .password = text_of(password),
                                   .friends = lists_somebody(json_object_get(value, "friends"))};
    if (json_is_integer(password)) {
        snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(password));
        record.password = slice_text(digits);
    }
    slice nickname = text_of(json_object_get(value, "nickname"));
    record.nickname = nickname.len > 0 && !slice_equal(nickname, record.name);
    if ((name && !json_is_string(name)) || (!name && !key)) {
        import_problem(reader, line, name ? "The username is not text." : "There is no username.");
        return OK;
    }
    if (!password || (!json_is_string(password) && !json_is_integer(password))) {
        import_problem(reader, line, password ? "The password is not text." : "There is no password.");
        return OK;
    }
    int err = import_take(reader, &record);
    size_t i;
    const json_t *friends = json_object_get(value, "friends"), *one;
    json_array_foreach(friends, i, one)
    {
        if (!err) err = import_friend(reader, &record, text_of(one));
    }
    return err;
}

static int take_next(struct import_reader *reader, const json_t *value, const char *key,
                     struct walker *walker)
{
    size_t line = next_line(walker);
    int err = take_account(reader, value, key, line);
    return err ? err : import_go_on(reader, line);
}

static bool is_account(const json_t *value)
{
    return json_object_get(value, "password") != NULL && !json_is_object(json_object_get(value, "password"));
}

static int take_all(struct import_reader *reader, json_t *root, struct walker *walker)
{
    int err = OK;
    size_t i;
    const char *key;
    json_t *value;
    if (is_account(root)) return take_account(reader, root, NULL, next_line(walker));
    walker->wanted = 1;
    if (json_object_size(root) == 1 && json_is_array(json_object_iter_value(json_object_iter(root)))) {
        root = json_object_iter_value(json_object_iter(root));
        walker->wanted = 2;
    }
    json_array_foreach(root, i, value)
    {
        if (!err) err = take_next(reader, value, NULL, walker);
    }
    json_object_foreach(root, key, value)
    {
        if (!err) err = take_next(reader, value, key, walker);
    }
    return err;
}

int import_json(struct import_reader *reader, slice file)
{
    json_error_t error;
    json_t *root =
        json_loadb((const char *)file.ptr, file.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!root) {
        if (json_error_code(&error) == json_error_out_of_memory) return ERR_MEMORY;
        /* Not the library's sentence: that quotes the file. */
        import_problem(reader, error.line > 0 ? (size_t)error.line : 1,
                       json_error_code(&error) == json_error_duplicate_key
                           ? "A name stands twice in one object of this JSON file."
                           : "From here on this is not JSON: nothing of the file was read.");
        return ERR_MALFORMED;
    }
    struct walker walker = {.rest = file, .line = 1, .expecting = true};
    int err = take_all(reader, root, &walker);
    json_decref(root);
    return err;
}
