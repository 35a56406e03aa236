/* box.h: boxes x0 y0 x1 y1 in pixels: overlap, offsets, distances.
 *
 * Overlaps are computed in f32, operation by operation as mmdetection and
 * torchvision do: whether an IoU reaches a threshold and whether two of them
 * tie decide what is assigned and suppressed, so more digits would give other
 * decisions. Offsets and distances are doubles. */
#ifndef LMB_DETECT_BOX_H
#define LMB_DETECT_BOX_H

#include "base/base.h"

typedef struct lmb_box {
    float x0, y0, x1, y1;
} lmb_box;

static inline lmb_box lmb_detect_box(const double box[4])
{
    return (lmb_box){
        (float)box[0], (float)box[1], (float)box[2], (float)box[3]};
}
bool lmb_detect_finite(const lmb_box *box);
static inline float lmb_detect_area(const lmb_box *b)
{
    return (b->x1 - b->x0) * (b->y1 - b->y0);
}

/* |a and b| / |a or b|, 0 where they do not meet; areas are the boxes' own
 * (lmb_detect_area). The union counts as 1e-6 at least. */
static inline float lmb_detect_iou_of(
    const lmb_box *a, float area_a, const lmb_box *b, float area_b)
{
    const float w =
        (a->x1 < b->x1 ? a->x1 : b->x1) - (a->x0 > b->x0 ? a->x0 : b->x0);
    const float h =
        (a->y1 < b->y1 ? a->y1 : b->y1) - (a->y0 > b->y0 ? a->y0 : b->y0);
    if (!(w > 0 && h > 0))
        return 0;
    const float inter = w * h;
    const float all = area_a + area_b - inter;
    return inter / (all > 1e-6f ? all : 1e-6f);
}
float lmb_detect_iou(const lmb_box *a, const lmb_box *b);

/* To 0 <= x <= width, 0 <= y <= height. */
lmb_box lmb_detect_clip(lmb_box box, double height, double width);

/* dx = (cx - ax) / aw / std0, dw = log(w / aw) / std2 and the same for y and
 * h, with centres c and a. Zeros where either box is empty. The codes of
 * Girshick et al. 2014 (arXiv:1311.2524, appendix C): mmdetection's
 * DeltaXYWHBBoxCoder with means 0; torchvision's BoxCoder with weights 1 /
 * std. */
void lmb_detect_encode(const double anchor[4], const double box[4],
    const double std[4], double delta[4]);
/* The reverse; dw and dh are clamped to +-most before exp. */
void lmb_detect_decode(const double anchor[4], const double delta[4],
    const double std[4], double most, double box[4]);
/* log(1000 / 16): what both libraries clamp to. */
#define LMB_DETECT_MOST 4.135166556742356

/* Left, top, right, bottom of a point x y inside a box, and the reverse. */
void lmb_detect_distances(
    const double point[2], const double box[4], double distance[4]);
void lmb_detect_around(
    const double point[2], const double distance[4], double box[4]);

/* IoU and generalised IoU in double, as terms of a loss: the denominators
 * count as 1e-6 at least (mmdetection's bbox_overlaps).
 *   giou = iou - (|hull| - |a or b|) / |hull|
 * Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1. */
double lmb_detect_overlap(const double a[4], const double b[4]);
double lmb_detect_giou(const double a[4], const double b[4]);

#endif
