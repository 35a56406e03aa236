/* Plans: the fast backend against the reference on a small residual network
 * that holds every fusion; training steps; errors. */
#include "lmb_test.h"

#include "backend/onednn/dnn.h"
#include "base/rng.h"
#include "graph/ir.h"
#include "nn/nn.h"
#include "plan/plan.h"

enum { N = 4, C = 16, S = 8, CLASSES = 5 };

typedef struct net {
    lmb_graph *g;
    lmb_params *params;
    lmb_value x, labels, logits, loss;
} net;

static lmb_value block(lmb_nn *nn, lmb_value x, int out, int stride)
{
    lmb_value y = lmb_nn_conv(nn, "conv1", x,
        &(lmb_conv_opt){.out = out, .kernel = 3, .stride = stride, .pad = 1});
    y = lmb_relu(nn->g, lmb_nn_batch_norm(nn, "bn1", y));
    y = lmb_nn_conv(nn, "conv2", y,
        &(lmb_conv_opt){.out = out, .kernel = 3, .stride = 1, .pad = 1});
    y = lmb_nn_batch_norm(nn, "bn2", y);
    lmb_value shortcut = x;
    if (stride != 1) {
        shortcut = lmb_nn_conv(nn, "down.0", x,
            &(lmb_conv_opt){.out = out, .kernel = 1, .stride = stride});
        shortcut = lmb_nn_batch_norm(nn, "down.1", shortcut);
    }
    return lmb_relu(nn->g, lmb_add(nn->g, y, shortcut));
}

static void build(net *t, lmb_dtype dtype, lmb_mode mode)
{
    if (t->params == NULL)
        CHECK_OK(lmb_params_new(dtype, &t->params));
    CHECK_OK(lmb_graph_new(&t->g));
    lmb_nn nn;
    lmb_nn_init(&nn, t->g, t->params, mode);
    t->x = lmb_graph_input(t->g, "x", LMB_F32, LMB_SHAPE(N, 3, S, S));
    t->labels = lmb_graph_input(t->g, "labels", LMB_I32, LMB_SHAPE(N));
    lmb_value y = lmb_nn_conv(&nn, "stem", t->x,
        &(lmb_conv_opt){.out = C, .kernel = 3, .stride = 1, .pad = 1});
    y = lmb_relu(t->g, lmb_nn_batch_norm(&nn, "bn", y));
    lmb_nn_push(&nn, "a");
    y = block(&nn, y, C, 1);
    lmb_nn_pop(&nn);
    lmb_nn_push(&nn, "b");
    y = block(&nn, y, 2 * C, 2);
    lmb_nn_pop(&nn);
    y = lmb_global_avg_pool(t->g, y);
    t->logits = lmb_nn_linear(&nn, "fc", y, CLASSES,
        lmb_init_torch_default(LMB_SHAPE(CLASSES, 2 * C)),
        lmb_init_constant(0));
    t->loss = lmb_cross_entropy(t->g, t->logits, t->labels);
    CHECK_OK(lmb_graph_status(t->g));
    CHECK_OK(lmb_params_seal(t->params));
    lmb_params_init(t->params, 7);
}

static void fini(net *t)
{
    lmb_graph_free(t->g);
    lmb_params_free(t->params);
}

static void data(float *x, int32_t *labels)
{
    lmb_rng rng = lmb_rng_make(3, LMB_STREAM_TEST, 0, 0);
    for (int i = 0; i < N * 3 * S * S; i++)
        x[i] = (float)lmb_rng_normal(&rng);
    for (int i = 0; i < N; i++)
        labels[i] = i % CLASSES;
}

/* One training step; the loss comes back, gradients are in the store. */
static double step(net *t, const lmb_plan_opts *opts)
{
    float x[N * 3 * S * S];
    int32_t labels[N];
    data(x, labels);
    if (!opts->reference)
        lmb_passes_forward(t->g, 1, &t->loss);
    lmb_backward_params(t->g, t->loss, 1, &t->params);
    if (!opts->reference)
        lmb_passes_backward(t->g, 1, &t->loss);
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_plan_compile(t->g, 1, &t->loss, opts, &plan));
    CHECK_OK(lmb_plan_set(plan, t->x, LMB_F32, x));
    CHECK_OK(lmb_plan_set(plan, t->labels, LMB_I32, labels));
    CHECK_OK(lmb_plan_run(plan));
    const double loss = lmb_plan_scalar(plan, t->loss);
    if (lmb_dnn_available())
        assert_string_equal(lmb_plan_fallbacks(plan), "");
    lmb_plan_free(plan);
    return loss;
}

