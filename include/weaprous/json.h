/* json.h - JSON that is written piece by piece, as it is sent.
 *
 * wr_respond_json builds a tree first, of which each value is an allocation; that costs more than all the
 * rest of a small answer. Where the form of an answer is known, writing it is an order of magnitude cheaper:
 *
 *     struct wr_json *json = wr_json_new(request);
 *     wr_json_object(json, NULL);
 *     wr_json_integer(json, "id", 12345);
 *     wr_json_text(json, "name", "bench");
 *     wr_json_end(json);
 *     wr_respond_json_written(request, 200, json);
 *
 * Rules
 *   key: the name within an object, NULL within an array and for the outermost value.
 *   Errors are kept: after what cannot be JSON (a key where none belongs, text that is not UTF-8, a number
 * that is not finite, more than 64 levels) or a lack of memory nothing more is written, and the answer is a
 * 500, of which the log says why. So nothing needs to be checked on the way; NULL for json is allowed.
 *   Repeated keys are not noticed.
 *   Memory: the request's, until it is answered. */
#ifndef WEAPROUS_JSON_H
#define WEAPROUS_JSON_H

#include <jansson.h>

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wr_json;

/* NULL without memory. */
WR_API struct wr_json *wr_json_new(struct wr_request *request) WR_CHECKED;

/* Each opens one level; wr_json_end closes the innermost. */
WR_API void wr_json_object(struct wr_json *json, const char *key);
WR_API void wr_json_array(struct wr_json *json, const char *key);
WR_API void wr_json_end(struct wr_json *json);

/* text: UTF-8; NULL is written as null. */
WR_API void wr_json_text(struct wr_json *json, const char *key, const char *text);
WR_API void wr_json_bytes(struct wr_json *json, const char *key, const void *text, size_t len);
WR_API void wr_json_integer(struct wr_json *json, const char *key, int64_t value);
WR_API void wr_json_real(struct wr_json *json, const char *key, double value);
WR_API void wr_json_boolean(struct wr_json *json, const char *key, bool value);
WR_API void wr_json_null(struct wr_json *json, const char *key);
/* A tree within what is written. Borrows it. */
WR_API void wr_json_tree(struct wr_json *json, const char *key, const json_t *tree);

/* Answers with what was written, as application/json. All levels must be closed. */
WR_API void wr_respond_json_written(struct wr_request *request, int status, struct wr_json *json);

#ifdef __cplusplus
}
#endif

#endif
