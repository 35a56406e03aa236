/* test_swin.c: Swin transformers: logits, taps, loss and gradients against
 * torchvision's definition; the backbone against mmdetection's
 * (tools/golden/swin_backbone.py). */
#include "model/model_check.h"

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

/* A run of the backbone at 61 x 110; loss: the weighted sum of outputs. */
typedef struct backbone {
    model_run r;
    lmb_value x, draw, out[4], loss;
} backbone;

static lmb_value weighted(lmb_graph *g, lmb_value y, int i)
{
    char name[] = "direction/out0";
    name[sizeof name - 2] = (char)('0' + i);
    const lmb_shape shape = lmb_graph_shape(g, y);
    const int64_t n = lmb_shape_count(&shape);
    double *away = NULL;
    CHECK_OK(LMB_NEW(away, n));
    golden_array(name, n, -1, 1, away);
    const lmb_value w = lmb_graph_constant(g, shape, away, 0);
    lmb_free(away);
    return lmb_sum(g, lmb_mul(g, y, w), LMB_ALL_AXES, false);
}

static void backbone_open(
    backbone *b, const lmb_swin_opts *opts, bool exact, bool draw)
{
    const lmb_shape shape = LMB_SHAPE(2, 3, 61, 110);
    const int64_t n = lmb_shape_count(&shape);
    lmb_swin_opts o = *opts;
    *b = (backbone){.r = {.model = lmb_model_find("swin_t"), .exact = exact}};
    model_run *r = &b->r;
    r->golden = model_golden("swin_backbone");
    CHECK_OK(lmb_params_new(exact ? LMB_F64 : LMB_F32, &r->params));
    CHECK_OK(LMB_NEW(r->images, n));
    CHECK_OK(LMB_NEW(r->images_single, n));
    golden_array("images", n, -2, 2, r->images);
    for (int64_t i = 0; i < n; i++)
        r->images_single[i] = (float)r->images[i];
    CHECK_OK(lmb_graph_new(&r->g));
    lmb_nn_init(&r->nn, r->g, r->params, LMB_MODE_TRAIN);
    b->x = lmb_graph_input(r->g, "x", LMB_F32, shape);
    b->draw = lmb_graph_input(r->g, "draw", LMB_I32, LMB_SHAPE(4));
    o.draw = draw ? b->draw : LMB_NONE;
    lmb_swin_backbone(&r->nn, b->x, &o, b->out);
    for (int i = 0; i < 4; i++) {
        if (!lmb_is(b->out[i]))
            continue;
        const lmb_value term = weighted(r->g, b->out[i], i);
        b->loss = lmb_is(b->loss) ? lmb_add(r->g, b->loss, term) : term;
    }
    CHECK_OK(lmb_graph_status(r->g));
    CHECK_OK(lmb_params_seal(r->params));
    golden_parameters(r->params);
}

static void backbone_run(backbone *b, const int32_t draw[4])
{
    model_run *r = &b->r;
    lmb_value outputs[4] = {b->loss};
    int n = 1;
    for (int i = 1; i < 4; i++)
        outputs[n++] = b->out[i];
    if (!r->exact)
        lmb_passes_forward(r->g, n, outputs);
    lmb_backward_params(r->g, b->loss, 1, &r->params);
    if (!r->exact)
        lmb_passes_backward(r->g, n, outputs);
    const lmb_plan_opts opts = {.reference = r->exact};
    CHECK_OK(lmb_plan_compile(r->g, n, outputs, &opts, &r->plan));
    CHECK_OK(lmb_plan_set(r->plan, b->draw, LMB_I32, draw));
    model_run_plan(r, b->x);
}

static void check_output(const backbone *b, int i, double tolerance)
{
    const model_run *r = &b->r;
    char key[] = "0";
    key[0] = (char)('0' + i);
    const json_t *want =
        json_object_get(json_object_get(r->golden, "outputs"), key);
    const lmb_shape shape = lmb_graph_shape(r->g, b->out[i]);
    const int64_t n = lmb_shape_count(&shape);
    for (int k = 0; k < 4; k++)
        assert_int_equal(
            model_number(json_array_get(want, 0), (size_t)k), shape.dim[k]);
    double *y = NULL, sum = 0, absolute = 0;
    CHECK_OK(LMB_NEW(y, n));
    CHECK_OK(lmb_plan_read(r->plan, b->out[i], LMB_F64, y));
    for (int64_t k = 0; k < n; k++) {
        sum += y[k];
        absolute += fabs(y[k]);
    }
    lmb_free(y);
    const double scale = model_number(want, 2);
    CHECK_NEAR(sum, model_number(want, 1), tolerance * scale);
    CHECK_NEAR(absolute, scale, tolerance * scale);
}

static void backbone_agrees(bool exact, const model_limits *limits)
{
    backbone b;
    backbone_open(&b, &small, exact, false);
    assert_false(lmb_is(b.out[0]));
    backbone_run(&b, (int32_t[4]){0});
    for (int i = 1; i < 4; i++)
        check_output(&b, i, limits->logits);
    const double want = json_number_value(json_object_get(b.r.golden, "loss"));
    CHECK_NEAR(lmb_plan_scalar(b.r.plan, b.loss), want,
        limits->loss * fmax(fabs(want), 1000)); /* a sum of 5000 terms */
    model_check_grads(&b.r, limits);
    assert_int_equal(lmb_params_count(b.r.params),
        json_object_size(json_object_get(b.r.golden, "grads")));
    model_close(&b.r);
}

/* Without a fast kernel for some op the fast plan would be refused. */
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
    const double loss = lmb_plan_scalar(b.r.plan, b.loss);
    model_close(&b.r);
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
    for (int i = 0; i < lmb_params_count(b.r.params); i++) {
        const lmb_param *p = lmb_params_at(b.r.params, i);
        const bool early = strncmp(p->name, "patch_embed", 11) == 0 ||
            strncmp(p->name, "stages.0", 8) == 0 ||
            strncmp(p->name, "stages.1", 8) == 0 ||
            strncmp(p->name, "norm1", 5) == 0;
        assert_int_equal(p->trainable, !early);
        frozen += early;
    }
    assert_true(frozen > 0);
    backbone_run(&b, (int32_t[4]){0});
    check_output(&b, 3, 1e-9);
    model_close(&b.r);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision),
    cmocka_unit_test(the_backbone_agrees_with_mmdetection),
    cmocka_unit_test(drop_path_follows_the_draw),
    cmocka_unit_test(frozen_stages_do_not_learn))
