#include "tracker/ice.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 8192

struct ice {
    char urls[ICE_URLS_MAX][ICE_URL_BYTES_MAX + 1];
    size_t count;
    char secret[ICE_SECRET_BYTES_MAX + 1]; /* "": none */
};

static bool is_turn(const char *url)
{
    return strncmp(url, "turn:", 5) == 0 || strncmp(url, "turns:", 6) == 0;
}

static bool is_url(const char *url)
{
    return is_turn(url) || strncmp(url, "stun:", 5) == 0 || strncmp(url, "stuns:", 6) == 0;
}

/* scheme ":" host [ ":" port ] [ "?transport=" ("udp" / "tcp") ] (RFC 7064, RFC 7065) */
static bool url_is_good(const char *url)
{
    const char *host = strchr(url, ':') + 1;
    size_t len = strcspn(host, "?");
    const char *query = host + len;
    bool transport = strcmp(query, "?transport=udp") == 0 || strcmp(query, "?transport=tcp") == 0;
    if (!len || (*query && (!transport || !is_turn(url)))) return false;
    for (size_t i = 0; i < len; i++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]", host[i]))
            return false;
    }
    return true;
}

static int read_file(const char *path, char out[FILE_BYTES_MAX], char why[TRACKER_WHY_BYTES])
{
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(out, 1, FILE_BYTES_MAX - 1, file) : 0;
    bool good = file && !ferror(file) && len < FILE_BYTES_MAX - 1;
    if (file) fclose(file);
    out[len] = '\0';
    if (good) return OK;
    snprintf(why, TRACKER_WHY_BYTES, "The file %s cannot be read, or is longer than 8 KiB.", path);
    return ERR_INVALID;
}

/* Cuts the text at commas and white space; lines that begin with # are left out. */
static int take_urls(struct ice *ice, char *text, char why[TRACKER_WHY_BYTES])
{
    char *line_end, *rest;
    for (char *line = strtok_r(text, "\n", &line_end); line; line = strtok_r(NULL, "\n", &line_end)) {
        if (line[0] == '#') continue;
        for (char *url = strtok_r(line, ", \t\r", &rest); url; url = strtok_r(NULL, ", \t\r", &rest)) {
            if (!is_url(url) || !url_is_good(url) || strlen(url) > ICE_URL_BYTES_MAX) {
                snprintf(why, TRACKER_WHY_BYTES,
                         "\"%.100s\" is no STUN or TURN server: write stun:host:port or "
                         "turn:host:port?transport=udp.",
                         url);
                return ERR_INVALID;
            }
            if (ice->count == ICE_URLS_MAX) {
                snprintf(why, TRACKER_WHY_BYTES, "There are more than 16 STUN and TURN servers.");
                return ERR_INVALID;
            }
            memcpy(ice->urls[ice->count++], url, strlen(url) + 1);
        }
    }
    return OK;
}

static int take_secret(struct ice *ice, const char *path, char why[TRACKER_WHY_BYTES])
{
    char text[FILE_BYTES_MAX];
    int err = read_file(path, text, why);
    size_t len = err ? 0 : strcspn(text, "\r\n");
    if (!err && (len < 8 || len > ICE_SECRET_BYTES_MAX)) {
        snprintf(why, TRACKER_WHY_BYTES,
                 "The first line of %s is to be the secret of the TURN server: 8 to 255 bytes.", path);
        err = ERR_INVALID;
    }
    if (!err) memcpy(ice->secret, text, len);
    sodium_memzero(text, sizeof text);
    return err;
}

static bool lacks_secret(const struct ice *ice)
{
    bool turn = false;
    for (size_t i = 0; i < ice->count; i++)
        turn = turn || is_turn(ice->urls[i]);
    return turn && !ice->secret[0];
}

int ice_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    const char *servers = tracker->config.ice_servers, *secret = tracker->config.turn_secret_file;
    char text[FILE_BYTES_MAX];
    struct ice *ice = calloc(1, sizeof *ice);
    if (!ice) return ERR_MEMORY;
    tracker->ice = ice;
    if (!servers) return OK;
    int err = OK;
    if (!is_url(servers))
        err = read_file(servers, text, why);
    else if (snprintf(text, sizeof text, "%s", servers) >= (int)sizeof text)
        err = ERR_INVALID;
    if (!err) err = take_urls(ice, text, why);
    if (!err && secret) err = take_secret(ice, secret, why);
    if (!err && lacks_secret(ice)) {
        snprintf(why, TRACKER_WHY_BYTES,
                 "A TURN server needs --turn-secret, the file with the secret that it shares.");
        err = ERR_INVALID;
    }
    return err;
}

void ice_close(struct tracker *tracker)
{
    if (tracker->ice) sodium_memzero(tracker->ice, sizeof *tracker->ice);
    free(tracker->ice);
    tracker->ice = NULL;
}

static bool credential(const struct ice *ice, const char *name, char out[64])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!HMAC(EVP_sha1(), ice->secret, (int)strlen(ice->secret), (const unsigned char *)name, strlen(name),
              mac, &len))
        return false;
    sodium_bin2base64(out, 64, mac, len, sodium_base64_VARIANT_ORIGINAL);
    return true;
}

void ice_call(struct call *call)
{
    const struct ice *ice = call->tracker->ice;
    char name[NODE_NAME_BYTES_MAX + 32], word[64] = "";
    snprintf(name, sizeof name, "%llu:%s",
             (unsigned long long)(tracker_now_ms(call->tracker) / 1000 + ICE_LIFE_S), call->name);
    if (ice->secret[0] && !credential(ice, name, word)) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    json_t *servers = json_array();
    for (size_t i = 0; i < ice->count; i++) {
        json_t *server = json_pack("{s:[s]}", "urls", ice->urls[i]);
        if (server && is_turn(ice->urls[i]))
            json_object_update_new(server, json_pack("{s:s,s:s}", "username", name, "credential", word));
        json_array_append_new(servers, server);
    }
    call_answer(call, json_pack("{s:o,s:i}", "ice_servers", servers, "ttl_s", ICE_LIFE_S));
}
