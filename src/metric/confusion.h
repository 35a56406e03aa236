/* confusion.h: which class is taken for which.
 *
 * Detections whose score reaches a threshold are paired with truths of any
 * class, pairs of the largest IoU first, each box in one pair. Rows are the
 * true classes, columns the found ones; the last row holds detections without
 * a truth, the last column truths that nothing found. Crowds and difficult
 * truths are left out, and unpaired detections that overlap them. */
#ifndef LMB_METRIC_CONFUSION_H
#define LMB_METRIC_CONFUSION_H

#include "metric/boxes.h"

typedef struct lmb_confusion {
    int64_t *count; /* [categories + 1, categories + 1] */
    int32_t categories;
} lmb_confusion;

/* Usual thresholds: IoU 0.5, score 0.3. EINVAL: lmb_boxes_check, or an IoU
 * that is not in 0 .. 1. ENOMEM. */
lmb_status lmb_confusion_eval(const lmb_boxes *boxes, double iou, double score,
    lmb_confusion *out) LMB_MUST_CHECK;
void lmb_confusion_fini(lmb_confusion *confusion);

#endif
