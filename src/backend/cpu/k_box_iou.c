/* k_box_iou.c: IoU and generalised IoU of boxes, row by row, and gradients;
 * the formulas are those of src/op/box_iou.c. */
#include "backend/cpu/kernel_util.h"

static const float LEAST = 1e-6f;

typedef struct axis {
    float inner, outer; /* lengths of intersection and hull */
    bool inner_moves, outer_moves;
    float low, high; /* a's share of the inner edges */
} axis;

K_INLINE float share(float a, float b)
{
    return a > b ? 1.0f : a < b ? 0.0f : 0.5f;
}
K_INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}
K_INLINE float smaller(float a, float b)
{
    return a < b ? a : b;
}
K_INLINE axis axis_of(const float *a, const float *b, int i)
{
    const float inner = smaller(a[i + 2], b[i + 2]) - larger(a[i], b[i]);
    const float outer = larger(a[i + 2], b[i + 2]) - smaller(a[i], b[i]);
    return (axis){
        .inner = larger(inner, 0),
        .outer = larger(outer, 0),
        .inner_moves = inner >= 0,
        .outer_moves = outer >= 0,
        .low = share(a[i], b[i]),
        .high = share(b[i + 2], a[i + 2]),
    };
}
K_INLINE float area(const float *b)
{
    return (b[2] - b[0]) * (b[3] - b[1]);
}

static void run_box_iou(const lmb_call *c)
{
    const bool giou = ((const lmb_box_iou_attr *)c->attr)->generalised;
    const int64_t n = k_count(&c->out[0].shape);
    const float *a = c->in[0].data, *b = c->in[1].data;
    float *y = c->out[0].data;
    K_PARALLEL_FOR(16 * n)
    for (int64_t i = 0; i < n; i++) {
        const axis x = axis_of(a + 4 * i, b + 4 * i, 0);
        const axis h = axis_of(a + 4 * i, b + 4 * i, 1);
        const float inter = x.inner * h.inner;
        const float all =
            larger(area(a + 4 * i) + area(b + 4 * i) - inter, LEAST);
        const float hull = larger(x.outer * h.outer, LEAST);
        y[i] = inter / all - (giou ? (hull - all) / hull : 0);
    }
}

/* How intersection, union and hull weigh in the value. */
typedef struct weights {
    float inter, all, hull;
} weights;

K_INLINE weights weights_of(float inter, float all, float hull, bool giou)
{
    const float u = larger(all, LEAST), h = larger(hull, LEAST);
    const float moving = all > LEAST ? (giou ? 1 / h : 0) - inter / u / u : 0;
    return (weights){
        1 / u - moving, moving, giou && hull > LEAST ? -(u / h / h) : 0};
}

/* Gradient of one axis to a (first) or b; across: that box's other length. */
K_INLINE void slope(const weights *w, const axis *x, const axis *other,
    float across, bool first, float dy, float *d)
{
    const float inner = x->inner_moves ? w->inter * other->inner : 0;
    const float outer = x->outer_moves ? w->hull * other->outer : 0;
    const float low = first ? x->low : 1 - x->low;
    const float high = first ? x->high : 1 - x->high;
    d[0] = dy * (-inner * low - outer * (1 - low) - w->all * across);
    d[2] = dy * (inner * high + outer * (1 - high) + w->all * across);
}

static void row_bwd(
    const float *a, const float *b, bool giou, float dy, float *da, float *db)
{
    const axis axes[] = {axis_of(a, b, 0), axis_of(a, b, 1)};
    const float inter = axes[0].inner * axes[1].inner;
    const weights w = weights_of(
        inter, area(a) + area(b) - inter, axes[0].outer * axes[1].outer, giou);
    for (int k = 0; k < 2; k++) {
        const axis *x = &axes[k], *other = &axes[1 - k];
        slope(&w, x, other, a[3 - k] - a[1 - k], true, dy, da + k);
        slope(&w, x, other, b[3 - k] - b[1 - k], false, dy, db + k);
    }
}

static void run_box_iou_bwd(const lmb_call *c)
{
    const bool giou = ((const lmb_box_iou_attr *)c->attr)->generalised;
    const int64_t n = k_count(&c->in[0].shape);
    const float *dy = c->in[0].data, *a = c->in[1].data, *b = c->in[2].data;
    float *da = c->out[0].data, *db = c->out[1].data;
    K_PARALLEL_FOR(32 * n)
    for (int64_t i = 0; i < n; i++)
        row_bwd(a + 4 * i, b + 4 * i, giou, dy[i], da + 4 * i, db + 4 * i);
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_box_iou)[];
const lmb_kernel LMB_KERNEL_TABLE(k_box_iou)[] = {
    {&lmb_op_box_iou, LMB_RULE_PLAIN, false, run_box_iou, NULL, NULL},
    {&lmb_op_box_iou_bwd, LMB_RULE_PLAIN, false, run_box_iou_bwd, NULL, NULL},
    {0},
};
