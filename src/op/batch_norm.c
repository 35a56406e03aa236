/* batch_norm: normalisation by the statistics of the batch, its backward op,
 * and the moving of the running statistics.
 *
 *   mean[c] = avg x[:,c,..],  var[c] = avg (x[:,c,..] - mean[c])^2 (biased),
 *   xhat = (x - mean) / sqrt(var + eps),
 *   y = gamma xhat + beta + residual, then an optional ReLU
 * over M = N (H W) elements a channel; x [N, C, H, W] or [N, C], the rest [C]
 * (residual and ReLU come from the planner's fusion only). M = 1 is refused.
 * Backward, with d = dy + dy2 (0 where ReLU cut):
 *   dbeta = sum d,  dgamma = sum d xhat,
 *   dx = gamma / sqrt(var + eps) (d - dbeta / M - xhat dgamma / M).
 * The outputs mean and var pass no gradient back; through y it flows into the
 * statistics. Running: r = (1 - m) r + m batch, variance times M / (M - 1).
 * Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1. */
#include "op/ops.h"
#include "op/spatial.h"

#include <math.h>

/* x seen as [n, c, plane]. */
typedef struct bn_view {
    int64_t n, c, plane;
} bn_view;

static bn_view view_of(const lmb_shape *x)
{
    bn_view v = {x->dim[0], x->dim[1], 1};
    for (int i = 2; i < x->rank; i++)
        v.plane *= x->dim[i];
    return v;
}

/* --- shapes */

static lmb_status need_x(int n_in, const lmb_type *in, int i)
{
    LMB_TRY(lmb__need_real("x", n_in, in, i));
    const lmb_shape *x = &in[i].shape;
    if (x->rank != 4 && x->rank != 2)
        return LMB_FAIL(LMB_ESHAPE, "x %s is not [N, C, H, W] or [N, C]",
            lmb_shape_text(x));
    return LMB_OK;
}

static lmb_status train_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    LMB_TRY(need_x(n_in, in, 0));
    const lmb_shape *x = &in[0].shape;
    const bn_view v = view_of(x);
    if (v.n * v.plane < 2)
        return LMB_FAIL(LMB_ESHAPE,
            "x %s has %lld value(s) a channel; batch statistics need 2",
            lmb_shape_text(x), (long long)(v.n * v.plane));
    const lmb_shape channels = LMB_SHAPE(v.c);
    LMB_TRY(lmb__need_shape("gamma", channels, n_in, in, 1));
    LMB_TRY(lmb__need_shape("beta", channels, n_in, in, 2));
    if (lmb__type_has(n_in, in, 3))
        LMB_TRY(lmb__need_shape("residual", *x, n_in, in, 3));
    out[0] = lmb__real(*x);
    out[1] = out[2] = lmb__real(channels);
    return LMB_OK;
}

/* Inputs of batch_norm_bwd. */
enum { B_DY, B_DY2, B_X, B_GAMMA, B_MEAN, B_VAR, B_Y, B_BETA };

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_batch_norm_bwd_attr *a = attr;
    LMB_TRY(need_x(n_in, in, B_X));
    const lmb_shape x = in[B_X].shape;
    const lmb_shape channels = LMB_SHAPE(x.dim[1]);
    LMB_TRY(lmb__need_shape("dy", x, n_in, in, B_DY));
    if (lmb__type_has(n_in, in, B_DY2))
        LMB_TRY(lmb__need_shape("dy2", x, n_in, in, B_DY2));
    LMB_TRY(lmb__need_shape("gamma", channels, n_in, in, B_GAMMA));
    LMB_TRY(lmb__need_shape("mean", channels, n_in, in, B_MEAN));
    LMB_TRY(lmb__need_shape("var", channels, n_in, in, B_VAR));
    /* ReLU's mask comes from y or, without a residual, from x and beta. */
    const bool beta = !a->with_residual && lmb__type_has(n_in, in, B_BETA);
    if (beta)
        LMB_TRY(lmb__need_shape("beta", channels, n_in, in, B_BETA));
    if ((a->relu && !beta) || lmb__type_has(n_in, in, B_Y))
        LMB_TRY(lmb__need_shape("y", x, n_in, in, B_Y));
    out[0] = lmb__real(x);
    out[1] = out[2] = lmb__real(channels);
    out[3] = lmb__real(a->with_residual ? x : LMB_SHAPE(0));
    return LMB_OK;
}

