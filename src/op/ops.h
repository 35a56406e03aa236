/* ops.h: the op table and the attributes of each op, for kernels and passes.
 *
 * Inputs and outputs of each op are listed as  op(in, ...) -> out, ... with
 * shapes. Ops named *_bwd are what gradient rules build; they have no gradient
 * of their own. "?" marks an optional input. */
#ifndef LMB_OP_OPS_H
#define LMB_OP_OPS_H

#include "op/op.h"
#include "op/op_detect.h"

#define LMB_OP(name, file) extern const lmb_op lmb_op_##name;
#include "op/ops.def"
#undef LMB_OP

/* All ops, in the order of ops.def. */
const lmb_op *const *lmb_ops(int *count);
const lmb_op *lmb_op_find(const char *name);

/* unary(x) -> y, same shape */
typedef enum lmb_unary_kind {
    LMB_UNARY_NEG,
    LMB_UNARY_EXP,
    LMB_UNARY_LOG,
    LMB_UNARY_SQRT,
    LMB_UNARY_SQUARE,
    LMB_UNARY_RECIPROCAL,
    LMB_UNARY_ABS,
    LMB_UNARY_SIGN, /* sign(0) = 0; no gradient */
    LMB_UNARY_SIGMOID,
    LMB_UNARY_TANH,
    LMB_UNARY_SOFTPLUS,
    LMB_UNARY_RELU6,
} lmb_unary_kind;
typedef struct lmb_unary_attr {
    int32_t kind;
} lmb_unary_attr;

/* relu(x) -> y;  relu_bwd(dy, y) -> dx = dy where y > 0. No attributes. */

/* binary(a, b) -> broadcast shape */
typedef enum lmb_binary_kind {
    LMB_BINARY_ADD,
    LMB_BINARY_SUB,
    LMB_BINARY_MUL,
    LMB_BINARY_DIV,
    LMB_BINARY_MAXIMUM,
    LMB_BINARY_MINIMUM,
    LMB_BINARY_GREATER,
    LMB_BINARY_GREATER_EQUAL,
    LMB_BINARY_EQUAL,
} lmb_binary_kind;
typedef struct lmb_binary_attr {
    int32_t kind;
} lmb_binary_attr;

/* affine(x) -> a * x + b */
typedef struct lmb_affine_attr {
    double a, b;
} lmb_affine_attr;

/* select(cond, a, b) -> broadcast shape; stop_gradient(x) -> x;
 * reshape(x) -> the shape in the attribute (already resolved);
 * broadcast(x) -> the shape in the attribute. */
typedef struct lmb_shape_attr {
    lmb_shape shape;
} lmb_shape_attr;

/* permute(x) -> y */
typedef struct lmb_permute_attr {
    int32_t perm[LMB_MAX_RANK];
} lmb_permute_attr;

/* concat(x0, .., xn-1) -> y along axis (non-negative here) */
typedef struct lmb_axis_attr {
    int32_t axis;
} lmb_axis_attr;

/* slice(x) -> elements start..stop-1;  pad(x) -> before zeros, x, after zeros
 */
typedef struct lmb_slice_attr {
    int32_t axis;
    int64_t start, stop;
} lmb_slice_attr;
typedef struct lmb_pad_attr {
    int32_t axis;
    int64_t before, after;
} lmb_pad_attr;

/* reduce(x) -> y; axes: bit i = axis i (resolved, non-zero or rank 0).
 * max_bwd(dy, x, y) -> dx, dy and y with kept axes. */
typedef enum lmb_reduce_kind {
    LMB_REDUCE_SUM,
    LMB_REDUCE_MEAN,
    LMB_REDUCE_MAX,
} lmb_reduce_kind;
typedef struct lmb_reduce_attr {
    int32_t kind;
    uint32_t axes;
    bool keep;
} lmb_reduce_attr;

/* softmax(x) -> y, log_softmax(x) -> y (lmb_axis_attr);
 * softmax_bwd(dy, y) -> dx = y (dy - sum(dy y));
 * log_softmax_bwd(dy, y) -> dx = dy - exp(y) sum(dy). */

/* segment_log_softmax(x) -> y; segment_log_softmax_bwd(dy, y) -> dx;
 * segment_sum(x) -> [.., n]; segment_broadcast(x) -> [.., C].
 * bounds: n + 1 entries, in the graph's memory. */
