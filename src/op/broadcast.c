/* broadcast.c: x repeated to a larger shape, by NumPy's rule.
 *
 * Aligned at the last axis, each axis of x is missing, 1, or equal to that of
 * the wanted shape. Reals and indices. Gradient: dy summed over the axes along
 * which x was repeated. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_shape *shape = &((const lmb_shape_attr *)attr)->shape;
    if (shape->rank < 0 || shape->rank > LMB_MAX_RANK ||
        lmb_shape_count(shape) < 0)
        return LMB_FAIL(LMB_ESHAPE,
            "rank or dimension of the shape out of "
            "range");
    lmb_shape both;
    LMB_TRY(lmb__broadcast_shapes(&in[0].shape, shape, &both));
    if (!lmb_shape_equal(&both, shape))
        return LMB_FAIL(LMB_ESHAPE, "shape %s does not broadcast to %s",
            lmb_shape_text(&in[0].shape), lmb_shape_text(shape));
    out[0] = (lmb_type){in[0].dtype, *shape};
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_shape *shape = &r->out_type[0].shape;
    int64_t stride[LMB_MAX_RANK];
    lmb__broadcast_strides(&r->in_type[0].shape, shape, stride);
    const int64_t n = lmb_shape_count(shape);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = r->in[0][lmb__offset(shape, stride, i)];
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    c->dx[0] = lmb__sum_to(g, c->dy[0], lmb_graph_shape(g, c->in[0]));
}

const lmb_op lmb_op_broadcast = {
    .name = "broadcast",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_shape_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_broadcast(lmb_graph *g, lmb_value x, lmb_shape shape)
{
    const lmb_shape_attr attr = {shape};
    return lmb__apply(g, &lmb_op_broadcast, &attr, 1, &x);
}
