/* fcos.c: FCOS: a box from every point inside it.
 *
 * c3..c5 -> p3..p7; towers of 4 convolutions with group norm; each point
 * gives classes, four distances in pixels and its centreness
 *   ctr = sqrt(min(l, r) / max(l, r) min(t, b) / max(t, b)).
 * A point inside a box belongs to it if its largest distance is in its level's
 * range (0, 64, 128, 256, 512, inf). With P positives of all images,
 *   L = sum focal(cls) / P - sum ctr log IoU / sum ctr + sum bce(ctr) / P
 * and a detection's score is class * centreness.
 * Source: Tian et al. 2019, arXiv:1904.01355.
 *
 * Layouts: mmdetection's (points at centres of cells, distances exp(s_l z)
 * with a learnt s_l for each level, centreness from the tower of classes) and
 * torchvision's (points at corners of cells, distances relu(z) stride, only
 * points within 1.5 strides of the box's centre, GIoU loss over P, score
 * sqrt(class * centreness), centreness from the tower of boxes). */
#include "model/backbone.h"
#include "model/detector_post.h"
#include "model/fpn.h"
#include "model/head_dense.h"

#include <stdio.h>

enum { FIRST = 3 };

typedef struct layout_of {
    lmb_tower cls, box;
    const char *cls_last, *box_last, *ctr_last; /* the predictors */
    double offset; /* of points in their cells */
    double radius; /* 0: points anywhere inside the box */
} layout_of;

static const layout_of layouts[] = {
    [LMB_LAYOUT_MMDET] =
        {
            {"bbox_head", {"cls_convs.", ".conv"}, {"cls_convs.", ".gn"}, 1, 0,
                false},
            {"bbox_head", {"reg_convs.", ".conv"}, {"reg_convs.", ".gn"}, 1, 0,
                false},
            "conv_cls",
            "conv_reg",
            "conv_centerness",
            0.5,
            0,
        },
    [LMB_LAYOUT_TORCHVISION] =
        {
            {"head.classification_head", {"conv.", ""}, {"conv.", ""}, 3, 1,
                true},
            {"head.regression_head", {"conv.", ""}, {"conv.", ""}, 3, 1, true},
            "cls_logits",
            "bbox_reg",
            "bbox_ctrness",
            0,
            1.5,
        },
};

static const layout_of *layout_for(const lmb_model *m)
{
    return &layouts[lmb_detector_layout(m)];
}

static bool is_torchvision(const lmb_model *m)
{
    return lmb_detector_layout(m) == LMB_LAYOUT_TORCHVISION;
}

static lmb_anchors point_rule(const lmb_model *m, const int64_t input[2])
{
    lmb_anchors a;
    lmb_anchors_init(&a, lmb_detector_layout(m), FIRST, input);
    a.offset = layout_for(m)->offset;
    return a;
}

/* --- losses --------------------------------------------------------------- */

typedef struct outputs {
    lmb_value cls, box, ctr; /* [N, A, C], [N, A, 4], [N, A, 1] */
} outputs;

static lmb_points_attr assigner(
    const layout_of *l, const lmb_anchors *points, int classes)
{
    lmb_points_attr attr = {
        .classes = classes, .levels = LMB_DETECTOR_LEVELS, .radius = l->radius};
    lmb_anchors_sizes(points, attr.level_size);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        attr.stride[i] = 8 << i;
        attr.range[i][0] = i > 0 ? 32 << i : -1;
        attr.range[i][1] = i < LMB_DETECTOR_LEVELS - 1 ? 64 << i : 1e8;
    }
    return attr;
}

/* min(a, b) / max(a, b) of two of the four distances. */
static lmb_value balance(lmb_graph *g, lmb_value d, int a, int b)
{
    const lmb_value u = lmb_slice(g, d, -1, a, a + 1);
    const lmb_value v = lmb_slice(g, d, -1, b, b + 1);
    return lmb_div(g, lmb_minimum(g, u, v), lmb_maximum(g, u, v));
}

/* Of the assigned boxes; 0 where there is none. [N, A, 1] */
static lmb_value centreness(
    lmb_graph *g, lmb_value points, lmb_value box, lmb_value positive)
{
    const lmb_value d = lmb_distance_encode(g, points, box);
    const lmb_value c =
        lmb_sqrt(g, lmb_mul(g, balance(g, d, 0, 2), balance(g, d, 1, 3)));
    return lmb_select(g, positive, c, lmb_graph_scalar(g, 0));
}

