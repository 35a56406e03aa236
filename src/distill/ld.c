/* ld.c: localisation distillation of heads that predict distributions.
 *
 * Box maps [N, 4 B, H, W] are logits of B bins for each of four sides. With
 * p, q the softmaxes over the bins of z_t / T, z_s / T:
 *   K = sum_sides T^2 mean_bins p log(p / q),
 *   L = 2 / N (sum over levels and main places of w K / 4
 *              + valuable sum over levels and places of v K / 16),
 * w = the student's largest class score of the place (score=student; the
 * teacher's, or 1). Main are the places that the student's own assigner makes
 * positive (region=main), those inside ground-truth boxes, or all; v is the IoU
 * of an anchor around the positive ones with its box, else 0 (match.h).
 * Source: Zheng et al., "Localization distillation for dense object
 * detection", arXiv:2102.12252, eq. 5 and algorithm 1, and the authors' code
 * (T = 10, both weights 0.25), which sums over the pictures of a GPU, two. Its
 * class part is `kd` with dense_top=0, temperature=2 and a weight of 10 / C. */
#include "distill/levels.h"
#include "distill/logits.h"
#include "distill/regions.h"

#include <stdio.h>
#include <string.h>

enum { REGION_MAIN, REGION_BOXES, REGION_ALL };
enum { SCORE_STUDENT, SCORE_TEACHER, SCORE_ONE };

typedef struct ld_state {
    double temperature, valuable;
    int64_t levels;
    int32_t region, score;
} ld_state;

static const lmb_opt options[] = {
    {.name = "temperature",
        .help = "softmax temperature T over the bins",
        .type = LMB_OPT_F64,
        .offset = offsetof(ld_state, temperature),
        .def = 10,
        .low = 0.01,
        .high = 1000,
        .aliases = "T|tau"},
    {.name = "region",
        .help = "places compared: those that the student's assigner takes, "
                "inside ground-truth boxes, or all",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(ld_state, region),
        .choices = "main|boxes|all"},
    {.name = "valuable",
        .help = "weight of the anchors around those of the main region, beside "
                "its 1",
        .type = LMB_OPT_F64,
        .offset = offsetof(ld_state, valuable),
        .def = 1,
        .high = 1e6},
    {.name = "score",
        .help = "whose largest class score (tap cls.pK) weighs a place",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(ld_state, score),
        .choices = "student|teacher|one"},
    LMB_OPT_LEVELS(ld_state, 0),
    {0},
};

/* The valuable region belongs to the main one. */
static lmb_status resolve(void *state, const char *const *given, int n_given)
{
    ld_state *o = state;
    if (o->region != REGION_MAIN &&
        !lmb_method_is_given("valuable", given, n_given))
        o->valuable = 0;
    return LMB_OK;
}

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const ld_state *o = state;
    return lmb_levels_pairs("box.p", o->levels, student, teacher, out);
}

/* The class scores that belong to a pair of box maps: sigmoid of the largest
 * logit, [N, 1, H, W]; NONE and a sticky error if there are none of that
 * size. */
static lmb_value scores(
    const lmb_build *b, const ld_state *o, const lmb_tap *s, const lmb_tap *t)
{
    char name[16];
    const bool own = o->score == SCORE_STUDENT;
    const lmb_taps *taps = own ? b->student : b->teacher;
    const lmb_tap *box = own ? s : t;
    (void)snprintf(name, sizeof name, "cls.p%d", lmb_level_of(box->name));
    const lmb_tap *cls = lmb_taps_find(taps, name);
    if (cls != NULL && cls->shape.rank == 4 &&
        cls->shape.dim[2] == s->shape.dim[2] &&
        cls->shape.dim[3] == s->shape.dim[3]) {
        lmb_value top = lmb_max(b->g, cls->value, LMB_AXIS(1), true);
        return lmb_stop_gradient(b->g, lmb_sigmoid(b->g, top));
    }
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ENOTFOUND,
            "%s: the %s has no tap '%s' beside %s %s; score=one needs none",
            b->method, own ? "student" : "teacher", name, box->name,
            lmb_shape_text(&box->shape)));
    return LMB_NONE;
}

/* What the student's assigner says of each place: [N, 1, H, W]; NONE and a
 * sticky error if it is not there. */
static lmb_value of_assigner(
    const lmb_build *b, const char *what, const lmb_tap *box, const char *rest)
{
    const int64_t *d = box->shape.dim;
    const lmb_tap *tap = lmb_level_assigned(b, what, box->name, d[2] * d[3]);
    if (tap != NULL)
        return lmb_reshape(b->g, lmb_stop_gradient(b->g, tap->value),
            LMB_SHAPE(d[0], 1, d[2], d[3]));
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ENOTFOUND,
            "%s: the student has no tap '%s.p%d', which its assigner makes; %s",
            b->method, what, lmb_level_of(box->name), rest));
    return LMB_NONE;
}

