/* step.c: one training step as one graph: student forward, teacher forward,
 * losses, backward; compiled once per batch size and phase. */
#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- taps
 * ---------------------------------------------------------------------- */

typedef struct side {
    lmb_nn nn;
    lmb_tap tap[LMB_MAX_TAPS];
    lmb_taps taps;
} side;

static void collect_taps(side *s)
{
    for (int i = 0; i < s->nn.n_taps; i++)
        s->tap[i] = (lmb_tap){
            .name = s->nn.taps[i].name,
            .value = s->nn.taps[i].value,
            .shape = lmb_graph_shape(s->nn.g, s->nn.taps[i].value),
        };
    s->taps = (lmb_taps){s->tap, s->nn.n_taps};
}

static void build_side(side *s, lmb_graph *g, const lmb_network *net,
    lmb_mode mode, lmb_value x, const char *scope)
{
    lmb_nn_init(&s->nn, g, net->params, mode);
    lmb_graph_push(g, scope);
    (void)net->model->build(net->model, &s->nn, x, net->classes);
    lmb_graph_pop(g);
    collect_taps(s);
}

/* The teacher's input from the student's: other mean and deviation. */
static lmb_value renormalise(
    lmb_graph *g, lmb_value x, const lmb_network *from, const lmb_network *to)
{
    double scale[3];
    double shift[3];
    bool same = true;
    for (int c = 0; c < 3; c++) {
        scale[c] = from->std[c] / to->std[c];
        shift[c] = (from->mean[c] - to->mean[c]) / to->std[c];
        same = same && scale[c] == 1 && shift[c] == 0;
    }
    if (same)
        return x;
    const lmb_shape shape = LMB_SHAPE(1, 3, 1, 1);
    return lmb_add(g, lmb_mul(g, x, lmb_graph_constant(g, shape, scale, 0)),
        lmb_graph_constant(g, shape, shift, 0));
}

/* --- building
 * -------------------------------------------------------------------- */

/* One line: "pcd: student.logits [64, 100] <- teacher.logits [64, 100]". */
static lmb_status describe_pair(lmb_train_step *s, const lmb_term *term,
    const lmb_tap *student, const lmb_tap *teacher)
{
    lmb_str connector = {0};
    lmb_status st = LMB_OK;
    if (term->method->describe != NULL)
        st = term->method->describe(
            term->state, &student->shape, &teacher->shape, &connector);
    lmb_str_printf(&s->pairs, "%s: student.%s %s <- teacher.%s %s",
        term->method->name, student->name, lmb_shape_text(&student->shape),
        teacher->name, lmb_shape_text(&teacher->shape));
    if (connector.length > 0)
        lmb_str_printf(&s->pairs, " (%s)", connector.text);
    lmb_str_add(&s->pairs, "\n");
    lmb_str_fini(&connector);
    return st != LMB_OK ? st : lmb_str_status(&s->pairs);
}

static lmb_status describe_pairs(
    lmb_train_step *s, const lmb_term *term, const lmb_build *b)
{
    for (int i = 0; i < b->pairs.count; i++) {
        const lmb_pairing *p = &b->pairs.pair[i];
        const lmb_tap *student = lmb_taps_find(b->student, p->student);
        const lmb_tap *teacher = lmb_taps_find(b->teacher, p->teacher);
        if (student != NULL && teacher != NULL)
            LMB_TRY(describe_pair(s, term, student, teacher));
    }
    return LMB_OK;
}

