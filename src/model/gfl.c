/* gfl.c: generalised focal loss: quality in the class, a box as distributions.
 *
 * c3..c5 -> p3..p7 (extra levels from p5); towers of 4 convolutions with group
 * norm; each place gives classes and for each side of its box 17 logits over
 * distances 0..16 strides; the distance is their mean, d = sum softmax_i i.
 * ATSS assigns boxes (9 candidates a level, anchors of 8 strides). With P
 * positives of all images, w = max_c sigmoid(cls) (detached), q the IoU with
 * the assigned box,
 *   L = sum qfl(cls, q) / P + 2 sum w (1 - GIoU) / sum w
 *       + 0.25 sum w dfl / (4 sum w)
 * Source: Li et al. 2020, arXiv:2006.04388; mmdetection's layout. Its boxes
 * are in strides when they are compared, here in pixels: the same but for the
 * 1e-6 in denominators. */
#include "model/backbone.h"
#include "model/detector_post.h"
#include "model/fpn.h"
#include "model/head_dense.h"

enum { FIRST = 3, BINS = 17 };

static const lmb_tower cls_tower = {
    "bbox_head", {"cls_convs.", ".conv"}, {"cls_convs.", ".gn"}, 1, 0, false};
static const lmb_tower box_tower = {
    "bbox_head", {"reg_convs.", ".conv"}, {"reg_convs.", ".gn"}, 1, 0, false};

static lmb_anchors anchor_rule(
    const lmb_model_opts *opts, const int64_t input[2])
{
    lmb_anchors a;
    lmb_anchors_init(&a, LMB_LAYOUT_MMDET, FIRST, input);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        a.level[i].size[0] = opts->anchor_scale * (64 << i);
    return a;
}

/* --- losses --------------------------------------------------------------- */

typedef struct outputs {
    lmb_value cls, bins, box; /* [N, A, C], [N, A, 68], pixels [N, A, 4] */
} outputs;

static lmb_value all(lmb_graph *g, lmb_value v)
{
    return lmb_sum(g, v, LMB_ALL_AXES, false);
}

static lmb_atss_attr assigner(const lmb_anchors *rule, int classes)
{
    lmb_atss_attr attr = {
        .classes = classes, .topk = 9, .levels = LMB_DETECTOR_LEVELS};
    lmb_anchors_sizes(rule, attr.level_size);
    return attr;
}

/* Mean cross-entropy of the four sides with the two bins around their true
 * distances, weighted; -> []. */
static lmb_value bin_loss(lmb_nn *nn, const lmb_anchors *rule, const outputs *o,
    lmb_value points, lmb_value box, lmb_value weight)
{
    lmb_graph *g = nn->g;
    const lmb_shape sides = lmb_graph_shape(g, box);
    const lmb_value d = lmb_div(g, lmb_distance_encode(g, points, box),
        lmb_strides_constant(g, rule, FIRST));
    const lmb_value most = lmb_graph_scalar(g, BINS - 1 - 0.1);
    const lmb_value target =
        lmb_maximum(g, lmb_minimum(g, d, most), lmb_graph_scalar(g, 0));
    const lmb_value loss = lmb_distribution_focal_loss(g,
        lmb_reshape(g, o->bins, LMB_SHAPE(-1, BINS)),
        lmb_reshape(g, target, LMB_SHAPE(-1)),
        lmb_reshape(g, lmb_broadcast(g, weight, sides), LMB_SHAPE(-1)));
    return lmb_scale(g, loss, 0.25);
}

static void losses(
    lmb_nn *nn, const lmb_anchors *rule, const outputs *o, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_value points = lmb_points_constant(g, rule);
    const lmb_atss_attr attr = assigner(rule, classes);
    const lmb_value anchors = lmb_anchors_constant(g, rule);
    const lmb_assigned assigned =
        lmb_assign_atss(g, anchors, nn->detection->truth, &attr);
    const lmb_value positive = lmb_label_mask(g, assigned.label, 0, classes);
    lmb_anchors_assigned(nn, rule, FIRST, assigned.label, classes);
    lmb_anchors_taps(nn, rule, FIRST, "valuable",
        lmb_valuable_atss(g, anchors, nn->detection->truth, &attr));
    const lmb_value best = lmb_max(g, o->cls, LMB_AXIS(-1), false);
    const lmb_value weight = lmb_stop_gradient(
        g, lmb_mul(g, lmb_sigmoid(g, best), positive)); /* [N, A] */
    const lmb_value decoded = lmb_distance_decode(g, points, o->box);
    const lmb_value quality = lmb_stop_gradient(
        g, lmb_mul(g, lmb_box_iou(g, decoded, assigned.box), positive));
    const lmb_value giou = lmb_box_giou(g, decoded, assigned.box);
    const lmb_value total = all(g, weight);
    lmb_detector_loss(nn, "cls",
        lmb_quality_focal_loss(g, o->cls, assigned.label, quality, 2),
        assigned.positives, 1);
    lmb_detector_loss(nn, "box",
        all(g, lmb_mul(g, lmb_affine(g, giou, -1, 1), weight)), total, 2);
    lmb_detector_loss(nn, "dfl",
        bin_loss(
            nn, rule, o, points, assigned.box, lmb_detector_rows(g, weight)),
        total, 0.25);
}

/* --- the network ---------------------------------------------------------- */

static lmb_value predict_cls(lmb_nn *nn, lmb_value x, int classes)
{
    return lmb_dense_predict(
        nn, "bbox_head", "gfl_cls", x, classes, lmb_dense_prior_bias());
}

