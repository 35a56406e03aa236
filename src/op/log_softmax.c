/* log_softmax.c: y_k = x_k - ln sum_j e^x_j along one axis; shapes equal.
 *
 * Two passes, maximum first: ln sum = max + ln sum_j e^(x_j - max), exact for
 * any finite x. Gradient:
 *   log_softmax_bwd(dy, y) -> dx = dy - e^y sum_j dy_j. */
#include "op/axis_lines.h"

#include <math.h>

/* One line of n elements, `step` apart. x - max comes before - ln sum: at
 * |x| >> 1 their sum would lose the digits of the small logarithm. */
static void line(
    const double *x, const double *none, int64_t n, int64_t step, double *y)
{
    (void)none;
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        max = fmax(max, x[k * step]);
    for (int64_t k = 0; k < n; k++)
        sum += exp(x[k * step] - max);
    const double log_sum = log(sum);
    for (int64_t k = 0; k < n; k++)
        y[k * step] = (x[k * step] - max) - log_sum;
}

static lmb_status reference(const lmb_ref *r)
{
    return lmb__each_line(r, line);
}

static void bwd_line(
    const double *dy, const double *y, int64_t n, int64_t step, double *dx)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += dy[k * step];
    for (int64_t k = 0; k < n; k++)
        dx[k * step] = dy[k * step] - exp(y[k * step]) * sum;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    return lmb__each_line(r, bwd_line);
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->out[0]};
    c->dx[0] = lmb__apply(g, &lmb_op_log_softmax_bwd, c->attr, 2, in);
}

const lmb_op lmb_op_log_softmax = {
    .name = "log_softmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_axis_attr),
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_log_softmax_bwd = {
    .name = "log_softmax_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_axis_attr),
    .shape = lmb__shape_same2,
    .reference = bwd_reference,
};

lmb_value lmb_log_softmax(lmb_graph *g, lmb_value x, int axis)
{
    return lmb__apply_axis(g, &lmb_op_log_softmax, x, axis);
}
