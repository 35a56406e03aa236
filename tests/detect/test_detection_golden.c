/* Boxes, assignment, suppression and losses against mmdetection and
 * torchvision: tests/golden/detection.json, made by tools/golden/detection.py.
 * Decisions must be the same; values and gradients agree to 1e-10. */
#include "detect/anchor.h"
#include "detect/match.h"
#include "detect/nms.h"
#include "detect/post.h"
#include "op/op_check.h"

#include <jansson.h>

enum { MOST = 1024 };

/* Array `array` of record `name` of a file; returns its size. */
static int64_t golden_of(
    const char *file, const char *name, const char *array, double *out)
{
    json_error_t error;
    char path[512];
    (void)snprintf(path, sizeof path, LMB_TEST_DIR "/golden/%s", file);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s:%d: %s", file, error.line, error.text);
    const json_t *list = json_object_get(json_object_get(root, name), array);
    const size_t n = json_array_size(list);
    if (list == NULL || n > MOST)
        fail_msg("%s %s: %zu numbers", name, array, n);
    for (size_t i = 0; i < n; i++)
        out[i] = json_number_value(json_array_get(list, i));
    json_decref(root);
    return (int64_t)n;
}

static int64_t golden(const char *name, const char *array, double *out)
{
    return golden_of("detection.json", name, array, out);
}

static int64_t golden_boxes(const char *name, const char *array, lmb_box *out)
{
    double x[MOST];
    const int64_t n = golden(name, array, x) / 4;
    for (int64_t i = 0; i < n; i++)
        out[i] = lmb_detect_box(x + 4 * i);
    return n;
}

/* --- boxes ---------------------------------------------------------------- */

static void overlaps_are_the_same_to_the_bit(void **state)
{
    (void)state;
    lmb_box a[MOST / 4], b[MOST / 4];
    double iou[MOST];
    const int64_t n = golden_boxes("iou", "a", a);
    (void)golden_boxes("iou", "b", b);
    (void)golden("iou", "iou", iou);
    for (int64_t i = 0; i < n; i++)
        assert_true(lmb_detect_iou(&a[i], &b[i]) == (float)iou[i]);
}

/* mmdetection encodes in f32. */
static void codes_agree(void **state)
{
    (void)state;
    static const double std[] = {0.1, 0.1, 0.2, 0.2};
    static const char *const names[] = {"coder", "coder_mmdet"};
    for (int k = 0; k < 2; k++) {
        double anchor[MOST], box[MOST], delta[MOST], far[MOST], decoded[MOST];
        const int64_t n = golden(names[k], "anchor", anchor);
        (void)golden(names[k], "box", box);
        (void)golden(names[k], "delta", delta);
        (void)golden(names[k], "far", far);
        (void)golden(names[k], "decoded", decoded);
        for (int64_t i = 0; i < n; i += 4) {
            double out[4];
            lmb_detect_encode(anchor + i, box + i, std, out);
            CHECK_ARRAYS(out, delta + i, 4, k == 0 ? 1e-12 : 2e-5);
            lmb_detect_decode(anchor + i, far + i, std, LMB_DETECT_MOST, out);
            CHECK_ARRAYS(out, decoded + i, 4, 1e-10);
        }
    }
}

/* The levels' anchors one after another; returns their number. */
static int64_t octave_anchors(double octave, int32_t per_octave, int32_t ratios,
    int levels, const int64_t (*size)[2], double *out)
{
    static const double three[] = {0.5, 1, 2}, one[] = {1};
    int64_t n = 0;
    for (int l = 0; l < levels; l++) {
        const double stride = 8 << l;
        const lmb_anchor_base base = lmb_anchor_base_octave(
            stride, ratios, ratios == 1 ? one : three, octave, per_octave);
        const lmb_anchor_grid grid = {size[l][0], size[l][1], stride, stride};
        lmb_anchor_fill(&grid, &base, out + 4 * n);
        n += size[l][0] * size[l][1] * base.n;
    }
    return n;
}

