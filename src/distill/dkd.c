/* dkd.c: decoupled knowledge distillation.
 *
 * L = T^2 mean_n (alpha TCKD_n + beta NCKD_n), from logits [N, C] / T:
 * TCKD = KL between the two-way distributions (target, all others);
 * NCKD = KL between the softmaxes over the classes other than the target.
 * Source: Zhao et al., arXiv:2203.08679, eq. 7; mdistiller's DKD.
 * Deviations from the code, none visible in the value: the two-way logarithms
 * come from the target's log-odds (softplus), where the code takes the log of
 * a sum of probabilities that may underflow; the target is taken out by -1e9
 * and not by minus 1000. */
#include "distill/logits.h"

typedef struct dkd_state {
    double temperature, alpha, beta;
    lmb_logits_opts logits;
} dkd_state;

static const lmb_opt options[] = {
    {.name = "temperature",
        .help = "softmax temperature T of both sides",
        .type = LMB_OPT_F64,
        .offset = offsetof(dkd_state, temperature),
        .def = 4,
        .low = 0.01,
        .high = 1000,
        .aliases = "DKD.T|T|tau"},
    {.name = "alpha",
        .help = "weight of the target-class part",
        .type = LMB_OPT_F64,
        .offset = offsetof(dkd_state, alpha),
        .def = 1,
        .high = 1e6,
        .aliases = "DKD.ALPHA"},
    {.name = "beta",
        .help = "weight of the non-target part (2 to 8, by pair of models)",
        .type = LMB_OPT_F64,
        .offset = offsetof(dkd_state, beta),
        .def = 8,
        .high = 1e6,
        .aliases = "DKD.BETA"},
    LMB_OPTS_LOGITS(dkd_state),
    {0},
};

static lmb_value build(void *state, const lmb_build *b)
{
    const dkd_state *o = state;
    const double temp = o->temperature;
    lmb_graph *g = b->g;
    lmb_logits z;
    if (!lmb_logits_pair(b, &o->logits, 2, &z))
        return LMB_NONE;
    lmb_value target = lmb_logits_target(b, &z);
    lmb_decoupled t = lmb_decouple(g, lmb_scale(g, z.t, 1 / temp), target);
    lmb_decoupled s = lmb_decouple(g, lmb_scale(g, z.s, 1 / temp), target);
    lmb_value tckd = lmb_scale(g,
        lmb_sum(g, lmb_two_way_kl(g, t.odds, s.odds), LMB_AXIS(1), false),
        o->alpha);
    lmb_value nckd = lmb_scale(g, lmb_kl_log(g, t.others, s.others), o->beta);
    lmb_value sum = lmb_rows_mean(g, &z, lmb_add(g, tckd, nckd));
    return lmb_scale(g, sum, temp * temp);
}

static const char *const on_detectors[] = {
    "temperature", "1", "beta", "0.25", NULL};

const lmb_method lmb_method_dkd = {
    .name = "dkd",
    .title = "decoupled KD: target and non-target classes apart",
    .source = "arXiv:2203.08679, eq. 7",
    .needs = LMB_NEED_LABELS,
    .ce_weight = 1,
    .weight = 1,
    .warmup = 20,
    .ce_weight_keys = "DKD.CE_WEIGHT",
    .warmup_keys = "DKD.WARMUP",
    .opts = options,
    .detector_options = on_detectors,
    .state_size = sizeof(dkd_state),
    .pairs = lmb_logits_pairs,
    .build = build,
};
