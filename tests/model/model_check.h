/* model_check.h: does a network compute what its published definition does?
 *
 * The oracle's answers lie in tests/golden/models (tools/golden/models.py):
 * logits and taps in evaluation, then loss, gradients and running statistics of
 * one step in training. `exact` runs the reference in double precision, else
 * the fast backend in single precision. */
#ifndef LMB_TESTS_MODEL_CHECK_H
#define LMB_TESTS_MODEL_CHECK_H

#include "lmb_test.h"

#include <jansson.h>

#include "backend/onednn/dnn.h"
#include "golden_weights.h"
#include "model/model.h"
#include "plan/plan.h"

typedef struct model_run {
    const lmb_model *model;
    bool exact;
    int size, classes;
    json_t *golden;
    lmb_params *params;
    lmb_graph *g;
    lmb_nn nn;
    lmb_plan *plan;
    double *images;
    float *images_single; /* what the fast backend reads */
} model_run;

static inline json_t *model_golden(const char *name)
{
    char path[512];
    json_error_t error;
    (void)snprintf(
        path, sizeof path, "%s/golden/models/%s.json", LMB_TEST_DIR, name);
    json_t *all = json_load_file(path, 0, &error);
    if (all == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return all;
}

static inline double model_number(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static inline void model_open(model_run *r, const char *name, bool exact)
{
    *r = (model_run){.model = lmb_model_find(name), .exact = exact};
    assert_non_null(r->model);
    r->golden = model_golden(name);
    r->size = (int)json_integer_value(json_object_get(r->golden, "size"));
    r->classes = (int)json_integer_value(json_object_get(r->golden, "classes"));
    CHECK_OK(lmb_params_new(exact ? LMB_F64 : LMB_F32, &r->params));
    const int64_t count = 4LL * 3 * r->size * r->size;
    const int set =
        (int)json_integer_value(json_object_get(r->golden, "images"));
    char images[32] = "images";
    if (set > 0)
        (void)snprintf(images, sizeof images, "images/%d", set);
    CHECK_OK(LMB_NEW(r->images, count));
    CHECK_OK(LMB_NEW(r->images_single, count));
    golden_array(images, count, -2, 2, r->images);
    for (int64_t i = 0; i < count; i++)
        r->images_single[i] = (float)r->images[i];
}

static inline void model_close(model_run *r)
{
    lmb_plan_free(r->plan);
    lmb_graph_free(r->g);
    lmb_params_free(r->params);
    lmb_free(r->images);
    lmb_free(r->images_single);
    json_decref(r->golden);
}

/* A new graph of the network over the same parameters. */
static inline lmb_value model_build(
    model_run *r, lmb_mode mode, int batch, bool want_pre, lmb_value *logits)
{
    lmb_plan_free(r->plan);
    r->plan = NULL;
    lmb_graph_free(r->g);
    r->g = NULL;
    CHECK_OK(lmb_graph_new(&r->g));
    lmb_nn_init(&r->nn, r->g, r->params, mode);
    r->nn.want_pre = want_pre;
    const lmb_value x = lmb_graph_input(
        r->g, "images", LMB_F32, LMB_SHAPE(batch, 3, r->size, r->size));
    *logits = r->model->build(r->model, &r->nn, x, r->classes);
    CHECK_OK(lmb_graph_status(r->g));
    CHECK_OK(lmb_params_seal(r->params));
    golden_parameters(r->params);
    return x;
}

static inline void model_compile(model_run *r, int n, const lmb_value *outputs)
{
    const lmb_plan_opts opts = {.reference = r->exact, .allow_reference = true};
    CHECK_OK(lmb_plan_compile(r->g, n, outputs, &opts, &r->plan));
    if (!r->exact && lmb_dnn_available())
        assert_string_equal(lmb_plan_fallbacks(r->plan), "");
}

static inline void model_run_plan(model_run *r, lmb_value x)
{
    if (r->exact)
        CHECK_OK(lmb_plan_set(r->plan, x, LMB_F64, r->images));
    else
        CHECK_OK(lmb_plan_set(r->plan, x, LMB_F32, r->images_single));
    CHECK_OK(lmb_plan_run(r->plan));
}

/* --- evaluation ----------------------------------------------------------- */

static inline void model_check_logits(
    const model_run *r, lmb_value logits, double tolerance)
{
    const json_t *want = json_object_get(r->golden, "logits");
    const int64_t n = (int64_t)json_array_size(want);
    double got[64], expect[64], largest = 0;
    assert_int_equal(n, 2 * r->classes);
    assert_true(n <= 64);
    CHECK_OK(lmb_plan_read(r->plan, logits, LMB_F64, got));
    for (int64_t i = 0; i < n; i++) {
        expect[i] = model_number(want, (size_t)i);
        largest = fmax(largest, fabs(expect[i]));
    }
    CHECK_ARRAYS(got, expect, n, tolerance * largest);
}

static inline void model_check_tap(
    const model_run *r, const char *name, lmb_value v, double tolerance)
{
    const json_t *want =
        json_object_get(json_object_get(r->golden, "taps"), name);
    const lmb_shape shape = lmb_graph_shape(r->g, v);
    const int64_t count = lmb_shape_count(&shape);
    double *data = NULL, sum = 0, absolute = 0;
    if (want == NULL)
        fail_msg("%s: the oracle has no tap %s", r->model->name, name);
    const json_t *dims = json_array_get(want, 0);
    assert_int_equal(json_array_size(dims), shape.rank - 1);
    for (int i = 1; i < shape.rank; i++)
        assert_int_equal(
            json_integer_value(json_array_get(dims, (size_t)i - 1)),
            shape.dim[i]);
    CHECK_OK(LMB_NEW(data, count));
    CHECK_OK(lmb_plan_read(r->plan, v, LMB_F64, data));
    for (int64_t i = 0; i < count; i++) {
        sum += data[i];
        absolute += fabs(data[i]);
    }
    lmb_free(data);
    const double scale = model_number(want, 2);
    CHECK_NEAR(sum, model_number(want, 1), tolerance * scale);
    CHECK_NEAR(absolute, scale, tolerance * scale);
}

static inline void model_check_eval(model_run *r, double tolerance)
{
    lmb_value logits, taps[LMB_MAX_TAPS];
    const lmb_value x = model_build(r, LMB_MODE_EVAL, 2, true, &logits);
    const int n = r->nn.n_taps;
    assert_int_equal(n, json_object_size(json_object_get(r->golden, "taps")));
    for (int i = 0; i < n; i++)
        taps[i] = r->nn.taps[i].value;
    if (!r->exact) {
        lmb_passes_forward(r->g, n, taps);
        lmb_passes_backward(r->g, n, taps);
    }
    model_compile(r, n, taps);
    model_run_plan(r, x);
    model_check_logits(r, logits, tolerance);
    for (int i = 0; i < n; i++)
        model_check_tap(r, r->nn.taps[i].name, taps[i], tolerance);
}

/* --- one step of training ------------------------------------------------- */

static inline double model_norm(const lmb_param *p)
{
    const bool wide = lmb_params_dtype(p->owner) == LMB_F64;
    const void *grad = lmb_param_grad(p);
    double sum = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double d =
            wide ? ((const double *)grad)[i] : ((const float *)grad)[i];
        sum += d * d;
    }
    return sqrt(sum);
}

typedef struct model_limits {
    double logits, loss, grads, head, noise; /* all relative */
} model_limits;

/* Is it a parameter of the classifier? */
static inline bool model_is_head(const model_run *r, const char *name)
{
    const size_t length = strlen(r->nn.head);
    return strncmp(name, r->nn.head, length) == 0 && name[length] == '.';
}

/* Norm and direction of each gradient. limit->noise of the largest norm is
 * allowed everywhere: before a batch norm a bias has a gradient of zero. */
static inline void model_check_grads(
    const model_run *r, const model_limits *limits)
{
    const json_t *grads = json_object_get(r->golden, "grads");
    const char *name;
    json_t *want;
    double largest = 0;
    json_object_foreach((json_t *)grads, name, want) largest =
        fmax(largest, model_number(want, 0));
    json_object_foreach((json_t *)grads, name, want)
    {
        const lmb_param *p = lmb_params_find(r->params, name);
        if (p == NULL)
            fail_msg("%s: no parameter %s", r->model->name, name);
        const double norm = model_number(want, 0);
        const double limit =
            (model_is_head(r, name) ? limits->head : limits->grads) * norm +
            limits->noise * largest;
        const double got = model_norm(p), dot = golden_dot_grad(p);
        if (!(fabs(got - norm) <= limit))
            fail_msg("%s: |gradient of %s| is %.9g, not %.9g", r->model->name,
                name, got, norm);
        if (!(fabs(dot - model_number(want, 1)) <= 2 * limit))
            fail_msg("%s: gradient of %s . direction is %.9g, not %.9g (%g)",
                r->model->name, name, dot, model_number(want, 1), limit);
    }
}

/* `key`: "running" or "running_pre". */
static inline void model_check_running(
    const model_run *r, const char *key, double tolerance)
{
    const json_t *running = json_object_get(r->golden, key);
    const char *name;
    json_t *want;
    json_object_foreach((json_t *)running, name, want)
    {
        const lmb_param *p = lmb_params_find(r->params, name);
        double sum = 0;
        if (p == NULL)
            fail_msg("%s: no buffer %s", r->model->name, name);
        for (int64_t i = 0; i < p->count; i++)
            sum += lmb_param_get(p, i);
        const double scale = fabs(json_number_value(want)) + (double)p->count;
        if (!(fabs(sum - json_number_value(want)) <= tolerance * scale))
            fail_msg("%s: sum of %s is %.9g, not %.9g", r->model->name, name,
                sum, json_number_value(want));
    }
}

/* want_pre: as if somebody read the taps before ReLU. */
static inline void model_check_train(
    model_run *r, const model_limits *limit, bool want_pre)
{
    int32_t labels[4];
    lmb_value logits;
    for (int n = 0; n < 4; n++)
        labels[n] = 3 * n % r->classes;
    const lmb_value x = model_build(r, LMB_MODE_TRAIN, 4, want_pre, &logits);
    const lmb_value y = lmb_graph_input(r->g, "labels", LMB_I32, LMB_SHAPE(4));
    const lmb_value loss = lmb_cross_entropy(r->g, logits, y);
    if (!r->exact)
        lmb_passes_forward(r->g, 1, &loss);
    lmb_backward_params(r->g, loss, 1, &r->params);
    if (!r->exact)
        lmb_passes_backward(r->g, 1, &loss);
    CHECK_OK(lmb_graph_status(r->g));
    model_compile(r, 1, &loss);
    CHECK_OK(lmb_plan_set(r->plan, y, LMB_I32, labels));
    model_run_plan(r, x);
    const double want = json_number_value(json_object_get(r->golden, "loss"));
    CHECK_NEAR(lmb_plan_scalar(r->plan, loss), want, limit->loss * want);
    model_check_grads(r, limit);
    if (want_pre)
        model_check_running(r, "running_pre", limit->loss);
    else
        model_check_running(r, "running", limit->loss);
}

/* --- what the test files call --------------------------------------------- */

static const model_limits model_exact = {1e-9, 1e-9, 1e-8, 1e-8, 1e-10};
static const model_limits model_fast = {1e-4, 1e-5, 1e-3, 1e-3, 1e-5};
/* In deep networks some ReLU gets an input so near to zero that rounding
 * decides its side, which moves all gradients before it: by up to 7 % here, in
 * PyTorch's single precision too. The classifier has no ReLU after it. */
static const model_limits model_deep = {1e-4, 2e-4, 0.1, 2e-3, 1e-5};

static inline void model_check(
    const char *name, bool exact, const model_limits *limit)
{
    model_run r;
    model_open(&r, name, exact);
    model_check_eval(&r, limit->logits);
    model_check_train(&r, limit, false);
    if (exact && json_object_size(json_object_get(r.golden, "running_pre")) > 0)
        model_check_train(&r, limit, true);
    model_close(&r);
}

static inline void model_check_exact(size_t count, const char *const *names)
{
    for (size_t i = 0; i < count; i++)
        model_check(names[i], true, &model_exact);
}

static inline void model_check_fast(size_t count, const char *const *names)
{
    for (size_t i = 0; i < count; i++)
        model_check(names[i], false, &model_fast);
}

static inline void model_check_deep(size_t count, const char *const *names)
{
    for (size_t i = 0; i < count; i++)
        model_check(names[i], false, &model_deep);
}

#endif
