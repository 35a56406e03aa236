/* nkd.c: normalised knowledge distillation.
 *
 * L = - mean_n t_ny log s_ny - gamma T^2 mean_n sum_{k != y} t^_nk log s^_nk,
 * t, s = softmax of z_t, z_s [N, C] at temperature 1; t^, s^ = softmaxes over
 * the classes other than the target y, at temperature T.
 * Source: Yang et al., "From knowledge distillation to self-knowledge
 * distillation", arXiv:2303.13005, eq. 8; the released NKDLoss, which has the
 * T^2. Both parts are cross-entropies: the value at z_s = z_t is not 0. */
#include "distill/logits.h"

typedef struct nkd_state {
    double temperature, gamma;
    lmb_logits_opts logits;
} nkd_state;

static const lmb_opt options[] = {
    {.name = "temperature",
        .help = "softmax temperature T of the non-target part",
        .type = LMB_OPT_F64,
        .offset = offsetof(nkd_state, temperature),
        .def = 1,
        .low = 0.01,
        .high = 1000,
        .aliases = "NKD.TEMP|NKD.T|temp|T|tau"},
    {.name = "gamma",
        .help = "weight of the non-target part",
        .type = LMB_OPT_F64,
        .offset = offsetof(nkd_state, gamma),
        .def = 1.5,
        .high = 1e6,
        .aliases = "NKD.GAMMA"},
    LMB_OPTS_LOGITS(nkd_state),
    {0},
};

/* - sum_{k != y} t^_k log s^_k at temperature T: [N]. */
static lmb_value non_target(
    lmb_graph *g, const nkd_state *o, const lmb_logits *z, lmb_value target)
{
    const double inverse = 1 / o->temperature;
    lmb_decoupled t = lmb_decouple(g, lmb_scale(g, z->t, inverse), target);
    lmb_decoupled s = lmb_decouple(g, lmb_scale(g, z->s, inverse), target);
    /* At the target the first factor is exp(-1e9) = 0. */
    lmb_value terms = lmb_mul(g, lmb_exp(g, t.others), s.others);
    return lmb_neg(g, lmb_sum(g, terms, LMB_AXIS(-1), false));
}

static lmb_value build(void *state, const lmb_build *b)
{
    const nkd_state *o = state;
    lmb_graph *g = b->g;
    lmb_logits z;
    if (!lmb_logits_pair(b, &o->logits, 2, &z))
        return LMB_NONE;
    lmb_value target = lmb_logits_target(b, &z);
    lmb_value p = lmb_mul(g, lmb_softmax(g, z.t, -1), target);
    lmb_value terms = lmb_mul(g, p, lmb_log_softmax(g, z.s, -1));
    lmb_value own = lmb_neg(g, lmb_sum(g, terms, LMB_AXIS(-1), false));
    lmb_value rest = lmb_scale(g, non_target(g, o, &z, target),
        o->gamma * o->temperature * o->temperature);
    return lmb_rows_mean(g, &z, lmb_add(g, own, rest));
}

const lmb_method lmb_method_nkd = {
    .name = "nkd",
    .title = "normalised KD: soft target and normalised non-target parts",
    .source = "arXiv:2303.13005, eq. 8",
    .needs = LMB_NEED_LABELS,
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .state_size = sizeof(nkd_state),
    .pairs = lmb_logits_pairs,
    .build = build,
};
