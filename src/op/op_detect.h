/* op_detect.h: builders of what detectors need beside op.h.
 *
 * Shapes: N images, A anchors or points over all levels (level by level, each
 * row-major over y, x, anchor), M boxes an image (padded), C classes, R rows
 * (RoIs). Boxes are x0 y0 x1 y1 in input pixels. Padding rows have valid 0, or
 * label -1. Assignment, sampling and proposals are host ops: computed by the
 * functions of detect/, no gradient; an overflow of their capacity is an error
 * that names the option. */
#ifndef LMB_OP_OP_DETECT_H
#define LMB_OP_OP_DETECT_H

#include "op/op.h"

/* Ground truth of a batch, and where its random draws come from. */
typedef struct lmb_truth {
    lmb_value boxes; /* [N, M, 4] */
    lmb_value labels; /* I32 [N, M] */
    lmb_value valid; /* [N, M], 1 or 0 */
    lmb_value draw; /* I32 [4]: seed low, seed high, step low, step high */
    lmb_value sizes; /* [N, 2] or NONE: height, width of the pictures; anchors
                        centred in their padding are ignored */
} lmb_truth;

typedef struct lmb_assigned {
    lmb_value label; /* I32 [N, A]: 0 .. C-1, C background, -1 ignored */
    lmb_value box; /* [N, A, 4]: the box it is assigned to, else 0 */
    lmb_value positives; /* []: number of positives, all images together */
} lmb_assigned;

/* 1.0 where low <= label < high, else 0.0: masks of positives (0, C), of rows
 * that count (0, C + 1). label I32 [..] -> [..]. No gradient. */
lmb_value lmb_label_mask(
    lmb_graph *g, lmb_value label, int32_t low, int32_t high);

/* --- assignment (assign_*.c) ---------------------------------------------- */

/* Largest IoU: >= positive is positive, < negative is background, between is
 * ignored; with low_quality the best anchors of each box (all that tie), from
 * an IoU of `least` on, are positive too: an lmb_low_quality of
 * detect/match.h, or true for mmdetection's MaxIoUAssigner. */
typedef struct lmb_max_iou_attr {
    int32_t classes;
    double positive, negative, least;
    int32_t low_quality;
} lmb_max_iou_attr;
/* Where truth->sizes are given, anchors are left out whose centre lies beyond
 * the picture's side, that rounded up to 32: mmdetection's valid_flags. */
lmb_assigned lmb_assign_max_iou(lmb_graph *g, lmb_value anchors /* [A, 4] */,
    const lmb_truth *truth, const lmb_max_iou_attr *attr);

enum { LMB_MAX_LEVELS = 6 };
/* ATSS: the `topk` anchors nearest to a box's centre on each level are its
 * candidates; positive if IoU >= mean + deviation of theirs and the centre
 * lies inside. One square anchor a place. arXiv:1912.02424, section 4. */
typedef struct lmb_atss_attr {
    int32_t classes, topk, levels;
    int64_t level_size[LMB_MAX_LEVELS]; /* anchors of each level */
} lmb_atss_attr;
lmb_assigned lmb_assign_atss(lmb_graph *g, lmb_value anchors,
    const lmb_truth *truth, const lmb_atss_attr *attr);
/* [N, A]: the IoU of the anchors around those that ATSS takes, else 0: LD's
 * valuable region (lmb_valuable_by_atss, gamma 0.25). */
lmb_value lmb_valuable_atss(lmb_graph *g, lmb_value anchors,
    const lmb_truth *truth, const lmb_atss_attr *attr);

/* FCOS: a point inside a box (inside radius * stride of its centre, if radius
 * > 0) whose largest side distance is in its level's range; the smallest box
 * wins. arXiv:1904.01355, section 3. */
typedef struct lmb_points_attr {
    int32_t classes, levels;
    int64_t level_size[LMB_MAX_LEVELS];
    double stride[LMB_MAX_LEVELS], range[LMB_MAX_LEVELS][2];
    double radius; /* 0: anywhere inside the box */
} lmb_points_attr;
lmb_assigned lmb_assign_points(lmb_graph *g, lmb_value points /* [A, 2] x y */,
    const lmb_truth *truth, const lmb_points_attr *attr);

/* --- boxes (box_code.c, box_iou.c) ---------------------------------------- */

/* Offsets (dx, dy, dw, dh) / std of `boxes` [.., A, 4] from anchors [A, 4] or
 * of the same shape; zeros where the box is empty. No gradient. */
lmb_value lmb_box_encode(
    lmb_graph *g, lmb_value anchors, lmb_value boxes, const double std[4]);
/* The reverse, with gradient to the offsets; dw and dh are clamped to +-most
 * (log(1000/16)) before exp. */
lmb_value lmb_box_decode(lmb_graph *g, lmb_value anchors, lmb_value deltas,
    const double std[4], double most);
/* Boxes from points [A, 2] and distances left, top, right, bottom [.., A, 4]:
 * with gradient to the distances; and the distances of boxes (no gradient). */
lmb_value lmb_distance_decode(
    lmb_graph *g, lmb_value points, lmb_value distances);
lmb_value lmb_distance_encode(lmb_graph *g, lmb_value points, lmb_value boxes);
/* Row by row IoU [..] and generalised IoU [..] of boxes [.., 4]; gradient to
 * both sides. eps as mmdetection's (1e-6) in the denominators. */
lmb_value lmb_box_iou(lmb_graph *g, lmb_value a, lmb_value b);
lmb_value lmb_box_giou(lmb_graph *g, lmb_value a, lmb_value b);

/* --- losses: sums over all rows; rows with label -1 count nothing ----------
 */

