/* dist.c: DIST, distillation from a stronger teacher by correlation.
 *
 * L = T^2 (beta inter + gamma intra), p = softmax(z_t / T), q = softmax(z_s /
 * T), both [N, C]; inter = 1 - mean over rows of Pearson(p_n, q_n), intra =
 * 1 - mean over columns of Pearson(p_.k, q_.k); Pearson(x, y) =
 * <x', y'> / (|x'| |y'| + 1e-8) with x' = x - mean(x).
 * Source: Huang et al., arXiv:2205.10536, eqs. 8, 9 and 11; T^2 and the 1e-8
 * are the released code's. The 1e-8 keeps the value above 0 at z_s = z_t, and
 * far above where a column's probabilities are all tiny; with one row each
 * column is centred to nothing and intra is the constant 1. Padding rows
 * (row_weight) are taken out of inter, and enter intra at the column's mean,
 * where they count for nothing. With dense=binary, for heads that tell each
 * class by itself, sigmoids take the place of the softmax, as the authors have
 * it for RetinaNet. */
#include "distill/logits.h"

typedef struct dist_state {
    double temperature, beta, gamma;
    lmb_logits_opts logits;
    int32_t dense;
} dist_state;

static const lmb_opt options[] = {
    {.name = "temperature",
        .help = "softmax temperature T of both sides",
        .type = LMB_OPT_F64,
        .offset = offsetof(dist_state, temperature),
        .def = 1,
        .low = 0.01,
        .high = 1000,
        .aliases = "DIST.TAU|DIST.T|T|tau"},
    {.name = "beta",
        .help = "weight of the relation within each row",
        .type = LMB_OPT_F64,
        .offset = offsetof(dist_state, beta),
        .def = 1,
        .high = 1e6,
        .aliases = "DIST.BETA"},
    {.name = "gamma",
        .help = "weight of the relation within each class",
        .type = LMB_OPT_F64,
        .offset = offsetof(dist_state, gamma),
        .def = 1,
        .high = 1e6,
        .aliases = "DIST.GAMMA"},
    LMB_OPT_DENSE_FORM(dist_state),
    LMB_OPTS_LOGITS(dist_state),
    {0},
};

/* 1 - Pearson along `axis` of centred x, y: the other axis is left. */
static lmb_value distance(lmb_graph *g, lmb_value x, lmb_value y, uint32_t axis)
{
    lmb_value dot = lmb_sum(g, lmb_mul(g, x, y), axis, false);
    lmb_value nx = lmb_sqrt(g, lmb_sum(g, lmb_square(g, x), axis, false));
    lmb_value ny = lmb_sqrt(g, lmb_sum(g, lmb_square(g, y), axis, false));
    lmb_value scale = lmb_shift(g, lmb_mul(g, nx, ny), 1e-8);
    return lmb_affine(g, lmb_div(g, dot, scale), -1, 1);
}

/* x less its column means; rows that do not count become 0. */
static lmb_value centre_columns(lmb_graph *g, const lmb_logits *z, lmb_value x)
{
    lmb_value mean = lmb_rows_mean(g, z, x);
    lmb_value centred = lmb_sub(g, x, mean);
    if (!lmb_is(z->row_weight))
        return centred;
    lmb_value w = lmb_stop_gradient(g, z->row_weight);
    w = lmb_sqrt(g, lmb_reshape(g, w, LMB_SHAPE(z->rows, 1)));
    return lmb_mul(g, centred, w);
}

/* x less its row means, which are 1/C if rows sum to 1. */
static lmb_value centre_rows(
    lmb_graph *g, const lmb_logits *z, lmb_value x, bool binary)
{
    if (!binary)
        return lmb_shift(g, x, -1 / (double)z->classes);
    return lmb_sub(g, x, lmb_mean(g, x, LMB_AXIS(1), true));
}

static lmb_value build(void *state, const lmb_build *b)
{
    const dist_state *o = state;
    const double temp = o->temperature;
    lmb_graph *g = b->g;
    lmb_logits z;
    if (!lmb_logits_pair(b, &o->logits, 2, &z))
        return LMB_NONE;
    lmb_value t = lmb_scale(g, z.t, 1 / temp);
    lmb_value s = lmb_scale(g, z.s, 1 / temp);
    const bool binary = lmb_logits_binary(b, &z, o->dense);
    lmb_value p = binary ? lmb_sigmoid(g, t) : lmb_softmax(g, t, -1);
    lmb_value q = binary ? lmb_sigmoid(g, s) : lmb_softmax(g, s, -1);
    lmb_value inter = lmb_rows_mean(g, &z,
        distance(g, centre_rows(g, &z, p, binary),
            centre_rows(g, &z, q, binary), LMB_AXIS(1)));
    lmb_value intra = lmb_mean(g,
        distance(
            g, centre_columns(g, &z, p), centre_columns(g, &z, q), LMB_AXIS(0)),
        LMB_ALL_AXES, false);
    return lmb_add(g, lmb_scale(g, inter, o->beta * temp * temp),
        lmb_scale(g, intra, o->gamma * temp * temp));
}

const lmb_method lmb_method_dist = {
    .name = "dist",
    .title = "DIST: correlation of rows and columns of probabilities",
    .source = "arXiv:2205.10536, eq. 11",
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .state_size = sizeof(dist_state),
    .pairs = lmb_logits_pairs,
    .build = build,
};
