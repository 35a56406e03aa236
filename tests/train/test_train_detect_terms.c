/* The term that a step logs is `limbeck loss` of the taps that it compared: of
 * regions of a two-stage detector, of places of dense heads, of pyramids.
 *
 * A second method of weight 0 notes which values of the step's graph the taps
 * are; a plan of its own then reads them. All in double precision. */
#include "lmb_test.h"

#include "limbeck/loss.h"
#include "tensor/shape.h"
#include "train/network.h"
#include "train/pictures.h"

enum { BATCH = 2, SIDE = 64, CLASSES = 3, MOST_TAPS = 16 };

#define SMALL "width=0.0625,fpn_channels=32,head_convs=1,frozen_stages=-1"
#define DENSE "retinanet_r18_fpn:" SMALL
#define REGIONS \
    "faster_rcnn_r18_fpn:width=0.0625,fpn_channels=32,frozen_stages=-1," \
    "head_width=32,rpn_samples=32,proposals=16,rois=40"

/* --- the second method ---------------------------------------------------- */

typedef struct spy {
    const char *const *wanted; /* names of taps, ended by NULL */
    int n;
    lmb_tap student[MOST_TAPS], teacher[MOST_TAPS];
    lmb_value labels; /* of rows that are not images */
} spy;

/* Taps that the student alone has. */
static bool of_assigner(const char *tap)
{
    return strncmp(tap, "label", 5) == 0 || strncmp(tap, "positive", 8) == 0;
}

static lmb_status spy_pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const spy *s = state;
    for (int i = 0; s->wanted[i] != NULL; i++)
        LMB_TRY(of_assigner(s->wanted[i])
                ? lmb_pairs_add(out, s->wanted[i], NULL)
                : lmb_pairs_add_same(out, s->wanted[i], student, teacher));
    return LMB_OK;
}

static lmb_value spy_build(void *state, const lmb_build *b)
{
    static const double zero = 0;
    spy *s = state;
    for (s->n = 0; s->wanted[s->n] != NULL; s->n++)
        (void)lmb_build_pair(b, s->n, &s->student[s->n],
            of_assigner(s->wanted[s->n]) ? NULL : &s->teacher[s->n]);
    s->labels = s->student[0].labels;
    return lmb_graph_constant(b->g, LMB_SCALAR, &zero, 0);
}

static const lmb_method spy_method = {
    .name = "spy", .pairs = spy_pairs, .build = spy_build};

/* --- a step --------------------------------------------------------------- */

typedef struct work {
    lmb_network student, teacher;
    lmb_dataset *data;
    lmb_loader *loader;
    lmb_batch batch;
    lmb_term terms[2];
    spy spy;
    lmb_train_step *step;
    double term; /* of the first method, as logged */
    lmb_plan *plan; /* of the taps */
} work;

static void make_network(const char *model, uint64_t seed, lmb_network *net)
{
    lmb_model_spec spec;
    CHECK_OK(lmb_model_spec_parse(model, &spec));
    CHECK_OK(lmb_network_make(&spec, CLASSES, SIDE, LMB_F64, net));
    lmb_params_init(net->params, seed);
    /* Scores that differ, where fresh heads give all the same. */
    for (int i = 0; i < lmb_params_count(net->params); i++) {
        const lmb_param *p = lmb_params_at(net->params, i);
        const bool head = strstr(p->name, "head") != NULL;
        for (int64_t k = 0; head && k < p->count; k++)
            lmb_param_set(p, k, 5 * lmb_param_get(p, k));
    }
    lmb_params_touch(net->params);
    for (int c = 0; c < 3; c++) {
        net->mean[c] = 0.5;
        net->std[c] = 0.25;
    }
}

static void make_batch(work *w)
{
    const lmb_dataset_opts opts = {
        .train_count = 8, .classes = CLASSES, .side = SIDE};
    const lmb_picture_opts pictures = {.size = SIDE, .max_sizes = 1};
    lmb_detect_transform t;
    CHECK_OK(lmb_dataset_open("scenes", "train", &opts, &w->data));
    CHECK_OK(lmb_picture_transform(
        &pictures, w->data, false, w->student.mean, w->student.std, &t));
    const lmb_loader_opts loader = {.batch = BATCH, .detect = &t};
    CHECK_OK(lmb_loader_new(w->data, &loader, &w->loader));
    CHECK_OK(lmb_loader_next(w->loader, &w->batch));
}