typedef struct lmb_segment_attr {
    int32_t n;
    const int32_t *bounds;
} lmb_segment_attr;

/* argsort(x) -> I32 */
typedef struct lmb_argsort_attr {
    bool descending;
} lmb_argsort_attr;

/* gather(x, idx) -> y (lmb_axis_attr); scatter_add(x, idx) -> y */
typedef struct lmb_scatter_attr {
    int32_t axis;
    int64_t size;
} lmb_scatter_attr;

/* one_hot(labels) -> [N, classes] */
typedef struct lmb_one_hot_attr {
    int64_t classes;
    bool loose; /* rows of zeros for labels outside 0 .. classes-1 */
} lmb_one_hot_attr;

/* matmul(a, b) -> c */
typedef struct lmb_matmul_attr {
    bool ta, tb;
} lmb_matmul_attr;

/* conv2d(x, w, bias?, residual?) -> y = [relu](conv + bias + residual)
 *   (residual and relu come from fusion only)               lmb_conv_attr
 * conv2d_bwd_data(dy, w, bias?) -> dx [N, I, H, W] (+ bias over I: used by the
 *   transposed convolution)                             lmb_conv_bwd_attr
 * conv2d_bwd_weights(x, dy) -> dw, db [O]                lmb_conv_bwd_attr
 *   (with_bias false: db is of shape [0]) */
typedef struct lmb_conv_bwd_attr {
    lmb_conv_attr conv;
    int64_t spatial[2]; /* bwd_data: H, W of dx; bwd_weights: kh, kw */
    bool with_bias;
} lmb_conv_bwd_attr;

/* batch_norm_train(x, gamma, beta, residual?) -> y, mean [C], var [C]
 *   var is biased; y = [relu](norm + residual): residual and relu come from
 *   fusion only. */
typedef struct lmb_batch_norm_attr {
    double eps;
    bool relu;
} lmb_batch_norm_attr;
/* batch_norm_bwd(dy, dy2?, x, gamma, mean, var, y?, beta?)
 *     -> dx, dgamma, dbeta, dres
 *   dy2 is added to dy; relu's mask is y > 0, or, where no residual was added
 *   and y is absent, gamma xhat + beta > 0; dres (the masked sum dy + dy2) has
 *   x's shape when with_residual, else [0]. */
typedef struct lmb_batch_norm_bwd_attr {
    double eps;
    bool relu, with_residual;
} lmb_batch_norm_bwd_attr;
/* batch_norm_update(mean, var) -> [] (a dummy 0); side effect on the running
 *   statistics; count = elements per channel, for the unbiased variance. The
 *   reference kernel writes with lmb_param_set, in double. */
typedef struct lmb_batch_norm_update_attr {
    lmb_param *running_mean, *running_var;
    double momentum;
    int64_t count;
} lmb_batch_norm_update_attr;
/* batch_norm_infer(x, gamma, beta, mean, var) -> y; lmb_batch_norm_attr.
 *   Its gradient is made of elementwise ops (statistics are constants but may
 *   have gradients too: not needed, treat as stopped). */

/* max_pool2d(x) -> y; max_pool2d_bwd(dy, x, y) -> dx        lmb_pool_attr
 * avg_pool2d(x) -> y; avg_pool2d_bwd(dy) -> dx */
typedef struct lmb_pool_bwd_attr {
    lmb_pool_attr pool;
    int64_t spatial[2]; /* H, W of dx */
} lmb_pool_bwd_attr;

/* adaptive_avg_pool2d(x) -> [N, C, size]; _bwd(dy) -> [N, C, size];
 * global_avg_pool(x) -> [N, C]; _bwd(dy [N, C]) -> [N, C, size];
 * resize(x) -> [N, C, size]; resize_bwd(dy) -> [N, C, size] */
typedef struct lmb_size_attr {
    int64_t size[2];
    int32_t mode; /* resize: lmb_resize_mode */
} lmb_size_attr;

/* channel_shuffle(x) -> y: out channel j*groups + i = in channel i*(C/groups)
 * + j. Its gradient is channel_shuffle with C/groups groups. */
typedef struct lmb_shuffle_attr {
    int32_t groups;
} lmb_shuffle_attr;

/* group_norm(x, gamma, beta) -> y, mean [N, G], var [N, G] (biased)
 * group_norm_bwd(dy, x, gamma, mean, var) -> dx, dgamma [C], dbeta [C] */
