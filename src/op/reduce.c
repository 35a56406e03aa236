/* reduce.c: sum, mean and maximum over a set of axes.
 *
 *   x -> y; reduced axes become 1 (keep) or vanish. A mask of 0 means all
 *   axes. The sum over an empty set is 0; its mean and maximum are refused.
 * Gradients: sum repeats dy; mean repeats dy / count; maximum gives dy to the
 * first of equal maxima in row-major order:
 *   max_bwd(dy, x, y) -> dx, with dy and y of the kept shape. */
#include "op/op_util.h"

#include <math.h>

static bool is_reduced(const lmb_reduce_attr *a, int axis)
{
    return (a->axes >> axis & 1u) != 0;
}

/* Shape of x with the reduced axes as 1. */
static lmb_shape kept_shape(const lmb_reduce_attr *a, lmb_shape x)
{
    for (int i = 0; i < x.rank; i++)
        if (is_reduced(a, i))
            x.dim[i] = 1;
    return x;
}

/* How many elements of x go into one of y. */
static int64_t set_size(const lmb_reduce_attr *a, const lmb_shape *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->rank; i++)
        if (is_reduced(a, i))
            count *= x->dim[i];
    return count;
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_reduce_attr *a = attr;
    const lmb_shape *x = &in[0].shape;
    LMB_TRY(lmb__want_real(in, 0));
    if (a->axes >> x->rank != 0)
        return LMB_FAIL(
            LMB_ESHAPE, "an axis lies outside shape %s", lmb_shape_text(x));
    if (a->kind != LMB_REDUCE_SUM && set_size(a, x) == 0)
        return LMB_FAIL(LMB_ESHAPE, "mean or maximum of no elements, shape %s",
            lmb_shape_text(x));
    out[0] = (lmb_type){LMB_F32, {0}};
    for (int i = 0; i < x->rank; i++)
        if (a->keep || !is_reduced(a, i))
            out[0].shape.dim[out[0].shape.rank++] =
                is_reduced(a, i) ? 1 : x->dim[i];
    return LMB_OK;
}

/* Adds or compares every element of x into its element of y. */
static void accumulate(const lmb_ref *r, lmb_reduce_kind kind)
{
    const lmb_shape *x = &r->in_type[0].shape;
    const lmb_shape kept = kept_shape(r->attr, *x);
    int64_t stride[LMB_MAX_RANK];
    lmb__broadcast_strides(&kept, x, stride);
    const int64_t n = lmb_shape_count(x);
    for (int64_t i = 0; i < n; i++) {
        double *y = &r->out[0][lmb__offset(x, stride, i)];
        const double v = r->in[0][i];
        if (kind != LMB_REDUCE_MAX)
            *y += v;
        else if (v > *y || isnan(v))
            *y = v;
    }
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_reduce_attr *a = r->attr;
    const lmb_reduce_kind kind = (lmb_reduce_kind)a->kind;
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = kind == LMB_REDUCE_MAX ? -INFINITY : 0;
    accumulate(r, kind);
    if (kind == LMB_REDUCE_MEAN) {
        const double size = (double)set_size(a, &r->in_type[0].shape);
        for (int64_t i = 0; i < n; i++)
            r->out[0][i] /= size;
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_reduce_attr *a = c->attr;
    const lmb_shape x = lmb_graph_shape(g, c->in[0]);
    const lmb_shape kept = kept_shape(a, x);
    const lmb_value dy = lmb_reshape(g, c->dy[0], kept);
    if (a->kind == LMB_REDUCE_MAX) {
        const lmb_value y = lmb_reshape(g, c->out[0], kept);
        const lmb_value in[] = {dy, c->in[0], y};
        c->dx[0] = lmb__apply(g, &lmb_op_max_bwd, NULL, 3, in);
        return;
    }
    const lmb_value scaled = a->kind == LMB_REDUCE_MEAN
        ? lmb_scale(g, dy, 1 / (double)set_size(a, &x))
        : dy;
    c->dx[0] = lmb_broadcast(g, scaled, x);
}

const lmb_op lmb_op_reduce = {
    .name = "reduce",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_reduce_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

/* --- max_bwd */

static lmb_status max_bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    const lmb_shape *x = &in[1].shape, *y = &in[2].shape;
    for (int i = 0; i < n_in; i++)
        LMB_TRY(lmb__want_real(in, i));
    bool good = y->rank == x->rank && lmb_shape_equal(&in[0].shape, y);
    for (int i = 0; good && i < x->rank; i++)
        good = y->dim[i] == x->dim[i] || y->dim[i] == 1;
    if (!good)
        return LMB_FAIL(LMB_ESHAPE, "shapes dy %s, x %s, y %s do not agree",
            lmb_shape_text(&in[0].shape), lmb_shape_text(x), lmb_shape_text(y));
    out[0] = in[1];
    return LMB_OK;
}

static lmb_status max_bwd_reference(const lmb_ref *r)
{
    const lmb_shape *x = &r->in_type[1].shape, *y = &r->in_type[2].shape;
    bool *given = NULL; /* this maximum's gradient has gone to an element */
    LMB_TRY(LMB_NEW(given, lmb_shape_count(y)));
    int64_t stride[LMB_MAX_RANK];
    lmb__broadcast_strides(y, x, stride);
    const int64_t n = lmb_shape_count(x);
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = lmb__offset(x, stride, i);
        const bool first = !given[j] && r->in[1][i] == r->in[2][j];
        r->out[0][i] = first ? r->in[0][j] : 0;
        given[j] = given[j] || first;
    }
    lmb_free(given);
    return LMB_OK;
}

const lmb_op lmb_op_max_bwd = {
    .name = "max_bwd",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = max_bwd_shape,
    .reference = max_bwd_reference,
};

/* --- builders */

/* Bits 15, 14, .. of a mask are the axes -1, -2, .. */
static uint32_t resolve_axes(uint32_t axes, int rank)
{
    if (axes == LMB_ALL_AXES)
        return ((uint32_t)1 << rank) - 1;
    uint32_t out = axes & 0x3ffu;
    for (int k = 1; k <= LMB_MAX_RANK; k++)
        if ((axes >> (16 - k) & 1u) != 0)
            out |= k <= rank ? (uint32_t)1 << (rank - k) : (uint32_t)1 << 15;
    return out; /* bit 15: out of range, for the shape rule to refuse */
}

static lmb_value apply(
    lmb_graph *g, lmb_reduce_kind kind, lmb_value x, uint32_t axes, bool keep)
{
    const lmb_reduce_attr attr = {
        .kind = (int32_t)kind,
        .axes = resolve_axes(axes, lmb_graph_rank(g, x)),
        .keep = keep,
    };
    return lmb__apply(g, &lmb_op_reduce, &attr, 1, &x);
}

lmb_value lmb_sum(lmb_graph *g, lmb_value x, uint32_t axes, bool keep)
{
    return apply(g, LMB_REDUCE_SUM, x, axes, keep);
}

lmb_value lmb_mean(lmb_graph *g, lmb_value x, uint32_t axes, bool keep)
{
    return apply(g, LMB_REDUCE_MEAN, x, axes, keep);
}

lmb_value lmb_max(lmb_graph *g, lmb_value x, uint32_t axes, bool keep)
{
    return apply(g, LMB_REDUCE_MAX, x, axes, keep);
}
