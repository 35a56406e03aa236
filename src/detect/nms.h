/* nms.h: non-maximum suppression.
 *
 * Greedy: a box is kept unless its IoU with one kept before, of the same
 * group (class or level), is above the threshold. Torchvision's nms; with
 * groups its batched_nms without offsets (mmdetection's too, but that its
 * offsets cost digits). */
#ifndef LMB_DETECT_NMS_H
#define LMB_DETECT_NMS_H

#include "detect/box.h"

typedef struct lmb_nms_boxes {
    const lmb_box *box; /* best first */
    const int32_t *group; /* NULL: one */
    int64_t n;
} lmb_nms_boxes;

/* Positions of what is kept, best first, `capacity` at most; returns their
 * number. */
int64_t lmb_nms(
    lmb_nms_boxes boxes, double threshold, int64_t capacity, int64_t *kept);

#endif
