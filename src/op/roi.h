/* roi.h: where RoIAlign takes its samples, for the op and its kernels.
 *
 * A RoI is image, x0, y0, x1, y1. Along an axis of a level with stride t it
 * begins at lo / t and is cut into `size` bins; a bin has `grid` samples at
 *   start + (p + (i + 1/2) / grid) bin,   p = 0 .. size - 1, i = 0 .. grid - 1,
 * and a sample blends two elements. A sample beyond -1 or the axis' size
 * counts as 0, between -1 and 0 as element 0. Both axes are independent: what
 * one element adds to a bin is a product of two weights. */
#ifndef LMB_OP_ROI_H
#define LMB_OP_ROI_H

#include "op/op_detect.h"

#include <math.h>

enum { LMB_ROI_FARTHEST = 1000000 }; /* input pixels */

/* Is it a box on one of the images, with coordinates that can be meant? */
static inline bool lmb__roi_valid(const double roi[5], int64_t images)
{
    for (int i = 1; i < 5; i++)
        if (!(fabs(roi[i]) <= LMB_ROI_FARTHEST))
            return false;
    return roi[0] >= 0 && roi[0] < (double)images && floor(roi[0]) == roi[0];
}

/* 1e-6: a box on the edge of two levels belongs to the upper one, whatever
 * the logarithm is rounded to. */
static inline int32_t lmb__roi_level(
    const lmb_roi_align_attr *a, const double roi[5])
{
    const double side = sqrt((roi[3] - roi[1]) * (roi[4] - roi[2]));
    const double level =
        floor(a->canonical_level + log2(side / a->canonical_size) + 1e-6);
    if (!(level > 0)) /* NaN too: width or height is negative */
        return 0;
    return level < a->levels ? (int32_t)level : a->levels - 1;
}

typedef struct lmb_roi_axis {
    double start, bin;
    int64_t grid, size; /* samples a bin, elements */
} lmb_roi_axis;

static inline lmb_roi_axis lmb__roi_axis(const lmb_roi_align_attr *a,
    int32_t level, double lo, double hi, int64_t size)
{
    const double shift = a->aligned ? 0.5 : 0;
    lmb_roi_axis x = {.start = lo / a->stride[level] - shift, .size = size};
    double extent = hi / a->stride[level] - shift - x.start;
    if (!a->aligned)
        extent = fmax(extent, 1);
    x.bin = extent / a->size;
    x.grid = a->samples > 0 ? a->samples : (int64_t)fmax(ceil(x.bin), 0);
    return x;
}

/* Of bin p the samples that can lie inside: from .. to - 1 hold them all. */
static inline void lmb__roi_samples(
    const lmb_roi_axis *x, int64_t p, int64_t *from, int64_t *to)
{
    *from = 0;
    *to = x->grid;
    const double step = x->bin / (double)x->grid;
    if (x->grid == 0 || !(step > 0))
        return;
    const double first = x->start + (double)p * x->bin + step / 2;
    const double lo = floor((-1 - first) / step);
    const double hi = floor(((double)x->size - first) / step) + 2;
    *from = (int64_t)fmin(fmax(lo, 0), (double)x->grid);
    *to = (int64_t)fmin(fmax(hi, (double)*from), (double)x->grid);
}

/* Sample i of bin p: 1 - t of element i0 and t of i1. */
typedef struct lmb_roi_blend {
    int64_t i0, i1;
    double t;
} lmb_roi_blend;

/* False: outside, counts as 0. */
static inline bool lmb__roi_blend(
    const lmb_roi_axis *x, int64_t p, int64_t i, lmb_roi_blend *out)
{
    double at =
        x->start + ((double)p + ((double)i + 0.5) / (double)x->grid) * x->bin;
    if (!(at >= -1 && at <= (double)x->size))
        return false;
    at = fmax(at, 0);
    const int64_t last = x->size - 1;
    const int64_t i0 = (int64_t)at < last ? (int64_t)at : last;
    *out = (lmb_roi_blend){i0, i0 < last ? i0 + 1 : i0, at - (double)i0};
    if (i0 == last)
        out->t = 0;
    return true;
}

#endif
