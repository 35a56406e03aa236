/* logits.c: what methods on logits share. */
#include "distill/logits.h"

lmb_status lmb_logits_pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    (void)state;
    return lmb_pairs_add_same(out, "logits", student, teacher);
}

static bool refuse(
    const lmb_build *b, const lmb_tap *s, const lmb_tap *t, const char *rule)
{
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ESHAPE, "%s: student.%s %s and teacher.%s %s: %s",
            b->method, s->name, lmb_shape_text(&s->shape), t->name,
            lmb_shape_text(&t->shape), rule));
    return false;
}

bool lmb_logits_pair(
    const lmb_build *b, bool standardize, int64_t min_classes, lmb_logits *out)
{
    lmb_tap s, t;
    if (!lmb_build_pair(b, 0, &s, &t))
        return false;
    if (s.shape.rank != 2 || !lmb_shape_equal(&s.shape, &t.shape))
        return refuse(b, &s, &t, "both must be one [rows, classes]");
    if (standardize && min_classes < 2)
        min_classes = 2;
    if (s.shape.dim[0] < 1 || s.shape.dim[1] < min_classes)
        return refuse(b, &s, &t, "too few rows or classes");
    *out = (lmb_logits){
        .s = standardize ? lmb_standardize(b->g, s.value) : s.value,
        .t = standardize ? lmb_standardize(b->g, t.value) : t.value,
        .labels = lmb_is(s.labels) ? s.labels : b->labels,
        .row_weight = s.row_weight,
        .rows = s.shape.dim[0],
        .classes = s.shape.dim[1],
    };
    return true;
}

lmb_value lmb_logits_labels(const lmb_build *b, const lmb_logits *z)
{
    if (!lmb_is(z->labels))
        lmb_graph_fail(
            b->g, LMB_FAIL(LMB_EINVAL, "%s: needs labels", b->method));
    return z->labels;
}

lmb_value lmb_standardize(lmb_graph *g, lmb_value z)
{
    const double free = (double)(lmb_graph_dim(g, z, -1) - 1);
    const uint32_t last = LMB_AXIS(-1);
    lmb_value centred = lmb_sub(g, z, lmb_mean(g, z, last, true));
    lmb_value squares = lmb_sum(g, lmb_square(g, centred), last, true);
    lmb_value std = lmb_sqrt(g, lmb_scale(g, squares, 1 / free));
    return lmb_div(g, centred, lmb_shift(g, std, 1e-7));
}

lmb_value lmb_log_probs(lmb_graph *g, lmb_value z, double temperature)
{
    return lmb_log_softmax(g, lmb_scale(g, z, 1 / temperature), -1);
}

lmb_value lmb_rows_mean(lmb_graph *g, const lmb_logits *z, lmb_value per_row)
{
    if (!lmb_is(z->row_weight))
        return lmb_mean(g, per_row, LMB_AXIS(0), false);
    /* No row counts: the mean of nothing is 0. */
    lmb_value w = lmb_stop_gradient(g, z->row_weight);
    lmb_value total = lmb_maximum(
        g, lmb_sum(g, w, LMB_AXIS(0), false), lmb_graph_scalar(g, 1e-12));
    if (lmb_graph_rank(g, per_row) == 2)
        w = lmb_reshape(g, w, LMB_SHAPE(z->rows, 1));
    lmb_value sum = lmb_sum(g, lmb_mul(g, per_row, w), LMB_AXIS(0), false);
    return lmb_div(g, sum, total);
}

lmb_decoupled lmb_decouple(lmb_graph *g, lmb_value z, lmb_value target)
{
    const uint32_t last = LMB_AXIS(-1);
    lmb_value own = lmb_sum(g, lmb_mul(g, z, target), last, true);
    lmb_value rest = lmb_select(g, target, lmb_graph_scalar(g, -1e9), z);
    lmb_value top = lmb_stop_gradient(g, lmb_max(g, rest, last, true));
    lmb_value sum = lmb_sum(g, lmb_exp(g, lmb_sub(g, rest, top)), last, true);
    lmb_value log_sum = lmb_add(g, top, lmb_log(g, sum));
    return (lmb_decoupled){
        .odds = lmb_sub(g, own, log_sum),
        .others = lmb_sub(g, rest, log_sum),
    };
}
