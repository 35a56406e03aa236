/* loss.c: a distillation loss on arrays: value and gradient.
 *
 * A graph whose inputs are the taps, the method's term on top, its gradient
 * with respect to the student's taps and the method's own parameters, compiled
 * on the reference (f64) or the fast kernels (f32). */
#include "train/loss.h"

#include "train/feed.h"
#include "train/loss_truth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One side's inputs, or the parameters. */
typedef struct side {
    int n;
    lmb_tap *taps;
    char (*names)[32];
    lmb_value *grads; /* LMB_NONE: not wanted, or zero */
    bool *wanted;
} side;

struct lmb_loss {
    const lmb_method *method;
    void *state;
    lmb_dtype dtype;
    int phase, stage;
    lmb_arena *arena; /* names of the map */
    lmb_graph *g;
    lmb_params *params;
    lmb_plan *plan;
    side student, teacher;
    lmb_value labels, row_weight, value;
    void *row_weight_data;
    int64_t n_labels, classes;
    lmb_loss_truth truth;
    lmb_feeds feeds;
    lmb_value *param_grads; /* one for each parameter of the store */
};

const lmb_method *lmb_loss_method(const lmb_loss *loss)
{
    return loss->method;
}

lmb_plan *lmb_loss_plan(lmb_loss *loss)
{
    return loss->plan;
}

static void side_fini(side *s)
{
    lmb_free(s->taps);
    lmb_free(s->names);
    lmb_free(s->grads);
    lmb_free(s->wanted);
}

void lmb_loss_free(lmb_loss *loss)
{
    if (loss == NULL)
        return;
    lmb_plan_free(loss->plan);
    lmb_graph_free(loss->g);
    lmb_params_free(loss->params);
    lmb_method_free(loss->method, loss->state);
    lmb_arena_free(loss->arena);
    lmb__loss_truth_fini(&loss->truth);
    lmb_feeds_fini(&loss->feeds);
    side_fini(&loss->student);
    side_fini(&loss->teacher);
    lmb_free(loss->param_grads);
    lmb_free(loss->row_weight_data);
    lmb_free(loss);
}

/* --- making --------------------------------------------------------------- */

static lmb_status add_side(lmb_loss *loss, side *s, const char *role, int n,
    const lmb_loss_array *arrays)
{
    LMB_TRY(LMB_NEW(s->taps, n));
    LMB_TRY(LMB_NEW(s->names, n));
    LMB_TRY(LMB_NEW(s->grads, n));
    LMB_TRY(LMB_NEW(s->wanted, n));
    for (int i = 0; i < n; i++) {
        const lmb_loss_array *a = &arrays[i];
        char input[48];
        if (a->name == NULL || strlen(a->name) >= sizeof s->names[i])
            return LMB_FAIL(
                LMB_EINVAL, "%s: tap %d has no proper name", role, i);
        if (a->shape.rank < 1 || a->shape.rank > LMB_MAX_RANK ||
            lmb_shape_count(&a->shape) < 1)
            return LMB_FAIL(LMB_ESHAPE, "%s.%s: shape %s is empty", role,
                a->name, lmb_shape_text(&a->shape));
        if (a->shape.dim[0] != arrays[0].shape.dim[0])
            return LMB_FAIL(LMB_ESHAPE, "%s.%s: %lld rows, %s.%s has %lld",
                role, a->name, (long long)a->shape.dim[0], role, arrays[0].name,
                (long long)arrays[0].shape.dim[0]);
        (void)snprintf(s->names[i], sizeof s->names[i], "%s", a->name);
        (void)snprintf(input, sizeof input, "%s.%s", role, a->name);
        s->taps[i] = (lmb_tap){
            .name = s->names[i],
            .value = lmb_graph_input(loss->g, input, LMB_F32, a->shape),
            .shape = a->shape,
        };
        s->wanted[i] = a->grad != NULL;
        s->n++;
    }
    return LMB_OK;
}

