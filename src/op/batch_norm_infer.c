/* batch_norm_infer: normalisation by given statistics.
 *
 *   y = gamma (x - mean) / sqrt(var + eps) + beta, then an optional ReLU
 * x [N, C, H, W] or [N, C], the rest [C] (ReLU comes from fusion only).
 * Gradient: to x, gamma and beta, made of elementwise ops; mean and var count
 * as constants and get none. */
#include "op/ops.h"
#include "op/spatial.h"

#include <math.h>

static lmb_status infer_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    static const char *const names[] = {"x", "gamma", "beta", "mean", "var"};
    (void)attr;
    LMB_TRY(lmb__need_real("x", n_in, in, 0));
    const lmb_shape *x = &in[0].shape;
    if (x->rank != 4 && x->rank != 2)
        return LMB_FAIL(LMB_ESHAPE, "x %s is not [N, C, H, W] or [N, C]",
            lmb_shape_text(x));
    for (int i = 1; i < 5; i++)
        LMB_TRY(lmb__need_shape(names[i], LMB_SHAPE(x->dim[1]), n_in, in, i));
    out[0] = lmb__real(*x);
    return LMB_OK;
}

static lmb_status infer_reference(const lmb_ref *r)
{
    const lmb_batch_norm_attr *a = r->attr;
    const lmb_shape *x = &r->in_type[0].shape;
    const int64_t channels = x->dim[1];
    const int64_t plane = x->rank == 4 ? x->dim[2] * x->dim[3] : 1;
    for (int64_t nc = 0; nc < x->dim[0] * channels; nc++) {
        const int64_t c = nc % channels;
        const double mean = r->in[3][c];
        const double inverse = 1 / sqrt(r->in[4][c] + a->eps);
        for (int64_t i = nc * plane; i < (nc + 1) * plane; i++) {
            const double y =
                (r->in[0][i] - mean) * inverse * r->in[1][c] + r->in[2][c];
            r->out[0][i] = a->relu && y <= 0 ? 0 : y;
        }
    }
    return LMB_OK;
}

/* [C] as [C, 1, 1] against rank 4; as it is against rank 2. */
static lmb_value channels(lmb_graph *g, lmb_value v, int rank)
{
    const int64_t c = lmb_graph_dim(g, v, 0);
    return rank == 4 ? lmb_reshape(g, v, LMB_SHAPE(c, 1, 1)) : v;
}

static void infer_grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_batch_norm_attr *a = c->attr;
    const int rank = lmb_graph_rank(g, c->in[0]);
    const uint32_t axes =
        LMB_AXIS(0) | (rank == 4 ? LMB_AXIS(2) | LMB_AXIS(3) : 0);
    lmb_value dy = c->dy[0];
    if (!lmb_is(dy))
        return;
    if (a->relu) {
        const lmb_value in[2] = {dy, c->out[0]};
        dy = lmb_graph_apply1(g, &lmb_op_relu_bwd, NULL, 2, in);
    }
    const lmb_value inverse =
        lmb_reciprocal(g, lmb_sqrt(g, lmb_shift(g, c->in[4], a->eps)));
    if (c->need[0])
        c->dx[0] =
            lmb_mul(g, dy, channels(g, lmb_mul(g, c->in[1], inverse), rank));
    if (c->need[1]) {
        const lmb_value d = lmb_sub(g, c->in[0], channels(g, c->in[3], rank));
        c->dx[1] =
            lmb_mul(g, lmb_sum(g, lmb_mul(g, dy, d), axes, false), inverse);
    }
    if (c->need[2])
        c->dx[2] = lmb_sum(g, dy, axes, false);
}

const lmb_op lmb_op_batch_norm_infer = {
    .name = "batch_norm_infer",
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .attr_size = sizeof(lmb_batch_norm_attr),
    .shape = infer_shape,
    .grad = infer_grad,
    .reference = infer_reference,
};

lmb_value lmb_batch_norm_infer(lmb_graph *g, lmb_value x, lmb_value gamma,
    lmb_value beta, lmb_value mean, lmb_value var, double eps)
{
    const lmb_batch_norm_attr a = {.eps = eps};
    const lmb_value in[5] = {x, gamma, beta, mean, var};
    return lmb_graph_apply1(g, &lmb_op_batch_norm_infer, &a, 5, in);
}
