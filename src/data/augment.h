/* augment.h: changes of 8-bit pictures; the own of the transforms. */
#ifndef LMB_DATA_AUGMENT_H
#define LMB_DATA_AUGMENT_H

#include "data/transform.h"

/* A picture that may be written to; pixels as in lmb_image. */
typedef struct lmb_canvas {
    int32_t height, width;
    uint8_t *rgb;
} lmb_canvas;

/* RandAugment's list: name, range of the value. */
#define LMB_AUGMENT_LIST(X) \
    X(AUTOCONTRAST, 0, 1) \
    X(BRIGHTNESS, 0.05, 0.95) \
    X(COLOR, 0.05, 0.95) \
    X(CONTRAST, 0.05, 0.95) \
    X(EQUALIZE, 0, 1) \
    X(IDENTITY, 0, 1) \
    X(POSTERIZE, 4, 8) \
    X(ROTATE, -30, 30) \
    X(SHARPNESS, 0.05, 0.95) \
    X(SHEAR_X, -0.3, 0.3) \
    X(SHEAR_Y, -0.3, 0.3) \
    X(SOLARIZE, 0, 256) \
    X(TRANSLATE_X, -0.3, 0.3) \
    X(TRANSLATE_Y, -0.3, 0.3)

typedef enum lmb_augment_op {
#define LMB_AUGMENT_ENUM(name, low, high) LMB_AUGMENT_##name,
    LMB_AUGMENT_LIST(LMB_AUGMENT_ENUM)
#undef LMB_AUGMENT_ENUM
        LMB_AUGMENT_COUNT
} lmb_augment_op;

/* One operation in place, with the result of Pillow's operation of that name.
 * Value: degrees (ROTATE), part of the width or height (TRANSLATE), bits kept
 * (POSTERIZE), threshold (SOLARIZE), factor otherwise; enhancement factors
 * above 1 exaggerate. Uses scratch slot B. */
lmb_status lmb__augment_apply(lmb_augment_op op, double value,
    lmb_scratch *scratch, lmb_canvas *canvas) LMB_MUST_CHECK;
/* Hue turned by shift (in turns, -0.5 .. 0.5) through 8-bit HSV. */
void lmb__augment_hue(double shift, lmb_canvas *canvas);
/* A square of `side` pixels centred at (x, y), cut at the borders, becomes
 * (125, 123, 114). */
void lmb__augment_cutout(double side, double x, double y, lmb_canvas *canvas);

/* Left and right change places. */
void lmb__mirror(lmb_canvas *canvas);
/* `count` pixels, `step` bytes apart, to three planes. */
void lmb__normalize_run(const lmb_normalizer *n, const uint8_t *rgb,
    ptrdiff_t step, int32_t count, size_t plane, float *out);

/* Applies what `t` asks for, in place: jitter in random order, RandAugment,
 * Cutout. */
lmb_status lmb__augment(const lmb_transform *t, lmb_rng *rng,
    lmb_scratch *scratch, lmb_canvas *canvas) LMB_MUST_CHECK;

#endif
