/* composite_detect.c: formulas of detectors made of other ops. */
#include "op/op_util.h"

/* -1 -1 1 1: what distances are multiplied by. */
static lmb_value signs(lmb_graph *g)
{
    static const double sign[] = {-1, -1, 1, 1};
    return lmb_graph_constant(g, LMB_SHAPE(4), sign, 0);
}

/* x y x y of points x y. */
static lmb_value corners(lmb_graph *g, lmb_value points)
{
    const lmb_value twice[] = {points, points};
    return lmb_concat(g, 2, twice, -1);
}

lmb_value lmb_distance_decode(
    lmb_graph *g, lmb_value points, lmb_value distances)
{
    return lmb_add(g, corners(g, points), lmb_mul(g, distances, signs(g)));
}

lmb_value lmb_distance_encode(lmb_graph *g, lmb_value points, lmb_value boxes)
{
    const lmb_value from = lmb_sub(g, boxes, corners(g, points));
    return lmb_stop_gradient(g, lmb_mul(g, from, signs(g)));
}

lmb_value lmb_bce_logits(lmb_graph *g, lmb_value x, lmb_value target)
{
    return lmb_sub(g, lmb_softplus(g, x), lmb_mul(g, x, target));
}
