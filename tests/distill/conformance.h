/* conformance.h: what every method must do, whatever its formula.
 *
 * A test file describes its method (taps with shapes, what holds) and calls
 * the checks; gradients are checked in f64 along a random direction with a
 * five-point stencil, on three seeded inputs of sizes 1, 3 and 10 (large
 * logits). Points where the loss has a kink (ties of a ranking, |d| = 1) have
 * probability 0 in random inputs. */
#ifndef LMB_TEST_DISTILL_CONFORMANCE_H
#define LMB_TEST_DISTILL_CONFORMANCE_H

#include "lmb_test.h"

#include "base/rng.h"
#include "distill/method.h"
#include "limbeck/loss.h"
#include "tensor/shape.h"

enum { CONF_TAPS = 4, CONF_SIZE = 2048, CONF_PARAMS = 24, CONF_BOXES = 32 };

typedef struct conf_tap {
    const char *name;
    lmb_shape shape;
} conf_tap;

typedef struct conf {
    const char *method;
    const char *options[6]; /* besides the defaults */
    conf_tap student[CONF_TAPS], teacher[CONF_TAPS]; /* until a NULL name */
    bool zero_at_identity; /* value and gradient; sides have equal taps */
    double zero_tolerance; /* of the value there; 0: 1e-12 */
    /* Of the stencil, relative to the input's size; 0: 1e-4. Methods with a
     * ReLU take less, so that no unit crosses 0 on the way. */
    double step;
    /* Methods that need boxes: how many an image, in an input of this size. */
    int64_t boxes, input_size[2];
    int stage;
} conf;

/* One evaluation's arrays. */
typedef struct conf_run {
    lmb_loss_inputs in;
    lmb_loss_array student[CONF_TAPS], teacher[CONF_TAPS];
    lmb_loss_array params[CONF_PARAMS];
    double s[CONF_TAPS][CONF_SIZE], t[CONF_TAPS][CONF_SIZE];
    double grad[CONF_TAPS][CONF_SIZE];
    double p[CONF_PARAMS][CONF_SIZE], p_grad[CONF_PARAMS][CONF_SIZE];
    char p_names[CONF_PARAMS][96];
    int32_t labels[64];
    double boxes[4 * CONF_BOXES];
    float boxes32[4 * CONF_BOXES];
} conf_run;

static inline int64_t conf_count(const lmb_loss_array *a)
{
    return lmb_shape_count(&a->shape);
}

static inline int conf_side(const conf_tap *taps, int64_t rows,
    double data[][CONF_SIZE], double grad[][CONF_SIZE], lmb_loss_array *out,
    lmb_rng *rng, double scale)
{
    int n = 0;
    for (; n < CONF_TAPS && taps[n].name != NULL; n++) {
        out[n] = (lmb_loss_array){
            .name = taps[n].name,
            .shape = taps[n].shape,
            .data = data[n],
            .grad = grad != NULL ? grad[n] : NULL,
        };
        if (rows > 0)
            out[n].shape.dim[0] = rows;
        assert_true(conf_count(&out[n]) <= CONF_SIZE);
        for (int64_t i = 0; i < conf_count(&out[n]); i++)
            data[n][i] = scale * lmb_rng_normal(rng);
    }
    return n;
}

/* Random boxes inside the input, one in four empty (padding). */
static inline void conf_boxes(conf_run *r, const conf *c, lmb_rng *rng)
{
    const int64_t n = c->boxes * r->student[0].shape.dim[0];
    if (n == 0)
        return;
    assert_true(n <= CONF_BOXES);
    for (int64_t i = 0; i < 4 * n; i += 4) {
        for (int k = 0; k < 2; k++) {
            const double size = (double)c->input_size[1 - k];
            const double a = size * lmb_rng_uniform(rng);
            const double b = size * lmb_rng_uniform(rng);
            r->boxes[i + k] = fmin(a, b);
            r->boxes[i + 2 + k] = i % 16 == 12 ? fmin(a, b) : fmax(a, b);
        }
    }
    for (int64_t i = 0; i < 4 * n; i++)
        r->boxes32[i] = (float)(r->boxes[i] = (double)(float)r->boxes[i]);
    r->in.boxes = r->boxes;
    r->in.most_boxes = c->boxes;
    r->in.input_size[0] = c->input_size[0];
    r->in.input_size[1] = c->input_size[1];
}

