/* batch_norm_infer: values, gradient to x, gamma and beta, refusals. */
#include "op_bench.h"

/* x, gamma, beta, mean, var. */
static lmb_value build_all(lmb_graph *g, const lmb_value *x, const void *user)
{
    const double *eps = user;
    return lmb_batch_norm_infer(g, x[0], x[1], x[2], x[3], x[4], *eps);
}

/* With constant statistics: mean 0.3, variance 1.7. */
static lmb_value build_fixed(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_shape c = lmb_graph_shape(g, x[1]);
    const double *eps = user;
    return lmb_batch_norm_infer(g, x[0], x[1], x[2],
        lmb_graph_constant(g, c, NULL, 0.3),
        lmb_graph_constant(g, c, NULL, 1.7), *eps);
}

/* 2 (x - 1) / sqrt(3 + 1) + 10 and -1 (x - 0) / sqrt(0 + 1). */
static void values_by_hand(void **state)
{
    (void)state;
    const double eps = 1;
    const lmb_shape c = LMB_SHAPE(2);
    const double *const x[5] = {OP_D(1, 3, 5, -5, 0, 4, 2, 8), OP_D(2, -1),
        OP_D(10, 0), OP_D(1, 0), OP_D(3, 0)};
    op_case k = {
        build_all, OP_ANY, &eps, 5, {LMB_SHAPE(2, 2, 1, 2), c, c, c, c}};
    op_check_value(
        &k, x, LMB_SHAPE(2, 2, 1, 2), OP_D(10, 12, -5, 5, 9, 13, -2, -8), 0);
    k.shape[0] = LMB_SHAPE(4, 2);
    op_check_value(
        &k, x, LMB_SHAPE(4, 2), OP_D(10, -3, 14, 5, 9, -4, 11, -8), 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    const double eps = 1e-5;
    const lmb_shape c = LMB_SHAPE(3);
    op_case k = {build_fixed, OP_ANY, &eps, 3, {LMB_SHAPE(2, 3, 4, 5), c, c}};
    op_check_gradient(&k);
    k.shape[0] = LMB_SHAPE(6, 3);
    op_check_gradient(&k);
}

static void statistics_get_no_gradient(void **state)
{
    (void)state;
    const double eps = 1e-5;
    const lmb_shape c = LMB_SHAPE(3);
    const op_case k = {
        build_all, OP_ANY, &eps, 5, {LMB_SHAPE(2, 3), c, c, c, c}};
    const op_built b = op_build_case(&k);
    lmb_value d[5];
    lmb_backward(b.g, lmb_sum(b.g, b.y, LMB_ALL_AXES, false), 5, b.x, d);
    CHECK_OK(lmb_graph_status(b.g));
    assert_true(lmb_is(d[0]) && lmb_is(d[1]) && lmb_is(d[2]));
    assert_false(lmb_is(d[3]) || lmb_is(d[4]));
    lmb_graph_free(b.g);
}

static void fused_relu(void **state)
{
    (void)state;
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_shape c = LMB_SHAPE(2);
    const lmb_value in[5] = {
        lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(2, 2, 3, 3)),
        lmb_graph_input(g, "gamma", LMB_F32, c),
        lmb_graph_input(g, "beta", LMB_F32, c),
        lmb_graph_constant(g, c, NULL, 0.5), lmb_graph_constant(g, c, NULL, 2)};
    const lmb_batch_norm_attr a = {.eps = 0.1, .relu = true};
    const lmb_value y0 = lmb_relu(g, build_all(g, in, &a.eps));
    const lmb_value y1 =
        lmb_graph_apply1(g, &lmb_op_batch_norm_infer, &a, 5, in);
    lmb_value d0[3], d1[3];
    lmb_backward(g, lmb_sum(g, y0, LMB_ALL_AXES, false), 3, in, d0);
    lmb_backward(g, lmb_sum(g, y1, LMB_ALL_AXES, false), 3, in, d1);
    op_bench r;
    op_bench_new(&r, g);
    for (int i = 0; i < 3; i++)
        op_bench_draw(&r, in[i], (uint64_t)i + 1);
    op_bench_run(&r);
    CHECK_ARRAYS(op_bench_at(&r, y1), op_bench_at(&r, y0), 36, 0);
    for (int i = 0; i < 3; i++)
        CHECK_ARRAYS(op_bench_at(&r, d1[i]), op_bench_at(&r, d0[i]),
            op_bench_count(&r, in[i]), 1e-14);
    op_bench_free(&r);
    lmb_graph_free(g);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    const double eps = 1e-5;
    const lmb_shape c = LMB_SHAPE(3);
    op_case k = {build_all, OP_ANY, &eps, 5, {LMB_SHAPE(3), c, c, c, c}};
    op_check_refused(&k, LMB_ESHAPE, "x [3] is not [N, C, H, W]");
    const char *const names[] = {"gamma", "beta", "mean", "var"};
    k.shape[0] = LMB_SHAPE(2, 3, 4, 4);
    for (int i = 0; i < 4; i++) {
        op_case bad = k;
        bad.shape[1 + i] = LMB_SHAPE(3, 1);
        op_check_refused(&bad, LMB_ESHAPE, names[i]);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(values_by_hand),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(statistics_get_no_gradient), cmocka_unit_test(fused_relu),
    cmocka_unit_test(wrong_shapes_are_refused))
