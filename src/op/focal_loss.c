/* focal_loss.c: the sigmoid focal loss, summed.
 *
 *   logits [.., C], label I32 [..] -> []: over all rows with label >= 0 and
 *   all classes c, with z = -x where c is the label, else x, and
 *   a = alpha where c is the label, else 1 - alpha:
 *       loss = a s^gamma softplus(z),  s = sigmoid(z)
 *   (s is 1 - p_t, softplus(z) is -log p_t). A label of C or more is
 *   background, one below 0 counts nothing.
 *   dz = a s^gamma (gamma (1 - s) softplus(z) + s)
 * Source: Lin et al. 2017, arXiv:1708.02002, equation 5. */
#include "op/label_rows.h"

typedef struct term {
    double value, slope; /* d value / d x */
} term;

static term focal(const lmb_focal_attr *a, double x, bool hit)
{
    const double z = hit ? -x : x;
    const double s = lmb__sigmoid(z), plus = lmb__softplus(z);
    const double scale = (hit ? a->alpha : 1 - a->alpha) * pow(s, a->gamma);
    const double slope = scale * (a->gamma * (1 - s) * plus + s);
    return (term){scale * plus, hit ? -slope : slope};
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_labelled(in, 0));
    out[0] = (lmb_type){LMB_F32, LMB_SCALAR};
    return LMB_OK;
}

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(lmb__want_labelled(in, 1));
    out[0] = in[1];
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const int64_t rows = lmb__count(&r->in_type[1]);
    const int64_t classes = rows > 0 ? lmb__count(&r->in_type[0]) / rows : 0;
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < classes && r->in[1][i] >= 0; c++)
            sum += focal(
                r->attr, r->in[0][i * classes + c], (double)c == r->in[1][i])
                       .value;
    r->out[0][0] = sum;
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const int64_t rows = lmb__count(&r->in_type[2]);
    const int64_t classes = rows > 0 ? lmb__count(&r->in_type[1]) / rows : 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < classes; c++) {
            const int64_t at = i * classes + c;
            const double label = r->in[2][i];
            r->out[0][at] = label < 0 ? 0
                                      : r->in[0][0] *
                    focal(r->attr, r->in[1][at], (double)c == label).slope;
        }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1]};
    if (c->need[0])
        c->dx[0] = lmb__apply(g, &lmb_op_focal_loss_bwd, c->attr, 3, in);
}

const lmb_op lmb_op_focal_loss = {
    .name = "focal_loss",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_focal_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

const lmb_op lmb_op_focal_loss_bwd = {
    .name = "focal_loss_bwd",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(lmb_focal_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_focal_loss(
    lmb_graph *g, lmb_value logits, lmb_value label, double gamma, double alpha)
{
    if (!(gamma >= 0 && alpha >= 0 && alpha <= 1))
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL,
                "focal_loss: gamma = %g and alpha = %g: 0 <= gamma, 0 <= alpha "
                "<= 1",
                gamma, alpha));
    const lmb_focal_attr attr = {gamma, alpha};
    const lmb_value in[] = {logits, label};
    return lmb__apply(g, &lmb_op_focal_loss, &attr, 2, in);
}
