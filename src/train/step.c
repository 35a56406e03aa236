/* step.c: one training step as one graph: student forward, teacher forward,
 * losses, backward; compiled once per batch size, phase and stage.
 *
 * The teacher comes first where it can, so that what it made is gone when the
 * student's activations are kept for the backward pass. A two-stage teacher
 * comes second: its head runs on the student's RoIs. */
#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- taps ----------------------------------------------------------------- */

typedef struct side {
    const lmb_network *net;
    lmb_nn nn;
    lmb_detection detection;
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
    lmb_tap *roi = (lmb_tap *)(uintptr_t)lmb_taps_find(&s->taps, "roi.logits");
    if (roi != NULL) {
        roi->labels = s->detection.roi_label;
        roi->row_weight = s->detection.roi_valid;
    }
}

static void build_side(side *s, lmb_graph *g, const lmb_network *net,
    lmb_mode mode, lmb_value x, const char *scope)
{
    s->net = net;
    lmb_nn_init(&s->nn, g, net->params, mode);
    lmb_graph_push(g, scope);
    (void)lmb_network_build(net, &s->nn, x, &s->detection);
    lmb_graph_pop(g);
    collect_taps(s);
}

/* 1 in the rows (axis 0) or columns (1) that are within the picture's height or
 * width, else 0: [N, 1, n, 1] or [N, 1, 1, n]. */
static lmb_value inside(
    lmb_graph *g, lmb_value sizes, int axis, int64_t n, int64_t images)
{
    double *at = lmb_graph_memory(g, (size_t)n * sizeof *at);
    for (int64_t i = 0; at != NULL && i < n; i++)
        at[i] = (double)i;
    const lmb_shape line =
        axis == 0 ? LMB_SHAPE(1, 1, n, 1) : LMB_SHAPE(1, 1, 1, n);
    lmb_value limit = lmb_reshape(
        g, lmb_slice(g, sizes, 1, axis, axis + 1), LMB_SHAPE(images, 1, 1, 1));
    lmb_value out =
        lmb_greater_equal(g, lmb_graph_constant(g, line, at, 0), limit);
    return lmb_affine(g, out, -1, 1);
}

/* The teacher's input from the student's: other mean and deviation. Padding
 * stays 0, as it is where the teacher runs by itself. */
static lmb_value renormalise(lmb_graph *g, lmb_value x, lmb_value sizes,
    const lmb_network *from, const lmb_network *to)
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
    const lmb_shape d = lmb_graph_shape(g, x);
    lmb_value moved = lmb_graph_constant(g, shape, shift, 0);
    if (lmb_is(sizes)) {
        lmb_value rows = inside(g, sizes, 0, d.dim[2], d.dim[0]);
        lmb_value columns = inside(g, sizes, 1, d.dim[3], d.dim[0]);
        moved = lmb_mul(g, moved, lmb_mul(g, rows, columns));
    }
    return lmb_add(
        g, lmb_mul(g, x, lmb_graph_constant(g, shape, scale, 0)), moved);
}

int64_t lmb_teacher_side(int64_t pixels, double factor, int32_t pad)
{
    const double unit = pad > 0 ? pad : 1;
    const double units = round((double)pixels * factor / unit);
    return (int64_t)(unit * (units < 1 ? 1 : units));
}

lmb_value lmb_teacher_input(lmb_graph *g, lmb_value x, lmb_value sizes,
    const lmb_network *student, const lmb_network *teacher,
    const int64_t size[2])
{
    const lmb_shape from = lmb_graph_shape(g, x);
    x = renormalise(g, x, sizes, student, teacher);
    if (size[0] > 0 && (size[0] != from.dim[2] || size[1] != from.dim[3]))
        x = lmb_resize(g, x, size[0], size[1], LMB_RESIZE_BILINEAR);
    return x;
}

static lmb_value teacher_input(lmb_train_step *s)
{
    const lmb_step_spec *spec = &s->spec;
    return lmb_teacher_input(
        s->g, s->x, s->sizes, spec->student, spec->teacher, spec->teacher_size);
}

/* --- the table of pairs --------------------------------------------------- */

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

/* --- terms ---------------------------------------------------------------- */

/* The teacher's head on other features: what `lmb_build.teacher_head` is. */
static lmb_value teacher_head(
    void *user, lmb_graph *g, const char *name, int after, lmb_value features)
{
    side *teacher = user;
    const lmb_model *m = teacher->net->model;
    if (m->head_tail == NULL) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EUNSUPPORTED,
                "teacher %s has no head that other features can go through",
                m->name));
        return LMB_NONE;
    }
    lmb_nn nn;
    lmb_nn_init(&nn, g, teacher->net->params, LMB_MODE_EVAL);
    nn.options = &teacher->net->opts;
    if (after == 0) /* where the taps are taken: see head_dense.c */
        after = (int)teacher->net->opts.head_convs - 1;
    return m->head_tail(m, &nn, name, after, features, teacher->net->classes);
}