static void make_term(
    lmb_term *term, const char *name, const char *key, const char *value)
{
    CHECK_OK(lmb_method_get(name, &term->method));
    CHECK_OK(
        lmb_method_new(term->method, key != NULL, &key, &value, &term->state));
    CHECK_OK(lmb_params_new(LMB_F64, &term->params));
    term->weight = 1;
}

static void run_step(work *w)
{
    const lmb_step_spec spec = {
        .batch = BATCH,
        .height = w->batch.views[0]->shape.dim[2],
        .width = w->batch.views[0]->shape.dim[3],
        .samples = lmb_dataset_count(w->data),
        .boxes = lmb_loader_max_boxes(w->loader),
        .student = &w->student,
        .teacher = &w->teacher,
        .terms = w->terms,
        .n_terms = 2,
        .task_weight = 1,
        .reference = true,
    };
    const lmb_step_at at = {.epoch = 1, .step = 3, .epochs = 2, .seed = 9};
    lmb_step_result r;
    CHECK_OK(lmb_train_step_new(&spec, &w->step));
    CHECK_OK(lmb_train_step_run(w->step, &w->batch, &at, &r));
    assert_true(isfinite(r.loss) && r.term[1] == 0);
    w->term = r.term[0];
}

static void set(work *w, lmb_value v, lmb_dtype dtype, const void *data)
{
    CHECK_OK(lmb_plan_set(w->plan, v, dtype, data));
}

/* The same inputs, the noted values as outputs. */
static void run_plan(work *w)
{
    lmb_value out[2 * MOST_TAPS + 1];
    int n = 0;
    const lmb_train_step *s = w->step;
    const lmb_plan_opts opts = {.reference = true};
    for (int i = 0; i < w->spy.n; i++) {
        out[n++] = w->spy.student[i].value;
        if (!of_assigner(w->spy.wanted[i]))
            out[n++] = w->spy.teacher[i].value;
    }
    if (lmb_is(w->spy.labels))
        out[n++] = w->spy.labels;
    CHECK_OK(lmb_plan_compile(s->g, n, out, &opts, &w->plan));
    set(w, s->x, LMB_F32, w->batch.views[0]->data);
    set(w, s->sizes, LMB_F32, w->batch.sizes->data);
    set(w, s->truth.boxes, LMB_F32, w->batch.boxes->data);
    set(w, s->truth.labels, LMB_I32, w->batch.box_labels->data);
    set(w, s->truth.valid, LMB_F32, w->batch.box_valid->data);
    set(w, s->truth.draw, LMB_I32, s->draw_data);
    set(w, s->index, LMB_I32, s->index_data);
    for (int i = 0; i < 2; i++)
        set(w, s->share[i], LMB_F32, &s->share_data[i]);
    CHECK_OK(lmb_plan_run(w->plan));
}

static void open_work(work *w, const char *model, const char *const *taps,
    const char *method, const char *key, const char *value)
{
    *w = (work){.spy = {.wanted = taps}};
    make_network(model, 1, &w->student);
    make_network(model, 2, &w->teacher);
    make_batch(w);
    make_term(&w->terms[0], method, key, value);
    w->terms[1].method = &spy_method;
    w->terms[1].state = &w->spy;
    CHECK_OK(lmb_params_new(LMB_F64, &w->terms[1].params));
    run_step(w);
    run_plan(w);
}

static void close_work(work *w)
{
    lmb_plan_free(w->plan);
    lmb_train_step_free(w->step);
    lmb_method_free(w->terms[0].method, w->terms[0].state);
    for (int i = 0; i < 2; i++)
        lmb_params_free(w->terms[i].params);
    lmb_loader_free(w->loader);
    lmb_dataset_free(w->data);
    lmb_network_fini(&w->teacher);
    lmb_network_fini(&w->student);
}

/* --- the same loss on arrays ---------------------------------------------- */

