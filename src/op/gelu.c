/* gelu: y = x Phi(x), Phi the normal distribution, exact (no tanh).
 *
 *   Phi(x) = erfc(-x / sqrt 2) / 2,  phi(x) = e^(-x^2 / 2) / sqrt(2 pi)
 * gelu_bwd(dy, x) -> dx = dy (Phi(x) + x phi(x)).
 * Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2. */
#include "op/op_util.h"

#include <math.h>

static double cumulative(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440); /* 1 / sqrt 2 */
}

static double density(double x)
{
    return 0.39894228040143267794 * exp(-0.5 * x * x); /* 1 / sqrt(2 pi) */
}

static lmb_status reference(const lmb_ref *r)
{
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = r->in[0][i] * cumulative(r->in[0][i]);
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++) {
        const double x = r->in[1][i];
        r->out[0][i] = r->in[0][i] * (cumulative(x) + x * density(x));
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0]};
    c->dx[0] = lmb__apply(g, &lmb_op_gelu_bwd, NULL, 2, in);
}

const lmb_op lmb_op_gelu = {
    .name = "gelu",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_gelu_bwd = {
    .name = "gelu_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = lmb__shape_same2,
    .reference = bwd_reference,
};

lmb_value lmb_gelu(lmb_graph *g, lmb_value x)
{
    return lmb__apply(g, &lmb_op_gelu, NULL, 1, &x);
}
