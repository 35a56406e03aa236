/* gather.c: elements picked along one axis (NumPy's take_along_axis).
 *
 *   y[.., i, ..] = x[.., idx[.., i, ..], ..]; idx I32 has the shape of x but
 *   for that axis, and y has the shape of idx. x may be real or an index.
 * An index outside the axis is an error when the op runs. Gradient to x:
 * scatter_add of dy at idx; none to idx. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const int axis = ((const lmb_axis_attr *)attr)->axis;
    const lmb_shape *x = &in[0].shape, *idx = &in[1].shape;
    LMB_TRY(lmb__want_index(in, 1));
    bool good = x->rank == idx->rank;
    for (int i = 0; good && i < x->rank; i++)
        good = i == axis || x->dim[i] == idx->dim[i];
    if (!good)
        return LMB_FAIL(LMB_ESHAPE,
            "shapes x %s and idx %s differ outside axis %d", lmb_shape_text(x),
            lmb_shape_text(idx), axis);
    out[0] = (lmb_type){in[0].dtype, *idx};
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const int axis = ((const lmb_axis_attr *)r->attr)->axis;
    const lmb__view vx = lmb__axis_view(&r->in_type[0].shape, axis);
    const lmb__view vy = lmb__axis_view(&r->out_type[0].shape, axis);
    for (int64_t o = 0; o < vy.outer; o++)
        for (int64_t k = 0; k < vy.size; k++)
            for (int64_t i = 0; i < vy.inner; i++) {
                const int64_t at = (o * vy.size + k) * vy.inner + i;
                const double from = r->in[1][at];
                if (!(from >= 0 && from < (double)vx.size))
                    return LMB_FAIL(LMB_EINVAL,
                        "gather: index %g outside 0..%lld", from,
                        (long long)vx.size - 1);
                r->out[0][at] =
                    r->in[0][(o * vx.size + (int64_t)from) * vx.inner + i];
            }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const int axis = ((const lmb_axis_attr *)c->attr)->axis;
    if (c->need[0])
        c->dx[0] = lmb_scatter_add(
            g, c->dy[0], c->in[1], axis, lmb_graph_dim(g, c->in[0], axis));
}

const lmb_op lmb_op_gather = {
    .name = "gather",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_axis_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_gather(lmb_graph *g, lmb_value x, lmb_value idx, int axis)
{
    if (!lmb__resolve_axis(g, "gather", x, &axis))
        return LMB_NONE;
    const lmb_axis_attr attr = {axis};
    const lmb_value in[] = {x, idx};
    return lmb__apply(g, &lmb_op_gather, &attr, 2, in);
}
