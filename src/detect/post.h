/* post.h: from dense scores to the detections of one image: what the
 * postprocessing of all detectors shares.
 *
 * For each level, lmb_post_pick takes the best (row, class) pairs; the
 * detector decodes their boxes and pushes candidates; lmb_post_finish clips
 * them, suppresses class by class and leaves the best. */
#ifndef LMB_DETECT_POST_H
#define LMB_DETECT_POST_H

#include "detect/box.h"
#include "detect/top.h"

/* Pushes scores[i] > threshold, i < count < 2^32: `top` then holds the best,
 * whose indices are row * classes + class. NaN is not above anything. */
void lmb_post_pick(
    const float *score, int64_t count, double threshold, lmb_top *top);

typedef struct lmb_candidate {
    lmb_box box;
    float score;
    int32_t label;
} lmb_candidate;

typedef struct lmb_post_rule {
    double nms; /* IoU above it suppresses */
    int64_t most; /* detections */
    double height, width; /* boxes are clipped to; 0: not */
    bool keep_empty; /* boxes without area stay, as torchvision has it */
} lmb_post_rule;
/* Reorders the candidates: the first *kept of them are the detections, best
 * first; of equal scores the one that was pushed first. Boxes that are empty
 * (unless kept) or not finite are dropped. Errors: ENOMEM. */
lmb_status lmb_post_finish(const lmb_post_rule *rule, lmb_candidate *candidate,
    int64_t n, int64_t *kept) LMB_MUST_CHECK;

#endif
