/* faster_rcnn.c: Faster R-CNN: proposals, then classes of regions.
 *
 * c2..c5 -> p2..p5 and p6 (every second place of p5) -> region proposals.
 * RoIs are cut out of p2..p5 (7 x 7, RoIAlign, the level by their size), two
 * linear layers with ReLU, then classes with background and four offsets for
 * each class. In training opts->rois of an image are drawn from proposals and
 * ground truth, a quarter of them positive at most (IoU >= 0.5):
 *   L = L_rpn + sum ce / R + sum |offsets of the true class| / R
 * with R drawn rows of all images. Detections: softmax, score > 0.05, NMS 0.5
 * for each class. Sources: Ren et al. 2015, arXiv:1506.01497; Lin et al. 2017,
 * arXiv:1612.03144, section 4.2.
 *
 * Layouts: mmdetection's (background last, half-pixel shift and as many
 * samples as pixels in RoIAlign, L1) and torchvision's (background first and
 * offsets for it, no shift, 2 x 2 samples, smooth L1 with its corner at 1/9).
 * Tap roi.logits has the background last in both. */
#include "model/backbone.h"
#include "model/detector_post.h"
#include "model/fpn.h"
#include "model/rpn.h"

#include <math.h>

enum { FIRST = 2, GRID = 7, STREAM = 2, ROI_LEVELS = 4 };
static const double box_std[4] = {0.1, 0.1, 0.2, 0.2};

typedef struct layout_of {
    const char *fc[2], *scope, *cls, *box;
} layout_of;

static const layout_of layouts[] = {
    [LMB_LAYOUT_MMDET] = {{"roi_head.bbox_head.shared_fcs.0",
                              "roi_head.bbox_head.shared_fcs.1"},
        "roi_head.bbox_head", "fc_cls", "fc_reg"},
    [LMB_LAYOUT_TORCHVISION] = {{"roi_heads.box_head.fc6",
                                    "roi_heads.box_head.fc7"},
        "roi_heads.box_predictor", "cls_score", "bbox_pred"},
};

static bool is_torchvision(const lmb_model *m)
{
    return lmb_detector_layout(m) == LMB_LAYOUT_TORCHVISION;
}

/* --- the head on RoIs ----------------------------------------------------- */

static lmb_value hidden(lmb_nn *nn, const char *name, lmb_value x)
{
    const int out = (int)lmb_detector_opts(nn)->head_width;
    const int64_t in = lmb_graph_dim(nn->g, x, 1) * lmb_graph_dim(nn->g, x, 2) *
        lmb_graph_dim(nn->g, x, 3);
    return lmb_relu(nn->g,
        lmb_nn_linear_whole(nn, name, x, out,
            lmb_init_xavier_uniform(LMB_SHAPE(out, in)), lmb_init_constant(0)));
}

static lmb_value cut_out(
    const lmb_model *m, lmb_nn *nn, const lmb_value *p, lmb_value rois)
{
    const bool tv = is_torchvision(m);
    const lmb_roi_align_attr attr = {.levels = ROI_LEVELS,
        .size = GRID,
        .samples = tv ? 2 : 0,
        .stride = {4, 8, 16, 32},
        .canonical_size = 224,
        .canonical_level = 2,
        .aligned = !tv};
    return lmb_roi_align(nn->g, p, rois, &attr);
}

typedef struct roi_outputs {
    lmb_value logits, offsets; /* [R, C + 1], background last; [R, 4 C] */
} roi_outputs;

/* torchvision's rows of the background come first. */
static roi_outputs background_last(lmb_graph *g, roi_outputs o, int classes)
{
    const lmb_value parts[2] = {lmb_slice(g, o.logits, 1, 1, classes + 1),
        lmb_slice(g, o.logits, 1, 0, 1)};
    return (roi_outputs){lmb_concat(g, 2, parts, 1),
        lmb_slice(g, o.offsets, 1, 4, 4 * (classes + 1))};
}

static roi_outputs roi_head(const lmb_model *m, lmb_nn *nn, const lmb_value *p,
    lmb_value rois, int classes)
{
    const layout_of *l = &layouts[lmb_detector_layout(m)];
    const bool tv = is_torchvision(m);
    lmb_value x = cut_out(m, nn, p, rois);
    x = hidden(nn, l->fc[0], x);
    x = hidden(nn, l->fc[1], x);
    x = lmb_reshape(nn->g, x, LMB_SHAPE(-1, lmb_detector_opts(nn)->head_width));
    lmb_nn_push(nn, "%s", l->scope);
    const roi_outputs o = {lmb_nn_linear(nn, l->cls, x, classes + 1,
                               lmb_init_normal(0, 0.01), lmb_init_constant(0)),
        lmb_nn_linear(nn, l->box, x, 4 * (tv ? classes + 1 : classes),
            lmb_init_normal(0, 0.001), lmb_init_constant(0))};
    lmb_nn_pop(nn);
    lmb_detector_head(nn, l->scope, l->cls);
    return tv ? background_last(nn->g, o, classes) : o;
}

