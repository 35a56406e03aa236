/* json_stream.h: reading JSON of any size piece by piece.
 *
 * A cursor that is asked for what should come next, in memory that does not
 * grow with the file: one buffer and the text of one string. RFC 8259, strict:
 * no comments, no trailing commas, no NaN; UTF-8 is checked. Every error is
 * EFORMAT and names file, line and column (in bytes, from 1).
 *
 *     LMB_TRY(lmb_json_object(j));
 *     for (;;) {
 *         const char *key = NULL;
 *         LMB_TRY(lmb_json_key(j, &key));
 *         if (key == NULL)
 *             break;
 *         LMB_TRY(strcmp(key, "id") == 0 ? lmb_json_i64(j, &id)
 *                                        : lmb_json_skip(j));
 *     }
 *
 * After each key and each true lmb_json_item exactly one value is read or
 * skipped. */
#ifndef LMB_IO_JSON_STREAM_H
#define LMB_IO_JSON_STREAM_H

#include "base/base.h"

enum {
    LMB_JSON_DEPTH = 128, /* of lists and objects in each other */
    LMB_JSON_TEXT_MAX = 1 << 20, /* bytes of a string that is kept */
};

typedef enum lmb_json_kind {
    LMB_JSON_OBJECT,
    LMB_JSON_LIST,
    LMB_JSON_TEXT,
    LMB_JSON_NUMBER,
    LMB_JSON_BOOL,
    LMB_JSON_NULL,
} lmb_json_kind;

typedef struct lmb_json lmb_json;

/* Opens a file (or a pipe). ENOTFOUND, EIO. */
lmb_status lmb_json_open(const char *path, lmb_json **out) LMB_MUST_CHECK;
/* Bytes that outlive the reader; `name` stands for the file in errors. */
lmb_status lmb_json_open_memory(const void *bytes, size_t size,
    const char *name, lmb_json **out) LMB_MUST_CHECK;
void lmb_json_close(lmb_json *j); /* accepts NULL */

/* What the next value is, without reading it. */
lmb_status lmb_json_peek(lmb_json *j, lmb_json_kind *out) LMB_MUST_CHECK;
/* Enters an object; its next key, or NULL behind the last: then it is left.
 * The text lives until the next key or string. */
lmb_status lmb_json_object(lmb_json *j) LMB_MUST_CHECK;
lmb_status lmb_json_key(lmb_json *j, const char **key) LMB_MUST_CHECK;
/* Enters a list; is there another item? If not, the list is left. */
lmb_status lmb_json_list(lmb_json *j) LMB_MUST_CHECK;
lmb_status lmb_json_item(lmb_json *j, bool *more) LMB_MUST_CHECK;

/* Values. The nearest double; whole numbers of 64 bits ("2.0" is one); text
 * without NUL, alive until the next key or string. */
lmb_status lmb_json_f64(lmb_json *j, double *out) LMB_MUST_CHECK;
lmb_status lmb_json_i64(lmb_json *j, int64_t *out) LMB_MUST_CHECK;
lmb_status lmb_json_bool(lmb_json *j, bool *out) LMB_MUST_CHECK;
lmb_status lmb_json_null(lmb_json *j) LMB_MUST_CHECK;
lmb_status lmb_json_text(lmb_json *j, const char **out) LMB_MUST_CHECK;
/* Passes over a value of any kind; its syntax is checked all the same. */
lmb_status lmb_json_skip(lmb_json *j) LMB_MUST_CHECK;
/* Behind the last value: nothing but white space may follow. */
lmb_status lmb_json_end(lmb_json *j) LMB_MUST_CHECK;

/* EFORMAT "file:line:column: message", for what a reader itself finds. */
lmb_status lmb_json_bad(lmb_json *j, const char *fmt, ...)
    LMB_PRINTF(2, 3) LMB_MUST_CHECK;
/* Bytes read so far, and of the whole (0: not known). */
int64_t lmb_json_offset(const lmb_json *j);
int64_t lmb_json_size(const lmb_json *j);

#endif
