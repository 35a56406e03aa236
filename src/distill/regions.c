/* regions.c: boxes on the grid of a feature map.
 *
 * The grid spreads over the whole padded input, so a corner at x lies x w /
 * width cells from the left. Rounding is counting: floor(c) is the number of
 * integers 1 .. n that are <= c, ceil(c) that of 0 .. n - 1 that are < c, for
 * c in [0, n]. */
#include "distill/regions.h"

bool lmb_need_boxes(const lmb_build *b)
{
    if (lmb_is(b->boxes) && lmb_is(b->box_valid) && b->input_size[0] > 0 &&
        b->input_size[1] > 0)
        return true;
    lmb_graph_fail(b->g, LMB_FAIL(LMB_EINVAL, "%s: needs boxes", b->method));
    return false;
}

/* 0 + shift, 1 + shift, .. n - 1 + shift: [1, 1, n]. */
static lmb_value ticks(lmb_graph *g, int64_t n, double shift)
{
    double *x = lmb_graph_memory(g, (size_t)n * sizeof *x);
    for (int64_t i = 0; x != NULL && i < n; i++)
        x[i] = (double)i + shift;
    return lmb_graph_constant(g, LMB_SHAPE(1, 1, n), x, 0);
}

/* Corner k of all boxes in cells along an axis of n: [N, M, 1]. */
static lmb_value corner(const lmb_build *b, int k, int64_t n)
{
    const double size = (double)b->input_size[k % 2 == 0 ? 1 : 0];
    lmb_value x = lmb_slice(b->g, b->boxes, 2, k, k + 1);
    /* In this order whole cells come out whole. */
    return lmb_div(
        b->g, lmb_scale(b->g, x, (double)n), lmb_graph_scalar(b->g, size));
}

/* The cells of one axis that each box covers: [N, M, n] of 0 and 1, and how
 * many they are, counted as if the axis had a cell more: [N, M, 1]. */
typedef struct cover {
    lmb_value cells, count;
} cover;

static cover cover_axis(const lmb_build *b, int axis, int64_t n)
{
    lmb_graph *g = b->g;
    lmb_value low = corner(b, axis, n), high = corner(b, axis + 2, n);
    lmb_value first = lmb_sum(
        g, lmb_greater_equal(g, low, ticks(g, n, 1)), LMB_AXIS(2), true);
    lmb_value last =
        lmb_sum(g, lmb_greater(g, high, ticks(g, n, 0)), LMB_AXIS(2), true);
    lmb_value k = ticks(g, n, 0);
    return (cover){
        .cells = lmb_mul(
            g, lmb_greater_equal(g, k, first), lmb_greater_equal(g, last, k)),
        .count = lmb_shift(g, lmb_sub(g, last, first), 1),
    };
}

/* y [N, M, h] and x [N, M, w] as maps [N, M, h, w], times weight [N, M]. */
static lmb_value maps_of(
    const lmb_build *b, lmb_value y, lmb_value x, lmb_value weight)
{
    lmb_graph *g = b->g;
    const int64_t n = lmb_graph_dim(g, y, 0), m = lmb_graph_dim(g, y, 1);
    const int64_t h = lmb_graph_dim(g, y, 2), w = lmb_graph_dim(g, x, 2);
    y = lmb_mul(g, y, lmb_reshape(g, weight, LMB_SHAPE(n, m, 1)));
    return lmb_mul(g, lmb_reshape(g, y, LMB_SHAPE(n, m, h, 1)),
        lmb_reshape(g, x, LMB_SHAPE(n, m, 1, w)));
}

/* The largest of these maps over the boxes: [N, 1, h, w]. */
static lmb_value union_of(
    const lmb_build *b, lmb_value y, lmb_value x, lmb_value weight)
{
    return lmb_max(b->g, maps_of(b, y, x, weight), LMB_AXIS(1), true);
}

lmb_regions lmb_box_regions(const lmb_build *b, int64_t h, int64_t w)
{
    lmb_graph *g = b->g;
    const cover y = cover_axis(b, 1, h), x = cover_axis(b, 0, w);
    lmb_value valid = b->box_valid;
    lmb_value cells =
        lmb_reshape(g, lmb_mul(g, y.count, x.count), lmb_graph_shape(g, valid));
    lmb_value one = lmb_graph_scalar(g, 1), none = lmb_graph_scalar(g, 0);
    /* Padding may have any corners: no division by what they make. */
    lmb_value weight = lmb_select(
        g, valid, lmb_reciprocal(g, lmb_select(g, valid, cells, one)), none);
    lmb_value fore = union_of(b, y.cells, x.cells, weight);
    lmb_value open = lmb_affine(g, lmb_greater(g, fore, none), -1, 1);
    lmb_value count =
        lmb_sum(g, open, LMB_AXIS(1) | LMB_AXIS(2) | LMB_AXIS(3), true);
    return (lmb_regions){
        .fore = lmb_stop_gradient(g, fore),
        .back = lmb_div(g, open, lmb_maximum(g, count, one)),
    };
}

/* Cells of an axis whose centre lies in [low, high) of each box. */
static lmb_value centres_inside(const lmb_build *b, int axis, int64_t n)
{
    lmb_graph *g = b->g;
    lmb_value centre = ticks(g, n, 0.5);
    return lmb_mul(g, lmb_greater_equal(g, centre, corner(b, axis, n)),
        lmb_greater(g, corner(b, axis + 2, n), centre));
}

lmb_value lmb_box_inside(const lmb_build *b, int64_t h, int64_t w)
{
    lmb_value y = centres_inside(b, 1, h), x = centres_inside(b, 0, w);
    return lmb_stop_gradient(b->g, union_of(b, y, x, b->box_valid));
}

/* 1 / area of each box in pixels, 0 for padding: [N, M]. */
static lmb_value smallness(const lmb_build *b)
{
    lmb_graph *g = b->g;
    const lmb_shape shape = lmb_graph_shape(g, b->box_valid);
    lmb_value low = lmb_slice(g, b->boxes, 2, 0, 2);
    lmb_value side = lmb_sub(g, lmb_slice(g, b->boxes, 2, 2, 4), low);
    lmb_value area =
        lmb_mul(g, lmb_slice(g, side, 2, 0, 1), lmb_slice(g, side, 2, 1, 2));
    area = lmb_select(
        g, b->box_valid, lmb_reshape(g, area, shape), lmb_graph_scalar(g, 1));
    return lmb_mul(g, lmb_reciprocal(g, area), b->box_valid);
}

lmb_value lmb_box_class(const lmb_build *b, int64_t h, int64_t w)
{
    static const int to_last[] = {0, 2, 3, 1};
    lmb_graph *g = b->g;
    lmb_value y = centres_inside(b, 1, h), x = centres_inside(b, 0, w);
    lmb_value maps = lmb_permute(g, maps_of(b, y, x, smallness(b)), to_last);
    const int64_t n = lmb_graph_dim(g, b->box_valid, 0);
    const int64_t m = lmb_graph_dim(g, b->box_valid, 1);
    lmb_value best =
        lmb_top_k(g, lmb_reshape(g, maps, LMB_SHAPE(n, h * w, m)), 1);
    return lmb_gather(
        g, b->box_labels, lmb_reshape(g, best, LMB_SHAPE(n, h * w)), 1);
}