/* Fills a run with random numbers; rows > 0 replaces the batch size. */
static inline void conf_fill(
    conf_run *r, const conf *c, uint64_t seed, double scale, int64_t rows)
{
    lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_TEST, 1, 2);
    memset(r, 0, sizeof *r);
    r->in = (lmb_loss_inputs){
        .dtype = LMB_F64,
        .student = r->student,
        .teacher = r->teacher,
        .params = r->params,
        .labels = r->labels,
        .options = c->options,
        .seed = seed,
        .stage = c->stage,
    };
    while (r->in.n_options < (int)LMB_COUNT(c->options) &&
        c->options[r->in.n_options] != NULL)
        r->in.n_options++;
    r->in.n_student =
        conf_side(c->student, rows, r->s, r->grad, r->student, &rng, scale);
    r->in.n_teacher =
        conf_side(c->teacher, rows, r->t, NULL, r->teacher, &rng, scale);
    conf_boxes(r, c, &rng);
    const lmb_shape *first = &r->student[0].shape;
    r->in.n_labels = first->dim[0];
    for (int64_t i = 0; i < first->dim[0]; i++)
        r->labels[i] =
            (int32_t)lmb_rng_below(&rng, (uint32_t)first->dim[first->rank - 1]);
}

static inline double conf_eval(const conf *c, const conf_run *r)
{
    double value = 0;
    CHECK_OK(lmb_loss_eval(c->method, &r->in, &value));
    return value;
}

/* --- options -------------------------------------------------------------- */

static inline lmb_status conf_set(
    const lmb_method *m, const char *key, const char *value)
{
    void *state = NULL;
    const lmb_status st = lmb_method_new(m, 1, &key, &value, &state);
    lmb_method_free(m, state);
    return st;
}

static inline void conf_refuse(
    const lmb_method *m, const lmb_opt *row, const char *value)
{
    CHECK_ERR(conf_set(m, row->name, value), LMB_EINVAL, row->name);
}

/* The row is complete, the defaults are valid, every option is refused outside
 * its range, aliases find their row. */
static inline void conf_options(const conf *c)
{
    const lmb_method *m = lmb_method_find(c->method);
    void *state = NULL;
    assert_non_null(m);
    assert_true(m->title != NULL && m->source != NULL && m->build != NULL);
    assert_true(m->pairs != NULL && m->opts != NULL && m->weight > 0);
    CHECK_OK(lmb_method_new(m, 0, NULL, NULL, &state));
    for (const lmb_opt *row = m->opts; row->name != NULL; row++) {
        lmb_str text = {0};
        assert_non_null(row->help);
        lmb_opt_print(row, state, &text);
        CHECK_OK(lmb_str_status(&text));
        CHECK_OK(conf_set(m, row->name, text.text));
        lmb_str_fini(&text);
        conf_refuse(m, row, "abc");
        conf_refuse(m, row, "");
        if (row->type == LMB_OPT_F64 || row->type == LMB_OPT_I64) {
            char outside[32];
            assert_true(row->low <= row->def && row->def <= row->high);
            (void)snprintf(outside, sizeof outside, "%.17g", row->low - 1);
            conf_refuse(m, row, outside);
            (void)snprintf(outside, sizeof outside, "%.17g", row->high * 2 + 1);
            conf_refuse(m, row, outside);
            conf_refuse(m, row, "nan");
            conf_refuse(m, row, "inf");
        }
        char alias[64];
        const char *at = row->aliases != NULL ? row->aliases : "";
        for (size_t n = 0; *at != '\0'; at += at[n] == '|' ? n + 1 : n) {
            n = strcspn(at, "|");
            (void)snprintf(alias, sizeof alias, "%.*s", (int)n, at);
            assert_ptr_equal(lmb_opt_find(m->opts, alias), row);
        }
    }
    lmb_method_free(m, state);
    CHECK_ERR(conf_set(m, "no_such_key", "1"), LMB_EINVAL, "no_such_key");
}

