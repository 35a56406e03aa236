/* jpeg.c: JPEG to RGB through libjpeg's plain interface.
 *
 * libjpeg reports errors by calling error_exit, which must not return: it
 * jumps back to the setjmp in decode. Everything that lives across the jump
 * is in `decoder`, outside the frame that is unwound. */
#include "data/codec.h"

#include <stdio.h> /* jpeglib.h needs FILE and size_t */

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <string.h>

/* A block of 64 pixels takes at least one bit, but for arithmetic coding. */
enum { PIXELS_PER_BYTE = 512, ARITHMETIC_PIXELS_PER_BYTE = 1 << 16 };
/* A progressive file of many empty scans would cost hours. */
enum { MAX_SCANS = 500 };

typedef struct decoder {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back its address */
    jmp_buf jump;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    char text[JMSG_LENGTH_MAX];
    const char *name;
    lmb_scratch *scratch;
    uint8_t *rgb;
    uint8_t *line; /* CMYK pixels of one row */
} decoder;

static void on_error(j_common_ptr jpeg)
{
    decoder *d = (decoder *)(void *)jpeg->err;
    d->errors.format_message(jpeg, d->text);
    longjmp(d->jump, 1);
}

static void fail_with(j_common_ptr jpeg, const char *text)
{
    decoder *d = (decoder *)(void *)jpeg->err;
    (void)snprintf(d->text, sizeof d->text, "%s", text);
    longjmp(d->jump, 1);
}

/* Warnings are let pass but for missing data, which libjpeg fills with grey. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF)
        fail_with(jpeg, "cut short");
}

static void on_progress(j_common_ptr jpeg)
{
    const decoder *d = (const decoder *)(void *)jpeg->err;
    if (d->jpeg.input_scan_number > MAX_SCANS)
        fail_with(jpeg, "too many scans");
}

static void no_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

/* a * b / 255, rounded. */
static int scale255(int a, int b)
{
    const int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Adobe's files hold inverted ink: 255 is none. */
static void cmyk_to_rgb(const uint8_t *cmyk, int64_t width, uint8_t *rgb)
{
    for (int64_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) {
            const int light = cmyk[4 * x + 3];
            rgb[3 * x + c] =
                (uint8_t)(light - scale255(255 - cmyk[4 * x + c], light));
        }
}

static lmb_status prepare(decoder *d, size_t size, lmb_image *out)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    LMB_TRY(lmb__image_check(d->name, j->image_height, j->image_width, size,
        j->arith_code ? ARITHMETIC_PIXELS_PER_BYTE : PIXELS_PER_BYTE));
    const bool ink =
        j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
    j->out_color_space = ink ? JCS_CMYK : JCS_RGB;
    const size_t width = j->image_width;
    void *rgb = NULL;
    void *line = NULL;
    LMB_TRY(lmb_scratch_get(
        d->scratch, LMB_SLOT_DECODE, 3 * width * j->image_height, &rgb));
    LMB_TRY(lmb_scratch_get(d->scratch, LMB_SLOT_ROWS, 4 * width, &line));
    d->rgb = rgb;
    d->line = ink ? line : NULL;
    *out = (lmb_image){(int32_t)j->image_height, (int32_t)j->image_width, rgb};
    return LMB_OK;
}

static void read_rows(decoder *d)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    const size_t stride = (size_t)j->output_width * 3;
    while (j->output_scanline < j->output_height) {
        uint8_t *dst = d->rgb + j->output_scanline * stride;
        JSAMPROW row = d->line != NULL ? d->line : dst;
        (void)jpeg_read_scanlines(j, &row, 1);
        if (d->line != NULL)
            cmyk_to_rgb(d->line, j->output_width, dst);
    }
}

static lmb_status decode(
    decoder *d, const uint8_t *bytes, size_t size, lmb_image *out)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    j->err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->errors.output_message = no_output;
    if (setjmp(d->jump) != 0)
        return LMB_FAIL(
            d->errors.msg_code == JERR_OUT_OF_MEMORY ? LMB_ENOMEM : LMB_EFORMAT,
            "%s: JPEG: %s", d->name, d->text);
    jpeg_create_decompress(j);
    d->progress.progress_monitor = on_progress;
    j->progress = &d->progress;
    jpeg_mem_src(j, bytes, size);
    (void)jpeg_read_header(j, TRUE);
    LMB_TRY(prepare(d, size, out));
    (void)jpeg_start_decompress(j);
    read_rows(d);
    return LMB_OK;
}

lmb_status lmb__jpeg_decode(const uint8_t *bytes, size_t size, const char *name,
    lmb_scratch *scratch, lmb_image *out)
{
    decoder d;
    memset(&d, 0, sizeof d);
    d.name = name;
    d.scratch = scratch;
    const lmb_status st = decode(&d, bytes, size, out);
    jpeg_destroy_decompress(&d.jpeg);
    return st;
}
