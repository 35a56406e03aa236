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

/* Boxes that were kept, some side by side for vectors. */
enum { LMB_NMS_LANES = 8 };
typedef struct lmb_nms_tile {
    float x0[LMB_NMS_LANES], y0[LMB_NMS_LANES];
    float x1[LMB_NMS_LANES], y1[LMB_NMS_LANES];
    float area[LMB_NMS_LANES];
    int32_t group[LMB_NMS_LANES];
} lmb_nms_tile;
static inline int64_t lmb_nms_tiles(int64_t capacity)
{
    return (capacity + LMB_NMS_LANES - 1) / LMB_NMS_LANES;
}

/* Positions of what is kept, best first, `capacity` at most; returns their
 * number. `tile` is memory to work in, lmb_nms_tiles(capacity) of them. */
int64_t lmb_nms(lmb_nms_boxes boxes, double threshold, int64_t capacity,
    lmb_nms_tile *tile, int64_t *kept);

#endif