static void anchors_agree(void **state)
{
    (void)state;
    double have[MOST], want[MOST];
    const int64_t size[][2] = {{2, 3}, {1, 2}};
    int64_t n = octave_anchors(4, 3, 3, 2, size, have);
    assert_int_equal(golden("anchors", "anchors", want), 4 * n);
    CHECK_ARRAYS(have, want, 4 * n, 1e-5);
    /* Torchvision's strides are those of the image: 20 by 30. */
    static const double ratio[] = {0.5, 1, 2};
    const double scale[][2] = {{32, 40}, {64, 80}};
    n = 0;
    for (int l = 0; l < 2; l++) {
        lmb_anchor_base base = lmb_anchor_base_of(1, 3, ratio, 2, scale[l]);
        lmb_anchor_base_round(&base);
        const lmb_anchor_grid grid = {
            size[l][0], size[l][1], l == 0 ? 10 : 15, l == 0 ? 10 : 20};
        lmb_anchor_fill(&grid, &base, have + 4 * n);
        n += size[l][0] * size[l][1] * base.n;
    }
    assert_int_equal(golden("anchors_torchvision", "anchors", want), 4 * n);
    CHECK_ARRAYS(have, want, 4 * n, 0);
}

/* --- assignment ----------------------------------------------------------- */

/* mmdetection counts from 1: 0 is background, -1 ignored. */
static void check_matches(
    const char *name, bool counts_from_one, const int32_t *match, int64_t n)
{
    double want[MOST];
    assert_int_equal(golden(name, "match", want), n);
    for (int64_t i = 0; i < n; i++)
        if (match[i] != (int32_t)want[i] - (counts_from_one ? 1 : 0))
            fail_msg("%s: %lld matches %d, not %g", name, (long long)i,
                match[i], want[i]);
}

static void assignment_by_iou_agrees(void **state)
{
    (void)state;
    lmb_box anchor[MOST / 4], truth[MOST / 4];
    int32_t match[MOST];
    float best[MOST];
    const int64_t n = golden_boxes("max_iou", "anchors", anchor);
    const lmb_truth_boxes t = {truth, golden_boxes("max_iou", "truth", truth)};
    static const struct {
        const char *name;
        lmb_iou_rule rule;
    } cases[] = {
        {"max_iou_retinanet", {0.5, 0.4, 0, LMB_LOW_QUALITY_TAKE}},
        {"max_iou_rpn", {0.7, 0.3, 0.3, LMB_LOW_QUALITY_TAKE}},
        {"max_iou_roi", {0.5, 0.5, 0.5, LMB_LOW_QUALITY_OFF}},
        {"matcher", {0.5, 0.4, 0, LMB_LOW_QUALITY_OFF}},
        {"matcher_low", {0.5, 0.4, 0, LMB_LOW_QUALITY_OWN}},
    };
    for (int k = 0; k < 5; k++) {
        lmb_assign_by_iou(anchor, n, t, &cases[k].rule, best, match);
        check_matches(cases[k].name, k < 3, match, n);
    }
}

static const int64_t pyramid[][2] = {{8, 8}, {4, 4}, {2, 2}};
static const lmb_match_levels levels = {3, {64, 16, 4}};

static void atss_agrees(void **state)
{
    (void)state;
    double x[MOST];
    lmb_box anchor[MOST / 4], truth[MOST / 4];
    uint64_t key[9];
    int64_t candidate[9 * LMB_MATCH_LEVELS];
    int32_t match[MOST];
    float best[MOST];
    const int64_t n = octave_anchors(8, 1, 1, 3, pyramid, x);
    for (int64_t i = 0; i < n; i++)
        anchor[i] = lmb_detect_box(x + 4 * i);
    const lmb_truth_boxes t = {truth, golden_boxes("atss", "truth", truth)};
    lmb_assign_by_atss(
        anchor, &levels, t, 9, (lmb_atss_memory){key, candidate, best}, match);
    check_matches("atss", true, match, n);
}

/* Against LD's code (tools/golden/methods_detect.py). */
static void the_valuable_region_agrees(void **state)
{
    (void)state;
    double x[MOST], want[MOST];
    lmb_box anchor[MOST / 4], truth[MOST / 4];
    uint64_t key[9];
    int64_t candidate[9 * LMB_MATCH_LEVELS], marked = 0;
    float best[MOST], region[MOST];
    const int64_t n = octave_anchors(8, 1, 1, 3, pyramid, x);
    for (int64_t i = 0; i < n; i++)
        anchor[i] = lmb_detect_box(x + 4 * i);
    const int64_t boxes =
        golden_of("methods_heads.json", "valuable", "truth", x) / 4;
    for (int64_t i = 0; i < boxes; i++)
        truth[i] = lmb_detect_box(x + 4 * i);
    assert_int_equal(
        golden_of("methods_heads.json", "valuable", "region", want), n);
    lmb_valuable_by_atss(anchor, &levels, (lmb_truth_boxes){truth, boxes}, 9,
        0.25f, (lmb_atss_memory){key, candidate, best}, region);
    for (int64_t i = 0; i < n; i++) {
        CHECK_NEAR((double)region[i], want[i], 1e-6);
        marked += region[i] > 0;
    }
    assert_true(marked > 10 && marked < n);
}