static double grad_at(const lmb_param *p, int64_t i)
{
    const void *grad = lmb_param_grad(p);
    return lmb_params_dtype(p->owner) == LMB_F64
        ? ((const double *)grad)[i]
        : (double)((const float *)grad)[i];
}

typedef void build_fn(net *t, lmb_dtype dtype, lmb_mode mode);

/* A step of `opts` against one of the reference. */
static void compare(
    build_fn *make, const lmb_plan_opts *opts, double loss_limit, double limit)
{
    net exact = {0};
    net fast = {0};
    make(&exact, LMB_F64, LMB_MODE_TRAIN);
    make(&fast, LMB_F32, LMB_MODE_TRAIN);
    const double a = step(&exact, &(lmb_plan_opts){.reference = true});
    const double b = step(&fast, opts);
    CHECK_NEAR(a, b, loss_limit);
    for (int i = 0; i < lmb_params_count(exact.params); i++) {
        const lmb_param *p = lmb_params_at(exact.params, i);
        const lmb_param *q = lmb_params_find(fast.params, p->name);
        assert_non_null(q);
        double norm = 0;
        double apart = 0;
        for (int64_t k = 0; k < p->count; k++) {
            const double u = p->trainable ? grad_at(p, k) : lmb_param_get(p, k);
            const double v = p->trainable ? grad_at(q, k) : lmb_param_get(q, k);
            norm += u * u;
            apart += (u - v) * (u - v);
        }
        if (sqrt(apart) > limit * (sqrt(norm) + 1e-3))
            fail_msg(
                "%s: |g| = %g, apart by %g", p->name, sqrt(norm), sqrt(apart));
    }
    fini(&exact);
    fini(&fast);
}

static const lmb_plan_layout layouts[] = {
    LMB_LAYOUT_AUTO, LMB_LAYOUT_NHWC, LMB_LAYOUT_BLOCKED};

static void f32_step_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t k = 0; k < LMB_COUNT(layouts); k++)
        compare(build, &(lmb_plan_opts){.layout = layouts[k]}, 1e-5, 1e-4);
}

static lmb_value conv(
    lmb_nn *nn, const char *name, lmb_value x, int out, int kernel, int groups)
{
    return lmb_nn_conv(nn, name, x,
        &(lmb_conv_opt){.out = out,
            .kernel = kernel,
            .pad = kernel / 2,
            .groups = groups,
            .bias = true});
}

/* Where channels fill blocks of eight and where they do not, cuts inside and
 * between blocks, groups, a transposed convolution: every change of form. */
static void build_mixed(net *t, lmb_dtype dtype, lmb_mode mode)
{
    CHECK_OK(lmb_params_new(dtype, &t->params));
    CHECK_OK(lmb_graph_new(&t->g));
    lmb_graph *g = t->g;
    lmb_nn nn;
    lmb_nn_init(&nn, g, t->params, mode);
    t->x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(N, 3, S, S));
    t->labels = lmb_graph_input(g, "labels", LMB_I32, LMB_SHAPE(N));
    const lmb_value y = lmb_relu(g, conv(&nn, "stem", t->x, 24, 3, 1));
    const lmb_value whole = lmb_slice(g, y, 1, 8, 24);
    const lmb_value cut = lmb_slice(g, y, 1, 4, 16);
    const lmb_value odd = lmb_relu(g, conv(&nn, "odd", cut, 12, 3, 1));
    const lmb_value parts[] = {odd, conv(&nn, "even", whole, 24, 1, 1), odd};
    lmb_value z = lmb_concat(g, 3, parts, 1); /* 48 channels */
    z = lmb_channel_shuffle(g, z, 2);
    z = lmb_relu(g, conv(&nn, "depthwise", z, 48, 3, 48));
    z = conv(&nn, "small_groups", z, 48, 3, 12);
    z = lmb_add(g, z, conv(&nn, "groups", z, 48, 3, 6));
    z = lmb_nn_group_norm(&nn, "norm", z, 4);
    const lmb_value up = lmb_nn_param(&nn, "up.weight", LMB_SHAPE(48, 16, 2, 2),
        lmb_init_torch_default(LMB_SHAPE(48, 16, 2, 2)), true);
    const lmb_value up_bias = lmb_nn_param(
        &nn, "up.bias", LMB_SHAPE(16), lmb_init_constant(0.5), true);
    z = lmb_conv2d_transpose(g, z, up, up_bias,
        &(lmb_conv_attr){.stride = {2, 2}, .dilation = {1, 1}, .groups = 1});
    z = lmb_max_pool2d(
        g, lmb_square(g, z), &(lmb_pool_attr){{2, 2}, {2, 2}, {0, 0}, false});
    z = lmb_resize(g, z, 5, 5, LMB_RESIZE_BILINEAR);
    const lmb_value both[] = {z, lmb_pad(g, lmb_slice(g, z, 1, 2, 7), 1, 3, 0)};
    z = conv(&nn, "out", lmb_concat(g, 2, both, 1), 8, 5, 1);
    t->logits = lmb_nn_linear(&nn, "fc", lmb_global_avg_pool(g, z), CLASSES,
        lmb_init_torch_default(LMB_SHAPE(CLASSES, 8)), lmb_init_constant(0));
    t->loss = lmb_cross_entropy(g, t->logits, t->labels);
    CHECK_OK(lmb_graph_status(g));
    CHECK_OK(lmb_params_seal(t->params));
    lmb_params_init(t->params, 11);
}