static lmb_status update_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_batch_norm_update_attr *a = attr;
    const lmb_shape channels = a->running_mean->shape;
    if (!lmb_shape_equal(&channels, &a->running_var->shape))
        return LMB_FAIL(LMB_ESHAPE,
            "running mean and variance have shapes %s and %s",
            lmb_shape_text(&channels), lmb_shape_text(&a->running_var->shape));
    LMB_TRY(lmb__need_shape("mean", channels, n_in, in, 0));
    LMB_TRY(lmb__need_shape("var", channels, n_in, in, 1));
    if (a->count < 2)
        return LMB_FAIL(LMB_EINVAL,
            "the unbiased variance of %lld value(s) is not defined",
            (long long)a->count);
    out[0] = lmb__real(LMB_SCALAR);
    return LMB_OK;
}

/* --- reference kernels */

/* Two passes: the mean first, or large means would eat the variance's bits. */
static void statistics(
    const bn_view *v, const double *x, int64_t c, double *mean, double *var)
{
    const double count = (double)(v->n * v->plane);
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t j = 0; j < v->plane; j++)
            sum += x[(n * v->c + c) * v->plane + j];
    *mean = sum / count;
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t j = 0; j < v->plane; j++) {
            const double d = x[(n * v->c + c) * v->plane + j] - *mean;
            squares += d * d;
        }
    *var = squares / count;
}

static lmb_status train_reference(const lmb_ref *r)
{
    const lmb_batch_norm_attr *a = r->attr;
    const bn_view v = view_of(&r->in_type[0].shape);
    const double *x = r->in[0];
    const double *residual = lmb__ref_has(r, 3) ? r->in[3] : NULL;
    for (int64_t c = 0; c < v.c; c++) {
        statistics(&v, x, c, &r->out[1][c], &r->out[2][c]);
        const double mean = r->out[1][c];
        const double inverse = 1 / sqrt(r->out[2][c] + a->eps);
        for (int64_t n = 0; n < v.n; n++)
            for (int64_t j = 0; j < v.plane; j++) {
                const int64_t i = (n * v.c + c) * v.plane + j;
                double y = (x[i] - mean) * inverse * r->in[1][c] + r->in[2][c];
                if (residual != NULL)
                    y += residual[i];
                r->out[0][i] = a->relu && y <= 0 ? 0 : y;
            }
    }
    return LMB_OK;
}

/* d = dy + dy2 where the output was not cut by ReLU. */
static double masked(const lmb_ref *r, int64_t i, int64_t c, double xhat)
{
    const lmb_batch_norm_bwd_attr *a = r->attr;
    if (a->relu) {
        const double y = lmb__ref_has(r, B_Y)
            ? r->in[B_Y][i]
            : r->in[B_GAMMA][c] * xhat + r->in[B_BETA][c];
        if (!(y > 0))
            return 0;
    }
    return r->in[B_DY][i] + (lmb__ref_has(r, B_DY2) ? r->in[B_DY2][i] : 0);
}

static void bwd_channel(const lmb_ref *r, const bn_view *v, int64_t c)
{
    const lmb_batch_norm_bwd_attr *a = r->attr;
    const double *x = r->in[B_X], mean = r->in[B_MEAN][c];
    const double inverse = 1 / sqrt(r->in[B_VAR][c] + a->eps);
    const double count = (double)(v->n * v->plane);
    double sum = 0, dot = 0; /* of d, and of d xhat */
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t j = 0; j < v->plane; j++) {
            const int64_t i = (n * v->c + c) * v->plane + j;
            const double xhat = (x[i] - mean) * inverse;
            const double d = masked(r, i, c, xhat);
            sum += d;
            dot += d * xhat;
        }
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t j = 0; j < v->plane; j++) {
            const int64_t i = (n * v->c + c) * v->plane + j;
            const double xhat = (x[i] - mean) * inverse;
            const double d = masked(r, i, c, xhat);
            r->out[0][i] = r->in[B_GAMMA][c] * inverse *
                (d - sum / count - xhat * dot / count);
            if (a->with_residual)
                r->out[3][i] = d;
        }
    r->out[1][c] = dot;
    r->out[2][c] = sum;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const bn_view v = view_of(&r->in_type[B_X].shape);
    for (int64_t c = 0; c < v.c; c++)
        bwd_channel(r, &v, c);
    return LMB_OK;
}

