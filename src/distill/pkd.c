/* pkd.c: distillation by Pearson's correlation.
 *
 * L = sum over levels 0.5 mean (n(F_s) - n(F_t))^2, F [N, C, H, W], n the
 * standardisation of each channel over N, H and W: so magnitudes do not count,
 * and a teacher of another family can teach.
 * Source: Cao et al., "PKD: general distillation framework for object
 * detectors via Pearson correlation coefficient", arXiv:2207.02039, eq. 4-6;
 * mmrazor's PKDLoss. Weight 10 is for one-stage students, 6 for Faster R-CNN.
 * Deviation: a 1x1 convolution where channels differ (the code refuses). */
#include "distill/levels.h"
#include "distill/maps.h"

typedef struct pkd_state {
    int64_t levels;
} pkd_state;

static const lmb_opt options[] = {
    LMB_OPT_LEVELS(pkd_state, 4),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const pkd_state *o = state;
    return lmb_levels_pairs("p", o->levels, student, teacher, out);
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    (void)state;
    return lmb_map_pearson(b->g, l->s, l->t);
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_levels_sum(b, term, state);
}

const lmb_method lmb_method_pkd = {
    .name = "pkd",
    .title = "pyramid levels by correlation: any detector teaches any other",
    .source = "arXiv:2207.02039, eq. 4-6",
    .ce_weight = 1,
    .weight = 10,
    .two_stage_weight = 6,
    .opts = options,
    .state_size = sizeof(pkd_state),
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
};
