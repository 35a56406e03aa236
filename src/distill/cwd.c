/* cwd.c: channel-wise distillation.
 *
 * L = sum over levels T^2 mean over (n, c) of KL(p || q), p and q the softmax
 * over all places of channel c of F_t / T and F_s / T; F [N, C, H, W].
 * Source: Shu et al., "Channel-wise knowledge distillation for dense
 * prediction", arXiv:2011.13256, eq. 3-4; mmrazor's ChannelWiseDivergence and
 * its weight 10 for detectors. */
#include "distill/levels.h"

typedef struct cwd_state {
    double temperature;
    int64_t levels;
} cwd_state;

static const lmb_opt options[] = {
    {.name = "temperature",
        .help = "softmax temperature T over places",
        .type = LMB_OPT_F64,
        .offset = offsetof(cwd_state, temperature),
        .def = 1,
        .low = 0.01,
        .high = 1000,
        .aliases = "T|tau"},
    LMB_OPT_LEVELS(cwd_state, 0),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const cwd_state *o = state;
    return lmb_levels_pairs("p", o->levels, student, teacher, out);
}

/* log softmax over the places of each channel: [N C, H W]. */
static lmb_value places(lmb_graph *g, lmb_value x, const lmb_shape *s, double t)
{
    const lmb_shape rows =
        LMB_SHAPE(s->dim[0] * s->dim[1], s->dim[2] * s->dim[3]);
    return lmb_log_softmax(g, lmb_scale(g, lmb_reshape(g, x, rows), 1 / t), -1);
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const double t = ((const cwd_state *)state)->temperature;
    lmb_graph *g = b->g;
    lmb_value kl = lmb_kl_log(
        g, places(g, l->t, &l->shape, t), places(g, l->s, &l->shape, t));
    return lmb_scale(g, lmb_mean(g, kl, LMB_ALL_AXES, false), t * t);
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_levels_sum(b, term, state);
}

const lmb_method lmb_method_cwd = {
    .name = "cwd",
    .title = "channel-wise: where each channel is active",
    .source = "arXiv:2011.13256, eq. 3-4",
    .ce_weight = 1,
    .weight = 10,
    .opts = options,
    .state_size = sizeof(cwd_state),
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
};
