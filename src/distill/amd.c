/* amd.c: adaptive masking distillation.
 *
 * L = alpha sum over levels sum (G(E(M F_s)) - F_t)^2 / N, F [N, C, H, W];
 * M hides the places of the teacher's largest spatial attention; E weighs the
 * channels, E(x) = x sigmoid(W_2 relu(W_1 mean_hw x)) (squeeze and
 * excitation, C / 16 hidden units); G is MGD's generator.
 * Source: Yang et al., "AMD: adaptive masked distillation for object
 * detection", arXiv:2301.13538. A reconstruction: there is no published code.
 * The attention is FGD's, alpha and the masked share are MGD's, the excitation
 * has the usual reduction of 16. */
#include "distill/attention.h"
#include "distill/generator.h"
#include "distill/levels.h"
#include "distill/maps.h"
#include "distill/masking.h"

typedef struct amd_state {
    double alpha, temperature, ratio;
    int64_t levels, reduction;
    int32_t polarity;
} amd_state;

static const lmb_opt options[] = {
    {.name = "alpha",
        .help = "factor of the term (two-stage detectors: 5e-7)",
        .type = LMB_OPT_F64,
        .offset = offsetof(amd_state, alpha),
        .def = 2e-5,
        .high = 1e6},
    {.name = "temperature",
        .help = "softmax temperature of the teacher's attention",
        .type = LMB_OPT_F64,
        .offset = offsetof(amd_state, temperature),
        .def = 0.5,
        .low = 0.01,
        .high = 1000},
    {.name = "ratio",
        .help = "share of places that are hidden (two-stage: 0.45)",
        .type = LMB_OPT_F64,
        .offset = offsetof(amd_state, ratio),
        .def = 0.65,
        .high = 1},
    {.name = "polarity",
        .help = "which places are hidden",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(amd_state, polarity),
        .choices = "important|unimportant"},
    {.name = "reduction",
        .help = "channels per hidden unit of the excitation",
        .type = LMB_OPT_I64,
        .offset = offsetof(amd_state, reduction),
        .def = 16,
        .low = 1,
        .high = 1024},
    LMB_OPT_LEVELS(amd_state, 0),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const amd_state *o = state;
    return lmb_levels_pairs_alike(o->levels, student, teacher, out);
}

static lmb_value excite(lmb_nn *nn, lmb_value x, int64_t reduction)
{
    lmb_graph *g = nn->g;
    const int64_t n = lmb_graph_dim(g, x, 0), c = lmb_graph_dim(g, x, 1);
    const int hidden = (int)(c / reduction > 0 ? c / reduction : 1);
    lmb_nn_push(nn, "excitation");
    lmb_value w = lmb_mean(g, x, LMB_AXIS(2) | LMB_AXIS(3), false);
    w = lmb_relu(g, lmb_nn_linear_default(nn, "0", w, hidden));
    w = lmb_sigmoid(g, lmb_nn_linear_default(nn, "2", w, (int)c));
    lmb_nn_pop(nn);
    return lmb_mul(g, x, lmb_reshape(g, w, LMB_SHAPE(n, c, 1, 1)));
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const amd_state *o = state;
    lmb_graph *g = b->g;
    const lmb_attention a = lmb_attend(g, l->t, o->temperature);
    lmb_value mask = lmb_mask_quantile(g, a.space, o->ratio, o->polarity);
    lmb_nn nn;
    lmb_level_nn(b, l->index, &nn);
    lmb_value x = excite(&nn, lmb_mul(g, l->s, mask), o->reduction);
    x = lmb_generate(&nn, "generation", x);
    return lmb_scale(g, lmb_map_squares(g, x, l->t), o->alpha);
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_levels_sum(b, term, state);
}

/* P2 .. P5: P6 is a maximum over P5. */
static const char *const on_two_stages[] = {
    "alpha", "5e-7", "ratio", "0.45", "levels", "4", NULL};

const lmb_method lmb_method_amd = {
    .name = "amd",
    .title = "places masked by the teacher's attention, channels weighed",
    .source = "arXiv:2301.13538 (reconstruction)",
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .two_stage_options = on_two_stages,
    .state_size = sizeof(amd_state),
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
};