static lmb_value build_term(
    lmb_train_step *s, int i, const side *student, const side *teacher)
{
    const lmb_term *term = &s->spec.terms[i];
    char prefix[80];
    (void)snprintf(prefix, sizeof prefix, "%s/", term->method->name);
    lmb_build b = {
        .g = s->g,
        .method = term->method->name,
        .mode = LMB_MODE_TRAIN,
        .student = &student->taps,
        .teacher = &teacher->taps,
        .params = term->params,
        .prefix = prefix,
        .phase = s->spec.phase[i],
        .labels = s->labels,
        .index = s->index,
        .samples = s->spec.samples,
        .input_size = {s->spec.height, s->spec.width},
        .teacher_params = s->spec.teacher->params,
    };
    lmb_status st = lmb_method_pairs(term->method, term->state, b.student,
        b.teacher, term->n_map, term->map, &b.pairs);
    if (st == LMB_OK)
        st = describe_pairs(s, term, &b);
    if (st != LMB_OK) {
        lmb_graph_fail(s->g, st);
        return LMB_NONE;
    }
    lmb_graph_push(s->g, term->method->name);
    const lmb_value value = term->method->build(term->state, &b);
    lmb_graph_pop(s->g);
    return value;
}

static void add_loss(lmb_train_step *s, lmb_value part)
{
    s->loss = lmb_is(s->loss) ? lmb_add(s->g, s->loss, part) : part;
}

static void build_loss(
    lmb_train_step *s, const side *student, const side *teacher)
{
    const lmb_step_spec *spec = &s->spec;
    if (spec->ce_weight != 0) {
        lmb_graph_push(s->g, "ce");
        s->ce = lmb_scale(s->g, lmb_cross_entropy(s->g, s->logits, s->labels),
            spec->ce_weight);
        lmb_graph_pop(s->g);
        add_loss(s, s->ce);
    }
    for (int i = 0; i < spec->n_terms; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "warm.%d", i);
        s->warm[i] = lmb_graph_input(s->g, name, LMB_F32, LMB_SCALAR);
        const lmb_value term = build_term(s, i, student, teacher);
        s->term[i] = lmb_mul(
            s->g, lmb_scale(s->g, term, spec->terms[i].weight), s->warm[i]);
        add_loss(s, s->term[i]);
    }
    if (!lmb_is(s->loss))
        lmb_graph_fail(s->g,
            LMB_FAIL(LMB_EINVAL,
                "no loss: the weight of cross-entropy is 0 "
                "and there is no method"));
}

static void build(lmb_train_step *s, side *student, side *teacher)
{
    const lmb_step_spec *spec = &s->spec;
    s->x = lmb_graph_input(s->g, "x", LMB_F32,
        LMB_SHAPE(spec->batch, 3, spec->height, spec->width));
    s->labels =
        lmb_graph_input(s->g, "labels", LMB_I32, LMB_SHAPE(spec->batch));
    s->index = lmb_graph_input(s->g, "index", LMB_I32, LMB_SHAPE(spec->batch));
    if (spec->teacher != NULL)
        build_side(teacher, s->g, spec->teacher, LMB_MODE_EVAL,
            renormalise(s->g, s->x, spec->student, spec->teacher), "teacher");
    build_side(student, s->g, spec->student, LMB_MODE_TRAIN, s->x, "student");
    s->logits = lmb_nn_tap_find(&student->nn, "logits");
    build_loss(s, student, teacher);
}

static int outputs_of(const lmb_train_step *s, lmb_value out[])
{
    int n = 0;
    out[n++] = s->loss;
    out[n++] = s->logits;
    if (lmb_is(s->ce))
        out[n++] = s->ce;
    for (int i = 0; i < s->spec.n_terms; i++)
        out[n++] = s->term[i];
    return n;
}

static lmb_status differentiate(lmb_train_step *s)
{
    const lmb_step_spec *spec = &s->spec;
    lmb_value out[3 + LMB_MAX_TERMS];
    LMB_TRY(lmb_graph_status(s->g));
    const int n = outputs_of(s, out);
    if (!spec->reference)
        lmb_passes_forward(s->g, n, out);
    lmb_params *stores[1 + LMB_MAX_TERMS] = {spec->student->params};
    for (int i = 0; i < spec->n_terms; i++)
        stores[1 + i] = spec->terms[i].params;
    lmb_backward_params(s->g, s->loss, 1 + spec->n_terms, stores);
    if (!spec->reference)
        lmb_passes_backward(s->g, n, out);
    const lmb_plan_opts opts = {
        .reference = spec->reference,
        .bf16 = spec->bf16,
        .allow_reference = spec->allow_reference,
        .workspace = spec->workspace,
    };
    return lmb_plan_compile(s->g, n, out, &opts, &s->plan);
}