/* Without the teacher there are its logits and nothing else of it. */
static lmb_status check_cacheable(
    const lmb_train_step *s, const lmb_term *term, const lmb_pairs *pairs)
{
    if (s->spec.teacher_logits == LMB_LOGITS_LIVE)
        return LMB_OK;
    for (int i = 0; i < pairs->count; i++) {
        const char *tap = pairs->pair[i].teacher;
        if (tap != NULL && strcmp(tap, "logits") != 0)
            return LMB_FAIL(LMB_EUSAGE,
                "%s compares the teacher's %s, and a cache holds its logits "
                "alone: leave --cache out",
                term->method->name, tap);
    }
    if (term->method->needs & (LMB_NEED_TEACHER_HEAD | LMB_NEED_TEACHER_PARAMS))
        return LMB_FAIL(LMB_EUSAGE,
            "%s needs the teacher's weights, and a cache holds its logits "
            "alone: leave --cache out",
            term->method->name);
    return LMB_OK;
}

static lmb_status describe_term(
    lmb_train_step *s, const lmb_term *term, lmb_build *b)
{
    LMB_TRY(lmb_method_pairs(term->method, term->state, b->student, b->teacher,
        term->n_map, term->map, &b->pairs));
    LMB_TRY(check_cacheable(s, term, &b->pairs));
    return describe_pairs(s, term, b);
}

static lmb_value build_term(
    lmb_train_step *s, int i, const side *student, side *teacher)
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
        .stage = s->spec.stage,
        .phase = s->spec.phase[i],
        .labels = s->labels,
        .index = s->index,
        .samples = s->spec.samples,
        .boxes = s->truth.boxes,
        .box_labels = s->truth.labels,
        .box_valid = s->truth.valid,
        .input_size = {s->spec.height, s->spec.width},
        .classes = s->spec.student->classes,
        .teacher_box = teacher->net->model->box_code,
        .teacher_params = s->spec.teacher->params,
        .teacher_head = teacher_head,
        .user = teacher,
    };
    const lmb_status st = describe_term(s, term, &b);
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

static void add_part(lmb_train_step *s, const char *name, lmb_value value)
{
    s->part_name[s->n_parts] = name;
    s->part[s->n_parts] = lmb_scale(s->g, value, s->spec.task_weight);
    add_loss(s, s->part[s->n_parts++]);
}

/* Cross-entropy, or what the detector made of the ground truth. */
static void build_task_loss(lmb_train_step *s, const side *student)
{
    const lmb_detection *d = &student->detection;
    if (s->spec.task_weight == 0)
        return;
    if (s->spec.boxes == 0) {
        lmb_graph_push(s->g, "ce");
        add_part(s, "ce", lmb_cross_entropy(s->g, s->logits, s->labels));
        lmb_graph_pop(s->g);
    }
    for (int i = 0; i < d->n_losses; i++)
        add_part(s, d->loss[i].name, d->loss[i].value);
}

static void build_loss(lmb_train_step *s, const side *student, side *teacher)
{
    const lmb_step_spec *spec = &s->spec;
    build_task_loss(s, student);
    for (int i = 0; i < spec->n_terms; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "share.%d", i);
        s->share[i] = lmb_graph_input(s->g, name, LMB_F32, LMB_SCALAR);
        const lmb_value term = build_term(s, i, student, teacher);
        if (lmb_is(term))
            lmb_graph_fail(
                s->g, lmb_feeds_init(&s->feeds[i], s->g, s->share[i], LMB_F32));
        s->term[i] = lmb_mul(
            s->g, lmb_scale(s->g, term, spec->terms[i].weight), s->share[i]);
        add_loss(s, s->term[i]);
    }
    if (!lmb_is(s->loss))
        lmb_graph_fail(s->g,
            LMB_FAIL(LMB_EINVAL,
                "no loss: the weight of the task's own is 0 and there is no "
                "method"));
}

/* --- the whole ------------------------------------------------------------ */

static void build_inputs(lmb_train_step *s)
{
    const int64_t n = s->spec.batch, m = s->spec.boxes;
    lmb_graph *g = s->g;
    s->x = lmb_graph_input(
        g, "x", LMB_F32, LMB_SHAPE(n, 3, s->spec.height, s->spec.width));
    s->index = lmb_graph_input(g, "index", LMB_I32, LMB_SHAPE(n));
    if (m == 0) {
        s->labels = lmb_graph_input(g, "labels", LMB_I32, LMB_SHAPE(n));
        return;
    }
    s->truth = (lmb_truth){
        .boxes = lmb_graph_input(g, "boxes", LMB_F32, LMB_SHAPE(n, m, 4)),
        .labels = lmb_graph_input(g, "box_labels", LMB_I32, LMB_SHAPE(n, m)),
        .valid = lmb_graph_input(g, "box_valid", LMB_F32, LMB_SHAPE(n, m)),
        .draw = lmb_graph_input(g, "draw", LMB_I32, LMB_SHAPE(4)),
    };
    s->sizes = lmb_graph_input(g, "sizes", LMB_F32, LMB_SHAPE(n, 2));
    s->truth.sizes = s->sizes;
}

