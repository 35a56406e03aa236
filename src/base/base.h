/* base.h: what every module uses: errors, memory, checked sizes. */
#ifndef LMB_BASE_BASE_H
#define LMB_BASE_BASE_H

#include "limbeck/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- errors */

/* Sets this thread's message and returns `st`. The only place where a status
 * other than LMB_OK is born: `return LMB_FAIL(LMB_EINVAL, "...", ...)`. */
lmb_status lmb__fail(lmb_status st, const char *file, int line, const char *fmt,
    ...) LMB_PRINTF(4, 5) LMB_MUST_CHECK;
/* Prepends text to the current message (e.g. the name of the file read). */
lmb_status lmb__wrap(lmb_status st, const char *fmt, ...)
    LMB_PRINTF(2, 3) LMB_MUST_CHECK;
void lmb__trace(const char *file, int line);
/* Puts a message back that failures of the cleaning up have replaced. */
void lmb__restore(const char *kept);

#define LMB_FAIL(st, ...) lmb__fail((st), __FILE__, __LINE__, __VA_ARGS__)

#define LMB_TRY(expr) \
    do { \
        const lmb_status try_st_ = (expr); \
        if (try_st_ != LMB_OK) { \
            lmb__trace(__FILE__, __LINE__); \
            return try_st_; \
        } \
    } while (0)

/* st = expr; jumps to `label` if that failed. */
#define LMB_GOTO(expr, st, label) \
    do { \
        (st) = (expr); \
        if ((st) != LMB_OK) { \
            lmb__trace(__FILE__, __LINE__); \
            goto label; \
        } \
    } while (0)

/* For our own invariants, never for what a user can cause. Stays on. */
#define LMB_ASSERT(cond) \
    do { \
        if (!(cond)) \
            lmb__assert_failed(#cond, __FILE__, __LINE__); \
    } while (0)
_Noreturn void lmb__assert_failed(const char *cond, const char *file, int line);

#define LMB_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- memory */

/* All heap memory of the library comes from here (mem.c). Blocks are zeroed
 * and 64-byte aligned; NULL when out of memory or count * size overflows.
 * count * size == 0 gives a valid block. */
void *lmb_alloc(size_t count, size_t size);
/* Grows or shrinks; new bytes are zero; on NULL the old block still lives. */
void *lmb_realloc(void *block, size_t old_count, size_t new_count, size_t size);
void lmb_free(void *block); /* accepts NULL */
char *lmb_strdup(const char *text);
/* Blocks alive now: tests end with 0. */
int64_t lmb_alloc_live(void);
/* Blocks handed out since the start: steady work asks for none. */
int64_t lmb_alloc_total(void);
/* The n-th allocation from now fails (0 = next); negative switches it off.
 * For the out-of-memory sweeps of the tests. */
void lmb_alloc_fail_at(int64_t n);
/* True once the injected failure has happened. */
bool lmb_alloc_failed(void);

/* *p = zeroed array of `count` elements, or ENOMEM with a message. */
#define LMB_NEW(p, count) \
    (((p) = lmb_alloc((size_t)(count), sizeof *(p))) != NULL \
            ? LMB_OK \
            : LMB_FAIL(LMB_ENOMEM, "out of memory: %zu x %zu bytes", \
                  (size_t)(count), sizeof *(p)))

/* Room for one more element in a growing array (doubling).
 * Usage: LMB_TRY(LMB_GROW(v->items, v->count, v->capacity)); */
#define LMB_GROW(items, count, capacity) \
    lmb__grow((void **)&(items), (size_t)(count), &(capacity), sizeof *(items))
lmb_status lmb__grow(
    void **items, size_t count, size_t *capacity, size_t size) LMB_MUST_CHECK;

/* --- arena: many small blocks that die together */

typedef struct lmb_arena lmb_arena;
lmb_status lmb_arena_new(lmb_arena **out) LMB_MUST_CHECK;
void lmb_arena_free(lmb_arena *arena);
/* Zeroed, 16-byte aligned; NULL when out of memory. */
void *lmb_arena_alloc(lmb_arena *arena, size_t size);
void *lmb_arena_copy(lmb_arena *arena, const void *bytes, size_t size);
char *lmb_arena_strdup(lmb_arena *arena, const char *text);
char *lmb_arena_printf(lmb_arena *arena, const char *fmt, ...) LMB_PRINTF(2, 3);

/* --- checked arithmetic */

/* false on overflow (or a negative operand). */
static inline bool lmb_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, out);
}
static inline bool lmb_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return a >= 0 && b >= 0 && !__builtin_add_overflow(a, b, out);
}

#endif