/* --- losses --------------------------------------------------------------- */

/* RoIs' boxes without their image: [R, 4]. */
static lmb_value boxes_of(lmb_graph *g, lmb_value rois)
{
    return lmb_slice(g, rois, 1, 1, 5);
}

static void losses(const lmb_model *m, lmb_nn *nn, const lmb_rois *rows,
    const roi_outputs *o, int classes)
{
    lmb_graph *g = nn->g;
    const int64_t n = lmb_graph_dim(g, rows->rois, 0);
    const lmb_value count = lmb_sum(
        g, lmb_label_mask(g, rows->label, 0, classes + 1), LMB_ALL_AXES, false);
    const lmb_value target = lmb_reshape(g,
        lmb_box_encode(g, boxes_of(g, rows->rois), rows->box, box_std),
        LMB_SHAPE(n, 1, 4));
    const lmb_value mask =
        lmb_detector_rows(g, lmb_one_hot_or_zero(g, rows->label, classes));
    const lmb_value offsets =
        lmb_reshape(g, o->offsets, LMB_SHAPE(n, classes, 4));
    const lmb_value d = lmb_mul(g, lmb_sub(g, offsets, target), mask);
    lmb_detector_loss(nn, "cls",
        lmb_sum(g, lmb_cross_entropy_rows(g, o->logits, rows->label),
            LMB_ALL_AXES, false),
        count, 1);
    lmb_detector_loss(nn, "box",
        lmb_sum(g, lmb_smooth_l1_beta(g, d, is_torchvision(m) ? 1.0 / 9 : 0),
            LMB_ALL_AXES, false),
        count, 1);
}

/* --- the network ---------------------------------------------------------- */

/* Which regions the head sees: drawn ones, those given, or all proposals. */
static lmb_rois choose(lmb_nn *nn, const lmb_proposals *proposals, int classes)
{
    lmb_detection *io = nn->detection;
    const lmb_sample_attr draw = {.classes = classes,
        .rows = (int32_t)lmb_detector_opts(nn)->rois,
        .fraction = 0.25,
        .positive = 0.5,
        .negative = 0.5,
        .add_truth = true,
        .stream = STREAM};
    if (lmb_is(io->rois))
        return (lmb_rois){.rois = io->rois};
    if (lmb_detector_trains(nn))
        return lmb_sample_rois(nn->g, proposals, io->truth, &draw);
    return lmb_proposals_as_rois(nn->g, proposals, classes);
}

static void second_stage(const lmb_model *m, lmb_nn *nn, const lmb_value *p,
    const lmb_proposals *proposals, int classes)
{
    lmb_detection *io = nn->detection;
    const lmb_rois rows = choose(nn, proposals, classes);
    const roi_outputs o = roi_head(m, nn, p, rows.rois, classes);
    lmb_nn_tap(nn, "roi.logits", o.logits);
    lmb_nn_tap(nn, "roi.box", o.offsets);
    io->roi_rows = rows.rois;
    if (!lmb_is(rows.label))
        return; /* somebody else's RoIs: their labels are known there */
    io->roi_label = rows.label;
    io->roi_valid = lmb_label_mask(nn->g, rows.label, 0, classes + 1);
    if (lmb_detector_trains(nn)) {
        losses(m, nn, &rows, &o, classes);
        return;
    }
    lmb_detector_output(nn, rows.rois);
    lmb_detector_output(nn, io->roi_valid);
    lmb_detector_output(nn, o.logits);
    lmb_detector_output(nn, o.offsets);
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_value p[LMB_DETECTOR_LEVELS];
    lmb_proposals proposals;
    const int64_t input[2] = {
        lmb_graph_dim(nn->g, x, 2), lmb_graph_dim(nn->g, x, 3)};
    lmb_fpn_on_backbone(m, nn, x, FIRST, LMB_FPN_POOL, p);
    lmb_rpn_build(nn, lmb_detector_layout(m), input, p, &proposals);
    if (nn->detection != NULL)
        second_stage(m, nn, p, &proposals, classes);
    return LMB_NONE;
}

/* --- detections ----------------------------------------------------------- */

typedef struct region {
    const float *roi, *logits, *offsets; /* one row of each output */
    int64_t row;
} region;

/* Classes above the threshold with their boxes. torchvision leaves out boxes
 * that are thinner than a hundredth of a pixel. */
