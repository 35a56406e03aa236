/* relu.c: the rectifier, y = max(x, 0), elementwise.
 *
 * An op of its own (not a kind of unary) because convolutions and batch norms
 * absorb it. Its gradient op looks at y alone, so x need not be kept:
 *   relu_bwd(dy, y) -> dx = dy where y > 0, else 0 (so 0 at the kink x = 0). */
#include "op/op_util.h"

static lmb_status reference(const lmb_ref *r)
{
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++) /* NaN stays NaN */
        r->out[0][i] = r->in[0][i] <= 0 ? 0 : r->in[0][i];
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = r->in[1][i] > 0 ? r->in[0][i] : 0;
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->out[0]};
    c->dx[0] = lmb__apply(g, &lmb_op_relu_bwd, NULL, 2, in);
}

const lmb_op lmb_op_relu = {
    .name = "relu",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_relu_bwd = {
    .name = "relu_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = lmb__shape_same2,
    .reference = bwd_reference,
};

lmb_value lmb_relu(lmb_graph *g, lmb_value x)
{
    return lmb__apply(g, &lmb_op_relu, NULL, 1, &x);
}
