/* test_shufflenet_backbone.c: ShuffleNetV2 as a backbone against FastestDet's
 * definition (tools/golden/shufflenet_backbone.py). */
#include "model/backbone_check.h"

#include "backend/onednn/dnn.h"
#include "model/backbone.h"

static void build(
    lmb_nn *nn, const char *model, int first, lmb_value x, lmb_value c[4])
{
    lmb_model_spec spec;
    CHECK_OK(lmb_model_spec_parse(model, &spec));
    lmb_backbone_build(nn, LMB_BACKBONE_SV2, &spec.opts, first, x, c);
}

static void agrees(bool exact, const model_limits *limits)
{
    backbone_check b;
    backbone_begin(&b, "retinanet_sv2_fpn", "shufflenet_backbone",
        LMB_SHAPE(2, 3, 64, 96), exact);
    build(&b.r.nn,
        "retinanet_sv2_fpn:width=0.5,frozen_stages=-1,norm_eval=false", 3, b.x,
        b.out);
    b.out[0] = LMB_NONE; /* the pooled stem: the oracle keeps it to itself */
    backbone_seal(&b);
    backbone_compile(&b);
    model_run_plan(&b.r, b.x);
    backbone_check_all(&b, limits);
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

static int channels(const char *model, int stage)
{
    lmb_params *params = NULL;
    lmb_graph *g = NULL;
    lmb_nn nn;
    lmb_value c[4];
    CHECK_OK(lmb_params_new(LMB_F32, &params));
    CHECK_OK(lmb_graph_new(&g));
    lmb_nn_init(&nn, g, params, LMB_MODE_EVAL);
    build(&nn, model, 2,
        lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, 3, 64, 64)), c);
    const int n = (int)lmb_graph_dim(g, c[stage - 2], 1);
    lmb_graph_free(g);
    lmb_params_free(params);
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
