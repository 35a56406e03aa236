/* str.h: a growing string, and small helpers on text. */
#ifndef LMB_BASE_STR_H
#define LMB_BASE_STR_H

#include "base/base.h"

/* Starts as {0}; `text` is always terminated once something was added.
 * After a failed allocation `failed` stays set and further calls do nothing:
 * check it once at the end with lmb_str_status. */
typedef struct lmb_str {
    char *text;
    size_t length, capacity;
    bool failed;
} lmb_str;

void lmb_str_add(lmb_str *s, const char *text);
void lmb_str_add_bytes(lmb_str *s, const void *bytes, size_t count);
void lmb_str_printf(lmb_str *s, const char *fmt, ...) LMB_PRINTF(2, 3);
/* Bytes of the character of UTF-8 that text begins with: no overlong forms, no
 * surrogates, no NUL; 0 if that is none. */
size_t lmb_utf8_length(const char *text, size_t length);
/* Bytes of the mark that editors of Windows put before UTF-8: 3 or 0. */
size_t lmb_utf8_mark(const void *bytes, size_t size);
/* Adds text as a JSON string, quotes included; a byte that is not UTF-8 becomes
 * the character of its number, as in Latin-1. */
void lmb_str_json(lmb_str *s, const char *text);
/* Adds a number that reads back to the same double; null if not finite. */
void lmb_str_json_number(lmb_str *s, double value);
lmb_status lmb_str_status(const lmb_str *s) LMB_MUST_CHECK;
void lmb_str_fini(lmb_str *s);

bool lmb_str_equal_nocase(const char *a, const char *b);
bool lmb_str_ends_with(const char *text, const char *end);
/* The candidate nearest to `text` by edit distance, or NULL if none is near
 * enough to be meant. For "unknown key `tempratur`; did you mean ...?". */
const char *lmb_str_nearest(
    const char *text, const char *const *candidates, size_t count);
/* Whole-text parses; false on trailing garbage or overflow. */
bool lmb_parse_i64(const char *text, int64_t *out);
bool lmb_parse_f64(const char *text, double *out);

#endif
