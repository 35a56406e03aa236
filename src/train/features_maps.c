/* features_maps.c: attention, differences and masks of feature maps.
 *
 * Attention is H W softmax(mean_c |F| / 0.5) over places (distill/attention.h),
 * of mean 1. The difference is mean_c |n(F_t) - n(F_s)|, n standardising each
 * channel over the places, where both maps have one shape; else that of the two
 * attentions, the student's resized. */
#include "train/features_maps.h"

#include "distill/attention.h"
#include "distill/levels.h"
#include "distill/maps.h"

#include <stdio.h>
#include <string.h>

/* --- networks ------------------------------------------------------------- */

typedef struct side {
    lmb_nn nn;
    lmb_tap tap[LMB_MAX_TAPS];
    lmb_taps taps;
} side;

static void build_side(
    side *s, lmb_graph *g, const lmb_network *net, lmb_value x)
{
    lmb_nn_init(&s->nn, g, net->params, LMB_MODE_EVAL);
    (void)lmb_network_build(net, &s->nn, x, NULL);
    for (int i = 0; i < s->nn.n_taps; i++)
        s->tap[i] = (lmb_tap){
            .name = s->nn.taps[i].name,
            .value = s->nn.taps[i].value,
            .shape = lmb_graph_shape(g, s->nn.taps[i].value),
        };
    s->taps = (lmb_taps){s->tap, s->nn.n_taps};
}

/* --- what a method hides -------------------------------------------------- */

/* A term of the stage with masks, and the pairs that it compares. */
typedef struct masker {
    const lmb_term *term;
    lmb_build build;
    char prefix[80];
} masker;

typedef struct maker {
    lmb_maps *m;
    lmb_run *run;
    const lmb_network *teacher; /* NULL: none */
    side student, taught_by;
    masker masks[LMB_MAX_TERMS];
    int n_masks;
} maker;

static lmb_status find_masks(maker *k, int stage, const lmb_step_spec *spec)
{
    for (int i = 0; i < spec->n_terms; i++) {
        const lmb_term *term = &spec->terms[i];
        masker *to = &k->masks[k->n_masks];
        if (term->method->mask == NULL)
            continue;
        to->term = term;
        (void)snprintf(
            to->prefix, sizeof to->prefix, "%s/", term->method->name);
        to->build = (lmb_build){
            .g = k->m->g,
            .method = term->method->name,
            .mode = LMB_MODE_EVAL,
            .student = &k->student.taps,
            .teacher = &k->taught_by.taps,
            .params = term->params,
            .prefix = to->prefix,
            .stage = stage,
            .input_size = {spec->height, spec->width},
            .classes = k->run->student.classes,
        };
        LMB_TRY(lmb_method_pairs(term->method, term->state, &k->student.taps,
            &k->taught_by.taps, term->n_map, term->map, &to->build.pairs));
        k->n_masks++;
    }
    return LMB_OK;
}

/* --- maps ----------------------------------------------------------------- */

static void add_map(maker *k, lmb_map_kind kind, const char *level,
    const char *method, lmb_value value)
{
    lmb_maps *m = k->m;
    if (m->count == LMB_MAX_MAPS || !lmb_is(value))
        return;
    const lmb_shape shape = lmb_graph_shape(m->g, value);
    lmb_feature_map *to = &m->map[m->count++];
    *to = (lmb_feature_map){.kind = kind,
        .method = method,
        .value = value,
        .h = shape.dim[2],
        .w = shape.dim[3]};
    (void)snprintf(to->level, sizeof to->level, "%s", level);
}

static lmb_value attention_of(lmb_graph *g, const lmb_tap *tap)
{
    return lmb_attend(g, tap->value, 0.5).space;
}

static lmb_value gap_of(lmb_graph *g, const lmb_tap *s, const lmb_tap *t)
{
    if (lmb_shape_equal(&s->shape, &t->shape)) {
        lmb_value a = lmb_map_standardize(g, t->value);
        lmb_value b = lmb_map_standardize(g, s->value);
        return lmb_mean(g, lmb_abs(g, lmb_sub(g, a, b)), LMB_AXIS(1), true);
    }
    lmb_value b = lmb_resize(g, attention_of(g, s), t->shape.dim[2],
        t->shape.dim[3], LMB_RESIZE_BILINEAR);
    return lmb_abs(g, lmb_sub(g, attention_of(g, t), b));
}

static void add_masks(maker *k, const char *level)
{
    for (int i = 0; i < k->n_masks; i++) {
        const masker *from = &k->masks[i];
        const lmb_pairs *pairs = &from->build.pairs;
        for (int p = 0; p < pairs->count; p++)
            if (strcmp(pairs->pair[p].student, level) == 0)
                add_map(k, LMB_MAP_MASK, level, from->term->method->name,
                    from->term->method->mask(
                        from->term->state, &from->build, p));
    }
}

