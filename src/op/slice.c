/* slice.c: elements start .. stop-1 of one axis.
 *
 *   x [.., C, ..] -> y [.., stop - start, ..], 0 <= start <= stop <= C.
 * Reals and indices. Gradient: dy with zeros before and after (pad). */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_slice_attr *a = attr;
    const int64_t size = in[0].shape.dim[a->axis];
    if (a->start < 0 || a->start > a->stop || a->stop > size)
        return LMB_FAIL(LMB_ESHAPE,
            "elements %lld..%lld of axis %d of shape %s do not exist",
            (long long)a->start, (long long)a->stop, a->axis,
            lmb_shape_text(&in[0].shape));
    out[0] = in[0];
    out[0].shape.dim[a->axis] = a->stop - a->start;
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_slice_attr *a = r->attr;
    const lmb__view vx = lmb__axis_view(&r->in_type[0].shape, a->axis);
    const int64_t size = a->stop - a->start;
    for (int64_t o = 0; o < vx.outer; o++)
        for (int64_t k = 0; k < size; k++)
            for (int64_t i = 0; i < vx.inner; i++)
                r->out[0][(o * size + k) * vx.inner + i] =
                    r->in[0][(o * vx.size + a->start + k) * vx.inner + i];
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_slice_attr *a = c->attr;
    const int64_t size = lmb_graph_dim(g, c->in[0], a->axis);
    c->dx[0] = lmb_pad(g, c->dy[0], a->axis, a->start, size - a->stop);
}

const lmb_op lmb_op_slice = {
    .name = "slice",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_slice_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_slice(
    lmb_graph *g, lmb_value x, int axis, int64_t start, int64_t stop)
{
    if (!lmb__resolve_axis(g, "slice", x, &axis))
        return LMB_NONE;
    const lmb_slice_attr attr = {axis, start, stop};
    return lmb__apply(g, &lmb_op_slice, &attr, 1, &x);
}
