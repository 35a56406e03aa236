/* lines.h: text files of one item a line: class names, lists of pictures. */
#ifndef LMB_DATA_LINES_H
#define LMB_DATA_LINES_H

#include "base/base.h"

typedef struct lmb_lines {
    const char **text; /* live in the arena */
    int64_t count;
    size_t capacity;
} lmb_lines;

/* Without ends of lines, blanks around them and empty lines. ENOTFOUND, EIO;
 * EFORMAT for a zero byte; ENOMEM. */
lmb_status lmb__lines_load(
    const char *path, lmb_arena *arena, lmb_lines *out) LMB_MUST_CHECK;
lmb_status lmb__lines_parse(const void *bytes, size_t size, const char *name,
    lmb_arena *arena, lmb_lines *out) LMB_MUST_CHECK;
/* Adds one line; `text` is borrowed. */
lmb_status lmb__lines_add(lmb_lines *lines, const char *text) LMB_MUST_CHECK;
int64_t lmb__lines_find(const lmb_lines *lines, const char *text); /* or -1 */
void lmb__lines_fini(lmb_lines *lines);

#endif