static lmb_value predict_box(lmb_nn *nn, lmb_value x, int level)
{
    return lmb_dense_scale(nn, "bbox_head", level,
        lmb_dense_predict(nn, "bbox_head", "gfl_reg", x, 4 * BINS, 0));
}

/* Means of the distributions, in pixels. [N, A, 68] -> [N, A, 4] */
static lmb_value distances(
    lmb_graph *g, const lmb_anchors *rule, lmb_value bins)
{
    double place[BINS];
    for (int i = 0; i < BINS; i++)
        place[i] = i;
    const int64_t images = lmb_graph_dim(g, bins, 0);
    const lmb_value p =
        lmb_softmax(g, lmb_reshape(g, bins, LMB_SHAPE(-1, BINS)), -1);
    const lmb_value mean = lmb_sum(g,
        lmb_mul(g, p, lmb_graph_constant(g, LMB_SHAPE(BINS), place, 0)),
        LMB_AXIS(-1), false);
    return lmb_mul(g, lmb_reshape(g, mean, LMB_SHAPE(images, -1, 4)),
        lmb_strides_constant(g, rule, FIRST));
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_value p[LMB_DETECTOR_LEVELS], cls[LMB_DETECTOR_LEVELS],
        box[LMB_DETECTOR_LEVELS];
    const int64_t input[2] = {
        lmb_graph_dim(nn->g, x, 2), lmb_graph_dim(nn->g, x, 3)};
    const lmb_anchors rule = anchor_rule(lmb_detector_opts(nn), input);
    lmb_dense_features features;
    lmb_fpn_on_backbone(m, nn, x, FIRST, LMB_FPN_ON_OUTPUT, p);
    lmb_dense_towers(nn, &cls_tower, &box_tower, FIRST, p, &features);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        cls[i] = predict_cls(nn, features.cls[i], classes);
        box[i] = predict_box(nn, features.box[i], i);
    }
    lmb_detector_taps(nn, "cls", FIRST, LMB_DETECTOR_LEVELS, cls);
    lmb_detector_taps(nn, "box", FIRST, LMB_DETECTOR_LEVELS, box);
    lmb_detector_head(nn, "bbox_head", "gfl_cls");
    if (nn->detection == NULL)
        return LMB_NONE;
    outputs o = {
        .cls = lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, cls, classes),
        .bins = lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, box, 4 * BINS),
    };
    o.box = distances(nn->g, &rule, o.bins);
    if (lmb_detector_trains(nn)) {
        losses(nn, &rule, &o, classes);
    } else {
        lmb_detector_output(nn, o.cls);
        lmb_detector_output(nn, o.box);
    }
    return LMB_NONE;
}

static lmb_value head_tail(const lmb_model *m, lmb_nn *nn, const char *name,
    int after, lmb_value features, int classes)
{
    int level = 0;
    (void)m;
    switch (lmb_dense_tail(nn, name, after, FIRST, &level)) {
    case LMB_TAIL_CLS:
        return predict_cls(
            nn, lmb_tower_build(nn, &cls_tower, after, features), classes);
    case LMB_TAIL_BOX:
        return predict_box(
            nn, lmb_tower_build(nn, &box_tower, after, features), level);
    default:
        return LMB_NONE;
    }
}

/* --- detections ----------------------------------------------------------- */

static lmb_status postprocess(const lmb_model *m, const lmb_detect_call *call,
    int64_t capacity, lmb_detected *out, int64_t *count)
{
    static const lmb_found_rule usual = {
        0.05, 0.6, 1000, 100, LMB_FOUND_ALONE, false};
    const lmb_found_rule rule = lmb_detector_rule(call, &usual);
    const lmb_anchors a = anchor_rule(call->opts, call->input);
    int64_t size[LMB_DETECTOR_LEVELS];
    const float *distances = NULL;
    lmb_found_list p = {NULL, NULL, 0, 0};
    lmb_status st = LMB_OK;
    (void)m;
    lmb_anchors_sizes(&a, size);
    LMB_TRY(
        lmb_detector_rows_of(call, 1, lmb_anchors_count(&a), 4, &distances));
    LMB_GOTO(lmb_detector_candidates(call, size, 2, &rule, &p), st, done);
    LMB_GOTO(lmb_detector_around(&a, distances, false, FIRST, &p), st, done);
    LMB_GOTO(
        lmb_detector_finish(&p, &rule, call, capacity, out, count), st, done);
done:
    lmb_found_fini(&p);
    return st;
}

#define GFL(ident, which) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "detection", \
        .default_classes = 80, \
        .default_size = 800, \
        .default_lr = 0.01, \
        .width = LMB_LAYOUT_MMDET, \
        .variant = (which), \
        .build = build, \
        .postprocess = postprocess, \
        .head_tail = head_tail, \
        .box_code = "bins", \
        .options = LMB_DENSE_OPTIONS | LMB_ANCHOR_OPTIONS | \
            LMB_STYLE_OPTIONS_OF(which), \
        .pad = 32, \
    }
GFL(gfl_r18_fpn, LMB_BACKBONE_R18);
GFL(gfl_r34_fpn, LMB_BACKBONE_R34);
GFL(gfl_r50_fpn, LMB_BACKBONE_R50);
GFL(gfl_r101_fpn, LMB_BACKBONE_R101);
GFL(gfl_x101_fpn, LMB_BACKBONE_X101);
GFL(gfl_mv2_fpn, LMB_BACKBONE_MV2);
GFL(gfl_sv2_fpn, LMB_BACKBONE_SV2);