typedef struct lmb_group_norm_attr {
    int32_t groups;
    double eps;
} lmb_group_norm_attr;

/* layer_norm(x, gamma, beta) -> y, mean [..], var [..] (biased); x [.., C]
 * layer_norm_bwd(dy, x, gamma, mean, var) -> dx, dgamma [C], dbeta [C] */
typedef struct lmb_layer_norm_attr {
    double eps;
} lmb_layer_norm_attr;

/* gelu(x) -> y;  gelu_bwd(dy, x) -> dx. No attributes. */

/* roll(x) -> y; 0 <= by < size here */
typedef struct lmb_roll_attr {
    int32_t axis;
    int64_t by;
} lmb_roll_attr;

/* drop_path(draw I32 [4]) -> [images]: 0 or 1 / (1 - rate) */
typedef struct lmb_drop_path_attr {
    double rate;
    int64_t images;
    uint32_t key;
} lmb_drop_path_attr;
void lmb__drop_path_factors(
    const lmb_drop_path_attr *a, const int32_t draw[4], double *out);

/* roi_align(x0, .., xl-1, rois) -> [R, C, size, size]    lmb_roi_align_attr
 * roi_align_bwd(dy, rois) -> dx of one level, of the given shape */
typedef struct lmb_roi_align_bwd_attr {
    lmb_roi_align_attr align;
    int32_t level;
    lmb_shape shape; /* [N, C, H, W] */
} lmb_roi_align_bwd_attr;

/* --- detection: see op_detect.h for meaning and shapes -------------------- */

/* assign_max_iou(anchors, boxes, labels, valid, sizes?) -> label, box,
 *                                              positives lmb_max_iou_attr
 * assign_atss, the same with lmb_atss_attr;
 * valuable_atss(anchors, boxes, labels, valid, sizes?) -> region [N, A], the
 *                                                         same attr;
 * assign_points(points, boxes, ..), the same with lmb_points_attr;
 * propose(objectness, deltas, anchors, sizes) -> boxes, scores, count
 *                                                      lmb_proposals_attr
 * sample_rois(boxes, count, truth boxes, labels, valid, draw)
 *     -> rois, label, box, positives                     lmb_sample_attr
 * sample_anchors(label, draw) -> label                   lmb_sample_attr
 * proposals_as_rois(boxes, count) -> rois, label, box, positives */
typedef struct lmb_as_rois_attr {
    int32_t classes;
} lmb_as_rois_attr;

/* box_encode(anchors, boxes) -> deltas; box_decode(anchors, deltas) -> boxes;
 * box_decode_bwd(dboxes, anchors, deltas) -> ddeltas. */
typedef struct lmb_box_code_attr {
    double std[4], most; /* most: decode only */
} lmb_box_code_attr;

/* focal_loss(logits, label) -> [];
 * focal_loss_bwd(dy, logits, label) -> dlogits. */
typedef struct lmb_focal_attr {
    double gamma, alpha;
} lmb_focal_attr;

/* quality_focal_loss(logits, label, quality) -> [];
 * quality_focal_loss_bwd(dy, logits, label, quality) -> dlogits. */
typedef struct lmb_quality_attr {
    double beta;
} lmb_quality_attr;

/* distribution_focal_loss(logits, target, weight) -> [];
 * distribution_focal_loss_bwd(dy, logits, target, weight) -> dlogits;
 * cross_entropy_rows(logits, label) -> [R];
 * cross_entropy_rows_bwd(dy, logits, label) -> dlogits. */

/* box_iou(a, b) -> [..]; box_iou_bwd(dy, a, b) -> da, db. */
typedef struct lmb_box_iou_attr {
    bool generalised;
} lmb_box_iou_attr;

/* smooth_l1(d) -> y; smooth_l1_bwd(dy, d) -> dx = dy clamp(d / beta, -1, 1),
 * dy sign(d) where beta is 0. */
typedef struct lmb_smooth_l1_attr {
    double beta;
} lmb_smooth_l1_attr;

/* label_mask(label) -> 1 where low <= label < high, else 0, real. */
typedef struct lmb_label_mask_attr {
    int32_t low, high;
} lmb_label_mask_attr;

/* store_grad(grad) -> [] (a dummy 0); side effect on the parameter's slot. */
typedef struct lmb_store_grad_attr {
    lmb_param *param;
} lmb_store_grad_attr;

#endif
