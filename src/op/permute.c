/* permute.c: axes in another order: y.dim[i] = x.dim[perm[i]].
 *
 *   y[i0, i1, ..] = x[j0, j1, ..] with j[perm[k]] = i[k]
 * Reals and indices. Gradient: dy permuted by the inverse permutation. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const int32_t *perm = ((const lmb_permute_attr *)attr)->perm;
    const lmb_shape *x = &in[0].shape;
    uint32_t seen = 0;
    out[0] = (lmb_type){in[0].dtype, {.rank = x->rank}};
    for (int i = 0; i < x->rank; i++) {
        if (perm[i] < 0 || perm[i] >= x->rank || (seen >> perm[i] & 1) != 0)
            return LMB_FAIL(LMB_ESHAPE,
                "entry %d of the permutation is %d: out of range or twice, "
                "shape %s",
                i, perm[i], lmb_shape_text(x));
        seen |= (uint32_t)1 << perm[i];
        out[0].shape.dim[i] = x->dim[perm[i]];
    }
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const int32_t *perm = ((const lmb_permute_attr *)r->attr)->perm;
    const lmb_shape *y = &r->out_type[0].shape;
    int64_t dense[LMB_MAX_RANK] = {0}, stride[LMB_MAX_RANK];
    lmb_shape_strides(&r->in_type[0].shape, dense);
    for (int i = 0; i < y->rank; i++)
        stride[i] = dense[perm[i]];
    const int64_t n = lmb_shape_count(y);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = r->in[0][lmb__offset(y, stride, i)];
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const int32_t *perm = ((const lmb_permute_attr *)c->attr)->perm;
    const int rank = lmb_graph_rank(g, c->in[0]);
    int inverse[LMB_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++)
        inverse[perm[i]] = i;
    c->dx[0] = lmb_permute(g, c->dy[0], inverse);
}

const lmb_op lmb_op_permute = {
    .name = "permute",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_permute_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_permute(lmb_graph *g, lmb_value x, const int *perm)
{
    if (!lmb_is(x))
        return LMB_NONE;
    lmb_permute_attr attr = {{0}};
    const int rank = lmb_graph_rank(g, x);
    for (int i = 0; i < rank; i++) /* negative entries count from the end */
        attr.perm[i] = perm[i] < 0 ? perm[i] + rank : perm[i];
    return lmb__apply(g, &lmb_op_permute, &attr, 1, &x);
}