static void move(const lmb_param *p, int64_t i, double momentum, double value)
{
    lmb_param_set(
        p, i, (1 - momentum) * lmb_param_get(p, i) + momentum * value);
}

static lmb_status update_reference(const lmb_ref *r)
{
    const lmb_batch_norm_update_attr *a = r->attr;
    const double unbias = (double)a->count / (double)(a->count - 1);
    for (int64_t c = 0; c < a->running_mean->count; c++) {
        move(a->running_mean, c, a->momentum, r->in[0][c]);
        move(a->running_var, c, a->momentum, r->in[1][c] * unbias);
    }
    r->out[0][0] = 0;
    return LMB_OK;
}

/* --- gradient, the ops, builder */

static void train_grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_batch_norm_attr *a = c->attr;
    const bool residual = lmb__grad_has(c, 3) && c->need[3];
    if (!lmb_is(c->dy[0]))
        return;
    const lmb_batch_norm_bwd_attr b = {
        .eps = a->eps, .relu = a->relu, .with_residual = residual};
    lmb_value in[8] = {
        c->dy[0], LMB_NONE, c->in[0], c->in[1], c->out[1], c->out[2]};
    int n_in = 6;
    if (a->relu && lmb__grad_has(c, 3)) {
        in[B_Y] = c->out[0];
        n_in = 7;
    } else if (a->relu) { /* spares reading y */
        in[B_Y] = LMB_NONE;
        in[B_BETA] = c->in[2];
        n_in = 8;
    }
    lmb_value d[4] = {LMB_NONE, LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_graph_apply(g, &lmb_op_batch_norm_bwd, &b, n_in, in, d);
    for (int i = 0; i < 3; i++)
        if (c->need[i])
            c->dx[i] = d[i];
    if (residual)
        c->dx[3] = d[3];
}

const lmb_op lmb_op_batch_norm_train = {
    .name = "batch_norm_train",
    .min_in = 3,
    .max_in = 4,
    .n_out = 3,
    .attr_size = sizeof(lmb_batch_norm_attr),
    .shape = train_shape,
    .grad = train_grad,
    .reference = train_reference,
};

const lmb_op lmb_op_batch_norm_bwd = {
    .name = "batch_norm_bwd",
    .min_in = 1, /* dy2 may be absent; the shape rule asks for the others */
    .max_in = 8,
    .n_out = 4,
    .attr_size = sizeof(lmb_batch_norm_bwd_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

const lmb_op lmb_op_batch_norm_update = {
    .name = "batch_norm_update",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_batch_norm_update_attr),
    .side_effect = true,
    .shape = update_shape,
    .no_gradient = true,
    .reference = update_reference,
};

lmb_value lmb_batch_norm_train(lmb_graph *g, lmb_value x, lmb_value gamma,
    lmb_value beta, double eps, double momentum, lmb_param *running_mean,
    lmb_param *running_var)
{
    const lmb_batch_norm_attr a = {.eps = eps};
    const lmb_value in[3] = {x, gamma, beta};
    lmb_value out[3] = {LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_graph_apply(g, &lmb_op_batch_norm_train, &a, 3, in, out);
    if ((running_mean == NULL) != (running_var == NULL))
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL,
                "batch_norm_train: running mean and variance come together"));
    if (!lmb_is(out[0]) || running_mean == NULL || running_var == NULL)
        return out[0];
    const lmb_shape shape = lmb_graph_shape(g, x);
    const bn_view v = view_of(&shape);
    const lmb_batch_norm_update_attr u = {.running_mean = running_mean,
        .running_var = running_var,
        .momentum = momentum,
        .count = v.n * v.plane};
    (void)lmb_graph_apply1(g, &lmb_op_batch_norm_update, &u, 2, out + 1);
    return out[0];
}
