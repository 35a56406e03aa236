/* voc_eval.h: the average precision of Pascal VOC.
 *
 * M. Everingham et al., The Pascal visual object classes challenge, 2010,
 * section 4.2. Detections by falling score; each takes the truth of its image
 * and class that it overlaps most, and is right if the IoU reaches a threshold
 * and no better one has taken it. Difficult truths and crowds count neither
 * for nor against. AP is the area under the monotone precision-recall curve
 * (since 2010), or its mean at recalls 0, 0.1 .. 1 (2007). */
#ifndef LMB_METRIC_VOC_EVAL_H
#define LMB_METRIC_VOC_EVAL_H

#include "metric/boxes.h"

typedef struct lmb_voc_opts {
    double iou; /* threshold; VOC's is 0.5 */
    bool eleven_points;
    /* Corners are pixels that belong to the box, as in VOC's development kit:
     * sides are one longer than the width and height given. */
    bool inclusive;
} lmb_voc_opts;

typedef struct lmb_voc_class {
    int64_t truths; /* those that count */
    int64_t found;
    double ap; /* fraction; -1: no truths */
} lmb_voc_class;

typedef struct lmb_voc_scores {
    double map; /* over the classes with truths; -1: none */
    lmb_voc_class *classes;
    int32_t categories;
} lmb_voc_scores;

/* EINVAL: lmb_boxes_check, or a threshold outside 0 .. 1. ENOMEM. */
lmb_status lmb_voc_eval(const lmb_boxes *boxes, const lmb_voc_opts *opts,
    lmb_voc_scores *out) LMB_MUST_CHECK;
void lmb_voc_scores_fini(lmb_voc_scores *scores);

#endif