static void build_student(lmb_train_step *s, side *student)
{
    student->detection.sizes = s->sizes;
    student->detection.truth = &s->truth;
    build_side(student, s->g, s->spec.student, LMB_MODE_TRAIN, s->x, "student");
}

/* Boxes and sizes in the teacher's pixels. */
static lmb_value to_teacher(lmb_train_step *s, lmb_value v, bool rois)
{
    const int64_t *size = s->spec.teacher_size;
    if (!lmb_is(v) || size[0] == 0)
        return v;
    const double y = (double)size[0] / (double)s->spec.height;
    const double x = (double)size[1] / (double)s->spec.width;
    const double of_sizes[] = {y, x}, of_rois[] = {1, x, y, x, y};
    return lmb_mul(s->g, v,
        lmb_graph_constant(
            s->g, LMB_SHAPE(rois ? 5 : 2), rois ? of_rois : of_sizes, 0));
}

/* An input in place of the teacher's logits leaves the rest of the teacher
 * without use, and the plan leaves it out. */
static void choose_logits(lmb_train_step *s, side *teacher)
{
    for (int i = 0; i < teacher->taps.count; i++) {
        lmb_tap *tap = &teacher->tap[i];
        if (strcmp(tap->name, "logits") != 0)
            continue;
        if (s->spec.teacher_logits == LMB_LOGITS_GIVEN)
            tap->value =
                lmb_graph_input(s->g, "teacher.logits", LMB_F32, tap->shape);
        s->teacher_logits = tap->value;
    }
}

static void build_teacher(lmb_train_step *s, const side *student, side *teacher)
{
    teacher->detection.sizes = to_teacher(s, s->sizes, false);
    teacher->detection.rois = to_teacher(s, student->detection.roi_rows, true);
    build_side(teacher, s->g, s->spec.teacher, LMB_MODE_EVAL, teacher_input(s),
        "teacher");
    choose_logits(s, teacher);
}

static void build(lmb_train_step *s, side *student, side *teacher)
{
    const bool first = s->spec.boxes == 0;
    build_inputs(s);
    if (s->spec.teacher != NULL && first)
        build_teacher(s, student, teacher);
    build_student(s, student);
    if (s->spec.teacher != NULL && !first)
        build_teacher(s, student, teacher);
    s->logits = lmb_nn_tap_find(&student->nn, "logits");
    build_loss(s, student, teacher);
}

static int outputs_of(const lmb_train_step *s, lmb_value out[])
{
    int n = 0;
    out[n++] = s->loss;
    if (lmb_is(s->logits))
        out[n++] = s->logits;
    if (s->spec.teacher_logits == LMB_LOGITS_KEPT)
        out[n++] = s->teacher_logits;
    for (int i = 0; i < s->n_parts; i++)
        out[n++] = s->part[i];
    for (int i = 0; i < s->spec.n_terms; i++)
        out[n++] = s->term[i];
    return n;
}

static lmb_status differentiate(lmb_train_step *s)
{
    const lmb_step_spec *spec = &s->spec;
    lmb_value out[3 + LMB_MAX_PARTS + LMB_MAX_TERMS];
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

static lmb_status make_graph(lmb_train_step *s)
{
    lmb_status st = LMB_OK;
    side *sides = NULL;
    LMB_TRY(LMB_NEW(sides, 2));
    LMB_GOTO(lmb_graph_new(&s->g), st, done);
    build(s, &sides[0], &sides[1]);
    LMB_GOTO(lmb_graph_status(s->g), st, done);
done:
    lmb_free(sides);
    return st;
}

static lmb_status make(lmb_train_step *s)
{
    LMB_TRY(make_graph(s));
    LMB_TRY(differentiate(s));
    return lmb_train_step_connect(s);
}

lmb_status lmb_train_step_declare(const lmb_step_spec *spec, lmb_str *pairs)
{
    lmb_train_step *s = NULL;
    LMB_TRY(LMB_NEW(s, 1));
    s->spec = *spec;
    lmb_status st = make_graph(s);
    if (st == LMB_OK && pairs != NULL && s->pairs.text != NULL) {
        lmb_str_add(pairs, s->pairs.text);
        st = lmb_str_status(pairs);
    }
    lmb_train_step_free(s);
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
    for (int i = 0; i < LMB_MAX_TERMS; i++)
        lmb_feeds_fini(&s->feeds[i]);
    lmb_free(s->index_data);
    lmb_str_fini(&s->pairs);
    lmb_free(s);
}
