/* smooth_l1.c: Huber's loss over beta, elementwise.
 *
 *   y = d^2 / (2 beta) where |d| < beta, |d| - beta / 2 beyond; beta 0: |d|
 *   smooth_l1_bwd(dy, d) -> dx = dy clamp(d / beta, -1, 1); beta 0: sign
 *   (0 at 0)
 * Source: Girshick 2015, arXiv:1504.08083, equation 3, with a corner. */
#include "op/op_util.h"

#include <math.h>

static double value(double d, double beta)
{
    const double a = fabs(d);
    return a < beta ? a * a / (2 * beta) : a - beta / 2;
}

static double slope(double d, double beta)
{
    if (fabs(d) < beta)
        return d / beta;
    return d > 0 ? 1 : d < 0 ? -1 : d; /* 0 and NaN stay */
}

static lmb_status reference(const lmb_ref *r)
{
    const double beta = ((const lmb_smooth_l1_attr *)r->attr)->beta;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]); i++)
        r->out[0][i] = value(r->in[0][i], beta);
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const double beta = ((const lmb_smooth_l1_attr *)r->attr)->beta;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]); i++)
        r->out[0][i] = r->in[0][i] * slope(r->in[1][i], beta);
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0]};
    c->dx[0] = lmb__apply(g, &lmb_op_smooth_l1_bwd, c->attr, 2, in);
}

const lmb_op lmb_op_smooth_l1 = {
    .name = "smooth_l1",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_smooth_l1_attr),
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_smooth_l1_bwd = {
    .name = "smooth_l1_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_smooth_l1_attr),
    .shape = lmb__shape_same2,
    .reference = bwd_reference,
};

lmb_value lmb_smooth_l1_beta(lmb_graph *g, lmb_value d, double beta)
{
    if (!(beta >= 0))
        lmb_graph_fail(
            g, LMB_FAIL(LMB_EINVAL, "smooth_l1: beta = %g, not >= 0", beta));
    const lmb_smooth_l1_attr attr = {beta};
    return lmb__apply(g, &lmb_op_smooth_l1, &attr, 1, &d);
}
