/* jpeg_write.c: RGB to JPEG in memory, through libjpeg's plain interface.
 *
 * As in jpeg.c libjpeg's errors jump back to the setjmp in encode, and what
 * lives across the jump is in `encoder`. */
#include "data/image.h"

#include <stdio.h> /* jpeglib.h needs FILE and size_t */

#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct encoder {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back its address */
    jmp_buf jump;
    struct jpeg_compress_struct jpeg;
    char text[JMSG_LENGTH_MAX];
    unsigned char *bytes; /* libjpeg's: free() */
    unsigned long size;
} encoder;

static void on_error(j_common_ptr jpeg)
{
    encoder *e = (encoder *)(void *)jpeg->err;
    e->errors.format_message(jpeg, e->text);
    longjmp(e->jump, 1);
}

static lmb_status encode(encoder *e, const lmb_image *image, int quality)
{
    struct jpeg_compress_struct *j = &e->jpeg;
    j->err = jpeg_std_error(&e->errors);
    e->errors.error_exit = on_error;
    if (setjmp(e->jump) != 0)
        return LMB_FAIL(LMB_ENOMEM, "JPEG: %s", e->text);
    jpeg_create_compress(j);
    jpeg_mem_dest(j, &e->bytes, &e->size);
    j->image_height = (JDIMENSION)image->height;
    j->image_width = (JDIMENSION)image->width;
    j->input_components = 3;
    j->in_color_space = JCS_RGB;
    jpeg_set_defaults(j);
    jpeg_set_quality(j, quality, TRUE);
    j->optimize_coding = TRUE;
    jpeg_start_compress(j, TRUE);
    while (j->next_scanline < j->image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)image->rgb +
            (size_t)j->next_scanline * (size_t)image->width * 3;
        (void)jpeg_write_scanlines(j, &row, 1);
    }
    jpeg_finish_compress(j);
    return LMB_OK;
}

lmb_status lmb_image_encode_jpeg(
    const lmb_image *image, int quality, uint8_t **out, size_t *size)
{
    encoder e;
    memset(&e, 0, sizeof e);
    lmb_status st = encode(&e, image, quality);
    jpeg_destroy_compress(&e.jpeg);
    *out = NULL;
    *size = (size_t)e.size;
    if (st == LMB_OK)
        st = LMB_NEW(*out, e.size);
    if (st == LMB_OK)
        memcpy(*out, e.bytes, e.size);
    free(e.bytes); /* libjpeg's */
    return st;
}
