/* reshape.c: the same elements, in row-major order, under another shape.
 *
 * One dimension of the wanted shape may be -1: it is what makes the counts
 * agree. Reals and indices. Gradient: dy in the shape of x. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_shape *shape = &((const lmb_shape_attr *)attr)->shape;
    if (shape->rank < 0 || shape->rank > LMB_MAX_RANK)
        return LMB_FAIL(
            LMB_ESHAPE, "rank %d outside 0..%d", shape->rank, LMB_MAX_RANK);
    const int64_t count = lmb_shape_count(shape);
    if (count < 0 || count != lmb__count(&in[0]))
        return LMB_FAIL(LMB_ESHAPE, "shape %s cannot become %s",
            lmb_shape_text(&in[0].shape), lmb_shape_text(shape));
    out[0] = (lmb_type){in[0].dtype, *shape};
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = r->in[0][i];
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    c->dx[0] = lmb_reshape(g, c->dy[0], lmb_graph_shape(g, c->in[0]));
}

const lmb_op lmb_op_reshape = {
    .name = "reshape",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_shape_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

/* Puts a number in place of a single -1 if one divides; else leaves the -1 for
 * the shape rule to refuse. */
static void resolve(lmb_shape *shape, int64_t count)
{
    int open = -1;
    int64_t known = 1;
    for (int i = 0; i < shape->rank && i < LMB_MAX_RANK; i++) {
        if (shape->dim[i] == -1 && open < 0)
            open = i;
        else if (!lmb_mul_i64(known, shape->dim[i], &known))
            return;
    }
    if (open >= 0 && known > 0 && count % known == 0)
        shape->dim[open] = count / known;
}

lmb_value lmb_reshape(lmb_graph *g, lmb_value x, lmb_shape shape)
{
    const lmb_shape from = lmb_graph_shape(g, x);
    lmb_shape_attr attr = {shape};
    resolve(&attr.shape, lmb_shape_count(&from));
    return lmb__apply(g, &lmb_op_reshape, &attr, 1, &x);
}
