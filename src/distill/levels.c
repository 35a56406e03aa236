/* levels.c: pairs of pyramid levels. */
#include "distill/levels.h"

#include <stdio.h>
#include <string.h>

enum { FINEST = 2, LAST_OF_BACKBONE = 5, COARSEST = 7 };

int lmb_level_of(const char *name)
{
    const size_t n = strlen(name);
    if (n < 2 || name[n - 2] != 'p' || (n > 2 && name[n - 3] != '.'))
        return -1;
    const int level = name[n - 1] - '0';
    return level >= FINEST && level <= COARSEST ? level : -1;
}

/* The tap of level k; NULL if there is none. */
static const lmb_tap *tap_at(const lmb_taps *taps, const char *stem, int k)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s%d", stem, k);
    return lmb_taps_find(taps, name);
}

bool lmb_levels_shared(
    const char *stem, const lmb_taps *student, const lmb_taps *teacher)
{
    for (int k = FINEST; k <= COARSEST; k++)
        if (tap_at(student, stem, k) != NULL &&
            tap_at(teacher, stem, k) != NULL)
            return true;
    return false;
}

static lmb_status add_pairs(const char *stem, int coarsest, int64_t most,
    const lmb_taps *student, const lmb_taps *teacher, lmb_pairs *out)
{
    for (int k = FINEST; k <= coarsest; k++) {
        const lmb_tap *s = tap_at(student, stem, k);
        const lmb_tap *t = tap_at(teacher, stem, k);
        if (s == NULL || t == NULL || (most > 0 && out->count == most))
            continue;
        LMB_TRY(lmb_pairs_add(out, s->name, t->name));
    }
    if (out->count == 0)
        return LMB_FAIL(LMB_ENOTFOUND,
            "student and teacher share no tap %s%d .. %s%d; `map` lines can "
            "pair others",
            stem, FINEST, stem, coarsest);
    return LMB_OK;
}

lmb_status lmb_levels_pairs(const char *stem, int64_t most,
    const lmb_taps *student, const lmb_taps *teacher, lmb_pairs *out)
{
    return add_pairs(stem, COARSEST, most, student, teacher, out);
}

lmb_status lmb_levels_pairs_alike(int64_t most, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    static const char of_two_stages[] = "roi.logits";
    const bool alike = (lmb_taps_find(student, of_two_stages) == NULL) ==
        (lmb_taps_find(teacher, of_two_stages) == NULL);
    return add_pairs(
        "p", alike ? COARSEST : LAST_OF_BACKBONE, most, student, teacher, out);
}

const lmb_tap *lmb_level_assigned(
    const lmb_build *b, const char *what, const char *tap, int64_t rows)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s.p%d", what, lmb_level_of(tap));
    const lmb_tap *found = lmb_taps_find(b->student, name);
    if (found == NULL ||
        (found->shape.rank == 2 && (rows == 0 || found->shape.dim[1] == rows)))
        return found;
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ESHAPE,
            "%s: student.%s %s, but %s has %lld places and anchors", b->method,
            name, lmb_shape_text(&found->shape), tap, (long long)rows));
    return NULL;
}

static bool is_map(const lmb_build *b, const lmb_tap *s, const lmb_tap *t)
{
    if (s->shape.rank == 4 && t->shape.rank == 4 &&
        s->shape.dim[0] == t->shape.dim[0])
        return true;
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ESHAPE,
            "%s: student.%s %s and teacher.%s %s must be [N, C, H, W] of the "
            "same images",
            b->method, s->name, lmb_shape_text(&s->shape), t->name,
            lmb_shape_text(&t->shape)));
    return false;
}

bool lmb_level_taps(
    const lmb_build *b, int i, lmb_tap *student, lmb_tap *teacher)
{
    return lmb_build_pair(b, i, student, teacher) &&
        is_map(b, student, teacher);
}

bool lmb_level_pair(const lmb_build *b, int i, lmb_level *out)
{
    lmb_tap s, t;
    lmb_nn nn;
    if (!lmb_level_taps(b, i, &s, &t))
        return false;
    lmb_level_nn(b, i, &nn);
    *out = (lmb_level){
        .s = lmb_align(&nn, s.value, &t.shape),
        .t = t.value,
        .shape = t.shape,
        .name = s.name,
        .index = i,
    };
    return lmb_is(out->s);
}

void lmb_level_nn(const lmb_build *b, int i, lmb_nn *out)
{
    lmb_nn_init(out, b->g, b->params, b->mode);
    (void)snprintf(out->prefix, sizeof out->prefix, "%slevel%d", b->prefix, i);
}

lmb_value lmb_levels_sum(
    const lmb_build *b, lmb_level_term *term, const void *state)
{
    lmb_value total = LMB_NONE;
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_level l;
        if (!lmb_level_pair(b, i, &l))
            return LMB_NONE;
        lmb_value value = term(state, b, &l);
        total = i == 0 ? value : lmb_add(b->g, total, value);
    }
    return total;
}

lmb_status lmb_levels_describe(const void *state, const lmb_shape *student,
    const lmb_shape *teacher, lmb_str *out)
{
    (void)state;
    return lmb_align_describe(student, teacher, out);
}
