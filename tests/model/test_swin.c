/* test_swin.c: Swin transformers: logits, taps, loss and gradients against
 * torchvision's definition; the backbone against mmdetection's
 * (tools/golden/swin_backbone.py). */
#include "model/backbone_check.h"

#include "backend/onednn/dnn.h"
#include "model/swin.h"

static void agrees_in_single_precision(void **state)
{
    static const char *const names[] = {"swin_t", "swin_s"};
    (void)state;
    model_check_fast(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"swin_t"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

/* --- the backbone --------------------------------------------------------- */

static const lmb_swin_opts small = {
    .embed = 8,
    .depth = {2, 1, 3, 2},
    .heads = {1, 2, 4, 4},
    .window = 5,
    .outputs = 14,
    .frozen_stages = -1,
};

/* A run of the backbone at 61 x 110. */
typedef struct backbone {
    backbone_check c;
    lmb_value draw;
} backbone;

static void backbone_open(
    backbone *b, const lmb_swin_opts *opts, bool exact, bool draw)
{
    lmb_swin_opts o = *opts;
    backbone_begin(
        &b->c, "swin_t", "swin_backbone", LMB_SHAPE(2, 3, 61, 110), exact);
    b->draw = lmb_graph_input(b->c.r.g, "draw", LMB_I32, LMB_SHAPE(4));
    o.draw = draw ? b->draw : LMB_NONE;
    lmb_swin_backbone(&b->c.r.nn, b->c.x, &o, b->c.out);
    backbone_seal(&b->c);
}

static void backbone_run(backbone *b, const int32_t draw[4])
{
    backbone_compile(&b->c);
    CHECK_OK(lmb_plan_set(b->c.r.plan, b->draw, LMB_I32, draw));
    model_run_plan(&b->c.r, b->c.x);
}

static void backbone_agrees(bool exact, const model_limits *limits)
{
    backbone b;
    backbone_open(&b, &small, exact, false);
    assert_false(lmb_is(b.c.out[0]));
    backbone_run(&b, (int32_t[4]){0});
    backbone_check_all(&b.c, limits);
    assert_int_equal(lmb_params_count(b.c.r.params),
        json_object_size(json_object_get(b.c.r.golden, "grads")));
    model_close(&b.c.r);
}

static void the_backbone_agrees_with_mmdetection(void **state)
{
    (void)state;
    backbone_agrees(true, &model_exact);
    if (lmb_dnn_available())
        backbone_agrees(false, &model_fast);
}

static double loss_of(const lmb_swin_opts *opts, bool draw, int32_t step)
{
    backbone b;
    backbone_open(&b, opts, true, draw);
    backbone_run(&b, (int32_t[4]){1, 0, step, 0});
    const double loss = lmb_plan_scalar(b.c.r.plan, b.c.loss);
    model_close(&b.c.r);
    return loss;
}

static void drop_path_follows_the_draw(void **state)
{
    (void)state;
    lmb_swin_opts o = small;
    const double whole = loss_of(&o, true, 3);
    o.drop_path = 0.5;
    const double third = loss_of(&o, true, 3);
    CHECK_NEAR(loss_of(&o, true, 3), third, 0);
    assert_true(loss_of(&o, true, 4) != third);
    assert_true(whole != third);
    CHECK_NEAR(loss_of(&o, false, 3), whole, 0);
}

static void frozen_stages_do_not_learn(void **state)
{
    (void)state;
    lmb_swin_opts o = small;
    o.frozen_stages = 2;
    backbone b;
    backbone_open(&b, &o, true, false);
    int frozen = 0;
    for (int i = 0; i < lmb_params_count(b.c.r.params); i++) {
        const lmb_param *p = lmb_params_at(b.c.r.params, i);
        const bool early = strncmp(p->name, "patch_embed", 11) == 0 ||
            strncmp(p->name, "stages.0", 8) == 0 ||
            strncmp(p->name, "stages.1", 8) == 0 ||
            strncmp(p->name, "norm1", 5) == 0;
        assert_int_equal(p->trainable, !early);
        frozen += early;
    }
    assert_true(frozen > 0);
    backbone_run(&b, (int32_t[4]){0});
    backbone_check_output(&b.c, 3, 1e-9);
    model_close(&b.c.r);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision),
    cmocka_unit_test(the_backbone_agrees_with_mmdetection),
    cmocka_unit_test(drop_path_follows_the_draw),
    cmocka_unit_test(frozen_stages_do_not_learn))