static double *read_tap(const work *w, const lmb_tap *tap)
{
    double *data = calloc((size_t)lmb_shape_count(&tap->shape), sizeof *data);
    assert_non_null(data);
    if (lmb_graph_type(w->step->g, tap->value).dtype != LMB_I32) {
        CHECK_OK(lmb_plan_read(w->plan, tap->value, LMB_F64, data));
        return data;
    }
    const int64_t n = lmb_shape_count(&tap->shape);
    int32_t *index = calloc((size_t)n, sizeof *index);
    assert_non_null(index);
    CHECK_OK(lmb_plan_read(w->plan, tap->value, LMB_I32, index));
    for (int64_t i = 0; i < n; i++)
        data[i] = index[i];
    free(index);
    return data;
}

/* The step's names of taps have gone with its networks. */
static lmb_loss_array array_of(
    const work *w, int i, const lmb_tap *tap, const double *data)
{
    return (lmb_loss_array){
        .name = w->spy.wanted[i], .shape = tap->shape, .data = data};
}

/* rows: of regions, labels with -1 for padding; `without` leaves those out. */
static int64_t drop_padding(
    double *x, double *y, int32_t *labels, int64_t rows, int64_t classes)
{
    int64_t n = 0;
    const size_t size = (size_t)classes * sizeof *x;
    for (int64_t i = 0; i < rows; i++) {
        if (labels[i] < 0)
            continue;
        memmove(x + n * classes, x + i * classes, size);
        memmove(y + n * classes, y + i * classes, size);
        labels[n++] = labels[i];
    }
    return n;
}

static double evaluate(
    const char *method, const char *option, lmb_loss_inputs *in)
{
    double value = NAN;
    in->dtype = LMB_F64;
    in->n_options = option != NULL;
    in->options = &option;
    CHECK_OK(lmb_loss_eval(method, in, &value));
    return value;
}

static const char *const of_regions[] = {"roi.logits", NULL};

static void check_regions(
    const char *method, const char *key, const char *value, const char *option)
{
    work w;
    open_work(&w, REGIONS, of_regions, method, key, value);
    const lmb_tap *s = w.spy.student, *t = w.spy.teacher;
    const int64_t rows = s->shape.dim[0], classes = s->shape.dim[1];
    assert_int_equal(rows, BATCH * 40);
    assert_int_equal(classes, CLASSES + 1);
    double *x = read_tap(&w, s), *y = read_tap(&w, t);
    int32_t *labels = calloc((size_t)rows, sizeof *labels);
    CHECK_OK(lmb_plan_read(w.plan, w.spy.labels, LMB_I32, labels));
    lmb_loss_array student = array_of(&w, 0, s, x);
    lmb_loss_array teacher = array_of(&w, 0, t, y);
    lmb_loss_inputs in = {.n_student = 1,
        .n_teacher = 1,
        .student = &student,
        .teacher = &teacher,
        .labels = labels,
        .n_labels = rows};
    const double padded = evaluate(method, option, &in);
    const int64_t n = drop_padding(x, y, labels, rows, classes);
    student.shape.dim[0] = teacher.shape.dim[0] = in.n_labels = n;
    const double plain = evaluate(method, option, &in);
    (void)printf("%s: %lld of %lld rows, logged %.12g, loss %.12g\n", method,
        (long long)n, (long long)rows, w.term, plain);
    assert_true(n > 0 && n < rows && w.term > 0);
    CHECK_NEAR(w.term, plain, 1e-9 * plain);
    CHECK_NEAR(padded, plain, 1e-9 * plain);
    free(x);
    free(y);
    free(labels);
    close_work(&w);
}

