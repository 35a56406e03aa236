/* detector.h: a detector run on batches, down to boxes. */
#ifndef LMB_TRAIN_DETECTOR_H
#define LMB_TRAIN_DETECTOR_H

#include "data/detect_transform.h"
#include "train/box_truth.h"
#include "train/step.h"

typedef struct lmb_detector_opts {
    bool bf16, allow_reference, reference;
    lmb_detect_opts detect;
} lmb_detector_opts;

typedef struct lmb_detector lmb_detector;

/* The network must outlive it. workspace NULL: one of its own. */
lmb_status lmb_detector_new(const lmb_network *net,
    const lmb_detector_opts *opts, lmb_workspace *workspace,
    lmb_detector **out) LMB_MUST_CHECK;
void lmb_detector_free(lmb_detector *d); /* accepts NULL */

/* Runs pictures x [N, 3, H, W] (normalised, padded) whose sizes [N, 2] are
 * height and width inside the padding. Plans are kept by N, H and W. */
lmb_status lmb_detector_run(lmb_detector *d, const lmb_tensor *x,
    const lmb_tensor *sizes) LMB_MUST_CHECK;
/* What was found in picture `image` of the last run, best first, in pixels of
 * x; borrowed, valid until the next call. */
lmb_status lmb_detector_take(lmb_detector *d, int64_t image,
    const lmb_detected **out, int64_t *count) LMB_MUST_CHECK;

/* A detection in pixels of the stored picture of `size` (height, width), cut to
 * it; scale: of the input over the stored, y x. */
lmb_dt_box lmb_detected_stored(const lmb_detected *from, const float scale[2],
    const int32_t size[2], int64_t image);

/* --- a picture of no set -------------------------------------------------- */

/* The network's own: pictures are made to fit long_side x short_side. */
lmb_detect_transform lmb_detector_transform(
    const lmb_network *net, int32_t long_side, int32_t short_side);
/* What is found in a picture, in its pixels, best first: lmb_free(*out). bgr:
 * the network wants its channels so. `image` may be in scratch slot DECODE. */
lmb_status lmb_detector_picture(lmb_detector *d, const lmb_detect_transform *t,
    const lmb_image *image, bool bgr, lmb_scratch *scratch, lmb_dt_box **out,
    int64_t *count) LMB_MUST_CHECK;

/* --- over a data set ------------------------------------------------------ */

/* Runs over a data set, and adds what was found in pixels of the stored
 * pictures: image = place in the set, category = label. Owned by the caller:
 * lmb_free(*out). EINTERRUPTED after spec->stop. */
lmb_status lmb_detect_all(lmb_detector *d, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_dt_box **out, int64_t *count) LMB_MUST_CHECK;
/* COCO's numbers of a detector on a set, as lmb_evaluate gives them. */
lmb_status lmb_detector_evaluate(lmb_detector *d, const lmb_dataset *data,
    const lmb_box_truth *truth, const lmb_eval_spec *spec,
    lmb_eval_result *out) LMB_MUST_CHECK;

#endif
