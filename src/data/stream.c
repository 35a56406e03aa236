/* stream.c: one reader over zlib, liblzma and plain bytes. */
#include "data/stream.h"
#include "base/file.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>

enum { XZ_MEMORY_LIMIT = 256 << 20 };

typedef enum kind { PLAIN, GZIP, XZ } kind;

struct lmb_stream {
    kind kind;
    char *name;
    lmb_file file;
    const uint8_t *next; /* plain: what was not read yet */
    size_t left;
    bool open; /* the decoder has been initialised */
    bool ended;
    z_stream gzip;
    lzma_stream xz;
};

static kind sniff(const uint8_t *bytes, size_t size)
{
    if (size >= 6 &&
        memcmp(bytes,
            "\xfd"
            "7zXZ\0",
            6) == 0)
        return XZ;
    if (size >= 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0)
        return GZIP;
    return PLAIN;
}

bool lmb_stream_is_packed(const void *bytes, size_t size)
{
    return sniff(bytes, size) != PLAIN;
}

static lmb_status start(lmb_stream *s)
{
    s->kind = sniff(s->next, s->left);
    if (s->kind == GZIP) {
        /* 15 bits of window, +16: a gzip header */
        if (inflateInit2(&s->gzip, 15 + 16) != Z_OK)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: zlib", s->name);
        s->open = true;
    } else if (s->kind == XZ) {
        s->xz = (lzma_stream)LZMA_STREAM_INIT;
        if (lzma_stream_decoder(&s->xz, XZ_MEMORY_LIMIT, LZMA_CONCATENATED) !=
            LZMA_OK)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: liblzma", s->name);
        s->open = true;
        s->xz.next_in = s->next;
        s->xz.avail_in = s->left;
    }
    return LMB_OK;
}

static lmb_status new_stream(const char *name, lmb_stream **out)
{
    lmb_stream *s = NULL;
    LMB_TRY(LMB_NEW(s, 1));
    s->name = lmb_strdup(name);
    if (s->name == NULL) {
        lmb_free(s);
        return LMB_FAIL(LMB_ENOMEM, "out of memory: stream");
    }
    *out = s;
    return LMB_OK;
}

lmb_status lmb_stream_open_memory(
    const void *bytes, size_t size, const char *name, lmb_stream **out)
{
    lmb_stream *s = NULL;
    LMB_TRY(new_stream(name, &s));
    s->next = bytes;
    s->left = size;
    const lmb_status st = start(s);
    if (st == LMB_OK)
        *out = s;
    else
        lmb_stream_close(s);
    return st;
}

lmb_status lmb_stream_open(const char *path, lmb_stream **out)
{
    lmb_stream *s = NULL;
    LMB_TRY(new_stream(path, &s));
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_file_open(path, &s->file), st, failed);
    s->next = s->file.bytes;
    s->left = s->file.size;
    LMB_GOTO(start(s), st, failed);
    *out = s;
    return LMB_OK;
failed:
    lmb_stream_close(s);
    return st;
}

void lmb_stream_close(lmb_stream *s)
{
    if (s == NULL)
        return;
    if (s->open && s->kind == GZIP)
        (void)inflateEnd(&s->gzip);
    if (s->open && s->kind == XZ)
        lzma_end(&s->xz);
    lmb_file_close(&s->file);
    lmb_free(s->name);
    lmb_free(s);
}

static lmb_status read_plain(
    lmb_stream *s, uint8_t *dst, size_t size, size_t *got)
{
    const size_t n = size < s->left ? size : s->left;
    if (n > 0)
        memcpy(dst, s->next, n);
    s->next += n;
    s->left -= n;
    *got = n;
    return LMB_OK;
}

/* zlib counts in 32 bits. */
static uInt clamp(size_t n)
{
    const size_t most = (size_t)1 << 30;
    return (uInt)(n < most ? n : most);
}

/* A gzip file may hold several members one after another. */
static lmb_status next_member(lmb_stream *s)
{
    if (s->left == 0 || s->next[0] == 0) { /* end, or padding */
        s->ended = true;
        return LMB_OK;
    }
    if (inflateReset(&s->gzip) != Z_OK)
        return LMB_FAIL(LMB_EFORMAT, "%s: damaged gzip data", s->name);
    return LMB_OK;
}

static lmb_status read_gzip(
    lmb_stream *s, uint8_t *dst, size_t size, size_t *got)
{
    size_t done = 0;
    while (done < size && !s->ended) {
        const uInt in = clamp(s->left);
        const uInt room = clamp(size - done);
        /* zlib does not write to its input */
        s->gzip.next_in = (Bytef *)(uintptr_t)s->next;
        s->gzip.avail_in = in;
        s->gzip.next_out = dst + done;
        s->gzip.avail_out = room;
        const int code = inflate(&s->gzip, Z_NO_FLUSH);
        s->next += in - s->gzip.avail_in;
        s->left -= in - s->gzip.avail_in;
        done += room - s->gzip.avail_out;
        if (code == Z_STREAM_END)
            LMB_TRY(next_member(s));
        else if (code == Z_BUF_ERROR && s->left == 0)
            return LMB_FAIL(LMB_EFORMAT, "%s: gzip data is cut short", s->name);
        else if (code == Z_MEM_ERROR)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: zlib", s->name);
        else if (code != Z_OK)
            return LMB_FAIL(LMB_EFORMAT, "%s: damaged gzip data: %s", s->name,
                s->gzip.msg != NULL ? s->gzip.msg : "inflate");
    }
    *got = done;
    return LMB_OK;
}

static lmb_status xz_error(const lmb_stream *s, lzma_ret code)
{
    switch (code) {
    case LZMA_MEM_ERROR:
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: liblzma", s->name);
    case LZMA_MEMLIMIT_ERROR:
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: unpacking needs more than %d MiB", s->name,
            XZ_MEMORY_LIMIT >> 20);
    case LZMA_OPTIONS_ERROR:
        return LMB_FAIL(LMB_EUNSUPPORTED, "%s: unknown xz filter", s->name);
    case LZMA_BUF_ERROR:
        return LMB_FAIL(LMB_EFORMAT, "%s: xz data is cut short", s->name);
    default:
        return LMB_FAIL(
            LMB_EFORMAT, "%s: damaged xz data (code %d)", s->name, (int)code);
    }
}

static lmb_status read_xz(lmb_stream *s, uint8_t *dst, size_t size, size_t *got)
{
    s->xz.next_out = dst;
    s->xz.avail_out = size;
    while (s->xz.avail_out > 0 && !s->ended) {
        const lzma_ret code = lzma_code(&s->xz, LZMA_FINISH);
        if (code == LZMA_STREAM_END)
            s->ended = true;
        else if (code != LZMA_OK)
            return xz_error(s, code);
    }
    *got = size - s->xz.avail_out;
    return LMB_OK;
}

lmb_status lmb_stream_read(lmb_stream *s, void *dst, size_t size, size_t *got)
{
    *got = 0;
    switch (s->kind) {
    case GZIP:
        return read_gzip(s, dst, size, got);
    case XZ:
        return read_xz(s, dst, size, got);
    case PLAIN:
        break;
    }
    return read_plain(s, dst, size, got);
}

lmb_status lmb_stream_read_all(lmb_stream *s, void *dst, size_t size)
{
    size_t got = 0;
    LMB_TRY(lmb_stream_read(s, dst, size, &got));
    if (got < size)
        return LMB_FAIL(LMB_EFORMAT, "%s: cut short: %zu more bytes expected",
            s->name, size - got);
    return LMB_OK;
}

const char *lmb_stream_name(const lmb_stream *s)
{
    return s->name;
}
