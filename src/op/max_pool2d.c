/* max_pool2d: the largest element of each window, and its backward op.
 *
 *   y[n,c,p,q] = max x[n,c,i,j],  i in [p s_h - p_h, + kh), j likewise,
 * cut to x's bounds (padding never wins; it is at most half the kernel, so
 * no window is empty). x [N, C, H, W] -> y [N, C, oh, ow], sizes rounded down.
 * Ties: the first in row order gets the gradient. A NaN wins, as in PyTorch. */
#include "op/pool.h"

#include <math.h>

static lmb_status backward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_pool_bwd_attr *a = attr;
    lmb_window h, w;
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, 1));
    const lmb_shape x = in[1].shape;
    LMB_TRY(lmb__need_shape("x",
        LMB_SHAPE(x.dim[0], x.dim[1], a->spatial[0], a->spatial[1]), n_in, in,
        1));
    LMB_TRY(lmb__pool_fit(&a->pool, a->spatial, &h, &w));
    const lmb_shape y = LMB_SHAPE(x.dim[0], x.dim[1], h.out, w.out);
    LMB_TRY(lmb__need_shape("dy", y, n_in, in, 0));
    LMB_TRY(lmb__need_shape("y", y, n_in, in, 2));
    out[0] = lmb__real(x);
    return LMB_OK;
}

/* Where in the plane x the maximum of window (p, q) lies. */
static int64_t argmax(const lmb_window *h, const lmb_window *w, const double *x,
    int64_t p, int64_t q)
{
    int64_t i0, i1, j0, j1;
    lmb__window_inputs(h, p, &i0, &i1);
    lmb__window_inputs(w, q, &j0, &j1);
    int64_t best = i0 * w->size + j0;
    for (int64_t i = i0; i < i1; i++)
        for (int64_t j = j0; j < j1; j++) {
            const double v = x[i * w->size + j];
            if (v > x[best] || (isnan(v) && !isnan(x[best])))
                best = i * w->size + j;
        }
    return best;
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_shape *s = &r->in_type[0].shape;
    lmb_window h, w;
    LMB_TRY(lmb__pool_fit(r->attr, s->dim + 2, &h, &w));
    for (int64_t nc = 0; nc < s->dim[0] * s->dim[1]; nc++) {
        const double *x = r->in[0] + nc * h.size * w.size;
        double *y = r->out[0] + nc * h.out * w.out;
        for (int64_t p = 0; p < h.out; p++)
            for (int64_t q = 0; q < w.out; q++)
                y[p * w.out + q] = x[argmax(&h, &w, x, p, q)];
    }
    return LMB_OK;
}

static lmb_status backward_reference(const lmb_ref *r)
{
    const lmb_pool_bwd_attr *a = r->attr;
    const lmb_shape *s = &r->out_type[0].shape;
    lmb_window h, w;
    LMB_TRY(lmb__pool_fit(&a->pool, a->spatial, &h, &w));
    for (int64_t nc = 0; nc < s->dim[0] * s->dim[1]; nc++) {
        const double *dy = r->in[0] + nc * h.out * w.out;
        const double *x = r->in[1] + nc * h.size * w.size;
        double *dx = r->out[0] + nc * h.size * w.size;
        for (int64_t i = 0; i < h.size * w.size; i++)
            dx[i] = 0;
        for (int64_t p = 0; p < h.out; p++)
            for (int64_t q = 0; q < w.out; q++)
                dx[argmax(&h, &w, x, p, q)] += dy[p * w.out + q];
    }
    return LMB_OK;
}

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]) || !c->need[0])
        return;
    const lmb_pool_bwd_attr a = lmb__pool_bwd(g, c);
    const lmb_value in[3] = {c->dy[0], c->in[0], c->out[0]};
    c->dx[0] = lmb_graph_apply1(g, &lmb_op_max_pool2d_bwd, &a, 3, in);
}

const lmb_op lmb_op_max_pool2d = {
    .name = "max_pool2d",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_pool_attr),
    .shape = lmb__pool_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_max_pool2d_bwd = {
    .name = "max_pool2d_bwd",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(lmb_pool_bwd_attr),
    .shape = backward_shape,
    .reference = backward_reference,
};

lmb_value lmb_max_pool2d(lmb_graph *g, lmb_value x, const lmb_pool_attr *attr)
{
    return lmb_graph_apply1(g, &lmb_op_max_pool2d, attr, 1, &x);
}
