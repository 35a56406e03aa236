/* op.h: the builders of all ops: what models and methods are written with.
 *
 * Every builder adds nodes to `g` and returns the new value (LMB_NONE once
 * the graph has failed: errors are sticky, see graph.h). Unless said
 * otherwise reals go in and come out, gradients exist for real inputs, and
 * axes may be negative (counted from the end). */
#ifndef LMB_OP_OP_H
#define LMB_OP_OP_H

#include "graph/graph.h"
#include "graph/param.h"

/* --- elementwise (unary.c, binary.c, affine.c, select.c)
 * ---------------------- */

lmb_value lmb_neg(lmb_graph *g, lmb_value x);
lmb_value lmb_exp(lmb_graph *g, lmb_value x);
lmb_value lmb_log(lmb_graph *g, lmb_value x);
lmb_value lmb_sqrt(lmb_graph *g, lmb_value x); /* gradient at 0 is 0 */
lmb_value lmb_square(lmb_graph *g, lmb_value x);
lmb_value lmb_reciprocal(lmb_graph *g, lmb_value x);
lmb_value lmb_abs(lmb_graph *g, lmb_value x); /* gradient at 0 is 0 */
lmb_value lmb_sigmoid(lmb_graph *g, lmb_value x);
lmb_value lmb_tanh(lmb_graph *g, lmb_value x);
lmb_value lmb_softplus(lmb_graph *g, lmb_value x); /* log(1 + e^x), stable */
lmb_value lmb_relu(lmb_graph *g, lmb_value x); /* own op: relu.c */
lmb_value lmb_relu6(lmb_graph *g, lmb_value x);

