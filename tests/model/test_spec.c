/* test_spec.c: networks by their text. */
#include "lmb_test.h"

#include "model/model.h"

static void fails(const char *text, const char *words)
{
    lmb_model_spec spec;
    CHECK_ERR(lmb_model_spec_parse(text, &spec), LMB_EINVAL, words);
}

static void a_name_alone_has_the_defaults(void **state)
{
    lmb_model_spec spec;
    (void)state;
    CHECK_OK(lmb_model_spec_parse("ResNet20", &spec));
    assert_string_equal(spec.model->name, "resnet20");
    assert_string_equal(spec.text, "resnet20");
    assert_true(spec.opts.width == 1);
    assert_int_equal(spec.opts.fpn_channels, 256);
    assert_int_equal(spec.opts.head_convs, 4);
    assert_int_equal(spec.opts.head_width, 1024);
    assert_int_equal(spec.opts.frozen_stages, 1);
    assert_true(spec.opts.norm_eval);
}

static void options_of_others_are_refused(void **state)
{
    lmb_model_spec spec;
    (void)state;
    fails("resnet20:width=0.5", "model resnet20 has no option 'width'");
    CHECK_OK(lmb_model_spec_parse("resnet20:width=1", &spec));
    assert_string_equal(spec.text, "resnet20");
}

static void detectors_have_options(void **state)
{
    lmb_model_spec spec, again;
    (void)state;
    CHECK_OK(lmb_model_spec_parse(
        "RetinaNet_R18_FPN:fpn_channels=64,width=0.5,norm_eval=off,"
        "frozen_stages=1",
        &spec));
    assert_string_equal(spec.text,
        "retinanet_r18_fpn:width=0.5,fpn_channels=64,norm_eval=false");
    assert_int_equal(spec.opts.fpn_channels, 64);
    CHECK_OK(lmb_model_spec_parse(spec.text, &again));
    assert_string_equal(again.text, spec.text);
    fails("retinanet_r18_fpn:fpn_channels=65", "not a multiple of 32");
    fails("retinanet_r18_fpn:rois=64", "has no option 'rois'");
}

static void errors_say_what_is_wrong(void **state)
{
    (void)state;
    fails("resnet21", "did you mean resnet");
    fails("resnet20:", "'' is not KEY=VALUE");
    fails("resnet20:width", "'width' is not KEY=VALUE");
    fails("resnet20:=1", "'=1' is not KEY=VALUE");
    fails("resnet20:with=1", "did you mean 'width'");
    fails("resnet20:width=1,width=1", "width is given twice");
    fails("resnet20:width=0", "outside");
    fails("resnet20:width=1,", "'' is not KEY=VALUE");
    fails("", "there is no model ''");
    fails("a_name_that_is_much_longer_than_any_network_has_ever_had_before_"
          "this_day",
        "there is no model");
}

LMB_TEST_MAIN(cmocka_unit_test(a_name_alone_has_the_defaults),
    cmocka_unit_test(options_of_others_are_refused),
    cmocka_unit_test(detectors_have_options),
    cmocka_unit_test(errors_say_what_is_wrong))
