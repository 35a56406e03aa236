/* image.h: 8-bit RGB pictures in memory: decode, resize, write.
 *
 * The resize is Pillow's (antialiased triangle filter, two passes of
 * fixed-point arithmetic), to the bit. JPEG is decoded at full size with
 * libjpeg's defaults (slow integer transform, smooth chroma); an orientation
 * tag is not applied, as in torchvision's folders. */
#ifndef LMB_DATA_IMAGE_H
#define LMB_DATA_IMAGE_H

#include "base/base.h"

/* Pixels are rows of R, G, B bytes without gaps: rgb[(y * width + x) * 3 + c].
 * The pixels are borrowed: see who made the image. */
typedef struct lmb_image {
    int32_t height, width;
    const uint8_t *rgb;
} lmb_image;

/* Working memory of one thread: starts as {0}, grows to the largest picture
 * seen and is then reused without asking for memory. */
enum { LMB_SCRATCH_SLOTS = 6 };
typedef struct lmb_scratch {
    struct {
        void *bytes;
        size_t capacity;
    } slot_[LMB_SCRATCH_SLOTS];
} lmb_scratch;
/* At least `size` bytes, contents undefined; valid until the same slot is
 * asked for again. */
lmb_status lmb_scratch_get(
    lmb_scratch *scratch, int slot, size_t size, void **out) LMB_MUST_CHECK;
void lmb_scratch_fini(lmb_scratch *scratch);

/* Who uses which slot: a decoded picture stays valid while it is resized. */
enum {
    LMB_SLOT_DECODE = 0, /* the picture a data set or decoder returns */
    LMB_SLOT_ROWS = 1, /* row pointers, decoder lines, 16-bit pixels */
    LMB_SLOT_FILTER = 2, /* resize: coefficients and the middle picture */
    LMB_SLOT_A = 3, /* transforms: in turn source and target */
    LMB_SLOT_B = 4,
    LMB_SLOT_C = 5,
};

/* Sides of accepted pictures; larger ones are EUNSUPPORTED. */
enum { LMB_IMAGE_MAX_SIDE = 32768, LMB_IMAGE_MAX_PIXELS = 1 << 27 };

/* Decodes JPEG or PNG; the first bytes decide which, not the name. Grey,
 * palette, 16-bit, CMYK/YCCK and alpha become RGB (alpha is dropped, 16 bits
 * keep the upper 8, as in Pillow's convert). `name` is for messages. Pixels
 * live in scratch slot DECODE. Errors: EFORMAT, EUNSUPPORTED, ENOMEM. */
lmb_status lmb_image_decode(const void *bytes, size_t size, const char *name,
    lmb_scratch *scratch, lmb_image *out) LMB_MUST_CHECK;
/* The same for a file. */
lmb_status lmb_image_load(
    const char *path, lmb_scratch *scratch, lmb_image *out) LMB_MUST_CHECK;
/* The size that the header of a JPEG or PNG file says. */
lmb_status lmb_image_probe(
    const char *path, int32_t *height_out, int32_t *width_out) LMB_MUST_CHECK;
/* Writes an 8-bit RGB PNG atomically. */
lmb_status lmb_image_save_png(
    const char *path, const lmb_image *image) LMB_MUST_CHECK;
/* The bytes of a JPEG; quality 1 .. 100. *out is the caller's: lmb_free. */
lmb_status lmb_image_encode_jpeg(const lmb_image *image, int quality,
    uint8_t **out, size_t *size) LMB_MUST_CHECK;

/* A part of a picture, in pixels. */
typedef struct lmb_rect {
    int32_t y, x, height, width;
} lmb_rect;

/* `crop` (NULL: the whole picture) cut out and resized to height x width, as
 * Pillow's src.crop(...).resize((width, height), BILINEAR). `dst` holds
 * height * width * 3 bytes and does not overlap the source. */
lmb_status lmb_image_resize(const lmb_image *src, const lmb_rect *crop,
    int32_t height, int32_t width, lmb_scratch *scratch,
    uint8_t *dst) LMB_MUST_CHECK;

#endif
