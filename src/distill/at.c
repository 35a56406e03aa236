/* at.c: attention transfer.
 *
 * a = mean_c F^p [N, H W], divided by its length per sample;
 * L = sum over pairs mean (a_s - a_t)^2. F [N, C, H, W]; the higher map is
 * average-pooled to the lower one's size first.
 * Source: Zagoruyko, Komodakis, arXiv:1612.03928, eq. 2 with p = 2 and mean in
 * place of sum; pairs f1, f2, .. from the shallow end and the weight 1000 are
 * mdistiller's. */
#include "distill/method.h"

typedef struct at_state {
    int64_t power;
} at_state;

static const lmb_opt options[] = {
    {.name = "p",
        .help = "power of the activations",
        .type = LMB_OPT_I64,
        .offset = offsetof(at_state, power),
        .def = 2,
        .low = 1,
        .high = 8,
        .aliases = "AT.P"},
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    static const char *const names[] = {"f1", "f2", "f3", "f4", "f5", "f6"};
    (void)state;
    LMB_TRY(lmb_pairs_add_same(out, names[0], student, teacher));
    for (size_t i = 1;
         i < LMB_COUNT(names) && lmb_taps_find(student, names[i]) != NULL &&
         lmb_taps_find(teacher, names[i]) != NULL;
         i++)
        LMB_TRY(lmb_pairs_add_same(out, names[i], student, teacher));
    return LMB_OK;
}

/* [N, C, H, W] -> [N, H, W], of length 1. */
static lmb_value attention(lmb_graph *g, lmb_value x, int64_t power)
{
    lmb_value y = x;
    if (power >= 2)
        y = lmb_square(g, x);
    for (int64_t i = 2; i < power; i++)
        y = lmb_mul(g, y, x);
    y = lmb_mean(g, y, LMB_AXIS(1), false);
    return lmb_l2_normalize(g, y, LMB_AXIS(1) | LMB_AXIS(2), 1e-12);
}

static bool same_size(const lmb_build *b, const lmb_tap *s, const lmb_tap *t,
    lmb_value *x, lmb_value *y)
{
    const int64_t *p = s->shape.dim + 2, *q = t->shape.dim + 2;
    *x = s->value;
    *y = t->value;
    if (s->shape.rank != 4 || t->shape.rank != 4 ||
        (p[0] - q[0]) * (p[1] - q[1]) < 0) {
        lmb_graph_fail(b->g,
            LMB_FAIL(LMB_ESHAPE,
                "%s: student.%s %s and teacher.%s %s must be [N, C, H, W], one "
                "not higher and not wider than the other",
                b->method, s->name, lmb_shape_text(&s->shape), t->name,
                lmb_shape_text(&t->shape)));
        return false;
    }
    if (p[0] > q[0] || p[1] > q[1])
        *x = lmb_adaptive_avg_pool2d(b->g, s->value, q[0], q[1]);
    else if (p[0] < q[0] || p[1] < q[1])
        *y = lmb_adaptive_avg_pool2d(b->g, t->value, p[0], p[1]);
    return true;
}

static lmb_value build(void *state, const lmb_build *b)
{
    const at_state *o = state;
    lmb_graph *g = b->g;
    lmb_value total = LMB_NONE;
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_tap s, t;
        lmb_value x, y;
        if (!lmb_build_pair(b, i, &s, &t) || !same_size(b, &s, &t, &x, &y))
            return LMB_NONE;
        lmb_value loss =
            lmb_mse(g, attention(g, x, o->power), attention(g, y, o->power));
        total = i == 0 ? loss : lmb_add(g, total, loss);
    }
    return total;
}

const lmb_method lmb_method_at = {
    .name = "at",
    .title = "attention transfer: where the activations are large",
    .source = "arXiv:1612.03928, eq. 2",
    .ce_weight = 1,
    .weight = 1000,
    .ce_weight_keys = "AT.LOSS.CE_WEIGHT",
    .weight_keys = "AT.LOSS.FEAT_WEIGHT",
    .opts = options,
    .state_size = sizeof(at_state),
    .pairs = pairs,
    .build = build,
};
