/* test_norm_eval.c: norms with running statistics in training, frozen parts. */
#include "lmb_test.h"

#include "golden_weights.h"
#include "nn/nn.h"
#include "plan/plan.h"

typedef struct site {
    lmb_graph *g;
    lmb_params *params;
    lmb_nn nn;
    lmb_plan *plan;
} site;

enum { COUNT = 2 * 6 * 5 * 5, GRADS = 4 * 6 * 9 + 8 };

static const lmb_conv_opt conv = {.out = 4, .kernel = 3, .pad = 1};

/* Value and gradients of the sum of squares of conv, then norm. */
static double run(site *s, lmb_mode mode, bool norm_eval, double *grads)
{
    double images[COUNT];
    golden_array("images", COUNT, -1, 1, images);
    CHECK_OK(lmb_graph_new(&s->g));
    CHECK_OK(lmb_params_new(LMB_F64, &s->params));
    lmb_nn_init(&s->nn, s->g, s->params, mode);
    s->nn.norm_eval = norm_eval;
    const lmb_value x =
        lmb_graph_input(s->g, "x", LMB_F32, LMB_SHAPE(2, 6, 5, 5));
    const lmb_value y = lmb_nn_conv_bn(&s->nn, "conv", "bn", x, &conv);
    const lmb_value loss =
        lmb_sum(s->g, lmb_square(s->g, y), LMB_ALL_AXES, false);
    lmb_backward_params(s->g, loss, 1, &s->params);
    CHECK_OK(lmb_graph_status(s->g));
    CHECK_OK(lmb_params_seal(s->params));
    golden_parameters(s->params);
    const lmb_plan_opts opts = {.reference = true, .allow_reference = true};
    CHECK_OK(lmb_plan_compile(s->g, 1, &loss, &opts, &s->plan));
    CHECK_OK(lmb_plan_set(s->plan, x, LMB_F64, images));
    CHECK_OK(lmb_plan_run(s->plan));
    static const char *const names[] = {"conv.weight", "bn.weight", "bn.bias"};
    for (size_t i = 0; i < LMB_COUNT(names); i++) {
        const lmb_param *p = lmb_params_find(s->params, names[i]);
        memcpy(grads, lmb_param_grad(p), (size_t)p->count * sizeof *grads);
        grads += p->count;
    }
    return lmb_plan_scalar(s->plan, loss);
}

static void site_close(site *s)
{
    lmb_plan_free(s->plan);
    lmb_params_free(s->params);
    lmb_graph_free(s->g);
}

static void the_folded_norm_is_the_norm(void **state)
{
    site plain, folded;
    double want[GRADS], got[GRADS];
    (void)state;
    const double value = run(&plain, LMB_MODE_EVAL, false, want);
    CHECK_NEAR(run(&folded, LMB_MODE_TRAIN, true, got), value, 1e-10 * value);
    CHECK_ARRAYS(got, want, GRADS, 1e-9);
    site_close(&plain);
    site_close(&folded);
}

static void frozen_parts_are_buffers(void **state)
{
    site s = {0};
    (void)state;
    CHECK_OK(lmb_graph_new(&s.g));
    CHECK_OK(lmb_params_new(LMB_F32, &s.params));
    lmb_nn_init(&s.nn, s.g, s.params, LMB_MODE_TRAIN);
    s.nn.frozen = true;
    const lmb_value x =
        lmb_graph_input(s.g, "x", LMB_F32, LMB_SHAPE(1, 6, 5, 5));
    const lmb_value y = lmb_nn_conv_bn(&s.nn, "conv", "bn", x, &conv);
    s.nn.frozen = false;
    (void)lmb_nn_conv(&s.nn, "next", y, &conv);
    CHECK_OK(lmb_graph_status(s.g));
    for (int i = 0; i < lmb_params_count(s.params); i++) {
        const lmb_param *p = lmb_params_at(s.params, i);
        assert_int_equal(p->trainable, strcmp(p->name, "next.weight") == 0);
    }
    site_close(&s);
}

LMB_TEST_MAIN(cmocka_unit_test(the_folded_norm_is_the_norm),
    cmocka_unit_test(frozen_parts_are_buffers))