/* --- values --------------------------------------------------------------- */

static inline void conf_identity(const conf *c)
{
    conf_run *r = malloc(sizeof *r);
    assert_non_null(r);
    conf_fill(r, c, 7, 2, 0);
    memcpy(r->t, r->s, sizeof r->t);
    const double value = conf_eval(c, r);
    const double limit = c->zero_tolerance > 0 ? c->zero_tolerance : 1e-12;
    if (c->zero_at_identity) {
        CHECK_NEAR(value, 0, limit);
        for (int i = 0; i < r->in.n_student; i++)
            for (int64_t k = 0; k < conf_count(&r->student[i]); k++)
                CHECK_NEAR(r->grad[i][k], 0, limit);
    }
    free(r);
}

/* The value is finite, and so are the gradients, with one row. */
static inline void conf_batch_of_one(const conf *c)
{
    conf_run *r = malloc(sizeof *r);
    assert_non_null(r);
    conf_fill(r, c, 11, 1, 1);
    assert_true(isfinite(conf_eval(c, r)));
    for (int i = 0; i < r->in.n_student; i++)
        for (int64_t k = 0; k < conf_count(&r->student[i]); k++)
            assert_true(isfinite(r->grad[i][k]));
    free(r);
}

/* --- gradients ------------------------------------------------------------ */

static inline void conf_add_param(void *user, const char *name,
    const lmb_shape *shape, int trainable, const void *data)
{
    conf_run *r = user;
    if (!trainable)
        return;
    const int i = r->in.n_params++;
    assert_true(i < CONF_PARAMS && lmb_shape_count(shape) <= CONF_SIZE);
    (void)snprintf(r->p_names[i], sizeof r->p_names[i], "%s", name);
    memcpy(r->p[i], data, (size_t)lmb_shape_count(shape) * sizeof(double));
    r->params[i] = (lmb_loss_array){
        .name = r->p_names[i],
        .shape = *shape,
        .data = r->p[i],
        .grad = r->p_grad[i],
    };
}

static inline void conf_random(
    double v[][CONF_SIZE], int n, lmb_rng *rng, double size)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < CONF_SIZE; k++)
            v[i][k] = size * lmb_rng_normal(rng);
}

/* base + h * direction, for n arrays of a side. */
static inline void conf_move(double to[][CONF_SIZE], double from[][CONF_SIZE],
    double way[][CONF_SIZE], int n, double h)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < CONF_SIZE; k++)
            to[i][k] = from[i][k] + h * way[i][k];
}

static inline double conf_dot(const lmb_loss_array *arrays, int n,
    double grad[][CONF_SIZE], double way[][CONF_SIZE])
{
    double dot = 0;
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < conf_count(&arrays[i]); k++)
            dot += grad[i][k] * way[i][k];
    return dot;
}

static inline double conf_at(
    const conf *c, conf_run *r, const conf_run *base, conf_run *way, double h)
{
    conf_run *from = malloc(sizeof *from);
    assert_non_null(from);
    memcpy(from, base, sizeof *from);
    conf_move(r->s, from->s, way->s, r->in.n_student, h);
    conf_move(r->p, from->p, way->p, r->in.n_params, h);
    free(from);
    return conf_eval(c, r);
}

/* runs[0] the point, [1] a copy that moves, [2] the direction. */
static inline void conf_gradient_at(
    const conf *c, conf_run *runs, uint64_t seed, double scale)
{
    conf_run *r = &runs[1], *way = &runs[2];
    lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_TEST, 3, 4);
    lmb_loss *loss = NULL;
    conf_fill(r, c, seed, scale, 0);
    CHECK_OK(lmb_loss_new(c->method, &r->in, &loss));
    CHECK_OK(lmb_loss_params(loss, conf_add_param, r));
    lmb_loss_free(loss);
    conf_random(way->s, r->in.n_student, &rng, 1);
    conf_random(way->p, r->in.n_params, &rng, 1 / scale);
    const double value = conf_eval(c, r);
    const double dot = conf_dot(r->student, r->in.n_student, r->grad, way->s) +
        conf_dot(r->params, r->in.n_params, r->p_grad, way->p);
    memcpy(&runs[0], r, sizeof *r);
    const double h = (c->step > 0 ? c->step : 1e-4) * scale;
    const double slope = (conf_at(c, r, &runs[0], way, -2 * h) -
                             8 * conf_at(c, r, &runs[0], way, -h) +
                             8 * conf_at(c, r, &runs[0], way, h) -
                             conf_at(c, r, &runs[0], way, 2 * h)) /
        (12 * h);
    /* Rounding of the value itself bounds what the stencil can see. */
    const double size = fmax(fabs(dot), 1e-3 * (1 + fabs(value)));
    if (!(fabs(slope - dot) <= 1e-7 * size))
        fail_msg("%s, seed %llu, scale %g: slope %.15g, gradient %.15g",
            c->method, (unsigned long long)seed, scale, slope, dot);
}

