/* batch_norm_train, batch_norm_bwd and batch_norm_update. */
#include "op_bench.h"

static const double EPS = 1e-5;

typedef struct bn_case {
    double eps;
    bool relu, residual;
} bn_case;

/* Straight to the op, so that fused attributes can be set. */
static lmb_value build_op(lmb_graph *g, const lmb_value *x, const void *user)
{
    const bn_case *c = user;
    const lmb_batch_norm_attr a = {.eps = c->eps, .relu = c->relu};
    return lmb_graph_apply1(
        g, &lmb_op_batch_norm_train, &a, c->residual ? 4 : 3, x);
}

static lmb_value build_plain(lmb_graph *g, const lmb_value *x, const void *user)
{
    const double *eps = user;
    return lmb_batch_norm_train(g, x[0], x[1], x[2], *eps, 0.1, NULL, NULL);
}

/* --- values */

/* Columns (1, 3) and (0, 8): means 2 and 4, variances 1 and 16. */
static void rows_by_hand(void **state)
{
    (void)state;
    const double eps = 0;
    const op_case c = {build_plain, OP_ANY, &eps, 3,
        {LMB_SHAPE(2, 2), LMB_SHAPE(2), LMB_SHAPE(2)}};
    op_check_value(&c, OP_X(OP_D(1, 0, 3, 8), OP_D(1, 10), OP_D(0, 100)),
        LMB_SHAPE(2, 2), OP_D(-1, 90, 1, 110), 0);
}

static void eps_is_added_to_the_variance(void **state)
{
    (void)state;
    const double eps = 3; /* 1 / sqrt(1 + 3) = 1/2 */
    const op_case c = {build_plain, OP_ANY, &eps, 3,
        {LMB_SHAPE(2, 1, 1, 1), LMB_SHAPE(1), LMB_SHAPE(1)}};
    op_check_value(&c, OP_X(OP_D(1, 3), OP_D(1), OP_D(0)),
        LMB_SHAPE(2, 1, 1, 1), OP_D(-0.5, 0.5), 0);
}

typedef struct bn_graph {
    lmb_graph *g;
    lmb_value x, gamma, beta, out[3];
    op_bench r;
} bn_graph;

static void make(bn_graph *b, lmb_shape shape)
{
    CHECK_OK(lmb_graph_new(&b->g));
    const lmb_shape channels = LMB_SHAPE(shape.dim[1]);
    b->x = lmb_graph_input(b->g, "x", LMB_F32, shape);
    b->gamma = lmb_graph_input(b->g, "gamma", LMB_F32, channels);
    b->beta = lmb_graph_input(b->g, "beta", LMB_F32, channels);
    const lmb_batch_norm_attr a = {.eps = EPS};
    const lmb_value in[3] = {b->x, b->gamma, b->beta};
    lmb_graph_apply(b->g, &lmb_op_batch_norm_train, &a, 3, in, b->out);
    op_bench_new(&b->r, b->g);
    op_bench_draw(&b->r, b->x, 1);
    op_bench_draw(&b->r, b->gamma, 2);
    op_bench_draw(&b->r, b->beta, 3);
}

static void drop(bn_graph *b)
{
    op_bench_free(&b->r);
    lmb_graph_free(b->g);
}

static void check_channel(const bn_graph *b, int64_t c, int64_t plane)
{
    const double *x = op_bench_at(&b->r, b->x);
    const int64_t channels = op_bench_count(&b->r, b->gamma);
    const int64_t count = op_bench_count(&b->r, b->x);
    double sum = 0, squares = 0, m = 0;
    for (int64_t i = 0; i < count; i++)
        if (i / plane % channels == c) {
            sum += x[i];
            squares += x[i] * x[i];
            m++;
        }
    const double mean = sum / m, var = squares / m - mean * mean;
    CHECK_NEAR(op_bench_at(&b->r, b->out[1])[c], mean, 1e-14);
    CHECK_NEAR(op_bench_at(&b->r, b->out[2])[c], var, 1e-13);
    for (int64_t i = 0; i < count; i++)
        if (i / plane % channels == c)
            CHECK_NEAR(op_bench_at(&b->r, b->out[0])[i],
                op_bench_at(&b->r, b->gamma)[c] * (x[i] - mean) /
                        sqrt(var + EPS) +
                    op_bench_at(&b->r, b->beta)[c],
                1e-12);
}

static void values_equal_the_formula(void **state)
{
    (void)state;
    const lmb_shape shapes[] = {LMB_SHAPE(3, 4, 5, 2), LMB_SHAPE(7, 3),
        LMB_SHAPE(1, 2, 3, 3), LMB_SHAPE(4, 1, 1, 1)};
    for (size_t i = 0; i < LMB_COUNT(shapes); i++) {
        bn_graph b;
        make(&b, shapes[i]);
        op_bench_run(&b.r);
        const int64_t plane =
            shapes[i].rank == 4 ? shapes[i].dim[2] * shapes[i].dim[3] : 1;
        for (int64_t c = 0; c < shapes[i].dim[1]; c++)
            check_channel(&b, c, plane);
        drop(&b);
    }
}

