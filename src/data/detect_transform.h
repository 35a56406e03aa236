/* detect_transform.h: pictures with boxes for a detector.
 *
 * Order: resize that keeps the ratio, so that the picture fits long x short;
 * or, by chance, a mosaic of four pictures on a canvas of that size; mirror;
 * colour jitter; (v / 255 - mean) / std; zeros at the right and at the bottom
 * up to a size from a short list. Boxes follow the pixels. Sizes are those of
 * mmdetection's Resize(keep_ratio): s = min(long / max(h, w), short / min(h,
 * w)), then int(h s + 1/2), int(w s + 1/2). Every random number comes from the
 * lmb_rng that the caller passes, as in transform.h. */
#ifndef LMB_DATA_DETECT_TRANSFORM_H
#define LMB_DATA_DETECT_TRANSFORM_H

#include "data/transform.h"

enum { LMB_MAX_SCALES = 16, LMB_MAX_SIZES = 8 };

typedef struct lmb_detect_transform {
    int32_t long_side;
    /* One of them is drawn for every batch. */
    int32_t short_side[LMB_MAX_SCALES], scales;
    double flip; /* probability of a mirror image */
    double brightness, contrast, saturation, hue; /* as in lmb_transform */
    double mosaic; /* probability */
    int32_t pad; /* heights and widths of batches are multiples of it */
    /* Heights and widths of batches: the plans that are compiled. 0 sizes:
     * derived from the data, `max_sizes` at most. */
    int32_t size[LMB_MAX_SIZES][2], sizes, max_sizes;
    bool filter_empty; /* pictures without boxes are left out */
    double mean[3], std[3];
} lmb_detect_transform;

/* To fit 1333 x 800, or the largest of the pictures if they are smaller; pad
 * 32, 4 sizes. Training: flip 1/2, pictures without boxes left out. */
lmb_detect_transform lmb_detect_transform_default(
    const lmb_dataset *ds, bool train);
/* Short sides low, low + pad, .. and high; steps of 2 pad, 3 pad, .. if these
 * are more than LMB_MAX_SCALES. */
void lmb_detect_transform_range(
    lmb_detect_transform *t, int32_t low, int32_t high);
/* EINVAL names the field, the value and the rule. */
lmb_status lmb_detect_transform_check(
    const lmb_detect_transform *t) LMB_MUST_CHECK;
/* Height and width of a stored picture after the resize. */
void lmb_detect_resized(const lmb_detect_transform *t, int32_t short_side,
    int32_t height, int32_t width, int32_t out[2]);

/* What is to be made of a picture, and where to. */
typedef struct lmb_detect_sample {
    const lmb_dataset *ds;
    int64_t index; /* of the picture */
    int32_t short_side;
    int32_t height, width; /* with the padding */
    int64_t max_boxes;
    float *pixels; /* [3, height, width] */
    float *boxes; /* [max_boxes, 4] x0 y0 x1 y1; zeros behind the last */
    int32_t *labels; /* [max_boxes]; -1 behind the last */
    float *valid; /* [max_boxes] 1 or 0 */
    float *size; /* [2] height, width inside the padding */
    float *scale; /* [2] that / stored, y x */
} lmb_detect_sample;

/* Crowd boxes are left out. EINVAL names max_boxes if there are more. */
lmb_status lmb_detect_transform_run(const lmb_detect_transform *t,
    const lmb_normalizer *normalizer, const lmb_detect_sample *sample,
    lmb_rng *rng, lmb_scratch *scratch) LMB_MUST_CHECK;

/* The same for a picture of no set, without chances and boxes: sample->ds and
 * the members for boxes are not looked at. */
lmb_status lmb_detect_transform_image(const lmb_detect_transform *t,
    const lmb_normalizer *normalizer, const lmb_image *image,
    const lmb_detect_sample *sample, lmb_scratch *scratch) LMB_MUST_CHECK;

/* Most boxes of a picture that a transform can give (a multiple of 8). */
int64_t lmb_detect_most_boxes(
    const lmb_detect_transform *t, const lmb_dataset *ds);

#endif
