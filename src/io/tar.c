/* tar.c: reading ustar archives through zlib.
 *
 * A header of 512 bytes: name [0, 100), size in octal [124, 136), checksum
 * [148, 156), type [156], "ustar" [257, 262), prefix [345, 500); then the
 * content, padded to 512. Two empty blocks end it. Source: POSIX.1-1988,
 * ustar interchange format; pax and GNU extension headers are skipped. */
#include "io/tar.h"

#include "base/file.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

enum { BLOCK = 512, NAME = 100, PREFIX = 155, CHUNK = 1 << 16 };

typedef struct tar {
    gzFile file;
    const char *path, *dir;
    int64_t left; /* bytes that may still be unpacked */
    uint8_t *chunk;
} tar;

static lmb_status bad(const tar *t, const char *what)
{
    return LMB_FAIL(LMB_EFORMAT, "%s: %s", t->path, what);
}

static lmb_status read_bytes(tar *t, void *out, size_t size)
{
    const int n = gzread(t->file, out, (unsigned)size);
    if (n < 0 || (size_t)n != size) {
        int number = 0;
        const char *text = gzerror(t->file, &number);
        return LMB_FAIL(LMB_EFORMAT, "%s: %s", t->path,
            number == Z_OK || number == Z_BUF_ERROR ? "ends too early" : text);
    }
    return LMB_OK;
}

/* --- headers */

static bool parse_octal(const uint8_t *p, size_t n, int64_t *out)
{
    size_t i = 0;
    int64_t value = 0;
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (value > INT64_MAX / 8)
            return false;
        value = value * 8 + (p[i] - '0');
    }
    *out = value;
    return i == n || p[i] == ' ' || p[i] == '\0';
}

static bool sum_is_right(const uint8_t header[BLOCK])
{
    int64_t said = 0, sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : header[i];
    return parse_octal(header + 148, 8, &said) && said == sum;
}

/* Below the folder it is unpacked in? No empty name, no "..", no '\\'. */
static bool name_is_safe(const char *name)
{
    if (name[0] == '\0' || name[0] == '/')
        return false;
    for (const char *at = name; *at != '\0';) {
        const size_t n = strcspn(at, "/");
        if (n == 2 && at[0] == '.' && at[1] == '.')
            return false;
        at += n;
        at += *at == '/';
    }
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == '\\')
            return false;
    return true;
}

static void add_field(lmb_str *out, const uint8_t *field, size_t most)
{
    size_t n = 0;
    while (n < most && field[n] != '\0')
        n++;
    lmb_str_add_bytes(out, field, n);
}

/* DIR/prefix/name */
static lmb_status target_of(
    const tar *t, const uint8_t header[BLOCK], lmb_str *out)
{
    lmb_str name = {0};
    lmb_status st = LMB_OK;
    if (memcmp(header + 257, "ustar", 5) == 0 && header[345] != '\0') {
        add_field(&name, header + 345, PREFIX);
        lmb_str_add(&name, "/");
    }
    add_field(&name, header, NAME);
    LMB_GOTO(lmb_str_status(&name), st, done);
    if (name.text == NULL || !name_is_safe(name.text))
        LMB_GOTO(LMB_FAIL(LMB_EFORMAT,
                     "%s: name '%s' would leave the folder it is unpacked in",
                     t->path, name.text != NULL ? name.text : ""),
            st, done);
    lmb_str_printf(out, "%s/%s", t->dir, name.text);
    LMB_GOTO(lmb_str_status(out), st, done);
done:
    lmb_str_fini(&name);
    return st;
}

/* --- content */

/* Reads `size` bytes and the padding after them; w may be NULL. */
static lmb_status copy_content(tar *t, int64_t size, lmb_writer *w)
{
    const int64_t padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    for (int64_t at = 0; at < padded;) {
        const int64_t n = padded - at < CHUNK ? padded - at : CHUNK;
        LMB_TRY(read_bytes(t, t->chunk, (size_t)n));
        const int64_t wanted = size - at < n ? size - at : n;
        if (w != NULL && wanted > 0)
            LMB_TRY(lmb_writer_write(w, t->chunk, (size_t)wanted));
        at += n;
    }
    return LMB_OK;
}

static lmb_status make_parent(char *path)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    const lmb_status st = lmb_make_dirs(path);
    *slash = '/';
    return st;
}

static lmb_status unpack_file(tar *t, char *target, int64_t size)
{
    lmb_writer w = {0};
    lmb_status st = LMB_OK;
    if (size > t->left)
        return bad(t, "unpacks to more than is allowed");
    t->left -= size;
    LMB_TRY(make_parent(target));
    LMB_TRY(lmb_writer_open(target, &w));
    LMB_GOTO(copy_content(t, size, &w), st, done);
    LMB_GOTO(lmb_writer_commit(&w), st, done);
done:
    lmb_writer_abort(&w);
    return st;
}

static lmb_status unpack_entry(tar *t, const uint8_t header[BLOCK])
{
    const char type = (char)header[156];
    int64_t size = 0;
    lmb_str target = {0};
    if (!sum_is_right(header))
        return bad(t, "not a tar archive, or damaged");
    if (!parse_octal(header + 124, 12, &size))
        return bad(t, "an entry without a size");
    if (size > t->left)
        return bad(t, "unpacks to more than is allowed");
    if (type == 'x' || type == 'g' || type == 'L')
        return copy_content(t, size, NULL);
    if (type != '0' && type != '\0' && type != '5')
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: an entry of type '%c', not a file or folder", t->path, type);
    lmb_status st = target_of(t, header, &target);
    if (st == LMB_OK)
        st = type == '5' ? lmb_make_dirs(target.text)
                         : unpack_file(t, target.text, size);
    lmb_str_fini(&target);
    return st;
}

static bool is_zero(const uint8_t block[BLOCK])
{
    for (int i = 0; i < BLOCK; i++)
        if (block[i] != 0)
            return false;
    return true;
}

lmb_status lmb_tar_unpack(const char *path, const char *dir, int64_t most)
{
    tar t = {.path = path, .dir = dir, .left = most};
    uint8_t header[BLOCK];
    lmb_status st = LMB_OK;
    if (!lmb_path_exists(path))
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no such file", path);
    LMB_TRY(LMB_NEW(t.chunk, CHUNK));
    t.file = gzopen(path, "rb");
    if (t.file == NULL)
        LMB_GOTO(LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno)), st, done);
    for (;;) {
        LMB_GOTO(read_bytes(&t, header, BLOCK), st, done);
        if (is_zero(header))
            break;
        LMB_GOTO(unpack_entry(&t, header), st, done);
    }
done:
    if (t.file != NULL)
        (void)gzclose(t.file);
    lmb_free(t.chunk);
    return st;
}
