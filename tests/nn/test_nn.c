/* test_nn.c: names, scopes, taps and starting values of layers. */
#include "lmb_test.h"

#include <math.h>

#include "graph/ir.h"
#include "nn/nn.h"

typedef struct site {
    lmb_graph *g;
    lmb_params *params;
    lmb_nn nn;
    lmb_value x;
} site;

static void site_open(site *s, lmb_mode mode)
{
    CHECK_OK(lmb_graph_new(&s->g));
    CHECK_OK(lmb_params_new(LMB_F32, &s->params));
    lmb_nn_init(&s->nn, s->g, s->params, mode);
    s->x = lmb_graph_input(s->g, "x", LMB_F32, LMB_SHAPE(2, 6, 8, 8));
}

static void site_close(site *s)
{
    lmb_params_free(s->params);
    lmb_graph_free(s->g);
}

static void parameters_have_the_names_of_pytorch(void **state)
{
    static const char *const names[] = {"layer1.0.conv1.weight",
        "layer1.0.conv1.bias", "layer1.0.bn1.weight", "layer1.0.bn1.bias",
        "layer1.0.bn1.running_mean", "layer1.0.bn1.running_var", "fc.weight",
        "fc.bias"};
    const lmb_conv_opt opt = {
        .out = 4, .kernel = 3, .pad = 1, .groups = 2, .bias = true};
    site s;
    (void)state;
    site_open(&s, LMB_MODE_TRAIN);
    lmb_nn_push(&s.nn, "layer%d", 1);
    lmb_nn_push(&s.nn, "0");
    const lmb_value y = lmb_nn_conv_bn(&s.nn, "conv1", "bn1", s.x, &opt);
    lmb_nn_pop(&s.nn);
    lmb_nn_pop(&s.nn);
    assert_string_equal(s.nn.prefix, "");
    const lmb_value pooled = lmb_global_avg_pool(s.g, y);
    lmb_nn_head(
        &s.nn, "fc", pooled, lmb_nn_linear_default(&s.nn, "fc", pooled, 5));
    CHECK_OK(lmb_graph_status(s.g));
    assert_int_equal(lmb_params_count(s.params), LMB_COUNT(names));
    for (int i = 0; i < (int)LMB_COUNT(names); i++) {
        const lmb_param *p = lmb_params_at(s.params, i);
        assert_string_equal(p->name, names[i]);
        assert_int_equal(p->trainable, strstr(names[i], "running") == NULL);
    }
    const lmb_shape weight = LMB_SHAPE(4, 3, 3, 3);
    assert_true(lmb_shape_equal(&lmb_params_at(s.params, 0)->shape, &weight));
    assert_string_equal(s.nn.head, "fc");
    assert_true(lmb_is(lmb_nn_tap_find(&s.nn, "logits")));
    assert_false(lmb_is(lmb_nn_tap_find(&s.nn, "f0")));
    site_close(&s);
}

static void nodes_carry_the_scope(void **state)
{
    const lmb_conv_opt opt = {.out = 4, .kernel = 1};
    site s;
    (void)state;
    site_open(&s, LMB_MODE_TRAIN);
    lmb_nn_push(&s.nn, "layer1");
    (void)lmb_nn_conv(&s.nn, "conv1", s.x, &opt);
    lmb_nn_pop(&s.nn);
    CHECK_OK(lmb_graph_status(s.g));
    assert_string_equal(s.g->nodes[s.g->n_nodes - 1].scope, "layer1/conv1");
    site_close(&s);
}

/* A file of PyTorch's holds them as those of any linear layer. */
static void a_layer_on_whole_planes_has_the_weight_of_a_linear_one(void **state)
{
    const lmb_shape weight = LMB_SHAPE(5, 6 * 8 * 8);
    const lmb_shape result = LMB_SHAPE(2, 5, 1, 1);
    site s;
    (void)state;
    site_open(&s, LMB_MODE_TRAIN);
    const lmb_value y = lmb_nn_linear_whole(&s.nn, "fc6", s.x, 5,
        lmb_init_torch_default(weight), lmb_init_constant(0));
    CHECK_OK(lmb_graph_status(s.g));
    const lmb_shape got = lmb_graph_shape(s.g, y);
    assert_true(lmb_shape_equal(&got, &result));
    assert_string_equal(s.g->nodes[s.g->n_nodes - 1].scope, "fc6");
    assert_int_equal(lmb_params_count(s.params), 2);
    assert_string_equal(lmb_params_at(s.params, 0)->name, "fc6.weight");
    assert_true(lmb_shape_equal(&lmb_params_at(s.params, 0)->shape, &weight));
    site_close(&s);
}

