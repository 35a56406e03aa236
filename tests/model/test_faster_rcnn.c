/* test_faster_rcnn.c: Faster R-CNN against torchvision's.
 *
 * The samplers are so large that they leave nothing out: no chance in it. The
 * offsets of proposals are small enough that none is clamped: torchvision
 * clamps large ones only, mmdetection small ones, too. */
#include "detector_check.h"

static const char name[] = "fasterrcnn_resnet50_fpn";
static const char text[] =
    "fasterrcnn_resnet50_fpn:head_width=64,rpn_samples=8192,proposals=32,"
    "rois=512";

static void check(bool exact, const detector_limits *limits)
{
    detector_run r;
    detector_open(&r, text, name, exact);
    r.given_rois = true;
    r.quarter = "rpn.head.bbox_pred";
    detector_build(&r, LMB_MODE_EVAL);
    assert_int_equal(r.io.n_outputs, 0);
    const lmb_value taps[2] = {lmb_nn_tap_find(&r.nn, "roi.logits"),
        lmb_nn_tap_find(&r.nn, "roi.box")};
    detector_check_values(&r, 2, taps, limits->outputs);
    detector_check_train(&r, limits);
    detector_close(&r);
}

static void it_computes_what_torchvision_does(void **state)
{
    (void)state;
    /* torchvision's region proposals are in single precision throughout. */
    static const detector_limits nearly = {1e-9, 1e-5, 1e-4, 1e-6};
    check(true, &nearly);
    check(false, &detector_fast);
}

enum { REGIONS = 40, ALL = DETECTOR_IMAGES * REGIONS };

/* Regions as the script makes them: a corner and two sides, in f32. */
static void fill_regions(float *rois, float *valid)
{
    double corner[2 * ALL], side[2 * ALL];
    golden_array("post/corner", 2 * ALL, 0, 55, corner);
    golden_array("post/side", 2 * ALL, 3, 40, side);
    for (int i = 0; i < ALL; i++) {
        rois[5 * i] = (float)(i / REGIONS);
        valid[i] = 1;
        for (int k = 0; k < 2; k++) {
            rois[5 * i + 1 + k] = (float)corner[2 * i + k];
            rois[5 * i + 3 + k] =
                (float)corner[2 * i + k] + (float)side[2 * i + k];
        }
    }
}

static void detections_are_those_of_torchvision(void **state)
{
    static float rois[5 * ALL], valid[ALL];
    detector_run r;
    (void)state;
    detector_open(&r, text, name, false);
    fill_regions(rois, valid);
    lmb_detect_call call = {.n_outputs = 2,
        .output = {rois, valid},
        .shape = {LMB_SHAPE(ALL, 5), LMB_SHAPE(ALL)}};
    detector_check_post_with(&r, &call);
    detector_close(&r);
}

LMB_TEST_MAIN(cmocka_unit_test(it_computes_what_torchvision_does),
    cmocka_unit_test(detections_are_those_of_torchvision))
