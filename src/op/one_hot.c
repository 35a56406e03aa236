/* one_hot.c: labels as rows of 0 and 1.
 *
 *   labels I32 [N] -> y [N, classes]; y[n, k] = 1 if k = labels[n], else 0.
 * A label outside 0 .. classes-1 is an error when the op runs, or (loose) gives
 * a row of zeros. No gradient. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_one_hot_attr *a = attr;
    LMB_TRY(lmb__want_index(in, 0));
    if (in[0].shape.rank != 1)
        return LMB_FAIL(LMB_ESHAPE, "labels of shape %s, not [N]",
            lmb_shape_text(&in[0].shape));
    if (a->classes < 1)
        return LMB_FAIL(
            LMB_ESHAPE, "%lld classes, at least 1", (long long)a->classes);
    out[0] = (lmb_type){LMB_F32, LMB_SHAPE(in[0].shape.dim[0], a->classes)};
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_one_hot_attr *a = r->attr;
    const int64_t rows = r->in_type[0].shape.dim[0];
    for (int64_t n = 0; n < rows; n++) {
        const double label = r->in[0][n];
        if (!a->loose && !(label >= 0 && label < (double)a->classes))
            return LMB_FAIL(LMB_EINVAL,
                "one_hot: label %g of sample %lld outside 0..%lld", label,
                (long long)n, (long long)a->classes - 1);
        for (int64_t k = 0; k < a->classes; k++)
            r->out[0][n * a->classes + k] = (double)k == label;
    }
    return LMB_OK;
}

const lmb_op lmb_op_one_hot = {
    .name = "one_hot",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_one_hot_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .reference = reference,
};

lmb_value lmb_one_hot(lmb_graph *g, lmb_value labels, int64_t classes)
{
    const lmb_one_hot_attr attr = {.classes = classes};
    return lmb__apply(g, &lmb_op_one_hot, &attr, 1, &labels);
}

lmb_value lmb_one_hot_or_zero(lmb_graph *g, lmb_value labels, int64_t classes)
{
    const lmb_one_hot_attr attr = {.classes = classes, .loose = true};
    return lmb__apply(g, &lmb_op_one_hot, &attr, 1, &labels);
}