/* w of each place: [N, 1, H, W]. */
static lmb_value weights(
    const lmb_build *b, const ld_state *o, const lmb_tap *box, const lmb_tap *t)
{
    const int64_t *d = box->shape.dim;
    const lmb_shape shape = LMB_SHAPE(d[0], 1, d[2], d[3]);
    lmb_value w = o->score == SCORE_ONE
        ? lmb_graph_constant(b->g, shape, NULL, 1)
        : scores(b, o, box, t);
    switch (o->region) {
    case REGION_MAIN:
        return lmb_mul(b->g, w,
            of_assigner(
                b, "positive", box, "region=boxes and region=all need none"));
    case REGION_BOXES:
        return lmb_mul(b->g, w, lmb_box_inside(b, d[2], d[3]));
    default:
        return w;
    }
}

/* Bins last: [N, 4 B, H, W] -> [N, 4, H W, B]. */
static lmb_value bins_last(lmb_graph *g, lmb_value x, const lmb_shape *s)
{
    static const int order[] = {0, 1, 3, 2};
    x = lmb_reshape(
        g, x, LMB_SHAPE(s->dim[0], 4, s->dim[1] / 4, s->dim[2] * s->dim[3]));
    return lmb_permute(g, x, order);
}

static bool fits(const lmb_build *b, const lmb_tap *s, const lmb_tap *t)
{
    if (lmb_shape_equal(&s->shape, &t->shape) && s->shape.dim[1] % 4 == 0)
        return true;
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ESHAPE,
            "%s: student.%s %s and teacher.%s %s must be one [N, 4 B, H, W]: "
            "distributions over B bins for four sides",
            b->method, s->name, lmb_shape_text(&s->shape), t->name,
            lmb_shape_text(&t->shape)));
    return false;
}

/* sum over places of w K. */
static lmb_value level_sum(const lmb_build *b, const ld_state *o,
    const lmb_tap *s, const lmb_tap *t, lmb_value w)
{
    lmb_graph *g = b->g;
    const double temp = o->temperature;
    const lmb_shape *shape = &s->shape;
    const int64_t places = shape->dim[2] * shape->dim[3];
    lmb_value lp = lmb_log_probs(g, bins_last(g, t->value, shape), temp);
    lmb_value lq = lmb_log_probs(g, bins_last(g, s->value, shape), temp);
    lmb_value kl = lmb_kl_log(g, lp, lq); /* [N, 4, H W] */
    w = lmb_reshape(g, w, LMB_SHAPE(shape->dim[0], 1, places));
    return lmb_scale(g, lmb_sum(g, lmb_mul(g, kl, w), LMB_ALL_AXES, false),
        4 * temp * temp / (double)shape->dim[1]);
}

/* Offsets of nine anchors have the shape of nine bins: the shape of the map
 * does not tell, the teacher's model does. */
static bool has_bins(const lmb_build *b)
{
    if (b->teacher_box == NULL || strcmp(b->teacher_box, "bins") == 0)
        return true;
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_EUSAGE,
            "the teacher codes boxes as %s, and has no distributions of their "
            "sides (gfl_* have)",
            b->teacher_box));
    return false;
}

static lmb_value term(
    const lmb_build *b, const ld_state *o, const lmb_tap *s, const lmb_tap *t)
{
    lmb_graph *g = b->g;
    const double scale = 2 / (double)s->shape.dim[0];
    lmb_value main = level_sum(b, o, s, t, weights(b, o, s, t));
    main = lmb_scale(g, main, scale / 4);
    if (o->valuable == 0)
        return main;
    lmb_value v = of_assigner(b, "valuable", s, "valuable=0 needs none");
    return lmb_add(g, main,
        lmb_scale(g, level_sum(b, o, s, t, v), scale * o->valuable / 16));
}

static lmb_value build(void *state, const lmb_build *b)
{
    const ld_state *o = state;
    lmb_value sum = LMB_NONE;
    if (!has_bins(b))
        return LMB_NONE;
    if (o->region == REGION_BOXES && !lmb_need_boxes(b))
        return LMB_NONE;
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_tap s, t;
        if (!lmb_level_taps(b, i, &s, &t) || !fits(b, &s, &t))
            return LMB_NONE;
        lmb_value part = term(b, o, &s, &t);
        sum = i == 0 ? part : lmb_add(b->g, sum, part);
    }
    return sum;
}

const lmb_method lmb_method_ld = {
    .name = "ld",
    .title = "localisation: the distributions of box sides",
    .source = "arXiv:2102.12252, eq. 5",
    .needs = LMB_NEED_BOXES,
    .ce_weight = 1,
    .weight = 0.25,
    .opts = options,
    .resolve = resolve,
    .state_size = sizeof(ld_state),
    .pairs = pairs,
    .build = build,
};
