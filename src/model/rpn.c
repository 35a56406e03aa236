/* rpn.c: the region proposal network; see the header. */
#include "model/rpn.h"

#include "detect/match.h"
#include "model/anchors.h"

enum { FIRST = 2, ANCHORS = 3, STREAM = 1 };
static const double unit_std[4] = {1, 1, 1, 1};

static lmb_conv_opt conv(int out, int kernel)
{
    return (lmb_conv_opt){.out = out,
        .kernel = kernel,
        .pad = kernel / 2,
        .bias = true,
        .weight_init_set = true,
        .weight_init = lmb_init_normal(0, 0.01),
        .bias_init_set = true,
        .bias_init = lmb_init_constant(0)};
}

static void head(lmb_nn *nn, lmb_layout layout, const lmb_value *p,
    lmb_value *cls, lmb_value *box)
{
    const bool tv = layout == LMB_LAYOUT_TORCHVISION;
    const lmb_conv_opt shared =
        conv((int)lmb_detector_opts(nn)->fpn_channels, 3);
    const lmb_conv_opt one = conv(ANCHORS, 1), four = conv(4 * ANCHORS, 1);
    lmb_nn_push(nn, "%s", tv ? "rpn.head" : "rpn_head");
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        const lmb_value x = lmb_relu(nn->g,
            lmb_nn_conv(nn, tv ? "conv.0.0" : "rpn_conv", p[i], &shared));
        cls[i] = lmb_nn_conv(nn, tv ? "cls_logits" : "rpn_cls", x, &one);
        box[i] = lmb_nn_conv(nn, tv ? "bbox_pred" : "rpn_reg", x, &four);
    }
    lmb_nn_pop(nn);
    lmb_detector_taps(nn, "rpn.cls", FIRST, LMB_DETECTOR_LEVELS, cls);
    lmb_detector_taps(nn, "rpn.box", FIRST, LMB_DETECTOR_LEVELS, box);
}

static lmb_anchors anchor_rule(
    const lmb_nn *nn, lmb_layout layout, const int64_t input[2])
{
    lmb_anchors a;
    lmb_anchors_init(&a, layout, FIRST, input);
    a.n_ratios = ANCHORS;
    for (int k = 0; k < ANCHORS; k++)
        a.ratio[k] = 0.5 * (1 << k);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        a.level[i].size[0] = lmb_detector_opts(nn)->anchor_scale * (32 << i);
    return a;
}

/* The ground truth with one class: object. torchvision trains the anchors in
 * the padding, too. */
static lmb_truth objects(
    lmb_graph *g, lmb_layout layout, const lmb_truth *truth)
{
    lmb_truth one = *truth;
    if (layout == LMB_LAYOUT_TORCHVISION)
        one.sizes = LMB_NONE;
    const lmb_shape shape = lmb_graph_shape(g, truth->labels);
    const int64_t count = lmb_shape_count(&shape);
    const int32_t *zeros = lmb_graph_memory(g, (size_t)count * sizeof *zeros);
    one.labels =
        zeros != NULL ? lmb_graph_index_constant(g, shape, zeros) : LMB_NONE;
    return one;
}

static lmb_value all(lmb_graph *g, lmb_value v)
{
    return lmb_sum(g, v, LMB_ALL_AXES, false);
}

static void losses(lmb_nn *nn, lmb_layout layout, lmb_value anchors,
    lmb_value cls, lmb_value box)
{
    lmb_graph *g = nn->g;
    const lmb_truth truth = objects(g, layout, nn->detection->truth);
    const lmb_max_iou_attr rule = {.classes = 1,
        .positive = 0.7,
        .negative = 0.3,
        .least = layout == LMB_LAYOUT_MMDET ? 0.3 : 0,
        .low_quality = layout == LMB_LAYOUT_TORCHVISION ? LMB_LOW_QUALITY_OWN
                                                        : LMB_LOW_QUALITY_TAKE};
    const lmb_sample_attr draw = {.classes = 1,
        .rows = (int32_t)lmb_detector_opts(nn)->rpn_samples,
        .fraction = 0.5,
        .stream = STREAM};
    const lmb_assigned assigned = lmb_assign_max_iou(g, anchors, &truth, &rule);
    const lmb_value label =
        lmb_sample_anchors(g, assigned.label, &truth, &draw);
    const lmb_value drawn = lmb_label_mask(g, label, 0, 2);
    const lmb_value positive = lmb_label_mask(g, label, 0, 1);
    const lmb_value count = all(g, drawn);
    const lmb_value target = lmb_box_encode(g, anchors, assigned.box, unit_std);
    const lmb_value d =
        lmb_mul(g, lmb_sub(g, box, target), lmb_detector_rows(g, positive));
    lmb_detector_loss(nn, "rpn_cls",
        all(g, lmb_mul(g, lmb_bce_logits(g, cls, positive), drawn)), count, 1);
    lmb_detector_loss(nn, "rpn_box",
        all(g,
            lmb_smooth_l1_beta(g, d, layout == LMB_LAYOUT_MMDET ? 0 : 1.0 / 9)),
        count, 1);
}

static lmb_proposals propose(lmb_nn *nn, lmb_layout layout,
    const lmb_anchors *rule, lmb_value anchors, lmb_value cls, lmb_value box)
{
    const bool tv = layout == LMB_LAYOUT_TORCHVISION;
    const bool training = lmb_detector_trains(nn);
    const int32_t n = (int32_t)lmb_detector_opts(nn)->proposals;
    lmb_proposals_attr attr = {.levels = LMB_DETECTOR_LEVELS,
        .pre_nms = training ? 2 * n : n,
        .post_nms = training && tv ? 2 * n : n,
        .nms = 0.7,
        .min_size = tv ? 1e-3 : 0,
        .std = {1, 1, 1, 1}};
    lmb_anchors_sizes(rule, attr.level_size);
    return lmb_propose(nn->g, cls, box, anchors, nn->detection->sizes, &attr);
}

void lmb_rpn_build(lmb_nn *nn, lmb_layout layout, const int64_t input[2],
    const lmb_value p[LMB_DETECTOR_LEVELS], lmb_proposals *out)
{
    lmb_graph *g = nn->g;
    lmb_value cls[LMB_DETECTOR_LEVELS], box[LMB_DETECTOR_LEVELS];
    *out = (lmb_proposals){{0}, {0}, {0}};
    head(nn, layout, p, cls, box);
    if (nn->detection == NULL)
        return;
    const lmb_anchors rule = anchor_rule(nn, layout, input);
    const lmb_value anchors = lmb_anchors_constant(g, &rule);
    const lmb_value offsets =
        lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, box, 4);
    const lmb_value flat =
        lmb_detector_flatten(nn, LMB_DETECTOR_LEVELS, cls, 1);
    const lmb_value logits = lmb_reshape(g, flat,
        LMB_SHAPE(lmb_graph_dim(g, flat, 0), lmb_graph_dim(g, flat, 1)));
    if (lmb_detector_trains(nn))
        losses(nn, layout, anchors, logits, offsets);
    *out = propose(nn, layout, &rule, anchors, logits, offsets);
}
