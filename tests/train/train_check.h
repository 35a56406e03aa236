/* train_check.h: does a run of training steps do what PyTorch's does?
 *
 * The oracle's numbers lie in tests/golden/training (tools/golden/training.py,
 * which says how networks, images and labels are made): losses of each step,
 * gradients of the first, weights and running statistics after the last. */
#ifndef LMB_TESTS_TRAIN_CHECK_H
#define LMB_TESTS_TRAIN_CHECK_H

#include "lmb_test.h"

#include <jansson.h>

#include "backend/cpu/threads.h"
#include "golden_weights.h"
#include "optim/optim.h"
#include "train/network.h"
#include "train/step.h"

enum { TRAIN_CLASSES = 100, TRAIN_SIZE = 32 };

typedef struct train_run {
    json_t *golden;
    lmb_network student, teacher;
    lmb_term term;
    lmb_train_step *step;
    lmb_optim *optim;
    lmb_tensor *images, *labels, *indices;
    lmb_batch batch;
} train_run;

/* --- the oracle's file ---------------------------------------------------- */

static inline json_t *train_golden(const char *name)
{
    char path[512];
    json_error_t error;
    (void)snprintf(
        path, sizeof path, "%s/golden/training/%s.json", LMB_TEST_DIR, name);
    json_t *all = json_load_file(path, 0, &error);
    if (all == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return all;
}

static inline int64_t train_integer(const train_run *r, const char *key)
{
    return json_integer_value(json_object_get(r->golden, key));
}

static inline double train_number(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

/* --- making a run --------------------------------------------------------- */

/* Parameters of the numbers of `prefix` and their names. */
static inline void train_network(
    const char *model, const char *prefix, lmb_dtype dtype, lmb_network *net)
{
    const lmb_model *m = NULL;
    char name[256];
    CHECK_OK(lmb_model_get(model, &m));
    CHECK_OK(lmb_network_new(m, TRAIN_CLASSES, TRAIN_SIZE, dtype, net));
    for (int i = 0; i < lmb_params_count(net->params); i++) {
        const lmb_param *p = lmb_params_at(net->params, i);
        (void)snprintf(name, sizeof name, "%s%s", prefix, p->name);
        golden_parameter_as(p, name);
    }
    lmb_params_touch(net->params);
}

/* preset: of PCD; NULL: KD at its defaults. */
static inline void train_term(lmb_term *term, const char *preset)
{
    static const char *const key = "preset";
    CHECK_OK(lmb_method_get(preset != NULL ? "pcd" : "kd", &term->method));
    CHECK_OK(lmb_method_new(
        term->method, preset != NULL, &key, &preset, &term->state));
    CHECK_OK(lmb_params_new(LMB_F32, &term->params));
    term->weight = term->method->weight;
    term->warmup = term->method->warmup;
}

static inline void train_batch(train_run *r, int64_t count)
{
    const lmb_shape shape = LMB_SHAPE(count, 3, TRAIN_SIZE, TRAIN_SIZE);
    const lmb_shape row = LMB_SHAPE(count);
    CHECK_OK(lmb_tensor_new(LMB_F32, &shape, &r->images));
    CHECK_OK(lmb_tensor_new(LMB_I32, &row, &r->labels));
    CHECK_OK(lmb_tensor_new(LMB_I64, &row, &r->indices));
    r->batch = (lmb_batch){
        .count = count,
        .views = {r->images},
        .labels = r->labels,
        .indices = r->indices,
    };
}

static inline void train_optim(train_run *r)
{
    const lmb_optim_opts opts = {.momentum = 0.9, .weight_decay = 5e-4};
    CHECK_OK(lmb_optim_new(&opts, r->student.params, &r->optim));
}

/* exact: the reference in double precision, else the fast backend. `batch` is
 * the oracle's key of the size of a batch. */
static inline void train_open(train_run *r, const char *golden,
    const char *student, const char *teacher, const char *batch,
    const char *preset, bool exact)
{
    *r = (train_run){.golden = train_golden(golden)};
    /* Steps this small are slower on many threads, far slower on busy ones. */
    (void)lmb_set_threads(1);
    const lmb_dtype dtype = exact ? LMB_F64 : LMB_F32;
    train_network(student, "", dtype, &r->student);
    train_network(teacher, "teacher/", dtype, &r->teacher);
    train_term(&r->term, preset);
    train_batch(r, train_integer(r, batch));
    train_optim(r);
    const lmb_step_spec spec = {
        .batch = r->batch.count,
        .height = TRAIN_SIZE,
        .width = TRAIN_SIZE,
        .samples = 1000,
        .student = &r->student,
        .teacher = &r->teacher,
        .terms = &r->term,
        .n_terms = 1,
        .task_weight = r->term.method->ce_weight,
        .reference = exact,
    };
    CHECK_OK(lmb_train_step_new(&spec, &r->step));
}

static inline void train_close(train_run *r)
{
    lmb_train_step_free(r->step);
    lmb_optim_free(r->optim);
    lmb_tensor_release(r->images);
    lmb_tensor_release(r->labels);
    lmb_tensor_release(r->indices);
    lmb_method_free(r->term.method, r->term.state);
    lmb_params_free(r->term.params);
    lmb_network_fini(&r->teacher);
    lmb_network_fini(&r->student);
    json_decref(r->golden);
}

/* --- running -------------------------------------------------------------- */

/* Forward and backward of batch number k. */
static inline void train_gradients(
    train_run *r, int64_t k, lmb_step_result *out)
{
    char name[32];
    float *image = r->images->data;
    int32_t *label = r->labels->data;
    const int64_t count = lmb_tensor_count(r->images);
    (void)snprintf(name, sizeof name, "images/%lld", (long long)k);
    const uint64_t hash = lmb_hash(name);
    for (int64_t i = 0; i < count; i++)
        image[i] = (float)golden_uniform(hash, i, -2, 2);
    for (int64_t n = 0; n < r->batch.count; n++)
        label[n] = (int32_t)((7 * n + 31 * k) % TRAIN_CLASSES);
    const lmb_step_at at = {.epoch = 5, .step = k, .epochs = 240, .seed = 1};
    CHECK_OK(lmb_train_step_run(r->step, &r->batch, &at, out));
}

static inline void train_update(train_run *r)
{
    const json_t *lr = json_object_get(r->golden, "lr");
    lmb_optim_step(r->optim, json_number_value(lr), 1);
}

/* --- comparing ------------------------------------------------------------ */

static inline const lmb_param *train_param(const train_run *r, const char *name)
{
    const lmb_param *p = lmb_params_find(r->student.params, name);
    if (p == NULL)
        fail_msg("%s: no parameter %s", r->student.model->name, name);
    return p;
}

static inline double train_norm(const lmb_param *p, const void *data)
{
    const bool wide = lmb_params_dtype(p->owner) == LMB_F64;
    double sum = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const double d =
            wide ? ((const double *)data)[i] : ((const float *)data)[i];
        sum += d * d;
    }
    return sqrt(sum);
}

typedef struct train_limits {
    double part; /* of an array's own norm */
    double noise; /* and of the largest norm of the table: before a batch norm
                     a bias has a gradient of zero, that is, of rounding */
} train_limits;

static inline double train_largest(const json_t *table)
{
    const char *name;
    json_t *want;
    double largest = 0;
    json_object_foreach((json_t *)table, name, want) largest =
        fmax(largest, train_number(want, 0));
    return largest;
}

/* Compares norm and direction of an array with one row of a table; returns how
 * far they are apart, in norms. */
static inline double train_row(const lmb_param *p, const void *data,
    const json_t *want, const char *what, double limit)
{
    const double norm = train_number(want, 0);
    const double worst = fmax(fabs(train_norm(p, data) - norm),
        fabs(golden_dot(p, data) - train_number(want, 1)));
    if (!(worst <= limit))
        fail_msg("%s of %s: norm %.12g, not %.12g; . direction %.12g, not "
                 "%.12g (limit %g)",
            what, p->name, train_norm(p, data), norm, golden_dot(p, data),
            train_number(want, 1), limit);
    return norm > 0 ? worst / norm : 0;
}

/* Every row of the table `key`: gradients ("grads") or values. Returns the
 * worst deviation of a row that is not noise. */
static inline double train_table(
    const train_run *r, const char *key, const train_limits *limits)
{
    const json_t *table = json_object_get(r->golden, key);
    const double noise = limits->noise * train_largest(table);
    const bool grads = strcmp(key, "grads") == 0;
    const char *name;
    json_t *want;
    double worst = 0;
    assert_true(json_object_size(table) > 0);
    json_object_foreach((json_t *)table, name, want)
    {
        const lmb_param *p = train_param(r, name);
        const void *data = grads ? lmb_param_grad(p) : lmb_param_data(p);
        const double norm = train_number(want, 0);
        const double away =
            train_row(p, data, want, key, limits->part * norm + noise);
        if (norm > 100 * noise)
            worst = fmax(worst, away);
    }
    return worst;
}

#endif
