/* segment_log_softmax.c: a log-softmax in each segment of the last axis.
 *
 *   x [.., C] -> y [.., C]; segment j = [bounds[j], bounds[j + 1]):
 *   y_k = x_k - ln sum_{i in segment of k} e^x_i
 * so a segment of one class gives 0. Gradient, S = sum of dy in the segment:
 *   segment_log_softmax_bwd(dy, y) -> dx = dy - e^y S. */
#include "op/op_util.h"

#include <math.h>

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_segment_attr *a = attr;
    LMB_TRY(lmb__check_bounds(a));
    for (int i = 0; i < n_in; i++)
        LMB_TRY(lmb__want_last(in, i, a->bounds[a->n]));
    out[0] = in[0];
    return LMB_OK;
}

static lmb_status bwd_shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    LMB_TRY(lmb__shape_same2(attr, n_in, in, out));
    return shape_rule(attr, n_in, in, out);
}

static void segment(const double *x, int64_t n, double *y)
{
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        max = fmax(max, x[k]);
    for (int64_t k = 0; k < n; k++)
        sum += exp(x[k] - max);
    const double log_sum = log(sum);
    for (int64_t k = 0; k < n; k++)
        y[k] = (x[k] - max) - log_sum;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_segment_attr *a = r->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t rows = lmb__count(&r->in_type[0]) / size;
    for (int64_t row = 0; row < rows; row++)
        for (int j = 0; j < a->n; j++) {
            const int64_t at = row * size + a->bounds[j];
            segment(
                r->in[0] + at, a->bounds[j + 1] - a->bounds[j], r->out[0] + at);
        }
    return LMB_OK;
}

static void bwd_segment(
    const double *dy, const double *y, int64_t n, double *dx)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += dy[k];
    for (int64_t k = 0; k < n; k++)
        dx[k] = dy[k] - exp(y[k]) * sum;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const lmb_segment_attr *a = r->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t rows = lmb__count(&r->in_type[0]) / size;
    for (int64_t row = 0; row < rows; row++)
        for (int j = 0; j < a->n; j++) {
            const int64_t at = row * size + a->bounds[j];
            bwd_segment(r->in[0] + at, r->in[1] + at,
                a->bounds[j + 1] - a->bounds[j], r->out[0] + at);
        }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->out[0]};
    c->dx[0] = lmb__apply(g, &lmb_op_segment_log_softmax_bwd, c->attr, 2, in);
}

const lmb_op lmb_op_segment_log_softmax = {
    .name = "segment_log_softmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_segment_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_segment_log_softmax_bwd = {
    .name = "segment_log_softmax_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_segment_attr),
    .shape = bwd_shape_rule,
    .reference = bwd_reference,
};

lmb_value lmb_segment_log_softmax(
    lmb_graph *g, lmb_value x, int n, const int32_t *bounds)
{
    return lmb__apply_segments(g, &lmb_op_segment_log_softmax, x, n, bounds);
}
