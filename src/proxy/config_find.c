/* Which host and which path a request is for. */
#include "proxy/config_read.h"

#include <arpa/inet.h>

#include "base/sip.h"

enum { NAME_BYTES_MAX = 253, LABELS_MAX = 127, PORT_DIGITS_MAX = 10 /* some of them zeros */ };

/* One name; port 0: any. A wildcard stands without its "*". */
struct entry {
    uint64_t hash;
    const char *name;
    size_t name_len;
    const struct config_host *host; /* NULL: the place is free */
    uint16_t port;
};

struct config_index {
    const struct config_host *fallback; /* default; may be NULL */
    size_t mask;
    bool ports;                  /* some names have one */
    bool labels[LABELS_MAX + 1]; /* wildcards with so many labels there are */
    bool wildcards;
    struct entry entries[];
};

/* The table is constant and the names in it are the operator's: nobody can make it slow, so the hash needs no
 * secret. */
static uint64_t hash_of(slice name, uint16_t port)
{
    static const struct sip_secret none = {0, 0};
    return sip_hash(none, name) + port * UINT64_C(0x9E3779B97F4A7C15);
}

static const struct config_host *look(const struct config_index *index, slice name, uint64_t hash,
                                      uint16_t port)
{
    hash += port * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = (size_t)hash & index->mask;; i = (i + 1) & index->mask) {
        const struct entry *entry = &index->entries[i];
        if (!entry->host) return NULL;
        if (entry->hash == hash && entry->port == port &&
            slice_equal(slice_of(entry->name, entry->name_len), name))
            return entry->host;
    }
}

/* --- what clients name --- */

bool config_v6(slice text, char out[CONFIG_V6_BYTES])
{
    uint8_t address[IP_BYTES];
    if (slice_find(text, ':') == text.len || ip_parse(text, address) < 0) return false;
    out[0] = '[';
    if (!inet_ntop(AF_INET6, address, out + 1, CONFIG_V6_BYTES - 2)) return false;
    size_t len = strlen(out);
    memcpy(out + len, "]", 2);
    return true;
}

/* The name in its canonical form and the port, which stays as it is when there is none. False: no name that
 * could be found. */
static bool read_authority(slice authority, uint8_t name[NAME_BYTES_MAX + 1], size_t *out_len, uint16_t *port)
{
    bool v6 = authority.len > 0 && authority.ptr[0] == '[';
    /* no name is longer than this, and no port: what comes from clients is looked at no further */
    slice head = slice_sub(authority, 0, NAME_BYTES_MAX + 8);
    size_t end = v6 ? slice_find(head, ']') + 1 : slice_find(head, ':');
    if (end > head.len || end == 0) return false;
    slice host = slice_sub(head, 0, end), rest = slice_sub(authority, end, authority.len);
    uint64_t number;
    if (rest.len > 0 && rest.ptr[0] != ':') return false;
    if (rest.len > 1) {
        if (rest.len > 1 + PORT_DIGITS_MAX || !slice_to_u64(slice_sub(rest, 1, rest.len), 65535, &number))
            return false;
        *port = (uint16_t)number;
    }
    if (v6) {
        if (!config_v6(slice_sub(host, 1, host.len - 2), (char *)name)) return false;
        *out_len = strlen((char *)name);
        return true;
    }
    if (host.len > 1 && host.ptr[host.len - 1] == '.') host.len--;
    if (host.len > NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.ptr[i];
        name[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    *out_len = host.len;
    return true;
}

static size_t label_count(slice name)
{
    size_t count = 1;
    for (size_t i = 0; i < name.len; i++)
        count += name.ptr[i] == '.';
    return count;
}

/* With this port, then with any. */
static const struct config_host *look_both(const struct config_index *index, slice name, uint16_t port)
{
    uint64_t hash = hash_of(name, 0);
    const struct config_host *host = NULL;
    if (index->ports && port) host = look(index, name, hash, port);
    return host ? host : look(index, name, hash, 0);
}

/* Of the wildcards the longest first; only lengths that some wildcard has are tried. */
static const struct config_host *look_wild(const struct config_index *index, slice name, uint16_t port)
{
    size_t labels = label_count(name);
    if (labels > LABELS_MAX || name.ptr[0] == '[') return NULL;
    while (labels > 1) {
        name = slice_sub(name, slice_find(name, '.') + 1, name.len);
        labels--;
        if (!index->labels[labels]) continue;
        /* in the table wildcards stand with the dot before them */
        const struct config_host *host = look_both(index, slice_of(name.ptr - 1, name.len + 1), port);
        if (host) return host;
    }
    return NULL;
}

const struct config_host *config_find_host(const struct config *config, slice authority, bool secure)
{
    const struct config_index *index = config->index;
    uint8_t name[NAME_BYTES_MAX + 1];
    size_t len;
    uint16_t port = secure ? 443 : 80;
    if (!read_authority(authority, name, &len, &port)) return index->fallback;
    const struct config_host *host = look_both(index, slice_of(name, len), port);
    if (!host && index->wildcards) host = look_wild(index, slice_of(name, len), port);
    return host ? host : index->fallback;
}

/* --- paths --- */

static bool is_below(slice path, slice prefix)
{
    if (!slice_starts(path, prefix)) return false;
    return path.len == prefix.len || prefix.ptr[prefix.len - 1] == '/' || path.ptr[prefix.len] == '/';
}

const struct config_location *config_find_location(const struct config_host *host, slice path)
{
    for (size_t i = 0; i < host->location_count; i++) {
        if (is_below(path, slice_text(host->locations[i].prefix))) return &host->locations[i];
    }
    return NULL;
}

/* --- the table --- */

static void add(struct config_index *index, const struct config_host *host, const char *text)
{
    uint16_t port = 0;
    slice name = slice_text(text);
    size_t colon = text[0] == '[' ? slice_find(name, ']') + 1 : slice_find(name, ':');
    uint64_t number;
    if (colon < name.len && slice_to_u64(slice_sub(name, colon + 1, name.len), 65535, &number))
        port = (uint16_t)number;
    name = slice_sub(name, 0, colon);
    if (text[0] == '*') {
        name = slice_sub(name, 1, name.len);
        index->wildcards = true;
        index->labels[label_count(name) - 1] = true;
    }
    index->ports |= port != 0;
    uint64_t hash = hash_of(name, port);
    size_t i = (size_t)hash & index->mask;
    while (index->entries[i].host)
        i = (i + 1) & index->mask;
    index->entries[i] = (struct entry){hash, (const char *)name.ptr, name.len, host, port};
}

int config_index(struct config *config)
{
    size_t names = 0, cap = 4;
    for (size_t i = 0; i < config->host_count; i++)
        names += config->hosts[i].name_count;
    while (cap < 2 * names + 1)
        cap *= 2;
    size_t bytes = sizeof(struct config_index) + cap * sizeof(struct entry);
    struct config_index *index = arena_take(&config->memory->arena, bytes);
    if (!index) return ERR_MEMORY;
    memset(index, 0, bytes);
    index->mask = cap - 1;
    for (size_t i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        if (host->is_default) index->fallback = host;
        for (size_t k = 0; k < host->name_count; k++) {
            if (strcmp(host->names[k], "default") != 0) add(index, host, host->names[k]);
        }
    }
    config->index = index;
    return OK;
}