static void assignment_of_points_agrees(void **state)
{
    (void)state;
    double place[2 * 84], label[MOST];
    float point[2 * 84];
    lmb_box truth[MOST / 4];
    int32_t match[84];
    double *to = place;
    for (int l = 0; l < 3; l++) {
        const lmb_anchor_grid grid = {
            pyramid[l][0], pyramid[l][1], 8 << l, 8 << l};
        lmb_point_fill(&grid, 0.5, to);
        to += 2 * levels.size[l];
    }
    for (int i = 0; i < 2 * 84; i++)
        point[i] = (float)place[i];
    const lmb_truth_boxes t = {truth, golden_boxes("points", "truth", truth)};
    for (int k = 0; k < 2; k++) {
        const lmb_points_rule rule = {levels, {8, 16, 32},
            {{-1, 16}, {16, 32}, {32, 1e8}}, k == 0 ? 0 : 1.5};
        lmb_assign_by_points(point, &rule, t, match);
        assert_int_equal(
            golden(k == 0 ? "points" : "points_centre", "label", label), 84);
        for (int i = 0; i < 84; i++)
            assert_int_equal(match[i], label[i] == 100 ? -1 : (int)label[i]);
    }
}

/* --- suppression ---------------------------------------------------------- */

static void suppression_agrees(void **state)
{
    (void)state;
    lmb_box box[MOST / 4], sorted[MOST / 4];
    double score[MOST], label[MOST], want[MOST];
    uint64_t key[MOST];
    int32_t group[MOST];
    int64_t kept[MOST];
    const int64_t n = golden_boxes("nms", "box", box);
    (void)golden("nms", "score", score);
    (void)golden("nms", "label", label);
    lmb_top top = {key, n, 0};
    for (int64_t i = 0; i < n; i++)
        lmb_top_push(&top, lmb_top_key(lmb_top_rank((float)score[i]), i));
    lmb_top_sort(&top);
    for (int64_t k = 0; k < n; k++) {
        sorted[k] = box[lmb_top_index(key[k])];
        group[k] = (int32_t)label[lmb_top_index(key[k])];
    }
    lmb_nms_tile tile[MOST / LMB_NMS_LANES + 1];
    const int64_t found =
        lmb_nms((lmb_nms_boxes){sorted, group, n}, 0.4, n, tile, kept);
    assert_int_equal(golden("nms", "kept", want), found);
    for (int64_t k = 0; k < found; k++)
        assert_int_equal(lmb_top_index(key[kept[k]]), (int64_t)want[k]);
}

enum { CLASSES = 3 };

/* Candidates of rows first .. first + n - 1; appends to out. */
static int64_t pick_level(int64_t first, int64_t n, const double *anchor,
    const double *logit, const double *delta, lmb_candidate *out)
{
    static const double unit[] = {1, 1, 1, 1};
    float score[MOST];
    uint64_t key[40];
    lmb_top top = {key, 40, 0};
    for (int64_t i = 0; i < n * CLASSES; i++)
        score[i] = 1 / (1 + expf(-(float)logit[first * CLASSES + i]));
    lmb_post_pick(score, n * CLASSES, 0.05, &top);
    lmb_top_sort(&top);
    for (int64_t k = 0; k < top.count; k++) {
        const int64_t at = lmb_top_index(key[k]);
        const int64_t row = first + at / CLASSES;
        double box[4];
        lmb_detect_decode(
            anchor + 4 * row, delta + 4 * row, unit, LMB_DETECT_MOST, box);
        out[k] = (lmb_candidate){
            lmb_detect_box(box), score[at], (int32_t)(at % CLASSES)};
    }
    return top.count;
}

static void postprocessing_agrees(void **state)
{
    (void)state;
    double anchor[MOST], logit[MOST], delta[MOST];
    double boxes[MOST], scores[MOST], labels[MOST];
    lmb_candidate found[80];
    (void)golden("postprocess", "anchors", anchor);
    (void)golden("postprocess", "logits", logit);
    (void)golden("postprocess", "deltas", delta);
    const int64_t want = golden("postprocess", "scores", scores);
    (void)golden("postprocess", "boxes", boxes);
    (void)golden("postprocess", "labels", labels);
    int64_t n = pick_level(0, 48, anchor, logit, delta, found);
    n += pick_level(48, 12, anchor, logit, delta, found + n);
    const lmb_post_rule rule = {0.5, 20, 30, 32, false};
    int64_t kept = 0;
    CHECK_OK(lmb_post_finish(&rule, found, n, &kept));
    assert_int_equal(kept, want);
    for (int64_t k = 0; k < kept; k++) {
        const lmb_box *b = &found[k].box;
        CHECK_ARRAYS(OP_D(b->x0, b->y0, b->x1, b->y1), boxes + 4 * k, 4, 1e-4);
        CHECK_NEAR(found[k].score, scores[k], 1e-6);
        assert_int_equal(found[k].label, (int)labels[k]);
    }
}

