/* arena.c: blocks that die together, for graphs and parsed documents. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 32 * 1024, ARENA_ALIGN = 16 };

typedef struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(ARENA_ALIGN) char bytes[];
} chunk;

struct lmb_arena {
    chunk *head;
};

lmb_status lmb_arena_new(lmb_arena **out)
{
    return LMB_NEW(*out, 1);
}

void lmb_arena_free(lmb_arena *arena)
{
    if (arena == NULL)
        return;
    for (chunk *c = arena->head; c != NULL;) {
        chunk *next = c->next;
        lmb_free(c);
        c = next;
    }
    lmb_free(arena);
}

void *lmb_arena_alloc(lmb_arena *arena, size_t size)
{
    if (size > (size_t)PTRDIFF_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    chunk *c = arena->head;
    if (c == NULL || c->size - c->used < size) {
        const size_t want = size > CHUNK ? size : CHUNK;
        c = lmb_alloc(1, sizeof *c + want);
        if (c == NULL)
            return NULL;
        c->size = want;
        c->next = arena->head;
        arena->head = c;
    }
    void *block = c->bytes + c->used;
    c->used += size;
    return block;
}

void *lmb_arena_copy(lmb_arena *arena, const void *bytes, size_t size)
{
    void *block = lmb_arena_alloc(arena, size);
    if (block != NULL && size > 0)
        memcpy(block, bytes, size);
    return block;
}

char *lmb_arena_strdup(lmb_arena *arena, const char *text)
{
    return lmb_arena_copy(arena, text, strlen(text) + 1);
}

char *lmb_arena_printf(lmb_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = length < 0 ? NULL : lmb_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}
