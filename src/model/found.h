/* found.h: candidates of one image, with the places that they came from.
 *
 * Of each level the best `top` scores above a threshold; then the caller
 * decodes their boxes; then detect/post.h clips, suppresses and sorts. Ties go
 * to the earlier candidate: earlier level, lower place * classes + class. As
 * mmdetection's and torchvision's dense heads do it. */
#ifndef LMB_MODEL_FOUND_H
#define LMB_MODEL_FOUND_H

#include "detect/post.h"

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
    bool keep_empty; /* boxes without area stay */
} lmb_found_rule;

typedef struct lmb_found_list {
    lmb_candidate *item;
    int64_t *place; /* anchor, point or RoI, over all levels */
    int64_t count, capacity;
} lmb_found_list;

lmb_status lmb_found_init(lmb_found_list *p, int64_t capacity) LMB_MUST_CHECK;
void lmb_found_fini(lmb_found_list *p);
/* Adds one candidate; the capacity must hold it. */
void lmb_found_add(lmb_found_list *p, int64_t place, lmb_candidate c);

/* Sigmoid scores of one level: places first .. first + n - 1 of logits
 * [.., classes] and, unless the factor is ALONE, of factor [..]. Adds at most
 * rule->top candidates without boxes; the capacity must hold them. ENOMEM. */
lmb_status lmb_found_level(lmb_found_list *p, const float *logits,
    const float *factor, int64_t first, int64_t n, int32_t classes,
    const lmb_found_rule *rule) LMB_MUST_CHECK;

#endif
