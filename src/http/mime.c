#include "http/mime.h"

#define TEXT "; charset=utf-8"

static const struct {
    const char *extension, *type;
} types[] = {
    {"html", "text/html" TEXT},
    {"css", "text/css" TEXT},
    {"js", "text/javascript" TEXT},
    {"mjs", "text/javascript" TEXT},
    {"json", "application/json"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"svg", "image/svg+xml"},
    {"webp", "image/webp"},
    {"ico", "image/x-icon"},
    {"woff2", "font/woff2"},
    {"wasm", "application/wasm"},
    {"map", "application/json"},
    {"txt", "text/plain" TEXT},
    /* documents and data */
    {"atom", "application/atom+xml"},
    {"cjs", "text/javascript" TEXT},
    {"csv", "text/csv" TEXT},
    {"epub", "application/epub+zip"},
    {"geojson", "application/geo+json"},
    {"htm", "text/html" TEXT},
    {"ics", "text/calendar" TEXT},
    {"json5", "application/json5"},
    {"jsonld", "application/ld+json"},
    {"log", "text/plain" TEXT},
    {"manifest", "application/manifest+json"},
    {"markdown", "text/markdown" TEXT},
    {"md", "text/markdown" TEXT},
    {"pdf", "application/pdf"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"toml", "application/toml"},
    {"vcf", "text/vcard" TEXT},
    {"vtt", "text/vtt" TEXT},
    {"webmanifest", "application/manifest+json"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"xsl", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    /* images */
    {"apng", "image/apng"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"gif", "image/gif"},
    {"heic", "image/heic"},
    {"jxl", "image/jxl"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    /* fonts */
    {"eot", "application/vnd.ms-fontobject"},
    {"otf", "font/otf"},
    {"ttc", "font/collection"},
    {"ttf", "font/ttf"},
    {"woff", "font/woff"},
    /* sound and film */
    {"aac", "audio/aac"},
    {"avi", "video/x-msvideo"},
    {"flac", "audio/flac"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"mid", "audio/midi"},
    {"mkv", "video/matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpd", "application/dash+xml"},
    {"mpeg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"ts", "video/mp2t"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    /* archives and programs */
    {"7z", "application/x-7z-compressed"},
    {"br", "application/x-brotli"},
    {"bz2", "application/x-bzip2"},
    {"deb", "application/vnd.debian.binary-package"},
    {"gz", "application/gzip"},
    {"jar", "application/java-archive"},
    {"rar", "application/vnd.rar"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"xz", "application/x-xz"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

/* What follows the last dot of the last part; a dot at its beginning hides a file and begins no extension. */
static slice extension_of(slice path)
{
    for (size_t n = path.len; n > 0; n--) {
        uint8_t c = path.ptr[n - 1];
        if (c == '/') break;
        if (c != '.') continue;
        bool hides = n == 1 || path.ptr[n - 2] == '/';
        return hides ? SLICE_EMPTY : slice_sub(path, n, path.len);
    }
    return SLICE_EMPTY;
}

const char *mime_type(slice path)
{
    slice extension = extension_of(path);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (slice_equal_nocase(extension, slice_text(types[i].extension))) return types[i].type;
    }
    return "application/octet-stream";
}

static bool ends_nocase(slice s, slice end)
{
    return s.len >= end.len && slice_equal_nocase(slice_sub(s, s.len - end.len, end.len), end);
}

bool mime_compressible(slice type)
{
    static const char *const others[] = {
        "application/json",
        "application/javascript",
        "application/xml",
        "application/wasm",
        "application/yaml",
        "application/toml",
        "application/rtf",
        "image/bmp",
        "image/x-icon",
        "font/ttf",
        "font/otf",
        "font/collection",
        "application/x-tar",
        "application/json5",
        "application/vnd.ms-fontobject",
        "application/vnd.apple.mpegurl",
    };
    type = slice_trim(slice_sub(type, 0, slice_find(type, ';')));
    if (slice_equal_nocase(slice_sub(type, 0, 5), SLICE("text/"))) return true;
    if (ends_nocase(type, SLICE("+json")) || ends_nocase(type, SLICE("+xml"))) return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (slice_equal_nocase(type, slice_text(others[i]))) return true;
    }
    return false;
}
