/* detector_post.h: post-processing that the families of detectors share. */
#ifndef LMB_MODEL_DETECTOR_POST_H
#define LMB_MODEL_DETECTOR_POST_H

#include "model/anchors.h"
#include "model/found.h"

/* The caller's limits, or else the detector's. */
lmb_found_rule lmb_detector_rule(
    const lmb_detect_call *call, const lmb_found_rule *usual);
/* Output i of the call's image, [.., width] with `rows` rows an image; an
 * error if the outputs are not such ones. EINVAL. */
lmb_status lmb_detector_rows_of(const lmb_detect_call *call, int i,
    int64_t rows, int64_t width, const float **out) LMB_MUST_CHECK;
/* Dense heads: candidates of all levels, `size` places each, out of output 0
 * (classes) and, unless the rule's factor is ALONE, output `factor`. The
 * caller frees the list, also after an error. */
lmb_status lmb_detector_candidates(const lmb_detect_call *call,
    const int64_t size[LMB_DETECTOR_LEVELS], int factor,
    const lmb_found_rule *rule, lmb_found_list *out) LMB_MUST_CHECK;
/* Boxes of candidates from their points and four distances each, in pixels or
 * in strides of their level (2^first and so on). ENOMEM. */
lmb_status lmb_detector_around(const lmb_anchors *points,
    const float *distances, bool in_strides, int first,
    lmb_found_list *p) LMB_MUST_CHECK;
/* Boxes are clipped to the picture, suppressed, and the best written. */
lmb_status lmb_detector_finish(lmb_found_list *p, const lmb_found_rule *rule,
    const lmb_detect_call *call, int64_t capacity, lmb_detected *out,
    int64_t *count) LMB_MUST_CHECK;

#endif
