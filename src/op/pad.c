/* pad.c: zeros before and after, along one axis.
 *
 *   x [.., C, ..] -> y [.., before + C + after, ..].
 * Gradient: the slice of dy that came from x. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_pad_attr *a = attr;
    LMB_TRY(lmb__want_real(in, 0));
    out[0] = in[0];
    int64_t *size = &out[0].shape.dim[a->axis];
    if (!lmb_add_i64(*size, a->before, size) ||
        !lmb_add_i64(*size, a->after, size))
        return LMB_FAIL(LMB_ESHAPE,
            "%lld before and %lld after shape %s: negative or too large",
            (long long)a->before, (long long)a->after,
            lmb_shape_text(&in[0].shape));
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_pad_attr *a = r->attr;
    const lmb__view vx = lmb__axis_view(&r->in_type[0].shape, a->axis);
    const lmb__view vy = lmb__axis_view(&r->out_type[0].shape, a->axis);
    for (int64_t o = 0; o < vy.outer; o++)
        for (int64_t k = 0; k < vy.size; k++)
            for (int64_t i = 0; i < vy.inner; i++) {
                const int64_t from = k - a->before;
                const bool inside = from >= 0 && from < vx.size;
                r->out[0][(o * vy.size + k) * vy.inner + i] =
                    inside ? r->in[0][(o * vx.size + from) * vx.inner + i] : 0;
            }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_pad_attr *a = c->attr;
    const int64_t size = lmb_graph_dim(g, c->in[0], a->axis);
    c->dx[0] = lmb_slice(g, c->dy[0], a->axis, a->before, a->before + size);
}

const lmb_op lmb_op_pad = {
    .name = "pad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_pad_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_pad(
    lmb_graph *g, lmb_value x, int axis, int64_t before, int64_t after)
{
    if (!lmb__resolve_axis(g, "pad", x, &axis))
        return LMB_NONE;
    const lmb_pad_attr attr = {axis, before, after};
    return lmb__apply(g, &lmb_op_pad, &attr, 1, &x);
}
