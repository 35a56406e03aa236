/* dense.c: choosing rows of dense heads.
 *
 * Positive are the anchors and places to which the student's own assigner gave
 * a box. Arrays that come without it (lmb_loss_eval) have the places inside
 * boxes by the grid of the level. */
#include "distill/dense.h"

#include "distill/levels.h"
#include "distill/regions.h"

static const double BELOW_ALL = -1e30; /* a logit that is never chosen */

/* All levels as rows: P places of all levels and anchors. */
typedef struct places {
    lmb_value s, t; /* [N, P, C] */
    lmb_value positive, label; /* [N, P], I32 [N, P]; NONE without either */
    int64_t images, count, classes;
} places;

static bool refuse(
    const lmb_build *b, const lmb_tap *s, const lmb_tap *t, int64_t anchors)
{
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ESHAPE,
            "%s: student.%s %s and teacher.%s %s must be one [N, A C, H, W], "
            "A = %lld (dense_anchors)",
            b->method, s->name, lmb_shape_text(&s->shape), t->name,
            lmb_shape_text(&t->shape), (long long)anchors));
    return false;
}

static int64_t anchors_of(
    const lmb_build *b, const lmb_logits_opts *o, const lmb_shape *shape)
{
    if (o->dense_anchors > 0)
        return o->dense_anchors;
    return b->classes > 0 && shape->dim[1] >= b->classes
        ? shape->dim[1] / b->classes
        : 1;
}

lmb_value lmb_dense_rows(lmb_graph *g, lmb_value x, int64_t anchors)
{
    static const int to_rows[] = {0, 3, 1, 2};
    const lmb_shape s = lmb_graph_shape(g, x);
    const int64_t n = s.dim[0], k = s.dim[1] / anchors;
    const int64_t cells = s.dim[2] * s.dim[3];
    x = lmb_reshape(g, x, LMB_SHAPE(n, anchors, k, cells));
    return lmb_reshape(
        g, lmb_permute(g, x, to_rows), LMB_SHAPE(n, cells * anchors, k));
}

/* A value of each cell, for each of its anchors: [N, .. H W] -> [N, H W A]. */
static lmb_value for_anchors(
    lmb_graph *g, lmb_value x, const lmb_shape *s, int64_t anchors)
{
    const int64_t n = s->dim[0], cells = s->dim[2] * s->dim[3];
    x = lmb_reshape(g, x, LMB_SHAPE(n, cells, 1));
    x = lmb_broadcast(g, x, LMB_SHAPE(n, cells, anchors));
    return lmb_reshape(g, x, LMB_SHAPE(n, cells * anchors));
}

/* Arrays given to a loss are real: the index nearest to each, background C
 * included. */
static lmb_value as_index(lmb_graph *g, lmb_value label, int64_t classes)
{
    const int64_t n = lmb_graph_dim(g, label, 0),
                  p = lmb_graph_dim(g, label, 1);
    double *all = lmb_graph_memory(g, (size_t)(classes + 1) * sizeof *all);
    for (int64_t k = 0; all != NULL && k <= classes; k++)
        all[k] = (double)k;
    lmb_value each = lmb_graph_constant(g, LMB_SHAPE(classes + 1), all, 0);
    lmb_value gap = lmb_sub(g, lmb_reshape(g, label, LMB_SHAPE(n, p, 1)), each);
    lmb_value index = lmb_top_k(g, lmb_neg(g, lmb_abs(g, gap)), 1);
    return lmb_reshape(g, index, LMB_SHAPE(n, p));
}

/* 1 for positive rows of the level of `s`, and the classes of those; false
 * where nobody says. */
static bool assigned(const lmb_build *b, const lmb_tap *s, int64_t anchors,
    lmb_value *positive, lmb_value *label)
{
    const int64_t h = s->shape.dim[2], w = s->shape.dim[3];
    const lmb_tap *own =
        lmb_level_assigned(b, "positive", s->name, h * w * anchors);
    const lmb_tap *of_class =
        lmb_level_assigned(b, "label", s->name, h * w * anchors);
    if (own != NULL && of_class != NULL) {
        *positive = own->value;
        *label = lmb_graph_type(b->g, of_class->value).dtype == LMB_I32
            ? of_class->value
            : as_index(b->g, of_class->value, s->shape.dim[1] / anchors);
        return true;
    }
    if (!lmb_is(b->boxes))
        return false;
    *positive = for_anchors(b->g, lmb_box_inside(b, h, w), &s->shape, anchors);
    *label = for_anchors(b->g, lmb_box_class(b, h, w), &s->shape, anchors);
    return true;
}