/* Sigmoid focal loss, logits [.., C], label I32 [..] (C: background) -> [].
 * arXiv:1708.02002, equation 5. */
lmb_value lmb_focal_loss(lmb_graph *g, lmb_value logits, lmb_value label,
    double gamma, double alpha);
/* Quality focal loss; quality [..] is the soft target of the label's class.
 * arXiv:2006.04388, equation 2. */
lmb_value lmb_quality_focal_loss(lmb_graph *g, lmb_value logits,
    lmb_value label, lmb_value quality, double beta);
/* Distribution focal loss, logits [R, bins], target [R] in [0, bins - 1],
 * weight [R] -> []. arXiv:2006.04388, equation 6. */
lmb_value lmb_distribution_focal_loss(
    lmb_graph *g, lmb_value logits, lmb_value target, lmb_value weight);
/* Binary cross-entropy with logits, elementwise: softplus(x) - x t. */
lmb_value lmb_bce_logits(lmb_graph *g, lmb_value x, lmb_value target);
/* Elementwise smooth L1 with a corner at beta (0: L1); no reduction. */
lmb_value lmb_smooth_l1_beta(lmb_graph *g, lmb_value d, double beta);
/* -log softmax(logits [R, C])[label], 0 for rows with label -1 -> [R]. */
lmb_value lmb_cross_entropy_rows(
    lmb_graph *g, lmb_value logits, lmb_value label);

/* --- two stages ------------------------------------------------------------
 */

/* The best boxes of an RPN: of each level the pre_nms highest scores, decoded
 * with anchors, clipped to sizes [N, 2] (height, width), smaller ones than
 * min_size dropped, NMS in each level, the post_nms best of all levels.
 * objectness [N, A], deltas [N, A, 4], anchors [A, 4] -> boxes [N, P, 4] with
 * P = post_nms, scores [N, P], count I32 [N]. Host op, no gradient. */
typedef struct lmb_proposals_attr {
    int32_t levels, pre_nms, post_nms;
    int64_t level_size[LMB_MAX_LEVELS];
    double nms, min_size, std[4];
} lmb_proposals_attr;
typedef struct lmb_proposals {
    lmb_value boxes, scores, count;
} lmb_proposals;
lmb_proposals lmb_propose(lmb_graph *g, lmb_value objectness, lmb_value deltas,
    lmb_value anchors, lmb_value sizes, const lmb_proposals_attr *attr);

/* Draws `rows` RoIs an image, `fraction` of them positive at most, from the
 * proposals and (add_truth) the ground truth: IoU >= positive is positive,
 * < negative background. -> rois [N rows, 5] (image, box), label I32 [N rows]
 * (C background, -1 padding), box [N rows, 4], positives []. Host op. */
typedef struct lmb_sample_attr {
    int32_t classes, rows;
    double fraction, positive, negative;
    bool add_truth;
    uint32_t stream; /* keeps two samplers of one graph apart */
} lmb_sample_attr;
typedef struct lmb_rois {
    lmb_value rois, label, box, positives;
} lmb_rois;
lmb_rois lmb_sample_rois(lmb_graph *g, const lmb_proposals *proposals,
    const lmb_truth *truth, const lmb_sample_attr *attr);
/* Of assigned anchors (RPN) keeps `rows` an image, `fraction` of them positive
 * at most, drawn at random: the others' labels become -1. -> label I32 [N, A]
 */
lmb_value lmb_sample_anchors(lmb_graph *g, lmb_value label,
    const lmb_truth *truth, const lmb_sample_attr *attr);
/* All proposals as RoIs, for evaluation: label C, padding rows -1. */
lmb_rois lmb_proposals_as_rois(
    lmb_graph *g, const lmb_proposals *proposals, int32_t classes);

/* RoIAlign over feature levels, each RoI on the level floor(canonical_level +
 * log2(sqrt(area) / canonical_size)) clamped to those given (mmdetection:
 * canonical 56 at level 0; torchvision: 224 at level 2 of 4). features
 * [N, C, H_l, W_l], rois [R, 5] -> [R, C, size, size]; gradient to features. */
typedef struct lmb_roi_align_attr {
    int32_t levels, size, samples; /* samples 0: as many as pixels */
    double stride[LMB_MAX_LEVELS];
    double canonical_size, canonical_level;
    bool aligned; /* half-pixel shift */
} lmb_roi_align_attr;
lmb_value lmb_roi_align(lmb_graph *g, const lmb_value *features, lmb_value rois,
    const lmb_roi_align_attr *attr);

/* --- normalisation and attention -------------------------------------------
 */

/* Statistics over (C/groups, H, W) of each image and group; x [N, C, H, W]. */
lmb_value lmb_group_norm(lmb_graph *g, lmb_value x, lmb_value gamma,
    lmb_value beta, int groups, double eps);
/* Over the last axis: x [.., C], gamma [C], beta [C]. */
lmb_value lmb_layer_norm(
    lmb_graph *g, lmb_value x, lmb_value gamma, lmb_value beta, double eps);
lmb_value lmb_gelu(lmb_graph *g, lmb_value x); /* exact: x Phi(x) */
/* Cyclic shift: out[i] = x[(i - by) mod size] along an axis (torch.roll). */
lmb_value lmb_roll(lmb_graph *g, lmb_value x, int axis, int64_t by);
/* Stochastic depth: x [N, ..], each image 0 with probability `rate`, else
 * times 1 / (1 - rate); draw as in lmb_truth, `key` tells branches apart. */
lmb_value lmb_drop_path(
    lmb_graph *g, lmb_value x, lmb_value draw, double rate, uint32_t key);

#endif
