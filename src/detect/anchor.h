/* anchor.h: the anchors and points of feature levels, in input pixels.
 *
 * A level of height by width places has at each place (row-major over y, x)
 * its base anchors, moved by (x stride_x, y stride_y). */
#ifndef LMB_DETECT_ANCHOR_H
#define LMB_DETECT_ANCHOR_H

#include <stdint.h>

enum { LMB_MAX_BASE = 32 };

/* The anchors of the place 0, 0; ratios outer, scales inner. */
typedef struct lmb_anchor_base {
    int32_t n;
    double box[LMB_MAX_BASE][4];
} lmb_anchor_base;

/* Centred at 0, 0, of area (size scale)^2 and height / width = ratio;
 * n_ratios * n_scales <= LMB_MAX_BASE. mmdetection's AnchorGenerator with
 * centre offset 0. */
lmb_anchor_base lmb_anchor_base_of(double size, int32_t n_ratios,
    const double *ratio, int32_t n_scales, const double *scale);
/* With scales octave 2^(i / per_octave): RetinaNet's (octave 4, 3 an octave;
 * size = stride); ATSS's and GFL's single square (octave 8, 1 an octave, ratio
 * 1). */
lmb_anchor_base lmb_anchor_base_octave(double size, int32_t n_ratios,
    const double *ratio, double octave, int32_t per_octave);
/* Rounds corners to integers, halves to even: torchvision's anchors. */
void lmb_anchor_base_round(lmb_anchor_base *base);

/* x y strides. torchvision's are floor(image size / level size), which differ
 * from the nominal ones where a level was rounded up. */
typedef struct lmb_anchor_grid {
    int64_t height, width;
    double stride_x, stride_y;
} lmb_anchor_grid;
/* out: height * width * base->n rows x0 y0 x1 y1. */
void lmb_anchor_fill(
    const lmb_anchor_grid *grid, const lmb_anchor_base *base, double *out);
/* Points ((x + offset) stride_x, (y + offset) stride_y): offset 0.5 for
 * mmdetection's FCOS, 0 for torchvision's. out: height * width rows x y. */
void lmb_point_fill(const lmb_anchor_grid *grid, double offset, double *out);

#endif
