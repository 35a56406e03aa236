/* group_norm: normalisation by the statistics of each image and group of
 * channels, and its backward op.
 *
 *   mean[n, g] = avg of x[n, c, ..] over the C / G channels c of group g,
 *   var[n, g] = avg (x - mean)^2 (biased),
 *   xhat = (x - mean) / sqrt(var + eps),  y = gamma[c] xhat + beta[c]
 * over M = (C / G) H W elements a group; x [N, C, H, W], gamma and beta [C].
 * Backward, with d = gamma dy:
 *   dbeta = sum dy,  dgamma = sum dy xhat   (over N, H, W),
 *   dx = (d - sum d / M - xhat sum(d xhat) / M) / sqrt(var + eps)
 * with sums over the group. The outputs mean and var pass no gradient back;
 * through y it flows into the statistics.
 * Source: Wu and He 2018, arXiv:1803.08494, section 3. */
#include "op/ops.h"
#include "op/spatial.h"

#include <math.h>

static lmb_status need_groups(
    const lmb_group_norm_attr *a, int n_in, const lmb_type *in, int i)
{
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, i));
    const lmb_shape *x = &in[i].shape;
    if (a->groups < 1 || x->dim[1] < 1 || x->dim[1] % a->groups != 0)
        return LMB_FAIL(LMB_ESHAPE,
            "x %s: %lld channels are not divisible into %d groups",
            lmb_shape_text(x), (long long)x->dim[1], (int)a->groups);
    if (x->dim[2] < 1 || x->dim[3] < 1)
        return LMB_FAIL(LMB_ESHAPE,
            "x %s has no elements to take statistics of", lmb_shape_text(x));
    return LMB_OK;
}

static lmb_status forward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_group_norm_attr *a = attr;
    LMB_TRY(need_groups(a, n_in, in, 0));
    const lmb_shape x = in[0].shape;
    LMB_TRY(lmb__need_shape("gamma", LMB_SHAPE(x.dim[1]), n_in, in, 1));
    LMB_TRY(lmb__need_shape("beta", LMB_SHAPE(x.dim[1]), n_in, in, 2));
    out[0] = lmb__real(x);
    out[1] = out[2] = lmb__real(LMB_SHAPE(x.dim[0], a->groups));
    return LMB_OK;
}

/* Inputs of group_norm_bwd. */
enum { B_DY, B_X, B_GAMMA, B_MEAN, B_VAR };

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_group_norm_attr *a = attr;
    LMB_TRY(need_groups(a, n_in, in, B_X));
    const lmb_shape x = in[B_X].shape;
    const lmb_shape channels = LMB_SHAPE(x.dim[1]);
    const lmb_shape sets = LMB_SHAPE(x.dim[0], a->groups);
    LMB_TRY(lmb__need_shape("dy", x, n_in, in, B_DY));
    LMB_TRY(lmb__need_shape("gamma", channels, n_in, in, B_GAMMA));
    LMB_TRY(lmb__need_shape("mean", sets, n_in, in, B_MEAN));
    LMB_TRY(lmb__need_shape("var", sets, n_in, in, B_VAR));
    out[0] = lmb__real(x);
    out[1] = out[2] = lmb__real(channels);
    return LMB_OK;
}

/* --- reference kernels: a group is a run of memory */

typedef struct sets {
    int64_t count, groups, size, plane, channels; /* size = M */
} sets;

static sets sets_of(const lmb_shape *x, const lmb_group_norm_attr *a)
{
    sets s = {.groups = a->groups, .plane = x->dim[2] * x->dim[3]};
    s.count = x->dim[0] * a->groups;
    s.channels = x->dim[1] / a->groups;
    s.size = s.channels * s.plane;
    return s;
}

/* The channel of element i of set k. */
static int64_t channel_of(const sets *s, int64_t k, int64_t i)
{
    return k % s->groups * s->channels + i / s->plane;
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_group_norm_attr *a = r->attr;
    const sets s = sets_of(&r->in_type[0].shape, a);
    for (int64_t k = 0; k < s.count; k++) {
        const double *x = r->in[0] + k * s.size;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < s.size; i++)
            sum += x[i];
        const double mean = sum / (double)s.size;
        for (int64_t i = 0; i < s.size; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        const double var = squares / (double)s.size;
        r->out[1][k] = mean;
        r->out[2][k] = var;
        for (int64_t i = 0; i < s.size; i++) {
            const int64_t c = channel_of(&s, k, i);
            r->out[0][k * s.size + i] =
                (x[i] - mean) / sqrt(var + a->eps) * r->in[1][c] + r->in[2][c];
        }
    }
    return LMB_OK;
}

/* Set k: dx, and its share of dgamma and dbeta. */
static void bwd_set(const lmb_ref *r, const sets *s, int64_t k)
{
    const lmb_group_norm_attr *a = r->attr;
    const double *dy = r->in[B_DY] + k * s->size;
    const double *x = r->in[B_X] + k * s->size;
    const double *gamma = r->in[B_GAMMA], mean = r->in[B_MEAN][k];
    const double inverse = 1 / sqrt(r->in[B_VAR][k] + a->eps);
    double sum = 0, dot = 0; /* of d, and of d xhat */
    for (int64_t i = 0; i < s->size; i++) {
        const int64_t c = channel_of(s, k, i);
        const double xhat = (x[i] - mean) * inverse;
        r->out[1][c] += dy[i] * xhat;
        r->out[2][c] += dy[i];
        sum += gamma[c] * dy[i];
        dot += gamma[c] * dy[i] * xhat;
    }
    for (int64_t i = 0; i < s->size; i++) {
        const double xhat = (x[i] - mean) * inverse;
        const double d = gamma[channel_of(s, k, i)] * dy[i];
        r->out[0][k * s->size + i] =
            inverse * (d - (sum + xhat * dot) / (double)s->size);
    }
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const sets s = sets_of(&r->in_type[B_X].shape, r->attr);
    for (int64_t c = 0; c < s.groups * s.channels; c++)
        r->out[1][c] = r->out[2][c] = 0;
    for (int64_t k = 0; k < s.count; k++)
        bwd_set(r, &s, k);
    return LMB_OK;
}

/* --- gradient, the ops, builder */

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]))
        return;
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1], c->out[1], c->out[2]};
    lmb_value d[3] = {LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_graph_apply(g, &lmb_op_group_norm_bwd, c->attr, 5, in, d);
    for (int i = 0; i < 3; i++)
        if (c->need[i])
            c->dx[i] = d[i];
}

const lmb_op lmb_op_group_norm = {
    .name = "group_norm",
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .attr_size = sizeof(lmb_group_norm_attr),
    .shape = forward_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_group_norm_bwd = {
    .name = "group_norm_bwd",
    .min_in = 5,
    .max_in = 5,
    .n_out = 3,
    .attr_size = sizeof(lmb_group_norm_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_group_norm(lmb_graph *g, lmb_value x, lmb_value gamma,
    lmb_value beta, int groups, double eps)
{
    const lmb_group_norm_attr a = {groups, eps};
    const lmb_value in[3] = {x, gamma, beta};
    lmb_value out[3] = {LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_graph_apply(g, &lmb_op_group_norm, &a, 3, in, out);
    return out[0];
}
