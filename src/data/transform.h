/* transform.h: from an 8-bit picture to a normalised f32 one.
 *
 * Order (as torchvision pipelines are written): crop, flip, colour jitter,
 * RandAugment, Cutout on 8-bit pixels; then (v / 255 - mean) / std in f32.
 * Every random number comes from the lmb_rng that the caller passes, so a
 * picture is a pure function of (seed, epoch or view, sample). */
#ifndef LMB_DATA_TRANSFORM_H
#define LMB_DATA_TRANSFORM_H

#include "base/rng.h"
#include "data/data.h"

typedef enum lmb_crop {
    LMB_CROP_NONE, /* the whole picture; resized if its size differs */
    LMB_CROP_PAD, /* `pad` black pixels around, then a random window */
    LMB_CROP_RESIZED, /* random area and shape, resized (Inception crop) */
    LMB_CROP_CENTER, /* short side to `resize` (0: as it is), then centre */
} lmb_crop;

typedef struct lmb_transform {
    int32_t height, width; /* of the result */
    lmb_crop crop;
    int32_t pad; /* LMB_CROP_PAD: pixels on each side */
    int32_t resize; /* LMB_CROP_CENTER: short side before the crop */
    double scale[2]; /* LMB_CROP_RESIZED: area as part of the whole */
    double ratio[2]; /* LMB_CROP_RESIZED: width / height */
    double flip; /* probability of a mirror image */
    double brightness, contrast, saturation; /* jitter, 0 = off */
    double hue; /* jitter, at most 0.5 */
    int32_t randaugment; /* operations from the list of 14 (0 = none) */
    double cutout; /* largest side / width (0 = none) */
    double mean[3], std[3];
} lmb_transform;

/* RandAugment, n = 2, and Cutout up to half the width: the strong view. */
void lmb_transform_strong(lmb_transform *t);
/* Fixed-size data: random crop with padding 4 and flip for training (idx: no
 * flip), normalise only for testing. Others: ImageNet's, lmb_dataset_input
 * (224) on a side: random resized crop and flip, or short side 256 / 224 of it
 * and centre crop. */
lmb_transform lmb_transform_default(const lmb_dataset *ds, bool train);
/* EINVAL names the field, the value and the rule. */
lmb_status lmb_transform_check(const lmb_transform *t) LMB_MUST_CHECK;

/* Values of (v / 255 - mean) / std for each channel and byte, computed once. */
typedef struct lmb_normalizer {
    float value[3][256];
} lmb_normalizer;
lmb_normalizer lmb_normalizer_make(const double mean[3], const double std[3]);

/* out: [3, height, width]. `image` may live in scratch slot DECODE. */
lmb_status lmb_transform_run(const lmb_transform *t,
    const lmb_normalizer *normalizer, const lmb_image *image, lmb_rng *rng,
    lmb_scratch *scratch, float *out) LMB_MUST_CHECK;

#endif