static void every_change_of_form_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t k = 0; k < LMB_COUNT(layouts); k++)
        compare(
            build_mixed, &(lmb_plan_opts){.layout = layouts[k]}, 1e-5, 1e-4);
}

static void bf16_step_is_near_the_reference(void **state)
{
    (void)state;
    if (!lmb_dnn_has_bf16()) {
        (void)printf("skipped: this CPU has no bf16\n");
        skip();
    }
    /* Batch norm over four images amplifies the rounding of 8-bit
     * significands; per-op bounds are tested with the kernels. */
    compare(build, &(lmb_plan_opts){.bf16 = true}, 3e-2, 0.25);
}

static double eval_logit(net *t, const lmb_plan_opts *opts)
{
    float x[N * 3 * S * S];
    int32_t labels[N];
    data(x, labels);
    if (!opts->reference)
        lmb_passes_backward(t->g, 1, &t->logits);
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_plan_compile(t->g, 1, &t->logits, opts, &plan));
    CHECK_OK(lmb_plan_set(plan, t->x, LMB_F32, x));
    CHECK_OK(lmb_plan_run(plan));
    double logits[N * CLASSES];
    CHECK_OK(lmb_plan_read(plan, t->logits, LMB_F64, logits));
    lmb_plan_free(plan);
    double sum = 0;
    for (int i = 0; i < N * CLASSES; i++)
        sum += logits[i] * (i + 1);
    return sum;
}

static void folded_network_agrees_with_the_reference(void **state)
{
    (void)state;
    net exact = {0};
    build(&exact, LMB_F64, LMB_MODE_EVAL);
    const double want = eval_logit(&exact, &(lmb_plan_opts){.reference = true});
    for (size_t k = 0; k < LMB_COUNT(layouts); k++) {
        net fast = {0};
        build(&fast, LMB_F32, LMB_MODE_EVAL);
        CHECK_NEAR(want,
            eval_logit(&fast, &(lmb_plan_opts){.layout = layouts[k]}), 1e-4);
        fini(&fast);
    }
    fini(&exact);
}

static void a_missing_input_is_named(void **state)
{
    (void)state;
    net t = {0};
    build(&t, LMB_F64, LMB_MODE_EVAL);
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_plan_compile(
        t.g, 1, &t.logits, &(lmb_plan_opts){.reference = true}, &plan));
    CHECK_ERR(lmb_plan_run(plan), LMB_EINVAL, "input x was not set");
    lmb_plan_free(plan);
    fini(&t);
}

static void a_non_finite_value_is_found_where_it_arises(void **state)
{
    (void)state;
    net t = {0};
    build(&t, LMB_F32, LMB_MODE_EVAL);
    lmb_param_set(lmb_params_find(t.params, "b.conv2.weight"), 3, NAN);
    float x[N * 3 * S * S];
    int32_t labels[N];
    data(x, labels);
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_plan_compile(t.g, 1, &t.logits, &(lmb_plan_opts){0}, &plan));
    CHECK_OK(lmb_plan_set(plan, t.x, LMB_F32, x));
    CHECK_OK(lmb_plan_run(plan));
    char where[256];
    CHECK_OK(lmb_plan_find_nonfinite(plan, where, sizeof where));
    assert_non_null(strstr(where, "conv2d"));
    lmb_plan_free(plan);
    fini(&t);
}