static void weights_start_as_pytorch_says(void **state)
{
    const lmb_init he = lmb_init_kaiming_fan_out(LMB_SHAPE(64, 3, 5, 7));
    const lmb_init plain = lmb_init_torch_default(LMB_SHAPE(10, 64));
    (void)state;
    assert_int_equal(he.kind, LMB_INIT_NORMAL);
    CHECK_NEAR(he.b, sqrt(2.0 / (64 * 35)), 1e-15);
    assert_int_equal(plain.kind, LMB_INIT_UNIFORM);
    CHECK_NEAR(plain.a, -0.125, 1e-15);
    CHECK_NEAR(plain.b, 0.125, 1e-15);
}

static void batch_norm_learns_only_in_training(void **state)
{
    for (int mode = 0; mode < 2; mode++) {
        site s;
        site_open(&s, mode == 0 ? LMB_MODE_EVAL : LMB_MODE_TRAIN);
        (void)lmb_nn_batch_norm(&s.nn, "bn", s.x);
        CHECK_OK(lmb_graph_status(s.g));
        bool writes = false;
        for (size_t i = 0; i < s.g->n_nodes; i++)
            writes = writes || s.g->nodes[i].op->side_effect;
        assert_int_equal(writes, mode);
        CHECK_OK(lmb_params_seal(s.params));
        lmb_params_init(s.params, 1);
        CHECK_NEAR(
            lmb_param_get(lmb_params_find(s.params, "bn.weight"), 5), 1, 0);
        CHECK_NEAR(
            lmb_param_get(lmb_params_find(s.params, "bn.bias"), 5), 0, 0);
        CHECK_NEAR(
            lmb_param_get(lmb_params_find(s.params, "bn.running_var"), 5), 1,
            0);
        site_close(&s);
    }
    (void)state;
}

static void errors_name_the_layer_and_make_no_parameters(void **state)
{
    const lmb_conv_opt opt = {.out = 4, .kernel = 9};
    site s;
    (void)state;
    site_open(&s, LMB_MODE_TRAIN);
    lmb_nn_push(&s.nn, "stem");
    const lmb_value y = lmb_nn_conv_bn(&s.nn, "conv", "bn", s.x, &opt);
    assert_false(lmb_is(y));
    CHECK_ERR(lmb_graph_status(s.g), LMB_ESHAPE, "stem/conv");
    assert_null(lmb_params_find(s.params, "stem.bn.weight"));
    lmb_nn_pop(&s.nn);
    site_close(&s);
}

static void a_second_shape_of_a_name_is_refused(void **state)
{
    site s;
    (void)state;
    site_open(&s, LMB_MODE_TRAIN);
    (void)lmb_nn_param(&s.nn, "w", LMB_SHAPE(3), lmb_init_constant(0), true);
    (void)lmb_nn_param(&s.nn, "w", LMB_SHAPE(4), lmb_init_constant(0), true);
    CHECK_ERR(lmb_graph_status(s.g), LMB_ESHAPE, "w");
    site_close(&s);
}

static void taps_and_names_have_limits(void **state)
{
    site s;
    (void)state;
    site_open(&s, LMB_MODE_EVAL);
    for (int i = 0; i < LMB_MAX_TAPS; i++)
        lmb_nn_tap_at(&s.nn, "t", i, s.x);
    CHECK_OK(lmb_graph_status(s.g));
    lmb_nn_tap(&s.nn, "one more", s.x);
    CHECK_ERR(lmb_graph_status(s.g), LMB_EINVAL, "one more");
    site_close(&s);
    site_open(&s, LMB_MODE_EVAL);
    for (int i = 0; i < 5; i++)
        lmb_nn_push(&s.nn, "%050d", i);
    CHECK_ERR(lmb_graph_status(s.g), LMB_EINVAL, "too long");
    for (int i = 0; i < 5; i++)
        lmb_nn_pop(&s.nn);
    assert_string_equal(s.nn.prefix, "");
    site_close(&s);
}

LMB_TEST_MAIN(cmocka_unit_test(parameters_have_the_names_of_pytorch),
    cmocka_unit_test(nodes_carry_the_scope),
    cmocka_unit_test(a_layer_on_whole_planes_has_the_weight_of_a_linear_one),
    cmocka_unit_test(weights_start_as_pytorch_says),
    cmocka_unit_test(batch_norm_learns_only_in_training),
    cmocka_unit_test(errors_name_the_layer_and_make_no_parameters),
    cmocka_unit_test(a_second_shape_of_a_name_is_refused),
    cmocka_unit_test(taps_and_names_have_limits))