/* A variance of 1 around a mean of 1e9 survives. */
static void large_means_keep_the_variance(void **state)
{
    (void)state;
    bn_graph b;
    make(&b, LMB_SHAPE(4, 1));
    const double x[4] = {1e9 - 1, 1e9 + 1, 1e9 + 1, 1e9 - 1};
    memcpy(op_bench_at(&b.r, b.x), x, sizeof x);
    op_bench_run(&b.r);
    CHECK_NEAR(op_bench_at(&b.r, b.out[1])[0], 1e9, 0);
    CHECK_NEAR(op_bench_at(&b.r, b.out[2])[0], 1, 0);
    drop(&b);
}

/* --- fusion */

/* relu(bn(x) + residual) in one op and in three: the same values and
 * gradients of sum(w y). */
static void fused_residual_and_relu(void **state)
{
    (void)state;
    const bn_case fused = {EPS, true, true}, plain = {EPS, false, false};
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_shape s = LMB_SHAPE(3, 2, 4, 3);
    const lmb_value x[4] = {lmb_graph_input(g, "x", LMB_F32, s),
        lmb_graph_input(g, "gamma", LMB_F32, LMB_SHAPE(2)),
        lmb_graph_input(g, "beta", LMB_F32, LMB_SHAPE(2)),
        lmb_graph_input(g, "residual", LMB_F32, s)};
    const lmb_value y0 =
        lmb_relu(g, lmb_add(g, build_plain(g, x, &plain.eps), x[3]));
    const lmb_value y1 = build_op(g, x, &fused);
    lmb_value d0[4], d1[4];
    lmb_backward(
        g, lmb_sum(g, op_weighted(g, y0, 5), LMB_ALL_AXES, false), 4, x, d0);
    lmb_backward(
        g, lmb_sum(g, op_weighted(g, y1, 5), LMB_ALL_AXES, false), 4, x, d1);
    op_bench r;
    op_bench_new(&r, g);
    for (int i = 0; i < 4; i++)
        op_bench_draw(&r, x[i], (uint64_t)i + 1);
    op_bench_run(&r);
    CHECK_ARRAYS(op_bench_at(&r, y1), op_bench_at(&r, y0),
        op_bench_count(&r, y0), 1e-14);
    for (int i = 0; i < 4; i++)
        CHECK_ARRAYS(op_bench_at(&r, d1[i]), op_bench_at(&r, d0[i]),
            op_bench_count(&r, x[i]), 1e-12);
    op_bench_free(&r);
    lmb_graph_free(g);
}

/* bwd(dy, dy2) = bwd(dy + dy2), and dres is the masked sum. */
static void second_gradient_is_added(void **state)
{
    (void)state;
    bn_graph b;
    make(&b, LMB_SHAPE(2, 3, 2, 2));
    lmb_graph *g = b.g;
    const lmb_shape s = lmb_graph_shape(g, b.x);
    const lmb_value dy = lmb_graph_input(g, "dy", LMB_F32, s);
    const lmb_value dy2 = lmb_graph_input(g, "dy2", LMB_F32, s);
    const lmb_value y = lmb_relu(g, b.out[0]);
    const lmb_value sum = lmb_add(g, dy, dy2);
    const lmb_batch_norm_bwd_attr a = {
        .eps = EPS, .relu = true, .with_residual = true};
    const lmb_value in0[7] = {
        sum, LMB_NONE, b.x, b.gamma, b.out[1], b.out[2], y};
    const lmb_value in1[7] = {dy, dy2, b.x, b.gamma, b.out[1], b.out[2], y};
    lmb_value d0[4], d1[4];
    lmb_graph_apply(g, &lmb_op_batch_norm_bwd, &a, 7, in0, d0);
    lmb_graph_apply(g, &lmb_op_batch_norm_bwd, &a, 7, in1, d1);
    op_bench_free(&b.r);
    op_bench_new(&b.r, g);
    const lmb_value draw[5] = {b.x, b.gamma, b.beta, dy, dy2};
    for (int i = 0; i < 5; i++)
        op_bench_draw(&b.r, draw[i], (uint64_t)i + 1);
    op_bench_run(&b.r);
    for (int i = 0; i < 4; i++)
        CHECK_ARRAYS(op_bench_at(&b.r, d1[i]), op_bench_at(&b.r, d0[i]),
            op_bench_count(&b.r, d0[i]), 1e-14);
    for (int64_t i = 0; i < op_bench_count(&b.r, y); i++)
        CHECK_NEAR(op_bench_at(&b.r, d1[3])[i],
            op_bench_at(&b.r, y)[i] > 0 ? op_bench_at(&b.r, sum)[i] : 0, 0);
    drop(&b);
}

/* --- running statistics */

/* x = 1, 3 : mean 2, unbiased variance 2. From 0 and 1 with momentum 1/4:
 * 0.5, 1.25 after one run; 0.875, 1.4375 after two. */
