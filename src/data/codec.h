/* codec.h: the two decoders behind lmb_image_decode; not for others. */
#ifndef LMB_DATA_CODEC_H
#define LMB_DATA_CODEC_H

#include "data/image.h"

lmb_status lmb__jpeg_decode(const uint8_t *bytes, size_t size, const char *name,
    lmb_scratch *scratch, lmb_image *out) LMB_MUST_CHECK;
lmb_status lmb__png_decode(const uint8_t *bytes, size_t size, const char *name,
    lmb_scratch *scratch, lmb_image *out) LMB_MUST_CHECK;
/* EUNSUPPORTED for sides or areas beyond the limits of image.h; EFORMAT if
 * `size` bytes cannot hold so many pixels (pixels_per_byte is the format's
 * best compression), so that a lying header gets no memory. */
lmb_status lmb__image_check(const char *name, int64_t height, int64_t width,
    size_t size, int64_t pixels_per_byte) LMB_MUST_CHECK;

#endif