static inline void conf_gradient(const conf *c)
{
    static const double scales[] = {1, 3, 10};
    conf_run *runs = malloc(3 * sizeof *runs);
    assert_non_null(runs);
    for (size_t i = 0; i < LMB_COUNT(scales); i++)
        conf_gradient_at(c, runs, 100 + i, scales[i]);
    free(runs);
}

static inline void conf_graph_taps(lmb_graph *g, const char *role,
    const conf_tap *from, lmb_tap *out, lmb_taps *taps)
{
    *taps = (lmb_taps){.taps = out};
    for (int i = 0; i < CONF_TAPS && from[i].name != NULL; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "%s.%s", role, from[i].name);
        out[taps->count++] = (lmb_tap){
            .name = from[i].name,
            .shape = from[i].shape,
            .value = lmb_graph_input(g, name, LMB_F32, from[i].shape),
        };
    }
}

/* No gradient reaches a teacher's tap. */
static inline void conf_teacher(const conf *c)
{
    const lmb_method *m = lmb_method_find(c->method);
    lmb_tap s[CONF_TAPS], t[CONF_TAPS];
    lmb_value wrt[CONF_TAPS], grad[CONF_TAPS];
    lmb_taps student, teacher;
    lmb_graph *g = NULL;
    lmb_params *params = NULL;
    void *state = NULL;
    CHECK_OK(lmb_graph_new(&g));
    CHECK_OK(lmb_params_new(LMB_F64, &params));
    CHECK_OK(lmb_method_new(m, 0, NULL, NULL, &state));
    conf_graph_taps(g, "student", c->student, s, &student);
    conf_graph_taps(g, "teacher", c->teacher, t, &teacher);
    lmb_build b = {
        .g = g,
        .method = m->name,
        .mode = LMB_MODE_TRAIN,
        .student = &student,
        .teacher = &teacher,
        .params = params,
        .prefix = "",
        .labels = lmb_graph_input(
            g, "labels", LMB_I32, LMB_SHAPE(c->student[0].shape.dim[0])),
        .stage = c->stage,
        .input_size = {c->input_size[0], c->input_size[1]},
    };
    const int64_t n = c->student[0].shape.dim[0], most = c->boxes;
    if (most > 0) {
        b.boxes = lmb_graph_input(g, "boxes", LMB_F32, LMB_SHAPE(n, most, 4));
        b.box_labels =
            lmb_graph_input(g, "box_labels", LMB_I32, LMB_SHAPE(n, most));
        b.box_valid =
            lmb_graph_input(g, "box_valid", LMB_F32, LMB_SHAPE(n, most));
    }
    CHECK_OK(lmb_method_pairs(m, state, &student, &teacher, 0, NULL, &b.pairs));
    const lmb_value loss = m->build(state, &b);
    assert_int_equal(lmb_graph_rank(g, loss), 0);
    for (int i = 0; i < teacher.count; i++)
        wrt[i] = t[i].value;
    lmb_backward(g, loss, teacher.count, wrt, grad);
    CHECK_OK(lmb_graph_status(g));
    for (int i = 0; i < teacher.count; i++)
        assert_false(lmb_is(grad[i]));
    lmb_method_free(m, state);
    lmb_params_free(params);
    lmb_graph_free(g);
}

/* --- logit methods -------------------------------------------------------- */