static lmb_value all(lmb_graph *g, lmb_value v)
{
    return lmb_sum(g, v, LMB_ALL_AXES, false);
}

static void box_loss(const lmb_model *m, lmb_nn *nn, lmb_value decoded,
    const lmb_assigned *assigned, lmb_value positive, lmb_value ctr)
{
    lmb_graph *g = nn->g;
    if (is_torchvision(m)) {
        const lmb_value loss =
            lmb_affine(g, lmb_box_giou(g, decoded, assigned->box), -1, 1);
        lmb_detector_loss(nn, "box",
            all(g, lmb_mul(g, lmb_detector_rows(g, loss), positive)),
            assigned->positives, 1);
        return;
    }
    const lmb_value iou = lmb_maximum(
        g, lmb_box_iou(g, decoded, assigned->box), lmb_graph_scalar(g, 1e-6));
    const lmb_value loss = lmb_neg(g, lmb_log(g, lmb_detector_rows(g, iou)));
    const lmb_value weight =
        lmb_maximum(g, all(g, ctr), lmb_graph_scalar(g, 1e-6));
    lmb_detector_loss(nn, "box",
        lmb_div(g, all(g, lmb_mul(g, loss, ctr)), weight),
        lmb_graph_scalar(g, 1), 1);
}

static void losses(const lmb_model *m, lmb_nn *nn, const lmb_anchors *rule,
    const outputs *o, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_value points = lmb_points_constant(g, rule);
    const lmb_points_attr attr = assigner(layout_for(m), rule, classes);
    const lmb_assigned assigned =
        lmb_assign_points(g, points, nn->detection->truth, &attr);
    const lmb_value positive =
        lmb_detector_rows(g, lmb_label_mask(g, assigned.label, 0, classes));
    const lmb_value ctr = centreness(g, points, assigned.box, positive);
    lmb_anchors_assigned(nn, rule, FIRST, assigned.label, classes);
    lmb_anchors_taps(nn, rule, FIRST, "ctr_target",
        lmb_reshape(g, ctr, lmb_graph_shape(g, assigned.label)));
    const lmb_value pixels = is_torchvision(m)
        ? lmb_mul(g, o->box, lmb_strides_constant(g, rule, FIRST))
        : o->box;
    lmb_detector_loss(nn, "cls",
        lmb_focal_loss(g, o->cls, assigned.label, 2, 0.25), assigned.positives,
        1);
    box_loss(m, nn, lmb_distance_decode(g, points, pixels), &assigned, positive,
        ctr);
    lmb_detector_loss(nn, "ctr",
        all(g, lmb_mul(g, lmb_bce_logits(g, o->ctr, ctr), positive)),
        assigned.positives, 1);
}

/* --- the network ---------------------------------------------------------- */

static lmb_value predict_cls(
    const layout_of *l, lmb_nn *nn, lmb_value x, int classes)
{
    return lmb_dense_predict(
        nn, l->cls.scope, l->cls_last, x, classes, lmb_dense_prior_bias());
}

/* Before exp or ReLU, times the level's scale if it has one. */
static lmb_value predict_box(
    const lmb_model *m, lmb_nn *nn, lmb_value x, int level)
{
    const layout_of *l = layout_for(m);
    const lmb_value y =
        lmb_dense_predict(nn, l->box.scope, l->box_last, x, 4, 0);
    return is_torchvision(m) ? y : lmb_dense_scale(nn, l->box.scope, level, y);
}

/* [N, A, 4] in pixels, or (torchvision) in strides. */
static lmb_value distances(const lmb_model *m, lmb_nn *nn, const lmb_value *box)
{
    const lmb_value z = lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, box, 4);
    return is_torchvision(m) ? lmb_relu(nn->g, z) : lmb_exp(nn->g, z);
}

