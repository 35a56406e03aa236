/* json_buffer.c: the sliding buffer of a JSON cursor: a file or memory behind
 * it, errors with their place, white space. */
#include "io/json_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL = 1 << 12, LARGE = 1 << 18 }; /* bytes of the buffer */

/* --- errors --------------------------------------------------------------- */

int64_t lmb_json_offset(const lmb_json *j)
{
    return j->base + (j->at - j->buffer);
}

int64_t lmb_json_size(const lmb_json *j)
{
    return j->size;
}

lmb_status lmb_json_bad(lmb_json *j, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return LMB_FAIL(LMB_EFORMAT, "%s:%lld:%lld: %s", j->name,
        (long long)j->line, (long long)(lmb_json_offset(j) - j->line_start + 1),
        text);
}

lmb_status lmb__json_expected(lmb_json *j, const char *what)
{
    const unsigned char c = (unsigned char)*j->at;
    if (j->at == j->end)
        return lmb_json_bad(j, "%s expected, not the end of the file", what);
    if (c > 0x20 && c < 0x7f)
        return lmb_json_bad(j, "%s expected, not '%c'", what, c);
    return lmb_json_bad(j, "%s expected, not the byte 0x%02x", what, c);
}

/* --- the buffer ----------------------------------------------------------- */

/* Reads up to `room` bytes; *got = 0 at the end. */
static lmb_status read_some(lmb_json *j, char *to, size_t room, size_t *got)
{
    if (j->fd < 0) {
        *got = j->source_left < room ? j->source_left : room;
        if (*got > 0)
            memcpy(to, j->source, *got);
        j->source += *got;
        j->source_left -= *got;
        return LMB_OK;
    }
    ssize_t n = 0;
    do
        n = read(j->fd, to, room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", j->name, strerror(errno));
    *got = (size_t)n;
    return LMB_OK;
}

lmb_status lmb__json_fill(lmb_json *j)
{
    const size_t left = (size_t)(j->end - j->at);
    memmove(j->buffer, j->at, left);
    j->base += j->at - j->buffer;
    j->at = j->buffer;
    j->end = j->buffer + left;
    while (!j->eof && j->end < j->buffer + j->room) {
        size_t got = 0;
        LMB_TRY(
            read_some(j, j->end, (size_t)(j->buffer + j->room - j->end), &got));
        j->end += got;
        j->eof = got == 0;
    }
    *j->end = '\0';
    return LMB_OK;
}

lmb_status lmb__json_blanks(lmb_json *j)
{
    for (;;) {
        for (;; j->at++) {
            if (*j->at == '\n') {
                j->line++;
                j->line_start = lmb_json_offset(j) + 1;
            } else if (*j->at != ' ' && *j->at != '\t' && *j->at != '\r') {
                break;
            }
        }
        if (j->at < j->end || j->eof)
            return LMB_OK;
        LMB_TRY(lmb__json_fill(j));
    }
}

/* --- opening and closing -------------------------------------------------- */

static lmb_status start(lmb_json *j, const char *name)
{
    j->name = lmb_strdup(name);
    if (j->name == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: a file's name");
    j->room = j->size > 0 && j->size < SMALL ? SMALL : LARGE;
    LMB_TRY(LMB_NEW(j->buffer, j->room + 1));
    j->at = j->end = j->buffer;
    j->line = 1;
    LMB_TRY(lmb__json_fill(j));
    j->at += lmb_utf8_mark(j->at, (size_t)(j->end - j->at));
    return LMB_OK;
}

static lmb_status open_file(lmb_json *j, const char *path)
{
    struct stat info;
    j->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (j->fd < 0 || fstat(j->fd, &info) != 0)
        return LMB_FAIL(errno == ENOENT ? LMB_ENOTFOUND : LMB_EIO, "%s: %s",
            path, strerror(errno));
    j->size = S_ISREG(info.st_mode) ? (int64_t)info.st_size : 0;
    return start(j, path);
}

lmb_status lmb_json_open(const char *path, lmb_json **out)
{
    *out = NULL;
    lmb_json *j = NULL;
    LMB_TRY(LMB_NEW(j, 1));
    const lmb_status st = open_file(j, path);
    if (st == LMB_OK)
        *out = j;
    else
        lmb_json_close(j);
    return st;
}

lmb_status lmb_json_open_memory(
    const void *bytes, size_t size, const char *name, lmb_json **out)
{
    *out = NULL;
    lmb_json *j = NULL;
    LMB_TRY(LMB_NEW(j, 1));
    j->fd = -1;
    j->source = bytes;
    j->source_left = size;
    j->size = (int64_t)size;
    const lmb_status st = start(j, name);
    if (st == LMB_OK)
        *out = j;
    else
        lmb_json_close(j);
    return st;
}

void lmb_json_close(lmb_json *j)
{
    if (j == NULL)
        return;
    if (j->fd >= 0)
        (void)close(j->fd);
    lmb_str_fini(&j->text);
    lmb_free(j->buffer);
    lmb_free(j->name);
    lmb_free(j);
}
