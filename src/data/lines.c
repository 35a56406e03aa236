/* lines.c: text files of one item a line. */
#include "data/lines.h"
#include "base/file.h"
#include "base/str.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

lmb_status lmb__lines_add(lmb_lines *lines, const char *text)
{
    LMB_TRY(LMB_GROW(lines->text, lines->count, lines->capacity));
    lines->text[lines->count++] = text;
    return LMB_OK;
}

static lmb_status add_line(lmb_lines *lines, const char *start,
    const char *stop, const char *name, lmb_arena *arena)
{
    while (start < stop && is_blank(*start))
        start++;
    while (start < stop && is_blank(stop[-1]))
        stop--;
    const size_t length = (size_t)(stop - start);
    if (length == 0)
        return LMB_OK;
    if (memchr(start, '\0', length) != NULL)
        return LMB_FAIL(LMB_EFORMAT, "%s: a zero byte in a text file", name);
    char *text = lmb_arena_alloc(arena, length + 1);
    if (text == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", name);
    memcpy(text, start, length);
    return lmb__lines_add(lines, text);
}

static lmb_status add_lines(lmb_lines *lines, const char *at, const char *end,
    const char *name, lmb_arena *arena)
{
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        LMB_TRY(add_line(lines, at, stop, name, arena));
        at = stop < end ? stop + 1 : end;
    }
    return LMB_OK;
}

lmb_status lmb__lines_parse(const void *bytes, size_t size, const char *name,
    lmb_arena *arena, lmb_lines *out)
{
    *out = (lmb_lines){0};
    if (size == 0)
        return LMB_OK;
    const char *start = bytes;
    const lmb_status st = add_lines(
        out, start + lmb_utf8_mark(bytes, size), start + size, name, arena);
    if (st != LMB_OK)
        lmb__lines_fini(out);
    return st;
}

lmb_status lmb__lines_load(const char *path, lmb_arena *arena, lmb_lines *out)
{
    lmb_file file = {0};
    *out = (lmb_lines){0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st =
        lmb__lines_parse(file.bytes, file.size, path, arena, out);
    lmb_file_close(&file);
    return st;
}

int64_t lmb__lines_find(const lmb_lines *lines, const char *text)
{
    for (int64_t i = 0; i < lines->count; i++)
        if (strcmp(lines->text[i], text) == 0)
            return i;
    return -1;
}

void lmb__lines_fini(lmb_lines *lines)
{
    lmb_free(lines->text);
    *lines = (lmb_lines){0};
}
