/* retinanet.c: RetinaNet: focal loss on dense anchors.
 *
 * c3..c5 -> p3..p7; towers of 4 convolutions shared by the levels; 9 anchors a
 * place: sizes 4 stride 2^(k/3), k = 0, 1, 2, ratios 1/2, 1, 2.
 *   positive: IoU >= 0.5 with a box, or the box's best; background: < 0.4
 *   L = sum focal(cls) / P + sum |delta - target|_1 over positives / P
 * with P positives of all images. Source: Lin et al. 2017, arXiv:1708.02002.
 *
 * Layouts: mmdetection's (p6 from c5) and torchvision's (p6 from p5, a ReLU
 * before p7, anchors rounded to whole pixels, strides from the ratio of sizes,
 * each image's loss divided by its own positives and the mean taken; batch
 * norms with eps 0, as its published weights want). */
#include "detect/match.h"
#include "model/anchors.h"
#include "model/backbone.h"
#include "model/detector_post.h"
#include "model/fpn.h"
#include "model/head_dense.h"

#include <math.h>

enum { FIRST = 3, ANCHORS = 9 };
static const double unit_std[4] = {1, 1, 1, 1};

typedef struct layout_of {
    lmb_tower cls, box;
    const char *cls_last, *box_last; /* the predictors, in the towers' scopes */
    lmb_fpn_extra extra;
} layout_of;

static const layout_of layouts[] = {
    [LMB_LAYOUT_MMDET] = {{"bbox_head", {"cls_convs.", ".conv"}, {NULL, NULL},
                              1, 0, true},
        {"bbox_head", {"reg_convs.", ".conv"}, {NULL, NULL}, 1, 0, true},
        "retina_cls", "retina_reg", LMB_FPN_ON_INPUT},
    [LMB_LAYOUT_TORCHVISION] = {{"head.classification_head", {"conv.", ".0"},
                                    {NULL, NULL}, 1, 0, true},
        {"head.regression_head", {"conv.", ".0"}, {NULL, NULL}, 1, 0, true},
        "cls_logits", "bbox_reg", LMB_FPN_ON_OUTPUT_RELU},
};

static const layout_of *layout_for(const lmb_model *m)
{
    return &layouts[lmb_detector_layout(m)];
}

/* The anchors of an input of this height and width. torchvision's sizes are
 * whole numbers. */
static lmb_anchors anchor_rule(
    const lmb_model *m, const lmb_model_opts *opts, const int64_t input[2])
{
    lmb_anchors a;
    lmb_anchors_init(&a, lmb_detector_layout(m), FIRST, input);
    a.n_ratios = a.n_sizes = 3;
    for (int k = 0; k < 3; k++) {
        a.ratio[k] = 0.5 * (1 << k);
        for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
            const double size =
                opts->anchor_scale * (32 << i) * pow(2, k / 3.0);
            a.level[i].size[k] = a.whole ? floor(size) : size;
        }
    }
    return a;
}

static lmb_anchors anchors_of(const lmb_model *m, lmb_nn *nn, lmb_value x)
{
    const int64_t input[2] = {
        lmb_graph_dim(nn->g, x, 2), lmb_graph_dim(nn->g, x, 3)};
    return anchor_rule(m, lmb_detector_opts(nn), input);
}

static lmb_value predict_cls(
    const layout_of *l, lmb_nn *nn, lmb_value x, int classes)
{
    return lmb_dense_predict(nn, l->cls.scope, l->cls_last, x,
        ANCHORS * classes, lmb_dense_prior_bias());
}

static lmb_value predict_box(const layout_of *l, lmb_nn *nn, lmb_value x)
{
    return lmb_dense_predict(nn, l->box.scope, l->box_last, x, ANCHORS * 4, 0);
}

/* --- losses --------------------------------------------------------------- */

typedef struct outputs {
    lmb_value cls, box; /* [N, A, C], [N, A, 4] */
} outputs;

/* Sum of |delta - target| over positive anchors. */
static lmb_value box_sum(
    lmb_graph *g, lmb_value deltas, lmb_value target, lmb_value positive)
{
    const lmb_value d = lmb_mul(g, lmb_sub(g, deltas, target), positive);
    return lmb_sum(g, lmb_abs(g, d), LMB_ALL_AXES, false);
}

/* Image n of [N, ..], with its axis. */
static lmb_value image(lmb_graph *g, lmb_value v, int64_t n)
{
    return lmb_slice(g, v, 0, n, n + 1);
}

