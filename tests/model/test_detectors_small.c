/* test_detectors_small.c: one of each family, small, all the way: a training
 * graph with finite losses and gradients on fast kernels alone, an evaluation
 * that ends in detections, the rest of a head on other features. */
#include "lmb_test.h"

#include "model/model.h"
#include "plan/plan.h"

enum { IMAGES = 2, SIDE = 64, CLASSES = 3, BOXES = 2 };

typedef struct site {
    lmb_model_spec spec;
    lmb_params *params;
    lmb_graph *g;
    lmb_nn nn;
    lmb_plan *plan;
    lmb_detection io;
    lmb_truth truth;
} site;

static const char *const families[] = {
    "retinanet_r18_fpn:width=0.25,fpn_channels=32,head_convs=2",
    "retinanet_x50_fpn:width=0.25,fpn_channels=32,head_convs=1,"
    "frozen_stages=-1,norm_eval=false",
    "retinanet_x50_fpn:width=0.0625,fpn_channels=32,head_convs=1,"
    "frozen_stages=-1,norm_eval=false",
    "retinanet_mv2_fpn:width=0.25,fpn_channels=32,head_convs=1",
    "retinanet_sv2_fpn:width=0.5,fpn_channels=32,head_convs=1",
    "retinanet_swin_t_fpn:width=0.33,fpn_channels=32,head_convs=1",
    "retinanet_resnet50_fpn:width=0.25,fpn_channels=32,head_convs=1",
    "fcos_r18_fpn:width=0.25,fpn_channels=64,head_convs=2",
    "fcos_resnet50_fpn:width=0.25,fpn_channels=64,head_convs=1",
    "gfl_r18_fpn:width=0.25,fpn_channels=64,head_convs=2",
    "faster_rcnn_r18_fpn:width=0.25,fpn_channels=32,head_width=32,"
    "proposals=50,rois=32",
    "fasterrcnn_resnet50_fpn:width=0.25,fpn_channels=32,head_width=32,"
    "proposals=50,rois=32",
};

static void site_open(site *s, const char *text)
{
    *s = (site){0};
    CHECK_OK(lmb_model_spec_parse(text, &s->spec));
    CHECK_OK(lmb_params_new(LMB_F32, &s->params));
}

static void site_close(site *s)
{
    lmb_plan_free(s->plan);
    lmb_graph_free(s->g);
    lmb_params_free(s->params);
}

static lmb_value images(lmb_graph *g)
{
    enum { COUNT = IMAGES * 3 * SIDE * SIDE };
    static double data[COUNT];
    for (int i = 0; i < COUNT; i++)
        data[i] = (double)(i * 37 % 101) / 50 - 1;
    return lmb_graph_constant(g, LMB_SHAPE(IMAGES, 3, SIDE, SIDE), data, 0);
}

/* Two boxes in the first image, none in the second. */
static void fill_truth(site *s)
{
    static const double box[IMAGES * BOXES * 4] = {
        4, 6, 40, 50, 30.5, 20, 60, 60.25};
    static const double valid[IMAGES * BOXES] = {1, 1};
    static const int32_t label[IMAGES * BOXES] = {2, 0};
    static const int32_t draw[4] = {7, 0, 1, 0};
    s->truth = (lmb_truth){
        lmb_graph_constant(s->g, LMB_SHAPE(IMAGES, BOXES, 4), box, 0),
        lmb_graph_index_constant(s->g, LMB_SHAPE(IMAGES, BOXES), label),
        lmb_graph_constant(s->g, LMB_SHAPE(IMAGES, BOXES), valid, 0),
        lmb_graph_index_constant(s->g, LMB_SHAPE(4), draw), LMB_NONE};
    s->io.truth = &s->truth;
}

static void build(site *s, lmb_mode mode)
{
    lmb_plan_free(s->plan);
    s->plan = NULL;
    lmb_graph_free(s->g);
    s->g = NULL;
    CHECK_OK(lmb_graph_new(&s->g));
    lmb_nn_init(&s->nn, s->g, s->params, mode);
    s->io = (lmb_detection){
        .sizes = lmb_graph_constant(s->g, LMB_SHAPE(IMAGES, 2), NULL, SIDE)};
    if (mode == LMB_MODE_TRAIN)
        fill_truth(s);
    s->nn.options = &s->spec.opts;
    s->nn.detection = &s->io;
    (void)s->spec.model->build(s->spec.model, &s->nn, images(s->g), CLASSES);
    CHECK_OK(lmb_graph_status(s->g));
    CHECK_OK(lmb_params_seal(s->params));
    lmb_params_init(s->params, 1);
}

/* No node may fall back to the reference. */
static void run(site *s, int n, const lmb_value *outputs)
{
    const lmb_plan_opts opts = {.allow_reference = false};
    CHECK_OK(lmb_graph_status(s->g));
    CHECK_OK(lmb_plan_compile(s->g, n, outputs, &opts, &s->plan));
    CHECK_OK(lmb_plan_run(s->plan));
}

static void check_gradients(const site *s)
{
    int without = 0;
    for (int i = 0; i < lmb_params_count(s->params); i++) {
        const lmb_param *p = lmb_params_at(s->params, i);
        const float *grad = lmb_param_grad(p);
        double sum = 0;
        for (int64_t k = 0; p->trainable && k < p->count; k++)
            sum += fabs((double)grad[k]);
        if (!isfinite(sum))
            fail_msg("%s: gradient of %s", s->spec.text, p->name);
        without += p->trainable && sum == 0;
    }
    /* Levels without positives: their scales. */
    assert_true(without <= 5);
}

