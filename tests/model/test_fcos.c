/* test_fcos.c: FCOS against torchvision's. */
#include "detector_check.h"

static void it_computes_what_torchvision_does(void **state)
{
    (void)state;
    detector_check(
        "fcos_resnet50_fpn", "fcos_resnet50_fpn", true, &detector_exact);
    detector_check(
        "fcos_resnet50_fpn", "fcos_resnet50_fpn", false, &detector_fast);
}

static void in_the_other_layout_it_computes_what_the_paper_says(void **state)
{
    static const char text[] = "fcos_r18_fpn:fpn_channels=64,head_convs=2";
    (void)state;
    detector_check(text, "fcos_r18_fpn", true, &detector_exact);
    detector_check(text, "fcos_r18_fpn", false, &detector_fast);
}

static void detections_are_those_of_torchvision(void **state)
{
    detector_run r;
    (void)state;
    detector_open(&r, "fcos_resnet50_fpn", "fcos_resnet50_fpn", false);
    detector_check_post(&r);
    detector_close(&r);
}

LMB_TEST_MAIN(cmocka_unit_test(it_computes_what_torchvision_does),
    cmocka_unit_test(in_the_other_layout_it_computes_what_the_paper_says),
    cmocka_unit_test(detections_are_those_of_torchvision))
