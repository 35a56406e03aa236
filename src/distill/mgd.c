/* mgd.c: masked generative distillation.
 *
 * L = alpha sum over levels sum (G(M F_s) - F_t)^2 / N, F [N, C, H, W],
 * M [N, 1, H, W] random: a place is hidden with probability `ratio`;
 * G conv3x3 - ReLU - conv3x3, trained along.
 * Source: Yang et al., "Masked generative distillation", arXiv:2205.01529,
 * eq. 3-5, and the authors' code. Its values: alpha 2e-5, ratio 0.65 for
 * RetinaNet and RepPoints; 5e-7, 0.45 for Faster R-CNN. */
#include "distill/generator.h"
#include "distill/levels.h"
#include "distill/maps.h"
#include "distill/masking.h"

typedef struct mgd_state {
    double alpha, ratio;
    int64_t levels;
    lmb_mask_room room;
} mgd_state;

static const lmb_opt options[] = {
    {.name = "alpha",
        .help = "factor of the term (two-stage detectors: 5e-7)",
        .type = LMB_OPT_F64,
        .offset = offsetof(mgd_state, alpha),
        .def = 2e-5,
        .high = 1e6,
        .aliases = "alpha_mgd"},
    {.name = "ratio",
        .help = "share of places that are hidden (two-stage: 0.45)",
        .type = LMB_OPT_F64,
        .offset = offsetof(mgd_state, ratio),
        .def = 0.65,
        .high = 1,
        .aliases = "lambda_mgd"},
    LMB_OPT_LEVELS(mgd_state, 0),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const mgd_state *o = state;
    return lmb_levels_pairs_alike(o->levels, student, teacher, out);
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const mgd_state *o = state;
    lmb_graph *g = b->g;
    lmb_nn nn;
    const int64_t *d = l->shape.dim;
    lmb_value mask =
        lmb_mask_random(g, l->index, LMB_SHAPE(d[0], 1, d[2], d[3]));
    lmb_level_nn(b, l->index, &nn);
    lmb_value made = lmb_generate(&nn, "generation", lmb_mul(g, l->s, mask));
    return lmb_scale(g, lmb_map_squares(g, made, l->t), o->alpha);
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_levels_sum(b, term, state);
}

static lmb_status feed(void *state, const lmb_feed *f)
{
    mgd_state *o = state;
    return lmb_mask_feed(f, o->ratio, &o->room);
}

static void fini(void *state)
{
    mgd_state *o = state;
    lmb_free(o->room.mask);
}

/* P2 .. P5: P6 is a maximum over P5. */
static const char *const on_two_stages[] = {
    "alpha", "5e-7", "ratio", "0.45", "levels", "4", NULL};

const lmb_method lmb_method_mgd = {
    .name = "mgd",
    .title = "randomly masked pyramid levels completed to the teacher's",
    .source = "arXiv:2205.01529, eq. 3-5",
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .two_stage_options = on_two_stages,
    .state_size = sizeof(mgd_state),
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
    .feed = feed,
    .fini = fini,
};
