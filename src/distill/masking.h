/* masking.h: which places or channels of a feature map are hidden: 0 hides,
 * 1 shows. Masks are constants of a step: no gradient goes through them. */
#ifndef LMB_DISTILL_MASKING_H
#define LMB_DISTILL_MASKING_H

#include "distill/method.h"

enum { LMB_HIDE_IMPORTANT, LMB_HIDE_UNIMPORTANT }; /* polarity */

/* Hides where weight >= level (or, unimportant, where it is less). */
lmb_value lmb_mask_threshold(
    lmb_graph *g, lmb_value weight, double level, int polarity);

/* Hides round(ratio n) of the n elements of each image [N, ..], the largest
 * (or smallest) by rank; of equal ones the first. */
lmb_value lmb_mask_quantile(
    lmb_graph *g, lmb_value weight, double ratio, int polarity);

/* 1 - sigmoid((weight - level) / softness): the larger, the more hidden (or,
 * unimportant, the smaller). level is a number or broadcasts to weight. */
lmb_value lmb_mask_soft(lmb_graph *g, lmb_value weight, lmb_value level,
    double softness, int polarity);
/* The level that lmb_mask_quantile cuts at: the last weight that is hidden,
 * [N, 1, 1, 1]. */
lmb_value lmb_mask_level(
    lmb_graph *g, lmb_value weight, double ratio, int polarity);

/* A random mask of the given shape as graph input "mask<i>", filled by
 * lmb_mask_feed with 0 where a uniform number is > 1 - ratio. */
lmb_value lmb_mask_random(lmb_graph *g, int i, lmb_shape shape);
/* Room for the largest mask, kept from step to step: zeroed at first, freed by
 * the method's fini. */
typedef struct lmb_mask_room {
    double *mask;
    int64_t size;
} lmb_mask_room;
/* Fills the masks 0 .. LMB_MAX_PAIRS - 1 that there are. */
lmb_status lmb_mask_feed(
    const lmb_feed *f, double ratio, lmb_mask_room *room) LMB_MUST_CHECK;

#endif