/* NumPy broadcasting; the result has the broadcast shape. */
lmb_value lmb_add(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_sub(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_mul(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_div(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_maximum(lmb_graph *g, lmb_value a, lmb_value b); /* ties: a */
lmb_value lmb_minimum(lmb_graph *g, lmb_value a, lmb_value b); /* ties: a */
/* 1.0 where a > b (a >= b, a == b), else 0.0; no gradient. */
lmb_value lmb_greater(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_greater_equal(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_equal(lmb_graph *g, lmb_value a, lmb_value b);
/* a * x + b with constants. */
lmb_value lmb_affine(lmb_graph *g, lmb_value x, double a, double b);
lmb_value lmb_scale(lmb_graph *g, lmb_value x, double a);
lmb_value lmb_shift(lmb_graph *g, lmb_value x, double b);
/* a where cond != 0, else b; broadcasting; no gradient to cond. */
lmb_value lmb_select(lmb_graph *g, lmb_value cond, lmb_value a, lmb_value b);
/* x forward, nothing backward. */
lmb_value lmb_stop_gradient(lmb_graph *g, lmb_value x);

/* --- shape (reshape.c, permute.c, broadcast.c, concat.c, slice.c, pad.c)
 * ------ */

/* Same count; one dimension may be -1. */
lmb_value lmb_reshape(lmb_graph *g, lmb_value x, lmb_shape shape);
/* out.dim[i] = x.dim[perm[i]]; perm has rank(x) entries. */
lmb_value lmb_permute(lmb_graph *g, lmb_value x, const int *perm);
lmb_value lmb_transpose(lmb_graph *g, lmb_value x); /* rank 2 */
lmb_value lmb_broadcast(lmb_graph *g, lmb_value x, lmb_shape shape);
lmb_value lmb_concat(lmb_graph *g, int n, const lmb_value *x, int axis);
/* Elements start .. stop-1 of an axis. */
lmb_value lmb_slice(
    lmb_graph *g, lmb_value x, int axis, int64_t start, int64_t stop);
/* Zeros before and after along an axis. */
lmb_value lmb_pad(
    lmb_graph *g, lmb_value x, int axis, int64_t before, int64_t after);

/* --- reductions (reduce.c)
 * ------------------------------------------------------ */

/* Axes as a bit mask, LMB_AXIS(1) | LMB_AXIS(-1) | ...; keep: stay as 1. */
#define LMB_AXIS(a) ((uint32_t)1 << ((a)&15)) /* negative: bits 15, 14, .. */
#define LMB_ALL_AXES 0u
lmb_value lmb_sum(lmb_graph *g, lmb_value x, uint32_t axes, bool keep);
lmb_value lmb_mean(lmb_graph *g, lmb_value x, uint32_t axes, bool keep);
/* Maximum; the gradient goes to the first of equal maxima. */
lmb_value lmb_max(lmb_graph *g, lmb_value x, uint32_t axes, bool keep);

/* --- softmax family (softmax.c, log_softmax.c, segment_*.c)
 * ------------------------ */

lmb_value lmb_softmax(lmb_graph *g, lmb_value x, int axis);
lmb_value lmb_log_softmax(lmb_graph *g, lmb_value x, int axis);
/* Last axis cut into n consecutive segments, segment j = [bounds[j],
 * bounds[j+1]); bounds has n+1 rising entries from 0 to the axis' size. Each
 * segment is normalised by itself. x [.., C] -> [.., C]. */
lmb_value lmb_segment_log_softmax(
    lmb_graph *g, lmb_value x, int n, const int32_t *bounds);
/* Sum of each segment: [.., C] -> [.., n]. */
lmb_value lmb_segment_sum(
    lmb_graph *g, lmb_value x, int n, const int32_t *bounds);
/* The reverse: [.., n] -> [.., C], each value repeated over its segment. */
lmb_value lmb_segment_broadcast(
    lmb_graph *g, lmb_value x, int n, const int32_t *bounds);

/* --- order and indexing (argsort.c, gather.c, scatter_add.c, one_hot.c)
 * ------------ */

/* Indices (I32) that sort the last axis; stable: equal values keep index
 * order in both directions. No gradient. [.., C] -> [.., C]. */
lmb_value lmb_argsort(lmb_graph *g, lmb_value x, bool descending);
/* out[.., i, ..] = x[.., idx[.., i, ..], ..] along `axis`; idx is I32 with the
 * shape of x but for that axis (NumPy's take_along_axis). */
lmb_value lmb_gather(lmb_graph *g, lmb_value x, lmb_value idx, int axis);
/* The adjoint of gather: zeros of size `size` along axis, plus x at idx. */
lmb_value lmb_scatter_add(
    lmb_graph *g, lmb_value x, lmb_value idx, int axis, int64_t size);
/* labels I32 [N] -> [N, classes] of 0 and 1; no gradient. */
lmb_value lmb_one_hot(lmb_graph *g, lmb_value labels, int64_t classes);
/* The same, but rows of zeros for labels outside 0 .. classes-1. */
lmb_value lmb_one_hot_or_zero(lmb_graph *g, lmb_value labels, int64_t classes);
/* The k largest of the last axis, as indices, largest first. No gradient. */
lmb_value lmb_top_k(lmb_graph *g, lmb_value x, int64_t k);

/* --- linear algebra (matmul.c)
 * --------------------------------------------------------- */

/* op(a) op(b), op(x) = x or its transpose in the last two axes. Ranks 2 and 2,
 * or 3 and 3 with equal first axis (a batch of products). */
lmb_value lmb_matmul(lmb_graph *g, lmb_value a, lmb_value b, bool ta, bool tb);
/* x [N, I] times w [O, I] transposed, plus b [O] if there is one. */
lmb_value lmb_linear(lmb_graph *g, lmb_value x, lmb_value w, lmb_value b);

/* --- spatial ops on [N, C, H, W]
 * --------------------------------------------------------- */

typedef struct lmb_conv_attr {
    int32_t stride[2], pad[2], dilation[2]; /* h, w; dilation 1 is dense */
    int32_t groups;
    bool relu; /* set by the planner's fusion only */
} lmb_conv_attr;
/* Plain defaults: stride s, padding p, dilation 1, one group. */
lmb_conv_attr lmb_conv_square(int stride, int pad);
/* x [N, I, H, W], w [O, I/groups, kh, kw], bias [O] or LMB_NONE. Conv is cross
 * correlation. (conv2d.c holds conv2d and its two backward ops.) */
lmb_value lmb_conv2d(lmb_graph *g, lmb_value x, lmb_value w, lmb_value bias,
    const lmb_conv_attr *attr);
/* PyTorch's conv_transpose2d: x [N, I, H, W], w [I, O/groups, kh, kw]; output
 * padding 0. out_h = (H-1)*stride - 2*pad + dilation*(kh-1) + 1. */
lmb_value lmb_conv2d_transpose(lmb_graph *g, lmb_value x, lmb_value w,
    lmb_value bias, const lmb_conv_attr *attr);

/* Batch norm in training: statistics over (N, H, W), biased variance for the
 * output; running statistics (buffers, may be NULL) are moved by momentum
 * with the unbiased variance: r = (1 - m) r + m batch. Gradient through the
 * statistics. Ranks 4 and 2 ([N, C]). */
lmb_value lmb_batch_norm_train(lmb_graph *g, lmb_value x, lmb_value gamma,
    lmb_value beta, double eps, double momentum, lmb_param *running_mean,
    lmb_param *running_var);
/* With given statistics: gamma (x - mean) / sqrt(var + eps) + beta. */
lmb_value lmb_batch_norm_infer(lmb_graph *g, lmb_value x, lmb_value gamma,
    lmb_value beta, lmb_value mean, lmb_value var, double eps);

typedef struct lmb_pool_attr {
    int32_t kernel[2], stride[2], pad[2];
    bool count_include_pad; /* average pooling: PyTorch's default is true */
} lmb_pool_attr;
lmb_value lmb_max_pool2d(lmb_graph *g, lmb_value x,
    const lmb_pool_attr *attr); /* ties: the first in row order */
lmb_value lmb_avg_pool2d(lmb_graph *g, lmb_value x, const lmb_pool_attr *attr);
/* PyTorch's adaptive_avg_pool2d to [N, C, oh, ow]. */
lmb_value lmb_adaptive_avg_pool2d(
    lmb_graph *g, lmb_value x, int64_t oh, int64_t ow);
/* Mean over H and W: [N, C, H, W] -> [N, C]. */
lmb_value lmb_global_avg_pool(lmb_graph *g, lmb_value x);
/* ShuffleNet's: channels [groups, C/groups] transposed. */
lmb_value lmb_channel_shuffle(lmb_graph *g, lmb_value x, int groups);
typedef enum lmb_resize_mode {
    LMB_RESIZE_NEAREST,
    LMB_RESIZE_BILINEAR, /* align_corners = false */
} lmb_resize_mode;
/* PyTorch's interpolate(size=(oh, ow)). */
lmb_value lmb_resize(
    lmb_graph *g, lmb_value x, int64_t oh, int64_t ow, lmb_resize_mode mode);

/* --- formulas made of the above (composite.c)
 * --------------------------------------------- */

/* mean_n -log softmax(logits)[label_n]; logits [N, C], labels I32 [N] -> []. */
lmb_value lmb_cross_entropy(lmb_graph *g, lmb_value logits, lmb_value labels);
/* sum_k exp(lp) (lp - lq) over the last axis; lp, lq log-probabilities;
 * terms with p == 0 count 0. [.., K] -> [..]. */
lmb_value lmb_kl_log(lmb_graph *g, lmb_value lp, lmb_value lq);
/* x / max(||x||_2, eps) along the axes. */
lmb_value lmb_l2_normalize(
    lmb_graph *g, lmb_value x, uint32_t axes, double eps);
lmb_value lmb_mse(lmb_graph *g, lmb_value a, lmb_value b); /* -> [] */
/* Mean of 0.5 d^2 for |d| < 1, |d| - 0.5 beyond. */
lmb_value lmb_smooth_l1(lmb_graph *g, lmb_value a, lmb_value b); /* -> [] */

/* --- backward and side effects
 * --------------------------------------------------------------- */

/* Adds the gradient graph of the scalar `loss`: out[i] = d loss / d wrt[i],
 * of the shape of wrt[i] (LMB_NONE where loss does not depend on it).
 * (autodiff.c) */
void lmb_backward(
    lmb_graph *g, lmb_value loss, int n, const lmb_value *wrt, lmb_value *out);
/* Writes a gradient into the parameter's slot of its store at each run.
 * (store_grad.c) */
void lmb_store_grad(lmb_graph *g, lmb_param *param, lmb_value grad);
/* lmb_backward for every trainable parameter of the given stores that the
 * graph uses (one walk), then lmb_store_grad. */
void lmb_backward_params(
    lmb_graph *g, lmb_value loss, int n_stores, lmb_params *const *stores);

#endif
