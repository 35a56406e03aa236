/* png.c: PNG to RGB, and RGB to PNG, through libpng.
 *
 * libpng reports errors by calling on_error, which jumps back to the setjmp
 * of the caller; what lives across the jump is in `decoder` and `encoder`. */
#include "base/file.h"
#include "data/codec.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* Deflate packs at most 1032 : 1; a pixel may be a single bit. */
enum { PIXELS_PER_BYTE = 8 * 1032, MAX_CHUNK = 8 << 20 };

typedef struct decoder {
    jmp_buf jump;
    png_structp png;
    png_infop info;
    char text[200];
    const uint8_t *next;
    size_t left;
    const char *name;
    lmb_scratch *scratch;
    png_bytep *rows;
} decoder;

static void on_error(png_structp png, png_const_charp text)
{
    decoder *d = png_get_error_ptr(png);
    (void)snprintf(d->text, sizeof d->text, "%s", text);
    longjmp(d->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep dst, png_size_t size)
{
    decoder *d = png_get_io_ptr(png);
    if (size > d->left)
        png_error(png, "cut short");
    memcpy(dst, d->next, size);
    d->next += size;
    d->left -= size;
}

/* Every kind of pixel becomes 8-bit RGB. */
static void set_rgb(decoder *d)
{
    const int kind = png_get_color_type(d->png, d->info);
    if (kind == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(d->png);
    if (kind == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(d->png);
    if ((kind & PNG_COLOR_MASK_COLOR) == 0)
        png_set_gray_to_rgb(d->png);
    png_set_strip_16(d->png);
    png_set_strip_alpha(d->png);
    (void)png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
}

static lmb_status prepare(decoder *d, size_t size, lmb_image *out)
{
    const size_t height = png_get_image_height(d->png, d->info);
    const size_t width = png_get_image_width(d->png, d->info);
    LMB_TRY(lmb__image_check(
        d->name, (int64_t)height, (int64_t)width, size, PIXELS_PER_BYTE));
    set_rgb(d);
    if (png_get_rowbytes(d->png, d->info) != 3 * width)
        return LMB_FAIL(
            LMB_EUNSUPPORTED, "%s: PNG: unknown kind of pixels", d->name);
    void *rgb = NULL;
    void *rows = NULL;
    LMB_TRY(
        lmb_scratch_get(d->scratch, LMB_SLOT_DECODE, 3 * width * height, &rgb));
    LMB_TRY(lmb_scratch_get(
        d->scratch, LMB_SLOT_ROWS, height * sizeof(png_bytep), &rows));
    d->rows = rows;
    for (size_t y = 0; y < height; y++)
        d->rows[y] = (uint8_t *)rgb + y * 3 * width;
    *out = (lmb_image){(int32_t)height, (int32_t)width, rgb};
    return LMB_OK;
}

static lmb_status decode(decoder *d, size_t size, lmb_image *out)
{
    if (setjmp(d->jump) != 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: PNG: %s", d->name, d->text);
    d->png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, d, on_error, on_warning);
    if (d->png != NULL)
        d->info = png_create_info_struct(d->png);
    if (d->info == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: libpng", d->name);
    png_set_read_fn(d->png, d, on_read);
    png_set_user_limits(d->png, LMB_IMAGE_MAX_SIDE, LMB_IMAGE_MAX_SIDE);
    png_set_chunk_malloc_max(d->png, MAX_CHUNK);
    png_read_info(d->png, d->info);
    LMB_TRY(prepare(d, size, out));
    png_read_image(d->png, d->rows);
    return LMB_OK;
}

lmb_status lmb__png_decode(const uint8_t *bytes, size_t size, const char *name,
    lmb_scratch *scratch, lmb_image *out)
{
    decoder d;
    memset(&d, 0, sizeof d);
    d.next = bytes;
    d.left = size;
    d.name = name;
    d.scratch = scratch;
    const lmb_status st = decode(&d, size, out);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    return st;
}

typedef struct encoder {
    decoder errors; /* first: on_error writes here */
    lmb_writer file;
    lmb_status st;
} encoder;

static void on_write(png_structp png, png_bytep bytes, png_size_t size)
{
    encoder *e = png_get_io_ptr(png);
    e->st = lmb_writer_write(&e->file, bytes, size);
    if (e->st != LMB_OK)
        png_error(png, "write");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static lmb_status encode(encoder *e, const char *path, const lmb_image *image)
{
    decoder *d = &e->errors;
    if (setjmp(d->jump) != 0)
        return e->st != LMB_OK
            ? e->st
            : LMB_FAIL(LMB_EIO, "%s: PNG: %s", path, d->text);
    d->png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, d, on_error, on_warning);
    if (d->png != NULL)
        d->info = png_create_info_struct(d->png);
    if (d->info == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory: libpng", path);
    png_set_write_fn(d->png, e, on_write, on_flush);
    png_set_IHDR(d->png, d->info, (png_uint_32)image->width,
        (png_uint_32)image->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
        PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(d->png, d->info);
    for (int32_t y = 0; y < image->height; y++)
        png_write_row(
            d->png, image->rgb + (size_t)y * (size_t)image->width * 3);
    png_write_end(d->png, NULL);
    return LMB_OK;
}

lmb_status lmb_image_save_png(const char *path, const lmb_image *image)
{
    encoder e;
    memset(&e, 0, sizeof e);
    LMB_TRY(lmb_writer_open(path, &e.file));
    const lmb_status st = encode(&e, path, image);
    png_destroy_write_struct(&e.errors.png, &e.errors.info);
    if (st == LMB_OK)
        return lmb_writer_commit(&e.file);
    lmb_writer_abort(&e.file);
    return st;
}
