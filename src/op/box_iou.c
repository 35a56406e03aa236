/* box_iou.c: IoU and generalised IoU of boxes, row by row.
 *
 *   box_iou(a [.., 4], b [.., 4]) -> y [..];
 *   box_iou_bwd(dy, a, b) -> da, db
 * The formulas are lmb_detect_overlap's and lmb_detect_giou's
 * (detect/box.h). With I the intersection, U the union, H the hull:
 *   iou = I / U,  giou = I / U - 1 + U / H
 *   d giou = dI / U + (1 / H - I / U^2) dU - U / H^2 dH,  dU = dA + dB - dI
 * where a denominator that counts as 1e-6 does not move. An edge that both
 * boxes share gives half to each, as PyTorch's maximum does. */
#include "detect/box.h"
#include "op/op_util.h"

#include <math.h>

static lmb_shape rows_of(const lmb_shape *boxes)
{
    lmb_shape rows = *boxes;
    rows.dim[--rows.rank] = 0;
    return rows;
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    lmb_type both;
    LMB_TRY(lmb__shape_same2(attr, n_in, in, &both));
    LMB_TRY(lmb__want_last(in, 0, 4));
    out[0] = (lmb_type){LMB_F32, rows_of(&both.shape)};
    return LMB_OK;
}

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    lmb_type rows;
    LMB_TRY(shape_rule(attr, n_in - 1, in + 1, &rows));
    LMB_TRY(lmb__want_real(in, 0));
    if (!lmb_shape_equal(&in[0].shape, &rows.shape))
        return LMB_FAIL(LMB_ESHAPE, "dy %s does not belong to boxes %s",
            lmb_shape_text(&in[0].shape), lmb_shape_text(&in[1].shape));
    out[0] = in[1];
    out[1] = in[2];
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const bool giou = ((const lmb_box_iou_attr *)r->attr)->generalised;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]); i++) {
        const double *a = r->in[0] + 4 * i, *b = r->in[1] + 4 * i;
        r->out[0][i] = giou ? lmb_detect_giou(a, b) : lmb_detect_overlap(a, b);
    }
    return LMB_OK;
}

/* How I, U and H weigh in the value. */
typedef struct weights {
    double inter, all, hull;
} weights;

static double area(const double *b)
{
    return (b[2] - b[0]) * (b[3] - b[1]);
}

/* Lengths on one axis of intersection and hull, which move unless they would
 * be negative, and a's share of the two inner edges (1, 0 or 1/2). */
typedef struct axis {
    double inner, outer;
    bool inner_moves, outer_moves;
    double low, high;
} axis;

static double share(double a, double b)
{
    return a > b ? 1 : a < b ? 0 : 0.5;
}

static axis axis_of(const double *a, const double *b, int i)
{
    const double inner = fmin(a[i + 2], b[i + 2]) - fmax(a[i], b[i]);
    const double outer = fmax(a[i + 2], b[i + 2]) - fmin(a[i], b[i]);
    return (axis){
        .inner = fmax(inner, 0),
        .outer = fmax(outer, 0),
        .inner_moves = inner >= 0,
        .outer_moves = outer >= 0,
        .low = share(a[i], b[i]),
        .high = share(b[i + 2], a[i + 2]),
    };
}

static weights weights_of(double inter, double all, double hull, bool giou)
{
    const double u = fmax(all, 1e-6), h = fmax(hull, 1e-6);
    weights w = {.inter = 1 / u};
    const double moving = all > 1e-6 ? (giou ? 1 / h : 0) - inter / (u * u) : 0;
    w.all = moving;
    w.hull = giou && hull > 1e-6 ? -u / (h * h) : 0;
    w.inter -= moving;
    return w;
}

/* The part of da (side 1) or db (side 0) that comes from the axis i, whose
 * partner has the inner and outer lengths given. */
static void slope_axis(const weights *w, const axis *x, const axis *other,
    double across, bool side, double out[2])
{
    const double inner = x->inner_moves ? w->inter * other->inner : 0;
    const double outer = x->outer_moves ? w->hull * other->outer : 0;
    const double low = side ? x->low : 1 - x->low;
    const double high = side ? x->high : 1 - x->high;
    /* low: the inner edge is the larger one, the outer edge the smaller. */
    out[0] = -inner * low - outer * (1 - low) - w->all * across;
    out[1] = inner * high + outer * (1 - high) + w->all * across;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const bool giou = ((const lmb_box_iou_attr *)r->attr)->generalised;
    for (int64_t i = 0; i < lmb__count(&r->in_type[0]); i++) {
        const double *side[] = {r->in[2] + 4 * i, r->in[1] + 4 * i};
        const axis axes[] = {
            axis_of(side[1], side[0], 0), axis_of(side[1], side[0], 1)};
        const double inter = axes[0].inner * axes[1].inner;
        const weights w =
            weights_of(inter, area(side[1]) + area(side[0]) - inter,
                axes[0].outer * axes[1].outer, giou);
        for (int s = 0; s < 2; s++)
            for (int k = 0; k < 2; k++) {
                double d[2];
                const double across = side[s][3 - k] - side[s][1 - k];
                slope_axis(&w, &axes[k], &axes[1 - k], across, s == 1, d);
                r->out[1 - s][4 * i + k] = r->in[0][i] * d[0];
                r->out[1 - s][4 * i + k + 2] = r->in[0][i] * d[1];
            }
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1]};
    lmb_value out[2];
    lmb__apply_all(g, &lmb_op_box_iou_bwd, c->attr, 3, in, out);
    c->dx[0] = out[0];
    c->dx[1] = out[1];
}

const lmb_op lmb_op_box_iou = {
    .name = "box_iou",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_box_iou_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_box_iou_bwd = {
    .name = "box_iou_bwd",
    .min_in = 3,
    .max_in = 3,
    .n_out = 2,
    .attr_size = sizeof(lmb_box_iou_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

static lmb_value build(lmb_graph *g, lmb_value a, lmb_value b, bool generalised)
{
    const lmb_box_iou_attr attr = {generalised};
    const lmb_value in[] = {a, b};
    return lmb__apply(g, &lmb_op_box_iou, &attr, 2, in);
}

lmb_value lmb_box_iou(lmb_graph *g, lmb_value a, lmb_value b)
{
    return build(g, a, b, false);
}

lmb_value lmb_box_giou(lmb_graph *g, lmb_value a, lmb_value b)
{
    return build(g, a, b, true);
}
