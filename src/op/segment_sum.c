/* segment_sum.c: the sum of each segment of the last axis.
 *
 *   x [.., C] -> y [.., n]; y_j = sum of x_k, bounds[j] <= k < bounds[j + 1].
 * Gradient: dy_j repeated over segment j (segment_broadcast). */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_segment_attr *a = attr;
    LMB_TRY(lmb__check_bounds(a));
    LMB_TRY(lmb__want_last(in, 0, a->bounds[a->n]));
    out[0] = in[0];
    out[0].shape.dim[in[0].shape.rank - 1] = a->n;
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_segment_attr *a = r->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t rows = lmb__count(&r->in_type[0]) / size;
    for (int64_t row = 0; row < rows; row++)
        for (int j = 0; j < a->n; j++) {
            double sum = 0;
            for (int k = a->bounds[j]; k < a->bounds[j + 1]; k++)
                sum += r->in[0][row * size + k];
            r->out[0][row * a->n + j] = sum;
        }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_segment_attr *a = c->attr;
    c->dx[0] = lmb_segment_broadcast(g, c->dy[0], a->n, a->bounds);
}

const lmb_op lmb_op_segment_sum = {
    .name = "segment_sum",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_segment_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_segment_sum(
    lmb_graph *g, lmb_value x, int n, const int32_t *bounds)
{
    return lmb__apply_segments(g, &lmb_op_segment_sum, x, n, bounds);
}