static void add_region(const lmb_model *m, const lmb_detect_call *call,
    const region *r, const lmb_found_rule *rule, lmb_found_list *p)
{
    const double anchor[4] = {r->roi[1], r->roi[2], r->roi[3], r->roi[4]};
    const float thin = is_torchvision(m) ? 1e-2f : 0;
    double largest = r->logits[0], sum = 0;
    for (int k = 1; k <= call->classes; k++)
        largest = fmax(largest, r->logits[k]);
    for (int k = 0; k <= call->classes; k++)
        sum += exp(r->logits[k] - largest);
    for (int k = 0; k < call->classes; k++) {
        const float score = (float)(exp(r->logits[k] - largest) / sum);
        const float *d = r->offsets + 4 * k;
        const double delta[4] = {d[0], d[1], d[2], d[3]};
        double decoded[4];
        if (!(score > (float)rule->score))
            continue;
        lmb_detect_decode(anchor, delta, box_std, LMB_DETECT_MOST, decoded);
        const lmb_box box = lmb_detect_clip(
            lmb_detect_box(decoded), call->size[0], call->size[1]);
        if (box.x1 - box.x0 >= thin && box.y1 - box.y0 >= thin)
            lmb_found_add(p, r->row, (lmb_candidate){box, score, k});
    }
}

static lmb_status check_outputs(const lmb_detect_call *call, int64_t *rows)
{
    const int64_t width[4] = {5, 1, call->classes + 1, 4 * call->classes};
    if (call->n_outputs != 4)
        return LMB_FAIL(LMB_EINVAL, "detections: %d outputs in place of 4",
            call->n_outputs);
    *rows = call->shape[0].dim[0];
    for (int i = 0; i < 4; i++) {
        const lmb_shape *s = &call->shape[i];
        if (lmb_shape_count(s) != *rows * width[i])
            return LMB_FAIL(LMB_EINVAL,
                "detections: output %d is %s, not %lld rows of %lld", i,
                lmb_shape_text(s), (long long)*rows, (long long)width[i]);
    }
    return LMB_OK;
}

static lmb_status postprocess(const lmb_model *m, const lmb_detect_call *call,
    int64_t capacity, lmb_detected *out, int64_t *count)
{
    static const lmb_found_rule usual = {
        0.05, 0.5, 0, 100, LMB_FOUND_ALONE, false};
    const lmb_found_rule rule = lmb_detector_rule(call, &usual);
    lmb_found_list p = {NULL, NULL, 0, 0};
    int64_t rows = 0, own = 0;
    lmb_status st = LMB_OK;
    LMB_TRY(check_outputs(call, &rows));
    for (int64_t i = 0; i < rows; i++)
        own += call->output[0][5 * i] == (float)call->image;
    LMB_GOTO(lmb_found_init(&p, own * call->classes), st, done);
    for (int64_t i = 0; i < rows; i++) {
        const region r = {call->output[0] + 5 * i,
            call->output[2] + i * (call->classes + 1),
            call->output[3] + i * 4 * call->classes, i};
        if (r.roi[0] == (float)call->image && call->output[1][i] != 0)
            add_region(m, call, &r, &rule, &p);
    }
    LMB_GOTO(
        lmb_detector_finish(&p, &rule, call, capacity, out, count), st, done);
done:
    lmb_found_fini(&p);
    return st;
}

#define FASTER_RCNN(ident, which, layout) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "detection", \
        .default_classes = 80, \
        .default_size = 800, \
        .default_lr = 0.02, \
        .width = (layout), \
        .variant = (which), \
        .build = build, \
        .postprocess = postprocess, \
        .options = LMB_TWO_STAGE_OPTIONS | \
            ((layout) == LMB_LAYOUT_TORCHVISION \
                    ? LMB_NORM_OPTIONS \
                    : LMB_STYLE_OPTIONS_OF(which)), \
        .head_extra = 1, \
        .pad = 32, \
        .zero_eps = (layout) == LMB_LAYOUT_TORCHVISION, \
    }
FASTER_RCNN(faster_rcnn_r18_fpn, LMB_BACKBONE_R18, LMB_LAYOUT_MMDET);
FASTER_RCNN(faster_rcnn_r34_fpn, LMB_BACKBONE_R34, LMB_LAYOUT_MMDET);
FASTER_RCNN(faster_rcnn_r50_fpn, LMB_BACKBONE_R50, LMB_LAYOUT_MMDET);
FASTER_RCNN(faster_rcnn_r101_fpn, LMB_BACKBONE_R101, LMB_LAYOUT_MMDET);
FASTER_RCNN(faster_rcnn_x101_fpn, LMB_BACKBONE_X101, LMB_LAYOUT_MMDET);
FASTER_RCNN(faster_rcnn_mv2_fpn, LMB_BACKBONE_MV2, LMB_LAYOUT_MMDET);
FASTER_RCNN(faster_rcnn_sv2_fpn, LMB_BACKBONE_SV2, LMB_LAYOUT_MMDET);
FASTER_RCNN(fasterrcnn_resnet50_fpn, LMB_BACKBONE_R50, LMB_LAYOUT_TORCHVISION);
