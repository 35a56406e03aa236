/* label_mask.c: which labels lie in a range, as 1 and 0.
 *
 *   label I32 [..] -> y [..] = 1 where low <= label < high, else 0
 * No gradient. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_index(in, 0));
    out[0] = (lmb_type){LMB_F32, in[0].shape};
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_label_mask_attr *a = r->attr;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]); i++)
        r->out[0][i] = r->in[0][i] >= a->low && r->in[0][i] < a->high;
    return LMB_OK;
}

const lmb_op lmb_op_label_mask = {
    .name = "label_mask",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_label_mask_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .reference = reference,
};

lmb_value lmb_label_mask(
    lmb_graph *g, lmb_value label, int32_t low, int32_t high)
{
    const lmb_label_mask_attr attr = {low, high};
    return lmb__apply(g, &lmb_op_label_mask, &attr, 1, &label);
}