static bool flatten(const lmb_build *b, const lmb_logits_opts *o, places *out)
{
    lmb_graph *g = b->g;
    lmb_value part[4][LMB_MAX_PAIRS] = {{LMB_NONE}};
    bool known = true;
    const int n = b->pairs.count;
    for (int i = 0; i < n; i++) {
        lmb_tap s, t;
        if (!lmb_build_pair(b, i, &s, &t))
            return false;
        const int64_t *d = s.shape.dim, a = anchors_of(b, o, &s.shape);
        if (s.shape.rank != 4 || !lmb_shape_equal(&s.shape, &t.shape) ||
            d[1] % a != 0 || (i > 0 && d[1] / a != out->classes))
            return refuse(b, &s, &t, a);
        out->images = d[0];
        out->classes = d[1] / a;
        out->count += d[2] * d[3] * a;
        part[0][i] = lmb_dense_rows(g, s.value, a);
        part[1][i] = lmb_dense_rows(g, t.value, a);
        known = known && assigned(b, &s, a, &part[2][i], &part[3][i]);
    }
    out->s = lmb_concat(g, n, part[0], 1);
    out->t = lmb_concat(g, n, part[1], 1);
    out->positive = known ? lmb_concat(g, n, part[2], 1) : LMB_NONE;
    out->label = known ? lmb_concat(g, n, part[3], 1) : LMB_NONE;
    return true;
}

/* Chosen places of one kind: [N, K] each. */
typedef struct chosen {
    lmb_value index, weight, label;
} chosen;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static chosen positives(
    lmb_graph *g, const places *p, lmb_value score, int64_t most)
{
    lmb_value key =
        lmb_select(g, p->positive, score, lmb_graph_scalar(g, BELOW_ALL));
    lmb_value index = lmb_top_k(g, key, least(most, p->count));
    return (chosen){
        .index = index,
        .weight = lmb_gather(g, p->positive, index, 1),
        .label = lmb_gather(g, p->label, index, 1),
    };
}

/* x [N, P, C] at index [N, K] -> [N, K, C]. */
static lmb_value rows_at(
    lmb_graph *g, const places *p, lmb_value x, lmb_value index)
{
    const int64_t k = lmb_graph_dim(g, index, 1);
    index = lmb_reshape(g, index, LMB_SHAPE(p->images, k, 1));
    index = lmb_broadcast(g, index, LMB_SHAPE(p->images, k, p->classes));
    return lmb_gather(g, x, index, 1);
}

/* The best places but those of `first`, which may be none (index NONE). */
static chosen others(lmb_graph *g, const places *p, lmb_value score,
    const chosen *first, int64_t most)
{
    lmb_value weight = LMB_NONE, key = score;
    lmb_value taken = LMB_NONE;
    if (lmb_is(first->index)) {
        taken = lmb_scatter_add(g, first->weight, first->index, 1, p->count);
        key = lmb_select(g, taken, lmb_graph_scalar(g, BELOW_ALL), score);
    }
    const int64_t k = least(most, p->count);
    lmb_value index = lmb_top_k(g, key, k);
    if (lmb_is(taken))
        weight = lmb_affine(g, lmb_gather(g, taken, index, 1), -1, 1);
    else
        weight = lmb_graph_constant(g, LMB_SHAPE(p->images, k), NULL, 1);
    lmb_value label = lmb_top_k(g, rows_at(g, p, p->t, index), 1);
    return (chosen){
        .index = index,
        .weight = weight,
        .label = lmb_reshape(g, label, LMB_SHAPE(p->images, k)),
    };
}

/* One of the two, or both side by side. */
static lmb_value join(lmb_graph *g, lmb_value a, lmb_value b)
{
    if (!lmb_is(a) || !lmb_is(b))
        return lmb_is(a) ? a : b;
    return lmb_concat(g, 2, (lmb_value[]){a, b}, 1);
}

bool lmb_dense_logits(
    const lmb_build *b, const lmb_logits_opts *o, lmb_logits *out)
{
    lmb_graph *g = b->g;
    places p = {.count = 0};
    chosen in = {.index = LMB_NONE}, rest = {.index = LMB_NONE};
    if (!flatten(b, o, &p))
        return false;
    lmb_value score = lmb_max(g, p.t, LMB_AXIS(2), false);
    if (lmb_is(p.positive) && o->dense_positives > 0)
        in = positives(g, &p, score, o->dense_positives);
    if (o->dense_top > 0)
        rest = others(g, &p, score, &in, o->dense_top);
    lmb_value index = join(g, in.index, rest.index);
    if (!lmb_is(index)) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL,
                "%s: dense_positives (with boxes) and dense_top leave no rows",
                b->method));
        return false;
    }
    const int64_t k = lmb_graph_dim(g, index, 1), rows = p.images * k;
    const lmb_shape flat = LMB_SHAPE(rows, p.classes);
    *out = (lmb_logits){
        .s = lmb_reshape(g, rows_at(g, &p, p.s, index), flat),
        .t = lmb_reshape(g, rows_at(g, &p, p.t, index), flat),
        .labels =
            lmb_reshape(g, join(g, in.label, rest.label), LMB_SHAPE(rows)),
        .row_weight =
            lmb_reshape(g, join(g, in.weight, rest.weight), LMB_SHAPE(rows)),
        .rows = rows,
        .classes = p.classes,
        .dense = true,
    };
    return true;
}
