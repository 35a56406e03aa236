/* The spatial ops against PyTorch 1.13 in float64: values and gradients of
 * tests/golden/spatial_ops.txt (made by tools/golden/spatial_ops.py, where the
 * inputs are described). Limit 1e-12. */
#include "op_golden.h"

static const double LIMIT = 1e-12;
#define PATH LMB_TEST_DIR "/golden/spatial_ops.txt"

/* --- the cases */

static lmb_value conv(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_conv2d(g, x[0], x[1], x[2], user);
}

static lmb_value transpose(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_conv2d_transpose(g, x[0], x[1], x[2], user);
}

static lmb_value norm_train(lmb_graph *g, const lmb_value *x, const void *user)
{
    const double *eps = user;
    return lmb_batch_norm_train(g, x[0], x[1], x[2], *eps, 0.1, NULL, NULL);
}

static lmb_value norm_infer(lmb_graph *g, const lmb_value *x, const void *user)
{
    double mean[3], var[3];
    (void)user;
    ramp(3, 3, mean);
    ramp(4, 3, var);
    for (int i = 0; i < 3; i++)
        var[i] += 1.5;
    return lmb_batch_norm_infer(g, x[0], x[1], x[2],
        lmb_graph_constant(g, LMB_SHAPE(3), mean, 0),
        lmb_graph_constant(g, LMB_SHAPE(3), var, 0), 1e-5);
}

static lmb_value max_pool(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_max_pool2d(g, x[0], user);
}

static lmb_value avg_pool(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_avg_pool2d(g, x[0], user);
}

static lmb_value global(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_global_avg_pool(g, x[0]);
}

static lmb_value shuffle(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_channel_shuffle(g, x[0], 3);
}

static lmb_value adaptive(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_size_attr *s = user;
    return lmb_adaptive_avg_pool2d(g, x[0], s->size[0], s->size[1]);
}

static lmb_value resize(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_size_attr *s = user;
    return lmb_resize(
        g, x[0], s->size[0], s->size[1], (lmb_resize_mode)s->mode);
}

static const lmb_conv_attr strided = {{2, 1}, {1, 1}, {1, 1}, 1, false};
static const lmb_conv_attr dilated = {{1, 1}, {1, 2}, {2, 1}, 2, false};
static const lmb_conv_attr depthwise = {{2, 2}, {1, 1}, {1, 1}, 3, false};
static const lmb_conv_attr upward = {{2, 3}, {1, 0}, {1, 1}, 1, false};
static const lmb_conv_attr grouped = {{1, 1}, {0, 0}, {1, 2}, 2, false};
static const double eps_image = 1e-5, eps_rows = 1e-3;
static const lmb_pool_attr pool = {{3, 2}, {2, 2}, {1, 1}, true};
static const lmb_pool_attr inside = {{3, 2}, {2, 2}, {1, 1}, false};
static const lmb_size_attr down = {{3, 4}, 0}, mixed = {{6, 4}, 0};
static const lmb_size_attr nearest = {{7, 3}, LMB_RESIZE_NEAREST};
static const lmb_size_attr nearest_wide = {{1, 22}, LMB_RESIZE_NEAREST};
static const lmb_size_attr bilinear = {{7, 3}, LMB_RESIZE_BILINEAR};
static const lmb_size_attr bilinear_wide = {{3, 9}, LMB_RESIZE_BILINEAR};

/* clang-format off */
static const golden_case cases[] = {
    {"conv2d", conv, &strided, 3,
        {{4, {2, 2, 5, 4}}, {4, {3, 2, 3, 3}}, {1, {3}}}},
    {"conv2d_dilated", conv, &dilated, 2,
        {{4, {1, 4, 4, 5}}, {4, {4, 2, 2, 3}}}},
    {"conv2d_depthwise", conv, &depthwise, 2,
        {{4, {2, 3, 4, 4}}, {4, {3, 1, 3, 3}}}},
    {"transpose", transpose, &upward, 3,
        {{4, {2, 3, 3, 2}}, {4, {3, 2, 3, 2}}, {1, {2}}}},
    {"transpose_groups", transpose, &grouped, 2,
        {{4, {1, 4, 2, 3}}, {4, {4, 1, 2, 2}}}},
    {"batch_norm_train", norm_train, &eps_image, 3,
        {{4, {3, 2, 2, 3}}, {1, {2}}, {1, {2}}}},
    {"batch_norm_rows", norm_train, &eps_rows, 3,
        {{2, {5, 3}}, {1, {3}}, {1, {3}}}},
    {"batch_norm_infer", norm_infer, NULL, 3,
        {{4, {2, 3, 2, 2}}, {1, {3}}, {1, {3}}}},
    {"max_pool", max_pool, &pool, 1, {{4, {1, 2, 6, 5}}}},
    {"avg_pool", avg_pool, &pool, 1, {{4, {1, 2, 6, 5}}}},
    {"avg_pool_inside", avg_pool, &inside, 1, {{4, {1, 2, 6, 5}}}},
    {"adaptive_down", adaptive, &down, 1, {{4, {1, 2, 5, 7}}}},
    {"adaptive_mixed", adaptive, &mixed, 1, {{4, {1, 2, 5, 7}}}},
    {"global_avg_pool", global, NULL, 1, {{4, {2, 3, 3, 4}}}},
    {"shuffle", shuffle, NULL, 1, {{4, {1, 6, 1, 2}}}},
    {"nearest", resize, &nearest, 1, {{4, {1, 2, 4, 5}}}},
    {"nearest_wide", resize, &nearest_wide, 1, {{4, {1, 1, 1, 26}}}},
    {"bilinear", resize, &bilinear, 1, {{4, {1, 2, 4, 5}}}},
    {"bilinear_wide", resize, &bilinear_wide, 1, {{4, {1, 2, 4, 5}}}},
};
/* clang-format on */

static void values_and_gradients_equal_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        golden_check(PATH, &cases[i], LIMIT);
}

/* From 0 and 1, after one batch of the case batch_norm_train. */
static void running_statistics_equal_pytorch(void **state)
{
    (void)state;
    const lmb_shape two = LMB_SHAPE(2);
    lmb_params *store;
    lmb_param *mean, *var;
    CHECK_OK(lmb_params_new(LMB_F64, &store));
    CHECK_OK(lmb_params_add(store, "mean", &two, (lmb_init){0}, false, &mean));
    CHECK_OK(lmb_params_add(
        store, "var", &two, (lmb_init){LMB_INIT_CONSTANT, 1, 0}, false, &var));
    CHECK_OK(lmb_params_seal(store));
    lmb_params_init(store, 1);
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(3, 2, 2, 3));
    const lmb_value one = lmb_graph_constant(g, two, NULL, 1);
    (void)lmb_batch_norm_train(g, x, one, one, 1e-5, 0.1, mean, var);
    op_bench r;
    op_bench_new(&r, g);
    ramp(0, 36, op_bench_at(&r, x));
    op_bench_run(&r);
    double want[MOST];
    golden(PATH, "running", "mean", 2, want);
    for (int i = 0; i < 2; i++)
        CHECK_NEAR(lmb_param_get(mean, i), want[i], LIMIT);
    golden(PATH, "running", "var", 2, want);
    for (int i = 0; i < 2; i++)
        CHECK_NEAR(lmb_param_get(var, i), want[i], LIMIT);
    op_bench_free(&r);
    lmb_graph_free(g);
    lmb_params_free(store);
}

LMB_TEST_MAIN(cmocka_unit_test(values_and_gradients_equal_pytorch),
    cmocka_unit_test(running_statistics_equal_pytorch))
