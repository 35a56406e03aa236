/* pool.h: what max_pool2d and avg_pool2d share. Private to src/op. */
#ifndef LMB_OP_POOL_H
#define LMB_OP_POOL_H

#include "op/ops.h"
#include "op/spatial.h"

/* The windows over a plane of spatial[0] x spatial[1]; padding is at most half
 * the kernel. */
lmb_status lmb__pool_fit(const lmb_pool_attr *a, const int64_t spatial[2],
    lmb_window *h, lmb_window *w) LMB_MUST_CHECK;
/* The forward ops' shape rule: x [N, C, H, W] -> [N, C, oh, ow]. */
lmb_status lmb__pool_shape(const void *attr, int n_in, const lmb_type *in,
    lmb_type *out) LMB_MUST_CHECK;
/* Attributes of the backward op. */
lmb_pool_bwd_attr lmb__pool_bwd(const lmb_graph *g, const lmb_grad *c);

#endif
