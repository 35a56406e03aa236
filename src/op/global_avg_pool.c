/* global_avg_pool: the mean over height and width, and its adjoint.
 *
 *   y[n,c] = 1/(H W) sum_{i,j} x[n,c,i,j];   dx[n,c,i,j] = dy[n,c] / (H W)
 * x [N, C, H, W] -> y [N, C]. */
#include "op/ops.h"
#include "op/spatial.h"

static lmb_status forward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, 0));
    const lmb_shape *x = &in[0].shape;
    if (x->dim[2] < 1 || x->dim[3] < 1)
        return LMB_FAIL(
            LMB_ESHAPE, "x %s has no elements to average", lmb_shape_text(x));
    out[0] = lmb__real(LMB_SHAPE(x->dim[0], x->dim[1]));
    return LMB_OK;
}

static lmb_status backward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_size_attr *a = attr;
    LMB_TRY(lmb__need_rank("dy", 2, n_in, in, 0));
    const lmb_shape *dy = &in[0].shape;
    if (a->size[0] < 1 || a->size[1] < 1)
        return LMB_FAIL(LMB_EINVAL, "size %lld x %lld is below 1",
            (long long)a->size[0], (long long)a->size[1]);
    out[0] =
        lmb__real(LMB_SHAPE(dy->dim[0], dy->dim[1], a->size[0], a->size[1]));
    return LMB_OK;
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_shape *x = &r->in_type[0].shape;
    const int64_t area = x->dim[2] * x->dim[3];
    for (int64_t nc = 0; nc < x->dim[0] * x->dim[1]; nc++) {
        double sum = 0;
        for (int64_t j = 0; j < area; j++)
            sum += r->in[0][nc * area + j];
        r->out[0][nc] = sum / (double)area;
    }
    return LMB_OK;
}

static lmb_status backward_reference(const lmb_ref *r)
{
    const lmb_shape *x = &r->out_type[0].shape;
    const int64_t area = x->dim[2] * x->dim[3];
    for (int64_t nc = 0; nc < x->dim[0] * x->dim[1]; nc++)
        for (int64_t j = 0; j < area; j++)
            r->out[0][nc * area + j] = r->in[0][nc] / (double)area;
    return LMB_OK;
}

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]) || !c->need[0])
        return;
    const lmb_size_attr a = {
        {lmb_graph_dim(g, c->in[0], 2), lmb_graph_dim(g, c->in[0], 3)}, 0};
    c->dx[0] = lmb_graph_apply1(g, &lmb_op_global_avg_pool_bwd, &a, 1, c->dy);
}

const lmb_op lmb_op_global_avg_pool = {
    .name = "global_avg_pool",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = forward_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_global_avg_pool_bwd = {
    .name = "global_avg_pool_bwd",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_size_attr),
    .shape = backward_shape,
    .reference = backward_reference,
};

lmb_value lmb_global_avg_pool(lmb_graph *g, lmb_value x)
{
    return lmb_graph_apply1(g, &lmb_op_global_avg_pool, NULL, 1, &x);
}
