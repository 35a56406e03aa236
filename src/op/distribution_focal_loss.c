/* distribution_focal_loss.c: cross-entropy with the two bins beside a target.
 *
 *   logits [R, bins], target [R], weight [R] -> []: with t the target clamped
 *   to [0, bins - 1], l = min(floor(t), bins - 2), r = t - l,
 *   p = softmax(logits):
 *       loss = - sum_rows weight ((1 - r) log p_l + r log p_{l+1})
 *   dlogits = weight (p - (1 - r) e_l - r e_{l+1})
 * Rows of weight 0 count nothing, whatever they hold. No gradient to target
 * and weight. Source: Li et al. 2020, arXiv:2006.04388, equation 6. */
#include "op/label_rows.h"

static lmb_status want(const lmb_type *in, int i)
{
    const lmb_shape *logits = &in[i].shape;
    for (int k = i; k < i + 3; k++)
        LMB_TRY(lmb__want_real(in, k));
    if (logits->rank != 2 || logits->dim[1] < 2)
        return LMB_FAIL(LMB_ESHAPE, "logits %s are not [R, bins], bins >= 2",
            lmb_shape_text(logits));
    const lmb_shape rows = LMB_SHAPE(logits->dim[0]);
    for (int k = i + 1; k < i + 3; k++)
        if (!lmb_shape_equal(&in[k].shape, &rows))
            return LMB_FAIL(LMB_ESHAPE, "%s %s does not belong to logits %s",
                k == i + 1 ? "target" : "weight", lmb_shape_text(&in[k].shape),
                lmb_shape_text(logits));
    return LMB_OK;
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(want(in, 0));
    out[0] = (lmb_type){LMB_F32, LMB_SCALAR};
    return LMB_OK;
}

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(want(in, 1));
    out[0] = in[1];
    return LMB_OK;
}

/* Left bin and what the right one gets; NaN goes into `right`. */
typedef struct bins {
    int64_t left;
    double right;
} bins;

static bins bins_of(double target, int64_t n)
{
    const double top = (double)(n - 1);
    const double t = target < 0 ? 0 : target > top ? top : target;
    const double left = isnan(t) ? 0 : fmin(floor(t), top - 1);
    return (bins){(int64_t)left, t - left};
}

static lmb_status reference(const lmb_ref *r)
{
    const int64_t n = r->in_type[0].shape.dim[1];
    double sum = 0;
    for (int64_t i = 0; i < r->in_type[0].shape.dim[0]; i++) {
        const double *x = r->in[0] + i * n, weight = r->in[2][i];
        const bins b = bins_of(r->in[1][i], n);
        if (weight != 0)
            sum += weight *
                (lmb__log_sum_exp(x, n) - (1 - b.right) * x[b.left] -
                    b.right * x[b.left + 1]);
    }
    r->out[0][0] = sum;
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const int64_t n = r->in_type[1].shape.dim[1];
    for (int64_t i = 0; i < r->in_type[1].shape.dim[0]; i++) {
        const double *x = r->in[1] + i * n;
        double *dx = r->out[0] + i * n;
        const bins b = bins_of(r->in[2][i], n);
        const double weight = r->in[3][i];
        const double scale = weight != 0 ? r->in[0][0] * weight : 0;
        const double all = weight != 0 ? lmb__log_sum_exp(x, n) : 0;
        for (int64_t k = 0; k < n; k++)
            dx[k] = weight != 0 ? scale * exp(x[k] - all) : 0;
        if (weight != 0) {
            dx[b.left] -= scale * (1 - b.right);
            dx[b.left + 1] -= scale * b.right;
        }
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1], c->in[2]};
    if (c->need[0])
        c->dx[0] =
            lmb__apply(g, &lmb_op_distribution_focal_loss_bwd, NULL, 4, in);
}

const lmb_op lmb_op_distribution_focal_loss = {
    .name = "distribution_focal_loss",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_distribution_focal_loss_bwd = {
    .name = "distribution_focal_loss_bwd",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_distribution_focal_loss(
    lmb_graph *g, lmb_value logits, lmb_value target, lmb_value weight)
{
    const lmb_value in[] = {logits, target, weight};
    return lmb__apply(g, &lmb_op_distribution_focal_loss, NULL, 3, in);
}
