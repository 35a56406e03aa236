/* regions.h: which cells of a feature map ground-truth boxes cover. */
#ifndef LMB_DISTILL_REGIONS_H
#define LMB_DISTILL_REGIONS_H

#include "distill/method.h"

/* FGD's two weights of the cells of an h x w map, [N, 1, h, w] each. A box
 * covers the cells from floor(low) to ceil(high), both included, of its
 * corners in cells. Yang et al., arXiv:2111.11837, eq. 1-2. */
typedef struct lmb_regions {
    lmb_value fore; /* 1 / cells of the box; where boxes overlap the largest */
    lmb_value back; /* 1 / number of uncovered cells; 0 in covered ones */
} lmb_regions;
lmb_regions lmb_box_regions(const lmb_build *b, int64_t h, int64_t w);

/* 1 in the cells whose centre lies inside a box, else 0: [N, 1, h, w]. */
lmb_value lmb_box_inside(const lmb_build *b, int64_t h, int64_t w);

/* The class of the smallest box over the centre of each cell, I32 [N, h w];
 * any class where no box is. Needs b->box_labels. */
lmb_value lmb_box_class(const lmb_build *b, int64_t h, int64_t w);

/* False, and a sticky error, if the build has no boxes. */
bool lmb_need_boxes(const lmb_build *b);

#endif