/* torchvision: the mean over images of sums by each image's own positives. */
static void losses_by_image(lmb_nn *nn, const outputs *o,
    const lmb_assigned *assigned, lmb_value target, lmb_value positive)
{
    lmb_graph *g = nn->g;
    const int64_t images = lmb_graph_dim(g, o->cls, 0);
    const lmb_value one = lmb_graph_scalar(g, 1);
    lmb_value cls = LMB_NONE, box = LMB_NONE;
    for (int64_t n = 0; n < images; n++) {
        const lmb_value mask = image(g, positive, n);
        const lmb_value count =
            lmb_maximum(g, lmb_sum(g, mask, LMB_ALL_AXES, false), one);
        const lmb_value c = lmb_div(g,
            lmb_focal_loss(
                g, image(g, o->cls, n), image(g, assigned->label, n), 2, 0.25),
            count);
        const lmb_value b = lmb_div(g,
            box_sum(g, image(g, o->box, n), image(g, target, n), mask), count);
        cls = n > 0 ? lmb_add(g, cls, c) : c;
        box = n > 0 ? lmb_add(g, box, b) : b;
    }
    lmb_detector_loss(nn, "cls", cls, one, 1.0 / (double)images);
    lmb_detector_loss(nn, "box", box, one, 1.0 / (double)images);
}

static void losses(const lmb_model *m, lmb_nn *nn, const outputs *o,
    const lmb_anchors *places, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_value anchors = lmb_anchors_constant(g, places);
    const lmb_max_iou_attr rule = {.classes = classes,
        .positive = 0.5,
        .negative = 0.4,
        .least = 0,
        .low_quality = lmb_detector_layout(m) == LMB_LAYOUT_TORCHVISION
            ? LMB_LOW_QUALITY_OWN
            : LMB_LOW_QUALITY_TAKE};
    lmb_truth truth = *nn->detection->truth;
    if (lmb_detector_layout(m) == LMB_LAYOUT_TORCHVISION)
        truth.sizes = LMB_NONE; /* it trains the anchors in the padding, too */
    const lmb_assigned assigned = lmb_assign_max_iou(g, anchors, &truth, &rule);
    const lmb_value target = lmb_box_encode(g, anchors, assigned.box, unit_std);
    const lmb_value positive =
        lmb_detector_rows(g, lmb_label_mask(g, assigned.label, 0, classes));
    lmb_anchors_assigned(nn, places, FIRST, assigned.label, classes);
    if (lmb_detector_layout(m) == LMB_LAYOUT_TORCHVISION) {
        losses_by_image(nn, o, &assigned, target, positive);
        return;
    }
    lmb_detector_loss(nn, "cls",
        lmb_focal_loss(g, o->cls, assigned.label, 2, 0.25), assigned.positives,
        1);
    lmb_detector_loss(
        nn, "box", box_sum(g, o->box, target, positive), assigned.positives, 1);
}

/* --- the network ---------------------------------------------------------- */

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    const layout_of *l = layout_for(m);
    lmb_value p[LMB_DETECTOR_LEVELS], cls[LMB_DETECTOR_LEVELS],
        box[LMB_DETECTOR_LEVELS];
    lmb_dense_features features;
    lmb_fpn_on_backbone(m, nn, x, FIRST, l->extra, p);
    lmb_dense_towers(nn, &l->cls, &l->box, FIRST, p, &features);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        cls[i] = predict_cls(l, nn, features.cls[i], classes);
        box[i] = predict_box(l, nn, features.box[i]);
    }
    lmb_detector_taps(nn, "cls", FIRST, LMB_DETECTOR_LEVELS, cls);
    lmb_detector_taps(nn, "box", FIRST, LMB_DETECTOR_LEVELS, box);
    lmb_detector_head(nn, l->cls.scope, l->cls_last);
    if (nn->detection == NULL)
        return LMB_NONE;
    const outputs o = {
        lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, cls, classes),
        lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, box, 4),
    };
    if (lmb_detector_trains(nn)) {
        const lmb_anchors places = anchors_of(m, nn, x);
        losses(m, nn, &o, &places, classes);
    } else {
        lmb_detector_output(nn, o.cls);
        lmb_detector_output(nn, o.box);
    }
    return LMB_NONE;
}

static lmb_value head_tail(const lmb_model *m, lmb_nn *nn, const char *name,
    int after, lmb_value features, int classes)
{
    const layout_of *l = layout_for(m);
    int level = 0;
    switch (lmb_dense_tail(nn, name, after, FIRST, &level)) {
    case LMB_TAIL_CLS:
        return predict_cls(
            l, nn, lmb_tower_build(nn, &l->cls, after, features), classes);
    case LMB_TAIL_BOX:
        return predict_box(
            l, nn, lmb_tower_build(nn, &l->box, after, features));
    default:
        return LMB_NONE;
    }
}