enum { BATCH = 37, ROWS = 49, DEPTH = 32 };

static void products(bool reference, double *out)
{
    static float a[BATCH * ROWS * DEPTH], b[BATCH * ROWS * DEPTH];
    lmb_rng rng = lmb_rng_make(5, LMB_STREAM_TEST, 0, 0);
    for (int i = 0; i < BATCH * ROWS * DEPTH; i++) {
        a[i] = (float)lmb_rng_normal(&rng);
        b[i] = (float)lmb_rng_normal(&rng);
    }
    lmb_graph *g = NULL;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_shape shape = LMB_SHAPE(BATCH, ROWS, DEPTH);
    const lmb_value va = lmb_graph_input(g, "a", LMB_F32, shape);
    const lmb_value vb = lmb_graph_input(g, "b", LMB_F32, shape);
    const lmb_value y = lmb_matmul(g, va, vb, false, true);
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_plan_compile(
        g, 1, &y, &(lmb_plan_opts){.reference = reference}, &plan));
    CHECK_OK(lmb_plan_set(plan, va, LMB_F32, a));
    CHECK_OK(lmb_plan_set(plan, vb, LMB_F32, b));
    CHECK_OK(lmb_plan_run(plan));
    CHECK_OK(lmb_plan_read(plan, y, LMB_F64, out));
    lmb_plan_free(plan);
    lmb_graph_free(g);
}

static void a_batch_of_products_agrees_with_the_reference(void **state)
{
    (void)state;
    static double exact[BATCH * ROWS * ROWS], fast[BATCH * ROWS * ROWS];
    products(true, exact);
    products(false, fast);
    for (int i = 0; i < BATCH * ROWS * ROWS; i++)
        CHECK_NEAR(exact[i], fast[i], 1e-4);
}

/* exp(x) is computed in f32: pooling it must not round it to bf16. */
static void a_bf16_plan_pools_in_f32_what_lies_in_f32(void **state)
{
    (void)state;
    if (!lmb_dnn_has_bf16()) {
        (void)printf("skipped: this CPU has no bf16\n");
        skip();
    }
    float x[C * S * S];
    lmb_rng rng = lmb_rng_make(9, LMB_STREAM_TEST, 0, 0);
    for (int i = 0; i < C * S * S; i++)
        x[i] = (float)lmb_rng_normal(&rng);
    lmb_graph *g = NULL;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value in =
        lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, C, S, S));
    const lmb_pool_attr two = {{2, 2}, {2, 2}, {0, 0}, false};
    const lmb_value y = lmb_avg_pool2d(g, lmb_exp(g, in), &two);
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_plan_compile(g, 1, &y, &(lmb_plan_opts){.bf16 = true}, &plan));
    CHECK_OK(lmb_plan_set(plan, in, LMB_F32, x));
    CHECK_OK(lmb_plan_run(plan));
    double pooled[C * S * S / 4];
    CHECK_OK(lmb_plan_read(plan, y, LMB_F64, pooled));
    for (int i = 0; i < C * S * S / 4; i++) {
        const int row = i / (S / 2), column = i % (S / 2);
        const float *at = x + row * 2 * S + column * 2;
        const double want = (exp((double)at[0]) + exp((double)at[1]) +
                                exp((double)at[S]) + exp((double)at[S + 1])) /
            4;
        CHECK_NEAR(pooled[i], want, 1e-6 * want);
    }
    lmb_plan_free(plan);
    lmb_graph_free(g);
}

LMB_TEST_MAIN(cmocka_unit_test(a_batch_of_products_agrees_with_the_reference),
    cmocka_unit_test(f32_step_agrees_with_the_reference),
    cmocka_unit_test(every_change_of_form_agrees_with_the_reference),
    cmocka_unit_test(bf16_step_is_near_the_reference),
    cmocka_unit_test(a_bf16_plan_pools_in_f32_what_lies_in_f32),
    cmocka_unit_test(folded_network_agrees_with_the_reference),
    cmocka_unit_test(a_missing_input_is_named),
    cmocka_unit_test(a_non_finite_value_is_found_where_it_arises))
