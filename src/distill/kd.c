/* kd.c: knowledge distillation.
 *
 * L = T^2 mean_n sum_k p_nk (log p_nk - log q_nk), p = softmax(z_t / T),
 * q = softmax(z_s / T), both [N, C]. Of dense heads rows are chosen places
 * (dense.h); with dense=binary each class has a KL of its own between
 * (sigmoid, 1 - sigmoid), and these are summed.
 * Source: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural
 * network", arXiv:1503.02531, section 2; weights and T of mdistiller. */
#include "distill/logits.h"

typedef struct kd_state {
    double temperature;
    lmb_logits_opts logits;
    int32_t dense;
} kd_state;

static const lmb_opt options[] = {
    {.name = "temperature",
        .help = "softmax temperature T of both sides",
        .type = LMB_OPT_F64,
        .offset = offsetof(kd_state, temperature),
        .def = 4,
        .low = 0.01,
        .high = 1000,
        .aliases = "KD.TEMPERATURE|T|tau"},
    LMB_OPT_DENSE_FORM(kd_state),
    LMB_OPTS_LOGITS(kd_state),
    {0},
};

/* Sum of the classes' own KL: [N]. */
static lmb_value each_class(lmb_graph *g, const lmb_logits *z, double temp)
{
    lmb_value kl = lmb_two_way_kl(
        g, lmb_scale(g, z->t, 1 / temp), lmb_scale(g, z->s, 1 / temp));
    return lmb_sum(g, kl, LMB_AXIS(1), false);
}

static lmb_value build(void *state, const lmb_build *b)
{
    const kd_state *o = state;
    const double temp = o->temperature;
    lmb_graph *g = b->g;
    lmb_logits z;
    /* A softmax over one class is 1, whatever the logits. */
    if (!lmb_logits_pair(
            b, &o->logits, o->dense == LMB_DENSE_BINARY ? 1 : 2, &z))
        return LMB_NONE;
    lmb_value kl = lmb_logits_binary(b, &z, o->dense)
        ? each_class(g, &z, temp)
        : lmb_kl_log(
              g, lmb_log_probs(g, z.t, temp), lmb_log_probs(g, z.s, temp));
    return lmb_scale(g, lmb_rows_mean(g, &z, kl), temp * temp);
}

static const char *const on_detectors[] = {"temperature", "1", NULL};

const lmb_method lmb_method_kd = {
    .name = "kd",
    .title = "softened class probabilities (KL at temperature T)",
    .source = "arXiv:1503.02531, section 2",
    .ce_weight = 0.1,
    .weight = 0.9,
    .ce_weight_keys = "KD.LOSS.CE_WEIGHT",
    .weight_keys = "KD.LOSS.KD_WEIGHT",
    .opts = options,
    .detector_options = on_detectors,
    .state_size = sizeof(kd_state),
    .pairs = lmb_logits_pairs,
    .build = build,
};
