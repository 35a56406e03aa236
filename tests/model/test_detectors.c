/* test_detectors.c: the detectors' sizes as published, their taps, options. */
#include "lmb_test.h"

#include "model/model.h"

/* Parameters of mmdetection's and torchvision's layouts at 80 classes, frozen
 * ones included. */
static const struct {
    const char *name;
    int64_t parameters;
    const char *levels; /* the first and the last, "37" */
} rows[] = {
    {"retinanet_r18_fpn", 21410100, "37"},
    {"retinanet_r34_fpn", 31518260, "37"},
    {"retinanet_r50_fpn", 37968692, "37"},
    {"retinanet_r101_fpn", 56960820, "37"},
    {"retinanet_x50_fpn", 37440564, "37"},
    {"retinanet_x101_fpn", 56589364, "37"},
    {"retinanet_x101_64x4d_fpn", 95866932, "37"},
    {"retinanet_mv2_fpn", 11488244, "37"},
    {"retinanet_sv2_fpn", 10879068, "37"},
    {"retinanet_resnet50_fpn", 33839924, "37"},
    {"fcos_r18_fpn", 19275674, "37"},
    {"fcos_r34_fpn", 29383834, "37"},
    {"fcos_r50_fpn", 32295322, "37"},
    {"fcos_r101_fpn", 51287450, "37"},
    {"fcos_resnet50_fpn", 32297365, "37"},
    {"gfl_r18_fpn", 19420889, "37"},
    {"gfl_r34_fpn", 29529049, "37"},
    {"gfl_r50_fpn", 32440537, "37"},
    {"gfl_r101_fpn", 51432665, "37"},
    {"faster_rcnn_r18_fpn", 28684256, "26"},
    {"faster_rcnn_r34_fpn", 38792416, "26"},
    {"faster_rcnn_r50_fpn", 41753056, "26"},
    {"faster_rcnn_r101_fpn", 60745184, "26"},
    {"fasterrcnn_resnet50_fpn", 41757156, "26"},
};

static const lmb_shape *tap_shape(const lmb_model_info *info, const char *name)
{
    for (int i = 0; i < info->n_taps; i++)
        if (strcmp(info->taps[i].name, name) == 0)
            return &info->taps[i].shape;
    fail_msg("no tap %s", name);
    return NULL;
}

static void check_levels(const lmb_model_info *info, const char *levels)
{
    for (char c = levels[0]; c <= levels[1]; c++) {
        const char name[] = {'p', c, '\0'};
        const int64_t stride = 1 << (c - '0');
        const lmb_shape *s = tap_shape(info, name);
        assert_int_equal(s->dim[1], 256);
        assert_int_equal(s->dim[2], (800 + stride - 1) / stride);
    }
    assert_int_equal(tap_shape(info, "c5")->dim[2], 25);
}

static void sizes_are_the_published_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(rows); i++) {
        lmb_model_info info;
        CHECK_OK(lmb_model_describe(lmb_model_find(rows[i].name), 0, 0, &info));
        if (info.parameters != rows[i].parameters)
            fail_msg("%s: %lld parameters", rows[i].name,
                (long long)info.parameters);
        check_levels(&info, rows[i].levels);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(sizes_are_the_published_ones))
