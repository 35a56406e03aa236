/* avg_pool2d: the mean of each window, and its adjoint.
 *
 *   y[n,c,p,q] = 1/D sum x[n,c,i,j],  i in [p s_h - p_h, + kh), j likewise,
 * with x = 0 in the padding; D = kh kw if count_include_pad, else the number
 * of elements that are not padding. x [N, C, H, W] -> y [N, C, oh, ow], sizes
 * rounded down; padding is at most half the kernel. */
#include "op/pool.h"

static lmb_status backward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_pool_bwd_attr *a = attr;
    lmb_window h, w;
    LMB_TRY(lmb__need_rank("dy", 4, n_in, in, 0));
    const lmb_shape *dy = &in[0].shape;
    LMB_TRY(lmb__pool_fit(&a->pool, a->spatial, &h, &w));
    LMB_TRY(lmb__need_shape(
        "dy", LMB_SHAPE(dy->dim[0], dy->dim[1], h.out, w.out), n_in, in, 0));
    out[0] = lmb__real(
        LMB_SHAPE(dy->dim[0], dy->dim[1], a->spatial[0], a->spatial[1]));
    return LMB_OK;
}

/* The elements under a window, and what the sum over them is divided by. */
typedef struct patch {
    int64_t i0, i1, j0, j1;
    double divisor;
} patch;

static patch patch_at(const lmb_pool_attr *a, const lmb_window *h,
    const lmb_window *w, int64_t p, int64_t q)
{
    patch t;
    lmb__window_inputs(h, p, &t.i0, &t.i1);
    lmb__window_inputs(w, q, &t.j0, &t.j1);
    t.divisor = (double)(a->count_include_pad ? h->kernel * w->kernel
                                              : (t.i1 - t.i0) * (t.j1 - t.j0));
    return t;
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_shape *s = &r->in_type[0].shape;
    lmb_window h, w;
    LMB_TRY(lmb__pool_fit(r->attr, s->dim + 2, &h, &w));
    for (int64_t nc = 0; nc < s->dim[0] * s->dim[1]; nc++)
        for (int64_t pq = 0; pq < h.out * w.out; pq++) {
            const patch t = patch_at(r->attr, &h, &w, pq / w.out, pq % w.out);
            const double *x = r->in[0] + nc * h.size * w.size;
            double sum = 0;
            for (int64_t i = t.i0; i < t.i1; i++)
                for (int64_t j = t.j0; j < t.j1; j++)
                    sum += x[i * w.size + j];
            r->out[0][nc * h.out * w.out + pq] = sum / t.divisor;
        }
    return LMB_OK;
}

static void spread_plane(const lmb_pool_attr *a, const lmb_window *h,
    const lmb_window *w, const double *dy, double *dx)
{
    for (int64_t i = 0; i < h->size * w->size; i++)
        dx[i] = 0;
    for (int64_t pq = 0; pq < h->out * w->out; pq++) {
        const patch t = patch_at(a, h, w, pq / w->out, pq % w->out);
        for (int64_t i = t.i0; i < t.i1; i++)
            for (int64_t j = t.j0; j < t.j1; j++)
                dx[i * w->size + j] += dy[pq] / t.divisor;
    }
}

static lmb_status backward_reference(const lmb_ref *r)
{
    const lmb_pool_bwd_attr *a = r->attr;
    const lmb_shape *s = &r->out_type[0].shape;
    lmb_window h, w;
    LMB_TRY(lmb__pool_fit(&a->pool, a->spatial, &h, &w));
    for (int64_t nc = 0; nc < s->dim[0] * s->dim[1]; nc++)
        spread_plane(&a->pool, &h, &w, r->in[0] + nc * h.out * w.out,
            r->out[0] + nc * h.size * w.size);
    return LMB_OK;
}

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]) || !c->need[0])
        return;
    const lmb_pool_bwd_attr a = lmb__pool_bwd(g, c);
    c->dx[0] = lmb_graph_apply1(g, &lmb_op_avg_pool2d_bwd, &a, 1, c->dy);
}

const lmb_op lmb_op_avg_pool2d = {
    .name = "avg_pool2d",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_pool_attr),
    .shape = lmb__pool_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_avg_pool2d_bwd = {
    .name = "avg_pool2d_bwd",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_pool_bwd_attr),
    .shape = backward_shape,
    .reference = backward_reference,
};

lmb_value lmb_avg_pool2d(lmb_graph *g, lmb_value x, const lmb_pool_attr *attr)
{
    return lmb_graph_apply1(g, &lmb_op_avg_pool2d, attr, 1, &x);
}
