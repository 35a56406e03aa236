/* select.c: y = a where cond != 0, else b; the three broadcast.
 *
 * Gradient: da = dy where cond != 0, db = dy elsewhere, summed over repeated
 * axes; none to cond. What is not selected may be infinite or NaN: it reaches
 * neither the value nor the gradient of this op. A NaN cond selects a. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    for (int i = 0; i < n_in; i++)
        LMB_TRY(lmb__want_real(in, i));
    lmb_shape ab;
    LMB_TRY(lmb__broadcast_shapes(&in[1].shape, &in[2].shape, &ab));
    out[0].dtype = LMB_F32;
    return lmb__broadcast_shapes(&in[0].shape, &ab, &out[0].shape);
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_shape *shape = &r->out_type[0].shape;
    int64_t stride[3][LMB_MAX_RANK];
    for (int k = 0; k < 3; k++)
        lmb__broadcast_strides(&r->in_type[k].shape, shape, stride[k]);
    const int64_t n = lmb_shape_count(shape);
    for (int64_t i = 0; i < n; i++) {
        const double cond = r->in[0][lmb__offset(shape, stride[0], i)];
        const int k = cond != 0 ? 1 : 2;
        r->out[0][i] = r->in[k][lmb__offset(shape, stride[k], i)];
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value zero = lmb_graph_scalar(g, 0);
    if (c->need[1])
        c->dx[1] = lmb__sum_to(g, lmb_select(g, c->in[0], c->dy[0], zero),
            lmb_graph_shape(g, c->in[1]));
    if (c->need[2])
        c->dx[2] = lmb__sum_to(g, lmb_select(g, c->in[0], zero, c->dy[0]),
            lmb_graph_shape(g, c->in[2]));
}

const lmb_op lmb_op_select = {
    .name = "select",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_select(lmb_graph *g, lmb_value cond, lmb_value a, lmb_value b)
{
    const lmb_value in[] = {cond, a, b};
    return lmb__apply(g, &lmb_op_select, NULL, 3, in);
}
