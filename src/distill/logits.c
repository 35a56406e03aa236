/* logits.c: what methods on logits share. */
#include "distill/logits.h"

#include "distill/dense.h"
#include "distill/levels.h"

lmb_status lmb_logits_pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    static const char *const names[] = {"logits", "roi.logits"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(names); i++)
        if (lmb_taps_find(student, names[i]) != NULL &&
            lmb_taps_find(teacher, names[i]) != NULL)
            return lmb_pairs_add_same(out, names[i], student, teacher);
    if (lmb_levels_shared("cls.p", student, teacher))
        return lmb_levels_pairs("cls.p", 0, student, teacher, out);
    return lmb_pairs_add_same(out, names[0], student, teacher);
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

/* The two taps of the first pair as they are. */
static bool plain_pair(
    const lmb_build *b, const lmb_tap *s, const lmb_tap *t, lmb_logits *out)
{
    if (s->shape.rank != 2 || !lmb_shape_equal(&s->shape, &t->shape))
        return refuse(b, s, t, "both must be one [rows, classes]");
    *out = (lmb_logits){
        .s = s->value,
        .t = t->value,
        .labels = lmb_is(s->labels) ? s->labels : b->labels,
        .row_weight = s->row_weight,
        .rows = s->shape.dim[0],
        .classes = s->shape.dim[1],
    };
    return true;
}

bool lmb_logits_pair(const lmb_build *b, const lmb_logits_opts *o,
    int64_t min_classes, lmb_logits *out)
{
    lmb_tap s, t;
    if (!lmb_build_pair(b, 0, &s, &t))
        return false;
    const bool dense = s.shape.rank == 4 && t.shape.rank == 4;
    if (!(dense ? lmb_dense_logits(b, o, out) : plain_pair(b, &s, &t, out)))
        return false;
    if (o->standardize && min_classes < 2)
        min_classes = 2;
    if (out->rows < 1 || out->classes < min_classes)
        return refuse(b, &s, &t, "too few rows or classes");
    if (o->standardize) {
        out->s = lmb_standardize(b->g, out->s);
        out->t = lmb_standardize(b->g, out->t);
    }
    return true;
}

lmb_value lmb_logits_target(const lmb_build *b, const lmb_logits *z)
{
    if (!lmb_is(z->labels)) {
        lmb_graph_fail(
            b->g, LMB_FAIL(LMB_EINVAL, "%s: needs labels", b->method));
        return LMB_NONE;
    }
    /* Padding rows have the label -1; a batch's labels are all classes. */
    return lmb_is(z->row_weight)
        ? lmb_one_hot_or_zero(b->g, z->labels, z->classes)
        : lmb_one_hot(b->g, z->labels, z->classes);
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

lmb_value lmb_log_sigmoid(lmb_graph *g, lmb_value x)
{
    return lmb_neg(g, lmb_softplus(g, lmb_neg(g, x)));
}

lmb_value lmb_two_way_kl(lmb_graph *g, lmb_value t, lmb_value s)
{
    lmb_value rest_t = lmb_neg(g, t), rest_s = lmb_neg(g, s);
    lmb_value gap = lmb_sub(g, lmb_log_sigmoid(g, t), lmb_log_sigmoid(g, s));
    lmb_value rest =
        lmb_sub(g, lmb_log_sigmoid(g, rest_t), lmb_log_sigmoid(g, rest_s));
    return lmb_add(g, lmb_mul(g, lmb_sigmoid(g, t), gap),
        lmb_mul(g, lmb_sigmoid(g, rest_t), rest));
}

bool lmb_logits_binary(const lmb_build *b, const lmb_logits *z, int32_t choice)
{
    if (choice == LMB_DENSE_BINARY && !z->dense)
        lmb_graph_fail(b->g,
            LMB_FAIL(LMB_EINVAL,
                "%s.dense: binary is for maps of dense heads (cls.p3), whose "
                "classes do not exclude each other",
                b->method));
    return choice == LMB_DENSE_BINARY;
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
