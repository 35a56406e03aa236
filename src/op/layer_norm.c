/* layer_norm: normalisation of each row of the last axis, and its backward
 * op.
 *
 *   mean[r] = avg x[r, :],  var[r] = avg (x[r, :] - mean[r])^2 (biased),
 *   xhat = (x - mean) / sqrt(var + eps),  y = gamma xhat + beta
 * x [.., C], gamma and beta [C], mean and var [..]. Backward, with d = gamma
 * dy and sums over the row:
 *   dgamma = sum_r dy xhat,  dbeta = sum_r dy,
 *   dx = (d - sum d / C - xhat sum(d xhat) / C) / sqrt(var + eps).
 * The outputs mean and var pass no gradient back; through y it flows into the
 * statistics.
 * Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 4. */
#include "op/ops.h"
#include "op/spatial.h"

#include <math.h>

static lmb_status need_rows(int n_in, const lmb_type *in, int i, int64_t *size)
{
    LMB_TRY(lmb__need_real("x", n_in, in, i));
    const lmb_shape *x = &in[i].shape;
    *size = x->rank > 0 ? x->dim[x->rank - 1] : 0;
    if (*size < 1)
        return LMB_FAIL(LMB_ESHAPE, "x %s has no last axis to normalise",
            lmb_shape_text(x));
    return LMB_OK;
}

/* The shape of mean and var. */
static lmb_shape rows_shape(lmb_shape x)
{
    x.rank--;
    x.dim[x.rank] = 0;
    return x;
}

static lmb_status forward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    int64_t size = 0;
    LMB_TRY(need_rows(n_in, in, 0, &size));
    LMB_TRY(lmb__need_shape("gamma", LMB_SHAPE(size), n_in, in, 1));
    LMB_TRY(lmb__need_shape("beta", LMB_SHAPE(size), n_in, in, 2));
    out[0] = lmb__real(in[0].shape);
    out[1] = out[2] = lmb__real(rows_shape(in[0].shape));
    return LMB_OK;
}

/* Inputs of layer_norm_bwd. */
enum { B_DY, B_X, B_GAMMA, B_MEAN, B_VAR };

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    int64_t size = 0;
    LMB_TRY(need_rows(n_in, in, B_X, &size));
    const lmb_shape x = in[B_X].shape, rows = rows_shape(x);
    LMB_TRY(lmb__need_shape("dy", x, n_in, in, B_DY));
    LMB_TRY(lmb__need_shape("gamma", LMB_SHAPE(size), n_in, in, B_GAMMA));
    LMB_TRY(lmb__need_shape("mean", rows, n_in, in, B_MEAN));
    LMB_TRY(lmb__need_shape("var", rows, n_in, in, B_VAR));
    out[0] = lmb__real(x);
    out[1] = out[2] = lmb__real(LMB_SHAPE(size));
    return LMB_OK;
}

/* --- reference kernels ---------------------------------------------------- */

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_layer_norm_attr *a = r->attr;
    const int64_t n = r->in_type[1].shape.dim[0];
    const int64_t rows = lmb_shape_count(&r->in_type[0].shape) / n;
    for (int64_t k = 0; k < rows; k++) {
        const double *x = r->in[0] + k * n;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++)
            sum += x[i];
        const double mean = sum / (double)n;
        for (int64_t i = 0; i < n; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        const double var = squares / (double)n;
        r->out[1][k] = mean;
        r->out[2][k] = var;
        for (int64_t i = 0; i < n; i++)
            r->out[0][k * n + i] =
                (x[i] - mean) / sqrt(var + a->eps) * r->in[1][i] + r->in[2][i];
    }
    return LMB_OK;
}

/* Row k: dx, and its share of dgamma and dbeta. */
static void bwd_row(const lmb_ref *r, int64_t n, int64_t k)
{
    const lmb_layer_norm_attr *a = r->attr;
    const double *dy = r->in[B_DY] + k * n, *x = r->in[B_X] + k * n;
    const double *gamma = r->in[B_GAMMA], mean = r->in[B_MEAN][k];
    const double inverse = 1 / sqrt(r->in[B_VAR][k] + a->eps);
    double sum = 0, dot = 0; /* of d, and of d xhat */
    for (int64_t i = 0; i < n; i++) {
        const double xhat = (x[i] - mean) * inverse;
        r->out[1][i] += dy[i] * xhat;
        r->out[2][i] += dy[i];
        sum += gamma[i] * dy[i];
        dot += gamma[i] * dy[i] * xhat;
    }
    for (int64_t i = 0; i < n; i++) {
        const double xhat = (x[i] - mean) * inverse;
        r->out[0][k * n + i] =
            inverse * (gamma[i] * dy[i] - (sum + xhat * dot) / (double)n);
    }
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const int64_t n = r->in_type[B_GAMMA].shape.dim[0];
    const int64_t rows = lmb_shape_count(&r->in_type[B_X].shape) / n;
    for (int64_t i = 0; i < n; i++)
        r->out[1][i] = r->out[2][i] = 0;
    for (int64_t k = 0; k < rows; k++)
        bwd_row(r, n, k);
    return LMB_OK;
}

/* --- gradient, the ops, builder ------------------------------------------- */

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]))
        return;
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1], c->out[1], c->out[2]};
    lmb_value d[3] = {LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_graph_apply(g, &lmb_op_layer_norm_bwd, c->attr, 5, in, d);
    for (int i = 0; i < 3; i++)
        if (c->need[i])
            c->dx[i] = d[i];
}

const lmb_op lmb_op_layer_norm = {
    .name = "layer_norm",
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .attr_size = sizeof(lmb_layer_norm_attr),
    .shape = forward_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_layer_norm_bwd = {
    .name = "layer_norm_bwd",
    .min_in = 5,
    .max_in = 5,
    .n_out = 3,
    .attr_size = sizeof(lmb_layer_norm_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_layer_norm(
    lmb_graph *g, lmb_value x, lmb_value gamma, lmb_value beta, double eps)
{
    const lmb_layer_norm_attr a = {eps};
    const lmb_value in[3] = {x, gamma, beta};
    lmb_value out[3] = {LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_graph_apply(g, &lmb_op_layer_norm, &a, 3, in, out);
    return out[0];
}
