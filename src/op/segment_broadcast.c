/* segment_broadcast.c: one value per segment, repeated over the segment.
 *
 *   x [.., n] -> y [.., C], C = bounds[n];
 *   y_k = x_j where bounds[j] <= k < bounds[j + 1].
 * Gradient: dy summed over each segment (segment_sum). */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_segment_attr *a = attr;
    LMB_TRY(lmb__check_bounds(a));
    LMB_TRY(lmb__want_last(in, 0, a->n));
    out[0] = in[0];
    out[0].shape.dim[in[0].shape.rank - 1] = a->bounds[a->n];
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_segment_attr *a = r->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t rows = lmb__count(&r->in_type[0]) / a->n;
    for (int64_t row = 0; row < rows; row++)
        for (int j = 0; j < a->n; j++)
            for (int k = a->bounds[j]; k < a->bounds[j + 1]; k++)
                r->out[0][row * size + k] = r->in[0][row * a->n + j];
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_segment_attr *a = c->attr;
    c->dx[0] = lmb_segment_sum(g, c->dy[0], a->n, a->bounds);
}

const lmb_op lmb_op_segment_broadcast = {
    .name = "segment_broadcast",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_segment_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_segment_broadcast(
    lmb_graph *g, lmb_value x, int n, const int32_t *bounds)
{
    return lmb__apply_segments(g, &lmb_op_segment_broadcast, x, n, bounds);
}
