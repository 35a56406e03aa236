/* json_impl.h: what the files behind json_stream.h share.
 *
 * The unread part lies between `at` and `end`; a NUL stands behind it, so that
 * loops over characters stop there by themselves. What must lie in one piece
 * (a number, an escape) is asked for by `need`, which moves the rest to the
 * front and reads on. */
#ifndef LMB_IO_JSON_IMPL_H
#define LMB_IO_JSON_IMPL_H

#include "base/str.h"
#include "io/json_stream.h"

typedef struct lmb_json_level {
    char close; /* what ends it */
    bool first; /* nothing of it has been read */
} lmb_json_level;

struct lmb_json {
    char *name;
    int fd; /* -1: bytes in memory */
    const char *source; /* these, not yet in the buffer */
    size_t source_left;
    int64_t size; /* of all; 0: not known */
    char *buffer, *at, *end;
    size_t room; /* of the buffer */
    bool eof;
    int64_t base; /* where in the whole the buffer begins */
    int64_t line, line_start; /* of `at`; where in the whole its line begins */
    int depth;
    lmb_json_level level[LMB_JSON_DEPTH];
    lmb_str text; /* of the last key or string */
};

/* --- json_buffer.c -------------------------------------------------------- */

/* Moves what is unread to the front and fills the buffer. */
lmb_status lmb__json_fill(lmb_json *j) LMB_MUST_CHECK;
/* So that `bytes` lie in one piece, if there are so many. */
static inline lmb_status lmb__json_need(lmb_json *j, ptrdiff_t bytes)
{
    return j->end - j->at >= bytes || j->eof ? LMB_OK : lmb__json_fill(j);
}
/* Moves to the next character that means something. */
lmb_status lmb__json_blanks(lmb_json *j) LMB_MUST_CHECK;
static inline lmb_status lmb__json_space(lmb_json *j)
{
    return (unsigned char)*j->at > ' ' ? LMB_OK : lmb__json_blanks(j);
}
/* "`what` expected, not ..." the character that is there. */
lmb_status lmb__json_expected(lmb_json *j, const char *what) LMB_MUST_CHECK;

/* --- json_string.c -------------------------------------------------------- */

/* The string at `at`; into j->text if it is to be kept. */
lmb_status lmb__json_string(lmb_json *j, bool keep) LMB_MUST_CHECK;

#endif