static lmb_status split_options(lmb_loss *loss, const lmb_loss_inputs *in,
    const char **keys, const char **values)
{
    for (int i = 0; i < in->n_options; i++) {
        const char *equals = strchr(in->options[i], '=');
        if (equals == NULL)
            return LMB_FAIL(LMB_EINVAL, "%s: option '%s' is not KEY=VALUE",
                loss->method->name, in->options[i]);
        keys[i] = lmb_arena_printf(loss->arena, "%.*s",
            (int)(equals - in->options[i]), in->options[i]);
        values[i] = equals + 1;
        if (keys[i] == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: options");
    }
    return LMB_OK;
}

static lmb_status configure(lmb_loss *loss, const lmb_loss_inputs *in)
{
    lmb_status st = LMB_OK;
    const char **keys = NULL, **values = NULL;
    LMB_GOTO(LMB_NEW(keys, in->n_options), st, done);
    LMB_GOTO(LMB_NEW(values, in->n_options), st, done);
    LMB_GOTO(split_options(loss, in, keys, values), st, done);
    LMB_GOTO(
        lmb_method_new(loss->method, in->n_options, keys, values, &loss->state),
        st, done);
done:
    lmb_free(keys);
    lmb_free(values);
    return st;
}

static lmb_status choose_pairs(lmb_loss *loss, const lmb_loss_inputs *in,
    const lmb_taps *student, const lmb_taps *teacher, lmb_pairs *out)
{
    lmb_pairing map[LMB_MAX_PAIRS];
    if (in->n_map > LMB_MAX_PAIRS)
        return LMB_FAIL(
            LMB_EINVAL, "more than %d lines of map", (int)LMB_MAX_PAIRS);
    for (int i = 0; i < in->n_map; i++)
        LMB_TRY(lmb_pairing_parse(loss->arena, in->map[i], &map[i]));
    return lmb_method_pairs(
        loss->method, loss->state, student, teacher, in->n_map, map, out);
}

/* RoIs: rows whose label is -1 are padding and weigh nothing. */
static lmb_status add_row_weight(lmb_loss *loss, const char *name)
{
    double *weight = NULL;
    LMB_TRY(LMB_NEW(weight, loss->n_labels)); /* f32 needs less */
    loss->row_weight_data = weight;
    loss->row_weight = lmb_graph_input(
        loss->g, "row_weight", LMB_F32, LMB_SHAPE(loss->n_labels));
    for (int i = 0; i < loss->student.n; i++)
        if (strcmp(loss->student.taps[i].name, name) == 0) {
            loss->student.taps[i].labels = loss->labels;
            loss->student.taps[i].row_weight = loss->row_weight;
        }
    return LMB_OK;
}

static lmb_status add_labels(lmb_loss *loss, const lmb_loss_inputs *in,
    const lmb_taps *student, const lmb_pairs *pairs)
{
    const lmb_tap *tap = lmb_taps_find(student, pairs->pair[0].student);
    const bool needed = (loss->method->needs & LMB_NEED_LABELS) != 0;
    if (tap == NULL || tap->shape.rank == 4)
        return LMB_OK; /* dense heads: labels come from boxes */
    const bool rois = strcmp(tap->name, "roi.logits") == 0;
    if (in->labels == NULL && needed)
        return LMB_FAIL(LMB_EINVAL, "%s: needs labels", loss->method->name);
    if (in->labels == NULL || !(needed || rois))
        return LMB_OK;
    const lmb_shape shape = tap->shape;
    if (in->n_labels != shape.dim[0])
        return LMB_FAIL(LMB_ESHAPE, "%s: %lld labels for %lld rows",
            loss->method->name, (long long)in->n_labels,
            (long long)shape.dim[0]);
    loss->n_labels = in->n_labels;
    loss->classes = shape.dim[shape.rank - 1];
    loss->labels =
        lmb_graph_input(loss->g, "labels", LMB_I32, LMB_SHAPE(in->n_labels));
    return rois ? add_row_weight(loss, tap->name) : LMB_OK;
}

static lmb_value no_teacher_head(
    void *user, lmb_graph *g, const char *name, int after, lmb_value features)
{
    (void)features;
    (void)after;
    lmb_graph_fail(g,
        LMB_FAIL(LMB_EUNSUPPORTED, "%s: no teacher network to take '%s' of",
            (const char *)user, name));
    return LMB_NONE;
}

static lmb_status check_progress(
    const lmb_loss *loss, const lmb_loss_inputs *in)
{
    const lmb_method *m = loss->method;
    const int phases = lmb_method_phases(m, loss->state);
    if (in->phase < 0 || in->phase >= phases)
        return LMB_FAIL(LMB_EINVAL, "%s: phase %d, it has 0 .. %d", m->name,
            in->phase, phases - 1);
    if (in->stage < 0 || in->step < 0)
        return LMB_FAIL(LMB_EINVAL, "%s: stage %d and step %lld, both from 0",
            m->name, in->stage, (long long)in->step);
    return LMB_OK;
}

static lmb_value last_input(const lmb_graph *g)
{
    lmb_value last = LMB_NONE;
    for (lmb_value v = LMB_NONE; lmb_is(v = lmb_graph_next_input(g, v));)
        last = v;
    return last;
}

/* Classes that the boxes of a dense head may have: channels over anchors; 0 if
 * the method does not look at them. */
static int64_t dense_classes(const lmb_loss *loss, const lmb_build *b)
{
    const lmb_tap *tap = lmb_taps_find(b->student, b->pairs.pair[0].student);
    const lmb_opt *row = lmb_opt_find(loss->method->opts, "dense_anchors");
    if (tap == NULL || tap->shape.rank != 4 || row == NULL ||
        (loss->method->needs & LMB_NEED_LABELS) == 0)
        return 0;
    const void *at = (const char *)loss->state + row->offset;
    const int64_t anchors = *(const int64_t *)at;
    return tap->shape.dim[1] / (anchors > 0 ? anchors : 1);
}

/* Ground truth, if it is given; a method that cannot do without says so. */
static lmb_status add_truth(
    lmb_loss *loss, const lmb_loss_inputs *in, lmb_build *b)
{
    lmb_loss_truth *t = &loss->truth;
    if (in->boxes == NULL)
        return LMB_OK;
    LMB_TRY(lmb__loss_truth_init(t, loss->g, in, b->student));
    t->classes = dense_classes(loss, b);
    b->boxes = t->boxes;
    b->box_labels = t->labels;
    b->box_valid = t->valid;
    b->input_size[0] = t->input_size[0];
    b->input_size[1] = t->input_size[1];
    return LMB_OK;
}

static lmb_status build_value(lmb_loss *loss, const lmb_loss_inputs *in)
{
    const lmb_method *m = loss->method;
    const lmb_taps student = {loss->student.taps, loss->student.n};
    const lmb_taps teacher = {loss->teacher.taps, loss->teacher.n};
    lmb_build b = {
        .g = loss->g,
        .method = m->name,
        .mode = LMB_MODE_TRAIN,
        .student = &student,
        .teacher = &teacher,
        .params = loss->params,
        .prefix = "",
        .stage = in->stage,
        .phase = in->phase,
        .teacher_head = no_teacher_head,
        .user = (void *)(uintptr_t)m->name,
    };
    LMB_TRY(check_progress(loss, in));
    LMB_TRY(choose_pairs(loss, in, &student, &teacher, &b.pairs));
    LMB_TRY(add_labels(loss, in, &student, &b.pairs));
    b.labels = loss->labels;
    LMB_TRY(add_truth(loss, in, &b));
    const lmb_value before = last_input(loss->g);
    lmb_graph_push(loss->g, m->name);
    loss->value = m->build(loss->state, &b);
    lmb_graph_pop(loss->g);
    LMB_TRY(lmb_graph_status(loss->g));
    return lmb_feeds_init(&loss->feeds, loss->g, before, loss->dtype);
}

/* Values to differentiate by: wanted student taps, then trainable parameters;
 * `into` says where each gradient goes. */
static int wanted_values(const lmb_loss *loss, lmb_value *wrt, lmb_value **into)
{
    int n = 0;
    for (int i = 0; i < loss->student.n; i++) {
        if (!loss->student.wanted[i])
            continue;
        into[n] = &loss->student.grads[i];
        wrt[n++] = loss->student.taps[i].value;
    }
    for (int i = 0; i < lmb_params_count(loss->params); i++) {
        lmb_param *p = lmb_params_at(loss->params, i);
        if (!p->trainable)
            continue;
        into[n] = &loss->param_grads[i];
        wrt[n++] = lmb_graph_param(loss->g, p);
    }
    return n;
}

/* Gradients and plan; `outputs` has room for all of them and the value. */
static lmb_status compile(
    lmb_loss *loss, lmb_value *outputs, lmb_value *wrt, lmb_value **into)
{
    const bool reference = loss->dtype == LMB_F64;
    int n_out = 0;
    outputs[n_out++] = loss->value;
    if (!reference)
        lmb_passes_forward(loss->g, 1, outputs);
    const int n = wanted_values(loss, wrt, into);
    lmb_backward(loss->g, loss->value, n, wrt, outputs + 1);
    for (int i = 0; i < n; i++) {
        *into[i] = outputs[1 + i];
        if (lmb_is(*into[i]))
            outputs[n_out++] = *into[i];
    }
    if (!reference)
        lmb_passes_backward(loss->g, n_out, outputs);
    const lmb_plan_opts opts = {
        .reference = reference,
        .allow_reference = true,
    };
    return lmb_plan_compile(loss->g, n_out, outputs, &opts, &loss->plan);
}

static lmb_status build_gradients(lmb_loss *loss)
{
    lmb_status st = LMB_OK;
    lmb_value *outputs = NULL, *wrt = NULL, **into = NULL;
    const int n = loss->student.n + lmb_params_count(loss->params);
    LMB_GOTO(LMB_NEW(loss->param_grads, n), st, done);
    LMB_GOTO(LMB_NEW(outputs, n + 1), st, done);
    LMB_GOTO(LMB_NEW(wrt, n), st, done);
    LMB_GOTO(LMB_NEW(into, n), st, done);
    LMB_GOTO(compile(loss, outputs, wrt, into), st, done);
done:
    lmb_free(outputs);
    lmb_free(wrt);
    lmb_free(into);
    return st;
}

static lmb_status make(lmb_loss *loss, const lmb_loss_inputs *in)
{
    const lmb_method *m = loss->method;
    if (in->dtype != LMB_F32 && in->dtype != LMB_F64)
        return LMB_FAIL(LMB_EINVAL, "%s: arrays are F32 or F64, not %s",
            m->name, lmb_dtype_name(in->dtype));
    const uint32_t served = LMB_NEED_LABELS | LMB_NEED_BOXES;
    if ((m->needs & ~served) != 0)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: needs more than arrays; use it in a training run", m->name);
    loss->dtype = in->dtype;
    loss->phase = in->phase;
    loss->stage = in->stage;
    LMB_TRY(lmb_arena_new(&loss->arena));
    LMB_TRY(lmb_graph_new(&loss->g));
    LMB_TRY(lmb_params_new(in->dtype, &loss->params));
    LMB_TRY(configure(loss, in));
    LMB_TRY(
        add_side(loss, &loss->student, "student", in->n_student, in->student));
    LMB_TRY(
        add_side(loss, &loss->teacher, "teacher", in->n_teacher, in->teacher));
    LMB_TRY(build_value(loss, in));
    LMB_TRY(lmb_params_seal(loss->params));
    lmb_params_init(loss->params, in->seed);
    LMB_TRY(build_gradients(loss));
    return lmb_feeds_bind(&loss->feeds, loss->plan);
}

lmb_status lmb_loss_new(
    const char *method, const lmb_loss_inputs *in, lmb_loss **out)
{
    lmb_status st = LMB_OK;
    lmb_loss *loss = NULL;
    LMB_TRY(LMB_NEW(loss, 1));
    LMB_GOTO(lmb_method_get(method, &loss->method), st, done);
    LMB_GOTO(make(loss, in), st, done);
    *out = loss;
    loss = NULL;
done:
    lmb_loss_free(loss);
    return st;
}

/* --- running -------------------------------------------------------------- */

/* What the compiled loss has in it is the same as then. */
static lmb_status check_same(const lmb_loss *loss, const lmb_loss_inputs *in)
{
    if (in->dtype != loss->dtype)
        return LMB_FAIL(LMB_EINVAL, "arrays of %s, compiled for %s",
            lmb_dtype_name(in->dtype), lmb_dtype_name(loss->dtype));
    if (in->phase != loss->phase || in->stage != loss->stage)
        return LMB_FAIL(LMB_EINVAL,
            "phase %d of stage %d, compiled for phase %d of stage %d: each has "
            "a loss of its own",
            in->phase, in->stage, loss->phase, loss->stage);
    return LMB_OK;
}

static lmb_status set_side(lmb_loss *loss, const side *s, const char *role,
    int n, const lmb_loss_array *arrays)
{
    if (n != s->n)
        return LMB_FAIL(
            LMB_ESHAPE, "%s: %d arrays, compiled for %d", role, n, s->n);
    for (int i = 0; i < n; i++) {
        if (arrays[i].name == NULL ||
            strcmp(arrays[i].name, s->taps[i].name) != 0)
            return LMB_FAIL(LMB_EINVAL,
                "%s: array %d is '%s', compiled for "
                "'%s'",
                role, i, arrays[i].name != NULL ? arrays[i].name : "",
                s->taps[i].name);
        if (!lmb_shape_equal(&arrays[i].shape, &s->taps[i].shape))
            return LMB_FAIL(LMB_ESHAPE, "%s.%s: %s, compiled for %s", role,
                s->taps[i].name, lmb_shape_text(&arrays[i].shape),
                lmb_shape_text(&s->taps[i].shape));
        if (arrays[i].data == NULL)
            return LMB_FAIL(
                LMB_EINVAL, "%s.%s: no data", role, s->taps[i].name);
        if (s == &loss->student && s->wanted[i] != (arrays[i].grad != NULL))
            return LMB_FAIL(LMB_EINVAL,
                "%s.%s: gradient wanted now or at compile time, not both", role,
                s->taps[i].name);
        LMB_TRY(lmb_plan_set(
            loss->plan, s->taps[i].value, loss->dtype, arrays[i].data));
    }
    return LMB_OK;
}

static lmb_status set_labels(lmb_loss *loss, const lmb_loss_inputs *in)
{
    if (!lmb_is(loss->labels))
        return LMB_OK;
    if (in->labels == NULL || in->n_labels != loss->n_labels)
        return LMB_FAIL(LMB_ESHAPE, "%lld labels, compiled for %lld",
            (long long)in->n_labels, (long long)loss->n_labels);
    const bool rois = lmb_is(loss->row_weight);
    for (int64_t i = 0; i < in->n_labels; i++) {
        const int32_t label = in->labels[i];
        if (label < (rois ? -1 : 0) || label >= loss->classes)
            return LMB_FAIL(LMB_EINVAL, "label %lld is %d, outside 0 .. %lld",
                (long long)i, (int)label, (long long)loss->classes - 1);
        if (rois && loss->dtype == LMB_F64)
            ((double *)loss->row_weight_data)[i] = label >= 0;
        else if (rois)
            ((float *)loss->row_weight_data)[i] = label >= 0;
    }
    if (rois)
        LMB_TRY(lmb_plan_set(
            loss->plan, loss->row_weight, loss->dtype, loss->row_weight_data));
    return lmb_plan_set(loss->plan, loss->labels, LMB_I32, in->labels);
}

static lmb_status set_params(lmb_loss *loss, const lmb_loss_inputs *in)
{
    for (int i = 0; i < in->n_params; i++) {
        const lmb_loss_array *a = &in->params[i];
        if (a->name == NULL || a->data == NULL)
            return LMB_FAIL(LMB_EINVAL, "%s: parameter %d has no %s",
                loss->method->name, i, a->name == NULL ? "name" : "data");
        const lmb_param *p = lmb_params_find(loss->params, a->name);
        if (p == NULL)
            return LMB_FAIL(LMB_ENOTFOUND, "%s: it has no parameter '%s'",
                loss->method->name, a->name);
        if (!lmb_shape_equal(&a->shape, &p->shape))
            return LMB_FAIL(LMB_ESHAPE, "parameter %s: %s, not %s", p->name,
                lmb_shape_text(&a->shape), lmb_shape_text(&p->shape));
        memcpy(lmb_param_data(p), a->data,
            (size_t)p->count * lmb_dtype_size(loss->dtype));
    }
    if (in->n_params > 0)
        lmb_params_touch(loss->params);
    return LMB_OK;
}

/* What a schedule sees of a loss that has no run: step and batch alone. */
static lmb_status feed(lmb_loss *loss, const lmb_loss_inputs *in)
{
    const lmb_feed at = {
        .epochs = 1,
        .step = in->step,
        .seed = in->seed,
        .batch = loss->student.taps[0].shape.dim[0],
        .labels = in->labels,
    };
    return lmb_feeds_run(&loss->feeds, loss->method, loss->state, &at);
}

/* A gradient, or zeros if the loss does not depend on the array. */
static lmb_status read_gradient(
    const lmb_loss *loss, lmb_value grad, const lmb_loss_array *to)
{
    if (to->grad == NULL)
        return LMB_OK;
    if (lmb_is(grad))
        return lmb_plan_read(loss->plan, grad, loss->dtype, to->grad);
    memset(to->grad, 0,
        (size_t)lmb_shape_count(&to->shape) * lmb_dtype_size(loss->dtype));
    return LMB_OK;
}

static lmb_status read_gradients(
    const lmb_loss *loss, const lmb_loss_inputs *in)
{
    for (int i = 0; i < in->n_student; i++)
        LMB_TRY(read_gradient(loss, loss->student.grads[i], &in->student[i]));
    for (int k = 0; k < in->n_params; k++)
        for (int i = 0; i < lmb_params_count(loss->params); i++)
            if (strcmp(lmb_params_at(loss->params, i)->name,
                    in->params[k].name) == 0)
                LMB_TRY(
                    read_gradient(loss, loss->param_grads[i], &in->params[k]));
    return LMB_OK;
}

lmb_status lmb_loss_run(
    lmb_loss *loss, const lmb_loss_inputs *in, double *value)
{
    LMB_TRY(check_same(loss, in));
    LMB_TRY(
        set_side(loss, &loss->student, "student", in->n_student, in->student));
    LMB_TRY(
        set_side(loss, &loss->teacher, "teacher", in->n_teacher, in->teacher));
    LMB_TRY(set_labels(loss, in));
    LMB_TRY(set_params(loss, in));
    LMB_TRY(lmb__loss_truth_set(&loss->truth, loss->plan, in));
    LMB_TRY(feed(loss, in));
    LMB_TRY(lmb_plan_run(loss->plan));
    LMB_TRY(read_gradients(loss, in));
    *value = lmb_plan_scalar(loss->plan, loss->value);
    if (!isfinite(*value))
        return LMB_FAIL(
            LMB_ENUMERIC, "%s: the loss is %g", loss->method->name, *value);
    return LMB_OK;
}

lmb_status lmb_loss_eval(
    const char *method, const lmb_loss_inputs *in, double *value)
{
    lmb_loss *loss = NULL;
    LMB_TRY(lmb_loss_new(method, in, &loss));
    const lmb_status st = lmb_loss_run(loss, in, value);
    lmb_loss_free(loss);
    return st;
}

lmb_status lmb_loss_params(
    const lmb_loss *loss, lmb_loss_visit visit, void *user)
{
    for (int i = 0; i < lmb_params_count(loss->params); i++) {
        const lmb_param *p = lmb_params_at(loss->params, i);
        visit(user, p->name, &p->shape, p->trainable, lmb_param_data(p));
    }
    return LMB_OK;
}
