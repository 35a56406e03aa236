/* drop_path: factors that leave a branch out for some of the images.
 *
 *   draw [4] -> y [images]: 0 with probability `rate`, else 1 / (1 - rate),
 * so that the expectation is 1. draw: seed low, seed high, step low, step
 * high; image i of a branch with number `key` is number i of the random stream
 * (seed, dropout, step, key), whatever else is drawn. No gradient.
 * Source: Huang et al. 2016, arXiv:1603.09382, section 3, with the factor in
 * training in place of evaluation. */
#include "op/op_util.h"

#include "base/rng.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_drop_path_attr *a = attr;
    const lmb_shape four = LMB_SHAPE(4);
    LMB_TRY(lmb__want_index(in, 0));
    if (!lmb_shape_equal(&in[0].shape, &four))
        return LMB_FAIL(LMB_ESHAPE, "draw has shape %s, not [4]",
            lmb_shape_text(&in[0].shape));
    if (!(a->rate >= 0 && a->rate < 1))
        return LMB_FAIL(
            LMB_EINVAL, "rate %g is not in 0 .. 1 (1 excluded)", a->rate);
    out[0] = (lmb_type){LMB_F32, LMB_SHAPE(a->images)};
    return LMB_OK;
}

static uint64_t joined(int32_t low, int32_t high)
{
    return (uint64_t)(uint32_t)high << 32 | (uint32_t)low;
}

void lmb__drop_path_factors(
    const lmb_drop_path_attr *a, const int32_t draw[4], double *out)
{
    lmb_rng rng = lmb_rng_make(joined(draw[0], draw[1]), LMB_STREAM_DROPOUT,
        joined(draw[2], draw[3]), a->key);
    for (int64_t i = 0; i < a->images; i++)
        out[i] = lmb_rng_uniform(&rng) < a->rate ? 0 : 1 / (1 - a->rate);
}

static lmb_status reference(const lmb_ref *r)
{
    int32_t draw[4];
    for (int i = 0; i < 4; i++)
        draw[i] = (int32_t)r->in[0][i];
    lmb__drop_path_factors(r->attr, draw, r->out[0]);
    return LMB_OK;
}

const lmb_op lmb_op_drop_path = {
    .name = "drop_path",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_drop_path_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .reference = reference,
};

lmb_value lmb_drop_path(
    lmb_graph *g, lmb_value x, lmb_value draw, double rate, uint32_t key)
{
    const lmb_shape shape = lmb_graph_shape(g, x);
    lmb_shape factors = shape;
    for (int i = 1; i < factors.rank; i++)
        factors.dim[i] = 1;
    const lmb_drop_path_attr a = {rate, shape.rank > 0 ? shape.dim[0] : 1, key};
    const lmb_value y = lmb__apply(g, &lmb_op_drop_path, &a, 1, &draw);
    return lmb_mul(g, x, lmb_reshape(g, y, factors));
}
