/* dmkd.c: dual masking knowledge distillation.
 *
 * L = alpha sum over levels |R - F_t|^2 / N, R the student's map completed
 * behind masks of places and of channels that the teacher's attention chooses
 * (dual_mask.c).
 * Source: Yang et al., "DMKD", arXiv:2309.02719. A reconstruction: there is no
 * published code; alpha and the masked share are MGD's. It is DFMSD without
 * its stages, masking enhancement and feature alignment. */
#include "distill/dual_mask.h"

typedef struct dmkd_state {
    double alpha;
    int64_t levels;
    lmb_dual_mask mask;
} dmkd_state;

static const lmb_opt options[] = {
    {.name = "alpha",
        .help = "factor of the term (two-stage detectors: 5e-7)",
        .type = LMB_OPT_F64,
        .offset = offsetof(dmkd_state, alpha),
        .def = 2e-5,
        .high = 1e6},
    LMB_DUAL_MASK_OPTS(dmkd_state),
    LMB_OPT_LEVELS(dmkd_state, 0),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const dmkd_state *o = state;
    return lmb_levels_pairs_alike(o->levels, student, teacher, out);
}

static lmb_masks masks_of(
    const dmkd_state *o, const lmb_build *b, const lmb_level *l)
{
    const lmb_emphasis none = {.gap_space = LMB_NONE};
    return lmb_dual_masks(b->g, &o->mask, &none, l->t);
}

static lmb_value mask(const void *state, const lmb_build *b, int i)
{
    lmb_level l;
    return lmb_level_pair(b, i, &l) ? masks_of(state, b, &l).space : LMB_NONE;
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const dmkd_state *o = state;
    const lmb_masks masks = masks_of(o, b, l);
    lmb_nn nn;
    lmb_level_nn(b, l->index, &nn);
    return lmb_scale(
        b->g, lmb_dual_mask_loss(&nn, &o->mask, &masks, l->s, l->t), o->alpha);
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_levels_sum(b, term, state);
}

/* P2 .. P5: P6 is a maximum over P5. */
static const char *const on_two_stages[] = {"alpha", "5e-7", "ratio_space",
    "0.45", "ratio_channel", "0.45", "levels", "4", NULL};

const lmb_method lmb_method_dmkd = {
    .name = "dmkd",
    .title = "places and channels masked by the teacher's attention",
    .source = "arXiv:2309.02719 (reconstruction)",
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .two_stage_options = on_two_stages,
    .state_size = sizeof(dmkd_state),
    .pairs = pairs,
    .mask = mask,
    .describe = lmb_levels_describe,
    .build = build,
};
