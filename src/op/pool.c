/* pool.c: windows and shape rule of the pooling ops. */
#include "op/pool.h"

lmb_status lmb__pool_fit(const lmb_pool_attr *a, const int64_t spatial[2],
    lmb_window *h, lmb_window *w)
{
    *h = (lmb_window){spatial[0], a->kernel[0], a->stride[0], a->pad[0], 1, 0};
    *w = (lmb_window){spatial[1], a->kernel[1], a->stride[1], a->pad[1], 1, 0};
    LMB_TRY(lmb__window_fit("height", h));
    LMB_TRY(lmb__window_fit("width", w));
    return lmb__window_half_padded(h, w);
}

lmb_status lmb__pool_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    lmb_window h, w;
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, 0));
    const lmb_shape *x = &in[0].shape;
    LMB_TRY(lmb__pool_fit(attr, x->dim + 2, &h, &w));
    out[0] = lmb__real(LMB_SHAPE(x->dim[0], x->dim[1], h.out, w.out));
    return LMB_OK;
}

lmb_pool_bwd_attr lmb__pool_bwd(const lmb_graph *g, const lmb_grad *c)
{
    return (lmb_pool_bwd_attr){*(const lmb_pool_attr *)c->attr,
        {lmb_graph_dim(g, c->in[0], 2), lmb_graph_dim(g, c->in[0], 3)}};
}
