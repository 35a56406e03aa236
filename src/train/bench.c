/* bench.c: timing one training step. */
#include "train/bench.h"

#include "backend/cpu/threads.h"
#include "backend/onednn/dnn.h"
#include "base/clock.h"
#include "base/rng.h"
#include "optim/optim.h"
#include "train/network.h"
#include "train/run_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    const lmb_run_config *config;
    lmb_network student, teacher;
    lmb_term terms[LMB_MAX_TERMS];
    int n_terms;
    lmb_optim *optims[1 + LMB_MAX_TERMS];
    lmb_train_step *step;
    lmb_tensor *x, *labels, *indices;
    lmb_tensor *boxes, *box_labels, *box_valid, *sizes; /* of a detector */
} bench;

/* Ground truth of a detector's made-up pictures: as many boxes as COCO's have
 * on average, and room for more. */
enum { BOXES = 8, MAX_BOXES = 32 };

static lmb_status open_network(const char *name, int64_t classes, int64_t size,
    uint64_t seed, lmb_network *out)
{
    lmb_model_spec spec;
    LMB_TRY(lmb_model_spec_parse(name, &spec));
    const lmb_model *m = spec.model;
    LMB_TRY(lmb_network_make(&spec,
        (int)(classes > 0 ? classes : m->default_classes),
        (int)(size > 0 ? size : m->default_size), LMB_F32, out));
    lmb_params_init(out->params, seed);
    return LMB_OK;
}

static lmb_status open_terms(bench *b)
{
    const lmb_run_config *c = b->config;
    for (int i = 0; i < c->n_methods; i++) {
        lmb_term *t = &b->terms[i];
        b->n_terms = i + 1;
        LMB_TRY(lmb_params_new(LMB_F32, &t->params));
        LMB_TRY(lmb_term_open(
            c->arena, &c->methods[i], lmb_network_detects(&b->student), t));
        t->warmup = 0; /* the step that is timed is one of the whole weight */
    }
    return LMB_OK;
}

static void fill_boxes(bench *b, int64_t n, int64_t size, lmb_rng *rng)
{
    float *box = b->boxes->data, *valid = b->box_valid->data;
    int32_t *label = b->box_labels->data;
    for (int64_t i = 0; i < n * MAX_BOXES; i++) {
        label[i] = i % MAX_BOXES < BOXES ? (int32_t)i % b->student.classes : -1;
        valid[i] = i % MAX_BOXES < BOXES ? 1 : 0;
        for (int k = 0; k < 2 && i % MAX_BOXES < BOXES; k++) {
            const double side =
                (0.1 + 0.5 * lmb_rng_uniform(rng)) * (double)size;
            const double at = lmb_rng_uniform(rng) * ((double)size - side);
            box[4 * i + k] = (float)at;
            box[4 * i + 2 + k] = (float)(at + side);
        }
    }
    for (int64_t i = 0; i < 2 * n; i++)
        ((float *)b->sizes->data)[i] = (float)size;
}

static lmb_status make_boxes(bench *b, int64_t n, int64_t size, lmb_rng *rng)
{
    const lmb_shape boxes = LMB_SHAPE(n, MAX_BOXES, 4);
    const lmb_shape rows = LMB_SHAPE(n, MAX_BOXES);
    const lmb_shape sizes = LMB_SHAPE(n, 2);
    LMB_TRY(lmb_tensor_new(LMB_F32, &boxes, &b->boxes));
    LMB_TRY(lmb_tensor_new(LMB_I32, &rows, &b->box_labels));
    LMB_TRY(lmb_tensor_new(LMB_F32, &rows, &b->box_valid));
    LMB_TRY(lmb_tensor_new(LMB_F32, &sizes, &b->sizes));
    fill_boxes(b, n, size, rng);
    return LMB_OK;
}

static lmb_status make_batch(bench *b, int64_t n, int64_t size)
{
    const lmb_shape images = LMB_SHAPE(n, 3, size, size);
    const lmb_shape rows = LMB_SHAPE(n);
    LMB_TRY(lmb_tensor_new(LMB_F32, &images, &b->x));
    LMB_TRY(lmb_tensor_new(LMB_I32, &rows, &b->labels));
    LMB_TRY(lmb_tensor_new(LMB_I64, &rows, &b->indices));
    lmb_rng rng = lmb_rng_make(0, LMB_STREAM_TEST, 0, 0);
    for (int64_t i = 0; i < lmb_tensor_count(b->x); i++)
        ((float *)b->x->data)[i] = (float)lmb_rng_normal(&rng);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)b->labels->data)[i] = (int32_t)(i % b->student.classes);
    if (lmb_network_detects(&b->student))
        return make_boxes(b, n, size, &rng);
    return LMB_OK;
}

static lmb_status open_step(bench *b, int64_t size, bool bf16)
{
    const lmb_train_opts *t = &b->config->train;
    const lmb_step_spec spec = {
        .batch = t->batch,
        .height = size,
        .width = size,
        .samples = t->batch,
        .student = &b->student,
        .teacher = b->teacher.model != NULL ? &b->teacher : NULL,
        .terms = b->terms,
        .n_terms = b->n_terms,
        .boxes = lmb_network_detects(&b->student) ? MAX_BOXES : 0,
        .task_weight = lmb_task_weight(
            b->config, b->terms, b->n_terms, lmb_network_detects(&b->student)),
        .bf16 = bf16,
        .allow_reference = t->allow_reference,
    };
    LMB_TRY(lmb_train_step_new(&spec, &b->step));
    const lmb_optim_opts opts = lmb_run_optim_opts(t);
    LMB_TRY(lmb_optim_new(&opts, b->student.params, &b->optims[0]));
    for (int i = 0; i < b->n_terms; i++) {
        lmb_params_init(b->terms[i].params, 0);
        LMB_TRY(lmb_optim_new(&opts, b->terms[i].params, &b->optims[1 + i]));
    }
    return LMB_OK;
}

