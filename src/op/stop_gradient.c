/* stop_gradient.c: y = x forward, no gradient backward ("detach").
 *
 * Any shape, reals and indices. Teachers' values pass through it. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    out[0] = in[0];
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = r->in[0][i];
    return LMB_OK;
}

const lmb_op lmb_op_stop_gradient = {
    .name = "stop_gradient",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape_rule,
    .no_gradient = true,
    .reference = reference,
};

lmb_value lmb_stop_gradient(lmb_graph *g, lmb_value x)
{
    return lmb__apply(g, &lmb_op_stop_gradient, NULL, 1, &x);
}
