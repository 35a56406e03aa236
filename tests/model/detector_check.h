/* detector_check.h: does a detector compute what torchvision's does?
 *
 * The oracle's answers lie in tests/golden/models (tools/golden/detectors.py):
 * what the head gives, losses with gradients, and the detections cut out of
 * given outputs. `exact` runs the reference in double precision, else the fast
 * backend in single precision. */
#ifndef LMB_TESTS_DETECTOR_CHECK_H
#define LMB_TESTS_DETECTOR_CHECK_H

#include "lmb_test.h"

#include <jansson.h>

#include "golden_weights.h"
#include "model/model.h"
#include "plan/plan.h"

typedef struct detector_run {
    lmb_model_spec spec;
    bool exact;
    bool given_rois; /* in evaluation: the file's */
    const char *quarter; /* parameters of this prefix count a quarter; NULL */
    int classes;
    int64_t size[2]; /* of the input */
    json_t *golden;
    lmb_params *params;
    lmb_graph *g;
    lmb_nn nn;
    lmb_plan *plan;
    lmb_detection io;
    lmb_truth truth;
} detector_run;

enum { DETECTOR_IMAGES = 2, DETECTOR_BOXES = 4 };

static inline double detector_number(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static inline void detector_open(
    detector_run *r, const char *text, const char *golden, bool exact)
{
    char path[512];
    json_error_t error;
    *r = (detector_run){.exact = exact};
    CHECK_OK(lmb_model_spec_parse(text, &r->spec));
    (void)snprintf(
        path, sizeof path, "%s/golden/models/%s.json", LMB_TEST_DIR, golden);
    r->golden = json_load_file(path, 0, &error);
    if (r->golden == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    r->size[0] = json_integer_value(json_object_get(r->golden, "height"));
    r->size[1] = json_integer_value(json_object_get(r->golden, "width"));
    r->classes = (int)json_integer_value(json_object_get(r->golden, "classes"));
    CHECK_OK(lmb_params_new(exact ? LMB_F64 : LMB_F32, &r->params));
}

static inline void detector_close(detector_run *r)
{
    lmb_plan_free(r->plan);
    lmb_graph_free(r->g);
    lmb_params_free(r->params);
    json_decref(r->golden);
}

static inline lmb_value detector_sizes(detector_run *r)
{
    double size[2 * DETECTOR_IMAGES];
    const json_t *sizes = json_object_get(r->golden, "sizes");
    for (size_t i = 0; i < 2 * DETECTOR_IMAGES; i++)
        size[i] = detector_number(json_array_get(sizes, i / 2), i % 2);
    return lmb_graph_constant(r->g, LMB_SHAPE(DETECTOR_IMAGES, 2), size, 0);
}

/* The boxes of the file, padded to DETECTOR_BOXES an image. */
static inline void detector_truth(detector_run *r)
{
    enum { ALL = DETECTOR_IMAGES * DETECTOR_BOXES };
    double box[4 * ALL] = {0}, valid[ALL] = {0};
    int32_t label[ALL] = {0};
    const int32_t draw[4] = {1, 2, 3, 4};
    const json_t *truth = json_object_get(r->golden, "truth");
    for (size_t i = 0; i < ALL; i++) {
        const json_t *row = json_array_get(
            json_array_get(truth, i / DETECTOR_BOXES), i % DETECTOR_BOXES);
        valid[i] = row != NULL;
        label[i] = (int32_t)detector_number(row, 4);
        for (size_t k = 0; k < 4; k++)
            box[4 * i + k] = detector_number(row, k);
    }
    const lmb_shape rows = LMB_SHAPE(DETECTOR_IMAGES, DETECTOR_BOXES);
    r->truth.boxes = lmb_graph_constant(
        r->g, LMB_SHAPE(DETECTOR_IMAGES, DETECTOR_BOXES, 4), box, 0);
    r->truth.labels = lmb_graph_index_constant(r->g, rows, label);
    r->truth.valid = lmb_graph_constant(r->g, rows, valid, 0);
    r->truth.draw = lmb_graph_index_constant(r->g, LMB_SHAPE(4), draw);
}

static inline lmb_value detector_rois(detector_run *r)
{
    enum { MOST = 16 };
    double roi[5 * MOST];
    const json_t *rois = json_object_get(r->golden, "rois");
    const size_t n = json_array_size(rois);
    assert_true(n <= MOST);
    for (size_t i = 0; i < 5 * n; i++)
        roi[i] = detector_number(json_array_get(rois, i / 5), i % 5);
    return lmb_graph_constant(r->g, LMB_SHAPE((int64_t)n, 5), roi, 0);
}

static inline void detector_weights(detector_run *r)
{
    golden_parameters(r->params);
    for (int i = 0; r->quarter != NULL && i < lmb_params_count(r->params);
         i++) {
        lmb_param *p = lmb_params_at(r->params, i);
        if (strncmp(p->name, r->quarter, strlen(r->quarter)) != 0)
            continue;
        for (int64_t k = 0; k < p->count; k++)
            lmb_param_set(p, k, lmb_param_get(p, k) / 4);
    }
}

/* Builds the network on the images of the rule. */
static inline void detector_build(detector_run *r, lmb_mode mode)
{
    const int64_t count = DETECTOR_IMAGES * 3 * r->size[0] * r->size[1];
    double *images = NULL;
    CHECK_OK(LMB_NEW(images, count));
    golden_array("images", count, -2, 2, images);
    lmb_plan_free(r->plan);
    r->plan = NULL;
    lmb_graph_free(r->g);
    r->g = NULL;
    CHECK_OK(lmb_graph_new(&r->g));
    lmb_nn_init(&r->nn, r->g, r->params, mode);
    r->io = (lmb_detection){.sizes = detector_sizes(r)};
    if (mode == LMB_MODE_TRAIN) {
        detector_truth(r);
        r->io.truth = &r->truth;
    } else if (r->given_rois) {
        r->io.rois = detector_rois(r);
    }
    r->nn.options = &r->spec.opts;
    r->nn.detection = &r->io;
    const lmb_value x = lmb_graph_constant(
        r->g, LMB_SHAPE(DETECTOR_IMAGES, 3, r->size[0], r->size[1]), images, 0);
    lmb_free(images);
    (void)r->spec.model->build(r->spec.model, &r->nn, x, r->classes);
    CHECK_OK(lmb_graph_status(r->g));
    CHECK_OK(lmb_params_seal(r->params));
    detector_weights(r);
}

static inline void detector_run_plan(
    detector_run *r, int n, const lmb_value *outputs)
{
    const lmb_plan_opts opts = {.reference = r->exact, .allow_reference = true};
    CHECK_OK(lmb_graph_status(r->g));
    CHECK_OK(lmb_plan_compile(r->g, n, outputs, &opts, &r->plan));
    CHECK_OK(lmb_plan_run(r->plan));
}

/* --- what the head gives -------------------------------------------------- */

static inline void detector_check_summary(const detector_run *r,
    const char *name, const json_t *want, lmb_value v, double tolerance)
{
    const lmb_shape shape = lmb_graph_shape(r->g, v);
    const int64_t count = lmb_shape_count(&shape);
    const json_t *dims = json_array_get(want, 0);
    const json_t *some = json_array_get(want, 3);
    const size_t n = json_array_size(some);
    double *data = NULL, sum = 0, absolute = 0, largest = 0;
    assert_int_equal(json_array_size(dims), shape.rank);
    for (int i = 0; i < shape.rank; i++)
        assert_int_equal(
            (int64_t)detector_number(dims, (size_t)i), shape.dim[i]);
    CHECK_OK(LMB_NEW(data, count));
    CHECK_OK(lmb_plan_read(r->plan, v, LMB_F64, data));
    for (int64_t i = 0; i < count; i++) {
        sum += data[i];
        absolute += fabs(data[i]);
        largest = fmax(largest, fabs(data[i]));
    }
    for (size_t i = 0; i < n; i++) {
        const int64_t at = (int64_t)i * (count - 1) / (int64_t)(n - 1);
        if (!(fabs(data[at] - detector_number(some, i)) <= tolerance * largest))
            fail_msg("%s: element %lld is %.9g, not %.9g", name, (long long)at,
                data[at], detector_number(some, i));
    }
    lmb_free(data);
    CHECK_NEAR(
        sum, detector_number(want, 1), tolerance * detector_number(want, 2));
    CHECK_NEAR(absolute, detector_number(want, 2),
        tolerance * detector_number(want, 2));
}

/* The outputs in the file's order are `values`. */
static inline void detector_check_values(
    detector_run *r, int n, const lmb_value *values, double tolerance)
{
    const json_t *outputs = json_object_get(r->golden, "outputs");
    const char *name;
    json_t *want;
    int i = 0;
    assert_int_equal(n, json_object_size(outputs));
    if (!r->exact) {
        lmb_passes_forward(r->g, n, values);
        lmb_passes_backward(r->g, n, values);
    }
    detector_run_plan(r, n, values);
    json_object_foreach((json_t *)outputs, name, want)
        detector_check_summary(r, name, want, values[i++], tolerance);
}

/* --- losses --------------------------------------------------------------- */

typedef struct detector_limits {
    double outputs, losses, grads, noise; /* all relative */
} detector_limits;

static inline double detector_norm(const lmb_param *p, double *dot)
{
    const bool wide = lmb_params_dtype(p->owner) == LMB_F64;
    const void *grad = lmb_param_grad(p);
    double sum = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double d =
            wide ? ((const double *)grad)[i] : ((const float *)grad)[i];
        sum += d * d;
    }
    *dot = golden_dot_grad(p);
    return sqrt(sum);
}

static inline void detector_check_grads(
    const detector_run *r, const detector_limits *limits)
{
    const json_t *grads = json_object_get(r->golden, "grads");
    const char *name;
    json_t *want;
    double largest = 0, dot = 0;
    json_object_foreach((json_t *)grads, name, want) largest =
        fmax(largest, detector_number(want, 0));
    json_object_foreach((json_t *)grads, name, want)
    {
        const lmb_param *p = lmb_params_find(r->params, name);
        if (p == NULL)
            fail_msg("no parameter %s", name);
        const double norm = detector_number(want, 0);
        const double limit = limits->grads * norm + limits->noise * largest;
        const double got = detector_norm(p, &dot);
        if (!(fabs(got - norm) <= limit))
            fail_msg("|gradient of %s| is %.9g, not %.9g", name, got, norm);
        if (!(fabs(dot - detector_number(want, 1)) <= 2 * limit))
            fail_msg("gradient of %s . direction is %.9g, not %.9g", name, dot,
                detector_number(want, 1));
    }
}

/* Losses in the file's order are ours in our order. */
static inline void detector_check_train(
    detector_run *r, const detector_limits *limits)
{
    const json_t *losses = json_object_get(r->golden, "losses");
    const char *name;
    json_t *want;
    int i = 0;
    detector_build(r, LMB_MODE_TRAIN);
    assert_int_equal(r->io.n_losses, json_object_size(losses));
    lmb_value all[LMB_MAX_DETECT_LOSSES + 1], total = r->io.loss[0].value;
    for (int k = 1; k < r->io.n_losses; k++)
        total = lmb_add(r->g, total, r->io.loss[k].value);
    all[0] = total;
    for (int k = 0; k < r->io.n_losses; k++)
        all[k + 1] = r->io.loss[k].value;
    if (!r->exact)
        lmb_passes_forward(r->g, r->io.n_losses + 1, all);
    lmb_backward_params(r->g, total, 1, &r->params);
    if (!r->exact)
        lmb_passes_backward(r->g, r->io.n_losses + 1, all);
    detector_run_plan(r, r->io.n_losses + 1, all);
    json_object_foreach((json_t *)losses, name, want)
    {
        const double value = json_number_value(want);
        CHECK_NEAR(lmb_plan_scalar(r->plan, all[++i]), value,
            limits->losses * fabs(value));
    }
    detector_check_grads(r, limits);
}

/* --- post-processing ------------------------------------------------------ */

static inline void detector_fill(
    const json_t *rule, lmb_detect_call *call, float **data)
{
    char name[64];
    const json_t *dims = json_array_get(rule, 1);
    lmb_shape *shape = &call->shape[call->n_outputs];
    shape->rank = (int32_t)json_array_size(dims);
    for (int i = 0; i < shape->rank; i++)
        shape->dim[i] = (int64_t)detector_number(dims, (size_t)i);
    const int64_t count = lmb_shape_count(shape);
    double *wide = NULL;
    CHECK_OK(LMB_NEW(wide, count));
    CHECK_OK(LMB_NEW(*data, count));
    (void)snprintf(name, sizeof name, "post/%s",
        json_string_value(json_array_get(rule, 0)));
    golden_array(
        name, count, detector_number(rule, 2), detector_number(rule, 3), wide);
    for (int64_t i = 0; i < count; i++)
        (*data)[i] = (float)wide[i];
    lmb_free(wide);
    call->output[call->n_outputs++] = *data;
}

static inline void detector_check_detections(
    const json_t *want, const lmb_detected *got, int64_t n)
{
    assert_int_equal(n, json_array_size(want));
    for (int64_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(want, (size_t)i);
        assert_int_equal(got[i].label, (int32_t)detector_number(row, 5));
        CHECK_NEAR(got[i].score, detector_number(row, 4), 1e-6);
        for (size_t k = 0; k < 4; k++)
            CHECK_NEAR(got[i].box[k], detector_number(row, k), 1e-4);
    }
}

/* `first`: outputs that the file has no rule for; the others follow. */
/* Whichever allocation fails: an error, and nothing stays behind. */
static inline void detector_check_memory(const lmb_model *m,
    const lmb_detect_call *call, int64_t most, lmb_detected *found)
{
    const int64_t living = lmb_alloc_live();
    for (int64_t n = 0;; n++) {
        int64_t count = 0;
        lmb_alloc_fail_at(n);
        const lmb_status st = m->postprocess(m, call, most, found, &count);
        lmb_alloc_fail_at(-1);
        assert_int_equal(lmb_alloc_live(), living);
        if (st == LMB_OK)
            break;
        assert_int_equal(st, LMB_ENOMEM);
    }
}

static inline void detector_check_post_with(
    detector_run *r, const lmb_detect_call *first)
{
    enum { MOST = 300 };
    lmb_detected found[MOST];
    float *data[LMB_MAX_DETECT_OUTPUTS] = {NULL};
    const json_t *rules = json_object_get(r->golden, "post_rule");
    const json_t *want = json_object_get(r->golden, "post");
    const json_t *sizes = json_object_get(r->golden, "sizes");
    lmb_detect_call call = *first;
    call.opts = &r->spec.opts;
    call.classes = r->classes;
    call.input[0] = r->size[0];
    call.input[1] = r->size[1];
    call.detect.per_image = 100;
    for (size_t i = 0; i < json_array_size(rules); i++)
        detector_fill(json_array_get(rules, i), &call, &data[i]);
    for (call.image = 0; call.image < DETECTOR_IMAGES; call.image++) {
        const size_t at = (size_t)call.image;
        int64_t n = 0;
        for (size_t k = 0; k < 2; k++)
            call.size[k] = detector_number(json_array_get(sizes, at), k);
        CHECK_OK(
            r->spec.model->postprocess(r->spec.model, &call, MOST, found, &n));
        detector_check_detections(json_array_get(want, at), found, n);
    }
    call.image = 0;
    detector_check_memory(r->spec.model, &call, MOST, found);
    for (size_t i = 0; i < LMB_MAX_DETECT_OUTPUTS; i++)
        lmb_free(data[i]);
}

static inline void detector_check_post(detector_run *r)
{
    const lmb_detect_call none = {0};
    detector_check_post_with(r, &none);
}

static const detector_limits detector_exact = {1e-9, 1e-9, 1e-8, 1e-10};
/* Rounding decides the side of some ReLU, as model_check.h says. */
static const detector_limits detector_fast = {1e-4, 1e-4, 0.05, 1e-4};

static inline void detector_check(const char *text, const char *golden,
    bool exact, const detector_limits *limits)
{
    detector_run r;
    detector_open(&r, text, golden, exact);
    detector_build(&r, LMB_MODE_EVAL);
    detector_check_values(&r, r.io.n_outputs, r.io.output, limits->outputs);
    detector_check_train(&r, limits);
    detector_close(&r);
}

#endif
