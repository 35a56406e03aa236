/* softmax.c: y_k = e^x_k / sum_j e^x_j along one axis; shapes equal.
 *
 * The maximum is subtracted first, so no exponential overflows. Gradient:
 *   softmax_bwd(dy, y) -> dx = y (dy - sum_j dy_j y_j). */
#include "op/axis_lines.h"

#include <math.h>

/* One line of n elements, `step` apart. */
static void line(
    const double *x, const double *none, int64_t n, int64_t step, double *y)
{
    (void)none;
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        max = fmax(max, x[k * step]);
    for (int64_t k = 0; k < n; k++)
        sum += y[k * step] = exp(x[k * step] - max);
    for (int64_t k = 0; k < n; k++)
        y[k * step] /= sum;
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
        sum += dy[k * step] * y[k * step];
    for (int64_t k = 0; k < n; k++)
        dx[k * step] = y[k * step] * (dy[k * step] - sum);
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    return lmb__each_line(r, bwd_line);
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->out[0]};
    c->dx[0] = lmb__apply(g, &lmb_op_softmax_bwd, c->attr, 2, in);
}

const lmb_op lmb_op_softmax = {
    .name = "softmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_axis_attr),
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_softmax_bwd = {
    .name = "softmax_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_axis_attr),
    .shape = lmb__shape_same2,
    .reference = bwd_reference,
};

lmb_value lmb_softmax(lmb_graph *g, lmb_value x, int axis)
{
    return lmb__apply_axis(g, &lmb_op_softmax, x, axis);
}