static void proposals_agree(void **state)
{
    (void)state;
    double anchor[MOST], logit[MOST], delta[MOST];
    double count[MOST], boxes[MOST], scores[MOST];
    lmb_graph *g = NULL;
    CHECK_OK(lmb_graph_new(&g));
    (void)golden("postprocess", "anchors", anchor);
    (void)golden("proposals", "logits", logit);
    (void)golden("proposals", "deltas", delta);
    (void)golden("proposals", "count", count);
    (void)golden("proposals", "boxes", boxes);
    (void)golden("proposals", "scores", scores);
    const lmb_proposals_attr attr = {2, 20, 15, {48, 12}, 0.6, 2, {1, 1, 1, 1}};
    const lmb_proposals p = lmb_propose(g,
        lmb_graph_constant(g, LMB_SHAPE(2, 60), logit, 0),
        lmb_graph_constant(g, LMB_SHAPE(2, 60, 4), delta, 0),
        lmb_graph_constant(g, LMB_SHAPE(60, 4), anchor, 0),
        lmb_graph_constant(g, LMB_SHAPE(2, 2), OP_D(30, 32, 24, 20), 0), &attr);
    CHECK_OK(lmb_graph_status(g));
    op_run run;
    CHECK_OK(op_run_graph(g, 0, NULL, &run));
    int64_t row = 0;
    for (int image = 0; image < 2; image++) {
        const int64_t n = (int64_t)count[image];
        CHECK_NEAR(run.data[p.count.id][image], n, 0);
        CHECK_ARRAYS(run.data[p.boxes.id] + (int64_t)image * 15 * 4,
            boxes + 4 * row, 4 * n, 1e-4);
        CHECK_ARRAYS(
            run.data[p.scores.id] + (int64_t)image * 15, scores + row, n, 1e-6);
        row += n;
    }
    op_run_free(&run);
    lmb_graph_free(g);
}

/* --- losses --------------------------------------------------------------- */

/* Builds y(x); what else it needs it reads from the record. */
typedef lmb_value loss_fn(lmb_graph *g, const char *name, lmb_value x);

static lmb_value given(
    lmb_graph *g, const char *name, const char *array, lmb_shape shape)
{
    double x[MOST];
    assert_int_equal(golden(name, array, x), lmb_shape_count(&shape));
    return lmb_graph_constant(g, shape, x, 0);
}

static lmb_value label_of(lmb_graph *g, const char *name)
{
    double x[MOST];
    int32_t label[8];
    assert_int_equal(golden(name, "label", x), 8);
    for (int i = 0; i < 8; i++)
        label[i] = (int32_t)x[i];
    return lmb_graph_index_constant(g, LMB_SHAPE(8), label);
}

static lmb_value focal(lmb_graph *g, const char *name, lmb_value x)
{
    const bool plain = strcmp(name, "focal") == 0;
    return lmb_focal_loss(
        g, x, label_of(g, name), plain ? 2 : 1.5, plain ? 0.25 : 0.6);
}

static lmb_value quality(lmb_graph *g, const char *name, lmb_value x)
{
    return lmb_quality_focal_loss(g, x, label_of(g, name),
        given(g, name, "quality", LMB_SHAPE(8)),
        strcmp(name, "quality") == 0 ? 2 : 1.5);
}

static lmb_value distribution(lmb_graph *g, const char *name, lmb_value x)
{
    return lmb_distribution_focal_loss(g, x,
        given(g, name, "target", LMB_SHAPE(8)),
        given(g, name, "weight", LMB_SHAPE(8)));
}

static lmb_value smooth_l1(lmb_graph *g, const char *name, lmb_value x)
{
    return lmb_smooth_l1_beta(g, x, strcmp(name, "l1") == 0 ? 0 : 1.0 / 9);
}

static lmb_value cross_entropy(lmb_graph *g, const char *name, lmb_value x)
{
    return lmb_cross_entropy_rows(g, x, label_of(g, name));
}

