/* Normalisations, GELU, roll and RoIAlign against PyTorch and torchvision in
 * float64: values and gradients of tests/golden/norm_ops.txt (made by
 * tools/golden/norm_ops.py, where the inputs are described). Limit 1e-11. */
#include "op_golden.h"

#define PATH LMB_TEST_DIR "/golden/norm_ops.txt"

static const double LIMIT = 1e-11;

typedef struct norm {
    int groups;
    double eps;
} norm;

static lmb_value group(lmb_graph *g, const lmb_value *x, const void *user)
{
    const norm *n = user;
    return lmb_group_norm(g, x[0], x[1], x[2], n->groups, n->eps);
}

static lmb_value layer(lmb_graph *g, const lmb_value *x, const void *user)
{
    const norm *n = user;
    return lmb_layer_norm(g, x[0], x[1], x[2], n->eps);
}

static lmb_value gelu(lmb_graph *g, const lmb_value *x, const void *user)
{
    const norm *n = user;
    return lmb_gelu(g, n != NULL ? lmb_scale(g, x[0], n->eps) : x[0]);
}

static lmb_value roll(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_roll(g, lmb_roll(g, x[0], 1, -2), -1, 1);
}

static lmb_value roi(lmb_graph *g, const lmb_value *x, const void *user)
{
    double rois[20];
    golden(PATH, "roi", "rois", 20, rois);
    return lmb_roi_align(
        g, x, lmb_graph_constant(g, LMB_SHAPE(4, 5), rois, 0), user);
}

static const norm small = {0, 1e-5}, tiny = {0, 1e-6}, wide = {0, 8};
static const norm two = {2, 1e-5}, one = {1, 1e-3}, each = {3, 1e-5};
/* levels, size, samples, strides, canonical size and level, aligned */
static const lmb_roi_align_attr fixed = {1, 2, 2, {4}, 56, 0, true};
static const lmb_roi_align_attr pixels = {1, 2, 0, {4}, 56, 0, true};
static const lmb_roi_align_attr old = {1, 2, 2, {4}, 56, 0, false};
static const lmb_roi_align_attr old_pixels = {1, 2, 0, {4}, 56, 0, false};
static const lmb_roi_align_attr vision = {2, 2, 2, {4, 8}, 16, 1, false};
static const lmb_roi_align_attr mmdet = {2, 2, 0, {4, 8}, 8, 0, true};

/* clang-format off */
static const golden_case cases[] = {
    {"group_norm", group, &two, 3,
        {{4, {2, 6, 3, 2}}, {1, {6}}, {1, {6}}}},
    {"group_norm_one", group, &one, 3,
        {{4, {2, 4, 2, 3}}, {1, {4}}, {1, {4}}}},
    {"group_norm_each", group, &each, 3,
        {{4, {3, 3, 4, 2}}, {1, {3}}, {1, {3}}}},
    {"layer_norm", layer, &small, 3, {{3, {3, 2, 7}}, {1, {7}}, {1, {7}}}},
    {"layer_norm_rows", layer, &tiny, 3, {{2, {5, 4}}, {1, {4}}, {1, {4}}}},
    {"gelu", gelu, NULL, 1, {{2, {4, 50}}}},
    {"gelu_wide", gelu, &wide, 1, {{2, {4, 50}}}},
    {"roll", roll, NULL, 1, {{3, {2, 5, 3}}}},
    {"roi_one", roi, &fixed, 1, {{4, {2, 2, 6, 7}}}},
    {"roi_one_pixels", roi, &pixels, 1, {{4, {2, 2, 6, 7}}}},
    {"roi_one_old", roi, &old, 1, {{4, {2, 2, 6, 7}}}},
    {"roi_one_old_pixels", roi, &old_pixels, 1, {{4, {2, 2, 6, 7}}}},
    {"roi_torchvision", roi, &vision, 2,
        {{4, {2, 2, 6, 7}}, {4, {2, 2, 3, 4}}}},
    {"roi_mmdetection", roi, &mmdet, 2,
        {{4, {2, 2, 6, 7}}, {4, {2, 2, 3, 4}}}},
};
/* clang-format on */

static void values_and_gradients_equal_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        golden_check(PATH, &cases[i], LIMIT);
}

LMB_TEST_MAIN(cmocka_unit_test(values_and_gradients_equal_pytorch))