static void check_maps(
    const char *const *taps, const char *method, const char *option)
{
    work w;
    double *x[MOST_TAPS], *y[MOST_TAPS];
    lmb_loss_array student[MOST_TAPS], teacher[MOST_TAPS];
    open_work(&w, DENSE, taps, method, NULL, NULL);
    int both = 0; /* those of the student alone come last */
    for (int i = 0; i < w.spy.n; i++) {
        x[i] = read_tap(&w, &w.spy.student[i]);
        student[i] = array_of(&w, i, &w.spy.student[i], x[i]);
        if (of_assigner(taps[i]))
            continue;
        y[i] = read_tap(&w, &w.spy.teacher[i]);
        teacher[i] = array_of(&w, i, &w.spy.teacher[i], y[i]);
        both++;
    }
    const int64_t most = lmb_loader_max_boxes(w.loader);
    double *boxes = calloc((size_t)(BATCH * most * 4), sizeof *boxes);
    int32_t *labels = calloc((size_t)(BATCH * most), sizeof *labels);
    const float *from = w.batch.boxes->data;
    const int32_t *of = w.batch.box_labels->data;
    for (int64_t i = 0; i < BATCH * most * 4; i++)
        boxes[i] = from[i];
    for (int64_t i = 0; i < BATCH * most; i++)
        labels[i] = of[i] < 0 ? 0 : of[i];
    lmb_loss_inputs in = {.n_student = w.spy.n,
        .n_teacher = both,
        .student = student,
        .teacher = teacher,
        .boxes = boxes,
        .box_labels = labels,
        .most_boxes = most,
        .input_size = {SIDE, SIDE}};
    const double value = evaluate(method, option, &in);
    (void)printf("%s: logged %.12g, loss %.12g\n", method, w.term, value);
    assert_true(value > 0);
    CHECK_NEAR(w.term, value, 1e-9 * value);
    for (int i = 0; i < w.spy.n; i++)
        free(x[i]);
    for (int i = 0; i < both; i++)
        free(y[i]);
    free(boxes);
    free(labels);
    close_work(&w);
}

/* --- tests ---------------------------------------------------------------- */

static void kd_on_regions(void **state)
{
    (void)state;
    check_regions("kd", "temperature", "1", "temperature=1");
}

static void dkd_on_regions(void **state)
{
    (void)state;
    check_regions("dkd", "beta", "0.25", "beta=0.25");
}

static void pcd_on_regions(void **state)
{
    (void)state;
    check_regions("pcd", "stages", "2", "stages=2");
    check_regions("pcd", "preset", "release", "preset=release");
}

static const char *const of_heads[] = {"cls.p3", "cls.p4", "cls.p5", "cls.p6",
    "cls.p7", "positive.p3", "positive.p4", "positive.p5", "positive.p6",
    "positive.p7", "label.p3", "label.p4", "label.p5", "label.p6", "label.p7",
    NULL};

static void logit_methods_on_dense_heads(void **state)
{
    (void)state;
    /* A run knows how many classes there are, arrays do not. */
    static const char anchors[] = "dense_anchors=9";
    check_maps(of_heads, "kd", anchors);
    check_maps(of_heads, "dkd", anchors);
    check_maps(of_heads, "pcd", anchors);
}

static const char *const of_pyramid[] = {"p3", "p4", "p5", "p6", "p7", NULL};

static void feature_methods_on_pyramids(void **state)
{
    (void)state;
    check_maps(of_pyramid, "pkd", NULL);
    check_maps(of_pyramid, "cwd", NULL);
    check_maps(of_pyramid, "mimic", NULL);
}

/* A short side alone that is more than the data have enlarges them, in the
 * usual ratio of the sides. */
static void a_short_side_alone_is_heard(void **state)
{
    static const double zero[3] = {0}, one[3] = {1, 1, 1};
    const lmb_dataset_opts opts = {.train_count = 2, .side = SIDE};
    lmb_picture_opts pictures = {.max_sizes = 1};
    lmb_dataset *ds = NULL;
    lmb_detect_transform t;
    (void)state;
    CHECK_OK(lmb_dataset_open("scenes", "train", &opts, &ds));
    CHECK_OK(lmb_picture_transform(&pictures, ds, false, zero, one, &t));
    assert_int_equal(t.long_side, SIDE);
    pictures.short_side = 3 * SIDE;
    CHECK_OK(lmb_picture_transform(&pictures, ds, false, zero, one, &t));
    assert_int_equal(t.short_side[0], 3 * SIDE);
    assert_int_equal(t.long_side, lrint(3 * SIDE * 1333 / 800.0));
    lmb_dataset_free(ds);
}

LMB_TEST_MAIN(cmocka_unit_test(kd_on_regions), cmocka_unit_test(dkd_on_regions),
    cmocka_unit_test(pcd_on_regions),
    cmocka_unit_test(logit_methods_on_dense_heads),
    cmocka_unit_test(feature_methods_on_pyramids),
    cmocka_unit_test(a_short_side_alone_is_heard))
