/* test_resnet_caffe.c: a backbone of mmdetection's style='caffe' against
 * torchvision's ResNet-50 with the strides moved
 * (tools/golden/resnet_caffe.py).
 */
#include "model/backbone_check.h"

#include "backend/onednn/dnn.h"
#include "model/backbone.h"

static void agrees(bool exact, const model_limits *limits)
{
    static const char name[] =
        "retinanet_r50_fpn:frozen_stages=-1,norm_eval=false,style=caffe";
    backbone_check b;
    lmb_model_spec spec;
    CHECK_OK(lmb_model_spec_parse(name, &spec));
    backbone_begin(&b, "retinanet_r50_fpn", "resnet_caffe",
        LMB_SHAPE(2, 3, 64, 96), exact);
    lmb_backbone_build(&b.r.nn, LMB_BACKBONE_R50, &spec.opts, 2, b.x, b.out);
    b.out[0] = LMB_NONE; /* stage 1 has no stride */
    backbone_seal(&b);
    backbone_compile(&b);
    model_run_plan(&b.r, b.x);
    backbone_check_all(&b, limits);
    model_close(&b.r);
}

static void strides_are_caffes(void **state)
{
    (void)state;
    agrees(true, &model_exact);
    if (lmb_dnn_available())
        agrees(false, &model_deep);
}

static void only_bottlenecks_have_a_style(void **state)
{
    (void)state;
    lmb_model_spec spec;
    CHECK_OK(lmb_model_spec_parse("fcos_r50_fpn:style=caffe", &spec));
    assert_string_equal(spec.text, "fcos_r50_fpn:style=caffe");
    CHECK_OK(lmb_model_spec_parse("gfl_r18_fpn:style=pytorch", &spec));
    assert_string_equal(spec.text, "gfl_r18_fpn");
    CHECK_ERR(lmb_model_spec_parse("gfl_r18_fpn:style=caffe", &spec),
        LMB_EINVAL, "model gfl_r18_fpn has no option 'style'");
    CHECK_ERR(
        lmb_model_spec_parse("fasterrcnn_resnet50_fpn:style=caffe", &spec),
        LMB_EINVAL, "no option 'style'");
    CHECK_ERR(lmb_model_spec_parse("fcos_r50_fpn:style=tensorflow", &spec),
        LMB_EINVAL, "style");
}

LMB_TEST_MAIN(cmocka_unit_test(strides_are_caffes),
    cmocka_unit_test(only_bottlenecks_have_a_style))
