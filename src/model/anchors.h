/* anchors.h: the anchors and points of dense heads, level by level.
 *
 * At place (y, x) of a level lie, in this order, for each ratio r (height to
 * width) and each size s the box of width s / sqrt(r) and height s sqrt(r)
 * around (x step, y step); detect/anchor.h makes them. */
#ifndef LMB_MODEL_ANCHORS_H
#define LMB_MODEL_ANCHORS_H

#include "detect/anchor.h"
#include "model/detector.h"

enum { LMB_ANCHOR_KINDS = 3 };

typedef struct lmb_anchors {
    int n_ratios, n_sizes;
    double ratio[LMB_ANCHOR_KINDS];
    double offset; /* of points: ((x + offset) step, ..); 0 or 0.5 */
    bool whole; /* corners of the boxes around 0 are rounded */
    struct {
        lmb_anchor_grid grid;
        double size[LMB_ANCHOR_KINDS];
    } level[LMB_DETECTOR_LEVELS];
} lmb_anchors;

/* Sets the grids for an input of height and width: the strides
 * themselves, or (torchvision) what is left of input / places. `whole` too. */
void lmb_anchors_init(
    lmb_anchors *a, lmb_layout layout, int first, const int64_t input[2]);
int64_t lmb_anchors_count(const lmb_anchors *a);
/* Anchors of each level. */
void lmb_anchors_sizes(const lmb_anchors *a, int64_t size[LMB_DETECTOR_LEVELS]);
/* x0 y0 x1 y1 of each: 4 lmb_anchors_count elements. */
void lmb_anchors_write(const lmb_anchors *a, double *out);
/* The same as a constant [A, 4]. */
lmb_value lmb_anchors_constant(lmb_graph *g, const lmb_anchors *a);

/* The places themselves, x y, where each has one anchor; as [A, 2]. */
void lmb_points_write(const lmb_anchors *a, double *out);
lmb_value lmb_points_constant(lmb_graph *g, const lmb_anchors *a);
/* The stride of each anchor's level, [A, 1]. */
lmb_value lmb_strides_constant(lmb_graph *g, const lmb_anchors *a, int first);

/* Values of all places and anchors [N, A] as taps "<name>.p<first>", .., rows
 * [N, H W k] of each level. */
void lmb_anchors_taps(
    lmb_nn *nn, const lmb_anchors *a, int first, const char *name, lmb_value v);
/* What was assigned, for methods: taps "label" I32, "positive" 1 or 0. */
void lmb_anchors_assigned(
    lmb_nn *nn, const lmb_anchors *a, int first, lmb_value label, int classes);

#endif
