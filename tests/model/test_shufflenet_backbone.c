/* test_shufflenet_backbone.c: ShuffleNetV2 as a backbone against FastestDet's
 * definition (tools/golden/shufflenet_backbone.py). */
#include "model/model_check.h"

#include "backend/onednn/dnn.h"
#include "model/backbone.h"

enum { OUTPUTS = 3 };

typedef struct backbone {
    model_run r;
    lmb_model_spec spec;
    lmb_value x, c[4], loss;
} backbone;

/* The sum of y times "outI". */
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

static void backbone_open(backbone *b, bool exact)
{
    const lmb_shape shape = LMB_SHAPE(2, 3, 64, 96);
    const int64_t n = lmb_shape_count(&shape);
    *b = (backbone){.r = {.exact = exact}};
    model_run *r = &b->r;
    CHECK_OK(lmb_model_spec_parse(
        "retinanet_sv2_fpn:width=0.5,frozen_stages=-1,norm_eval=false",
        &b->spec));
    r->model = b->spec.model;
    r->golden = model_golden("shufflenet_backbone");
    CHECK_OK(lmb_params_new(exact ? LMB_F64 : LMB_F32, &r->params));
    CHECK_OK(LMB_NEW(r->images, n));
    CHECK_OK(LMB_NEW(r->images_single, n));
    golden_array("images", n, -2, 2, r->images);
    for (int64_t i = 0; i < n; i++)
        r->images_single[i] = (float)r->images[i];
    CHECK_OK(lmb_graph_new(&r->g));
    lmb_nn_init(&r->nn, r->g, r->params, LMB_MODE_TRAIN);
    b->x = lmb_graph_input(r->g, "x", LMB_F32, shape);
    lmb_backbone_build(&r->nn, LMB_BACKBONE_SV2, &b->spec.opts, 3, b->x, b->c);
    for (int i = 1; i <= OUTPUTS; i++) {
        const lmb_value term = weighted(r->g, b->c[i], i);
        b->loss = i > 1 ? lmb_add(r->g, b->loss, term) : term;
    }
    CHECK_OK(lmb_graph_status(r->g));
    CHECK_OK(lmb_params_seal(r->params));
    golden_parameters(r->params);
}

static void backbone_run(backbone *b)
{
    model_run *r = &b->r;
    const lmb_value outputs[] = {b->loss, b->c[1], b->c[2], b->c[3]};
    const int n = LMB_COUNT(outputs);
    if (!r->exact)
        lmb_passes_forward(r->g, n, outputs);
    lmb_backward_params(r->g, b->loss, 1, &r->params);
    if (!r->exact)
        lmb_passes_backward(r->g, n, outputs);
    const lmb_plan_opts opts = {.reference = r->exact};
    CHECK_OK(lmb_plan_compile(r->g, n, outputs, &opts, &r->plan));
    model_run_plan(r, b->x);
}

static void check_output(const backbone *b, int i, double tolerance)
{
    char key[] = "0";
    key[0] = (char)('0' + i);
    const json_t *want =
        json_object_get(json_object_get(b->r.golden, "outputs"), key);
    const lmb_shape shape = lmb_graph_shape(b->r.g, b->c[i]);
    const int64_t n = lmb_shape_count(&shape);
    double *y = NULL, sum = 0, absolute = 0;
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(
            model_number(json_array_get(want, 0), k), shape.dim[k]);
    CHECK_OK(LMB_NEW(y, n));
    CHECK_OK(lmb_plan_read(b->r.plan, b->c[i], LMB_F64, y));
    for (int64_t k = 0; k < n; k++) {
        sum += y[k];
        absolute += fabs(y[k]);
    }
    lmb_free(y);
    const double scale = model_number(want, 2);
    CHECK_NEAR(sum, model_number(want, 1), tolerance * scale);
    CHECK_NEAR(absolute, scale, tolerance * scale);
}

static void agrees(bool exact, const model_limits *limits)
{
    backbone b;
    backbone_open(&b, exact);
    backbone_run(&b);
    for (int i = 1; i <= OUTPUTS; i++)
        check_output(&b, i, limits->logits);
    const double want = json_number_value(json_object_get(b.r.golden, "loss"));
    CHECK_NEAR(lmb_plan_scalar(b.r.plan, b.loss), want,
        limits->loss * fmax(fabs(want), 1000)); /* a sum of 16,000 terms */
    model_check_grads(&b.r, limits);
    model_close(&b.r);
}

/* Deep, and full of ReLUs: in single precision as the other deep networks. */
static void agrees_with_fastestdet(void **state)
{
    (void)state;
    agrees(true, &model_exact);
    if (lmb_dnn_available())
        agrees(false, &model_deep);
}

static int channels(const char *text, int stage)
{
    backbone b = {0};
    CHECK_OK(lmb_model_spec_parse(text, &b.spec));
    CHECK_OK(lmb_params_new(LMB_F32, &b.r.params));
    CHECK_OK(lmb_graph_new(&b.r.g));
    lmb_nn_init(&b.r.nn, b.r.g, b.r.params, LMB_MODE_EVAL);
    b.x = lmb_graph_input(b.r.g, "x", LMB_F32, LMB_SHAPE(1, 3, 64, 64));
    lmb_backbone_build(&b.r.nn, LMB_BACKBONE_SV2, &b.spec.opts, 2, b.x, b.c);
    const int n = (int)lmb_graph_dim(b.r.g, b.c[stage - 2], 1);
    lmb_graph_free(b.r.g);
    lmb_params_free(b.r.params);
    return n;
}

static void widths_are_the_papers(void **state)
{
    (void)state;
    assert_int_equal(channels("gfl_sv2_fpn:width=0.5", 2), 24);
    assert_int_equal(channels("gfl_sv2_fpn:width=0.5", 5), 192);
    assert_int_equal(channels("gfl_sv2_fpn", 3), 116);
    assert_int_equal(channels("gfl_sv2_fpn:width=1.5", 4), 352);
    assert_int_equal(channels("gfl_sv2_fpn:width=2", 5), 976);
    assert_int_equal(channels("gfl_sv2_fpn:width=0.25", 3), 32);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_with_fastestdet),
    cmocka_unit_test(widths_are_the_papers))
