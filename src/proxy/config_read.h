/* config_read.h - what the files that read a configuration share; private to src/proxy/config*.c.
 *
 * The text becomes words (config_words.c), these become statements (config_statements.c), these are read by a
 * table of directives (config_directives.c) with the kinds of values that they have (config_values.c), and
 * config.c puts hosts, paths and groups together. Whatever is wrong is told (config_problem.c), and reading
 * goes on with the next thing that can be made sense of.
 *
 * Rules: a reader lives as long as config_read. Memory that cannot be had is remembered in the reader; who
 * gets NULL gives up what it is at, without a word. */
#ifndef PROXY_CONFIG_READ_H
#define PROXY_CONFIG_READ_H

#include "proxy/config.h"
#include "web/arena.h"

enum {
    CONFIG_WORD_BYTES_MAX = 8192,
    CONFIG_ARGUMENTS_MAX = 1024, /* of one directive */
    CONFIG_DIRECTIVES_MAX = 32,
};

struct config_memory {
    struct arena arena;
};

struct config_reader {
    const struct config_options *options;
    struct config_problem *problems;
    size_t problem_count; /* may be more than CONFIG_PROBLEMS_MAX */
    bool wrong;           /* one of them is an error */
    bool no_memory;
    struct arena *kept;            /* of the configuration */
    struct arena *passing;         /* words and statements */
    struct config_word *arguments; /* of the statement that is being read: CONFIG_ARGUMENTS_MAX */
};

/* Zeroed; NULL without memory, which the reader remembers. */
void *config_take(struct config_reader *r, struct arena *arena, size_t count, size_t size);

/* --- config_problem.c --- */