static void add_level(maker *k, const lmb_pairing *pair)
{
    lmb_graph *g = k->m->g;
    const lmb_tap *s = lmb_taps_find(&k->student.taps, pair->student);
    if (k->teacher != NULL) {
        const lmb_tap *t = lmb_taps_find(&k->taught_by.taps, pair->teacher);
        add_map(k, LMB_MAP_TEACHER, s->name, NULL, attention_of(g, t));
        add_map(k, LMB_MAP_STUDENT, s->name, NULL, attention_of(g, s));
        add_map(k, LMB_MAP_GAP, s->name, NULL, gap_of(g, s, t));
        add_masks(k, s->name);
    } else {
        add_map(k, LMB_MAP_STUDENT, s->name, NULL, attention_of(g, s));
    }
}

/* --- the plan ------------------------------------------------------------- */

static lmb_status build(maker *k, int stage)
{
    lmb_maps *m = k->m;
    lmb_run *run = k->run;
    lmb_pairs pairs = {0};
    const int64_t size[3] = {1, m->height, m->width};
    run->stage = &run->stages[stage];
    const lmb_step_spec spec = lmb_run_step_spec(run, size);
    k->teacher = spec.teacher;
    m->x =
        lmb_graph_input(m->g, "x", LMB_F32, LMB_SHAPE(1, 3, size[1], size[2]));
    m->sizes = lmb_graph_input(m->g, "sizes", LMB_F32, LMB_SHAPE(1, 2));
    build_side(&k->student, m->g, &run->student, m->x);
    if (k->teacher != NULL)
        build_side(&k->taught_by, m->g, k->teacher,
            lmb_teacher_input(m->g, m->x, m->sizes, &run->student, k->teacher,
                spec.teacher_size));
    LMB_TRY(lmb_graph_status(m->g));
    LMB_TRY(lmb_levels_pairs("p", 0, &k->student.taps,
        k->teacher != NULL ? &k->taught_by.taps : &k->student.taps, &pairs));
    if (k->teacher != NULL)
        LMB_TRY(find_masks(k, stage, &spec));
    for (int i = 0; i < pairs.count; i++) {
        add_level(k, &pairs.pair[i]);
        if (i == 0)
            m->in_level = m->count;
    }
    return lmb_graph_status(m->g);
}

/* Resizing has no fast kernel everywhere; a few maps can wait for it. */
static lmb_status compile(lmb_maps *m, lmb_workspace *workspace)
{
    lmb_value outputs[LMB_MAX_MAPS];
    for (int i = 0; i < m->count; i++)
        outputs[i] = m->map[i].value;
    lmb_passes_backward(m->g, m->count, outputs);
    const lmb_plan_opts opts = {
        .allow_reference = true, .workspace = workspace};
    return lmb_plan_compile(m->g, m->count, outputs, &opts, &m->plan);
}

lmb_status lmb_maps_new(
    lmb_run *run, int stage, int64_t height, int64_t width, lmb_maps **out)
{
    lmb_maps *m = NULL;
    maker *k = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(m, 1), st, done);
    LMB_GOTO(LMB_NEW(k, 1), st, done);
    m->height = height;
    m->width = width;
    *k = (maker){.m = m, .run = run};
    LMB_GOTO(lmb_graph_new(&m->g), st, done);
    LMB_GOTO(build(k, stage), st, done);
    LMB_GOTO(compile(m, run->workspace), st, done);
    for (int i = 0; i < m->count; i++)
        LMB_GOTO(LMB_NEW(m->map[i].data, m->map[i].h * m->map[i].w), st, done);
    *out = m;
    m = NULL;
done:
    lmb_maps_free(m);
    lmb_free(k);
    return st;
}

lmb_status lmb_maps_run(lmb_maps *m, const float *x, const float size[2])
{
    LMB_TRY(lmb_plan_set(m->plan, m->x, LMB_F32, x));
    LMB_TRY(lmb_plan_set(m->plan, m->sizes, LMB_F32, size));
    LMB_TRY(lmb_plan_run(m->plan));
    for (int i = 0; i < m->count; i++)
        LMB_TRY(
            lmb_plan_read(m->plan, m->map[i].value, LMB_F32, m->map[i].data));
    return LMB_OK;
}

void lmb_maps_free(lmb_maps *m)
{
    if (m == NULL)
        return;
    for (int i = 0; i < m->count; i++)
        lmb_free(m->map[i].data);
    lmb_plan_free(m->plan);
    lmb_graph_free(m->g);
    lmb_free(m);
}
