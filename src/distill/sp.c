/* sp.c: similarity-preserving distillation.
 *
 * G = F F^T [N, N] with F the map flattened to [N, C H W], each row of G
 * divided by its length; L = sum over pairs sum (G_t - G_s)^2 / N^2. The maps
 * may differ in everything but N.
 * Source: Tung, Mori, arXiv:1907.09682, eqs. 1 to 4; the last map alone and
 * the weight 3000 are mdistiller's. */
#include "distill/method.h"

typedef struct sp_state {
    char unused; /* it has no options */
} sp_state;

static const lmb_opt options[] = {{0}};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5"};
    const char *s = names[0], *t = names[0];
    (void)state;
    for (size_t i = 1; i < LMB_COUNT(names); i++) {
        if (lmb_taps_find(student, names[i]) != NULL)
            s = names[i];
        if (lmb_taps_find(teacher, names[i]) != NULL)
            t = names[i];
    }
    return lmb_pairs_add(out, s, t);
}

/* [N, ..] -> [N, N], rows of length 1. */
static lmb_value similarity(lmb_graph *g, const lmb_tap *tap)
{
    lmb_value x = lmb_reshape(g, tap->value, LMB_SHAPE(tap->shape.dim[0], -1));
    lmb_value gram = lmb_matmul(g, x, x, false, true);
    return lmb_l2_normalize(g, gram, LMB_AXIS(1), 1e-12);
}

static lmb_value build(void *state, const lmb_build *b)
{
    lmb_graph *g = b->g;
    lmb_value total = LMB_NONE;
    (void)state;
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_tap s, t;
        if (!lmb_build_pair(b, i, &s, &t))
            return LMB_NONE;
        lmb_value loss = lmb_mse(g, similarity(g, &s), similarity(g, &t));
        total = i == 0 ? loss : lmb_add(g, total, loss);
    }
    return total;
}

const lmb_method lmb_method_sp = {
    .name = "sp",
    .title = "similarity of the samples of a batch to each other",
    .source = "arXiv:1907.09682, eq. 4",
    .ce_weight = 1,
    .weight = 3000,
    .ce_weight_keys = "SP.LOSS.CE_WEIGHT",
    .weight_keys = "SP.LOSS.FEAT_WEIGHT",
    .opts = options,
    .state_size = sizeof(sp_state),
    .pairs = pairs,
    .build = build,
};