struct config_place {
    unsigned line, column;
};
void config_error(struct config_reader *r, struct config_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warning(struct config_reader *r, struct config_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Brings them into the order of the file. */
void config_problems_sort(struct config_reader *r);
/* A word as it is quoted in a problem: without control characters, shortened. */
struct config_shown {
    char text[68];
};
struct config_shown config_shown(slice text);

/* --- config_words.c --- */

enum config_word_kind {
    WORD_TEXT,
    WORD_OPEN,      /* { */
    WORD_CLOSE,     /* } */
    WORD_SEMICOLON, /* ; */
    WORD_END,       /* of the file */
};
struct config_word {
    enum config_word_kind kind;
    slice text;                     /* without quotes, $HOST replaced; "$$" and variables are still in it */
    struct config_place place, end; /* of its first character; behind its last one */
    bool quoted;                    /* it begins with a quote */
    bool bad;                       /* something in it is wrong, and told: its value says nothing */
};

/* What the names of variables are made of. */
static inline bool config_variable_char(uint8_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

struct config_lexer {
    struct config_reader *reader;
    slice text;
    size_t at;
    struct config_place place; /* of text.ptr[at] */
    bool bad;                  /* the word that is being taken */
    uint8_t word[CONFIG_WORD_BYTES_MAX];
};
/* Skips a byte order mark. */
void config_lexer_init(struct config_lexer *lexer, struct config_reader *reader, slice text);
struct config_word config_lexer_next(struct config_lexer *lexer);

/* --- config_statements.c --- */

struct config_statement {
    const struct config_directive *directive;
    struct config_word name;
    const struct config_word *arguments;
    size_t argument_count;
    bool bad;                              /* one of its arguments */
    bool unknown;                          /* there are directives in its block that are not known */
    struct config_statement *first, *next; /* what stands in its block; behind it */
};
/* The statements of a file: the first one, or NULL. Those whose directive is not known are left out. */
struct config_statement *config_statements(struct config_reader *r, slice text);

/* --- config_values.c --- */

/* The likest one of count names (`stride` bytes from one pointer to the next), or NULL. */
const char *config_likely(slice word, const void *names, size_t count, size_t stride);

/* An argument, or the value in one: a slice and where it stands. */
struct config_value {
    slice text;
    struct config_place place;
};
struct config_value config_value(const struct config_word *word);
/* "name=value": the value, and the name. False when there is no '='. */
bool config_value_split(const struct config_word *word, slice *out_name, struct config_value *out_value);

/* All of these tell what is wrong and return false; what: as messages call it. */

/* "$$" becomes "$"; variables are an error. Kept; NULL without memory or when wrong. */
const char *config_text(struct config_reader *r, struct config_value value);
bool config_number(struct config_reader *r, const char *what, struct config_value value, uint64_t min,
                   uint64_t max, uint64_t *out);
bool config_duration(struct config_reader *r, const char *what, struct config_value value, uint64_t min_ms,
                     uint64_t max_ms, uint32_t *out_ms);
bool config_size(struct config_reader *r, const char *what, struct config_value value, uint64_t min,
                 uint64_t max, uint64_t *out);
/* As the largest unit has them that gives a whole number. */
void config_write_duration(char out[32], uint64_t ms);
void config_write_size(char out[32], uint64_t bytes);
/* "off" alone. */
bool config_is_off(const struct config_statement *s);
/* True, and told, when an argument that does not belong there begins a line: then a semicolon is missing
 * before it. */
bool config_runs_on(struct config_reader *r, const struct config_statement *s, size_t argument);

enum config_key_kind { KEY_DURATION, KEY_NUMBER, KEY_TEXT, KEY_FLAG };
/* What "name=value" sets: a uint32_t of milliseconds, an unsigned, a const char * or a bool. */
struct config_key {
    const char *name;
    enum config_key_kind kind;
    size_t offset; /* in the target */
    uint64_t min, max;
};
/* Reads arguments from `first` on. lines: for each key where it was set, 0 where not; belongs to the caller,
 * who may have some from a statement before. spaced: "name value" is allowed too. */
bool config_keys(struct config_reader *r, const struct config_statement *s, size_t first,
                 const struct config_key *keys, size_t count, void *target, unsigned *lines, bool spaced);

/* Host names and addresses: lower case, without a dot at the end, IPv6 in its shortest form; `brackets` are
 * around IPv6 in the result. text: of the value. Kept; NULL when wrong. */
const char *config_host_name(struct config_reader *r, struct config_value value, slice text, bool brackets);

/* --- config_directives.c --- */

enum { SCOPE_TOP = 1, SCOPE_HOST = 2, SCOPE_PATH = 4, SCOPE_ALL = 7 };

/* What the file says at the top, in a host, in a path: begins as what stands around it. */
struct config_scope {
    unsigned kind; /* one of SCOPE_ */
    struct config *config;
    struct config_group group;
    struct config_location location;
    unsigned seen[CONFIG_DIRECTIVES_MAX]; /* the line of each directive */
    unsigned timeouts[8];                 /* the line of each key of timeout, or client_timeout */
    unsigned client_timeouts[8];
    /* proxy_pass, in a host or path: group.servers, with room for all that the block names */
    struct config_server *servers;
    /* proxy_set_header: location.fields, with room for those of the block; `lines` of them, 0: from around */
    struct config_field *fields;
    unsigned *field_lines;
};

typedef void config_read_function(struct config_reader *r, const struct config_statement *s,
                                  struct config_scope *scope);

struct config_directive {
    const char *name;
    unsigned scopes;
    bool block, repeats;
    bool of_servers;   /* makes no sense in a path that has no servers of its own */
    unsigned min, max; /* arguments */
    const char *form;  /* for messages */
    config_read_function *read;
};
extern const struct config_directive config_directives[];
extern const size_t config_directive_count;
const struct config_directive *config_directive(slice name);
/* What to write in place of a directive of another program, or NULL. */
const char *config_directive_hint(slice name);

/* What goes without saying; the keys of a directive that are not there have these values, too. */
extern const struct config_group config_plain_group;
extern const struct config_location config_plain_location;
/* Fills it in. */
void config_defaults(struct config_scope *top);
/* Reads the statements of one block, but not the blocks in it. */
void config_scope_read(struct config_reader *r, const struct config_statement *first,
                       struct config_scope *scope);

/* True when the block has this directive, right or wrong. */
bool config_scope_has(const struct config_scope *scope, const char *directive);

/* --- config_settings.c, config_groups.c, config_addresses.c, config_fields.c: what directives do --- */

config_read_function config_read_timeout, config_read_client_timeout, config_read_max_body,
    config_read_buffer, config_read_retries, config_read_rate_limit, config_read_max_connections,
    config_read_max_header, config_read_access_log, config_read_trusted_proxies;
config_read_function config_read_dist_policy, config_read_health_check, config_read_circuit_breaker,
    config_read_slow_start, config_read_queue, config_read_keepalive, config_read_proxy_tls;
config_read_function config_read_proxy_pass, config_read_listen, config_read_set_header;

/* Where the value of a key stands; the directive when it is not there. */
struct config_place config_key_place(const struct config_statement *s, const char *name);
/* The name of a variable without its "$"; "http_" for VARIABLE_HTTP. */
const char *config_variable_name(enum config_variable variable);

/* --- config_hosts.c --- */

/* A name that a block claims; it has lost it to a later one. */
struct config_claim {
    const char *name;
    struct config_place place;
    const struct config_statement *block;
    bool lost;
};
/* Those of all host blocks, in the order of the file. NULL without memory. */
struct config_claim *config_claims(struct config_reader *r, const struct config_statement *first,
                                   size_t *out_count);

/* --- config_find.c --- */

enum { CONFIG_V6_BYTES = 48 };
/* An IPv6 address without brackets in its shortest form (RFC 5952), in brackets. False when it is none. */
bool config_v6(slice text, char out[CONFIG_V6_BYTES]);

/* What config_find_host looks in: made when everything else is there. ERR_MEMORY. */
int config_index(struct config *config) BASE_CHECKED;

#endif
