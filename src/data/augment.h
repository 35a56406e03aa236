/* augment.h: colour jitter, RandAugment and Cutout on 8-bit pictures. */
#ifndef LMB_DATA_AUGMENT_H
#define LMB_DATA_AUGMENT_H

#include "data/transform.h"

/* A picture that may be written to; pixels as in lmb_image. */
typedef struct lmb_canvas {
    int32_t height, width;
    uint8_t *rgb;
} lmb_canvas;

/* Applies what `t` asks for, in place. Uses scratch slot B. */
lmb_status lmb__augment(const lmb_transform *t, lmb_rng *rng,
    lmb_scratch *scratch, lmb_canvas *canvas) LMB_MUST_CHECK;

#endif