/* Renaming classes renames the gradient and changes nothing else. */
static inline void conf_permutation(const conf *c)
{
    conf_run *runs = malloc(2 * sizeof *runs);
    int64_t order[64];
    assert_non_null(runs);
    conf_run *a = &runs[0], *b = &runs[1];
    conf_fill(a, c, 21, 2, 0);
    conf_fill(b, c, 21, 2, 0);
    const int64_t rows = a->student[0].shape.dim[0];
    const int64_t C = a->student[0].shape.dim[1];
    lmb_rng rng = lmb_rng_make(5, LMB_STREAM_TEST, 6, 7);
    lmb_rng_permutation(&rng, C, order);
    for (int64_t n = 0; n < rows; n++) {
        for (int64_t k = 0; k < C; k++) {
            b->s[0][n * C + order[k]] = a->s[0][n * C + k];
            b->t[0][n * C + order[k]] = a->t[0][n * C + k];
        }
        b->labels[n] = (int32_t)order[a->labels[n]];
    }
    const double value = conf_eval(c, a);
    CHECK_NEAR(conf_eval(c, b), value, 1e-12 * (1 + fabs(value)));
    for (int64_t n = 0; n < rows; n++)
        for (int64_t k = 0; k < C; k++)
            CHECK_NEAR(b->grad[0][n * C + order[k]], a->grad[0][n * C + k],
                1e-12 * (1 + fabs(value)));
    free(runs);
}

/* f32 on the fast kernels agrees with f64 on the reference. */
static inline void conf_fast(const conf *c)
{
    conf_run *r = malloc(sizeof *r);
    float(*f)[CONF_SIZE] = malloc(3 * CONF_TAPS * sizeof *f);
    assert_non_null(r);
    assert_non_null(f);
    conf_fill(r, c, 31, 2, 0);
    const double exact = conf_eval(c, r);
    double value = 0;
    for (int i = 0; i < r->in.n_student; i++) {
        for (int k = 0; k < CONF_SIZE; k++)
            f[i][k] = (float)r->s[i][k];
        r->student[i].data = f[i];
        r->student[i].grad = f[CONF_TAPS + i];
    }
    for (int i = 0; i < r->in.n_teacher; i++) {
        for (int k = 0; k < CONF_SIZE; k++)
            f[2 * CONF_TAPS + i][k] = (float)r->t[i][k];
        r->teacher[i].data = f[2 * CONF_TAPS + i];
    }
    r->in.dtype = LMB_F32;
    r->in.boxes = c->boxes > 0 ? r->boxes32 : NULL;
    CHECK_OK(lmb_loss_eval(c->method, &r->in, &value));
    CHECK_NEAR(value, exact, 1e-5 * (1 + fabs(exact)));
    for (int i = 0; i < r->in.n_student; i++)
        for (int64_t k = 0; k < conf_count(&r->student[i]); k++)
            CHECK_NEAR((double)f[CONF_TAPS + i][k], r->grad[i][k],
                1e-5 * (1 + fabs(exact)));
    free(f);
    free(r);
}

/* --- memory --------------------------------------------------------------- */

/* Every allocation in turn fails: ENOMEM each time, nothing left behind. */
static inline void conf_out_of_memory(const conf *c)
{
    conf_run *r = malloc(sizeof *r);
    lmb_status st = LMB_ENOMEM;
    assert_non_null(r);
    conf_fill(r, c, 41, 1, 0);
    const int64_t live = lmb_alloc_live();
    for (int64_t n = 0; st != LMB_OK; n++) {
        double value = -1;
        lmb_alloc_fail_at(n);
        st = lmb_loss_eval(c->method, &r->in, &value);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        if (st != LMB_OK && (st != LMB_ENOMEM || !injected))
            fail_msg("%s: allocation %lld: %s", c->method, (long long)n,
                lmb_last_error());
        assert_int_equal(lmb_alloc_live(), live);
    }
    free(r);
}

/* All that holds for every method. */
static inline void conf_all(const conf *c)
{
    conf_options(c);
    conf_identity(c);
    conf_batch_of_one(c);
    conf_gradient(c);
    conf_teacher(c);
    conf_fast(c);
    conf_out_of_memory(c);
}

#endif