static lmb_status make(lmb_train_step *s)
{
    lmb_status st = LMB_OK;
    side *sides = NULL;
    LMB_TRY(LMB_NEW(sides, 2));
    LMB_GOTO(lmb_graph_new(&s->g), st, done);
    build(s, &sides[0], &sides[1]);
    LMB_GOTO(differentiate(s), st, done);
    LMB_GOTO(LMB_NEW(s->index_data, s->spec.batch), st, done);
    LMB_GOTO(lmb_plan_set(s->plan, s->index, LMB_I32, s->index_data), st, done);
    for (int i = 0; i < s->spec.n_terms; i++)
        LMB_GOTO(lmb_plan_set(s->plan, s->warm[i], LMB_F32, &s->warm_data[i]),
            st, done);
done:
    lmb_free(sides);
    return st;
}

lmb_status lmb_train_step_new(const lmb_step_spec *spec, lmb_train_step **out)
{
    lmb_train_step *s = NULL;
    LMB_TRY(LMB_NEW(s, 1));
    s->spec = *spec;
    const lmb_status st = make(s);
    if (st != LMB_OK) {
        lmb_train_step_free(s);
        return st;
    }
    *out = s;
    return LMB_OK;
}

void lmb_train_step_free(lmb_train_step *s)
{
    if (s == NULL)
        return;
    lmb_plan_free(s->plan);
    lmb_graph_free(s->g);
    lmb_free(s->index_data);
    lmb_str_fini(&s->pairs);
    lmb_free(s);
}

/* --- running
 * ------------------------------------------------------------------------ */

double lmb_warm_up(double warmup, int64_t epoch)
{
    return warmup > 0 && (double)epoch < warmup ? (double)epoch / warmup : 1;
}

static int64_t count_correct(
    const float *logits, const int32_t *labels, int64_t n, int64_t classes)
{
    int64_t correct = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++)
            if (row[c] > row[best])
                best = c;
        correct += best == labels[i];
    }
    return correct;
}

lmb_status lmb_train_step_run(lmb_train_step *s, const lmb_batch *batch,
    const lmb_step_at *at, lmb_step_result *out)
{
    LMB_ASSERT(batch->count == s->spec.batch);
    *out = (lmb_step_result){0};
    LMB_TRY(lmb_plan_set(s->plan, s->x, LMB_F32, batch->views[0]->data));
    LMB_TRY(lmb_plan_set(s->plan, s->labels, LMB_I32, batch->labels->data));
    const int64_t *index = batch->indices->data;
    for (int64_t i = 0; i < batch->count; i++)
        s->index_data[i] = (int32_t)index[i];
    for (int i = 0; i < s->spec.n_terms; i++)
        s->warm_data[i] =
            (float)lmb_warm_up(s->spec.terms[i].warmup, at->epoch);
    LMB_TRY(lmb_plan_run(s->plan));
    out->loss = lmb_plan_scalar(s->plan, s->loss);
    if (lmb_is(s->ce))
        out->ce = lmb_plan_scalar(s->plan, s->ce);
    for (int i = 0; i < s->spec.n_terms; i++)
        out->term[i] = lmb_plan_scalar(s->plan, s->term[i]);
    const void *logits = lmb_plan_view(s->plan, s->logits);
    if (!s->spec.reference)
        out->correct = count_correct(logits, batch->labels->data, batch->count,
            s->spec.student->classes);
    return LMB_OK;
}