static void heads(const lmb_model *m, lmb_nn *nn, const lmb_value *p,
    int classes, lmb_value *cls, lmb_value *box, lmb_value *ctr)
{
    const layout_of *l = layout_for(m);
    const lmb_tower *ctr_tower = is_torchvision(m) ? &l->box : &l->cls;
    lmb_dense_features features;
    lmb_dense_towers(nn, &l->cls, &l->box, FIRST, p, &features);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        cls[i] = predict_cls(l, nn, features.cls[i], classes);
        box[i] = predict_box(m, nn, features.box[i], i);
        ctr[i] = lmb_dense_predict(nn, ctr_tower->scope, l->ctr_last,
            is_torchvision(m) ? features.box[i] : features.cls[i], 1, 0);
    }
    lmb_detector_taps(nn, "cls", FIRST, LMB_DETECTOR_LEVELS, cls);
    lmb_detector_taps(nn, "box", FIRST, LMB_DETECTOR_LEVELS, box);
    lmb_detector_taps(nn, "ctr", FIRST, LMB_DETECTOR_LEVELS, ctr);
    lmb_detector_head(nn, l->cls.scope, l->cls_last);
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_value p[LMB_DETECTOR_LEVELS], cls[LMB_DETECTOR_LEVELS],
        box[LMB_DETECTOR_LEVELS], ctr[LMB_DETECTOR_LEVELS];
    const int64_t input[2] = {
        lmb_graph_dim(nn->g, x, 2), lmb_graph_dim(nn->g, x, 3)};
    const lmb_anchors rule = point_rule(m, input);
    lmb_fpn_on_backbone(m, nn, x, FIRST, LMB_FPN_ON_OUTPUT_RELU, p);
    heads(m, nn, p, classes, cls, box, ctr);
    if (nn->detection == NULL)
        return LMB_NONE;
    const outputs o = {
        lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, cls, classes),
        distances(m, nn, box),
        lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, ctr, 1),
    };
    if (lmb_detector_trains(nn)) {
        losses(m, nn, &rule, &o, classes);
    } else {
        lmb_detector_output(nn, o.cls);
        lmb_detector_output(nn, o.box);
        lmb_detector_output(nn, o.ctr);
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
            m, nn, lmb_tower_build(nn, &l->box, after, features), level);
    default:
        return LMB_NONE;
    }
}

/* --- detections ----------------------------------------------------------- */

static lmb_status postprocess(const lmb_model *m, const lmb_detect_call *call,
    int64_t capacity, lmb_detected *out, int64_t *count)
{
    static const lmb_found_rule usual[] = {
        [LMB_LAYOUT_MMDET] = {0.05, 0.5, 1000, 100, LMB_FOUND_AFTER, false},
        [LMB_LAYOUT_TORCHVISION] = {0.2, 0.6, 1000, 100, LMB_FOUND_ROOT, true},
    };
    const lmb_found_rule rule =
        lmb_detector_rule(call, &usual[lmb_detector_layout(m)]);
    const lmb_anchors a = point_rule(m, call->input);
    int64_t size[LMB_DETECTOR_LEVELS];
    const float *distances = NULL;
    lmb_found_list p = {NULL, NULL, 0, 0};
    lmb_status st = LMB_OK;
    lmb_anchors_sizes(&a, size);
    LMB_TRY(
        lmb_detector_rows_of(call, 1, lmb_anchors_count(&a), 4, &distances));
    LMB_GOTO(lmb_detector_candidates(call, size, 2, &rule, &p), st, done);
    LMB_GOTO(lmb_detector_around(&a, distances, is_torchvision(m), FIRST, &p),
        st, done);
    LMB_GOTO(
        lmb_detector_finish(&p, &rule, call, capacity, out, count), st, done);
done:
    lmb_found_fini(&p);
    return st;
}

#define FCOS(ident, which, layout) \
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
        .box_code = (layout) == LMB_LAYOUT_TORCHVISION ? "distances" \
                                                       : "log_distances", \
        .options = LMB_DENSE_OPTIONS | \
            ((layout) == LMB_LAYOUT_TORCHVISION \
                    ? LMB_NORM_OPTIONS \
                    : LMB_STYLE_OPTIONS_OF(which)), \
        .pad = 32, \
    }
FCOS(fcos_r18_fpn, LMB_BACKBONE_R18, LMB_LAYOUT_MMDET);
FCOS(fcos_r34_fpn, LMB_BACKBONE_R34, LMB_LAYOUT_MMDET);
FCOS(fcos_r50_fpn, LMB_BACKBONE_R50, LMB_LAYOUT_MMDET);
FCOS(fcos_r101_fpn, LMB_BACKBONE_R101, LMB_LAYOUT_MMDET);
FCOS(fcos_x101_fpn, LMB_BACKBONE_X101, LMB_LAYOUT_MMDET);
FCOS(fcos_mv2_fpn, LMB_BACKBONE_MV2, LMB_LAYOUT_MMDET);
FCOS(fcos_sv2_fpn, LMB_BACKBONE_SV2, LMB_LAYOUT_MMDET);
FCOS(fcos_resnet50_fpn, LMB_BACKBONE_R50, LMB_LAYOUT_TORCHVISION);