static void running_statistics_move(void **state)
{
    (void)state;
    lmb_params *store;
    lmb_param *mean, *var;
    const lmb_shape one = LMB_SHAPE(1);
    CHECK_OK(lmb_params_new(LMB_F64, &store));
    CHECK_OK(lmb_params_add(store, "running_mean", &one,
        (lmb_init){LMB_INIT_CONSTANT, 0, 0}, false, &mean));
    CHECK_OK(lmb_params_add(store, "running_var", &one,
        (lmb_init){LMB_INIT_CONSTANT, 1, 0}, false, &var));
    CHECK_OK(lmb_params_seal(store));
    lmb_params_init(store, 1);
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, 1, 2, 1));
    const lmb_value scale = lmb_graph_constant(g, one, NULL, 1);
    const lmb_value y =
        lmb_batch_norm_train(g, x, scale, scale, 0, 0.25, mean, var);
    op_bench r;
    op_bench_new(&r, g);
    op_bench_at(&r, x)[0] = 1;
    op_bench_at(&r, x)[1] = 3;
    op_bench_run(&r);
    CHECK_ARRAYS(op_bench_at(&r, y), OP_D(0, 2), 2, 0);
    CHECK_NEAR(lmb_param_get(mean, 0), 0.5, 0);
    CHECK_NEAR(lmb_param_get(var, 0), 1.25, 0);
    op_bench_run(&r);
    CHECK_NEAR(lmb_param_get(mean, 0), 0.875, 0);
    CHECK_NEAR(lmb_param_get(var, 0), 1.4375, 0);
    op_bench_free(&r);
    lmb_graph_free(g);
    lmb_params_free(store);
}

/* --- gradients and refusals */

static void gradients_match_stencils(void **state)
{
    (void)state;
    const bn_case plain = {EPS, false, false}, sum = {1e-3, false, true};
    const lmb_shape shapes[] = {
        LMB_SHAPE(3, 2, 4, 3), LMB_SHAPE(5, 3), LMB_SHAPE(1, 3, 2, 5)};
    for (size_t i = 0; i < LMB_COUNT(shapes); i++) {
        const lmb_shape s = shapes[i], c = LMB_SHAPE(s.dim[1]);
        op_case k = {build_op, OP_SMALL, &plain, 3, {s, c, c}};
        op_check_gradient(&k);
        k = (op_case){build_op, OP_SMALL, &sum, 4, {s, c, c, s}};
        op_check_gradient(&k);
    }
}

static void refuse(
    lmb_shape x, lmb_shape gamma, lmb_shape beta, const char *part)
{
    const op_case c = {build_plain, OP_ANY, &EPS, 3, {x, gamma, beta}};
    op_check_refused(&c, LMB_ESHAPE, part);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    const lmb_shape c = LMB_SHAPE(3), d = LMB_SHAPE(4);
    refuse(LMB_SHAPE(2, 3, 4), c, c, "[2, 3, 4] is not [N, C, H, W]");
    refuse(LMB_SHAPE(2, 3, 4, 4), d, c, "gamma has shape [4], not [3]");
    refuse(LMB_SHAPE(2, 3), c, d, "beta has shape [4], not [3]");
    refuse(LMB_SHAPE(1, 3), c, c, "has 1 value(s) a channel");
    refuse(LMB_SHAPE(1, 3, 1, 1), c, c, "has 1 value(s) a channel");
    const bn_case sum = {EPS, false, true};
    const op_case k = {
        build_op, OP_ANY, &sum, 4, {LMB_SHAPE(2, 3), c, c, LMB_SHAPE(3, 2)}};
    op_check_refused(&k, LMB_ESHAPE, "residual has shape [3, 2]");
}

static void running_statistics_must_fit(void **state)
{
    (void)state;
    lmb_params *store;
    lmb_param *mean, *var;
    const lmb_shape two = LMB_SHAPE(2), three = LMB_SHAPE(3);
    CHECK_OK(lmb_params_new(LMB_F64, &store));
    CHECK_OK(lmb_params_add(store, "mean", &two, (lmb_init){0}, false, &mean));
    CHECK_OK(lmb_params_add(store, "var", &three, (lmb_init){0}, false, &var));
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(4, 2));
    const lmb_value one = lmb_graph_constant(g, two, NULL, 1);
    (void)lmb_batch_norm_train(g, x, one, one, EPS, 0.1, mean, var);
    CHECK_GRAPH_ERR(g, LMB_ESHAPE, "shapes [2] and [3]");
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value x2 = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(4, 2));
    const lmb_value one2 = lmb_graph_constant(g, two, NULL, 1);
    (void)lmb_batch_norm_train(g, x2, one2, one2, EPS, 0.1, mean, NULL);
    CHECK_GRAPH_ERR(g, LMB_EINVAL, "come together");
    lmb_params_free(store);
}

LMB_TEST_MAIN(cmocka_unit_test(rows_by_hand),
    cmocka_unit_test(eps_is_added_to_the_variance),
    cmocka_unit_test(values_equal_the_formula),
    cmocka_unit_test(large_means_keep_the_variance),
    cmocka_unit_test(fused_residual_and_relu),
    cmocka_unit_test(second_gradient_is_added),
    cmocka_unit_test(running_statistics_move),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused),
    cmocka_unit_test(running_statistics_must_fit))