static lmb_status one_step(bench *b, double *seconds)
{
    const lmb_batch batch = {
        .count = b->step->spec.batch,
        .views = {b->x},
        .labels = b->labels,
        .indices = b->indices,
        .boxes = b->boxes,
        .box_labels = b->box_labels,
        .box_valid = b->box_valid,
        .sizes = b->sizes,
    };
    const lmb_step_at at = {.epoch = 1, .epochs = 1};
    lmb_step_result r;
    const double start = lmb_clock_now();
    LMB_TRY(lmb_train_step_run(b->step, &batch, &at, &r));
    for (int i = 0; i <= b->n_terms; i++)
        lmb_optim_step(b->optims[i], 1e-6, 1);
    *seconds = lmb_clock_now() - start;
    if (!isfinite(r.loss))
        return LMB_FAIL(
            LMB_ENUMERIC, "the loss of the benchmark is %g", r.loss);
    return LMB_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static lmb_status time_steps(bench *b, int64_t steps, double *median)
{
    double *seconds = NULL;
    LMB_TRY(LMB_NEW(seconds, steps));
    lmb_status st = LMB_OK;
    for (int64_t i = 0; i < 1 + steps / 3 && st == LMB_OK; i++)
        st = one_step(b, &seconds[0]);
    for (int64_t i = 0; i < steps && st == LMB_OK; i++)
        st = one_step(b, &seconds[i]);
    qsort(seconds, (size_t)steps, sizeof *seconds, by_value);
    *median = seconds[steps / 2];
    lmb_free(seconds);
    return st;
}

/* The kernel's own account of the largest resident size. */
static int64_t peak_memory(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long long kib = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %lld", &kib) == 1)
            break;
    if (f != NULL)
        (void)fclose(f);
    return (int64_t)kib * 1024;
}

static lmb_status measure(
    bench *b, int64_t steps, int64_t size, lmb_bench_result *r)
{
    const lmb_run_config *c = b->config;
    if (c->student == NULL)
        return LMB_FAIL(LMB_EUSAGE, "bench step: --student NAME");
    if (c->n_teachers > 0 && c->teachers[0].model == NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "bench step: --teacher NAME: weights are made up, so files do not "
            "tell the network");
    LMB_TRY(open_network(c->student, c->classes, size, 1, &b->student));
    if (c->n_teachers > 0)
        LMB_TRY(open_network(
            c->teachers[0].model, c->classes, size, 2, &b->teacher));
    LMB_TRY(open_terms(b));
    const double start = lmb_clock_now();
    size = size > 0 ? size : b->student.model->default_size;
    LMB_TRY(open_step(b, size, r->bf16));
    r->compile_seconds = lmb_clock_now() - start;
    LMB_TRY(make_batch(b, c->train.batch, size));
    double median = 0;
    LMB_TRY(time_steps(b, steps, &median));
    r->peak_memory_bytes = peak_memory();
    r->images_per_second = (double)c->train.batch / median;
    const lmb_plan_stats s = lmb_plan_describe(b->step->plan);
    r->plan_bytes = s.arena_bytes + s.static_bytes;
    LMB_TRY(lmb_plan_profile(b->step->plan, (int)(1 + steps / 4),
        LMB_BENCH_ROWS, r->rows, &r->n_rows));
    for (int i = 0; i < r->n_rows; i++)
        r->profile_seconds += r->rows[i].seconds;
    double limit = 0;
    LMB_TRY(lmb_plan_limit(b->step->plan, &limit));
    r->limit_images_per_second = limit > 0 ? (double)c->train.batch / limit : 0;
    r->limit_ratio = limit / median;
    return LMB_OK;
}

lmb_status lmb_bench_step(const lmb_run_config *config, int64_t steps,
    int64_t size, lmb_bench_result *out)
{
    *out = (lmb_bench_result){0};
    const int32_t precision = config->train.precision;
    if (precision == LMB_PRECISION_BF16 && !lmb_dnn_has_bf16())
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "precision bf16: this CPU has neither AVX512_BF16 nor AMX");
    out->bf16 = precision == LMB_PRECISION_BF16 ||
        (precision == LMB_PRECISION_AUTO && lmb_dnn_fast_bf16());
    out->threads = lmb_set_threads((int)config->train.threads);
    bench b = {.config = config};
    const lmb_status st = measure(&b, steps, size, out);
    lmb_tensor_release(b.x);
    lmb_tensor_release(b.labels);
    lmb_tensor_release(b.indices);
    lmb_tensor_release(b.boxes);
    lmb_tensor_release(b.box_labels);
    lmb_tensor_release(b.box_valid);
    lmb_tensor_release(b.sizes);
    lmb_train_step_free(b.step);
    for (int i = 0; i <= b.n_terms; i++)
        lmb_optim_free(b.optims[i]);
    for (int i = 0; i < b.n_terms; i++) {
        if (b.terms[i].method != NULL)
            lmb_method_free(b.terms[i].method, b.terms[i].state);
        lmb_params_free(b.terms[i].params);
    }
    lmb_network_fini(&b.teacher);
    lmb_network_fini(&b.student);
    return st;
}
