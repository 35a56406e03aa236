/* coco_impl.h: from matching (coco_match.c) to numbers (coco_eval.c). */
#ifndef LMB_METRIC_COCO_IMPL_H
#define LMB_METRIC_COCO_IMPL_H

#include "metric/coco_eval.h"

/* What a detection may be compared with: all, small, medium, large. */
enum { LMB_COCO_AREAS = 4, LMB_COCO_MOST = 100 };

/* The threshold of index t: 0.5 + 0.05 t as numpy.linspace rounds it. */
double lmb__coco_threshold(int t);

/* One detection after matching; bit t of a word is the t-th threshold. */
typedef struct lmb_coco_match {
    double score;
    int32_t rank; /* among those of its image and category */
    uint16_t matched[LMB_COCO_AREAS], ignored[LMB_COCO_AREAS];
} lmb_coco_match;

/* The detections of one category, by image, at most LMB_COCO_MOST of each. */
typedef struct lmb_coco_matches {
    lmb_coco_match *items;
    size_t capacity;
    int64_t count;
    int64_t truths[LMB_COCO_AREAS]; /* those that are not ignored */
    /* Working memory. */
    double *iou; /* [detection, truth] */
    int32_t *order; /* truths, the ignored ones last */
    bool *ignored, *taken; /* by truth */
    size_t iou_capacity, gt_capacity;
} lmb_coco_matches;

/* Starts from {0}; may be called for one category after the other. */
lmb_status lmb__coco_match(lmb_coco_matches *m, const lmb_boxes *boxes,
    const lmb_box_order *order, int32_t category) LMB_MUST_CHECK;
void lmb__coco_matches_fini(lmb_coco_matches *m);

#endif
