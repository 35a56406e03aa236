/* rkd.c: relational knowledge distillation.
 *
 * Of features e [N, D] (pooled), for each side: distances d_ij = |e_i - e_j|
 * (squared if `squared`) divided by their mean over i != j; angles a_ijk =
 * cosine between e_j - e_i and e_k - e_i. With h = mean smooth L1 (beta 1):
 * L = sum over pairs distance_weight h(d_s - d_t) + angle_weight h(a_s - a_t).
 * Source: Park et al., arXiv:1904.05068, eqs. 5 to 10; weights 25 and 50,
 * means over all N^2 and N^3 entries and eps are mdistiller's. Distances come
 * from the differences, which the angles need anyway, and not from the Gram
 * matrix, which loses their digits in f32. A batch of one has no pairs: 0. */
#include "distill/method.h"

typedef struct rkd_state {
    double distance_weight, angle_weight, eps;
    bool squared;
} rkd_state;

static const lmb_opt options[] = {
    {.name = "distance_weight",
        .help = "weight of the distances",
        .type = LMB_OPT_F64,
        .offset = offsetof(rkd_state, distance_weight),
        .def = 25,
        .high = 1e9,
        .aliases = "RKD.DISTANCE_WEIGHT"},
    {.name = "angle_weight",
        .help = "weight of the angles",
        .type = LMB_OPT_F64,
        .offset = offsetof(rkd_state, angle_weight),
        .def = 50,
        .high = 1e9,
        .aliases = "RKD.ANGLE_WEIGHT"},
    {.name = "eps",
        .help = "least squared distance",
        .type = LMB_OPT_F64,
        .offset = offsetof(rkd_state, eps),
        .def = 1e-12,
        .low = 1e-30,
        .high = 1,
        .aliases = "RKD.PDIST.EPSILON"},
    {.name = "squared",
        .help = "squared distances",
        .type = LMB_OPT_BOOL,
        .offset = offsetof(rkd_state, squared),
        .high = 1,
        .aliases = "RKD.PDIST.SQUARED"},
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    (void)state;
    return lmb_pairs_add_same(out, "pooled", student, teacher);
}

typedef struct relations {
    lmb_value distance; /* [N, N], mean 1 off the diagonal, 0 on it */
    lmb_value angle; /* [N, N, N] */
} relations;

/* 1 off the diagonal, 0 on it. */
static lmb_value off_diagonal(lmb_graph *g, int64_t n)
{
    const size_t size = (size_t)(n * n);
    double *mask = lmb_graph_memory(g, size * sizeof *mask);
    for (size_t i = 0; mask != NULL && i < size; i++)
        mask[i] = i % (size_t)(n + 1) != 0;
    return lmb_graph_constant(g, LMB_SHAPE(n, n), mask, 1);
}

/* x [N, D], off [N, N]. */
static relations relate(
    lmb_graph *g, const rkd_state *o, lmb_value x, lmb_value off)
{
    const int64_t n = lmb_graph_dim(g, x, 0), d = lmb_graph_dim(g, x, 1);
    lmb_value gap = lmb_sub(g, lmb_reshape(g, x, LMB_SHAPE(1, n, d)),
        lmb_reshape(g, x, LMB_SHAPE(n, 1, d))); /* [i, j] = x_j - x_i */
    lmb_value square = lmb_sum(g, lmb_square(g, gap), LMB_AXIS(2), false);
    lmb_value least = lmb_maximum(g, square, lmb_graph_scalar(g, o->eps));
    lmb_value distance =
        lmb_mul(g, o->squared ? least : lmb_sqrt(g, least), off);
    lmb_value mean = lmb_scale(g, lmb_sum(g, distance, LMB_ALL_AXES, false),
        1 / (double)(n * (n - 1)));
    lmb_value length =
        lmb_maximum(g, lmb_sqrt(g, square), lmb_graph_scalar(g, 1e-12));
    lmb_value unit =
        lmb_div(g, gap, lmb_reshape(g, length, LMB_SHAPE(n, n, 1)));
    return (relations){
        .distance = lmb_div(g, distance, mean),
        .angle = lmb_matmul(g, unit, unit, false, true),
    };
}

static lmb_value pair_loss(const rkd_state *o, const lmb_build *b, int i)
{
    lmb_graph *g = b->g;
    lmb_tap s, t;
    if (!lmb_build_pair(b, i, &s, &t))
        return LMB_NONE;
    const int64_t n = s.shape.dim[0];
    if (t.shape.dim[0] != n) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_ESHAPE,
                "%s: %lld samples of the student, %lld of the "
                "teacher",
                b->method, (long long)n, (long long)t.shape.dim[0]));
        return LMB_NONE;
    }
    if (n == 1)
        return lmb_graph_scalar(g, 0);
    lmb_value off = off_diagonal(g, n);
    relations rs = relate(g, o, lmb_reshape(g, s.value, LMB_SHAPE(n, -1)), off);
    relations rt = relate(g, o, lmb_reshape(g, t.value, LMB_SHAPE(n, -1)), off);
    lmb_value distance = lmb_smooth_l1(g, rs.distance, rt.distance);
    lmb_value angle = lmb_smooth_l1(g, rs.angle, rt.angle);
    return lmb_add(g, lmb_scale(g, distance, o->distance_weight),
        lmb_scale(g, angle, o->angle_weight));
}

static lmb_value build(void *state, const lmb_build *b)
{
    lmb_value total = LMB_NONE;
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_value loss = pair_loss(state, b, i);
        if (!lmb_is(loss))
            return LMB_NONE;
        total = i == 0 ? loss : lmb_add(b->g, total, loss);
    }
    return total;
}

const lmb_method lmb_method_rkd = {
    .name = "rkd",
    .title = "relations: distances and angles between samples",
    .source = "arXiv:1904.05068, eqs. 5 to 10",
    .ce_weight = 1,
    .weight = 1,
    .ce_weight_keys = "RKD.LOSS.CE_WEIGHT",
    .weight_keys = "RKD.LOSS.FEAT_WEIGHT",
    .opts = options,
    .state_size = sizeof(rkd_state),
    .pairs = pairs,
    .build = build,
};