static void train(site *s)
{
    lmb_value loss[LMB_MAX_DETECT_LOSSES + 1];
    build(s, LMB_MODE_TRAIN);
    const int n = s->io.n_losses;
    assert_true(n >= 2);
    assert_int_equal(s->io.n_outputs, 0);
    loss[n] = s->io.loss[0].value;
    for (int i = 0; i < n; i++) {
        loss[i] = s->io.loss[i].value;
        if (i > 0)
            loss[n] = lmb_add(s->g, loss[n], loss[i]);
    }
    lmb_passes_forward(s->g, n + 1, loss);
    lmb_backward_params(s->g, loss[n], 1, &s->params);
    lmb_passes_backward(s->g, n + 1, loss);
    run(s, n + 1, loss);
    for (int i = 0; i < n; i++) {
        const double value = lmb_plan_scalar(s->plan, loss[i]);
        if (!(isfinite(value) && value >= 0))
            fail_msg(
                "%s: loss %s is %g", s->spec.text, s->io.loss[i].name, value);
    }
    check_gradients(s);
}

static void check_detection(const lmb_detected *d)
{
    assert_true(d->score > 0 && d->score <= 1);
    assert_in_range(d->label, 0, CLASSES - 1);
    for (int k = 0; k < 4; k++)
        assert_true(d->box[k] >= 0 && d->box[k] <= SIDE);
}

static void detect(site *s)
{
    enum { MOST = 30 };
    lmb_detected found[MOST];
    build(s, LMB_MODE_EVAL);
    run(s, s->io.n_outputs, s->io.output);
    lmb_detect_call call = {.opts = &s->spec.opts,
        .classes = CLASSES,
        .n_outputs = s->io.n_outputs,
        .size = {SIDE, SIDE},
        .input = {SIDE, SIDE},
        .detect = {.score = 1e-3, .per_image = MOST}};
    float *data[LMB_MAX_DETECT_OUTPUTS] = {NULL};
    for (int i = 0; i < s->io.n_outputs; i++) {
        call.shape[i] = lmb_graph_shape(s->g, s->io.output[i]);
        CHECK_OK(LMB_NEW(data[i], lmb_shape_count(&call.shape[i])));
        CHECK_OK(lmb_plan_read(s->plan, s->io.output[i], LMB_F32, data[i]));
        call.output[i] = data[i];
    }
    for (call.image = 0; call.image < IMAGES; call.image++) {
        int64_t n = 0;
        CHECK_OK(
            s->spec.model->postprocess(s->spec.model, &call, MOST, found, &n));
        assert_in_range(n, 1, MOST);
        for (int64_t i = 0; i < n; i++)
            check_detection(&found[i]);
    }
    call.n_outputs--;
    int64_t n = 0;
    call.image = 0;
    CHECK_ERR(s->spec.model->postprocess(s->spec.model, &call, MOST, found, &n),
        LMB_EINVAL, "detections: ");
    for (int i = 0; i < LMB_MAX_DETECT_OUTPUTS; i++)
        lmb_free(data[i]);
}

static void each_family_trains_and_detects(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(families); i++) {
        site s;
        site_open(&s, families[i]);
        train(&s);
        detect(&s);
        site_close(&s);
    }
}

/* The network's own features through the rest of its head are its outputs. */
static void check_tail(site *s, const char *kind, int after)
{
    char name[16], feature[16];
    build(s, LMB_MODE_EVAL);
    (void)snprintf(name, sizeof name, "%s.p4", kind);
    (void)snprintf(feature, sizeof feature, "%s.feat.p4", kind);
    lmb_value both[2] = {lmb_nn_tap_find(&s->nn, name), LMB_NONE};
    both[1] = s->spec.model->head_tail(s->spec.model, &s->nn, name, after,
        lmb_nn_tap_find(&s->nn, feature), CLASSES);
    run(s, 2, both);
    const lmb_shape shape = lmb_graph_shape(s->g, both[0]);
    const int64_t n = lmb_shape_count(&shape);
    double *want = NULL, *got = NULL;
    CHECK_OK(LMB_NEW(want, n));
    CHECK_OK(LMB_NEW(got, n));
    CHECK_OK(lmb_plan_read(s->plan, both[0], LMB_F64, want));
    CHECK_OK(lmb_plan_read(s->plan, both[1], LMB_F64, got));
    CHECK_ARRAYS(got, want, n, 1e-5);
    lmb_free(want);
    lmb_free(got);
}

static void the_rest_of_a_head_is_the_head(void **state)
{
    static const char *const names[] = {
        "retinanet_r18_fpn:width=0.25,fpn_channels=32,head_convs=2",
        "fcos_r18_fpn:width=0.25,fpn_channels=64,head_convs=2",
        "gfl_r18_fpn:width=0.25,fpn_channels=64,head_convs=2"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(names); i++) {
        site s;
        site_open(&s, names[i]);
        check_tail(&s, "cls", 1);
        check_tail(&s, "box", 1);
        (void)s.spec.model->head_tail(
            s.spec.model, &s.nn, "cls.p9", 1, s.nn.taps[0].value, CLASSES);
        CHECK_ERR(lmb_graph_status(s.g), LMB_EINVAL, "no head cls.p9");
        site_close(&s);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(each_family_trains_and_detects),
    cmocka_unit_test(the_rest_of_a_head_is_the_head))
