/* scatter_add.c: elements added into zeros at given places along one axis.
 *
 *   y = 0 of the shape of x with `size` on the axis;
 *   y[.., idx[.., i, ..], ..] += x[.., i, ..]; idx I32 has the shape of x.
 * The adjoint of gather: equal indices add up, in row-major order. An index
 * outside the axis is an error when the op runs. Gradient to x: gather of dy
 * at idx; none to idx. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_scatter_attr *a = attr;
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(lmb__want_index(in, 1));
    if (!lmb_shape_equal(&in[0].shape, &in[1].shape))
        return LMB_FAIL(LMB_ESHAPE, "shapes x %s and idx %s must be equal",
            lmb_shape_text(&in[0].shape), lmb_shape_text(&in[1].shape));
    if (a->size < 0)
        return LMB_FAIL(
            LMB_ESHAPE, "size %lld is negative", (long long)a->size);
    out[0] = in[0];
    out[0].shape.dim[a->axis] = a->size;
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_scatter_attr *a = r->attr;
    const lmb__view vx = lmb__axis_view(&r->in_type[0].shape, a->axis);
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = 0;
    for (int64_t o = 0; o < vx.outer; o++)
        for (int64_t k = 0; k < vx.size; k++)
            for (int64_t i = 0; i < vx.inner; i++) {
                const int64_t at = (o * vx.size + k) * vx.inner + i;
                const double to = r->in[1][at];
                if (!(to >= 0 && to < (double)a->size))
                    return LMB_FAIL(LMB_EINVAL,
                        "scatter_add: index %g outside 0..%lld", to,
                        (long long)a->size - 1);
                r->out[0][(o * a->size + (int64_t)to) * vx.inner + i] +=
                    r->in[0][at];
            }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_scatter_attr *a = c->attr;
    if (c->need[0])
        c->dx[0] = lmb_gather(g, c->dy[0], c->in[1], a->axis);
}

const lmb_op lmb_op_scatter_add = {
    .name = "scatter_add",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_scatter_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_scatter_add(
    lmb_graph *g, lmb_value x, lmb_value idx, int axis, int64_t size)
{
    if (!lmb__resolve_axis(g, "scatter_add", x, &axis))
        return LMB_NONE;
    const lmb_scatter_attr attr = {axis, size};
    const lmb_value in[] = {x, idx};
    return lmb__apply(g, &lmb_op_scatter_add, &attr, 2, in);
}
