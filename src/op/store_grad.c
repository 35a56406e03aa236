/* store_grad.c: writes a gradient into its parameter's slot of the store.
 *
 * store_grad(grad) -> [] (a dummy 0). The one way a gradient leaves a graph. */
#include "op/ops.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_store_grad_attr *a = attr;
    if (!a->param->trainable)
        return LMB_FAIL(
            LMB_EINVAL, "%s is a buffer, it has no gradient", a->param->name);
    if (!lmb_shape_equal(&in[0].shape, &a->param->shape))
        return LMB_FAIL(LMB_ESHAPE, "gradient %s of %s %s",
            lmb_shape_text(&in[0].shape), a->param->name,
            lmb_shape_text(&a->param->shape));
    out[0] = (lmb_type){LMB_F32, LMB_SCALAR};
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_param *p = ((const lmb_store_grad_attr *)r->attr)->param;
    void *slot = lmb_param_grad(p);
    for (int64_t i = 0; i < p->count; i++) {
        if (lmb_params_dtype(p->owner) == LMB_F64)
            ((double *)slot)[i] = r->in[0][i];
        else
            ((float *)slot)[i] = (float)r->in[0][i];
    }
    r->out[0][0] = 0;
    return LMB_OK;
}

const lmb_op lmb_op_store_grad = {
    .name = "store_grad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_store_grad_attr),
    .side_effect = true,
    .shape = shape_rule,
    .no_gradient = true,
    .reference = reference,
};

void lmb_store_grad(lmb_graph *g, lmb_param *param, lmb_value grad)
{
    (void)lmb_graph_apply1(
        g, &lmb_op_store_grad, &(lmb_store_grad_attr){param}, 1, &grad);
}
