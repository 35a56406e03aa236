/* cross_entropy_rows.c: cross-entropy of each row with its own label.
 *
 *   logits [R, C], label I32 [R] -> y [R] = log sum e^x - x_label, 0 for rows
 *   with a label below 0
 *   cross_entropy_rows_bwd(dy, logits, label) -> dlogits = dy (softmax -
 * e_label) A label of C or more is an error (NaN from the fast kernel). */
#include "op/label_rows.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_labelled(in, 0));
    out[0] = (lmb_type){LMB_F32, lmb__rows_shape(&in[0].shape)};
    return LMB_OK;
}

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_labelled(in, 1));
    LMB_TRY(lmb__want_real(in, 0));
    if (!lmb_shape_equal(&in[0].shape, &in[2].shape))
        return LMB_FAIL(LMB_ESHAPE, "dy %s does not belong to labels %s",
            lmb_shape_text(&in[0].shape), lmb_shape_text(&in[2].shape));
    out[0] = in[1];
    return LMB_OK;
}

static lmb_status check(double label, int64_t classes)
{
    if (!(label < (double)classes))
        return LMB_FAIL(LMB_EINVAL,
            "cross_entropy_rows: label %g of %lld classes", label,
            (long long)classes);
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_shape *s = &r->in_type[0].shape;
    const int64_t n = s->dim[s->rank - 1];
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]); i++) {
        const double *x = r->in[0] + i * n, label = r->in[1][i];
        LMB_TRY(check(label, n));
        r->out[0][i] =
            label < 0 ? 0 : lmb__log_sum_exp(x, n) - x[(int64_t)label];
    }
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const lmb_shape *s = &r->in_type[1].shape;
    const int64_t n = s->dim[s->rank - 1];
    for (int64_t i = 0; i < lmb__count(&r->in_type[0]); i++) {
        const double *x = r->in[1] + i * n, label = r->in[2][i];
        double *dx = r->out[0] + i * n;
        LMB_TRY(check(label, n));
        const double all = lmb__log_sum_exp(x, n);
        for (int64_t k = 0; k < n; k++)
            dx[k] = label < 0
                ? 0
                : r->in[0][i] * (exp(x[k] - all) - ((double)k == label));
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1]};
    if (c->need[0])
        c->dx[0] = lmb__apply(g, &lmb_op_cross_entropy_rows_bwd, NULL, 3, in);
}

const lmb_op lmb_op_cross_entropy_rows = {
    .name = "cross_entropy_rows",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_cross_entropy_rows_bwd = {
    .name = "cross_entropy_rows_bwd",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_cross_entropy_rows(
    lmb_graph *g, lmb_value logits, lmb_value label)
{
    const lmb_value in[] = {logits, label};
    return lmb__apply(g, &lmb_op_cross_entropy_rows, NULL, 2, in);
}