/* --- detections ----------------------------------------------------------- */

static lmb_status decode(
    const lmb_anchors *a, const float *offsets, lmb_found_list *candidates)
{
    double *anchors = NULL;
    LMB_TRY(LMB_NEW(anchors, 4 * lmb_anchors_count(a)));
    lmb_anchors_write(a, anchors);
    for (int64_t i = 0; i < candidates->count; i++) {
        const int64_t at = 4 * candidates->place[i];
        const double delta[4] = {
            offsets[at], offsets[at + 1], offsets[at + 2], offsets[at + 3]};
        double box[4];
        lmb_detect_decode(anchors + at, delta, unit_std, LMB_DETECT_MOST, box);
        candidates->item[i].box = lmb_detect_box(box);
    }
    lmb_free(anchors);
    return LMB_OK;
}

static lmb_status postprocess(const lmb_model *m, const lmb_detect_call *call,
    int64_t capacity, lmb_detected *out, int64_t *count)
{
    const lmb_found_rule usual = {.score = 0.05,
        .nms = 0.5,
        .top = 1000,
        .per_image = lmb_detector_layout(m) == LMB_LAYOUT_MMDET ? 100 : 300,
        .keep_empty = lmb_detector_layout(m) == LMB_LAYOUT_TORCHVISION};
    const lmb_found_rule rule = lmb_detector_rule(call, &usual);
    const lmb_anchors a = anchor_rule(m, call->opts, call->input);
    int64_t size[LMB_DETECTOR_LEVELS];
    const float *offsets = NULL;
    lmb_found_list p = {NULL, NULL, 0, 0};
    lmb_status st = LMB_OK;
    lmb_anchors_sizes(&a, size);
    LMB_TRY(lmb_detector_rows_of(call, 1, lmb_anchors_count(&a), 4, &offsets));
    LMB_GOTO(lmb_detector_candidates(call, size, 0, &rule, &p), st, done);
    LMB_GOTO(decode(&a, offsets, &p), st, done);
    LMB_GOTO(
        lmb_detector_finish(&p, &rule, call, capacity, out, count), st, done);
done:
    lmb_found_fini(&p);
    return st;
}

#define RETINANET_WITH(ident, which, layout, more) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "detection", \
        .default_classes = 80, \
        .default_size = 800, \
        .default_lr = 0.01, \
        .width = (layout), \
        .variant = (which), \
        .build = build, \
        .postprocess = postprocess, \
        .head_tail = head_tail, \
        .head_factor = ANCHORS, \
        .box_code = "deltas", \
        .options = LMB_DENSE_OPTIONS | LMB_ANCHOR_OPTIONS | (more), \
        .pad = 32, \
        .zero_eps = (layout) == LMB_LAYOUT_TORCHVISION, \
    }
#define RETINANET(ident, which, layout) \
    RETINANET_WITH(ident, which, layout, LMB_STYLE_OPTIONS_OF(which))
RETINANET(retinanet_r18_fpn, LMB_BACKBONE_R18, LMB_LAYOUT_MMDET);
RETINANET(retinanet_r34_fpn, LMB_BACKBONE_R34, LMB_LAYOUT_MMDET);
RETINANET(retinanet_r50_fpn, LMB_BACKBONE_R50, LMB_LAYOUT_MMDET);
RETINANET(retinanet_r101_fpn, LMB_BACKBONE_R101, LMB_LAYOUT_MMDET);
RETINANET(retinanet_x50_fpn, LMB_BACKBONE_X50, LMB_LAYOUT_MMDET);
RETINANET(retinanet_x101_fpn, LMB_BACKBONE_X101, LMB_LAYOUT_MMDET);
RETINANET(retinanet_x101_64x4d_fpn, LMB_BACKBONE_X101_64, LMB_LAYOUT_MMDET);
RETINANET(retinanet_mv2_fpn, LMB_BACKBONE_MV2, LMB_LAYOUT_MMDET);
RETINANET(retinanet_sv2_fpn, LMB_BACKBONE_SV2, LMB_LAYOUT_MMDET);
RETINANET_WITH(retinanet_resnet50_fpn, LMB_BACKBONE_R50, LMB_LAYOUT_TORCHVISION,
    LMB_NORM_OPTIONS);
RETINANET_WITH(retinanet_swin_t_fpn, LMB_BACKBONE_SWIN_T, LMB_LAYOUT_MMDET,
    LMB_SWIN_OPTIONS);
RETINANET_WITH(retinanet_swin_s_fpn, LMB_BACKBONE_SWIN_S, LMB_LAYOUT_MMDET,
    LMB_SWIN_OPTIONS);
