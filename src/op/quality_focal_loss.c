/* quality_focal_loss.c: focal loss with a soft target, summed.
 *
 *   logits [.., C], label I32 [..], quality [..] -> []: over all rows with
 *   label >= 0 and all classes c, with q = quality where c is the label,
 *   else 0, and s = sigmoid(x):
 *       loss = |q - s|^beta (softplus(x) - x q)
 *   A label of C or more is background, one below 0 counts nothing.
 *   dx = |q - s|^beta (s - q)
 *        + beta |q - s|^(beta - 1) sign(s - q) s (1 - s) (softplus(x) - x q)
 * No gradient to quality: it is an IoU that the detector computes. Source: Li
 * et al. 2020, arXiv:2006.04388, equation 2. */
#include "op/label_rows.h"

typedef struct term {
    double value, slope;
} term;

static term quality_focal(double beta, double x, double q)
{
    const double s = lmb__sigmoid(x), away = fabs(q - s);
    const double entropy = lmb__softplus(x) - x * q;
    const double scale = pow(away, beta);
    const double turn = away > 0
        ? beta * pow(away, beta - 1) * (s > q ? 1 : -1) * s * (1 - s)
        : 0;
    return (term){scale * entropy, scale * (s - q) + turn * entropy};
}

static lmb_status want(const lmb_type *in, int i)
{
    LMB_TRY(lmb__want_labelled(in, i));
    LMB_TRY(lmb__want_real(in, i + 2));
    if (!lmb_shape_equal(&in[i + 2].shape, &in[i + 1].shape))
        return LMB_FAIL(LMB_ESHAPE, "quality %s does not belong to labels %s",
            lmb_shape_text(&in[i + 2].shape), lmb_shape_text(&in[i + 1].shape));
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

/* Term of class c of row i; logits, label and quality are inputs first ... */
static term term_at(
    const lmb_ref *r, int first, int64_t i, int64_t c, int64_t classes)
{
    const double beta = ((const lmb_quality_attr *)r->attr)->beta;
    const double label = r->in[first + 1][i];
    if (label < 0)
        return (term){0, 0};
    return quality_focal(beta, r->in[first][i * classes + c],
        (double)c == label ? r->in[first + 2][i] : 0);
}

static lmb_status reference(const lmb_ref *r)
{
    const int64_t rows = lmb__count(&r->in_type[1]);
    const int64_t classes = rows > 0 ? lmb__count(&r->in_type[0]) / rows : 0;
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < classes; c++)
            sum += term_at(r, 0, i, c, classes).value;
    r->out[0][0] = sum;
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const int64_t rows = lmb__count(&r->in_type[2]);
    const int64_t classes = rows > 0 ? lmb__count(&r->in_type[1]) / rows : 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < classes; c++)
            r->out[0][i * classes + c] =
                r->in[0][0] * term_at(r, 1, i, c, classes).slope;
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1], c->in[2]};
    if (c->need[0])
        c->dx[0] =
            lmb__apply(g, &lmb_op_quality_focal_loss_bwd, c->attr, 4, in);
}

const lmb_op lmb_op_quality_focal_loss = {
    .name = "quality_focal_loss",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(lmb_quality_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_quality_focal_loss_bwd = {
    .name = "quality_focal_loss_bwd",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .attr_size = sizeof(lmb_quality_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_quality_focal_loss(lmb_graph *g, lmb_value logits,
    lmb_value label, lmb_value quality, double beta)
{
    if (!(beta >= 1))
        lmb_graph_fail(g,
            LMB_FAIL(
                LMB_EINVAL, "quality_focal_loss: beta = %g, not >= 1", beta));
    const lmb_quality_attr attr = {beta};
    const lmb_value in[] = {logits, label, quality};
    return lmb__apply(g, &lmb_op_quality_focal_loss, &attr, 3, in);
}