/* Runs sum(y weight) and compares y and its gradients to the inputs named. */
static void check_loss(lmb_graph *g, const char *name, lmb_value y,
    lmb_value weight, int n, const lmb_value *x, const char *const *grads)
{
    double want[MOST];
    lmb_value dx[2];
    const lmb_value terms = lmb_is(weight) ? lmb_mul(g, y, weight) : y;
    lmb_backward(g, lmb_sum(g, terms, LMB_ALL_AXES, false), n, x, dx);
    CHECK_OK(lmb_graph_status(g));
    op_run run;
    CHECK_OK(op_run_graph(g, 0, NULL, &run));
    const int64_t count = golden(name, "value", want);
    lmb_test_arrays(run.data[y.id], want, count, 1e-10, name, "value", 0);
    for (int k = 0; k < n; k++) {
        const int64_t size = golden(name, grads[k], want);
        lmb_test_arrays(
            run.data[dx[k].id], want, size, 1e-10, name, grads[k], k);
    }
    op_run_free(&run);
    lmb_graph_free(g);
}

static void losses_agree(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        loss_fn *build;
        lmb_shape shape;
    } cases[] = {
        {"focal", focal, {2, {8, 4}}},
        {"focal_other", focal, {2, {8, 4}}},
        {"quality", quality, {2, {8, 4}}},
        {"quality_other", quality, {2, {8, 4}}},
        {"distribution", distribution, {2, {8, 17}}},
        {"smooth_l1", smooth_l1, {1, {20}}},
        {"l1", smooth_l1, {1, {20}}},
        {"cross_entropy", cross_entropy, {2, {8, 4}}},
    };
    static const char *const grads[] = {"grad"};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_graph *g = NULL;
        CHECK_OK(lmb_graph_new(&g));
        const lmb_value x = given(g, cases[i].name, "x", cases[i].shape);
        const lmb_value y = cases[i].build(g, cases[i].name, x);
        check_loss(g, cases[i].name, y, LMB_NONE, 1, &x, grads);
    }
}

static void iou_losses_agree(void **state)
{
    (void)state;
    static const char *const grads[] = {"da", "db"};
    for (int k = 0; k < 2; k++) {
        const char *name = k == 0 ? "iou_loss" : "giou_loss";
        lmb_graph *g = NULL;
        CHECK_OK(lmb_graph_new(&g));
        const lmb_value x[] = {given(g, name, "a", LMB_SHAPE(12, 4)),
            given(g, name, "b", LMB_SHAPE(12, 4))};
        const lmb_value y =
            k == 0 ? lmb_box_iou(g, x[0], x[1]) : lmb_box_giou(g, x[0], x[1]);
        check_loss(
            g, name, y, given(g, name, "weight", LMB_SHAPE(12)), 2, x, grads);
    }
}

static void slopes_of_decoding_agree(void **state)
{
    (void)state;
    static const double std[] = {0.1, 0.1, 0.2, 0.2};
    const char *name = "coder_mmdet";
    double want[MOST];
    lmb_graph *g = NULL;
    lmb_value dx;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value x = given(g, name, "far", LMB_SHAPE(8, 4));
    const lmb_value y = lmb_box_decode(
        g, given(g, name, "anchor", LMB_SHAPE(8, 4)), x, std, LMB_DETECT_MOST);
    const lmb_value terms =
        lmb_mul(g, y, given(g, name, "weight", LMB_SHAPE(8, 4)));
    lmb_backward(g, lmb_sum(g, terms, LMB_ALL_AXES, false), 1, &x, &dx);
    CHECK_OK(lmb_graph_status(g));
    op_run run;
    CHECK_OK(op_run_graph(g, 0, NULL, &run));
    const int64_t n = golden(name, "grad", want);
    CHECK_ARRAYS(run.data[dx.id], want, n, 1e-10);
    op_run_free(&run);
    lmb_graph_free(g);
}

LMB_TEST_MAIN(cmocka_unit_test(overlaps_are_the_same_to_the_bit),
    cmocka_unit_test(codes_agree), cmocka_unit_test(anchors_agree),
    cmocka_unit_test(assignment_by_iou_agrees), cmocka_unit_test(atss_agrees),
    cmocka_unit_test(the_valuable_region_agrees),
    cmocka_unit_test(assignment_of_points_agrees),
    cmocka_unit_test(suppression_agrees),
    cmocka_unit_test(postprocessing_agrees), cmocka_unit_test(proposals_agree),
    cmocka_unit_test(losses_agree), cmocka_unit_test(iou_losses_agree),
    cmocka_unit_test(slopes_of_decoding_agree))
