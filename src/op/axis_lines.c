/* axis_lines.c: kernels and builders of ops that work along one axis. */
#include "op/axis_lines.h"

lmb_status lmb__each_line(const lmb_ref *r, lmb__line_fn *fn)
{
    const lmb_axis_attr *a = r->attr;
    const lmb__view v = lmb__axis_view(&r->in_type[0].shape, a->axis);
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++) {
            const int64_t at = o * v.size * v.inner + i;
            fn(r->in[0] + at, r->n_in > 1 ? r->in[1] + at : NULL, v.size,
                v.inner, r->out[0] + at);
        }
    return LMB_OK;
}

lmb_value lmb__apply_axis(lmb_graph *g, const lmb_op *op, lmb_value x, int axis)
{
    if (!lmb__resolve_axis(g, op->name, x, &axis))
        return LMB_NONE;
    const lmb_axis_attr attr = {axis};
    return lmb__apply(g, op, &attr, 1, &x);
}
