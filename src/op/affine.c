/* affine.c: y = a x + b with constants a and b, elementwise.
 *
 * Gradient: dx = a dy. Temperatures, weights of loss terms and 1 - y are made
 * of it. */
#include "op/op_util.h"

static lmb_status reference(const lmb_ref *r)
{
    const lmb_affine_attr *attr = r->attr;
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = attr->a * r->in[0][i] + attr->b;
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_affine_attr *attr = c->attr;
    c->dx[0] = attr->a == 1 ? c->dy[0] : lmb_scale(g, c->dy[0], attr->a);
}

const lmb_op lmb_op_affine = {
    .name = "affine",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_affine_attr),
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_affine(lmb_graph *g, lmb_value x, double a, double b)
{
    const lmb_affine_attr attr = {a, b};
    return lmb__apply(g, &lmb_op_affine, &attr, 1, &x);
}
