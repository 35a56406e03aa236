/* found.h: from scores and boxes of one image to its detections.
 *
 *   1. candidates: scores above a threshold; of each level the best `top`
 *   2. their boxes, decoded by the caller, clipped to the picture
 *   3. non-maximum suppression: of boxes sorted best first one stays if its
 *      IoU with every better one that stays, of its class, is at most the
 *      threshold; the best `per_image` stay
 * Ties go to the earlier candidate: earlier level, lower place * classes +
 * class. As mmdetection's and torchvision's dense heads do it. */
#ifndef LMB_MODEL_FOUND_H
#define LMB_MODEL_FOUND_H

#include "detect/box.h"

typedef struct lmb_found {
    int64_t place; /* anchor, point or RoI, over all levels */
    int32_t label;
    float score;
    lmb_box box;
} lmb_found;

/* What is done with a second logit of each place (centreness). */
typedef enum lmb_found_factor {
    LMB_FOUND_ALONE, /* there is none */
    LMB_FOUND_AFTER, /* sigmoid of it multiplies the scores of candidates */
    LMB_FOUND_ROOT, /* score sqrt(sigmoid sigmoid), before the threshold */
} lmb_found_factor;

typedef struct lmb_found_rule {
    double score, nms;
    int64_t top, per_image;
    lmb_found_factor factor;
} lmb_found_rule;

typedef struct lmb_found_list {
    lmb_found *list;
    int64_t count, capacity;
} lmb_found_list;

lmb_status lmb_found_init(lmb_found_list *p, int64_t capacity) LMB_MUST_CHECK;
void lmb_found_fini(lmb_found_list *p);

/* Sigmoid scores of one level: places first .. first + n - 1 of logits
 * [.., classes] and, unless the factor is ALONE, of factor [..]. Takes at most
 * rule->top; the capacity must hold that many more. ENOMEM. */
lmb_status lmb_found_level(lmb_found_list *p, const float *logits,
    const float *factor, int64_t first, int64_t n, int32_t classes,
    const lmb_found_rule *rule) LMB_MUST_CHECK;
/* Adds one candidate; the capacity must hold it. */
void lmb_found_add(
    lmb_found_list *p, int64_t place, int32_t label, float score, lmb_box box);

/* Suppression; what is kept comes to the front of the list, best first, and
 * `count` is the number of it. Candidates with NaN in score or box go. ENOMEM.
 */
lmb_status lmb_found_finish(
    lmb_found_list *p, const lmb_found_rule *rule) LMB_MUST_CHECK;

#endif
